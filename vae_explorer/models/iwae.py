"""The importance weighted autoencoder (Burda, Grosse, Salakhutdinov, arXiv:1509.00519, eq. 8).

    L_k(x) = E[ log 1/k sum_i w_i ],    w_i = p(x|z_i) p(z_i) / q(z_i|x),    z_i ~ q(z|x)

L_1 is the ELBO, L_k never falls with k and never exceeds log p(x). The network is that of `vae`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.vae import VariationalAutoencoder, gaussian_objective_of

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Batch, Objective
    from vae_explorer.models.iwae_config import IWAEConfig

_ROWS_AT_ONCE = 8192
"""Latents decoded together where no gradient needs all of them."""


class ImportanceWeightedAutoencoder(VariationalAutoencoder):
    """The VAE's network; S = k importance samples an image."""

    has_effective_beta = False

    def __init__(self, config: IWAEConfig, data_space: DataSpace) -> None:
        super().__init__(config, data_space)
        self.importance_samples = config.importance_samples

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """-log mean w by log-sum-exp, beside the ELBO at the same draws and at beta 1."""
        posterior = self.encode(batch.x_BCHW)
        log_likelihood_SB, log_ratio_SB = self.log_weight_parts(posterior, batch.x_BCHW, generator)
        kl_D = posterior.kl_per_dimension().mean(0)
        return gaussian_objective_of(
            -_log_mean_exp(log_likelihood_SB + beta * log_ratio_SB).mean(),
            -log_likelihood_SB.mean(),
            kl_D,
            posterior,
            {"iwae": _log_mean_exp(log_likelihood_SB + log_ratio_SB).mean().detach()},
        )

    def log_weight_parts(
        self, posterior: DiagonalGaussian, x_BCHW: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """log p(x|z) and log p(z) - log q(z|x) at S draws an image, both (S, B), in nats."""
        samples, batch_size = self.importance_samples, len(x_BCHW)
        many = DiagonalGaussian(posterior.mean.expand(samples, -1, -1), posterior.log_variance.expand(samples, -1, -1))
        z_SBD = many.sample(generator)
        log_ratio_SB = self.log_prior(z_SBD) - many.log_prob(z_SBD)
        at_once = samples if torch.is_grad_enabled() else max(1, _ROWS_AT_ONCE // batch_size)
        found = []
        for z_PBD in z_SBD.split(at_once):
            x_repeated = x_BCHW.repeat(len(z_PBD), 1, 1, 1)
            decoded = self.decode(z_PBD.flatten(0, 1))
            if self.training:
                self.observation.observe(x_repeated, decoded)
            found.append(decoded.log_prob(x_repeated).unflatten(0, (-1, batch_size)))
        return torch.cat(found), log_ratio_SB


def _log_mean_exp(log_weight_SB: Tensor) -> Tensor:
    return torch.logsumexp(log_weight_SB, 0) - math.log(len(log_weight_SB))


def build_iwae(config: IWAEConfig, data_space: DataSpace) -> ImportanceWeightedAutoencoder:
    """The builder of the record `iwae`."""
    return ImportanceWeightedAutoencoder(config, data_space)
