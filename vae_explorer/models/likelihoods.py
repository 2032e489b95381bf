"""Likelihoods p(x|z) of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Bernoulli:
    """Independent Bernoulli pixels from logits; on grey levels in [0, 1] its log_prob is a score, not a likelihood."""

    logits_BCHW: Tensor

    @property
    def mean_BCHW(self) -> Tensor:
        """Probabilities that a pixel is on."""
        return torch.sigmoid(self.logits_BCHW)

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log p(x|z), (B,), in nats: sum over pixels of x l - softplus(l), which stays finite for any logit."""
        logits = self.logits_BCHW
        return (x_BCHW * logits - functional.softplus(logits)).flatten(1).sum(-1)

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """A binary picture."""
        return torch.bernoulli(self.mean_BCHW, generator=generator)
