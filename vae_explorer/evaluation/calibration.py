"""How far q(z|x) is from the exact posterior p(z|x), for one or two latent dimensions; MODELS.md 6.12.

KL(q(z|x) || p(z|x)) = log p(x) - ELBO(x)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.bounds import bound_parts_of
from vae_explorer.evaluation.evaluation import Evaluation, Outcome, posterior_of
from vae_explorer.evaluation.quadrature import joint_blocks, quadrature_of
from vae_explorer.models.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from torch import Tensor

LEVEL = 0.9
POINTS_A_SIDE = {1: 8192, 2: 256}
"""Twice as fine as for the likelihood: here the mass inside one image's ellipse is asked, not a mean over images."""

_SQUARED_RADIUS = {1: 2.705543454095404, 2: -2 * math.log(1 - LEVEL)}  # of the chi-squared distribution at 0.9


def posterior_gap(evaluation: Evaluation) -> Outcome:
    """Mean KL(q(z|x) || p(z|x)): what -ELBO loses to the exact negative log-likelihood."""
    parts = bound_parts_of(evaluation)
    gap_N = parts.reconstruction_N + parts.kl_N - quadrature_of(evaluation).nll_N
    samples = evaluation.samples
    return Outcome.mean_of(gap_N, bound=f"-ELBO({samples}) less quadrature", samples=samples)


def ellipse_coverage(evaluation: Evaluation) -> Outcome:
    """Mean mass that the exact posterior has inside the ellipse in which q(z|x) has 90 %."""
    images = evaluation.images
    posterior = posterior_of(evaluation.model, images)
    assert isinstance(posterior, DiagonalGaussian), "the record says that q(z|x) is Gaussian"
    mean_ND, sigma_ND = posterior.mean, posterior.standard_deviation
    dimensions = mean_ND.shape[1]
    largest_N = torch.full((images.num_images,), -math.inf, dtype=torch.float64, device=mean_ND.device)
    inside_N, total_N = torch.zeros_like(largest_N), torch.zeros_like(largest_N)
    side = POINTS_A_SIDE[dimensions]
    for index_B, z_GD, joint_BG in joint_blocks(evaluation.model, images, side, evaluation.advance):
        is_inside_BG = _is_inside(z_GD, mean_ND[index_B], sigma_ND[index_B], _SQUARED_RADIUS[dimensions])
        before_B = largest_N[index_B]
        largest_B = torch.maximum(before_B, joint_BG.amax(1))
        scale_B = torch.exp(before_B - largest_B)
        mass_BG = joint_BG.sub_(largest_B[:, None]).exp_()
        largest_N[index_B] = largest_B
        total_N[index_B] = total_N[index_B] * scale_B + mass_BG.sum(1)
        inside_N[index_B] = inside_N[index_B] * scale_B + mass_BG.mul_(is_inside_BG).sum(1)
    detail = {"level": LEVEL, "points_a_side": side}
    return Outcome.mean_of((inside_N / total_N).cpu(), bound="quadrature", detail=detail)


def _is_inside(z_GD: Tensor, mean_BD: Tensor, sigma_BD: Tensor, squared_radius: float) -> Tensor:
    """Whether each point lies in each image's ellipse, (B, G)."""
    squared_BG = torch.zeros(len(mean_BD), len(z_GD), device=z_GD.device)
    for j in range(z_GD.shape[1]):
        squared_BG += ((z_GD[:, j] - mean_BD[:, j, None]) / sigma_BD[:, j, None]).square_()
    return squared_BG <= squared_radius
