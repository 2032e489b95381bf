"""Points of the plane drawn from distributions whose density is known, so that -log p(x) of a model has a floor.

Every distribution lies within 4.5 of the origin, has a spread of about 1.5, and gives its density in closed form or as
an integral along its curve; the entropy H is the least mean -log p(x) that any model can reach, in nats.
Legend: N points; x_N2 float64 (N, 2), x to the right and y upwards.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vae_explorer.datasets.catalogue import Split

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

NUM_POINTS = {"train": 20_000, "test": 5_000}
SEEDS = {"train": 20250131, "test": 20250132}
"""Seeds of the two splits; numpy promises that the stream of RandomState never changes."""

REACH = 4.5
"""No point is farther than this from the origin in x or y, but for a few in a million."""

_LOG_TWO_PI = math.log(2 * math.pi)
_MOST_PAIRS = 4_000_000  # points times places on a curve that are looked at together


class PointDistribution(ABC):
    """A distribution over the plane that can be drawn from and whose density is known.

    `entropy` is H = -E log p(x) in nats, by quadrature of the density, rounded to five digits.
    """

    entropy: float

    @abstractmethod
    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """Points x_N2 and, where the set has classes, their numbers (N,)."""

    @abstractmethod
    def log_density(self, x_N2: Floats) -> Float64:
        """log p(x), (N,), in nats; minus infinity where no point can lie."""


class EightGaussians(PointDistribution):
    """Eight round Gaussians of sigma 0.2 on a circle of radius 2, equally likely."""

    radius, sigma = 2.0, 0.2
    entropy = 1.69806

    @property
    def means_K2(self) -> Float64:
        """Their centres, (8, 2), anticlockwise from the right."""
        angle_K = np.arange(8) * (2 * math.pi / 8)
        return self.radius * np.stack([np.cos(angle_K), np.sin(angle_K)], axis=1)

    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """A component, then a point of it."""
        label_N = random.randint(0, 8, size=num).astype(np.int64)
        return self.means_K2[label_N] + self.sigma * random.standard_normal((num, 2)), label_N

    def log_density(self, x_N2: Floats) -> Float64:
        """log 1/8 sum_k N(x; m_k, sigma^2 I)."""
        return _log_mean_of_gaussians(x_N2, self.means_K2, self.sigma)


class _NoisyCurves(PointDistribution):
    """Points on curves, blurred by round Gaussian noise: p(x) = integral of N(x; c(t), sigma^2 I) over p(t)."""

    sigma: float

    @abstractmethod
    def curve(self, share_N: Float64) -> Float64:
        """c, (N, 2), at shares 0..1 of a curve's parameter, which are uniform; all branches one after the other."""

    num_branches = 1

    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """A branch, a place on it, and noise."""
        branch_N = random.randint(0, self.num_branches, size=num).astype(np.int64)
        share_N = (branch_N + random.uniform(size=num)) / self.num_branches
        x_N2 = self.curve(share_N) + self.sigma * random.standard_normal((num, 2))
        return x_N2, branch_N if self.num_branches > 1 else None

    @cached_property
    def _places_K2(self) -> Float64:
        # Midpoints, at least 8 to a sigma: but for the very ends of a curve the sum is the integral to rounding.
        num = 200 * self.num_branches
        while True:
            places_K2 = self.curve((np.arange(num) + 0.5) / num)
            steps_K = np.linalg.norm(np.diff(places_K2, axis=0), axis=1)
            if np.quantile(steps_K, 0.99) < self.sigma / 8:
                return places_K2
            num *= 2

    def log_density(self, x_N2: Floats) -> Float64:
        """The integral along the curves by the midpoint rule."""
        return _log_mean_of_gaussians(x_N2, self._places_K2, self.sigma)


class TwoMoons(_NoisyCurves):
    """Two half circles that reach into one another, of radius 1.5, blurred by 0.15."""

    sigma, num_branches = 0.15, 2
    entropy = 1.81851

    def curve(self, share_N: Float64) -> Float64:
        """The upper moon on the first half of the shares, the lower one on the second."""
        angle_N = 2 * math.pi * share_N
        is_upper_N = share_N < 0.5
        x_N = np.where(is_upper_N, np.cos(angle_N) - 0.5, 0.5 + np.cos(angle_N))
        y_N = np.where(is_upper_N, np.sin(angle_N) - 0.25, 0.25 + np.sin(angle_N))
        return 1.5 * np.stack([x_N, y_N], axis=1)


class SwissRoll(_NoisyCurves):
    """A spiral of one turn and a half whose radius grows with the angle, blurred by 0.12."""

    sigma = 0.12
    entropy = 2.37310

    def curve(self, share_N: Float64) -> Float64:
        """The spiral from the inside out; places are uniform in the angle."""
        angle_N = 1.5 * math.pi * (1 + 2 * share_N)
        direction_N2 = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
        place_N2: Float64 = 0.25 * angle_N[:, None] * direction_N2
        return place_N2


class Pinwheel(PointDistribution):
    """Five long Gaussians around the origin, twisted: each point is turned by an angle that grows with its radius.

    Turning by a function of the radius keeps areas, so the density is that of the Gaussian before the twist.
    """

    num_arms, twist = 5, 0.6
    mean_2, sigma_2 = np.array([2.0, 0.0]), np.array([0.6, 0.18])
    entropy = 2.21632

    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """An arm, a point of its Gaussian, and the twist."""
        arm_N = random.randint(0, self.num_arms, size=num).astype(np.int64)
        flat_N2 = self.mean_2 + self.sigma_2 * random.standard_normal((num, 2))
        angle_N = arm_N * (2 * math.pi / self.num_arms) + self.twist * np.linalg.norm(flat_N2, axis=1)
        return _turned(flat_N2, angle_N), arm_N

    def log_density(self, x_N2: Floats) -> Float64:
        """log 1/5 sum_k N(x turned back by arm k; m, diag sigma^2)."""
        x_N2 = x_N2.astype(np.float64)
        twist_N = self.twist * np.linalg.norm(x_N2, axis=1)
        log_p_KN = []
        for arm in range(self.num_arms):
            flat_N2 = _turned(x_N2, -(arm * (2 * math.pi / self.num_arms) + twist_N))
            square_N = (((flat_N2 - self.mean_2) / self.sigma_2) ** 2).sum(1)
            log_p_KN.append(-0.5 * square_N - _LOG_TWO_PI - math.log(float(self.sigma_2.prod())))
        return _log_mean_exp(np.stack(log_p_KN, axis=1))


class Checkerboard(PointDistribution):
    """The eight dark squares of a board of 4 x 4, each of side 1.5, uniformly."""

    side = 1.5
    entropy = math.log(8 * side**2)

    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """A dark square, then a point of it."""
        square_N = random.randint(0, 8, size=num)
        row_N, pair_N = square_N // 2, square_N % 2
        corner_N2 = np.stack([2 * pair_N + row_N % 2 - 2, row_N - 2], axis=1)
        return self.side * (corner_N2 + random.uniform(size=(num, 2))), None

    def log_density(self, x_N2: Floats) -> Float64:
        """-log of the dark area on the dark squares."""
        cell_N2 = np.floor(np.asarray(x_N2, dtype=np.float64) / self.side).astype(np.int64) + 2
        is_dark_N = (cell_N2.sum(1) % 2 == 0) & (cell_N2 >= 0).all(1) & (cell_N2 < 4).all(1)
        return np.where(is_dark_N, -math.log(8 * self.side**2), -math.inf)


class Ring(PointDistribution):
    """A circle of radius 2 in every direction alike; the radius is Gaussian with sigma 0.15."""

    radius, sigma = 2.0, 0.15
    entropy = 2.05001

    def draw(self, num: int, random: np.random.RandomState) -> tuple[Float64, NDArray[np.int64] | None]:
        """A direction and a radius."""
        angle_N = random.uniform(0, 2 * math.pi, size=num)
        radius_N = self.radius + self.sigma * random.standard_normal(num)
        return radius_N[:, None] * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1), None

    def log_density(self, x_N2: Floats) -> Float64:
        """log N(r; R, sigma^2) - log 2 pi r."""
        radius_N: Float64 = np.linalg.norm(x_N2.astype(np.float64), axis=1).clip(1e-12)
        standardised_N = (radius_N - self.radius) / self.sigma
        log_p_N: Float64 = -0.5 * standardised_N**2 - 1.5 * _LOG_TWO_PI - math.log(self.sigma) - np.log(radius_N)
        return log_p_N


DISTRIBUTIONS: dict[str, PointDistribution] = {
    "eight-gaussians": EightGaussians(),
    "two-moons": TwoMoons(),
    "pinwheel": Pinwheel(),
    "swiss-roll": SwissRoll(),
    "checkerboard": Checkerboard(),
    "ring": Ring(),
}


def draw_split(name: str, split: Split) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """The points of a split as items, float32 (N, 2, 1, 1), and their classes (N,); the same for ever."""
    x_N2, label_N = DISTRIBUTIONS[name].draw(NUM_POINTS[split], np.random.RandomState(SEEDS[split]))
    return x_N2.astype(np.float32)[:, :, np.newaxis, np.newaxis], label_N


def _turned(x_N2: Floats, angle_N: Floats) -> Float64:
    cosine_N, sine_N = np.cos(angle_N), np.sin(angle_N)
    x_N, y_N = x_N2.T
    return np.stack([cosine_N * x_N - sine_N * y_N, sine_N * x_N + cosine_N * y_N], axis=1)


def _log_mean_of_gaussians(x_N2: Floats, means_K2: Float64, sigma: float) -> Float64:
    x_N2 = np.asarray(x_N2, dtype=np.float64)
    parts = []
    rows = max(1, _MOST_PAIRS // len(means_K2))
    for start in range(0, len(x_N2), rows):
        square_NK = ((x_N2[start : start + rows, None] - means_K2) ** 2).sum(2)
        parts.append(_log_mean_exp(-0.5 * square_NK / sigma**2))
    mean_N = np.concatenate(parts) if parts else np.zeros(0)
    log_p_N: Float64 = mean_N - _LOG_TWO_PI - 2 * math.log(sigma)
    return log_p_N


def _log_mean_exp(values_NK: Float64) -> Float64:
    greatest_N = values_NK.max(1)
    mean_N: Float64 = greatest_N + np.log(np.exp(values_NK - greatest_N[:, None]).mean(1))
    return mean_N
