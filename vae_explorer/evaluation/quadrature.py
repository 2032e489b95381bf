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

from vae_explorer.models.likelihoods import pairwise_log_prob

if TYPE_CHECKING:
    from torch import Tensor

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


def negative_log_likelihood(model: LatentModel, images: ScoredImages) -> QuadratureResult:
    """The exact -log p(x) of every image, in nats; the model's `latent_space` is R^1 or R^2."""
    dimensions = model.latent_space.dimensions
    assert dimensions in POINTS_A_SIDE, "quadrature is for one or two latent dimensions"
    side = POINTS_A_SIDE[dimensions]
    nll_N = -log_marginal(model, images, side)
    checked = images.first(CHECK_IMAGES)
    fine_N = -log_marginal(model, checked, 2 * side)
    difference = float((nll_N[: checked.num_images] - fine_N).mean())
    return QuadratureResult(nll_N, side, checked.num_images, difference)


def log_marginal(model: LatentModel, images: ScoredImages, points_a_side: int) -> Tensor:
    """log p(x) on a grid of so many points a side, (N,) float64 on the CPU; log-sum-exp in float64."""
    dimensions = model.latent_space.dimensions
    spacing = 2 * HALF_WIDTH / (points_a_side - 1)
    device = images.stored_NCHW.device
    line = torch.linspace(-HALF_WIDTH, HALF_WIDTH, points_a_side, device=device)
    z_GD = torch.cartesian_prod(*[line] * dimensions).view(-1, dimensions)
    largest_N = torch.full((images.num_images,), -math.inf, dtype=torch.float64, device=device)
    sum_N = torch.zeros_like(largest_N)
    with torch.inference_mode():
        for start in range(0, len(z_GD), _POINTS_AT_ONCE):
            z_part = z_GD[start : start + _POINTS_AT_ONCE]
            likelihood = cast("Likelihood", model.decode(z_part))
            log_mass_G = model.log_prior(z_part).double() + dimensions * math.log(spacing)
            for first in range(0, images.num_images, _IMAGES_AT_ONCE):
                part = slice(first, first + _IMAGES_AT_ONCE)
                x_BCHW = images.x(first, first + _IMAGES_AT_ONCE)
                joint_BG = pairwise_log_prob(likelihood, x_BCHW) + log_mass_G
                # A running log-sum-exp: the sum so far is rescaled to the new largest term.
                largest_B = torch.maximum(largest_N[part], joint_BG.amax(1))
                scale_B = torch.exp(largest_N[part] - largest_B)
                sum_N[part] = sum_N[part] * scale_B + joint_BG.sub_(largest_B[:, None]).exp_().sum(1)
                largest_N[part] = largest_B
    return (largest_N + sum_N.log()).cpu()
