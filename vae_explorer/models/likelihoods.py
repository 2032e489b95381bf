"""Likelihoods p(x|z) of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from vae_explorer.models.interface import Likelihood


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

    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor:
        """log p(x_b|z_g) of every image under every decoded point, (B, G) float64, in nats: one matrix product."""
        logits_GP = self.logits_BCHW.flatten(1)
        return (x_BCHW.flatten(1) @ logits_GP.T).double() - functional.softplus(logits_GP).double().sum(1)

    def fisher_coordinates(self) -> tuple[Tensor, Tensor]:
        """The logits, (B, P), and the root of their Fisher information, sqrt(p (1 - p)) without cancellation."""
        logits_BP = self.logits_BCHW.flatten(1)
        half_BP = torch.exp(-0.5 * logits_BP.abs())
        return logits_BP, half_BP / (1.0 + half_BP.square())

    def fisher_embedding(self) -> Tensor | None:
        """2 arcsin sqrt(p) up to a constant, (B, P), in which dp^2 / (p (1 - p)) is Euclidean; digits at any logit."""
        return 2.0 * torch.atan(torch.tanh(self.logits_BCHW.flatten(1) / 4.0))


@runtime_checkable
class _HasPairs(Protocol):
    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor: ...


def pairwise_log_prob(likelihood: Likelihood, x_BCHW: Tensor) -> Tensor:
    """log p(x_b|z_g) of every image under every decoded point, (B, G) float64, in nats.

    By matrix products where the likelihood has that form, else image by image.
    """
    if isinstance(likelihood, _HasPairs):
        return likelihood.log_prob_pairs(x_BCHW)
    num_points = likelihood.mean_BCHW.shape[0]
    rows = [likelihood.log_prob(x_CHW.expand(num_points, -1, -1, -1)).double() for x_CHW in x_BCHW]
    return torch.stack(rows)
