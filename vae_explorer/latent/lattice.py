"""The lattice of the decoded manifold: cells that stand where they decode, on a grid fixed in the plane.

The spacing is a power of two in latent units, so that panning meets the same cells again and zooming meets
every second one; a cell is between 24 and 56 screen pixels wide at every zoom. Torch-free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.map_rect import MapRect

SMALLEST_CELL = 24.0
LARGEST_CELL = 56.0


def level_for(pixels_per_unit: float, current: int | None = None) -> int:
    """The level k at which cells of side 2^k are 24 to 56 screen pixels wide.

    `current` is kept while it still fits: the range is wider than an octave, so a small zoom to and fro
    does not decode everything twice.
    """
    if current is not None and SMALLEST_CELL <= pixels_per_unit * 2.0**current <= LARGEST_CELL:
        return current
    return math.ceil(math.log2(LARGEST_CELL / 2 / pixels_per_unit))


@dataclass(frozen=True, slots=True)
class CellRange:
    """A block of cells of one level; cell (row, column) is centred on x = column 2^k, y = -row 2^k."""

    level: int
    row: int
    column: int
    num_rows: int
    num_columns: int

    @staticmethod
    def covering(rect: MapRect, level: int) -> CellRange:
        """The cells that are at least partly inside `rect`."""
        side = 2.0**level
        column = math.floor(rect.left / side + 0.5)
        row = math.floor(-rect.top / side + 0.5)
        last_column = math.ceil(rect.right / side - 0.5)
        last_row = math.ceil(-rect.bottom / side - 0.5)
        return CellRange(level, row, column, max(last_row - row, 0) + 1, max(last_column - column, 0) + 1)

    @property
    def side(self) -> float:
        """The width and height of a cell in latent units, 2^k."""
        return 2.0**self.level

    @property
    def num_cells(self) -> int:
        """How many cells the block has."""
        return self.num_rows * self.num_columns

    @property
    def rect(self) -> MapRect:
        """The part of the plane the cells fill."""
        left, top = (self.column - 0.5) * self.side, (-self.row + 0.5) * self.side
        return MapRect(left, top - self.num_rows * self.side, left + self.num_columns * self.side, top)

    def centres(self) -> NDArray[np.float64]:
        """Map points (rows * columns, 2) at which the cells decode, row by row from the top left."""
        x = (self.column + np.arange(self.num_columns)) * self.side
        y = -(self.row + np.arange(self.num_rows)) * self.side
        return np.stack([np.tile(x, self.num_rows), np.repeat(y, self.num_columns)], axis=1)

    def centre_first(self) -> NDArray[np.intp]:
        """The order in which cells are decoded: outwards from the middle of the block."""
        xy_N2 = self.centres()
        distance_N = np.abs(xy_N2 - xy_N2.mean(axis=0)).max(axis=1)
        return np.argsort(distance_N, kind="stable")

    def shared_with(self, other: CellRange) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """Index pairs (in this block, in the other) of the cells that both have; None if there are none."""
        if self.level != other.level:
            return None
        top, left = max(self.row, other.row), max(self.column, other.column)
        bottom = min(self.row + self.num_rows, other.row + other.num_rows)
        right = min(self.column + self.num_columns, other.column + other.num_columns)
        if bottom <= top or right <= left:
            return None
        return (
            (slice(top - self.row, bottom - self.row), slice(left - self.column, right - self.column)),
            (slice(top - other.row, bottom - other.row), slice(left - other.column, right - other.column)),
        )
