"""The mixture of Bernoullis by EM, for images whose pixels are 0 or 1 (Bishop 2006, section 9.3.3).

    p(x) = sum_k pi_k prod_p m_kp^x_p (1 - m_kp)^(1 - x_p)

The M step adds `smoothing` counts a to both values of each pixel, m = (sum r x + a) / (sum r + 2 a), which is the most
probable value under independent Beta(1 + a, 1 + a) priors: EM then raises likelihood plus log prior at every step, and
with a = 0 the likelihood itself. 0.1 is the choice with which the notes' reference figures were measured.

Legend: B batch, K components, P pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vae_explorer.models.interface import Latents
from vae_explorer.models.likelihoods import Bernoulli
from vae_explorer.models.mixture import LEAST_ITEMS, Mixture, component_of, require_components

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.mixture_config import BernoulliMixtureConfig

LEAST_PROBABILITY = 1e-6
"""Probabilities stay this far from 0 and 1, where one pixel would make an image impossible."""


class BernoulliMixture(Mixture):
    """K pictures of probabilities."""

    first_KP: Tensor

    def __init__(self, config: BernoulliMixtureConfig, data_space: DataSpace) -> None:
        super().__init__(config.num_components, data_space)
        self.smoothing = config.smoothing
        self.register_buffer("first_KP", torch.zeros(self.mean_KP.shape, dtype=torch.float64))

    def start_from(self, mean_CHW: Tensor) -> None:
        """Until images are there to start from, every component is the mean image."""
        super().start_from(mean_CHW.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))

    def log_components(self, x_BP: Tensor) -> Tensor:
        """sum_p x log m + (1 - x) log(1 - m), (B, K)."""
        log_off_KP = torch.log1p(-self.mean_KP)
        return x_BP.double() @ (self.mean_KP.log() - log_off_KP).T + log_off_KP.sum(-1)

    def decode(self, z: Latents, condition: Tensor | None = None) -> Bernoulli:
        """The component's probabilities."""
        logits_BP = torch.logit(self.mean_KP[component_of(z)]).float()
        return Bernoulli(logits_BP.unflatten(-1, self.image_shape))

    def place(self, seed_KP: Tensor, x_BP: Tensor) -> None:
        """Halfway between an image and the mean of its batch, so that no pixel is settled from the start."""
        mixed_KP = 0.5 * (seed_KP + x_BP.mean(0))
        self.mean_KP[: len(seed_KP)] = mixed_KP.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)

    def take_up(self, x_BP: Tensor, r_BK: Tensor) -> None:
        """How often each pixel was on."""
        self.first_KP.addmm_(r_BK.T, x_BP)

    def maximise(self) -> None:
        """Smoothed shares. A component without images keeps its own, unless the smoothing says 1/2."""
        items_K1 = self.r_sum_K[:, None] + 2 * self.smoothing
        found_KP = (self.first_KP + self.smoothing) / items_K1.clamp(min=LEAST_ITEMS)
        bounded_KP = found_KP.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        self.mean_KP.copy_(torch.where(items_K1 > LEAST_ITEMS, bounded_KP, self.mean_KP))
        self.first_KP.zero_()


def build_bernoulli_mixture(config: BernoulliMixtureConfig, data_space: DataSpace) -> BernoulliMixture:
    """The builder of the record `bernoulli-mixture`. Raises SettingError for more components than images."""
    require_components(config.num_components, data_space)
    return BernoulliMixture(config, data_space)
