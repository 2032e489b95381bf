"""Isochrones: lines of equal path length from a picked point, along the decoder's surface (MODELS.md 7.1).

The lengths are those of the shortest ways on a grid of the view's plane; a line is their contour.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.latent.field_raster import contour_lines
from vae_explorer.latent.geodesics import grid_distances
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.latent.geometry import Float64, Floats, Surface
    from vae_explorer.latent.views import View

_NUM_LINES = 8
# Of the nodes, so that one far corner behind a cliff does not leave a single line to all others.
_REACH_PERCENTILE = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class Isochrones:
    """Lines of map points, each (P, 2), and of which of the lengths `levels` each is; `step` from one to the next."""

    lines: tuple[Float64, ...]
    levels: tuple[float, ...]
    step: float


def isochrones(surface: Surface, view: View, rect: MapRect, source_2: Floats) -> Generator[None, None, Isochrones]:
    """Some eight lines about a map point, in short steps; no lines where the decoder gives nothing finite."""
    found = yield from grid_distances(surface, view, rect, source_2)
    finite = found.distance_RC[np.isfinite(found.distance_RC)]
    reach = float(np.percentile(finite, _REACH_PERCENTILE)) if len(finite) else 0.0
    if reach <= 0.0:
        return Isochrones((), (), 0.0)
    step = _round(reach / _NUM_LINES)
    # Nodes stand on the edges of the rectangle, the contours' cells about their centres; rows run from the top.
    across, up = (axis[1] - axis[0] for axis in (found.x_C, found.y_R))
    cells = MapRect(
        float(rect.left - across / 2), float(rect.bottom - up / 2), float(rect.right + across / 2),
        float(rect.top + up / 2),
    )  # fmt: skip
    field = found.distance_RC[::-1]
    lines: list[Float64] = []
    levels: list[float] = []
    for number in range(1, int(finite.max() / step) + 1):
        if number > 2 * _NUM_LINES:
            break
        some = contour_lines(field, cells, [number * step])
        lines += some
        levels += [number * step] * len(some)
        yield None
    return Isochrones(tuple(lines), tuple(levels), step)


def _round(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(value))
    return float(f"{power * max(part for part in (1.0, 2.0, 5.0) if part * power <= value * (1 + 1e-9)):.1g}")
