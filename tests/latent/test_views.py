from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.latent.layer_requests import first_view
from vae_explorer.latent.views import LineView, PlaneView, View

coordinate = st.floats(-50, 50)


@given(x=coordinate, y=coordinate)
def test_the_view_of_two_dimensions_is_the_identity(x: float, y: float) -> None:
    view = first_view(2)
    assert view.lift(np.array([[x, y]])).tolist() == [[x, y]]
    assert view.project(np.array([[x, y]])) == pytest.approx(np.array([[x, y]]), abs=1e-9)


@given(
    num_dimensions=st.integers(2, 30),
    seed=st.integers(0, 1000),
    xy=st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=5),
)
def test_project_undoes_lift_in_any_plane(num_dimensions: int, seed: int, xy: list[tuple[float, float]]) -> None:
    random = np.random.default_rng(seed)
    anchor, u, v = random.normal(size=(3, num_dimensions))
    v += 0.1 * np.sign(v)
    basis = np.linalg.qr(np.stack([u, v], axis=1))[0] @ np.array([[1.0, 0.7], [0.0, 0.8]])
    view = PlaneView.through(anchor, basis[:, 0], basis[:, 1], ("a", "b"))
    assert np.abs(view.project(view.lift(np.array(xy))) - np.array(xy)).max() < 1e-6
    assert all(view.holds(z_D) for z_D in view.lift(np.array(xy)))


def test_two_dimensions_of_many_through_an_anchor() -> None:
    anchor = np.arange(5.0)
    view = PlaneView.of_dimensions(3, 1, anchor)
    assert view.lift(np.array([[10.0, 20.0]])).tolist() == [[0.0, 20.0, 2.0, 10.0, 4.0]]
    assert view.axis_labels == ("z₄", "z₂")
    assert view.holds(anchor)
    assert not view.holds(anchor + np.eye(5)[0])


def test_projection_keeps_float32_of_many_codes() -> None:
    codes_ND = np.random.default_rng(0).normal(size=(1000, 6)).astype(np.float32)
    view = PlaneView.of_dimensions(2, 4, np.ones(6))
    xy_N2 = view.project(codes_ND)
    assert xy_N2.dtype == np.float32
    assert np.abs(xy_N2 - codes_ND[:, [2, 4]]).max() < 1e-6


@pytest.mark.parametrize(("i", "j"), [(1, 1), (0, 3), (-1, 0)])
def test_no_plane_without_two_dimensions(i: int, j: int) -> None:
    with pytest.raises(ValueError, match="span no plane"):
        PlaneView.of_dimensions(i, j, np.zeros(3))


def test_parallel_directions_span_no_plane() -> None:
    with pytest.raises(ValueError, match="parallel"):
        PlaneView.through(np.zeros(3), np.ones(3), 2 * np.ones(3), ("a", "b"))


def test_a_line_spreads_codes_over_an_axis_without_meaning() -> None:
    view = first_view(1)
    assert isinstance(view, LineView)
    assert view.lift(np.array([[1.5, 7.0]])).tolist() == [[1.5]]
    xy_N2 = view.place(np.linspace(-2, 2, 100)[:, None])
    assert xy_N2[:, 0] == pytest.approx(np.linspace(-2, 2, 100))
    assert np.histogram(xy_N2[:, 1], bins=4, range=(-1, 1))[0].min() > 20
    assert np.all(view.project(np.ones((3, 1)))[:, 1] == 0)


@pytest.mark.parametrize("num_dimensions", [1, 2, 7])
def test_views_are_hashable_and_equal_by_value(num_dimensions: int) -> None:
    view = first_view(num_dimensions)
    assert isinstance(view, View)
    assert {view: 1}[first_view(num_dimensions)] == 1
    assert view.num_dimensions == num_dimensions
