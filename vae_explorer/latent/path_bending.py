"""Bends of a path, as a person draws them: which one a place on the curve means, and the order of all. Torch-free.

Legend: K pins, P points of the curve, D latent dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.path_catalogue import Bend

Floats = NDArray[np.floating[Any]]

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
