"""Views: the rule that lifts a map point (x, y) to a latent point z, and back. Numpy only, torch-free.

Legend: N points, D latent dimensions. All arithmetic is float64 unless the caller's codes are float32 (a
projection of 60,000 codes four times a second should not pay for digits that no screen shows).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.map_rect import MapRect

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# The golden ratio's fractional part: successive multiples modulo one fill the unit interval evenly.
_GOLDEN = 0.6180339887498949
# How exactly, relative to its size, a map point must come back from `lift` and `project` to be itself. Well below what
# the inverse-CDF view keeps off its edges, so that an edge, which is no latent point, does not.
_RETURN = 1e-7

PRIOR_RECT: Final = MapRect(-3.0, -3.0, 3.0, 3.0)
"""Three standard deviations of the prior along both axes of a map in latent units."""


@runtime_checkable
class View(Protocol):
    """What the map needs of a view. Frozen and hashable, so that caches can be keyed by it."""

    @property
    def num_dimensions(self) -> int:
        """D, the number of coordinates of a lifted point."""

    @property
    def axis_labels(self) -> tuple[str, str]:
        """What the x and the y axis measure; an empty string where an axis measures nothing."""

    @property
    def home(self) -> MapRect:
        """What a map in this view shows at least, before there are codes and however close together they lie."""

    def lift(self, xy_N2: Floats) -> Float64:
        """Latent points z_ND of map points."""

    def project(self, z_ND: Floats) -> Floats:
        """Map points of latent points: the inverse of `lift` on the view's points, else the nearest point."""

    def place(self, z_ND: Floats) -> Floats:
        """Map points at which data are drawn: `project`, but an axis without meaning spreads them out."""

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the latent point lies in this view, so that the map shows it where it truly is."""

    @property
    def is_exact(self) -> bool:
        """Whether `lift` is a formula, so that every map point has one true latent point; else it is a guess."""

    def distance(self, z_ND: Floats) -> Floats:
        """Latent distance (N,) of each point from its place in the view; 0 where the view shows the whole space."""

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """Mean xy_N2 and covariance_N22, in map coordinates, of N(mean, diag sigma^2) seen through `project`.

        Exact where `project` is linear, else of first order in sigma.
        """

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """The derivatives u_ND and v_ND of `lift` along x and along y."""


@dataclass(frozen=True, slots=True)
class PlaneView:
    """The plane anchor + x u + y v in latent space; for D = 2 with unit axes it is the identity.

    Held as tuples, so that equal planes are equal and hash alike. `explained` are the shares of the codes' variance
    along x and y, where the plane was fitted to show it.
    """

    anchor: tuple[float, ...]
    u: tuple[float, ...]
    v: tuple[float, ...]
    axis_labels: tuple[str, str]
    explained: tuple[float, float] | None = None

    @classmethod
    def of_dimensions(cls, i: int, j: int, anchor_D: Floats) -> Self:
        """The plane of dimensions i and j (from 0) through `anchor_D`; x and y are z_i and z_j themselves."""
        anchor = np.array(anchor_D, dtype=np.float64)
        num_dimensions = anchor.size
        if not (0 <= i < num_dimensions and 0 <= j < num_dimensions) or i == j:
            raise ValueError(f"dimensions {i} and {j} span no plane of a {num_dimensions}-dimensional space")
        anchor[[i, j]] = 0.0
        identity = np.eye(num_dimensions)
        return cls.through(anchor, identity[i], identity[j], (dimension_name(i), dimension_name(j)))

    @classmethod
    def through(
        cls,
        anchor_D: Floats,
        u_D: Floats,
        v_D: Floats,
        axis_labels: tuple[str, str],
        explained: tuple[float, float] | None = None,
    ) -> Self:
        """Any plane, by a point and two directions that are not parallel (of any length, at any angle)."""
        u, v = np.asarray(u_D, dtype=np.float64), np.asarray(v_D, dtype=np.float64)
        if np.linalg.matrix_rank(np.stack([u, v])) < 2:
            raise ValueError("the two directions of a plane must not be parallel")
        return cls(
            tuple(np.asarray(anchor_D, dtype=np.float64).tolist()),
            tuple(u.tolist()),
            tuple(v.tolist()),
            axis_labels,
            explained,
        )

    @property
    def num_dimensions(self) -> int:
        """D."""
        return len(self.anchor)

    @property
    def home(self) -> MapRect:
        """Three units to each side of the anchor."""
        return PRIOR_RECT

    def lift(self, xy_N2: Floats) -> Float64:
        """z_ND = anchor + x u + y v."""
        z_ND: Float64 = np.array(self.anchor) + np.asarray(xy_N2, dtype=np.float64) @ self._basis()
        return z_ND

    def project(self, z_ND: Floats) -> Floats:
        """The least-squares coordinates in the plane; float32 in, float32 out."""
        z = np.asarray(z_ND)
        inverse_D2 = self._inverse().astype(z.dtype)
        offset_2 = (np.array(self.anchor) @ inverse_D2).astype(z.dtype)
        xy_N2: Floats = z @ inverse_D2
        xy_N2 -= offset_2
        return xy_N2

    def place(self, z_ND: Floats) -> Floats:
        """Both axes mean something here, so data stand where they project."""
        return self.project(z_ND)

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the point is its own projection, up to `tolerance` in each coordinate."""
        z_1D = np.asarray(z_D, dtype=np.float64)[None]
        return bool(np.abs(self.lift(self.project(z_1D)) - z_1D).max() <= tolerance)

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

    def distance(self, z_ND: Floats) -> Floats:
        """Perpendicular distance from the plane, (N,); float32 in, float32 out."""
        z = np.asarray(z_ND)
        if self.num_dimensions == 2:
            return np.zeros(len(z), z.dtype)
        across_DD = (np.eye(self.num_dimensions) - self._inverse() @ self._basis()).astype(z.dtype)
        offset_ND = (z - np.array(self.anchor, dtype=z.dtype)) @ across_DD
        distance_N: Floats = np.sqrt(np.einsum("nd,nd->n", offset_ND, offset_ND))
        return distance_N

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """Exactly: A' diag(sigma^2) A with A the pseudo-inverse of the axes."""
        return np.array(self.project(mean_ND), dtype=np.float64), spread(self._inverse(), sigma_ND)

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """u and v, the same everywhere."""
        return np.tile(np.array(self.u), (len(xy_N2), 1)), np.tile(np.array(self.v), (len(xy_N2), 1))

    def _basis(self) -> Float64:
        return np.array([self.u, self.v])

    def _inverse(self) -> Float64:
        return np.asarray(np.linalg.pinv(self._basis()), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LineView:
    """A one-dimensional latent space as a map: x is z, y means nothing and only spreads the codes."""

    axis_labels: tuple[str, str] = ("z", "")

    @property
    def num_dimensions(self) -> int:
        """Always 1."""
        return 1

    @property
    def home(self) -> MapRect:
        """The prior's three standard deviations to each side."""
        return PRIOR_RECT

    def lift(self, xy_N2: Floats) -> Float64:
        """z = x, whatever y is."""
        return np.array(xy_N2, dtype=np.float64)[:, :1]

    def project(self, z_ND: Floats) -> Floats:
        """On the line y = 0."""
        z = np.asarray(z_ND)
        return np.concatenate([z, np.zeros_like(z)], axis=1)

    def place(self, z_ND: Floats) -> Floats:
        """Spread evenly over -1 <= y <= 1 by item number, the same item always at the same height."""
        xy_N2 = self.project(z_ND)
        xy_N2[:, 1] = (np.arange(len(xy_N2)) * _GOLDEN) % 1.0 * 2.0 - 1.0
        return xy_N2

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Every point of a one-dimensional space is on the line."""
        return np.asarray(z_D).size == 1 and tolerance >= 0.0

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

    def distance(self, z_ND: Floats) -> Floats:
        """Zero, (N,): the line is the whole space."""
        z = np.asarray(z_ND)
        return np.zeros(len(z), z.dtype)

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """The variance of z along x; none along y, which means nothing."""
        mean_N2 = np.array(self.project(mean_ND), dtype=np.float64)
        return mean_N2, spread(np.array([[1.0, 0.0]]), sigma_ND)

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """One along x, nothing along y."""
        return np.ones((len(xy_N2), 1)), np.zeros((len(xy_N2), 1))


def shown_by(view: View, xy_N2: Floats, z_ND: Floats | None = None) -> NDArray[np.bool_]:
    """At which map points (N,) the view shows a latent point that is shown nowhere else.

    On and beyond the edges of the inverse-CDF view, or beyond the far side of a sphere, `lift` gives a point that
    belongs elsewhere on the map. Every place of a line and of an overview shows something, the latter only a guess.
    `z_ND`: `lift` of the map points, where the caller has it already.
    """
    xy = np.asarray(xy_N2, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        z = view.lift(xy) if z_ND is None else np.asarray(z_ND, dtype=np.float64)
        is_shown_N: NDArray[np.bool_] = np.all(np.isfinite(z), axis=1)
        if view.num_dimensions > 1 and view.is_exact:
            back_N2 = np.asarray(view.project(z))
            is_shown_N = is_shown_N & np.all(np.abs(back_N2 - xy) <= _RETURN * (1.0 + np.abs(xy)), axis=1)
    return is_shown_N


def spread(jacobian: Float64, sigma_ND: Floats) -> Float64:
    """Covariance_N22 = J' diag(sigma^2) J of map coordinates whose derivative is J, (D, 2) or (N, D, 2)."""
    variance_ND = np.square(np.asarray(sigma_ND, dtype=np.float64))
    jacobian_ND2 = np.broadcast_to(jacobian, (*variance_ND.shape, 2))
    covariance_N22: Float64 = np.einsum("nda,nd,ndb->nab", jacobian_ND2, variance_ND, jacobian_ND2)
    return covariance_N22


def perpendicular(vector_D: Float64, frame_KD: Float64) -> Float64:
    """What is left of the vector beside an orthonormal frame (Gram-Schmidt); its length is not changed to one."""
    rest_D = vector_D - frame_KD.T @ (frame_KD @ vector_D)
    # Twice is enough: the second pass removes what rounding left of the first.
    return np.asarray(rest_D - frame_KD.T @ (frame_KD @ rest_D), dtype=np.float64)


def dimension_name(dimension: int) -> str:
    """z₁ for dimension 0."""
    return "z" + str(dimension + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
