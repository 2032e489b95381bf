"""What the aggregate posterior q(z) = 1/N sum_n q(z|x_n) says of the KL; MODELS.md 5.9 and 6.5.

    mean KL(q(z|x) || p(z)) = I(x;z) + KL(q(z) || p(z))                        Hoffman & Johnson: ELBO surgery, 2016
    KL(q(z) || p(z)) = KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))  Chen et al., arXiv:1802.04942

Legend: N images, D latent dimensions. Densities are those of all N posteriors at one draw from
each: the queries could be fewer, the mixture never, since a part of it is another density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_explorer.evaluation.evaluation import Advance, Evaluation, Outcome, no_report, rounded
from vae_explorer.models.aggregate_posterior import decompose_kl
from vae_explorer.models.gaussian import kl_from_standard_normal

if TYPE_CHECKING:
    from torch import Tensor

NEAR_CEILING = 0.1
"""Within this of ln N the estimate of I(x;z) says no more than "at least"."""


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
    return Outcome.mean_of(marginal_N, samples=1, detail=detail)


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
    parts = decompose_kl(mean_ND, sigma_ND, num_queries=len(mean_ND), seed=seed, advance=advance)
    return Decomposition(
        kl_N=kl_from_standard_normal(mean_ND, 2 * sigma_ND.log()).sum(1),
        information_N=parts.mutual_information_Q,
        correlation_N=parts.total_correlation_Q,
        marginal_ND=parts.marginal_kl_QD,
    )
