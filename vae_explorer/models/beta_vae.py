"""The beta-VAE (Higgins et al., ICLR 2017) and its capacity form (Burgess et al., arXiv:1804.03599, eq. 8).

    loss = -E_q[log p(x|z)] + beta KL          or          -E_q[log p(x|z)] + gamma |KL - C(t)|

C(t) rises linearly from 0. The network is that of `vae`, whose objective the first form is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vae_explorer.models.vae import VariationalAutoencoder, counted_kl, gaussian_objective_of, sampled_reconstruction

if TYPE_CHECKING:
    from vae_explorer.models.beta_vae_config import BetaVAEConfig
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Batch, Objective


class CapacityVAE(VariationalAutoencoder):
    """The VAE whose KL is held at C(t); it counts the images that it was trained on, since t is their number."""

    has_effective_beta = False
    images_seen: Tensor

    def __init__(self, config: BetaVAEConfig, data_space: DataSpace) -> None:
        super().__init__(config, data_space)
        self._capacity = config.capacity
        self._ramp_images = config.capacity_ramp_images
        self._free_bits = config.free_bits
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))

    @property
    def capacity(self) -> Tensor:
        """C(t) of the coming step, 0-d, in nats."""
        return self._capacity * (self.images_seen / self._ramp_images).clamp(max=1.0)

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """reconstruction + beta |KL - C(t)|, where `beta` is the paper's gamma; t grows in training only."""
        posterior, reconstruction = sampled_reconstruction(self, batch, generator)
        kl_D = posterior.kl_per_dimension().mean(0)
        loss = reconstruction + beta * (counted_kl(kl_D, self._free_bits) - self.capacity).abs()
        if self.training:
            self.images_seen.add_(len(batch.x_BCHW))
        return gaussian_objective_of(loss, reconstruction, kl_D, posterior)


def build_beta_vae(config: BetaVAEConfig, data_space: DataSpace) -> VariationalAutoencoder:
    """The builder of the record `beta-vae`."""
    return (CapacityVAE if config.kl_form == "capacity" else VariationalAutoencoder)(config, data_space)
