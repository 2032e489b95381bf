"""The VQ-VAE: an encoder to a grid of codes, a decoder from it, and an autoregressive prior over grids.

van den Oord, Vinyals, Kavukcuoglu 2017 (1711.00937), eq. 3: loss = -log p(x|z_q) + ||sg(z_e) - e||^2
+ b ||z_e - sg(e)||^2, summed over pixels, cells and code dimensions. q puts all its mass on the nearest codes k, so
that -log p(x) <= -log p(x|z_q) - log p(k). The prior is learned in a second stage, with everything else at rest;
before it p(k) is uniform and costs H'W' ln K nats.

Legend: B batch, C channels, R rows and W columns of the code grid, D code dimensions, K codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.models.codebook import Codebook, code_counts, perplexity, straight_through
from vae_explorer.models.interface import Batch, LatentModel, Latents, LatentSpace, Likelihood, Objective
from vae_explorer.models.networks import full_precision
from vae_explorer.models.observation import observation_model
from vae_explorer.models.pixelcnn import PixelCNN

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.vqvae_config import VQVAEConfig


class ResidualBlock(nn.Module):
    """x + conv1(relu(conv3(relu(x)))), half as wide inside (1711.00937, section 4.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, max(1, channels // 2), 3, padding=1)
        self.narrow = nn.Conv2d(max(1, channels // 2), channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The same shape."""
        added: Tensor = self.narrow(torch.relu(self.wide(torch.relu(x_BCHW))))
        return x_BCHW + added


def _encoder(config: VQVAEConfig, channels_in: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs, half = channels_in, max(1, config.body_channels // 2)
    for _ in range(config.halvings):
        layers += (nn.Conv2d(inputs, half, 4, 2, 1), nn.ReLU())
        inputs = half
    layers.append(nn.Conv2d(inputs, config.body_channels, 3, padding=1))
    layers += (ResidualBlock(config.body_channels) for _ in range(config.residual_blocks))
    return nn.Sequential(*layers, nn.ReLU())


def _decoder(config: VQVAEConfig, channels_out: int) -> nn.Sequential:
    half = max(1, config.body_channels // 2)
    layers: list[nn.Module] = [nn.Conv2d(config.code_dimensions, config.body_channels, 3, padding=1)]
    layers += (ResidualBlock(config.body_channels) for _ in range(config.residual_blocks))
    inputs = config.body_channels
    for _ in range(config.halvings):
        layers += (nn.ReLU(), nn.ConvTranspose2d(inputs, half, 4, 2, 1))
        inputs = half
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(inputs, channels_out, 3, padding=1))


@dataclass(frozen=True)
class ChosenCodes:
    """The posterior: all its mass on one grid of codes."""

    mean: Tensor  # (B, R, W) int64
    model: VQVAE

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """The grid."""
        return self.mean

    def log_prob(self, grid_BRW: Tensor, /) -> Tensor:
        """0 for the grid itself, minus infinity for any other, (B,)."""
        is_same_B = (grid_BRW == self.mean).flatten(1).all(1)
        return torch.where(is_same_B, 0.0, -torch.inf)

    def kl(self) -> Tensor:
        """-log p(k), (B,), in nats."""
        return -self.model.log_prior(self.mean)


class VQVAE(LatentModel):
    """Encoder, codebook, decoder, and a prior that is uniform until its stage has begun."""

    epochs_done: Tensor

    def __init__(self, config: VQVAEConfig, data_space: DataSpace) -> None:
        super().__init__()
        self.config = config
        self.data_space = data_space
        channels, self._height, self._width = data_space.image_shape
        factor = 2**config.halvings
        rows, columns = -(-self._height // factor), -(-self._width // factor)
        self._padding = (0, columns * factor - self._width, 0, rows * factor - self._height)
        self.latent_space = LatentSpace("codes", (rows, columns), num_codes=config.num_codes)
        self.observation = observation_model(data_space, config)
        self.encoder = _encoder(config, channels)
        self.to_code = nn.Conv2d(config.body_channels, config.code_dimensions, 1)
        self.codebook = Codebook(
            config.num_codes, config.code_dimensions,
            is_averaged=config.codebook == "ema", decay=config.codebook_decay,
        )  # fmt: skip
        self.decoder = _decoder(config, channels * self.observation.outputs_per_pixel)
        self.prior = PixelCNN(config.num_codes, (rows, columns), config.prior_channels, config.prior_layers)
        self.register_buffer("epochs_done", torch.zeros((), dtype=torch.int64))
        self.has_learned_prior = False
        self.register_load_state_dict_post_hook(_go_on_in_stage)  # type: ignore[no-untyped-call]

    @property
    def uniform_cost(self) -> float:
        """H'W' ln K: what a grid costs under the uniform prior, in nats."""
        return math.prod(self.latent_space.shape) * math.log(self.config.num_codes)

    def continuous(self, x_BCHW: Tensor) -> Tensor:
        """z_e, what the encoder puts out before it is rounded, float32 (B, D, R, W)."""
        features = self.encoder(functional.pad(x_BCHW, self._padding))
        # In full precision under autocast too: with 8 bits too many vectors would lie as near to one code as another.
        with torch.autocast(features.device.type, enabled=False):
            z_BDRW: Tensor = self.to_code(full_precision(features))
        return z_BDRW

    def vectors(self, grid_BRW: Tensor) -> Tensor:
        """z_q, the codes' vectors of grids, (B, D, R, W)."""
        return functional.embedding(grid_BRW, self.codebook.codes_KD).movedim(-1, 1)

    def picture(self, z_BDRW: Tensor) -> Likelihood:
        """p(x|z) from the vectors of a grid."""
        raw = full_precision(self.decoder(z_BDRW))[..., : self._height, : self._width]
        likelihood: Likelihood = self.observation(raw)
        return likelihood

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> ChosenCodes:
        """The grid of nearest codes."""
        return ChosenCodes(self._nearest(self.continuous(x_BCHW)), self)

    def decode(self, z: Latents, condition: Tensor | None = None) -> Likelihood:
        """p(x|z_q) of grids of code numbers, (B, R, W)."""
        assert isinstance(z, Tensor)
        return self.picture(self.vectors(z))

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log p(k), (B,), in nats: -H'W' ln K until the prior's stage."""
        assert isinstance(z, Tensor)
        return self.prior.log_prob(z)

    def sample_prior(
        self,
        num: int,
        generator: torch.Generator | None,
        condition: Tensor | None = None,
        *,
        temperature: float = 1.0,
    ) -> Tensor:
        """Grids drawn cell by cell, int64 (num, R, W); below temperature 1 the likelier codes are drawn more often."""
        return self.prior.sample(num, generator, temperature)

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """Reconstruction, codebook and commitment in the first stage, the code cost alone in the second."""
        if self.has_learned_prior:
            return self._prior_objective(batch)
        z_BDRW = self.continuous(batch.x_BCHW)
        grid_BRW = self._nearest(z_BDRW)
        whole_grid_BRW = batch.whole(grid_BRW)
        codes_BDRW = self.vectors(grid_BRW)
        decoded = self.picture(straight_through(z_BDRW, codes_BDRW))
        if self.training:
            self.observation.observe(batch.x_BCHW, decoded)
            z_ND, index_N = batch.whole(z_BDRW).movedim(1, -1).flatten(0, -2), whole_grid_BRW.flatten()
            self.codebook.follow(z_ND, index_N)
            self.codebook.revive(z_ND, index_N, generator)
        reconstruction = -decoded.log_prob(batch.x_BCHW).mean()
        commitment = _squared_distance(z_BDRW, codes_BDRW.detach())
        loss = reconstruction + self.config.commitment * commitment
        if not self.codebook.is_averaged:
            loss = loss + _squared_distance(z_BDRW.detach(), codes_BDRW)
        cost = torch.full_like(reconstruction, self.uniform_cost)
        return self._reported(loss, reconstruction, cost, commitment, whole_grid_BRW)

    def _prior_objective(self, batch: Batch) -> Objective:
        with torch.no_grad():
            z_BDRW = self.continuous(batch.x_BCHW)
            grid_BRW = self._nearest(z_BDRW)
            codes_BDRW = self.vectors(grid_BRW)
            reconstruction = -self.picture(codes_BDRW).log_prob(batch.x_BCHW).mean()
            commitment = _squared_distance(z_BDRW, codes_BDRW)
        cost = -self.prior.log_prob(grid_BRW).mean()
        return self._reported(cost, reconstruction, cost, commitment, batch.whole(grid_BRW))

    def _reported(
        self, loss: Tensor, reconstruction: Tensor, cost: Tensor, commitment: Tensor, grid_BRW: Tensor
    ) -> Objective:
        with torch.no_grad():
            counts_K = code_counts(grid_BRW, self.config.num_codes)
            terms = {
                "elbo": -(reconstruction + cost),
                "reconstruction": reconstruction.detach(),
                "code_cost": cost.detach(),
                "commitment": commitment.detach(),
                "perplexity": perplexity(counts_K),
                "prior_saving": 100 * (1 - cost / self.uniform_cost),
            }
        return Objective(loss=loss, terms=terms, code_counts_K=counts_K)

    def end_epoch(self) -> bool:
        """Count the epoch; True where the prior's stage begins."""
        self.epochs_done += 1
        had_learned_prior = self.has_learned_prior
        _go_on_in_stage(self)
        return self.has_learned_prior != had_learned_prior

    def _nearest(self, z_BDRW: Tensor) -> Tensor:
        batch, _, rows, columns = z_BDRW.shape
        return self.codebook.nearest(z_BDRW.detach().movedim(1, -1).flatten(0, -2)).view(batch, rows, columns)


def _go_on_in_stage(model: nn.Module, _keys: object = None) -> None:
    """Read the stage off the buffer: kept beside it because a step may not wait for the device to ask."""
    assert isinstance(model, VQVAE)
    model.has_learned_prior = int(model.epochs_done) >= model.config.codebook_epochs


def _squared_distance(left_BDRW: Tensor, right_BDRW: Tensor) -> Tensor:
    return (left_BDRW - right_BDRW).square().flatten(1).sum(1).mean()


def build_vqvae(config: VQVAEConfig, data_space: DataSpace) -> VQVAE:
    """The builder of the record `vqvae`."""
    return VQVAE(config, data_space)
