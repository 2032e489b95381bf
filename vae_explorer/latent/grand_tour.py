"""The grand tour: a smooth walk through the planes of a latent space, each of which decodes exactly. Torch-free.

Asimov: The grand tour, SIAM J. Sci. Stat. Comput. 6(1), 1985; the geodesic between planes without spin within them
follows Buja, Cook, Asimov, Hurley: Computational methods for high-dimensional rotations, 2005.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vae_explorer.latent.views import Float64, Floats, PlaneView

SECONDS_BETWEEN_WAYPOINTS = 6.0

# A chain of waypoints is computed from its start; blocks keep the recursion shallow.
_BLOCK = 64


def tour_view(
    seed: int, seconds: float, num_dimensions: int, anchor_D: Floats, start: PlaneView | None = None
) -> PlaneView:
    """The plane through `anchor_D` that the tour of this seed shows at this time; the same time gives the same plane.

    Its axes are orthonormal to 1e-12 and move continuously, slowing down at each random plane. The tour starts in the
    plane of `start`, else in that of dimensions 1 and 2. Raises ValueError for fewer than three dimensions, which have
    but one plane, or a time before the start.
    """
    if num_dimensions < 3 or not (seconds >= 0.0 and np.isfinite(seconds)):
        raise ValueError(f"no tour at {seconds} seconds of {num_dimensions} dimensions")
    axes = None if start is None else (start.u, start.v)
    index, rest = divmod(seconds / SECONDS_BETWEEN_WAYPOINTS, 1.0)
    for waypoint in range(0, int(index), _BLOCK):
        _waypoint(seed, num_dimensions, axes, waypoint)
    frame_2D = _waypoint(seed, num_dimensions, axes, int(index))
    # Starts and ends each stretch at rest, so that no waypoint is a kink.
    part = rest * rest * (3.0 - 2.0 * rest)
    frame_2D = _between(frame_2D, _random_frame(seed, num_dimensions, int(index) + 1), part)
    return PlaneView.through(anchor_D, frame_2D[0], frame_2D[1], ("tour 1", "tour 2"))


@lru_cache(maxsize=4096)
def _waypoint(
    seed: int, num_dimensions: int, axes: tuple[tuple[float, ...], tuple[float, ...]] | None, index: int
) -> Float64:
    """The frame that the tour reaches after `index` stretches, as two rows."""
    if index == 0:
        return np.eye(num_dimensions)[:2] if axes is None else _orthonormal(np.array(axes))
    before_2D = _waypoint(seed, num_dimensions, axes, index - 1)
    return _between(before_2D, _random_frame(seed, num_dimensions, index), 1.0)


def _random_frame(seed: int, num_dimensions: int, index: int) -> Float64:
    """Uniform among all planes."""
    return _orthonormal(np.random.default_rng((abs(seed), index)).normal(size=(2, num_dimensions)))


def _between(first_2D: Float64, second_2D: Float64, part: float) -> Float64:
    """The frame after `part` of the geodesic from the first frame to the second one's plane.

    Along principal vectors each axis turns by its principal angle, and nothing turns within the plane.
    """
    left_22, cosines_2, right_22 = np.linalg.svd(first_2D @ second_2D.T)
    from_2D, to_2D = left_22.T @ first_2D, right_22 @ second_2D
    aside_2D = to_2D - cosines_2[:, None] * from_2D
    sines_2 = np.linalg.norm(aside_2D, axis=1)
    angles_21 = (part * np.arctan2(sines_2, cosines_2))[:, None]
    # A principal vector that both planes share stays where it is.
    aside_2D = np.divide(aside_2D, sines_2[:, None], out=np.zeros_like(aside_2D), where=sines_2[:, None] > 1e-9)
    return _orthonormal(left_22 @ (np.cos(angles_21) * from_2D + np.sin(angles_21) * aside_2D))


def _orthonormal(vectors_2D: Float64) -> Float64:
    """The nearest orthonormal frame, by the polar decomposition."""
    left_22, _, right_2D = np.linalg.svd(vectors_2D, full_matrices=False)
    return np.asarray(left_22 @ right_2D, dtype=np.float64)
