from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.latent.conftest import MakeSnapshot
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.view_catalogue import VIEWS, FitData, ViewChoice, build_view, views_for
from vae_explorer.latent.views import PlaneView, View

RANDOM = np.random.default_rng(0)


def data(num_dimensions: int, num_items: int = 600) -> FitData:
    codes_ND = np.random.default_rng(1).normal(size=(num_items, num_dimensions)).astype(np.float32)
    return FitData(codes_ND, np.arange(num_items) % 4)


def choice(name: str, num_dimensions: int) -> ViewChoice:
    vectors = np.random.default_rng(2).normal(size=(6, num_dimensions)).tolist()
    points, directions = tuple(tuple(row) for row in vectors[:3]), tuple(tuple(row) for row in vectors[3:5])
    return ViewChoice(name, anchor=tuple(vectors[5]), points=points, directions=directions)


def dimensions_of(name: str) -> int:
    return VIEWS[name].most_dimensions or 7


@pytest.mark.parametrize("name", VIEWS.names())
def test_every_record_builds_a_view(name: str) -> None:
    num_dimensions = dimensions_of(name)
    view = build_view(choice(name, num_dimensions), data(num_dimensions))
    assert isinstance(view, View)
    assert view.num_dimensions == num_dimensions
    assert view.is_exact == VIEWS[name].is_exact
    assert {view: 1}[build_view(choice(name, num_dimensions), data(num_dimensions))] == 1
    assert VIEWS[name].title
    assert VIEWS[name].summary.endswith(".")


@pytest.mark.parametrize("name", VIEWS.names())
def test_every_record_builds_in_its_smallest_space(name: str) -> None:
    least = VIEWS[name].least_dimensions
    view = build_view(replace(choice(name, least), anchor=()), data(least))
    xy_N2 = np.array([[0.25, 0.5], [0.75, 0.125]])
    if name == "line":
        xy_N2[:, 1] = 0.0
    assert view.project(view.lift(xy_N2)) == pytest.approx(xy_N2, abs=1e-9)
    assert view.distance(view.lift(xy_N2)) == pytest.approx(np.zeros(2), abs=1e-6)


@pytest.mark.parametrize("name", VIEWS.names())
def test_decoding_through_a_view_is_decoding_its_latent_points(name: str, make_snapshot: MakeSnapshot) -> None:
    """A lifted point is a latent point like any other: what the map shows is the decoder's own picture."""
    num_dimensions = dimensions_of(name)
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=num_dimensions))
    view = build_view(choice(name, num_dimensions), data(num_dimensions))
    z_ND = view.lift(np.random.default_rng(0).uniform(0.1, 0.9, size=(12, 2)))
    through_view = explorer.decode_mean(view.lift(view.project(z_ND)))
    assert np.abs(through_view - explorer.decode_mean(z_ND)).max() < 1e-6
    assert through_view.std(axis=0).max() > 1e-3


@pytest.mark.parametrize("name", ["three-points", "sphere"])
def test_picked_points_decode_to_their_own_pictures(name: str, make_snapshot: MakeSnapshot) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=5))
    chosen = choice(name, 5)
    points_3D = np.array(chosen.points)
    if name == "sphere":
        # The shell's own points in the picked directions.
        points_3D *= math.sqrt(5) / np.linalg.norm(points_3D, axis=1, keepdims=True)
    view = build_view(chosen, data(5))
    shown_3D = view.lift(view.project(points_3D))
    assert np.abs(explorer.decode_mean(shown_3D) - explorer.decode_mean(points_3D)).max() < 1e-6


@pytest.mark.parametrize("name", [name for name in VIEWS.names() if VIEWS[name].is_exact])
def test_marginals_agree_with_samples_and_tangents_with_differences(name: str) -> None:
    num_dimensions = dimensions_of(name)
    view = build_view(choice(name, num_dimensions), data(num_dimensions))
    random = np.random.default_rng(4)
    mean_1D, sigma_1D = random.normal(size=(1, num_dimensions)), np.full((1, num_dimensions), 0.02)
    xy_12, covariance_122 = view.marginal(mean_1D, sigma_1D)
    samples_N2 = view.project(mean_1D + sigma_1D * random.normal(size=(60_000, num_dimensions)))
    expected_22 = np.cov(samples_N2.T)
    assert xy_12[0] == pytest.approx(samples_N2.mean(axis=0), abs=3e-3)
    assert covariance_122[0] == pytest.approx(expected_22, abs=0.04 * np.trace(expected_22))
    xy_N2 = random.uniform(0.1, 0.9, size=(10, 2))
    for tangent_ND, shift_2 in zip(view.tangents(xy_N2), 1e-6 * np.eye(2), strict=True):
        assert tangent_ND == pytest.approx((view.lift(xy_N2 + shift_2) - view.lift(xy_N2 - shift_2)) / 2e-6, abs=1e-5)


def test_which_views_a_space_offers() -> None:
    def names(num_dimensions: int, has_labels: bool = True) -> list[str]:
        return [record.name for record in views_for(num_dimensions, has_labels)]

    assert names(1) == ["line"]
    assert names(2) == ["dimensions", "pca", "lda", "directions", "inverse-cdf"]
    assert names(8) == [name for name in VIEWS.names() if name != "line"]
    assert "lda" not in names(8, has_labels=False)


@pytest.mark.parametrize(
    ("i", "j", "axes"), [(0, 1, (0, 1, 2)), (3, 4, (3, 4, 0)), (0, 4, (0, 4, 1)), (2, 1, (2, 1, 3))]
)
def test_a_sphere_without_points_is_around_three_axes(i: int, j: int, axes: tuple[int, int, int]) -> None:
    view = build_view(ViewChoice("sphere", i=i, j=j), data(5))
    poles_3D = math.sqrt(5) * np.eye(5)[list(axes)]
    assert all(view.holds(z_D, 1e-12) for z_D in poles_3D)
    assert not view.holds(math.sqrt(5) * np.eye(5)[next(k for k in range(5) if k not in axes)], 1.0)


def test_a_locked_plane_stays_and_a_free_one_follows() -> None:
    before, after = data(5), FitData(RANDOM.normal(size=(600, 5)) * np.arange(1, 6), np.arange(600) % 3)
    for name in ("pca", "lda"):
        view = build_view(ViewChoice(name), before)
        assert build_view(ViewChoice(name, locked=view), after) is view
        assert build_view(ViewChoice(name), after, view) != view
        # A lock on a plane of another model's space holds nothing.
        assert build_view(ViewChoice(name, locked=view), data(4)).num_dimensions == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (ViewChoice("dimensions", i=1, j=1), "span no plane"),
        (ViewChoice("dimensions", i=0, j=5), "span no plane"),
        (ViewChoice("inverse-cdf", i=-1, j=2), "span no plane"),
        (ViewChoice("dimensions", anchor=(0.0, 1.0)), "does not belong"),
        (ViewChoice("dimensions", anchor=(0.0, 1.0, math.nan, 0.0, 0.0)), "not finite"),
        (ViewChoice("three-points"), "needs 3 points"),
        (ViewChoice("three-points", points=((0.0,) * 5, (1.0,) * 5, (2.0,) * 5)), "one line"),
        (ViewChoice("three-points", points=((0.0,) * 4, (1.0,) * 4, (2.0,) * 4)), "does not belong"),
        (ViewChoice("sphere", points=((0.0,) * 5, (1.0,) * 5)), "needs 3 points"),
        (ViewChoice("sphere", i=2, j=2), "span no plane"),
        (ViewChoice("directions"), "needs 2 directions"),
        (ViewChoice("directions", directions=((1.0,) * 5, (2.0,) * 5)), "the same"),
        (ViewChoice("line"), "not for a latent space of 5 dimensions"),
        (ViewChoice("pcs"), "Did you mean 'pca'"),
    ],
    ids=repr,
)
def test_choices_that_cannot_be_made_are_said_in_a_sentence(wrong: ViewChoice, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build_view(wrong, data(5))
    assert caught.value.hint


def test_lda_without_labels_and_fits_without_codes_are_said_in_a_sentence() -> None:
    with pytest.raises(UserError, match="no labels"):
        build_view(ViewChoice("lda"), FitData(data(5).codes_ND))
    with pytest.raises(UserError, match="one class"):
        build_view(ViewChoice("lda"), FitData(data(5).codes_ND, np.zeros(600, np.int64)))
    with pytest.raises(UserError, match="finite"):
        build_view(ViewChoice("pca"), FitData(np.full((10, 5), np.nan)))


def test_a_plane_has_no_distance_where_it_is_the_whole_space() -> None:
    view = PlaneView.through(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([0.0, 2.0]), ("a", "b"))
    assert view.distance(RANDOM.normal(size=(4, 2)).astype(np.float32)).tolist() == [0.0] * 4
    tilted = PlaneView.through(np.ones(3), np.array([1.0, 1.0, 0.0]), np.array([0.0, 2.0, 0.0]), ("a", "b"))
    assert tilted.distance(np.array([[5.0, -3.0, 4.0], [0.0, 0.0, 1.0]])) == pytest.approx(np.array([3.0, 0.0]))
    assert tilted.distance(np.ones((2, 3), np.float32)).dtype == np.float32


def test_views_are_there_without_torch() -> None:
    """The window shows its first view before torch is loaded."""
    modules = "views", "curved_views", "view_fitting", "grand_tour", "view_catalogue", "overview", "overview_child"
    code = f"import sys; {'; '.join(f'import vae_explorer.latent.{name}' for name in modules)}; "
    code += "assert not {'torch', 'umap', 'sklearn', 'PySide6'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
