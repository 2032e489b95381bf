"""The aggregate posterior q(z) = 1/N sum_n q(z|x_n), and what it says of the KL.

    mean KL(q(z|x) || p(z)) = I(x;z) + KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))

Mutual information, total correlation and dimension-wise KL (Chen et al., arXiv:1802.04942, eq. 2; the last two together
are the KL of q(z) from the prior in Hoffman & Johnson, ELBO surgery, 2016; MODELS.md 5.9 and 6.5).

Legend: Q queries, N parts of a mixture (images), D latent dimensions, F features. Numbers are nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_explorer.models.gaussian import LOG_TWO_PI, standard_normal_log_prob

MOST_ROWS, _PARTS_AT_ONCE = 64, 4096
"""Queries and parts in one block: 64 rows of 4,096 parts are 2 MB, which stay in the cache."""
_MOST_PAIRS = 10_000_000
_LEAST_QUERIES = 32
# exp(-60) of the largest part is nothing in float64, and exp of much less takes many times longer.
_NOTHING = -60.0


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorMixture:
    """Equal parts of N Gaussians, in the form in which all pairs of points and parts are one matrix product.

    log N_n(z) = features(z) . coefficient_FN + constant_N, where the features are the squares and the coordinates, and
    where `has_product` also the product of both coordinates of a plane. All in float64; the product of matrices costs
    about (|z| / sigma)^2 1e-16 nats of each number.
    """

    coefficient_FN: Tensor
    constant_N: Tensor
    has_product: bool = False

    @classmethod
    def diagonal(cls, mean_ND: Tensor, sigma_ND: Tensor) -> PosteriorMixture:
        """Parts N(mean, diag sigma^2), on the device of the mean."""
        mean, precision = mean_ND.double(), sigma_ND.double().pow(-2)
        coefficient_FN = torch.cat([-0.5 * precision, mean * precision], dim=1).T.contiguous()
        constant_N = -0.5 * (mean.square() * precision - precision.log() + LOG_TWO_PI).sum(1)
        return cls(coefficient_FN, constant_N)

    def log_density(self, z_QD: Tensor) -> Tensor:
        """log of the mixture's density, (Q,) float64."""
        z_QD = z_QD.double()
        block = self.block(len(z_QD))
        rows = [self.log_density_of_rows(z_BD, block) for z_BD in z_QD.split(MOST_ROWS)]
        return torch.cat(rows) if rows else z_QD.new_empty(0)

    def block(self, num_queries: int) -> Tensor:
        """Memory for `log_density_of_rows`; fresh memory for each call would cost more than the sums."""
        num = min(num_queries, MOST_ROWS) * min(len(self.constant_N), _PARTS_AT_ONCE)
        return torch.empty(num, dtype=torch.float64, device=self.constant_N.device)

    @torch.no_grad()
    def log_density_of_rows(self, z_BD: Tensor, block: Tensor) -> Tensor:
        """`log_density` of at most `MOST_ROWS` float64 points, and no more than the block was made for."""
        features = [z_BD.square(), z_BD]
        if self.has_product:
            features.append(z_BD.prod(dim=1, keepdim=True))
        features_BF = torch.cat(features, dim=1)
        num, num_parts = len(z_BD), len(self.constant_N)
        largest_B1 = z_BD.new_full((num, 1), -math.inf)
        sum_B = z_BD.new_zeros(num)
        for start in range(0, num_parts, _PARTS_AT_ONCE):
            some = slice(start, min(start + _PARTS_AT_ONCE, num_parts))
            width = some.stop - some.start
            log_BN = block[: num * width].view(num, width)
            torch.addmm(self.constant_N[some], features_BF, self.coefficient_FN[:, some], out=log_BN)
            # A running log-sum-exp: the sum so far is rescaled to the new largest part.
            before_B1, largest_B1 = largest_B1, torch.maximum(largest_B1, log_BN.amax(1, keepdim=True))
            log_BN.sub_(largest_B1).clamp_min_(_NOTHING)
            sum_B = sum_B * (before_B1 - largest_B1).exp()[:, 0] + log_BN.exp_().sum(1)
        return sum_B.log_() + largest_B1[:, 0] - math.log(num_parts)


@dataclass(frozen=True, slots=True, eq=False)
class KLDecomposition:
    """The parts of the KL at one draw z_n ~ q(z|x_n) of each of Q images, float64 on the CPU, in nats.

    On every draw they add up to log q(z_n|x_n) - log p(z_n), whose mean is the KL. The mean of `mutual_information_Q`
    cannot exceed `ceiling` = ln N, however much the codes tell.
    """

    mutual_information_Q: Tensor  # log q(z|x) - log q(z)
    total_correlation_Q: Tensor  # log q(z) - sum_j log q(z_j)
    marginal_kl_QD: Tensor  # log q(z_j) - log p(z_j); the sum over j is the dimension-wise KL
    num_images: int

    @property
    def ceiling(self) -> float:
        """ln N, in nats."""
        return math.log(self.num_images)

    def means(self) -> dict[str, float]:
        """The three means by the names of `record.DECOMPOSITION_TERMS`."""
        return {
            "mutual_information": float(self.mutual_information_Q.mean()),
            "total_correlation": float(self.total_correlation_Q.mean()),
            "dimension_wise_kl": float(self.marginal_kl_QD.sum(1).mean()),
        }


@torch.no_grad()
def decompose_kl(
    mean_ND: Tensor,
    sigma_ND: Tensor,
    *,
    num_queries: int | None = None,
    seed: int = 0,
    advance: Callable[[int, int], None] | None = None,
) -> KLDecomposition:
    """The KL of diagonal Gaussian posteriors from N(0, I) in its three parts, by all pairs of queries and images.

    The queries are chosen at random among the images, the mixture is always whole. Without a number there are as many
    as about 50 ms allow on one core, at least 32; choice and draws depend on the seed alone. `advance` is told how many
    queries are done, of how many.
    """
    device = torch.device("cpu") if mean_ND.device.type == "mps" else mean_ND.device  # which has no float64
    mean_ND, sigma_ND = mean_ND.to(device).double(), sigma_ND.to(device).double()
    num, dimensions = mean_ND.shape
    affordable = max(_LEAST_QUERIES, _MOST_PAIRS // (num * (dimensions + 1)))
    num_queries = min(num, num_queries or affordable)
    generator = torch.Generator().manual_seed(seed)
    noise_QD = torch.randn(num_queries, dimensions, generator=generator, dtype=torch.float64).to(device)
    every_image = torch.arange(num)
    query_Q = (every_image if num_queries == num else torch.randperm(num, generator=generator)[:num_queries]).to(device)
    z_QD = mean_ND[query_Q] + sigma_ND[query_Q] * noise_QD
    conditional_Q = standard_normal_log_prob(noise_QD) - sigma_ND[query_Q].log().sum(1)
    mixture, marginals = PosteriorMixture.diagonal(mean_ND, sigma_ND), _Marginals(mean_ND, sigma_ND)
    block = mixture.block(num_queries)
    joint, marginal = [], []
    for start in range(0, num_queries, MOST_ROWS):
        if advance is not None:
            advance(start, num_queries)
        z_BD = z_QD[start : start + MOST_ROWS]
        joint.append(mixture.log_density_of_rows(z_BD, block))
        marginal.append(marginals.log_density(z_BD))
    if advance is not None:
        advance(num_queries, num_queries)
    joint_Q, marginal_QD = torch.cat(joint), torch.cat(marginal)
    log_prior_QD = -0.5 * (z_QD.square() + LOG_TWO_PI)
    return KLDecomposition(
        (conditional_Q - joint_Q).cpu(),
        (joint_Q - marginal_QD.sum(1)).cpu(),
        (marginal_QD - log_prior_QD).cpu(),
        num,
    )


class _Marginals:
    """q(z_j) of every dimension.

    They need an exponential for each pair and dimension, so these are in float32: among the terms of each sum is the
    draw's own part, so that it neither vanishes nor loses digits that matter.
    """

    def __init__(self, mean_ND: Tensor, sigma_ND: Tensor) -> None:
        self._mean_DN = mean_ND.T.float().contiguous()
        self._scale_DN = (1 / (sigma_ND.T * math.sqrt(2))).float().contiguous()
        self._height_DN = (1 / sigma_ND.T).float().contiguous()

    def log_density(self, z_BD: Tensor) -> Tensor:
        """log q(z_j), (B, D) float64."""
        columns = []
        for mean_N, scale_N, height_N, z_B in zip(
            self._mean_DN, self._scale_DN, self._height_DN, z_BD.T.float(), strict=True
        ):
            distance_BN = (z_B[:, None] - mean_N).mul_(scale_N)
            columns.append(distance_BN.square_().neg_().exp_() @ height_N)
        num = self._mean_DN.shape[1]
        return torch.stack(columns, 1).double().log_() - math.log(num) - 0.5 * LOG_TWO_PI
