"""An exponential moving average of the weights, which is looked at and kept in place of the weights themselves.

    average <- d_t average + (1 - d_t) weights        d_t = min(decay, (1 + t) / (10 + t)) after t steps

Averaged weights score better than the noisy ones of a single step (Polyak & Juditsky, 1992; Kingma & Ba,
arXiv:1412.6980, section 7.2). The first average is short, so that what is seen early is not the untrained network.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from vae_explorer.models.interface import LatentModel


class WeightAverage:
    """A second network with the averages of the first one's weights and buffers, always in evaluation mode."""

    def __init__(self, model: LatentModel, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.share = torch.ones((), device=next(model.parameters()).device)

    def prepare(self, num_steps: int) -> None:
        """Write 1 - d_t where the step reads it, on the device, so that a captured step can follow it."""
        self.share.fill_(1.0 - min(self.decay, (1.0 + num_steps) / (10.0 + num_steps)))

    @torch.no_grad()
    def take_in(self, model: LatentModel) -> None:
        """Move the averages towards the weights of now; counts are copied."""
        average, now = self.model.state_dict(), model.state_dict()
        floating = [name for name, value in average.items() if value.is_floating_point()]
        averages = [average[name] for name in floating]
        steps = torch._foreach_sub([now[name] for name in floating], averages)
        torch._foreach_mul_(steps, self.share)
        torch._foreach_add_(averages, steps)
        for name in average.keys() - floating:
            average[name].copy_(now[name])
