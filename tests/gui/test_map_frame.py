from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.gui.widgets.image_grid import grid_shape
from vae_explorer.gui.widgets.image_view import crisp_scale
from vae_explorer.gui.widgets.map_frame import MapFrame, number_text, ticks
from vae_explorer.latent.map_rect import MapRect

frames = st.builds(
    MapFrame, st.floats(50, 3000), st.floats(50, 3000), st.floats(-20, 20), st.floats(-20, 20), st.floats(1, 1e5)
)
pixel = st.floats(0, 3000)


@given(frame=frames, left=pixel, top=pixel)
def test_screen_and_map_are_inverse(frame: MapFrame, left: float, top: float) -> None:
    assert frame.to_screen(*frame.to_map(left, top)) == pytest.approx((left, top), abs=1e-3)


@given(frame=frames, left=pixel, top=pixel, factor=st.floats(0.2, 5))
def test_zooming_keeps_the_place_under_the_mouse(frame: MapFrame, left: float, top: float, factor: float) -> None:
    zoomed = frame.zoomed(factor, left, top)
    assert zoomed.to_map(left, top) == pytest.approx(frame.to_map(left, top), abs=1e-6 + 1e-3 / frame.scale)


@given(frame=frames, right=st.floats(-100, 100), down=st.floats(-100, 100))
def test_panning_moves_the_plane_with_the_mouse(frame: MapFrame, right: float, down: float) -> None:
    x, y = frame.to_map(100, 100)
    assert frame.panned(right, down).to_screen(x, y) == pytest.approx((100 + right, 100 + down), abs=1e-3)


@given(frame=frames, width=st.floats(0.1, 50), height=st.floats(0.1, 50))
def test_a_fitted_rectangle_is_in_sight(frame: MapFrame, width: float, height: float) -> None:
    rect = MapRect.around(1.0, -2.0, width, height)
    fitted = frame.fitted(rect)
    assert fitted.rect.contains(rect)
    assert fitted.is_near(fitted)
    assert max(width / fitted.rect.width, height / fitted.rect.height) > 0.9


def test_gliding_ends_where_it_should() -> None:
    start, end = MapFrame(scale=20.0), MapFrame(x=3.0, y=1.0, scale=80.0)
    assert start.between(end, 0.0) == start
    assert start.between(end, 0.5).scale == pytest.approx(40.0)
    last = start.between(end, 1.0)
    assert (last.x, last.y, last.scale) == pytest.approx((end.x, end.y, end.scale))


@given(scale=st.floats(0.5, 1e6), centre=st.floats(-30, 30))
def test_ticks_are_round_and_neither_crowded_nor_rare(scale: float, centre: float) -> None:
    low, high = centre - 400 / scale, centre + 400 / scale
    values, decimals = ticks(low, high, scale)
    assert 3 <= len(values) <= 14
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    texts = [number_text(value, decimals) for value in values]
    assert len(set(texts)) == len(texts)


def test_numbers_have_a_true_minus_and_no_negative_zero() -> None:
    assert number_text(-1.25, 2) == "\N{MINUS SIGN}1.25"
    assert number_text(-0.0001, 2) == "0.00"


@given(width=st.integers(40, 2500), height=st.integers(40, 1500), side=st.sampled_from([8, 28, 32, 64, 128, 256]))
def test_grids_fill_their_place_and_do_not_overflow(width: int, height: int, side: int) -> None:
    for rows_together in (1, 2):
        shape = grid_shape(width, height, side, rows_together)
        block = rows_together * shape.side + 2 * (rows_together - 1)
        assert shape.columns == 1 or shape.columns * (shape.side + shape.spacing) - shape.spacing <= width
        assert shape.rows == 1 or shape.rows * (block + shape.spacing) - shape.spacing <= height


def test_small_pictures_are_enlarged_by_whole_factors() -> None:
    assert crisp_scale(28, 300) == 10
    assert crisp_scale(28, 20) == pytest.approx(20 / 28)
    assert crisp_scale(128, 300) == pytest.approx(300 / 128)
