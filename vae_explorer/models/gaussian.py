"""The diagonal Gaussian, as posterior and as prior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vae_explorer.draws import draw

LOG_TWO_PI = math.log(2.0 * math.pi)

LOG_VARIANCE_BOUND = 10.0
"""Log-variances stay within this of 0: sigma between 0.0067 and 148. With 5, as in NVAE, a 2-D posterior on MNIST
already feels the bound; a hard clamp would kill the gradient outside (MODELS.md 5.10)."""


def bounded_log_variance(raw: Tensor) -> Tensor:
    """A smooth bound on a log-variance, the identity near 0; used alike in sampling, KL and display."""
    return LOG_VARIANCE_BOUND * torch.tanh(raw / LOG_VARIANCE_BOUND)


def kl_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(m, s^2) || N(0, 1)) of every coordinate, in nats: -1/2 (1 + log s^2 - m^2 - s^2). Never negative.

    Kingma & Welling 2013, appendix B. `expm1` keeps the value exact to rounding where s is near 1.
    """
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; m, s^2) of every coordinate, in nats; the shapes are broadcast."""
    return -0.5 * ((z - mean).square() * torch.exp(-log_variance) + log_variance + LOG_TWO_PI)


def kl_between_normals(mean: Tensor, log_variance: Tensor, to_mean: Tensor, to_log_variance: Tensor) -> Tensor:
    """KL(N(m, s^2) || N(m0, s0^2)) of every coordinate, in nats; never negative.

    1/2 ((m - m0)^2 / s0^2 + s^2 / s0^2 - log(s^2 / s0^2) - 1), that of standardised coordinates from N(0, 1).
    """
    standardised = (mean - to_mean) * torch.exp(-0.5 * to_log_variance)
    return kl_from_standard_normal(standardised, log_variance - to_log_variance)


def standard_normal_log_prob(z_BD: Tensor) -> Tensor:
    """log N(z; 0, I), shape (B,), in nats."""
    return -0.5 * (z_BD.square() + LOG_TWO_PI).sum(-1)


@dataclass(frozen=True)
class DiagonalGaussian:
    """N(mean, diag(exp(log_variance))) of a batch; the log-variance is already bounded.

    `prior` is the Gaussian that a posterior's KL is taken to, such as p(z|y); N(0, I) where it is None.
    """

    mean: Tensor  # (B, D)
    log_variance: Tensor  # (B, D)
    prior: DiagonalGaussian | None = None

    @cached_property
    def standard_deviation(self) -> Tensor:
        """Sigma, (B, D)."""
        return torch.exp(0.5 * self.log_variance)

    def standardised(self) -> DiagonalGaussian:
        """The same in coordinates in which its prior is N(0, I), detached; the KL and its parts are the same there."""
        mean, log_variance = self.mean.detach(), self.log_variance.detach()
        if self.prior is None:
            return DiagonalGaussian(mean, log_variance)
        to_mean, to_log_variance = self.prior.mean.detach(), self.prior.log_variance.detach()
        return DiagonalGaussian((mean - to_mean) * torch.exp(-0.5 * to_log_variance), log_variance - to_log_variance)

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """mean + sigma * epsilon, (B, D), differentiable in both (the reparameterisation)."""
        mean = self.mean
        noise = draw(torch.randn, mean.shape, generator, batch_axis=-2, device=mean.device, dtype=mean.dtype)
        return self.mean + self.standard_deviation * noise

    def log_prob(self, z_BD: Tensor) -> Tensor:
        """log q(z), shape (B,), in nats."""
        standardised = (z_BD - self.mean) / self.standard_deviation
        return -0.5 * (standardised.square() + self.log_variance + LOG_TWO_PI).sum(-1)

    def kl_per_dimension(self) -> Tensor:
        """KL to the prior of every coordinate, (B, D), in nats."""
        if self.prior is None:
            return kl_from_standard_normal(self.mean, self.log_variance)
        return kl_between_normals(self.mean, self.log_variance, self.prior.mean, self.prior.log_variance)

    def kl(self) -> Tensor:
        """KL to the prior, (B,), in nats."""
        return self.kl_per_dimension().sum(-1)
