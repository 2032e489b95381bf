"""What every observation model is: the last part of a decoder, from its raw outputs to p(x|z).

Legend: B batch, C channels, H height, W width, O numbers that the decoder gives for each pixel of each channel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from vae_explorer.models.interface import Likelihood

_MEAN_MARGIN = 1e-3


class ObservationModel(nn.Module, ABC):
    """The last part of a decoder. `outputs_per_pixel` is O, so a decoder ends in O x C channels.

    What it holds beside its input (a learned or a running sigma) are parameters and buffers, so that a checkpoint and
    a snapshot carry them.
    """

    outputs_per_pixel: int = 1

    @abstractmethod
    def forward(self, raw_BCHW: Tensor) -> Likelihood:
        """p(x|z) from raw outputs (B, O * C, H, W), float32; the O blocks of C channels stand one after the other."""

    @abstractmethod
    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """What the decoder's last bias should be, (O * C, H, W), so that training starts at the mean image."""

    def observe(self, x_BCHW: Tensor, decoded: Likelihood) -> None:
        """Take up what a training batch says of the noise; nothing for most."""


def log_odds(mean_CHW: Tensor) -> Tensor:
    """The log odds of a mean image; pixels that are always off get -6.9, not minus infinity."""
    return torch.logit(mean_CHW.clamp(_MEAN_MARGIN, 1 - _MEAN_MARGIN))


def smoothly_confined(raw: Tensor, low: float, high: float) -> Tensor:
    """The identity, bending smoothly to both ends: a hard clamp would kill the gradient outside (MODELS.md 5.10)."""
    below = high - functional.softplus(high - raw)
    return low + functional.softplus(below - low)
