"""The continuous Bernoulli: the density of grey levels in [0, 1] that the cross-entropy belongs to.

    p(x|l) = e^(l x) l / (e^l - 1),   0 <= x <= 1,   l the logit       (Loaiza-Ganem & Cunningham, arXiv:1907.06845)

In logits its normaliser is C = l / tanh(l / 2), which is 2 at l = 0. With u = l / 2 all of it is written in functions
that are even or odd in u, of which a series stands for the quotient near 0. The mean is 1 / (1 - e^-l) - 1 / l, not the
sigmoid of the logit: where the sigmoid is 0.1, the mean is 0.330.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vae_explorer.models.observation_base import ObservationModel

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIT_BOUND = 510.0
"""Logits stay within this of 0. The density of a pixel that is always black has no upper bound as its logit falls; at
-510 its mean is half of one grey level in 255, and what lies beyond would only be the gap between levels."""
_SERIES_BELOW = 0.25
"""Of |u|: there the first term that the series leave out is below 1e-11."""
_MEAN_MARGIN = 0.01
_BISECTIONS = 40


def _near_and_far(u: Tensor, near: Callable[[Tensor], Tensor], far: Callable[[Tensor], Tensor]) -> Tensor:
    """`near(u)` within the series' range, else `far(u)`; neither sees a value of the other's, where a gradient would be
    no number even though it is not used.
    """
    is_near = u.abs() < _SERIES_BELOW
    return torch.where(is_near, near(torch.where(is_near, u, 0.0)), far(torch.where(is_near, 1.0, u)))


def log_sinhc(u: Tensor) -> Tensor:
    """log(sinh(u) / u), elementwise: 0 at 0, |u| - log |2 u| far out."""

    def far(v: Tensor) -> Tensor:
        size = v.abs()
        return size + torch.log(-torch.expm1(-2.0 * size) / (2.0 * size))

    def near(v: Tensor) -> Tensor:
        s = v.square()
        return s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s / 37800)))

    return _near_and_far(u, near, far)


def mean_of_logits(logits: Tensor) -> Tensor:
    """The mean, elementwise, in (0, 1): half of 1 + coth(u) - 1 / u."""

    def near(v: Tensor) -> Tensor:
        s = v.square()
        return v * (1 / 3 - s * (1 / 45 - s * (2 / 945 - s * (1 / 4725 - s * 2 / 93555))))

    return 0.5 + 0.5 * _near_and_far(0.5 * logits, near, lambda v: 1.0 / torch.tanh(v) - 1.0 / v)


def variance_of_logits(logits: Tensor) -> Tensor:
    """The variance, elementwise, in (0, 1/12]: the slope of the mean, a quarter of 1 / u^2 - 1 / sinh(u)^2."""

    def near(v: Tensor) -> Tensor:
        s = v.square()
        return 1 / 3 - s * (1 / 15 - s * (2 / 189 - s * (1 / 675 - s * 2 / 10395)))

    return 0.25 * _near_and_far(0.5 * logits, near, lambda v: 1.0 / v.square() - 1.0 / torch.sinh(v).square())


def logits_of_mean(mean: Tensor) -> Tensor:
    """The inverse of `mean_of_logits` for means within 0.01 of the ends, elementwise, by bisection."""
    wanted = mean.double().clamp(_MEAN_MARGIN, 1 - _MEAN_MARGIN)
    # The mean falls short of 1 by 1 / l.
    low = torch.full_like(wanted, -2.0 / _MEAN_MARGIN)
    high = -low
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        is_low = mean_of_logits(middle) < wanted
        low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
    return (0.5 * (low + high)).to(mean)


@dataclass(frozen=True)
class ContinuousBernoulli:
    """Independent continuous Bernoulli pixels from logits."""

    logits_BCHW: Tensor

    @property
    def mean_BCHW(self) -> Tensor:
        """Mean grey levels, in (0, 1)."""
        return mean_of_logits(self.logits_BCHW)

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log p(x|z), (B,), in nats; a density, so it may well be positive."""
        logits = self.logits_BCHW
        return ((x_BCHW - 0.5) * logits - log_sinhc(0.5 * logits)).flatten(1).sum(-1)

    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor:
        """log p(x_b|z_g) of every image under every decoded point, (B, G) float64, in nats: one matrix product.

        In float64, since logits of hundreds nearly cancel against the normaliser.
        """
        logits_GP = self.logits_BCHW.flatten(1).double()
        return (x_BCHW.flatten(1).double() - 0.5) @ logits_GP.T - log_sinhc(0.5 * logits_GP).sum(1)

    def fisher_coordinates(self) -> tuple[Tensor, Tensor]:
        """The logits, (B, P), and the root of their Fisher information, which is the variance."""
        logits_BP = self.logits_BCHW.flatten(1)
        return logits_BP, variance_of_logits(logits_BP).sqrt()

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A picture of grey levels, by the inverse of the distribution function."""
        logits = self.logits_BCHW
        uniform = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
        # For negative logits log1p(uniform (e^l - 1)) / l; a positive one is its mirror image.
        slope = logits.abs().clamp_min(1e-6)
        drawn = (-torch.log1p(uniform * torch.expm1(-slope)) / slope).clamp(0.0, 1.0)
        return torch.where(logits > 0, 1.0 - drawn, drawn)


class ContinuousBernoulliPixels(ObservationModel):
    """One logit a pixel."""

    def forward(self, raw_BCHW: Tensor) -> ContinuousBernoulli:
        """Independent continuous Bernoulli pixels; the logits bend smoothly to `LOGIT_BOUND`."""
        return ContinuousBernoulli(LOGIT_BOUND * torch.tanh(raw_BCHW / LOGIT_BOUND))

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """Where the logits are those whose means are the mean image."""
        return LOGIT_BOUND * torch.atanh(logits_of_mean(mean_CHW) / LOGIT_BOUND)
