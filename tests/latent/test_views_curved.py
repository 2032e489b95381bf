from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.latent.curved_views import (
    InverseCdfView,
    SphereView,
    independent_directions,
    normal_cdf,
    normal_quantile,
)
from vae_explorer.latent.views import LineView, PlaneView, View, shown_by

NORMAL = NormalDist()


def sphere(num_dimensions: int, seed: int = 0) -> SphereView:
    return SphereView.through(np.random.default_rng(seed).normal(size=(3, num_dimensions)))


def test_the_quantile_agrees_with_the_standard_library() -> None:
    lower = np.geomspace(1e-6, 0.5, 2000)
    probability = np.concatenate([lower, 1.0 - lower])
    expected = np.array([NORMAL.inv_cdf(float(value)) for value in probability])
    assert np.abs(normal_quantile(probability) - expected).max() < 1e-9


def test_the_distribution_function_agrees_with_the_error_function() -> None:
    z = np.linspace(-9.0, 9.0, 4001)
    expected = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in z])
    assert np.abs(normal_cdf(z) - expected).max() < 1e-15
    assert np.abs(normal_cdf(z) / expected - 1.0).max() < 1e-8
    assert np.isnan(normal_cdf(np.array([np.nan]))).all()


@given(
    num_dimensions=st.integers(3, 40), seed=st.integers(0, 500), radius=st.floats(0.0, 3.0), angle=st.floats(0.0, 6.28)
)
def test_the_sphere_projects_back_what_it_lifts(num_dimensions: int, seed: int, radius: float, angle: float) -> None:
    view = sphere(num_dimensions, seed)
    # Up to nearly half of a great circle away, beyond which a shorter way round exists.
    xy_N2 = radius * view.radius * np.array([[math.cos(angle), math.sin(angle)]])
    z_ND = view.lift(xy_N2)
    assert np.linalg.norm(z_ND) == pytest.approx(math.sqrt(num_dimensions), rel=1e-12)
    assert np.abs(view.project(z_ND) - xy_N2).max() < 1e-7 * num_dimensions
    assert view.holds(z_ND[0])
    # Any multiple of a point lies in the same direction from the centre.
    assert np.abs(view.project(3.0 * z_ND) - xy_N2).max() < 1e-7 * num_dimensions


def test_distances_from_the_middle_of_the_sphere_are_lengths_of_arc() -> None:
    view = sphere(7)
    curve_PD = view.lift(np.linspace(0.0, 1.0, 2001)[:, None] * np.array([[3.0, -2.0]]))
    length = np.linalg.norm(np.diff(curve_PD, axis=0), axis=1).sum()
    assert length == pytest.approx(math.hypot(3.0, 2.0), rel=1e-6)


def test_the_sphere_shows_its_three_directions() -> None:
    directions_3D = np.random.default_rng(1).normal(size=(3, 6))
    view = SphereView.through(directions_3D)
    shell_3D = directions_3D / np.linalg.norm(directions_3D, axis=1, keepdims=True) * math.sqrt(6)
    assert np.abs(view.lift(view.project(shell_3D)) - shell_3D).max() < 1e-12
    assert view.distance(shell_3D) == pytest.approx(np.zeros(3), abs=1e-12)
    assert view.distance(2.0 * shell_3D) == pytest.approx(np.full(3, math.sqrt(6)))


def test_the_sphere_has_a_place_for_its_poles_and_its_centre() -> None:
    view = sphere(5)
    poles_3D = np.array([view.middle, [-value for value in view.middle], [0.0] * 5])
    xy_32 = view.project(poles_3D)
    assert xy_32[0] == pytest.approx(np.zeros(2), abs=1e-7)
    assert np.linalg.norm(xy_32[1]) == pytest.approx(math.pi * math.sqrt(5))
    assert np.isfinite(xy_32).all()


def test_three_pins_of_a_plane_through_the_origin_keep_their_plane_on_the_sphere() -> None:
    """The third direction is the axis furthest from their plane: the one that the plane has least of."""
    plane_25 = np.array([[1.0, 0.5, 0.1, 0.6, 0.4], [-0.3, 1.0, 0.2, 0.1, 0.5]])
    pins_3D = np.array([[1.0, 0.2], [-0.4, 1.5], [0.7, -0.8]]) @ plane_25
    directions_3D = independent_directions(pins_3D)
    basis_25 = np.linalg.qr(plane_25.T)[0].T
    furthest = int(np.argmax(np.linalg.norm(np.eye(5) - basis_25.T @ basis_25, axis=1)))
    assert directions_3D[2] == pytest.approx(np.eye(5)[furthest])
    view = SphereView.through(directions_3D)
    shell_3D = math.sqrt(5) * pins_3D / np.linalg.norm(pins_3D, axis=1, keepdims=True)
    assert np.abs(view.lift(view.project(shell_3D)) - shell_3D).max() < 1e-12


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[2.0, 0, 0, 0], [0, 3.0, 0, 0], [1.0, 1, 0, 0]], [0, 1, 2]),
        ([[0.0, 0, 2, 0], [0, 0, -1, 0], [0, 1, 1, 0]], None),
        ([[0.0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]], [3, 1, 0]),
        ([[0.0, 0, 0, 0]] * 3, [0, 1, 2]),
        ([[0.0, 0, 0, 5]] * 3, [3, 0, 1]),
    ],
    ids=["in a plane", "two opposite", "one at the origin", "all at the origin", "on a line"],
)
def test_whatever_the_points_three_directions_are_made_of_them(
    points: list[list[float]], expected: list[int] | None
) -> None:
    directions_3D = independent_directions(np.array(points))
    if expected is not None:
        assert np.array_equal(directions_3D, np.eye(4)[expected])
    view = SphereView.through(directions_3D)
    assert all(view.holds(2.0 * np.array(point) / length) for point in points if (length := np.linalg.norm(point)))


def test_independent_directions_stay_as_they_are() -> None:
    points_3D = np.random.default_rng(0).normal(size=(3, 6))
    unit_3D = points_3D / np.linalg.norm(points_3D, axis=1, keepdims=True)
    # One by one or all at once, a norm may differ in its last bit.
    assert np.abs(independent_directions(points_3D) - unit_3D).max() <= 4 * np.finfo(np.float64).eps


def test_a_map_shows_each_latent_point_once() -> None:
    square = InverseCdfView.of_dimensions(0, 1, np.zeros(3))
    places = np.array([[0.5, 0.5], [1e-5, 1 - 1e-5], [1.01, 0.5], [0.5, -0.01], [0.0, 0.5], [0.5, 1.0], [np.nan, 0.5]])
    assert shown_by(square, places).tolist() == [True, True, *[False] * 5]
    assert shown_by(square, places, square.lift(places)).tolist() == [True, True, *[False] * 5]
    ball = sphere(6)
    antipode = math.pi * ball.radius
    places = np.array([[0.0, 0.0], [0.99 * antipode, 0.0], [0.0, -1.01 * antipode], [2 * antipode, 0.1]])
    assert shown_by(ball, places).tolist() == [True, True, False, False]
    far = np.array([[1e3, -1e3], [0.0, 7.0]])
    assert shown_by(LineView(), far).all()
    assert shown_by(PlaneView.of_dimensions(0, 1, np.full(4, 9.0)), far).all()


def test_no_sphere_through_directions_in_a_plane() -> None:
    with pytest.raises(ValueError, match="one plane"):
        SphereView.through(np.array([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 0]]))
    with pytest.raises(ValueError, match="length"):
        SphereView.through(np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 0]]))


@given(x=st.floats(1e-6, 1 - 1e-6), y=st.floats(1e-6, 1 - 1e-6), num_dimensions=st.integers(2, 9))
def test_the_square_projects_back_what_it_lifts(x: float, y: float, num_dimensions: int) -> None:
    view = InverseCdfView.of_dimensions(num_dimensions - 1, 0, np.arange(num_dimensions, dtype=float))
    z_ND = view.lift(np.array([[x, y]]))
    assert z_ND[0, -1] == pytest.approx(NORMAL.inv_cdf(x), abs=1e-9)
    assert z_ND[0, 0] == pytest.approx(NORMAL.inv_cdf(y), abs=1e-9)
    assert z_ND[0, 1:-1].tolist() == list(range(1, num_dimensions - 1))
    assert view.project(z_ND) == pytest.approx(np.array([[x, y]]), abs=1e-12)
    assert view.holds(z_ND[0])


def test_beyond_the_square_the_lift_stands_still() -> None:
    view = InverseCdfView.of_dimensions(0, 1, np.zeros(2))
    edge_N2 = view.lift(np.array([[-3.0, 0.5], [1e-6, 0.5], [9.0, 1.0]]))
    assert np.isfinite(edge_N2).all()
    assert edge_N2[0].tolist() == edge_N2[1].tolist()
    assert not view.tangents(np.array([[-3.0, 7.0]]))[0].any()


def test_the_square_evens_out_the_prior() -> None:
    codes_ND = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    xy_N2 = InverseCdfView.of_dimensions(0, 2, np.zeros(3)).place(codes_ND)
    assert xy_N2.dtype == np.float32
    count = np.histogram2d(xy_N2[:, 0], xy_N2[:, 1], bins=5, range=((0, 1), (0, 1)))[0]
    assert np.abs(count / 1600 - 1.0).max() < 0.12


def test_distance_from_the_square_is_what_the_anchor_and_the_edge_miss() -> None:
    view = InverseCdfView.of_dimensions(0, 1, np.array([0.0, 0.0, 1.0, 2.0]))
    edge = NORMAL.inv_cdf(1.0 - 1e-6)
    points_ND = np.array([[0.3, -0.2, 1.0, 2.0], [0.3, -0.2, 4.0, 6.0], [edge + 2.0, 0.0, 1.0, 2.0]])
    assert view.distance(points_ND) == pytest.approx(np.array([0.0, 5.0, 2.0]), abs=1e-9)


@pytest.mark.parametrize("view", [sphere(6), InverseCdfView.of_dimensions(1, 4, np.linspace(-1, 1, 6))], ids=repr)
def test_the_marginal_of_a_narrow_gaussian_agrees_with_samples(view: View) -> None:
    random = np.random.default_rng(3)
    mean_1D, sigma_1D = random.normal(size=(1, 6)), random.uniform(0.01, 0.03, size=(1, 6))
    xy_N2, covariance_N22 = view.marginal(mean_1D, sigma_1D)
    samples_N2 = view.project(mean_1D + sigma_1D * random.normal(size=(100_000, 6)))
    assert xy_N2[0] == pytest.approx(samples_N2.mean(axis=0), abs=3e-3)
    assert covariance_N22[0] == pytest.approx(np.cov(samples_N2.T), abs=0.03 * np.trace(np.cov(samples_N2.T)))


@pytest.mark.parametrize("view", [sphere(6), InverseCdfView.of_dimensions(1, 4, np.linspace(-1, 1, 6))], ids=repr)
def test_tangents_are_the_derivative_of_the_lift(view: View) -> None:
    xy_N2 = np.concatenate([np.random.default_rng(0).uniform(0.05, 0.95, size=(20, 2)), [[1e-3, 2e-3], [0.02, 0.01]]])
    for tangent_ND, shift_2 in zip(view.tangents(xy_N2), 1e-6 * np.eye(2), strict=True):
        difference_ND = (view.lift(xy_N2 + shift_2) - view.lift(xy_N2 - shift_2)) / 2e-6
        assert np.abs(tangent_ND - difference_ND).max() < 1e-4 * np.abs(difference_ND).max()


def test_tangents_at_the_middle_of_the_sphere_are_its_axes() -> None:
    view = sphere(9)
    u_ND, v_ND = view.tangents(np.zeros((1, 2)))
    assert u_ND[0] == pytest.approx(np.array(view.u))
    assert v_ND[0] == pytest.approx(np.array(view.v))
