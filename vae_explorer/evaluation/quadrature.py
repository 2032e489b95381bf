"""Exact log-likelihood of models with one or two latent dimensions, by a sum over a grid.

    log p(x) = log sum_g p(x|z_g) p(z_g) h^d        over [-6, 6]^d, 128 points a side (MODELS.md 5.5 and 6.3)

Outside the box N(0, I) has a mass of 4e-9. For Bernoulli pixels log p(x|z) = x . l(z) - sum softplus(l(z)), so all
pairs of an image and a grid point are one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from vae_explorer.evaluation.bounds import bits
from vae_explorer.evaluation.evaluation import Advance, Outcome, no_report
from vae_explorer.models.likelihoods import pairwise_log_prob

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.evaluation import Evaluation
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel, Likelihood

HALF_WIDTH = 6.0
POINTS_A_SIDE = {1: 4096, 2: 128}
CHECK_IMAGES = 200
_POINTS_AT_ONCE = 2048
_IMAGES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class QuadratureResult:
    """-log p(x), (N,) float64 on the CPU, and how much its mean over the first images moves on a grid twice as fine."""

    nll_N: Tensor
    points_a_side: int
    check_images: int
    check_difference: float  # coarse minus fine, nats per image


def exact_nll(evaluation: Evaluation) -> Outcome:
    """The exact -log p(x), with the check of its grid; MODELS.md 6.3."""
    result = quadrature_of(evaluation)
    detail = {
        "points_a_side": result.points_a_side, "half_width": HALF_WIDTH,
        "check_points_a_side": 2 * result.points_a_side, "check_images": result.check_images,
        "check_difference": result.check_difference, **bits(evaluation, result.nll_N),
    }  # fmt: skip
    return Outcome.mean_of(result.nll_N, bound="quadrature", detail=detail)


def quadrature_of(evaluation: Evaluation) -> QuadratureResult:
    """The sum over the grid, shared by the measures that need it."""
    return evaluation.shared(
        "quadrature", lambda: negative_log_likelihood(evaluation.model, evaluation.images, evaluation.advance)
    )


def negative_log_likelihood(model: LatentModel, images: ScoredImages, advance: Advance = no_report) -> QuadratureResult:
    """The exact -log p(x) of every image, in nats; the model's `latent_space` is R^1 or R^2.

    Of a model that is told the class it is -log p(x|y).
    """
    dimensions = model.latent_space.dimensions
    assert dimensions in POINTS_A_SIDE, "quadrature is for one or two latent dimensions"
    side = POINTS_A_SIDE[dimensions]
    nll_N = -log_marginal(model, images, side, advance)
    checked = images.first(CHECK_IMAGES)
    fine_N = -log_marginal(model, checked, 2 * side)
    difference = float((nll_N[: checked.num_images] - fine_N).mean())
    return QuadratureResult(nll_N, side, checked.num_images, difference)


def log_marginal(model: LatentModel, images: ScoredImages, points_a_side: int, advance: Advance = no_report) -> Tensor:
    """log p(x) on a grid of so many points a side, (N,) float64 on the CPU; log-sum-exp in float64."""
    largest_N = torch.full((images.num_images,), -math.inf, dtype=torch.float64, device=images.stored_NCHW.device)
    sum_N = torch.zeros_like(largest_N)
    for index_B, _, joint_BG in joint_blocks(model, images, points_a_side, advance):
        # A running log-sum-exp: the sum so far is rescaled to the new largest term.
        before_B = largest_N[index_B]
        largest_B = torch.maximum(before_B, joint_BG.amax(1))
        sum_N[index_B] = sum_N[index_B] * torch.exp(before_B - largest_B) + joint_BG.sub_(
            largest_B[:, None]
        ).exp_().sum(1)
        largest_N[index_B] = largest_B
    return (largest_N + sum_N.log()).cpu()


def joint_blocks(
    model: LatentModel, images: ScoredImages, points_a_side: int, advance: Advance = no_report
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All pairs of an image and a point of the grid, a block at a time.

    Gives numbers of images (B,), points (G, D), and log p(x|z) + log p(z) + log of a cell's volume, (B, G) float64,
    which the caller may overwrite; all on the images' device. A model that is told the class decodes the grid for each.
    """
    dimensions = model.latent_space.dimensions
    spacing = 2 * HALF_WIDTH / (points_a_side - 1)
    device = images.stored_NCHW.device
    line = torch.linspace(-HALF_WIDTH, HALF_WIDTH, points_a_side, device=device)
    z_GD = torch.cartesian_prod(*[line] * dimensions).view(-1, dimensions)
    done, total = 0, images.num_images * len(z_GD)
    for index_M, condition in _told_alike(model, images):
        for z_part in z_GD.split(_POINTS_AT_ONCE):
            with torch.no_grad():
                told = None if condition is None else condition.expand(len(z_part), *condition.shape[1:])
                likelihood = cast("Likelihood", model.decode(z_part, told))
                log_mass_G = model.log_prior(z_part, told).double() + dimensions * math.log(spacing)
            for index_B in index_M.split(_IMAGES_AT_ONCE):
                advance(done, total)
                with torch.no_grad():
                    joint_BG = pairwise_log_prob(likelihood, images.at(index_B)).add_(log_mass_G)
                yield index_B, z_part, joint_BG
                done += len(index_B) * len(z_part)
    advance(total, total)


def _told_alike(model: LatentModel, images: ScoredImages) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Numbers of images that the model is told the same of, and what, (1, ...)."""
    everything_N = torch.arange(images.num_images, device=images.stored_NCHW.device)
    if model.condition_of(images.x(0, 1), images.labels(0, 1)) is None:
        yield everything_N, None
        return
    labels_N = images.labels_N
    assert labels_N is not None, "only a class can be told at all points of a grid"
    for label in labels_N.unique():
        index_M = everything_N[labels_N == label]
        yield index_M, model.condition_of(images.at(index_M[:1]), label.view(1))
