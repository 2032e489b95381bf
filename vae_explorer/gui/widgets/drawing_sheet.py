"""What is on the drawing canvas: ink from a soft brush, on an empty sheet or on a picture. Arithmetic, no widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SIDE = 280
"""Side of the sheet in its own pixels, whatever its size on the screen."""

_SOFTNESS = 0.5  # the outer part of the brush over which it fades

Float32 = np.ndarray[Any, np.dtype[np.float32]]
UInt8 = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The picture under the strokes, in the pixels of the network, as ink from 0 to 1: (H, W) or (H, W, 3).

    It fills the sheet, or a band in its middle where it is not square. `was_inverted`: to become what it is.
    """

    ink: Float32
    was_inverted: bool = False

    @property
    def band(self) -> tuple[slice, slice]:
        """Rows and columns of the sheet that it covers."""
        height, width = self.ink.shape[:2]
        rows, columns = (max(round(SIDE * side / max(height, width)), 1) for side in (height, width))
        top, left = (SIDE - rows) // 2, (SIDE - columns) // 2
        return slice(top, top + rows), slice(left, left + columns)

    def enlarged(self) -> Float32:
        """As ink of the sheet, (280, 280) or (280, 280, 3); every pixel is a block."""
        sheet = np.zeros((SIDE, SIDE, *self.ink.shape[2:]), dtype=np.float32)
        part = sheet[self.band]
        part[:] = _resampled(_resampled(self.ink, part.shape[0], 0), part.shape[1], 1)
        return sheet

    def reduced(self, sheet: Float32) -> Float32:
        """What became of the basis on a sheet of `enlarged`, in its own pixels: exactly itself where nothing did."""
        change = (sheet - self.enlarged())[self.band]
        height, width = self.ink.shape[:2]
        return (self.ink + _resampled(_resampled(change, height, 0), width, 1)).clip(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """`ink` float32 from 0 (nothing) to 1 (ink), (280, 280) or (280, 280, 3) on a coloured `basis`; never changed.

    `put_in` stands for a picture that covers the sheet as it came.
    """

    ink: Float32
    basis: Basis | None = None
    put_in: Any = None


def empty_ink() -> Float32:
    """A sheet without ink, (280, 280)."""
    return np.zeros((SIDE, SIDE), dtype=np.float32)


def stamp(ink: Float32, start: tuple[float, float, float], end: tuple[float, float, float], *, erases: bool) -> None:
    """Move the brush over the sheet in place, from (x, y, radius) to (x, y, radius) in its pixels."""
    (x0, y0, r0), (x1, y1, r1) = start, end
    reach = max(r0, r1) + 1
    left, right = int(max(min(x0, x1) - reach, 0)), int(min(max(x0, x1) + reach + 1, SIDE))
    top, bottom = int(max(min(y0, y1) - reach, 0)), int(min(max(y0, y1) + reach + 1, SIDE))
    if left >= right or top >= bottom:
        return
    dab = _soft_line(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5, start, end)
    part = ink[top:bottom, left:right]
    if part.ndim == 3:
        dab = dab[..., None]
    if erases:
        np.minimum(part, 1 - dab, out=part)
    else:
        np.maximum(part, dab, out=part)


def _resampled(values: Float32, size: int, axis: int) -> Float32:
    """Along an axis: blocks of equal values to grow, the means of the same blocks to shrink."""
    length = values.shape[axis]
    if size >= length:
        return values.take(np.arange(size) * length // size, axis)
    starts = -(-np.arange(size) * length // size)
    counts = np.diff([*starts, length]).astype(np.float32)
    shape = [1] * values.ndim
    shape[axis] = size
    return np.asarray(np.add.reduceat(values, starts, axis) / counts.reshape(shape), dtype=np.float32)


def _soft_line(
    x_W: np.ndarray, y_H: np.ndarray, start: tuple[float, float, float], end: tuple[float, float, float]
) -> Float32:
    """Ink (H, W) from 0 to 1 of a soft round brush moved from (x, y, radius) to (x, y, radius): dabs without gaps."""
    (x0, y0, r0), (x1, y1, r1) = start, end
    squared_length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    dx_HW, dy_HW = np.meshgrid(x_W - x0, y_H - y0)
    along_HW = ((dx_HW * (x1 - x0) + dy_HW * (y1 - y0)) / max(squared_length, 1e-12)).clip(0, 1)
    distance_HW = np.hypot(dx_HW - along_HW * (x1 - x0), dy_HW - along_HW * (y1 - y0))
    radius_HW = r0 + (r1 - r0) * along_HW
    depth_HW = ((radius_HW - distance_HW) / (_SOFTNESS * radius_HW)).clip(0, 1)
    return (depth_HW * depth_HW * (3 - 2 * depth_HW)).astype(np.float32)
