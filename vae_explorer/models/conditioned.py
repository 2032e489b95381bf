"""A model that has been told something: whoever decodes, encodes or draws with it need not know what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.models.interface import LatentModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vae_explorer.models.interface import Batch, Decoded, Latents, Objective, Posterior


class Conditioned(LatentModel):
    """A model under a condition, which is given to it wherever none is named.

    `condition` has one row, which holds for every picture and every latent point, or a row for each.
    """

    def __init__(self, model: LatentModel, condition: Tensor) -> None:
        super().__init__()
        self.model = model
        self.condition = condition
        self.latent_space = model.latent_space
        self.train(model.training)

    def condition_of(self, x_BCHW: Tensor, label_B: Tensor | None) -> Tensor | None:
        """What the model itself is told of these items."""
        return self.model.condition_of(x_BCHW, label_B)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Posterior:
        """q(z|x, condition)."""
        return self.model.encode(x_BCHW, self._rows(len(x_BCHW), condition))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Decoded:
        """p(x|z, condition)."""
        return self.model.decode(z, self._rows(_num_of(z), condition))

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log p(z|condition), (B,)."""
        return self.model.log_prior(z, self._rows(_num_of(z), condition))

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Latents:
        """Draws from p(z|condition)."""
        return self.model.sample_prior(num, generator, self._rows(num, condition))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """That of the model itself, which looks up the condition of the batch."""
        return self.model.objective(batch, beta, generator)

    def _rows(self, num: int, condition: Tensor | None) -> Tensor:
        known = self.condition if condition is None else condition
        return known.expand(num, *known.shape[1:]) if len(known) == 1 else known


def under(model: LatentModel, condition: Tensor | None) -> LatentModel:
    """The model under this condition; the model itself where there is none."""
    return model if condition is None else Conditioned(model, condition)


def _num_of(z: Latents) -> int:
    return len(z[0]) if isinstance(z, tuple) else len(z)
