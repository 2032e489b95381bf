"""The denoising autoencoder (Vincent et al. 2010): x^ = f(g(x~)) against the clean x, with x~ a corruption of x.

    masking            x~ = x * b,                  b ~ Bernoulli(1 - v) each pixel
    salt-and-pepper    x~ = 0 or 1 with v / 2 each, else x
    gaussian           x~ = x + s e,                e ~ N(0, 1) each pixel

Drawn anew at every visit by the run's generator; with v = 0 (or s = 0) nothing is drawn and every step is that of the
plain autoencoder, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vae_explorer.draws import draw
from vae_explorer.models.autoencoder import Autoencoder, bodies_of, per_image, require_error
from vae_explorer.models.interface import Batch, Objective

if TYPE_CHECKING:
    from vae_explorer.models.autoencoder_config import DenoisingConfig
    from vae_explorer.models.data_space import DataSpace


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder under `config.corruption`. Its codes on the map are those of clean pictures."""

    def __init__(self, config: DenoisingConfig, data_space: DataSpace) -> None:
        encoder, decoder = bodies_of(config, config.latent_dimensions, data_space)
        super().__init__(encoder, decoder, config.latent_dimensions, config.error, is_bounded=not data_space.is_plane)
        self.corruption = config.corruption
        self.strength = config.noise_sigma if config.corruption == "gaussian" else config.corrupted_share
        self.corrupted_weight = config.corrupted_weight

    def corrupted(self, x_BCHW: Tensor, generator: torch.Generator | None) -> Tensor:
        """x~, of the same shape; x itself where nothing is to be corrupted."""
        if self.strength == 0:
            return x_BCHW
        if self.corruption == "gaussian":
            return x_BCHW + self.strength * draw(torch.randn, x_BCHW.shape, generator, device=x_BCHW.device)
        draw_BCHW = draw(torch.rand, x_BCHW.shape, generator, device=x_BCHW.device)
        if self.corruption == "masking":
            return x_BCHW * (draw_BCHW >= self.strength)
        return torch.where(draw_BCHW < self.strength, (draw_BCHW < self.strength / 2).to(x_BCHW.dtype), x_BCHW)

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The error of the clean picture from the corrupted one, and that from the clean one beside it."""
        if self.strength == 0:
            plain = super().objective(batch, beta, generator)
            return Objective(
                loss=plain.loss,
                terms={**plain.terms, "clean_squared_error": plain.terms["squared_error"]},
                codes_BD=plain.codes_BD,
            )
        noisy_BCHW = self.corrupted(batch.x_BCHW, generator)
        raw_BCHW = self._raw(self.encoder(noisy_BCHW))
        error_BCHW = self.error_of(raw_BCHW, batch.x_BCHW)
        if self.corrupted_weight != 1:
            touched_BCHW = noisy_BCHW != batch.x_BCHW
            error_BCHW = torch.where(touched_BCHW, self.corrupted_weight * error_BCHW, error_BCHW)
        with torch.no_grad():
            codes_BD = self.encoder(batch.x_BCHW)
            clean = self.squared_error(self._raw(codes_BD), batch.x_BCHW)
        return Objective(
            loss=per_image(error_BCHW),
            terms={"squared_error": self.squared_error(raw_BCHW, batch.x_BCHW), "clean_squared_error": clean},
            codes_BD=codes_BD,
        )


def build_denoising_autoencoder(config: DenoisingConfig, data_space: DataSpace) -> DenoisingAutoencoder:
    """The builder of the record `denoising-autoencoder`. Raises SettingError as `build_autoencoder`."""
    require_error(config, data_space)
    return DenoisingAutoencoder(config, data_space)
