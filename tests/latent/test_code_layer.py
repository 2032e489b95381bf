"""What a map must show for every code to be in sight."""

from __future__ import annotations

import numpy as np
import pytest

from vae_explorer.latent.code_layer import PlacedCodes, extent_of, whole_extent
from vae_explorer.latent.code_raster import fair_order
from vae_explorer.latent.views import PRIOR_RECT


def placed_at(xy_N2: np.ndarray) -> PlacedCodes:
    return PlacedCodes(xy_N2, fair_order(len(xy_N2)), extent_of(xy_N2, PRIOR_RECT, is_trained=True))


def test_the_outermost_codes_are_in_the_whole_extent() -> None:
    xy_N2 = np.random.default_rng(0).normal(scale=3.0, size=(5_000, 2)).astype(np.float32)
    placed = placed_at(xy_N2)
    rect = whole_extent(placed)
    assert placed.extent.right < xy_N2[:, 0].max(), "the outermost are cut there"
    corners = [rect.left, rect.bottom, rect.right, rect.top]
    assert corners == pytest.approx([*xy_N2.min(0), *xy_N2.max(0)], abs=1e-5)


def test_codes_thrown_far_away_do_not_make_all_others_a_dot() -> None:
    xy_N2 = np.random.default_rng(0).normal(size=(1_000, 2)).astype(np.float32)
    before = whole_extent(placed_at(xy_N2))
    xy_N2[0] = (1e6, 0)
    xy_N2[1] = np.nan
    assert whole_extent(placed_at(xy_N2)).width <= before.width
    xy_N2[:] = np.nan
    assert whole_extent(placed_at(xy_N2)) == PRIOR_RECT
