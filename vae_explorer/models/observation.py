"""Observation models: from what a decoder puts out to the likelihood p(x|z) that the protocol asks for.

Legend: B batch, C channels, H height, W width, O numbers that the decoder gives for each pixel of each channel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.likelihoods import Bernoulli

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Likelihood

MEAN_MARGIN = 1e-3
"""Pixels that are always off start with log odds of -6.9, not of minus infinity."""


class ObservationModel(nn.Module, ABC):
    """The last part of a decoder. `outputs_per_pixel` is O, so a decoder ends in O x C channels.

    What it holds beside its input (a learned or a running sigma) are parameters and buffers, so that a checkpoint and
    a snapshot carry them.
    """

    outputs_per_pixel: int = 1

    @abstractmethod
    def forward(self, raw_BCHW: Tensor) -> Likelihood:
        """p(x|z) from raw outputs (B, O * C, H, W), float32; the O blocks of C channels stand one after the other."""

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """What the decoder's last bias should be, (O * C, H, W), so that training starts at the mean image."""
        return mean_CHW.repeat(self.outputs_per_pixel, 1, 1)

    def observe(self, x_BCHW: Tensor, decoded: Likelihood) -> None:
        """Take up what a training batch says of the noise; nothing for most."""


class BernoulliPixels(ObservationModel):
    """One logit a pixel, for protocols whose pixels are bits, and for grey levels as a score."""

    def forward(self, raw_BCHW: Tensor) -> Bernoulli:
        """Independent Bernoulli pixels."""
        return Bernoulli(raw_BCHW)

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """The log odds of the mean image."""
        return torch.logit(mean_CHW.clamp(MEAN_MARGIN, 1 - MEAN_MARGIN))


def observation_model(data_space: DataSpace) -> ObservationModel:
    """The observation model of the data's protocol. Raises SettingError for a protocol without one."""
    match data_space.protocol:
        case "grey" | "dynamic" | "threshold":
            return BernoulliPixels()
        case other:
            raise SettingError(
                "data.protocol", f"No likelihood belongs to the protocol '{other}'.", "Choose another protocol."
            )
