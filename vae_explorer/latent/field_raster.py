"""A scalar field over a part of the plane: its lattice, its colours and its contour lines.

A field (rows, columns) holds the values at the centres of the lattice's cells; row 0 is the top, as in a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vae_explorer.latent.drawing import Raster
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import shown_by

if TYPE_CHECKING:
    from vae_explorer.latent.views import View

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# A smooth field has no more to show; the painter magnifies the rest. 480 x 320 pixels are coloured in a millisecond.
_MOST_PIXELS = 480
_MOST_CELLS_ACROSS = 96

# Edges of a square of four samples: 0 above, 1 right, 2 below, 3 left. For each set of corners above the level (bit 0
# top left, 1 top right, 2 bottom right, 3 bottom left) the pairs of edges a line runs between.
_CROSSINGS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip


def lattice_shape(rect: MapRect, across: int = _MOST_CELLS_ACROSS) -> tuple[int, int]:
    """(rows, columns) of nearly square cells, `across` of them along the longer side of `rect`."""
    longest = max(rect.width, rect.height)
    return max(2, round(across * rect.height / longest)), max(2, round(across * rect.width / longest))


def lattice_points(rect: MapRect, rows: int, columns: int) -> Float64:
    """The cells' centres row by row from the top, (rows * columns, 2)."""
    x = rect.left + (np.arange(columns) + 0.5) * (rect.width / columns)
    y = rect.top - (np.arange(rows) + 0.5) * (rect.height / rows)
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x.reshape(-1), grid_y.reshape(-1)], axis=1)


def lifted(view: View, xy_P2: Float64) -> tuple[Float64, NDArray[np.bool_]]:
    """The latent points (P, D) of map points, and at which of these (P,) the view truly shows one (`shown_by`)."""
    with np.errstate(invalid="ignore"):
        z_PD = view.lift(xy_P2)
    return z_PD, shown_by(view, xy_P2, z_PD)


def faded(table_256: UInt8, alpha_256: Floats) -> UInt8:
    """The ramp of opaque colours with an alpha from 0 to 1 at each entry, premultiplied, (256, 4) uint8."""
    opaque = np.asarray(table_256, dtype=np.float64).copy()
    opaque[:, 3] = 255.0
    return np.rint(opaque * np.clip(alpha_256, 0.0, 1.0)[:, None]).astype(np.uint8)


def levels_of(field: Floats, low: float, high: float, width: int, height: int) -> UInt8:
    """The field between `low` (0) and `high` (255), resampled smoothly to so many pixels; non-finite values are 0."""
    span = high - low if high > low else 1.0
    scaled = np.clip((np.nan_to_num(field, nan=low, posinf=high, neginf=low) - low) / span, 0.0, 1.0) * 255.0
    values = torch.from_numpy(np.ascontiguousarray(scaled, dtype=np.float32))[None, None]
    if values.shape[2:] != (height, width):
        values = functional.interpolate(values, (height, width), mode="bilinear")
    return (values[0, 0] + 0.5).to(torch.uint8).numpy()


def field_raster(
    field: Floats, rect: MapRect, width: int, height: int, table_256: UInt8, low: float, high: float
) -> Raster:
    """The field as a picture.

    Args:
        field: (rows, columns) values at the centres of the cells of `rect`, row 0 at the top; where they are not
            finite the picture is transparent.
        rect: the part of the plane.
        width: device pixels across that `rect` has on the screen; no more than these are made.
        height: device pixels down.
        table_256: (256, 4) premultiplied colours from `low` to `high`, as of `LayerInk` or `faded`.
        low: the value of the first colour.
        high: the value of the last.
    """
    shrink = min(1.0, _MOST_PIXELS / max(width, height, 1))
    width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    levels = levels_of(field, low, high, width, height)
    # One lookup of four bytes is several times faster than four lookups of one.
    ink = np.ascontiguousarray(table_256).view(np.uint32).reshape(-1)
    pixels = np.take(ink, levels).view(np.uint8).reshape(height, width, 4)
    is_known = ~np.isnan(field)
    if not is_known.all():
        row = (np.arange(height) * field.shape[0]) // height
        column = (np.arange(width) * field.shape[1]) // width
        pixels *= is_known[row][:, column][..., None]
    return Raster(rect, pixels, is_smooth=True)


def contour_lines(field: Floats, rect: MapRect, levels: Sequence[float]) -> list[Float64]:
    """Where the field crosses the levels: lines of map points, each (P, 2), open or closed by their first point.

    Marching squares between the centres of the cells (Lorensen, Cline 1987, in two dimensions); squares with a value
    that is not finite have no line.
    """
    values: Float64 = np.asarray(field, dtype=np.float64)
    rows, columns = values.shape
    if rows < 2 or columns < 2:
        return []
    lines: list[Float64] = []
    for level in levels:
        starts, ends, crossing = _segments(values, float(level))
        for chain in _chains(starts, ends):
            row, column = crossing[chain].T
            x = rect.left + (column + 0.5) * (rect.width / columns)
            y = rect.top - (row + 0.5) * (rect.height / rows)
            lines.append(np.stack([x, y], axis=1))
    return lines


def _segments(field: Float64, level: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Float64]:
    """Numbers of the lattice edges between which lines run, and the crossing (row, column) on every edge."""
    rows, columns = field.shape
    above = field > level
    with np.errstate(divide="ignore", invalid="ignore"):
        across = (level - field[:, :-1]) / np.diff(field, axis=1)
        down = (level - field[:-1]) / np.diff(field, axis=0)
    row, column = np.meshgrid(np.arange(rows, dtype=np.float64), np.arange(columns, dtype=np.float64), indexing="ij")
    on_row = np.stack([row[:, :-1], column[:, :-1] + across], axis=2).reshape(-1, 2)
    on_column = np.stack([row[:-1] + down, column[:-1]], axis=2).reshape(-1, 2)
    crossing = np.concatenate([on_row, on_column])
    finite = np.isfinite(field)
    is_whole = finite[:-1, :-1] & finite[:-1, 1:] & finite[1:, 1:] & finite[1:, :-1]
    kind = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    kind = np.where(is_whole, kind, 0)
    starts, ends = [], []
    for corners, pairs in _CROSSINGS.items():
        r, c = np.nonzero(kind == corners)
        if not len(r):
            continue
        edges = (
            r * (columns - 1) + c,
            rows * (columns - 1) + r * columns + c + 1,
            (r + 1) * (columns - 1) + c,
            rows * (columns - 1) + r * columns + c,
        )
        for first, second in pairs:
            starts.append(edges[first])
            ends.append(edges[second])
    if not starts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), crossing
    return np.concatenate(starts), np.concatenate(ends), crossing


def _chains(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[list[int]]:
    """Segments joined end to start; the two squares at an edge see it as one number, so ends meet exactly."""
    beside: dict[int, list[int]] = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        beside.setdefault(start, []).append(end)
        beside.setdefault(end, []).append(start)
    chains = []
    # Open lines first, from their free ends; what is left are rings.
    order = [edge for edge, others in beside.items() if len(others) == 1] + list(beside)
    for first in order:
        if not beside[first]:
            continue
        chain = [first]
        while beside[chain[-1]]:
            last = chain[-1]
            following = beside[last].pop()
            beside[following].remove(last)
            chain.append(following)
        chains.append(chain)
    return chains
