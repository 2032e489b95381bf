"""Many codes as a density image: where points would lie on each other, colour says which and depth says how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.drawing import Raster, Strokes, strokes_of
from vae_explorer.latent.field_raster import contour_lines
from vae_explorer.latent.map_rect import MapRect

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

MASSES = (0.5, 0.8, 0.95)
"""Each contour line holds this share of the codes in sight."""

CELL_PIXELS = 4.0
"""Side of a cell of the histogram in logical pixels; the painter magnifies it smoothly."""

_MARGIN = 8
_BLUR, _CONTOUR_BLUR = 1.2, 2.5
# Codes a cell from which the logarithm of the density takes over from the density itself: one code alone is seen.
_FAINT = 0.05
_MOST_OPAQUE = 0.92
_LINE_OPACITY = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class DensityField:
    """Codes a cell by colour, (K, rows, columns) float32, smoothed, row 0 at the top of `rect`; and all of them,
    smoothed more, for contour lines.
    """

    rect: MapRect
    count_KHW: NDArray[np.float32]
    contour_HW: NDArray[np.float32]


def density_field(
    xy_N2: Floats,
    plane_N: NDArray[np.integer[Any]],
    num_planes: int,
    rect: MapRect,
    rows: int,
    columns: int,
    weight_N: Floats | None = None,
) -> DensityField:
    """Count the codes in each cell of `rect` by their colour and smooth the counts with a Gaussian.

    Args:
        xy_N2: map points; non-finite ones are left out.
        plane_N: number of each code's colour, below `num_planes`.
        num_planes: K.
        rect: the part of the plane.
        rows: cells down.
        columns: cells across.
        weight_N: what each code counts, 1 by default.
    """
    # Codes just outside spread into the sight; without them the picture would fade towards its edges.
    wide_rows, wide_columns = rows + 2 * _MARGIN, columns + 2 * _MARGIN
    with np.errstate(invalid="ignore"):
        column_N = (xy_N2[:, 0] - rect.left) * (columns / rect.width) + _MARGIN
        row_N = (rect.top - xy_N2[:, 1]) * (rows / rect.height) + _MARGIN
        inside_N = (column_N >= 0) & (column_N < wide_columns) & (row_N >= 0) & (row_N < wide_rows)
    if not inside_N.all():
        column_N, row_N, plane_N = column_N[inside_N], row_N[inside_N], plane_N[inside_N]
        weight_N = None if weight_N is None else weight_N[inside_N]
    cell_N = row_N.astype(np.int64) * wide_columns + column_N.astype(np.int64)
    cell_N += plane_N.astype(np.int64) * (wide_rows * wide_columns)
    count = np.bincount(cell_N, weight_N, num_planes * wide_rows * wide_columns)
    wide_KHW = count.astype(np.float32).reshape(num_planes, wide_rows, wide_columns)
    count_KHW = np.zeros((num_planes, rows, columns), dtype=np.float32)
    for plane, wide_HW in enumerate(wide_KHW):
        if wide_HW.any():
            count_KHW[plane] = _smoothed(wide_HW, _BLUR)
    return DensityField(rect, count_KHW, _smoothed(wide_KHW.sum(axis=0), _CONTOUR_BLUR))


def density_raster(field: DensityField, palette_K4: UInt8, opacity: float = 1.0, *, is_sharp: bool = True) -> Raster:
    """The field as a picture: colour of the mixture, alpha by the logarithm of the density.

    With `is_sharp` the most frequent colour of a place wins clearly, as is right for classes; else colours mix in
    proportion, as is right for the steps of a ramp. `palette_K4` are opaque bytes.
    """
    total_HW = field.count_KHW.sum(axis=0)
    share_KHW = np.square(field.count_KHW) if is_sharp else field.count_KHW
    share_KHW = share_KHW / np.maximum(share_KHW.sum(axis=0), 1e-12)
    greatest = float(total_HW.max(initial=0.0))
    depth = np.log1p(np.maximum(total_HW, 0.0) / _FAINT) / max(np.log1p(greatest / _FAINT), 1e-12)
    alpha_HW = (_MOST_OPAQUE * opacity) * depth
    colour_HW3 = np.tensordot(share_KHW, palette_K4[:, :3].astype(np.float32), axes=(0, 0))
    pixels = np.empty((*total_HW.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.rint(colour_HW3 * alpha_HW[..., None])
    pixels[..., 3] = np.rint(255.0 * alpha_HW)
    return Raster(field.rect, pixels, is_smooth=True)


def density_contours(field: DensityField, opacity: float = 1.0) -> Strokes:
    """Lines of equal density that hold 50, 80 and 95 % of the codes in sight: highest-density regions, Hyndman 1996."""
    lines = contour_lines(field.contour_HW, field.rect, mass_levels(field.contour_HW))
    return strokes_of([*lines], role="text", width=1.0, opacity=_LINE_OPACITY * opacity)


def mass_levels(density_HW: Floats, masses: tuple[float, ...] = MASSES) -> list[float]:
    """The densities above which lie these shares of the mass; none where there is no mass."""
    falling = np.sort(density_HW, axis=None)[::-1].astype(np.float64)
    mass = np.cumsum(falling)
    if not len(mass) or mass[-1] <= 0:
        return []
    return [float(falling[min(np.searchsorted(mass, share * mass[-1]), len(falling) - 1)]) for share in masses]


def crowding(xy_N2: Floats, rect: MapRect, rows: int, columns: int) -> float:
    """The share of the occupied cells of `rect` that hold more than one of the points, all inside; 0 without points."""
    if not len(xy_N2):
        return 0.0
    column_N = ((xy_N2[:, 0] - rect.left) * (columns / rect.width)).astype(np.int64)
    row_N = ((rect.top - xy_N2[:, 1]) * (rows / rect.height)).astype(np.int64)
    cell_N = np.minimum(row_N, rows - 1) * columns + np.minimum(column_N, columns - 1)
    count = np.bincount(cell_N, minlength=rows * columns)
    return float(np.count_nonzero(count > 1) / np.count_nonzero(count))


def _smoothed(wide_HW: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian along both axes, the margin cut off. By shifts of one plane, which fits a core's cache: a convolution
    of few channels takes torch several times as long.
    """
    reach = min(_MARGIN, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2).astype(np.float32)
    kernel /= kernel[0] + 2 * kernel[1:].sum()
    for _ in range(2):
        length = len(wide_HW) - 2 * _MARGIN
        total = wide_HW[_MARGIN : _MARGIN + length] * kernel[0]
        for shift in range(1, reach + 1):
            before, after = _MARGIN - shift, _MARGIN + shift
            total += kernel[shift] * (wide_HW[before : before + length] + wide_HW[after : after + length])
        wide_HW = total.T
    return wide_HW
