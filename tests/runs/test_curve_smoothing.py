from __future__ import annotations

import numpy as np
import pytest

from vae_explorer.runs.curve_smoothing import coarser, exponential_mean, outline
from vae_explorer.runs.metric_curves import Curve


def curve_of(x: list[float] | np.ndarray, y: list[float] | np.ndarray, count: list[float] | None = None) -> Curve:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    counts = np.isfinite(y).astype(float) if count is None else np.asarray(count, dtype=float)
    return Curve(x, y - 1, y + 1, y, counts)


def by_hand(curve: Curve, half_life: float) -> list[float]:
    found = []
    for at in range(len(curve)):
        weights = curve.count_S[: at + 1] * 2.0 ** (-(curve.x_S[at] - curve.x_S[: at + 1]) / half_life)
        found.append(np.nansum(weights * curve.mean_S[: at + 1]) / weights.sum())
    return found


@pytest.mark.parametrize("num", [1, 2, 3, 64, 257])
def test_it_is_the_weighted_mean_of_all_rows_so_far(num: int) -> None:
    random = np.random.default_rng(num)
    x, y = np.cumsum(random.uniform(0.1, 30, num)), random.normal(size=num)
    curve = curve_of(x, y, list(random.integers(1, 9, num)))
    for half_life in (0.5, 20.0, 1e6):
        np.testing.assert_allclose(exponential_mean(curve, half_life), by_hand(curve, half_life), rtol=1e-10)


def test_the_first_values_are_not_pulled_towards_zero() -> None:
    curve = curve_of(np.arange(500.0), np.full(500, -120.0))
    np.testing.assert_allclose(exponential_mean(curve, 1000.0), -120.0)


def test_what_is_drawn_does_not_change_when_the_run_goes_on() -> None:
    random = np.random.default_rng(1)
    x, y = np.arange(400.0), np.exp(-np.arange(400) / 50) + random.normal(scale=0.1, size=400)
    whole = exponential_mean(curve_of(x, y), 12.0)
    for end in (1, 10, 137, 399):
        np.testing.assert_array_equal(exponential_mean(curve_of(x[:end], y[:end]), 12.0), whole[:end])


def test_a_jump_at_the_right_end_is_seen_no_earlier_and_no_later() -> None:
    y = np.zeros(300)
    y[200:] = 1.0
    found = exponential_mean(curve_of(np.arange(300.0), y), 5.0)
    assert (found[:200] == 0).all()
    assert found[200] > 0.1
    assert found[204] == pytest.approx(0.5, abs=0.02)


def test_gaps_keep_the_mean_and_are_no_values() -> None:
    found = exponential_mean(curve_of([0, 1, 2, 3, 4], [np.nan, 2, np.nan, np.nan, 4]), 1.0)
    assert np.isnan(found[0])
    assert found[1:4].tolist() == [2, 2, 2]
    assert 2 < found[4] < 4
    assert np.isnan(exponential_mean(curve_of([0, 1], [np.nan, np.nan]), 1.0)).all()
    assert len(exponential_mean(curve_of([], []), 1.0)) == 0


def test_long_gaps_and_steps_back_stay_finite() -> None:
    x = [0.0, 1e9, 1e9 + 1, 5.0, 6.0]
    assert np.isfinite(exponential_mean(curve_of(x, [1, 2, 3, 4, 5]), 1.0)).all()


def test_the_outline_keeps_both_extremes_of_every_stretch() -> None:
    x, y = outline(curve_of([1, 2, 3], [10, 20, 30]))
    assert x.tolist() == [1, 1, 2, 2, 3, 3]
    assert y.tolist() == [9, 11, 19, 21, 29, 31]
    low, high, count = np.array([5.0, np.nan, 1]), np.array([5.0, np.nan, 2]), np.array([1.0, 0, 7])
    x, y = outline(Curve(np.array([1.0, 2, 3]), low, high, low, count))
    assert x.tolist() == [1, 2, 3, 3]
    np.testing.assert_array_equal(y, [5, np.nan, 1, 2])


@pytest.mark.parametrize("num", [1, 10, 11, 100, 101])
def test_a_coarser_curve_keeps_extremes_means_and_the_end(num: int) -> None:
    random = np.random.default_rng(num)
    x, y = np.arange(num) + 1.0, random.normal(size=num)
    y[num // 2] = 50.0
    fine = curve_of(x, y, list(random.integers(1, 5, num)))
    found = coarser(fine, 10)
    assert len(found) <= 10
    assert found.x_S[-1] == x[-1]
    assert found.low_S.min() == fine.low_S.min()
    assert found.high_S.max() == 51.0
    assert found.count_S.sum() == fine.count_S.sum()
    assert (found.mean_S * found.count_S).sum() == pytest.approx((fine.mean_S * fine.count_S).sum())
    assert coarser(fine, num) is fine


def test_gaps_of_a_coarser_curve_stay_gaps() -> None:
    found = coarser(curve_of(range(4), [np.nan, np.nan, 2, np.nan]), 2)
    assert np.isnan(found.mean_S[0])
    assert (found.mean_S[1], found.count_S.tolist()) == (2, [0, 1])
