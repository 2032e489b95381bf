"""Exact log-likelihood of models with one or two latent dimensions, by a sum over a grid.

    log p(x) = log sum_g p(x|z_g) p(z_g) h^d        over [-6, 6]^d, 128 points a side (MODELS.md 5.5 and 6.3)

Outside the box N(0, I) has a mass of 4e-9. For Bernoulli pixels log p(x|z) = x . l(z) - sum softplus(l(z)), so all
pairs of an image and a grid point are one matrix product.
"""

from __future__ import annotations

import math
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
    num = images.num_images
    condition_N = model.condition_of(images.x(0, 1), images.labels(0, 1))
    if condition_N is None:
        return _log_marginal(model, images, torch.arange(num), None, points_a_side, advance).cpu()
    labels_N = images.labels_N
    assert labels_N is not None, "only a class can be given to all points of a grid"
    found_N = torch.empty(num, dtype=torch.float64)
    for label in labels_N.unique():
        index_M = (labels_N == label).nonzero().flatten()
        told = model.condition_of(images.x(int(index_M[0]), int(index_M[0]) + 1), label.view(1))
        found_N[index_M.cpu()] = _log_marginal(model, images, index_M, told, points_a_side, advance).cpu()
    return found_N


def _log_marginal(
    model: LatentModel,
    images: ScoredImages,
    index_M: Tensor,
    condition: Tensor | None,
    points_a_side: int,
    advance: Advance,
) -> Tensor:
    """`log_marginal` of the images of these numbers, which are all told the same, (M,) float64 on the device."""
    dimensions = model.latent_space.dimensions
    spacing = 2 * HALF_WIDTH / (points_a_side - 1)
    device = images.stored_NCHW.device
    line = torch.linspace(-HALF_WIDTH, HALF_WIDTH, points_a_side, device=device)
    z_GD = torch.cartesian_prod(*[line] * dimensions).view(-1, dimensions)
    largest_M = torch.full((len(index_M),), -math.inf, dtype=torch.float64, device=device)
    sum_M = torch.zeros_like(largest_M)
    with torch.inference_mode():
        for start in range(0, len(z_GD), _POINTS_AT_ONCE):
            z_part = z_GD[start : start + _POINTS_AT_ONCE]
            told = None if condition is None else condition.expand(len(z_part), *condition.shape[1:])
            likelihood = cast("Likelihood", model.decode(z_part, told))
            log_mass_G = model.log_prior(z_part, told).double() + dimensions * math.log(spacing)
            for first in range(0, len(index_M), _IMAGES_AT_ONCE):
                advance(start * len(index_M) + first * len(z_part), len(z_GD) * len(index_M))
                part = slice(first, first + _IMAGES_AT_ONCE)
                joint_BG = pairwise_log_prob(likelihood, images.at(index_M[part])) + log_mass_G
                # A running log-sum-exp: the sum so far is rescaled to the new largest term.
                largest_B = torch.maximum(largest_M[part], joint_BG.amax(1))
                scale_B = torch.exp(largest_M[part] - largest_B)
                sum_M[part] = sum_M[part] * scale_B + joint_BG.sub_(largest_B[:, None]).exp_().sum(1)
                largest_M[part] = largest_B
    return largest_M + sum_M.log()
