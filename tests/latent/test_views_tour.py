from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.latent.grand_tour import SECONDS_BETWEEN_WAYPOINTS, tour_view
from vae_explorer.latent.views import Float64, PlaneView


def frame(seed: int, seconds: float, num_dimensions: int, start: PlaneView | None = None) -> Float64:
    view = tour_view(seed, seconds, num_dimensions, np.zeros(num_dimensions), start)
    return np.array([view.u, view.v])


@given(seed=st.integers(0, 1000), seconds=st.floats(0.0, 500.0), num_dimensions=st.integers(3, 40))
def test_frames_are_orthonormal_and_the_same_at_the_same_time(seed: int, seconds: float, num_dimensions: int) -> None:
    frame_2D = frame(seed, seconds, num_dimensions)
    assert np.abs(frame_2D @ frame_2D.T - np.eye(2)).max() < 1e-12
    assert frame(seed, seconds, num_dimensions).tolist() == frame_2D.tolist()


def test_a_small_step_in_time_is_a_small_step_of_the_frame() -> None:
    """No axis turns by more than a right angle between waypoints, and easing is at most 1.5 times the mean speed."""
    step = 0.01
    times = np.arange(0.0, 5 * SECONDS_BETWEEN_WAYPOINTS, step)
    frames = np.array([frame(3, float(seconds), 8) for seconds in times])
    speed = np.linalg.norm(np.diff(frames, axis=0), axis=(1, 2)) / step
    most = np.sqrt(2.0) * 1.5 * (np.pi / 2.0) / SECONDS_BETWEEN_WAYPOINTS
    assert speed.max() <= most * 1.001
    assert speed.max() > 0.3 * most
    # At rest at a waypoint: no kink.
    assert speed[round(SECONDS_BETWEEN_WAYPOINTS / step)] < 0.05 * most


def test_nothing_spins_within_the_plane() -> None:
    frames = np.array([frame(5, float(seconds), 10) for seconds in np.arange(0.0, 30.0, 0.01)])
    turn = np.einsum("td,td->t", np.diff(frames[:, 0], axis=0), frames[:-1, 1])
    assert np.abs(turn).max() < 1e-4


def test_the_tour_starts_where_the_map_is() -> None:
    start = PlaneView.through(np.ones(5), np.eye(5)[4] * 3.0, np.eye(5)[2], ("a", "b"))
    assert frame(1, 0.0, 5, start) == pytest.approx(np.eye(5)[[4, 2]], abs=1e-12)
    assert frame(1, 1e-3, 5, start) == pytest.approx(np.eye(5)[[4, 2]], abs=1e-3)
    assert frame(1, 0.0, 5) == pytest.approx(np.eye(5)[:2])


def test_other_seeds_are_other_tours_and_late_times_are_reached() -> None:
    assert np.abs(frame(1, 4.0, 5) - frame(2, 4.0, 5)).max() > 0.01
    late_2D = frame(1, 4 * 3600.0, 5)
    assert np.abs(late_2D @ late_2D.T - np.eye(2)).max() < 1e-12


def test_every_plane_of_the_tour_goes_through_the_anchor() -> None:
    anchor_D = np.arange(6.0)
    assert tour_view(0, 11.0, 6, anchor_D).lift(np.zeros((1, 2)))[0].tolist() == anchor_D.tolist()


@pytest.mark.parametrize(("num_dimensions", "seconds"), [(2, 1.0), (5, -1.0), (5, float("nan"))])
def test_no_tour_of_a_plane_or_before_its_start(num_dimensions: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="no tour"):
        tour_view(0, seconds, num_dimensions, np.zeros(num_dimensions))
