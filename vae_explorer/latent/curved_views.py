"""Views that are no planes: a part of a sphere, and the square of figure 4 of AEVB. Numpy only, torch-free.

Legend: N points, D latent dimensions. Both lift by a formula, so what they decode is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PRIOR_RECT, Float64, Floats, dimension_name, perpendicular, spread

_LEAST_PROBABILITY = 1e-6
_SQUARE = MapRect(0.0, 0.0, 1.0, 1.0)
# The sine of the least angle, a twentieth of a degree, between a direction and the span of others.
_LEAST_ASIDE = 1e-3
_SQUARE_ROOT_OF_2_PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class SphereView:
    """Part of the sphere of radius sqrt(D), seen from its centre: a great-circle chart through three directions.

    In many dimensions the mass of N(0, I) lies near that shell and a flat plane through the origin misses it. The
    map is the exponential map at `middle`: straight lines through the map's origin are great circles, and distances
    from the origin are lengths of arc in latent units. `middle`, `u` and `v` are orthonormal.
    """

    middle: tuple[float, ...]
    u: tuple[float, ...]
    v: tuple[float, ...]
    axis_labels: tuple[str, str] = ("arc 1", "arc 2")

    @classmethod
    def through(cls, directions_3D: Floats) -> Self:
        """The chart whose middle is the mean of the three directions; x points from it towards the second.

        Raises ValueError where they are not three independent directions.
        """
        directions = np.asarray(directions_3D, dtype=np.float64)
        lengths_3 = np.linalg.norm(directions, axis=1, keepdims=True)
        if not np.isfinite(directions).all() or lengths_3.min() <= 0.0:
            raise ValueError("a direction needs a length")
        directions = directions / lengths_3
        if np.linalg.matrix_rank(directions, tol=1e-6) < 3:
            raise ValueError("the three directions of a sphere must not lie in one plane")
        middle = directions.mean(axis=0)
        middle /= np.linalg.norm(middle)
        u = perpendicular(directions[1], middle[None])
        u /= np.linalg.norm(u)
        v = perpendicular(directions[2], np.stack([middle, u]))
        v /= np.linalg.norm(v)
        return cls(tuple(middle.tolist()), tuple(u.tolist()), tuple(v.tolist()))

    @property
    def num_dimensions(self) -> int:
        """D."""
        return len(self.middle)

    @property
    def radius(self) -> float:
        """sqrt(D)."""
        return math.sqrt(self.num_dimensions)

    @property
    def home(self) -> MapRect:
        """Three units of arc to each side of the middle."""
        return PRIOR_RECT

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

    def lift(self, xy_N2: Floats) -> Float64:
        """The exponential map: walk along the great circle that starts at the middle in the direction (x, y)."""
        xy = np.asarray(xy_N2, dtype=np.float64)
        angle_N1 = np.linalg.norm(xy, axis=1, keepdims=True) / self.radius
        # sinc is sin(pi t) / (pi t), so that nothing is divided by an angle of zero.
        coordinates_N3 = np.concatenate(
            [self.radius * np.cos(angle_N1), xy * np.sinc(angle_N1 / np.pi)], axis=1
        )  # fmt: skip
        z_ND: Float64 = coordinates_N3 @ self._frame()
        return z_ND

    def project(self, z_ND: Floats) -> Floats:
        """The logarithmic map of the nearest point of the sphere; float32 in, float32 out."""
        z = np.asarray(z_ND)
        coordinates_N3 = np.asarray(z, dtype=np.float64) @ self._frame().T
        aside_N = np.linalg.norm(coordinates_N3[:, 1:], axis=1)
        arc_N = self.radius * np.arctan2(aside_N, coordinates_N3[:, 0])
        is_aside = aside_N > 0.0
        towards_N2 = np.zeros((len(z), 2))
        np.divide(coordinates_N3[:, 1:], aside_N[:, None], out=towards_N2, where=is_aside[:, None])
        # The point opposite the middle is equally far in every direction; any one is right.
        towards_N2[~is_aside] = (1.0, 0.0)
        xy_N2: Floats = (arc_N[:, None] * towards_N2).astype(z.dtype)
        return xy_N2

    def place(self, z_ND: Floats) -> Floats:
        """Data stand where they project."""
        return self.project(z_ND)

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the point lies on this part of the sphere."""
        return bool(self.distance(np.asarray(z_D, dtype=np.float64)[None])[0] <= tolerance)

    def distance(self, z_ND: Floats) -> Floats:
        """Distance (N,) to the nearest point of the sphere within the space of the three directions."""
        z = np.asarray(z_ND)
        distance_N: Floats = np.linalg.norm(z - self.lift(self.project(z)), axis=1).astype(z.dtype)
        return distance_N

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """Of first order in sigma: by the derivative of `project` at the mean."""
        return marginal_by_differences(self.project, mean_ND, sigma_ND)

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """The derivative of the exponential map."""
        xy = np.asarray(xy_N2, dtype=np.float64)
        angle_N1 = np.linalg.norm(xy, axis=1, keepdims=True) / self.radius
        ratio_N1 = np.sinc(angle_N1 / np.pi)
        # (cos a - sin a / a) / a^2, whose limit at 0 is -1/3; the series holds to 1e-12 where the quotient cancels.
        is_small = angle_N1 < 1e-2
        safe_N1 = np.where(is_small, 1.0, angle_N1)
        bend_N1 = np.where(
            is_small, -1.0 / 3.0 + angle_N1**2 / 30.0 - angle_N1**4 / 840.0, (np.cos(safe_N1) - ratio_N1) / safe_N1**2
        )  # fmt: skip
        scaled = xy / self.radius
        frame_3D = self._frame()
        tangents = []
        for axis in range(2):
            along_N1 = scaled[:, axis : axis + 1]
            aside_N2 = scaled * along_N1 * bend_N1
            aside_N2[:, axis : axis + 1] += ratio_N1
            tangents.append(np.concatenate([-along_N1 * ratio_N1, aside_N2], axis=1) @ frame_3D)
        return tangents[0], tangents[1]

    def _frame(self) -> Float64:
        return np.array([self.middle, self.u, self.v])


@dataclass(frozen=True, slots=True)
class InverseCdfView:
    """The unit square carried onto two latent coordinates by the prior's quantiles, as in figure 4 of AEVB.

    z_i = Phi^-1(x) and z_j = Phi^-1(y); the others stay at the anchor. Equal areas of the map hold equal prior mass.
    x and y are kept within 1e-6 of the square's edges, that is within 4.75 sigma.
    Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114, figure 4.
    """

    anchor: tuple[float, ...]
    i: int = 0
    j: int = 1

    @classmethod
    def of_dimensions(cls, i: int, j: int, anchor_D: Floats) -> Self:
        """The square of dimensions i and j (from 0) through `anchor_D`; raises ValueError where there are none."""
        anchor = np.array(anchor_D, dtype=np.float64)
        if not (0 <= i < anchor.size and 0 <= j < anchor.size) or i == j:
            raise ValueError(f"dimensions {i} and {j} span no plane of a {anchor.size}-dimensional space")
        anchor[[i, j]] = 0.0
        return cls(tuple(anchor.tolist()), i, j)

    @property
    def num_dimensions(self) -> int:
        """D."""
        return len(self.anchor)

    @property
    def axis_labels(self) -> tuple[str, str]:
        """Probabilities under the prior."""
        return f"Φ({dimension_name(self.i)})", f"Φ({dimension_name(self.j)})"

    @property
    def home(self) -> MapRect:
        """The unit square: nothing lies outside."""
        return _SQUARE

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

    def lift(self, xy_N2: Floats) -> Float64:
        """The prior's quantiles of x and y."""
        xy = np.asarray(xy_N2, dtype=np.float64)
        z_ND: Float64 = np.tile(np.array(self.anchor), (len(xy), 1))
        z_ND[:, [self.i, self.j]] = normal_quantile(np.clip(xy, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY))
        return z_ND

    def project(self, z_ND: Floats) -> Floats:
        """The prior's distribution function of two coordinates; float32 in, float32 out."""
        z = np.asarray(z_ND)
        xy_N2: Floats = normal_cdf(z[:, [self.i, self.j]]).astype(z.dtype)
        return xy_N2

    def place(self, z_ND: Floats) -> Floats:
        """Data stand where they project: evenly, if they are spread as the prior is."""
        return self.project(z_ND)

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the other coordinates are the anchor's and these two within the square's reach."""
        return bool(self.distance(np.asarray(z_D, dtype=np.float64)[None])[0] <= tolerance)

    def distance(self, z_ND: Floats) -> Floats:
        """Distance (N,) from the plane of the two coordinates, and beyond its edges from those."""
        z = np.asarray(z_ND)
        offset_ND = z - np.array(self.anchor, dtype=z.dtype)
        reach = -float(normal_quantile(np.array([_LEAST_PROBABILITY]))[0])
        pair = [self.i, self.j]
        offset_ND[:, pair] = np.maximum(np.abs(z[:, pair]) - z.dtype.type(reach), 0.0)
        distance_N: Floats = np.linalg.norm(offset_ND, axis=1)
        return distance_N

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """Of first order in sigma: the density of the prior scales each sigma."""
        pair = [self.i, self.j]
        pair_N2 = np.asarray(mean_ND, dtype=np.float64)[:, pair]
        deviation_N2 = _normal_density(pair_N2) * np.asarray(sigma_ND, dtype=np.float64)[:, pair]
        covariance_N22 = np.zeros((len(pair_N2), 2, 2))
        covariance_N22[:, [0, 1], [0, 1]] = deviation_N2**2
        return normal_cdf(pair_N2), covariance_N22

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """One over the prior's density; zero beyond the square, where `lift` stands still."""
        xy = np.asarray(xy_N2, dtype=np.float64)
        is_inside = (xy >= _LEAST_PROBABILITY) & (xy <= 1.0 - _LEAST_PROBABILITY)
        quantile_N2 = normal_quantile(np.clip(xy, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY))
        slope_N2 = np.where(is_inside, 1.0 / _normal_density(quantile_N2), 0.0)
        u_ND, v_ND = np.zeros((2, len(xy), self.num_dimensions))
        u_ND[:, self.i], v_ND[:, self.j] = slope_N2[:, 0], slope_N2[:, 1]
        return u_ND, v_ND


def independent_directions(directions_3D: Floats) -> Float64:
    """Three independent directions (3, D) of length one, made of three directions of which some may depend on others.

    A direction in the span of those before it is left out, and instead comes, last, the latent axis furthest from the
    span of the others; of several the first. So pins that lie in one plane with the origin, as all pins of a plane
    through the origin do, keep their plane and get the axis furthest from it as the third direction. A point at the
    origin has no direction and is left out too. The directions are finite, and D is 3 or more.
    """
    directions = np.asarray(directions_3D, dtype=np.float64)
    axes_DD = np.eye(directions.shape[1])
    frame_KD = np.zeros((0, len(axes_DD)))
    chosen: list[Float64] = []
    for direction_D in directions:
        length = float(np.linalg.norm(direction_D))
        if length > 0.0 and np.linalg.norm(perpendicular(direction_D / length, frame_KD)) > _LEAST_ASIDE:
            chosen.append(direction_D / length)
            frame_KD = _extended(frame_KD, chosen[-1])
    while len(chosen) < 3:
        # Rounded, so that axes equally far are not told apart by the last digits.
        within_D = np.round(np.square(frame_KD).sum(axis=0), 9)
        chosen.append(axes_DD[int(np.argmin(within_D))])
        frame_KD = _extended(frame_KD, chosen[-1])
    return np.stack(chosen)


def _extended(frame_KD: Float64, direction_D: Float64) -> Float64:
    rest_D = perpendicular(direction_D, frame_KD)
    return np.concatenate([frame_KD, rest_D[None] / np.linalg.norm(rest_D)])


def marginal_by_differences(
    project: Callable[[Floats], Floats], mean_ND: Floats, sigma_ND: Floats, step: float = 1e-5
) -> tuple[Float64, Float64]:
    """Mean and covariance, of first order in sigma, of a Gaussian seen through `project`.

    The derivative is by central differences: 2 D projections of each point; `step` is in latent units.
    """
    mean = np.asarray(mean_ND, dtype=np.float64)
    num_points, num_dimensions = mean.shape
    shifts_DD = step * np.eye(num_dimensions)
    ahead, behind = (
        project((mean[:, None] + sign * shifts_DD).reshape(-1, num_dimensions)).reshape(num_points, num_dimensions, 2)
        for sign in (1.0, -1.0)
    )
    jacobian_ND2 = np.asarray(ahead - behind, dtype=np.float64) / (2.0 * step)
    return np.array(project(mean), dtype=np.float64), spread(jacobian_ND2, sigma_ND)


def normal_cdf(z: Floats) -> Float64:
    """Phi(z) in double precision, of any shape.

    Hart's rational approximation with a continued fraction beyond 7.07; G. West: Better approximations to cumulative
    normal functions, Wilmott Magazine, 2005.
    """
    z = np.asarray(z, dtype=np.float64)
    size = np.minimum(np.abs(z), 37.5)
    gauss = np.exp(-0.5 * size * size)
    tail = gauss * _polynomial(_HART_ABOVE, size) / _polynomial(_HART_BELOW, size)
    is_far = size > 7.07106781186547
    if is_far.any():
        far = size[is_far]
        fraction = far + 0.65
        for numerator in (4.0, 3.0, 2.0, 1.0):
            fraction = far + numerator / fraction
        tail[is_far] = gauss[is_far] / (fraction * _SQUARE_ROOT_OF_2_PI)
    cdf: Float64 = np.where(z > 0.0, 1.0 - tail, tail)
    # A comparison with NaN is false, and a point without a place has no probability.
    cdf[np.isnan(z)] = np.nan
    return cdf


def normal_quantile(probability: Floats) -> Float64:
    """Phi^-1 of probabilities strictly between 0 and 1, of any shape, to about 1e-14.

    P. J. Acklam's rational approximation (relative error 1.2e-9), then one step of Halley's method.
    """
    probability = np.asarray(probability, dtype=np.float64)
    # Of two tails the lower one is computed: near 1 the difference to 1 has lost its digits already, near 0 it has not.
    lower = np.minimum(probability, 1.0 - probability)
    centre = lower - 0.5
    square = centre * centre
    middle = centre * _polynomial(_ACKLAM_A, square) / _polynomial(_ACKLAM_B, square)
    root = np.sqrt(-2.0 * np.log(lower))
    outer = _polynomial(_ACKLAM_C, root) / _polynomial(_ACKLAM_D, root)
    z = np.where(lower < 0.02425, outer, middle)
    step = (normal_cdf(z) - lower) / _normal_density(z)
    z = z - step / (1.0 + 0.5 * z * step)
    quantile: Float64 = np.where(probability > 0.5, -z, z)
    return quantile


def _normal_density(z: Float64) -> Float64:
    density: Float64 = np.exp(-0.5 * z * z) / _SQUARE_ROOT_OF_2_PI
    return density


def _polynomial(coefficients: tuple[float, ...], x: Float64) -> Float64:
    """Horner's rule, the highest power first."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


_HART_ABOVE = (
    3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931,
    220.206867912376,
)  # fmt: skip
_HART_BELOW = (
    8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831,
    793.826512519948, 440.413735824752,
)  # fmt: skip
_ACKLAM_A = (
    -3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02, -3.066479806614716e01,
    2.506628277459239e00,
)  # fmt: skip
_ACKLAM_B = (
    -5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01, -1.328068155288572e01,
    1.0,
)  # fmt: skip
_ACKLAM_C = (
    -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00,
    4.374664141464968e00, 2.938163982698783e00,
)  # fmt: skip
_ACKLAM_D = (
    7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0,
)  # fmt: skip
