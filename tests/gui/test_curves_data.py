"""The numbers behind the curves: thinning loses no extreme, smoothing does not lag, ranges show what matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.gui.widgets.curve_data import (
    drawable,
    every_nth,
    shown_count,
    shown_value,
    smoothed,
    thinned,
    value_range,
    visible_slice,
)


@given(st.integers(1, 30_000), st.integers(50, 4000), st.integers(0, 2**32 - 1))
def test_thinning_keeps_extremes_and_the_end(num: int, maximum: int, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=num)
    x = np.arange(num, dtype=np.float64)
    thin_x, thin_y = thinned(x, y, maximum)
    assert len(thin_x) == len(thin_y) <= max(maximum + 2, 2)
    assert thin_y.min() == y.min()
    assert thin_y.max() == y.max()
    assert thin_x[-1] == x[-1]
    assert np.all(np.diff(thin_x) >= 0)


def test_thinning_keeps_a_gap_only_where_all_is_missing() -> None:
    y = np.ones(10_000)
    y[::2] = np.nan
    assert np.isfinite(thinned(np.arange(10_000.0), y, 500)[1]).all()


def test_what_cannot_be_placed_on_a_screen_is_not_drawn() -> None:
    y = drawable(np.array([1.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 2.0]))
    assert np.isfinite(y).tolist() == [True, False, False, False, False, False, True]


def test_smoothing_follows_a_straight_line_to_its_very_end() -> None:
    x = np.arange(5000.0)
    trend_x, trend_y = smoothed(x, 3.0 * x + 7.0)
    assert trend_y == pytest.approx(3.0 * trend_x + 7.0)


def test_smoothing_does_not_lag_behind_a_falling_noisy_curve() -> None:
    x = np.arange(4000.0)
    truth = 200.0 - 0.02 * x
    noisy = truth + np.random.default_rng(0).normal(size=4000)
    trend_x, trend_y = smoothed(x, noisy)
    running_mean_lag = 0.02 * 4000 / 30 / 2
    assert abs(trend_y[-1] - (200.0 - 0.02 * trend_x[-1])) < 0.5 * running_mean_lag
    assert np.std(trend_y - (200.0 - 0.02 * trend_x)) < 0.1


def test_smoothing_steps_over_missing_values_and_leaves_long_gaps() -> None:
    y = np.ones(3000)
    y[100] = np.nan
    y[1000:2000] = np.nan
    _, trend = smoothed(np.arange(3000.0), y)
    assert np.nanmax(np.abs(trend - 1.0)) < 1e-9
    assert np.isnan(trend[len(trend) // 2])


def test_the_range_leaves_out_the_first_fall_but_never_the_newest() -> None:
    x = np.arange(1000.0)
    y = 100.0 + 500.0 * np.exp(-x / 8)
    found = value_range([(x, y)], 0.0, 1000.0, 0.05, latest=(90.0,))
    assert found is not None
    assert found[0] < 90.0
    assert found[1] < 110.0
    assert value_range([(x, np.full(1000, np.nan))], 0.0, 1000.0, 0.05) is None
    flat = value_range([(x, np.full(1000, 5.0))], 0.0, 1000.0, 0.05)
    assert flat is not None
    assert flat[0] < 5.0 < flat[1]


def test_the_visible_part_has_a_neighbour_on_either_side() -> None:
    x = np.arange(0.0, 100.0, 10.0)
    assert visible_slice(x, 25.0, 45.0) == slice(2, 6)
    assert visible_slice(x, -10.0, 1000.0) == slice(0, 10)
    assert visible_slice(np.empty(0), 0.0, 1.0) == slice(0, 0)


def test_measurements_are_thinned_from_the_newest_back() -> None:
    x, y = every_nth(np.arange(100.0), np.arange(100.0), 10)
    assert x[-1] == y[-1] == 99.0
    assert len(x) == 10
    assert len(every_nth(np.empty(0), np.empty(0), 10)[0]) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(142.0412, "142.04"), (0.00312, "0.00312"), (1e-5, "1.00e-5"), (51234.5, "51,234"), (np.nan, "not a number"),
     (np.inf, "infinite"), (1e300, "1.00e300"), (0.0, "0"), (1.0, "1"), (-143.0, "-143.00")],
)  # fmt: skip
def test_values_are_shown_short(value: float, text: str) -> None:
    assert shown_value(value) == text


def test_counts_are_shown_short() -> None:
    assert [shown_count(value) for value in (950, 12_400, 3_020_000)] == ["950", "12.4 k", "3.02 M"]
