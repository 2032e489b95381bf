"""Views: the rule that lifts a map point (x, y) to a latent point z, and back. Numpy only, torch-free.

Legend: N points, D latent dimensions. All arithmetic is float64 unless the caller's codes are float32 (a
projection of 60,000 codes four times a second should not pay for digits that no screen shows).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# The golden ratio's fractional part: successive multiples modulo one fill the unit interval evenly.
_GOLDEN = 0.6180339887498949


@runtime_checkable
class View(Protocol):
    """What the map needs of a view. Frozen and hashable, so that caches can be keyed by it."""

    @property
    def num_dimensions(self) -> int:
        """D, the number of coordinates of a lifted point."""

    @property
    def axis_labels(self) -> tuple[str, str]:
        """What the x and the y axis measure; an empty string where an axis measures nothing."""

    def lift(self, xy_N2: Floats) -> Float64:
        """Latent points z_ND of map points."""

    def project(self, z_ND: Floats) -> Floats:
        """Map points of latent points: the inverse of `lift` on the view's points, else the nearest point."""

    def place(self, z_ND: Floats) -> Floats:
        """Map points at which data are drawn: `project`, but an axis without meaning spreads them out."""

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the latent point lies in this view, so that the map shows it where it truly is."""


@dataclass(frozen=True, slots=True)
class PlaneView:
    """The plane anchor + x u + y v in latent space; for D = 2 with unit axes it is the identity.

    Held as tuples, so that equal planes are equal and hash alike.
    """

    anchor: tuple[float, ...]
    u: tuple[float, ...]
    v: tuple[float, ...]
    axis_labels: tuple[str, str]

    @classmethod
    def of_dimensions(cls, i: int, j: int, anchor_D: Floats) -> Self:
        """The plane of dimensions i and j (from 0) through `anchor_D`; x and y are z_i and z_j themselves."""
        anchor = np.array(anchor_D, dtype=np.float64)
        num_dimensions = anchor.size
        if not (0 <= i < num_dimensions and 0 <= j < num_dimensions) or i == j:
            raise ValueError(f"dimensions {i} and {j} span no plane of a {num_dimensions}-dimensional space")
        anchor[[i, j]] = 0.0
        identity = np.eye(num_dimensions)
        return cls.through(anchor, identity[i], identity[j], (f"z{_subscript(i + 1)}", f"z{_subscript(j + 1)}"))

    @classmethod
    def through(cls, anchor_D: Floats, u_D: Floats, v_D: Floats, axis_labels: tuple[str, str]) -> Self:
        """Any plane, by a point and two directions that are not parallel (of any length, at any angle)."""
        u, v = np.asarray(u_D, dtype=np.float64), np.asarray(v_D, dtype=np.float64)
        if np.linalg.matrix_rank(np.stack([u, v])) < 2:
            raise ValueError("the two directions of a plane must not be parallel")
        return cls(
            tuple(np.asarray(anchor_D, dtype=np.float64).tolist()),
            tuple(u.tolist()),
            tuple(v.tolist()),
            axis_labels,
        )

    @property
    def num_dimensions(self) -> int:
        """D."""
        return len(self.anchor)

    def lift(self, xy_N2: Floats) -> Float64:
        """z_ND = anchor + x u + y v."""
        basis_2D = np.array([self.u, self.v])
        z_ND: Float64 = np.array(self.anchor) + np.asarray(xy_N2, dtype=np.float64) @ basis_2D
        return z_ND

    def project(self, z_ND: Floats) -> Floats:
        """The least-squares coordinates in the plane; float32 in, float32 out."""
        z = np.asarray(z_ND)
        inverse_D2 = np.linalg.pinv(np.array([self.u, self.v])).astype(z.dtype)
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


@dataclass(frozen=True, slots=True)
class LineView:
    """A one-dimensional latent space as a map: x is z, y means nothing and only spreads the codes."""

    axis_labels: tuple[str, str] = ("z", "")

    @property
    def num_dimensions(self) -> int:
        """Always 1."""
        return 1

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


def first_view(num_dimensions: int) -> View:
    """The view a model is first shown in: the line for D = 1, else dimensions 1 and 2 through the origin."""
    if num_dimensions == 1:
        return LineView()
    return PlaneView.of_dimensions(0, 1, np.zeros(num_dimensions))


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
