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
from vae_explorer.models.gaussian import LOG_TWO_PI

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Within this of ln M the estimator of I says no more than "at least".
NEAR_CEILING = 0.1
_DRAW_SEED = 0
# 64 rows of 4,096 parts are 2 MB: they stay in the cache.
_MOST_ROWS, _PARTS_AT_ONCE = 64, 4096
NUM_QUERIES = 2000
"""Draws of q(z|x) from which I(x;z) is averaged; of the mixture nothing is left out."""
# exp(-60) of the largest part is nothing in float64, and exp of much less takes many times longer.
_NOTHING = -60.0


@dataclass(frozen=True, slots=True, eq=False)
class GaussianMixture:
    """Equal parts of M Gaussians, in the form in which all pairs of points and parts are one matrix product.

    log N_m(z) = features(z) . coefficient_FM + constant_M, where the features are the squares and the coordinates, and
    in a plane also the product of both.
    """

    coefficient_FM: torch.Tensor
    constant_M: torch.Tensor
    has_product: bool

    @classmethod
    def diagonal(cls, mean_MD: Floats, sigma_MD: Floats) -> GaussianMixture:
        """Parts N(mean, diag sigma^2)."""
        mean = torch.from_numpy(np.array(mean_MD, dtype=np.float64))
        precision = torch.from_numpy(np.array(sigma_MD, dtype=np.float64)).pow(-2)
        coefficient_FM = torch.cat([-0.5 * precision, mean * precision], dim=1).T.contiguous()
        constant_M = -0.5 * (mean.square() * precision - precision.log() + LOG_TWO_PI).sum(1)
        return cls(coefficient_FM, constant_M, False)

    @classmethod
    def planar(cls, mean_M2: Floats, covariance_M22: Floats) -> GaussianMixture:
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
        return cls(torch.from_numpy(coefficient_FM), torch.from_numpy(constant_M), True)

    def log_density(self, z_PD: Floats) -> Float64:
        """log of the mixture's density, (P,)."""
        return finished(self.log_density_in_steps(z_PD))

    def log_density_in_steps(self, z_PD: Floats) -> Generator[None, None, Float64]:
        """`log_density` of many points in short steps; the generator's return value."""
        num_parts = len(self.constant_M)
        values_P = np.empty(len(z_PD))
        # One block for all steps: fresh memory for each would cost more than the sums.
        block_BM = torch.empty(min(len(z_PD), _MOST_ROWS) * min(num_parts, _PARTS_AT_ONCE), dtype=torch.float64)

        @torch.no_grad()
        def evaluate(part: slice) -> None:
            z = torch.from_numpy(np.array(z_PD[part], dtype=np.float64))
            features = [z.square(), z]
            if self.has_product:
                features.append(z.prod(dim=1, keepdim=True))
            features_BF = torch.cat(features, dim=1)
            largest_B1 = torch.full((len(z), 1), -math.inf, dtype=torch.float64)
            sum_B = torch.zeros(len(z), dtype=torch.float64)
            for start in range(0, num_parts, _PARTS_AT_ONCE):
                some = slice(start, min(start + _PARTS_AT_ONCE, num_parts))
                width = some.stop - some.start
                log_BM = block_BM[: len(z) * width].view(len(z), width)
                torch.addmm(self.constant_M[some], features_BF, self.coefficient_FM[:, some], out=log_BM)
                before_B1, largest_B1 = largest_B1, torch.maximum(largest_B1, log_BM.amax(1, keepdim=True))
                log_BM.sub_(largest_B1).clamp_min_(_NOTHING)
                sum_B = sum_B * (before_B1 - largest_B1).exp()[:, 0] + log_BM.exp_().sum(1)
            values_P[part] = (sum_B.log_() + largest_B1[:, 0]).numpy()

        yield from in_steps(len(z_PD), evaluate, most=_MOST_ROWS)
        return values_P - math.log(num_parts)


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
    mixture = GaussianMixture.diagonal(mean, sigma)
    log_aggregate_Q = yield from mixture.log_density_in_steps(mean[chosen_Q] + sigma[chosen_Q] * noise_QD)
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
