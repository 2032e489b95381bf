"""Gaussian pixels: p(x|z) = N(f(z), sigma^2), for pictures as real numbers in [0, 1] and for points of the plane.

    -log p(x|z) = D/2 log(2 pi sigma^2) + ||x - f(z)||^2 / (2 sigma^2)                            (MODELS.md 4.8)

Four ways to a sigma: fixed; one learned number, or the one that is optimal for each batch (sigma-VAE: Rybkin,
Daniilidis, Levine, arXiv:2006.13202, sections 3.1 and 3.2); one a pixel from the decoder (Kingma & Welling,
arXiv:1312.6114, appendix C.2). The density has no upper bound as sigma goes to 0, so every sigma has a floor, smooth
so that its gradient never dies, and the floor belongs to the number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.models.gaussian import LOG_TWO_PI
from vae_explorer.models.observation_base import ObservationModel, log_odds, smoothly_confined

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.interface import Likelihood
    from vae_explorer.models.observation_config import ObservationConfig

LOG_SIGMA_FLOOR = -6.0
"""Of one sigma for all pixels: 0.0025, two thirds of a grey level in 255."""
LOG_VARIANCE_RANGE = (-8.0, 3.0)
"""Of a sigma a pixel: 0.018 to 4.5. Where a pixel never changes, as at the border of MNIST, it runs to the floor."""
LONGEST_MEMORY = 100
"""Training batches over which the optimal variance is averaged for everything but training itself."""
_TINY = 1e-12


@dataclass(frozen=True)
class Gaussian:
    """Independent Gaussian pixels. `log_sigma` is 0-d, or (B, C, H, W) in `PixelwiseGaussian`."""

    mean_BCHW: Tensor
    log_sigma: Tensor

    @property
    def sigma(self) -> Tensor:
        """The standard deviation of the white noise that a draw adds to the mean."""
        return self.log_sigma.exp()

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log p(x|z), (B,), in nats; a density, so it may well be positive."""
        standardised = (x_BCHW - self.mean_BCHW) * torch.exp(-self.log_sigma)
        return -(0.5 * (standardised.square() + LOG_TWO_PI) + self.log_sigma).flatten(1).sum(-1)

    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor:
        """log p(x_b|z_g) of every image under every decoded point, (B, G) float64, in nats.

        The square is multiplied out, so that all pairs are two matrix products; in float64, because with a small sigma
        the difference of its large parts would keep no digits.
        """
        x_BP = x_BCHW.flatten(1).double()
        mean_GP, log_sigma_GP = torch.broadcast_tensors(self.mean_BCHW.double(), self.log_sigma.double())
        mean_GP, log_sigma_GP = mean_GP.flatten(1), log_sigma_GP.flatten(1)
        precision_GP = torch.exp(-2.0 * log_sigma_GP)
        constant_G = (0.5 * (mean_GP.square() * precision_GP + LOG_TWO_PI) + log_sigma_GP).sum(1)
        pairs_BG: Tensor = x_BP @ (mean_GP * precision_GP).T - 0.5 * x_BP.square() @ precision_GP.T
        pairs_BG -= constant_G
        return pairs_BG

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """The mean and white noise of sigma; not confined to [0, 1]."""
        mean = self.mean_BCHW
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + self.sigma * noise

    def fisher_coordinates(self) -> tuple[Tensor, Tensor]:
        """The mean, (B, P), and the root of its Fisher information, 1 / sigma."""
        return self.mean_BCHW.flatten(1), 1.0 / self.sigma

    def fisher_embedding(self) -> Tensor | None:
        """The mean in units of sigma, (B, P), in which the Fisher metric is Euclidean."""
        return self.mean_BCHW.flatten(1) / self.sigma


class PixelwiseGaussian(Gaussian):
    """Gaussian pixels whose sigma depends on z."""

    @property
    def sigma_BCHW(self) -> Tensor:
        """Standard deviations, in units of the mean."""
        return self.sigma

    def fisher_coordinates(self) -> tuple[Tensor, Tensor]:
        """Mean and log sigma, (B, 2 P), and the root of their Fisher information, 1 / sigma and sqrt 2."""
        log_sigma_BP = self.log_sigma.flatten(1)
        root_BP = torch.cat([torch.exp(-log_sigma_BP), torch.full_like(log_sigma_BP, math.sqrt(2.0))], dim=1)
        return torch.cat([self.mean_BCHW.flatten(1), log_sigma_BP], dim=1), root_BP

    def fisher_embedding(self) -> Tensor | None:
        """None: mean and sigma of a Gaussian make a hyperbolic plane, which no Euclidean coordinates have."""
        return None


class BatchOptimalGaussian(Gaussian):
    """What a decoder with the optimal sigma gives in training; `log_sigma` is the running value."""

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log p(x|z) under the sigma that is best for these items together; the gradient passes through it."""
        return Gaussian(self.mean_BCHW, log_root((x_BCHW - self.mean_BCHW).square().mean())).log_prob(x_BCHW)


def floored_log_sigma(log_sigma: Tensor) -> Tensor:
    """The identity, bending smoothly to `LOG_SIGMA_FLOOR` from above."""
    return LOG_SIGMA_FLOOR + functional.softplus(log_sigma - LOG_SIGMA_FLOOR)


def log_root(mean_squared_error: Tensor) -> Tensor:
    """The optimal log sigma of a mean squared error, floored."""
    return floored_log_sigma(0.5 * torch.log(mean_squared_error + _TINY))


class GaussianPixels(ObservationModel):
    """One sigma for all pixels: fixed at `sigma`."""

    def __init__(self, sigma: float, *, sigmoid_mean: bool) -> None:
        super().__init__()
        self.start_log_sigma = math.log(sigma)
        self.sigmoid_mean = sigmoid_mean

    def forward(self, raw_BCHW: Tensor) -> Gaussian:
        """N(f(z), sigma^2 I)."""
        return Gaussian(self.mean_of(raw_BCHW), self.log_sigma_of(raw_BCHW))

    def log_sigma_of(self, raw_BCHW: Tensor) -> Tensor:
        """The log of sigma, 0-d, on the device of the raw outputs."""
        return raw_BCHW.new_full((), self.start_log_sigma)

    def mean_of(self, raw_BCHW: Tensor) -> Tensor:
        """f(z)."""
        return torch.sigmoid(raw_BCHW) if self.sigmoid_mean else raw_BCHW

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """What the mean starts from."""
        return log_odds(mean_CHW) if self.sigmoid_mean else mean_CHW


class LearnedGaussianPixels(GaussianPixels):
    """One sigma for all pixels, learned as the weights are; it starts at `sigma`."""

    def __init__(self, sigma: float, *, sigmoid_mean: bool) -> None:
        super().__init__(sigma, sigmoid_mean=sigmoid_mean)
        self.log_sigma = nn.Parameter(torch.tensor(self.start_log_sigma))

    def log_sigma_of(self, raw_BCHW: Tensor) -> Tensor:
        """The learned value, floored."""
        return floored_log_sigma(self.log_sigma)


class OptimalGaussianPixels(GaussianPixels):
    """The sigma that is best for the batch in training; elsewhere that of the batches just before."""

    mean_squared_error: Tensor
    num_observed: Tensor

    def __init__(self, sigma: float, *, sigmoid_mean: bool) -> None:
        super().__init__(sigma, sigmoid_mean=sigmoid_mean)
        self.register_buffer("mean_squared_error", torch.tensor(sigma**2))
        self.register_buffer("num_observed", torch.tensor(0.0))

    def forward(self, raw_BCHW: Tensor) -> Gaussian:
        """N(f(z), sigma^2 I)."""
        kind = BatchOptimalGaussian if self.training else Gaussian
        return kind(self.mean_of(raw_BCHW), log_root(self.mean_squared_error))

    @torch.no_grad()
    def observe(self, x_BCHW: Tensor, decoded: Likelihood) -> None:
        """Average the squared error over the training batches so far, of which later the last ones count."""
        # In place and without a branch on values, so that a captured step goes on doing it.
        self.num_observed.add_(1.0)
        found = (x_BCHW - decoded.mean_BCHW).square().mean().to(self.mean_squared_error)
        self.mean_squared_error.lerp_(found, 1.0 / self.num_observed.clamp(max=float(LONGEST_MEMORY)))


class PixelwiseGaussianPixels(GaussianPixels):
    """A mean and a log-variance for every pixel of every channel."""

    outputs_per_pixel = 2

    def __init__(self, *, sigmoid_mean: bool) -> None:
        super().__init__(1.0, sigmoid_mean=sigmoid_mean)

    def forward(self, raw_BCHW: Tensor) -> PixelwiseGaussian:
        """N(f(z), diag sigma^2(z))."""
        mean_BCHW, raw_log_variance_BCHW = raw_BCHW.chunk(2, dim=1)
        log_variance_BCHW = smoothly_confined(raw_log_variance_BCHW, *LOG_VARIANCE_RANGE)
        return PixelwiseGaussian(self.mean_of(mean_BCHW), 0.5 * log_variance_BCHW)

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """The mean image, and a variance of 1."""
        return torch.cat([super().first_bias(mean_CHW), torch.zeros_like(mean_CHW)])


def gaussian_pixels(data_space: DataSpace, config: ObservationConfig) -> GaussianPixels:
    """The observation model that the settings ask for."""
    sigmoid_mean = config.gaussian_mean == "sigmoid" and not data_space.is_plane
    match config.gaussian_variance:
        case "fixed":
            return GaussianPixels(config.gaussian_sigma, sigmoid_mean=sigmoid_mean)
        case "optimal":
            return OptimalGaussianPixels(config.gaussian_sigma, sigmoid_mean=sigmoid_mean)
        case "per-pixel":
            return PixelwiseGaussianPixels(sigmoid_mean=sigmoid_mean)
        case _:
            return LearnedGaussianPixels(config.gaussian_sigma, sigmoid_mean=sigmoid_mean)
