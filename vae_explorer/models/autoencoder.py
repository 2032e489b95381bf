"""The autoencoder: x^ = f(g(x)), trained on the error between x and x^; and the linear one.

No prior, no posterior, no likelihood: a code is a point on a scale of its own, and the error of a picture is no NLL.
Error and terms are sums over pixels averaged over images. The linear one, x^ = W2 (W1 x + b1) + b2, has its minimum on
the plane of PCA (Bourlard & Kamp 1988), with axes of any scale and angle.

Legend: B batch, C channels, H height, W width, D latent dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.errors import SettingError
from vae_explorer.models.bodies import decoder_body, encoder_body
from vae_explorer.models.body_config import BodyConfig
from vae_explorer.models.deterministic import Picture, PointCode
from vae_explorer.models.interface import Batch, LatentModel, Latents, LatentSpace, Objective
from vae_explorer.models.networks import full_precision

if TYPE_CHECKING:
    from vae_explorer.models.autoencoder_config import AutoencoderConfig, LinearAutoencoderConfig
    from vae_explorer.models.data_space import DataSpace


class Autoencoder(LatentModel):
    """An encoder to points and a decoder to pictures.

    `is_bounded`: the output goes through a sigmoid, as it does for pictures; a linear output may leave [0, 1].
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent_dimensions: int, error: str, *, is_bounded: bool
    ) -> None:
        super().__init__()
        self.latent_space = LatentSpace("euclidean", (latent_dimensions,))
        self.encoder, self.decoder = encoder, decoder
        self.error, self.is_bounded = error, is_bounded

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> PointCode:
        """The code g(x), (B, D)."""
        return PointCode(self.encoder(x_BCHW))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Picture:
        """The picture f(z)."""
        return Picture(self._picture(self._raw(z)))

    def error_of(self, raw_BCHW: Tensor, x_BCHW: Tensor) -> Tensor:
        """What is minimised, pixel by pixel: squared error, or cross-entropy from logits."""
        if self.error == "squared":
            return (self._picture(raw_BCHW) - x_BCHW).square()
        return functional.binary_cross_entropy_with_logits(raw_BCHW, x_BCHW, reduction="none")

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The error of the batch; `beta` has nothing to weigh and nothing is drawn."""
        codes_BD = self.encoder(batch.x_BCHW)
        raw_BCHW = self._raw(codes_BD)
        loss = per_image(self.error_of(raw_BCHW, batch.x_BCHW))
        squared = loss.detach() if self.error == "squared" else self.squared_error(raw_BCHW, batch.x_BCHW)
        return Objective(loss=loss, terms={"squared_error": squared}, codes_BD=codes_BD.detach())

    @torch.no_grad()
    def squared_error(self, raw_BCHW: Tensor, x_BCHW: Tensor) -> Tensor:
        """The squared error of raw outputs, a sum over pixels averaged over images, 0-d."""
        return per_image((self._picture(raw_BCHW) - x_BCHW).square())

    def vector_field(self, x_BCHW: Tensor) -> Tensor:
        """r(x) - x, where the model moves each item, (B, C, H, W); for small Gaussian noise of variance s^2 a denoising
        autoencoder's is s^2 times the score of the data's density (Alain & Bengio, arXiv:1211.4246).
        """
        return self.decode(self.encode(x_BCHW).mean).mean_BCHW - x_BCHW

    def _raw(self, z: Latents) -> Tensor:
        assert isinstance(z, Tensor)
        return full_precision(self.decoder(z))

    def _picture(self, raw_BCHW: Tensor) -> Tensor:
        return torch.sigmoid(raw_BCHW) if self.is_bounded else raw_BCHW


def per_image(values_BCHW: Tensor) -> Tensor:
    """The sum over pixels averaged over images, 0-d."""
    return values_BCHW.flatten(1).sum(-1).mean()


def build_autoencoder(config: AutoencoderConfig, data_space: DataSpace) -> Autoencoder:
    """The builder of the record `autoencoder`. Raises SettingError for an error that does not fit the data."""
    require_error(config, data_space)
    encoder, decoder = bodies_of(config, config.latent_dimensions, data_space)
    return Autoencoder(encoder, decoder, config.latent_dimensions, config.error, is_bounded=not data_space.is_plane)


def build_linear_autoencoder(config: LinearAutoencoderConfig, data_space: DataSpace) -> Autoencoder:
    """The builder of the record `linear-autoencoder`."""
    encoder, decoder = bodies_of(BodyConfig(hidden_widths=()), config.latent_dimensions, data_space)
    return Autoencoder(encoder, decoder, config.latent_dimensions, "squared", is_bounded=False)


def bodies_of(config: BodyConfig, latent_dimensions: int, data_space: DataSpace) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder between pictures and points."""
    encoder = encoder_body(config, data_space.image_shape, latent_dimensions)
    return encoder, decoder_body(config, latent_dimensions, data_space.image_shape)


def require_error(config: AutoencoderConfig, data_space: DataSpace) -> None:
    """Raise SettingError where cross-entropy is asked of numbers outside [0, 1]."""
    if config.error == "cross-entropy" and data_space.is_plane:
        raise SettingError(
            "model.error", "Cross-entropy is for pixels in [0, 1], and this data set holds points of the plane.",
            "Choose the error squared.",
        )  # fmt: skip
