"""The aggregate posterior q(z) = 1/M sum_n q(z|x_n), and what it says of the KL.

    mean KL(q(z|x) || p(z)) = I(x;z) + KL(q(z) || p(z))          (Hoffman, Johnson: ELBO surgery, 2016; MODELS.md 5.9)

Legend: P points, M anchors, D latent dimensions. Numbers are nats; sums of exponentials are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.pacing import finished, in_steps
from vae_explorer.models.aggregate_posterior import MOST_ROWS, PosteriorMixture
from vae_explorer.models.gaussian import LOG_TWO_PI

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Within this of ln M the estimator of I says no more than "at least".
NEAR_CEILING = 0.1
_DRAW_SEED = 0
NUM_QUERIES = 2000
"""Draws of q(z|x) from which I(x;z) is averaged; of the mixture nothing is left out."""


def diagonal_mixture(mean_MD: Floats, sigma_MD: Floats) -> PosteriorMixture:
    """Parts N(mean, diag sigma^2)."""
    return PosteriorMixture.diagonal(_tensor(mean_MD), _tensor(sigma_MD))


def planar_mixture(mean_M2: Floats, covariance_M22: Floats) -> PosteriorMixture:
    """Parts N(mean, covariance) in the map plane."""
    mean = np.asarray(mean_M2, dtype=np.float64)
    covariance = np.asarray(covariance_M22, dtype=np.float64)
    a, b, d = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    # A direction that the view does not see has no spread; a hair's breadth keeps the density finite.
    determinant = np.maximum(a * d - b * b, 1e-12 * np.maximum(a * d, 1e-24))
    precision_3M = np.stack([d, -b, a]) / determinant
    linear_2M = np.stack(
        [precision_3M[0] * mean[:, 0] + precision_3M[1] * mean[:, 1],
         precision_3M[1] * mean[:, 0] + precision_3M[2] * mean[:, 1]]
    )  # fmt: skip
    square = (linear_2M * mean.T).sum(axis=0)
    coefficient_FM = np.concatenate([-0.5 * precision_3M[[0, 2]], linear_2M, -precision_3M[[1]]])
    constant_M = -0.5 * (square + np.log(determinant) + 2 * LOG_TWO_PI)
    return PosteriorMixture(_tensor(coefficient_FM), _tensor(constant_M), has_product=True)


def log_density(mixture: PosteriorMixture, z_PD: Floats) -> Float64:
    """log of the mixture's density, (P,)."""
    return finished(log_density_in_steps(mixture, z_PD))


def log_density_in_steps(mixture: PosteriorMixture, z_PD: Floats) -> Generator[None, None, Float64]:
    """`log_density` of many points in short steps; the generator's return value."""
    values_P = np.empty(len(z_PD))
    block = mixture.block(len(z_PD))

    def evaluate(part: slice) -> None:
        values_P[part] = mixture.log_density_of_rows(_tensor(z_PD[part]), block).numpy()

    yield from in_steps(len(z_PD), evaluate, most=MOST_ROWS)
    return values_P


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Surgery:
    """The mean KL and its two parts, in nats per image, of a mixture of `num_images` posteriors.

    `kl` is in closed form, `mutual_information` from one draw of each of `num_queries` images, with the standard error
    `error`, and `mismatch` = KL(q(z) || p(z)) what is left. `ceiling` = ln N: the estimator of I(x;z) cannot exceed it.
    """

    kl: float
    mutual_information: float
    mismatch: float
    ceiling: float
    num_images: int
    num_queries: int
    error: float = 0.0

    @property
    def is_at_ceiling(self) -> bool:
        """Whether I(x;z) is so near ln N that it is a lower bound only, and the mismatch an upper one."""
        return self.mutual_information > self.ceiling - NEAR_CEILING


def surgery(mean_ND: Floats, sigma_ND: Floats, num_queries: int = NUM_QUERIES) -> Generator[None, None, Surgery]:
    """I(x;z) and KL(q(z) || N(0, I)) of the mixture of N posteriors, in short steps; the generator's return value.

    I = mean_n [log q(z_n|x_n) - log q(z_n)], z_n drawn from q(z|x_n) with a fixed seed, for images chosen at random.
    Queries may be few, the mixture may not: from M of the posteriors no more than ln M could be found (MODELS.md 6.5).

    Raises:
        UserError: there is no image with a finite posterior.
    """
    mean, sigma = finite_posteriors(mean_ND, sigma_ND)
    num, dimensions = mean.shape
    # At random: evenly by number they could fall in step with the order of the data set.
    chosen_Q = np.arange(num)
    if num > num_queries:
        chosen_Q = np.sort(np.random.RandomState(_DRAW_SEED).permutation(num)[:num_queries])
    noise_QD = np.random.RandomState(_DRAW_SEED).standard_normal((len(chosen_Q), dimensions))
    own_Q = -0.5 * (noise_QD**2 + LOG_TWO_PI).sum(axis=1) - np.log(sigma[chosen_Q]).sum(axis=1)
    log_aggregate_Q = yield from log_density_in_steps(
        diagonal_mixture(mean, sigma), mean[chosen_Q] + sigma[chosen_Q] * noise_QD
    )
    difference_Q = own_Q - log_aggregate_Q
    # Below zero and above the ceiling are noise of the draw.
    information = min(max(float(difference_Q.mean()), 0.0), math.log(num))
    variance = sigma**2
    kl = float(0.5 * (mean**2 + variance - 1.0 - np.log(variance)).sum(axis=1).mean())
    error = float(difference_Q.std() / math.sqrt(len(chosen_Q)))
    return Surgery(kl, information, kl - information, math.log(num), num, len(chosen_Q), error)


def finite_posteriors(mean_MD: Floats, sigma_MD: Floats) -> tuple[Float64, Float64]:
    """The posteriors whose mean and sigma are finite, as float64. Raises UserError where there is none."""
    held_M = np.isfinite(mean_MD).all(axis=1) & np.isfinite(sigma_MD).all(axis=1)
    if not held_M.any():
        raise UserError("The posteriors of this state are not finite.", "Look at an earlier state of the run.")
    return np.asarray(mean_MD, dtype=np.float64)[held_M], np.asarray(sigma_MD, dtype=np.float64)[held_M]
