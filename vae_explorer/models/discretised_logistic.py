"""Whole grey levels: a mixture of logistic densities, each summed over the width of a level.

    P(level|z) = sum_k w_k [sigmoid((t + 1/255 - m_k) / s_k) - sigmoid((t - 1/255 - m_k) / s_k)],  t = 2 level / 255 - 1

Open at both ends: level 0 has all mass below it, level 255 all above (Salimans et al., PixelCNN++, arXiv:1701.05517,
section 2.1). Channels of colour are independent here, given z. That paper goes over to the density where the
difference of sigmoids keeps no digits; here it is written as a product, which keeps them all:

    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a))

A picture is level / 255 for the network, in [0, 1].

Legend: B batch, K components, C channels, H height, W width, G decoded points, P = C x H x W.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vae_explorer.models.observation_base import ObservationModel, smoothly_confined

LOG_SCALE_RANGE = (-7.0, 3.0)
"""From 0.0009, where a level is 0.0078 wide and has all the mass, to 20, where black and white share it."""
HALF_LEVEL = 1.0 / 255.0
NUM_LEVELS = 256
_FIRST_LOG_SCALE = -1.0
_FIRST_SPREAD = 0.5
# A table of all levels pays from about this many images.
_TABLE_FROM_IMAGES = 64
_TABLE_NUMBERS = 1 << 24


@dataclass(frozen=True)
class DiscretisedLogistic:
    """Independent grey levels; means and scales in units in which level 0 is -1 and level 255 is 1."""

    log_weight_BKCHW: Tensor  # log-sum-exp over K is 0
    mean_BKCHW: Tensor
    log_scale_BKCHW: Tensor

    @property
    def mean_BCHW(self) -> Tensor:
        """Mean pictures in [0, 1]: that of the logistic clipped to the ends, which rounding to levels moves by less
        than half a level.
        """
        mean, scale = self.mean_BKCHW, self.log_scale_BKCHW.exp()
        above_black = functional.softplus((mean + 1.0) / scale) - functional.softplus((mean - 1.0) / scale)
        return (self.log_weight_BKCHW.exp() * (0.5 * scale * above_black)).sum(1).clamp(0.0, 1.0)

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log P(x|z), (B,), in nats, of pictures whose values are level / 255."""
        return self.log_prob_of_pixels(x_BCHW).flatten(1).sum(-1)

    def log_prob_of_pixels(self, x_BCHW: Tensor) -> Tensor:
        """log P of every pixel's level, (B, C, H, W)."""
        x_B1CHW = x_BCHW.unsqueeze(1)
        inverse_scale = torch.exp(-self.log_scale_BKCHW)
        # Edges from whole numbers: the upper edge of a level is the very number that is the next one's lower edge, so
        # that the masses of narrow components still add up to 1 in float32.
        level_B1CHW = torch.round(255.0 * x_B1CHW)
        top = ((2.0 * level_B1CHW - 254.0) / 255.0 - self.mean_BKCHW) * inverse_scale
        bottom = ((2.0 * level_B1CHW - 256.0) / 255.0 - self.mean_BKCHW) * inverse_scale
        log_below_top = -functional.softplus(-top)
        log_above_bottom = -functional.softplus(bottom)
        log_width = torch.log(-torch.expm1(bottom - top))
        is_black, is_white = x_B1CHW < 0.5 * HALF_LEVEL, x_B1CHW > 1.0 - 0.5 * HALF_LEVEL
        inner = log_below_top + log_above_bottom + log_width
        log_mass = torch.where(is_black, log_below_top, torch.where(is_white, log_above_bottom, inner))
        return torch.logsumexp(self.log_weight_BKCHW + log_mass, dim=1)

    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor:
        """log P(x_b|z_g) of every image under every decoded point, (B, G) float64, in nats.

        For many images from a table of all levels of every pixel, P x 256 rows of G numbers, of which P are summed.
        """
        num_images, num_points = len(x_BCHW), len(self.mean_BKCHW)
        if num_images < _TABLE_FROM_IMAGES:
            return torch.stack([self.log_prob(x_CHW.expand(num_points, -1, -1, -1)) for x_CHW in x_BCHW]).double()
        level_BP = (x_BCHW.flatten(1) * 255.0).round().long()
        num_pixels = level_BP.shape[1]
        row_BP = level_BP + NUM_LEVELS * torch.arange(num_pixels, device=level_BP.device)
        at_once = max(1, _TABLE_NUMBERS // (num_pixels * NUM_LEVELS))
        parts = [
            functional.embedding_bag(row_BP, self._part(slice(first, first + at_once))._table(), mode="sum")
            for first in range(0, num_points, at_once)
        ]
        return torch.cat(parts, dim=1).double()

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A picture of whole levels: a component, a draw from its logistic, clipped and rounded."""
        log_weight, device, dtype = self.log_weight_BKCHW, self.mean_BKCHW.device, self.mean_BKCHW.dtype
        flat_weight = log_weight.movedim(1, -1).exp().reshape(-1, log_weight.shape[1])
        chosen = torch.multinomial(flat_weight, 1, generator=generator).reshape(log_weight[:, 0].shape).unsqueeze(1)
        mean, log_scale = (part.gather(1, chosen)[:, 0] for part in (self.mean_BKCHW, self.log_scale_BKCHW))
        uniform = torch.rand(mean.shape, generator=generator, device=device, dtype=dtype)
        drawn = mean + log_scale.exp() * torch.logit(uniform, eps=1e-6)
        return torch.round((0.5 * drawn + 0.5).clamp(0.0, 1.0) * 255.0) / 255.0

    def _part(self, points: slice) -> DiscretisedLogistic:
        return DiscretisedLogistic(self.log_weight_BKCHW[points], self.mean_BKCHW[points], self.log_scale_BKCHW[points])

    def _table(self) -> Tensor:
        """log P of every level of every pixel, (P x 256, G)."""
        num_points, _, *image_shape = self.mean_BKCHW.shape
        levels = torch.arange(NUM_LEVELS, device=self.mean_BKCHW.device) / 255.0
        pixels = [self.log_prob_of_pixels(level.expand(num_points, *image_shape)).flatten(1) for level in levels]
        return torch.stack(pixels, dim=-1).flatten(1).T.contiguous()


class DiscretisedLogisticPixels(ObservationModel):
    """A mean and a scale for every component of every pixel of every channel, and with more than one its weight."""

    def __init__(self, num_components: int) -> None:
        super().__init__()
        self.num_components = num_components
        self.outputs_per_pixel = 2 * num_components if num_components == 1 else 3 * num_components

    def forward(self, raw_BCHW: Tensor) -> DiscretisedLogistic:
        """The mixture; scales stay within `LOG_SCALE_RANGE`."""
        num = self.num_components
        raw_BOCHW = raw_BCHW.unflatten(1, (self.outputs_per_pixel, -1))
        mean, raw_log_scale, raw_weight = raw_BOCHW[:, :num], raw_BOCHW[:, num : 2 * num], raw_BOCHW[:, 2 * num :]
        log_weight = torch.log_softmax(raw_weight, dim=1) if num > 1 else torch.zeros_like(mean)
        log_scale = smoothly_confined(raw_log_scale, *LOG_SCALE_RANGE)
        return DiscretisedLogistic(log_weight, mean, log_scale)

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """Wide components about the mean image, with equal weights."""
        num = self.num_components
        offsets = torch.linspace(-_FIRST_SPREAD, _FIRST_SPREAD, num).tolist() if num > 1 else [0.0]
        means = [2.0 * mean_CHW - 1.0 + offset for offset in offsets]
        scales = [torch.full_like(mean_CHW, _FIRST_LOG_SCALE)] * num
        weights = [torch.zeros_like(mean_CHW)] * (self.outputs_per_pixel - 2 * num)
        return torch.cat([*means, *scales, *weights])
