"""Alignment: what turns the codes of one moment onto those of another, so that a map through time does not spin.

Nothing in a bound says which way a latent space lies: training may turn or mirror it as a whole. Orthogonal Procrustes
(P. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31, 1966) finds the
rotation or reflection about the origin that brings corresponding codes nearest to each other; distances stay as they
are, and so does what is isotropic, such as N(0, I). Numpy only.

Legend: N items, the same in every frame, D latent dimensions; a rotation_DD acts from the right: z @ rotation_DD.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.views import PlaneView

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


def procrustes(codes_ND: Floats, onto_ND: Floats) -> Float64:
    """The orthogonal rotation_DD, reflections among them, that minimises |codes_ND @ rotation_DD - onto_ND|.

    Items that have no place in either are left out; without any it is the identity.
    """
    codes, onto = np.asarray(codes_ND, dtype=np.float64), np.asarray(onto_ND, dtype=np.float64)
    is_placed_N = np.isfinite(codes).all(axis=1) & np.isfinite(onto).all(axis=1)
    left_DD, _, right_DD = np.linalg.svd(codes[is_placed_N].T @ onto[is_placed_N])
    return np.asarray(left_DD @ right_DD, dtype=np.float64)


def rotations_onto(frames: Sequence[Floats], reference: int) -> tuple[Float64, ...]:
    """For each frame of codes, (N, D), what turns it into the space of the reference, neighbour by neighbour.

    Each frame turned by its rotation lies as near as can be to its neighbour on the reference's side turned by its own;
    that of the reference is the identity.
    """
    rotations = {reference: np.eye(frames[reference].shape[1])}
    for number in range(reference - 1, -1, -1):
        rotations[number] = procrustes(frames[number], frames[number + 1]) @ rotations[number + 1]
    for number in range(reference + 1, len(frames)):
        rotations[number] = procrustes(frames[number], frames[number - 1]) @ rotations[number - 1]
    return tuple(rotations[number] for number in range(len(frames)))


def turned_view(view: PlaneView, rotation_DD: Float64) -> PlaneView:
    """The plane through which a latent point is seen where `view` shows it turned.

    `turned_view(view, r).project(z) == view.project(z @ r)`; codes and network stay as they are, and what is decoded at
    a place is what belongs there.
    """
    anchor_D, u_D, v_D = (rotation_DD @ np.array(vector) for vector in (view.anchor, view.u, view.v))
    return PlaneView.through(anchor_D, u_D, v_D, view.axis_labels, view.explained)
