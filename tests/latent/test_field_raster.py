from __future__ import annotations

import time

import numpy as np
import pytest

from vae_explorer.latent.field_raster import contour_lines, faded, field_raster, lattice_points, lattice_shape
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.pacing import finished, in_steps

RECT = MapRect(-3.0, -1.0, 5.0, 3.0)
TABLE = np.stack([np.arange(256)] * 3 + [np.full(256, 255)], axis=1).astype(np.uint8)


def radius(rect: MapRect, across: int) -> np.ndarray:
    rows, columns = lattice_shape(rect, across)
    return np.hypot(*lattice_points(rect, rows, columns).T).reshape(rows, columns)


def test_the_first_row_is_the_top() -> None:
    rows, columns = lattice_shape(RECT, 16)
    assert (rows, columns) == (8, 16)
    points = lattice_points(RECT, rows, columns).reshape(rows, columns, 2)
    assert points[0, 0] == pytest.approx([-2.75, 2.75])
    assert points[-1, -1] == pytest.approx([4.75, -0.75])


def test_a_contour_of_the_radius_is_one_closed_circle() -> None:
    # Centred where the circle of radius 0.9 fits, and one of radius 2.5 is cut by the edge.
    (ring,) = contour_lines(radius(RECT, 200), RECT, [0.9])
    assert np.array_equal(ring[0], ring[-1])
    assert np.hypot(*ring.T) == pytest.approx(np.full(len(ring), 0.9), abs=1e-3)
    length = np.hypot(*np.diff(ring, axis=0).T).sum()
    assert length == pytest.approx(2 * np.pi * 0.9, rel=0.01)
    (arc,) = contour_lines(radius(RECT, 200), RECT, [2.5])
    assert not np.array_equal(arc[0], arc[-1])
    assert np.hypot(*arc.T) == pytest.approx(np.full(len(arc), 2.5), abs=1e-3)


def test_contours_avoid_what_is_not_finite_and_need_a_lattice() -> None:
    field = radius(RECT, 100)
    field[:, :50] = np.nan
    lines = contour_lines(field, RECT, [0.9, 50.0])
    assert len(lines) <= 2
    assert all(np.isfinite(line).all() and (line[:, 0] > RECT.left + 4).all() for line in lines)
    assert contour_lines(np.ones((1, 5)), RECT, [0.5]) == []


def test_a_saddle_has_two_lines() -> None:
    lines = contour_lines(np.array([[1.0, 0.0], [0.0, 1.0]]), MapRect(0, 0, 2, 2), [0.5])
    assert sorted(len(line) for line in lines) == [2, 2]


def test_colours_follow_the_field_and_unknown_places_are_clear() -> None:
    field = np.tile(np.linspace(-1.0, 1.0, 40), (20, 1))
    field[:, 30:] = np.nan
    raster = field_raster(field, RECT, 400, 200, TABLE, -1.0, 1.0)
    assert raster.is_smooth
    assert raster.pixels.shape == (200, 400, 4)
    assert raster.pixels[100, 2, 0] <= 2
    assert raster.pixels[100, 195, 0] == pytest.approx(127, abs=4)
    assert (raster.pixels[:, 310:] == 0).all()
    large = field_raster(field, RECT, 4000, 2000, TABLE, -1.0, 1.0)
    assert large.pixels.shape == (240, 480, 4)
    assert field_raster(np.zeros((3, 3)), RECT, 1, 1, TABLE, 0.0, 0.0).pixels.shape == (1, 1, 4)


def test_fading_premultiplies() -> None:
    table = faded(np.full((256, 4), 200, np.uint8), np.linspace(0, 1, 256))
    assert table[0].tolist() == [0, 0, 0, 0]
    assert table[255].tolist() == [200, 200, 200, 255]
    assert table[51].tolist() == [40, 40, 40, 51]


def test_steps_cover_everything_and_grow_to_the_time_they_have() -> None:
    seen: list[slice] = []

    def work(part: slice) -> None:
        seen.append(part)
        time.sleep(1e-4 * (part.stop - part.start))

    assert list(in_steps(200, work, first=4, most=64)) == [None] * (len(seen) - 1)
    assert [row for part in seen for row in range(part.start, part.stop)] == list(range(200))
    assert 1 < max(part.stop - part.start for part in seen) <= 64
    assert list(in_steps(0, work)) == []


def test_finished_gives_the_return_value() -> None:
    def steps():  # type: ignore[no-untyped-def]
        yield None
        return 3

    assert finished(steps()) == 3
