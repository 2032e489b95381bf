from __future__ import annotations

import numpy as np
import pytest

from vae_explorer.latent.density import (
    crowding,
    density_contours,
    density_field,
    density_raster,
    mass_levels,
)
from vae_explorer.latent.map_rect import MapRect

RECT = MapRect(-4.0, -4.0, 4.0, 4.0)
PALETTE = np.array([[255, 0, 0, 255], [0, 0, 255, 255]], dtype=np.uint8)


def test_smoothing_keeps_the_number_of_codes_and_their_places() -> None:
    xy = np.array([[1.05, 2.05]] * 30 + [[np.nan, 0.0], [0.0, np.inf], [90.0, 0.0]])
    field = density_field(xy, np.zeros(len(xy), np.uint16), 2, RECT, 80, 40)
    assert field.count_KHW.sum() == pytest.approx(30, rel=1e-4)
    assert field.contour_HW.sum() == pytest.approx(30, rel=1e-4)
    # Row 0 is the top: y = 2.05 is 19.5 tenths below 4; x = 1.05 is in column 25 of 40.
    assert np.unravel_index(field.count_KHW[0].argmax(), (80, 40)) == (19, 25)
    assert not field.count_KHW[1].any()


def test_the_blur_is_the_gaussian_it_says() -> None:
    field = density_field(np.array([[0.05, 0.05]]), np.zeros(1, np.uint16), 1, RECT, 80, 80)
    row, column = np.indices((80, 80))
    gaussian = np.exp(-((row - 39) ** 2 + (column - 40) ** 2) / (2 * 1.2**2)) / (2 * np.pi * 1.2**2)
    assert np.abs(field.count_KHW[0] - gaussian).max() < 2e-3


def test_codes_just_outside_still_shine_in() -> None:
    inside = np.random.default_rng(0).uniform(-6, 6, size=(90_000, 2))
    field = density_field(inside, np.zeros(len(inside), np.uint16), 1, RECT, 40, 40)
    rim = np.concatenate([field.count_KHW[0, 0], field.count_KHW[0, -1], field.count_KHW[0, :, 0]])
    assert rim.mean() == pytest.approx(field.count_KHW[0].mean(), rel=0.05)


def test_the_colour_of_a_place_is_that_of_most_of_its_codes() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal([-2, 0], 0.3, size=(2000, 2)), rng.normal([2, 0], 0.3, size=(200, 2))
    xy, plane = np.concatenate([left, right]), np.repeat(np.array([0, 1], np.uint16), [2000, 200])
    pixels = density_raster(density_field(xy, plane, 2, RECT, 40, 40), PALETTE).pixels
    assert pixels[20, 10, 0] > 200
    assert pixels[20, 10, 2] == 0
    assert pixels[20, 30, 2] > 120
    assert pixels[20, 30, 0] == 0
    # Premultiplied, transparent where nobody is, deeper where there are more.
    assert (pixels[..., :3] <= pixels[..., 3:]).all()
    assert pixels[2, 2, 3] == 0
    assert pixels[20, 10, 3] > pixels[20, 30, 3] > 0
    half = density_raster(density_field(xy, plane, 2, RECT, 40, 40), PALETTE, 0.5).pixels
    assert abs(int(half[20, 10, 3]) - int(pixels[20, 10, 3]) / 2) <= 1


def test_a_single_code_is_still_seen() -> None:
    xy = np.concatenate([np.random.default_rng(0).normal(-2, 0.2, size=(50_000, 2)), [[3.0, 3.0]]])
    pixels = density_raster(density_field(xy, np.zeros(len(xy), np.uint16), 1, RECT, 40, 40), PALETTE[:1]).pixels
    assert pixels[:12, 28:, 3].max() > 12


def test_the_lines_of_a_gaussian_hold_half_and_eighty_and_ninety_five_percent() -> None:
    xy = np.random.default_rng(0).normal(size=(400_000, 2))
    lines = density_contours(density_field(xy, np.zeros(len(xy), np.uint16), 1, RECT, 200, 200))
    radius = np.hypot(lines.xy_P2[:, 0], lines.xy_P2[:, 1])
    # A 2-D Gaussian holds the mass p within the radius sqrt(-2 ln(1 - p)).
    for part, wanted in zip(np.split(radius, lines.starts[1:]), (0.5, 0.8, 0.95), strict=True):
        assert part.mean() == pytest.approx(np.sqrt(-2 * np.log(1 - wanted)), rel=0.03)


def test_levels_hold_their_mass() -> None:
    density = np.array([[4.0, 3.0], [2.0, 1.0]])
    assert mass_levels(density, (0.4, 0.7, 1.0)) == [4.0, 3.0, 1.0]
    assert mass_levels(np.zeros((3, 3))) == []


def test_an_empty_sight_has_a_transparent_picture_and_no_lines() -> None:
    field = density_field(np.zeros((0, 2)), np.zeros(0, np.uint16), 2, RECT, 10, 10)
    assert not density_raster(field, PALETTE).pixels.any()
    assert not len(density_contours(field).xy_P2)


def test_crowding_is_the_share_of_occupied_cells_that_are_shared() -> None:
    xy = np.array([[-3.9, 3.9], [-3.9, 3.9], [0.1, 0.1], [3.9, -3.9], [-0.9, -0.9]])
    assert crowding(xy, RECT, 8, 8) == pytest.approx(1 / 4)
    assert crowding(xy[:0], RECT, 8, 8) == 0.0
