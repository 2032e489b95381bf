"""The beta-TC-VAE (Chen, Li, Grosse, Duvenaud, arXiv:1802.04942, eq. 4).

    loss = -E_q[log p(x|z)] + alpha I(x;z) + beta KL(q(z) || prod_j q(z_j)) + gamma sum_j KL(q(z_j) || p(z_j))

In training q(z) and q(z_j) are estimated from the batch by minibatch-weighted sampling (section 4.1): with N images in
all and B in the batch, log q(z) ~ log sum_b q(z|x_b) - log(N B). That is biased, but its gradient is cheap; what is
reported comes from all pairs of the held-out images (`aggregate_posterior`). The network is that of `vae`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vae_explorer.models.gaussian import DiagonalGaussian, log_normal, standard_normal_log_prob
from vae_explorer.models.vae import VariationalAutoencoder, gaussian_objective_of

if TYPE_CHECKING:
    from vae_explorer.models.beta_tcvae_config import BetaTCVAEConfig
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Batch, Objective


class KLParts(NamedTuple):
    """The three parts of the KL, 0-d each, in nats; differentiable."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def minibatch_kl_parts(posterior: DiagonalGaussian, z_BD: Tensor, num_items: int) -> KLParts:
    """The parts at one draw of each posterior, by minibatch-weighted sampling for `num_items` images in all."""
    pair_BBD = log_normal(z_BD[:, None], posterior.mean, posterior.log_variance)
    log_norm = math.log(num_items * len(z_BD))
    joint_B = torch.logsumexp(pair_BBD.sum(-1), 1) - log_norm
    marginals_B = (torch.logsumexp(pair_BBD, 1) - log_norm).sum(-1)
    return KLParts(
        (posterior.log_prob(z_BD) - joint_B).mean(),
        (joint_B - marginals_B).mean(),
        (marginals_B - standard_normal_log_prob(z_BD)).mean(),
    )


class BetaTCVAE(VariationalAutoencoder):
    """The VAE's network under the objective above; N is the data space's `num_items`."""

    has_effective_beta = False

    def __init__(self, config: BetaTCVAEConfig, data_space: DataSpace) -> None:
        super().__init__(config, data_space)
        self._alpha, self._gamma = config.alpha, config.gamma

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The loss above at one draw an image; `beta` weighs the total correlation."""
        posterior = self.encode(batch.x_BCHW)
        z_BD = posterior.sample(generator)
        reconstruction = self.reconstruction_at(z_BD, batch)
        parts = minibatch_kl_parts(posterior, z_BD, max(self.data_space.num_items, len(z_BD)))
        loss = (
            reconstruction
            + self._alpha * parts.mutual_information
            + beta * parts.total_correlation
            + self._gamma * parts.dimension_wise_kl
        )
        return gaussian_objective_of(loss, reconstruction, posterior.kl_per_dimension().mean(0), posterior)


def build_beta_tcvae(config: BetaTCVAEConfig, data_space: DataSpace) -> BetaTCVAE:
    """The builder of the record `beta-tcvae`."""
    return BetaTCVAE(config, data_space)
