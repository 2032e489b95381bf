"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) says of the KL; MODELS.md 5.9 and 6.5.

    mean KL(q(z|x) || p(z)) = I(x;z) + KL(q(z) || p(z))                        Hoffman & Johnson: ELBO surgery, 2016
    KL(q(z) || p(z)) = KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))  Chen et al., arXiv:1802.04942

Legend: N images, B of them at a time, D latent dimensions. Densities are those of all N posteriors at one draw from
each: the queries could be fewer, the mixture never, since a part of it is another density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Advance, Evaluation, Outcome, no_report, rounded
from vae_explorer.models.gaussian import LOG_TWO_PI, kl_from_standard_normal

if TYPE_CHECKING:
    from torch import Tensor

NEAR_CEILING = 0.1
"""Within this of ln N the estimate of I(x;z) says no more than "at least"."""

_QUERIES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """The parts of the KL to N(0, I), one number an image, (N,) float64 in nats; their means are the estimates.

    `kl_N` is in closed form; the others are from one draw z_n ~ q(z|x_n): log q(z_n|x_n) - log q(z_n), log q(z_n) -
    sum_j log q(z_nj), and log q(z_nj) - log p(z_nj) of each dimension.
    """

    kl_N: Tensor
    information_N: Tensor
    correlation_N: Tensor
    marginal_ND: Tensor

    @property
    def ceiling(self) -> float:
        """ln N, which the estimate of I(x;z) cannot exceed."""
        return math.log(len(self.kl_N))

    @property
    def is_at_ceiling(self) -> bool:
        """Whether I(x;z) is a lower bound only, and the mismatch an upper one."""
        return float(self.information_N.mean()) > self.ceiling - NEAR_CEILING


def mutual_information(evaluation: Evaluation) -> Outcome:
    """I(x;z) under q; saturates at ln N."""
    parts = _decomposition(evaluation)
    return Outcome.mean_of(parts.information_N, samples=1, detail=_ceiling(parts))


def marginal_kl(evaluation: Evaluation) -> Outcome:
    """KL(q(z) || p(z)): the closed KL less I(x;z)."""
    parts = _decomposition(evaluation)
    return Outcome.mean_of(parts.kl_N - parts.information_N, samples=1, detail=_ceiling(parts))


def total_correlation(evaluation: Evaluation) -> Outcome:
    """KL(q(z) || prod_j q(z_j))."""
    parts = _decomposition(evaluation)
    return Outcome.mean_of(parts.correlation_N, samples=1, detail=_ceiling(parts))


def dimension_wise_kl(evaluation: Evaluation) -> Outcome:
    """sum_j KL(q(z_j) || p(z_j)), that of each dimension, and what the three parts leave of the closed KL."""
    parts = _decomposition(evaluation)
    marginal_N = parts.marginal_ND.sum(1)
    rest_N = parts.kl_N - parts.information_N - parts.correlation_N - marginal_N
    detail = {"per_dimension": rounded(parts.marginal_ND.mean(0)), "noise_of_the_draw": float(rest_N.mean())}
    return Outcome.mean_of(marginal_N, samples=1, detail=detail | _ceiling(parts))


def _ceiling(parts: Decomposition) -> dict[str, object]:
    return {"ceiling": parts.ceiling, "is_at_ceiling": parts.is_at_ceiling}


def _decomposition(evaluation: Evaluation) -> Decomposition:
    mean_ND, sigma_ND = evaluation.posteriors()
    assert sigma_ND is not None, "the record says that q(z|x) is Gaussian"
    return evaluation.shared(
        "decomposition", lambda: decomposition(mean_ND, sigma_ND, evaluation.seed, evaluation.advance)
    )


def decomposition(mean_ND: Tensor, sigma_ND: Tensor, seed: int = 0, advance: Advance = no_report) -> Decomposition:
    """The parts of the KL of N Gaussian posteriors, float64 on the CPU, over all N x N pairs."""
    num, dimensions = mean_ND.shape
    generator = torch.Generator().manual_seed(seed)
    noise_ND = torch.randn(num, dimensions, dtype=torch.float64, generator=generator)
    z_ND = mean_ND + sigma_ND * noise_ND
    own_N = -0.5 * (noise_ND.square() + LOG_TWO_PI).sum(1) - sigma_ND.log().sum(1)
    joint_N, marginal_ND = _log_densities(z_ND, mean_ND, sigma_ND, advance)
    return Decomposition(
        kl_N=kl_from_standard_normal(mean_ND, 2 * sigma_ND.log()).sum(1),
        information_N=own_N - joint_N,
        correlation_N=joint_N - marginal_ND.sum(1),
        marginal_ND=marginal_ND + 0.5 * (z_ND.square() + LOG_TWO_PI),
    )


def _log_densities(z_ND: Tensor, mean_ND: Tensor, sigma_ND: Tensor, advance: Advance) -> tuple[Tensor, Tensor]:
    """log q(z_n), (N,), and log q(z_nj), (N, D).

    The joint density is a matrix product of squares and coordinates in float64. The marginals need an exponential for
    each pair and dimension, so they are in float32; the draw's own part is always among the terms of its sum, so that
    it neither vanishes nor loses digits that matter.
    """
    num, dimensions = mean_ND.shape
    precision_ND = sigma_ND.pow(-2)
    coefficient_FN = torch.cat([-0.5 * precision_ND, mean_ND * precision_ND], dim=1).T.contiguous()
    constant_N = -0.5 * (mean_ND.square() * precision_ND + LOG_TWO_PI).sum(1) - sigma_ND.log().sum(1)
    mean_DN, scale_DN = mean_ND.T.float().contiguous(), (1 / (sigma_ND.T * math.sqrt(2))).float().contiguous()
    height_DN = (1 / sigma_ND.T).float().contiguous()
    z_DN = z_ND.T.float().contiguous()
    joint_N, marginal_DN = torch.empty(num, dtype=torch.float64), torch.empty(dimensions, num)
    for start in range(0, num, _QUERIES_AT_ONCE):
        advance(start, num)
        part = slice(start, start + _QUERIES_AT_ONCE)
        z_BD = z_ND[part]
        log_BN = torch.addmm(constant_N, torch.cat([z_BD.square(), z_BD], dim=1), coefficient_FN)
        joint_N[part] = torch.logsumexp(log_BN, 1)
        for j in range(dimensions):
            distance_BN = (z_DN[j, part, None] - mean_DN[j]).mul_(scale_DN[j])
            marginal_DN[j, part] = distance_BN.square_().neg_().exp_() @ height_DN[j]
    advance(num, num)
    return joint_N - math.log(num), marginal_DN.double().log_().T - math.log(num) - 0.5 * LOG_TWO_PI
