"""The conditional variational autoencoder that is told the class y of a picture (Sohn, Lee & Yan 2015, eq. 4).

    L(x, y) = E_q[log p(x|z,y)] - KL(q(z|x,y) || p(z|y)) <= log p(x|y)

The class enters both bodies as a one-hot vector: beside the pixels or the latents, or as planes beside the colour
channels where the body is convolutional.

Legend: K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.models.bodies import decoder_body, encoder_body
from vae_explorer.models.gaussian import DiagonalGaussian, bounded_log_variance, standard_normal_log_prob
from vae_explorer.models.vae import VariationalAutoencoder

if TYPE_CHECKING:
    from vae_explorer.models.cvae_config import CVAEConfig
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Latents, Likelihood


class ConditionalVAE(VariationalAutoencoder):
    """q(z|x,y), p(x|z,y) and p(z|y), which is N(0, I) or a learned Gaussian for each class.

    Raises TypeError where it is not told the classes, int64 (B,).
    """

    config: CVAEConfig

    def __init__(self, config: CVAEConfig, data_space: DataSpace) -> None:
        super().__init__(config, data_space)
        self.prior_2DK: nn.Parameter | None = None
        if config.prior == "learned":
            self.prior_2DK = nn.Parameter(torch.zeros(2 * config.latent_dimensions, data_space.num_classes))

    def make_bodies(self, raw_shape: tuple[int, int, int]) -> tuple[nn.Sequential, nn.Sequential]:
        """Bodies with K inputs more than those of the VAE."""
        config, num_classes = self.config, self.data_space.num_classes
        channels, height, width = self.data_space.image_shape
        if config.body == "mlp":
            encoder = encoder_body(
                config, (self.data_space.num_pixels + num_classes, 1, 1), 2 * config.latent_dimensions
            )
        else:
            encoder = encoder_body(config, (channels + num_classes, height, width), 2 * config.latent_dimensions)
        return encoder, decoder_body(config, config.latent_dimensions + num_classes, raw_shape)

    def condition_of(self, x_BCHW: Tensor, label_B: Tensor | None) -> Tensor:
        """The classes. Raises TypeError without labels."""
        return self._told(label_B)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        """q(z|x,y) = N(m(x,y), diag s^2(x,y)), whose KL is that to p(z|y)."""
        label_B = self._told(condition)
        y_BK = self._one_hot(label_B).to(x_BCHW.dtype)
        if self.config.body == "mlp":
            told = torch.cat([x_BCHW.flatten(1), y_BK], 1)
        else:
            told = torch.cat([x_BCHW, y_BK[:, :, None, None].expand(-1, -1, *x_BCHW.shape[2:])], 1)
        mean_BD, raw_BD = self.encoder(told).chunk(2, dim=-1)
        return DiagonalGaussian(mean_BD, bounded_log_variance(raw_BD), self._prior(label_B))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Likelihood:
        """p(x|z,y)."""
        assert isinstance(z, Tensor)
        return super().decode(torch.cat([z, self._one_hot(self._told(condition)).to(z.dtype)], 1))

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log p(z|y), (B,)."""
        assert isinstance(z, Tensor)
        prior = self._prior(self._told(condition))
        return standard_normal_log_prob(z) if prior is None else prior.log_prob(z)

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Tensor:
        """(num, D) draws from p(z|y) of `num` classes, on the parameters' device."""
        noise_BD = super().sample_prior(num, generator)
        prior = self._prior(self._told(condition))
        return noise_BD if prior is None else prior.mean + prior.standard_deviation * noise_BD

    def _prior(self, label_B: Tensor) -> DiagonalGaussian | None:
        if self.prior_2DK is None:
            return None
        mean_BD, raw_BD = self.prior_2DK.T.index_select(0, label_B).chunk(2, dim=-1)
        return DiagonalGaussian(mean_BD, bounded_log_variance(raw_BD))

    def _one_hot(self, label_B: Tensor) -> Tensor:
        return functional.one_hot(label_B, self.data_space.num_classes)

    def _told(self, condition: Tensor | None) -> Tensor:
        if condition is None:
            raise TypeError("this model is told the class of every picture, and was told none")
        return condition


def build_cvae(config: CVAEConfig, data_space: DataSpace) -> ConditionalVAE:
    """The builder of the record `cvae`."""
    return ConditionalVAE(config, data_space)
