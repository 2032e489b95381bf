"""Bends of a path, as a person draws them: which one a place on the curve means, and the order of all. Torch-free.

Legend: K pins, P points of the curve, F frames, Q bends, D latent dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.path_catalogue import Bend

if TYPE_CHECKING:
    from vae_explorer.latent.views import View

Floats = NDArray[np.floating[Any]]

_IN_VIEW = 1e-3  # in latent units, as for the marks of the pins
_NEAR = 0.03  # of the curve's points: a bend nearer than this is the one meant


def bent(
    bends: tuple[Bend, ...],
    ends_KD: Floats,
    curve_PD: Floats,
    position: float,
    z_D: Floats,
    taken: int | None = None,
) -> tuple[tuple[Bend, ...], int]:
    """The bends after the curve was drawn to `z_D` from `position`, and the number of the bend that is there now.

    `position` runs from 0 to 1 by the number of the curve's points. A bend near it moves, else one is added to the
    segment between the two pins around it; `taken` is the number of the bend that moves in any case. The curve passes
    through all pins and bends, in order.
    """
    z = tuple(np.asarray(z_D, dtype=np.float64).tolist())
    if taken is not None and taken < len(bends):
        return _with(bends, taken, Bend(bends[taken].segment, z)), taken
    pins_at, bends_at = _places(bends, ends_KD, curve_PD)
    if bends:
        nearest = int(np.abs(bends_at - position).argmin())
        if abs(bends_at[nearest] - position) <= _NEAR:
            return _with(bends, nearest, Bend(bends[nearest].segment, z)), nearest
    segment = min(max(int(np.searchsorted(pins_at, position, side="right")) - 1, 0), len(ends_KD) - 2)
    before = [(bend.segment, at) <= (segment, position) for bend, at in zip(bends, bends_at.tolist(), strict=True)]
    number = sum(before)
    return (*bends[:number], Bend(segment, z), *bends[number:]), number


def bend_of_frame(bends: tuple[Bend, ...], z_FD: Floats, frame: int) -> int | None:
    """The number of the bend that is nearer to this frame than to any other, the nearest of several; None for none."""
    if not bends:
        return None
    distance_QF = np.linalg.norm(np.array([bend.z for bend in bends])[:, None] - z_FD, axis=2)
    distance_Q = np.where(distance_QF.argmin(axis=1) == frame, distance_QF[:, frame], np.inf)
    return int(distance_Q.argmin()) if np.isfinite(distance_Q).any() else None


def position_of(curve_PD: Floats, z_D: Floats) -> float:
    """Where the curve comes nearest to a latent point, from 0 to 1 by the number of its points."""
    return int(np.linalg.norm(curve_PD - z_D, axis=1).argmin()) / max(len(curve_PD) - 1, 1)


def moved_in_view(view: View, z_D: Floats, right: float, up: float) -> NDArray[np.float64]:
    """The latent point, (D,), moved by a step in map units: on the view where it lies there, else along it."""
    xy_12 = np.asarray(view.project(np.asarray(z_D, dtype=np.float64)[None]), dtype=np.float64)
    if view.holds(z_D, _IN_VIEW):
        lifted_1D: NDArray[np.float64] = view.lift(xy_12 + np.array([right, up]))
        return np.asarray(lifted_1D[0])
    u_1D, v_1D = view.tangents(xy_12)
    moved_D: NDArray[np.float64] = z_D + right * u_1D[0] + up * v_1D[0]
    return moved_D


def _with(bends: tuple[Bend, ...], number: int, bend: Bend) -> tuple[Bend, ...]:
    return (*bends[:number], bend, *bends[number + 1 :])


def _places(
    bends: tuple[Bend, ...], ends_KD: Floats, curve_PD: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where pins and bends lie on the curve, from 0 to 1; each is looked for after the one before."""
    order: list[tuple[bool, Floats]] = [(True, ends_KD[0])]
    for segment in range(len(ends_KD) - 1):
        order += [(False, np.array(bend.z)) for bend in bends if bend.segment == segment]
        order.append((True, ends_KD[segment + 1]))
    start = 0
    pins_at: list[float] = []
    bends_at: list[float] = []
    for is_pin, z_D in order:
        start += int(np.linalg.norm(curve_PD[start:] - z_D, axis=1).argmin())
        (pins_at if is_pin else bends_at).append(start / max(len(curve_PD) - 1, 1))
    return np.array(pins_at), np.array(bends_at)
