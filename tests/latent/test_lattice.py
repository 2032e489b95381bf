from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.latent.lattice import CellRange, level_for
from vae_explorer.latent.map_rect import MapRect

scales = st.floats(0.5, 1e6)


@given(scale=scales)
def test_cells_are_24_to_56_pixels_at_every_zoom(scale: float) -> None:
    assert 24 <= scale * 2.0 ** level_for(scale) <= 56


@given(start=scales, factors=st.lists(st.floats(0.5, 2.0), max_size=20))
def test_cells_keep_their_size_and_level_while_zooming(start: float, factors: list[float]) -> None:
    scale, level = start, level_for(start)
    for factor in factors:
        scale = min(max(scale * factor, 0.5), 1e6)
        before, level = level, level_for(scale, level)
        assert 24 <= scale * 2.0**level <= 56
        if 24 <= scale * 2.0**before <= 56:
            assert level == before


@given(
    x=st.floats(-40, 40), y=st.floats(-40, 40), width=st.floats(0.0, 20), height=st.floats(0.0, 20),
    level=st.integers(-3, 3),
)  # fmt: skip
def test_a_range_covers_its_rectangle_with_no_cell_too_many(
    x: float, y: float, width: float, height: float, level: int
) -> None:
    rect = MapRect.around(x, y, width, height)
    cells = CellRange.covering(rect, level)
    side, slack = 2.0**level, 1e-9
    covered = cells.rect
    assert covered.left <= rect.left + slack
    assert covered.right >= rect.right - slack
    assert covered.bottom <= rect.bottom + slack
    assert covered.top >= rect.top - slack
    assert cells.num_columns <= math.ceil(width / side) + 2
    assert cells.num_rows <= math.ceil(height / side) + 2


def test_centres_are_multiples_of_the_spacing_from_the_top_left() -> None:
    cells = CellRange.covering(MapRect(-1.1, -0.4, 1.1, 2.2), -1)
    centres = cells.centres()
    assert centres[0].tolist() == [-1.0, 2.0]
    assert np.all(centres / 0.5 == np.round(centres / 0.5))
    assert len(centres) == cells.num_cells
    assert centres.mean(axis=0).tolist() == list(cells.rect.centre)


def test_decoding_goes_outwards_from_the_middle() -> None:
    cells = CellRange(0, -5, -5, 11, 11)
    order = cells.centre_first()
    assert sorted(order.tolist()) == list(range(121))
    assert cells.centres()[order[0]].tolist() == [0.0, 0.0]
    assert np.abs(cells.centres()[order[-1]]).max() == 5


def test_panned_ranges_share_the_same_cells() -> None:
    first, second = CellRange(-1, 0, 0, 10, 12), CellRange(-1, -2, 3, 10, 12)
    shared = first.shared_with(second)
    assert shared is not None
    grid = first.centres().reshape(10, 12, 2)[shared[0]]
    other = second.centres().reshape(10, 12, 2)[shared[1]]
    assert grid.shape == (8, 9, 2)
    assert np.array_equal(grid, other)
    assert first.shared_with(CellRange(0, 0, 0, 10, 12)) is None
    assert first.shared_with(CellRange(-1, 10, 0, 5, 5)) is None
