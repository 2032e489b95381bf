"""A convolutional VAE of the usual small size, so that the map is measured with a decoder that is not an MLP."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_explorer.config import setting
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian, bounded_log_variance
from vae_explorer.models.likelihoods import Bernoulli
from vae_explorer.models.record import ModelRecord
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig


@dataclass(frozen=True)
class ConvolutionalConfig(VAEConfig):
    """The settings of the VAE; the widths are not used."""

    channels: int = setting(32, label="Channels", help="Channels of the finest convolution", minimum=8, maximum=256)


class ConvolutionalVAE(VariationalAutoencoder):
    """28 x 28 pictures through strides of two to 7 x 7 and back."""

    def __init__(self, config: ConvolutionalConfig, data_space: DataSpace) -> None:
        super().__init__(config, data_space)
        image_shape = data_space.image_shape
        channels, colours = config.channels, image_shape[0]
        bottom = (2 * channels, image_shape[1] // 4, image_shape[2] // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(colours, channels, 4, 2, 1), nn.ReLU(), nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(math.prod(bottom), 2 * config.latent_dimensions),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_dimensions, math.prod(bottom)), nn.ReLU(), nn.Unflatten(1, bottom),
            nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(channels, colours, 4, 2, 1),
        )  # fmt: skip

    def start_from(self, mean_CHW: Tensor) -> None:
        """Its last bias is one number a colour and says nothing about places."""

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        del condition
        mean_BD, raw_BD = self.encoder(x_BCHW).float().chunk(2, dim=-1)
        return DiagonalGaussian(mean_BD, bounded_log_variance(raw_BD))

    def decode(self, z: Tensor | tuple[Tensor, ...], condition: Tensor | None = None) -> Bernoulli:
        del condition
        assert isinstance(z, torch.Tensor)
        return Bernoulli(self.decoder(z).float())


def register_convolutional() -> None:
    """Make the model known under the name `convolutional`."""
    vae = MODELS["vae"]
    record = ModelRecord(
        name="convolutional", title="Convolutional VAE", summary="For benchmarks.", reference="benchmarks",
        config_type=ConvolutionalConfig, terms=vae.terms, has_likelihood=True, has_prior=True, has_codes=True,
        builder=lambda: ConvolutionalVAE, map_note=vae.map_note,
    )  # fmt: skip
    MODELS.add(record)
