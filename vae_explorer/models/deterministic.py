"""A code and a picture without a distribution, for models that have neither posterior nor likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vae_explorer.models.interface import Latents


@dataclass(frozen=True)
class PointCode:
    """The one point that a picture is encoded to, where other models have a posterior q(z|x)."""

    mean: Latents

    def sample(self, generator: torch.Generator | None) -> Latents:
        """The point itself: nothing is drawn."""
        return self.mean

    def log_prob(self, z: Any, /) -> Tensor:
        """Raises TypeError: a point has no density."""
        raise TypeError("a code that is one point has no density")

    def kl(self) -> Tensor:
        """Raises TypeError: a point has no density."""
        raise TypeError("a code that is one point has no density")


@dataclass(frozen=True)
class Picture:
    """What a latent point looks like, where other models have a likelihood p(x|z)."""

    mean_BCHW: Tensor
