from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.latent.code_raster import fair_order, raster_codes, sprite_diameter, sprite_offsets
from vae_explorer.latent.map_rect import MapRect

PALETTE = np.array([[10, 20, 30, 255], [200, 100, 50, 255], [1, 2, 3, 128]], dtype=np.uint8)
RECT = MapRect(-2.0, -1.0, 2.0, 1.0)


def raster(xy: list[tuple[float, float]], colours: list[int], diameter: int = 1) -> tuple[np.ndarray, int]:
    return raster_codes(
        np.array(xy, dtype=np.float32).reshape(-1, 2), np.array(colours, dtype=np.uint8), RECT, 80, 40, PALETTE,
        diameter=diameter,
    )  # fmt: skip


@given(column=st.integers(0, 79), row=st.integers(0, 39), colour=st.integers(0, 2))
def test_a_point_lands_on_its_pixel_with_its_colour(column: int, row: int, colour: int) -> None:
    picture, num_shown = raster([(-2 + (column + 0.5) / 20, 1 - (row + 0.5) / 20)], [colour])
    assert num_shown == 1
    assert picture[row, column].tolist() == PALETTE[colour].tolist()
    assert np.count_nonzero(picture.any(axis=2)) == 1


def test_every_point_in_sight_is_drawn_and_counted() -> None:
    rows, columns = np.mgrid[0:40:2, 0:80:2]
    xy = np.stack([-2 + (columns.ravel() + 0.5) / 20, 1 - (rows.ravel() + 0.5) / 20], axis=1)
    outside = np.array([[5.0, 0.0], [0.0, -7.0], [np.nan, 0.0], [np.inf, 0.0]])
    points = np.concatenate([xy, outside]).astype(np.float32)
    picture, num_shown = raster_codes(points, np.zeros(len(points), np.uint8), RECT, 80, 40, PALETTE, diameter=1)
    assert num_shown == len(xy)
    assert np.count_nonzero(picture[..., 3]) == len(xy)


@pytest.mark.parametrize("diameter", [1, 2, 3, 4, 6])
def test_a_sprite_is_whole_even_over_a_later_neighbour(diameter: int) -> None:
    picture, _ = raster([(0.01, 0.01), (0.06, 0.01)], [0, 1], diameter)
    second = np.count_nonzero((picture == PALETTE[1]).all(axis=2))
    assert second == len(sprite_offsets(diameter))


def test_sprites_hanging_over_the_edge_are_cut_off() -> None:
    corners = [(-1.999, 0.999), (1.999, 0.999), (-1.999, -0.999), (1.999, -0.999)]
    picture, num_shown = raster(corners, [0, 1, 0, 1], 3)
    assert num_shown == 4
    # A disc of five pixels in a corner: its middle and two neighbours are inside.
    assert np.count_nonzero(picture[..., 3]) == 4 * 3
    assert picture.shape == (40, 80, 4)


def test_nothing_in_sight_is_a_transparent_picture() -> None:
    picture, num_shown = raster([], [])
    assert num_shown == 0
    assert not picture.any()


def test_the_order_of_drawing_is_fair_to_the_classes() -> None:
    # Items sorted by class, all on one small spot: the pixels won by each class follow its share.
    num = 30_000
    labels_N = np.sort(np.arange(num) % 3).astype(np.uint8)
    order = fair_order(num)
    assert sorted(order[:100].tolist()) != list(range(100))
    assert np.array_equal(order, fair_order(num))
    xy = np.random.default_rng(0).uniform(-1, 1, size=(num, 2)).astype(np.float32)
    picture, _ = raster_codes(xy[order], labels_N[order], RECT, 80, 40, PALETTE, diameter=2)
    won = [np.count_nonzero((picture == colour).all(axis=2)) for colour in PALETTE]
    assert max(won) / min(won) < 1.25


def test_sprites_shrink_as_the_plot_fills() -> None:
    sizes = [sprite_diameter(num, 500_000) for num in (100, 60_000, 1_000_000)]
    assert sizes == [3, 2, 1]
    assert sprite_diameter(60_000, 4 * 500_000, pixel_ratio=2.0) == 4
    assert [len(sprite_offsets(diameter)) for diameter in (1, 2, 3, 4)] == [1, 4, 5, 12]
