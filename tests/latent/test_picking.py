from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.latent.item_scenes import last_of, make_images, make_scene
from tests.latent.layer_requests import first_view
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.picking import (
    is_inside,
    item_near,
    items_in_polygon,
    items_in_value_range,
    items_of_label,
)
from vae_explorer.latent.views import PlaneView
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]


def crosses(point: np.ndarray, polygon: np.ndarray) -> bool:
    """The textbook rule, one edge at a time."""
    inside, (x, y) = False, point
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


@pytest.fixture
def scene(make_snapshot: MakeSnapshot) -> Explorer:
    return make_scene(make_snapshot(), dataset=make_images())


def test_the_nearest_code_is_found_by_item_id(scene: Explorer) -> None:
    view, codes = first_view(2), scene.codes()
    assert codes is not None
    for item in (0, 123, 499):
        x, y = codes[item].tolist()
        found = item_near(scene, view, (x + 1e-5, y), 0.1)
        assert found is not None
        assert found[0] == item
        assert found[1] == pytest.approx(1e-5, abs=1e-6)
    xy = (0.3, -0.2)
    distance_N = np.hypot(*(codes - np.array(xy, dtype=np.float32)).T)
    found = item_near(scene, view, xy, 1.0)
    assert found is not None
    assert found[0] == int(distance_N.argmin())
    assert item_near(scene, view, (90.0, 90.0), 1.0) is None
    # In the corner of the square around the mouse is farther than the radius.
    far = float(distance_N.min())
    assert item_near(scene, view, xy, far * 0.99) is None


def test_of_codes_at_one_place_the_one_on_top_is_meant(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(), np.zeros((500, 2)))
    placed = scene.code_layer.placed(scene, first_view(2))
    assert placed is not None
    assert item_near(scene, first_view(2), (0.0, 0.0), 0.1) == (int(placed.order_N[-1]), 0.0)


def test_a_lasso_holds_what_the_even_odd_rule_says(scene: Explorer) -> None:
    angle = np.arange(5) * 4 * np.pi / 5
    star = np.stack([2 * np.sin(angle), 2 * np.cos(angle)], axis=1)  # its middle counts as outside
    codes = scene.codes()
    assert codes is not None
    wanted = [item for item in range(len(codes)) if crosses(codes[item].astype(float), star)]
    ids = last_of(items_in_polygon(scene, first_view(2), star))
    assert ids.dtype == np.int64
    assert ids.tolist() == wanted
    assert 0 < len(wanted) < len(codes)


def test_points_at_the_height_of_corners_are_counted_once() -> None:
    square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [1.0, 1.0], [0.0, 2.0]])
    points = np.array([[0.5, 1.0], [1.5, 1.0], [-0.5, 1.0], [2.5, 1.0], [1.0, 1.5], [0.5, 0.5], [-1.0, 0.0]])
    assert is_inside(points, square).tolist() == [crosses(point, square) for point in points]


def test_a_lasso_of_less_than_a_triangle_holds_nothing(scene: Explorer) -> None:
    for polygon in (np.zeros((0, 2)), np.array([[0.0, 0.0], [1.0, 1.0]]), np.full((9, 2), np.nan)):
        assert len(last_of(items_in_polygon(scene, first_view(2), polygon))) == 0
    assert len(last_of(items_in_polygon(scene, first_view(2), np.ones((3, 2)) * 50))) == 0


def corners_of(rect: MapRect) -> np.ndarray:
    return np.array([
        [rect.left, rect.bottom], [rect.right, rect.bottom], [rect.right, rect.top], [rect.left, rect.top]
    ])  # fmt: skip


class Careless(PlaneView):
    """Places codes by two of their coordinates without looking at the others."""

    def place(self, z_ND: np.ndarray) -> np.ndarray:
        return z_ND[:, :2]


@pytest.mark.parametrize("kind", [PlaneView, Careless])
def test_codes_that_are_not_finite_are_never_picked(make_snapshot: MakeSnapshot, kind: type[PlaneView]) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 3))
    codes[3], codes[4, 2], codes[5, 0] = np.nan, np.nan, np.inf
    scene = make_scene(make_snapshot(dimensions=3), codes, make_images())
    bad, everywhere = {3, 4, 5}, MapRect(-100, -100, 100, 100)
    view = kind.of_dimensions(0, 1, np.zeros(3))
    ids = last_of(items_in_polygon(scene, view, corners_of(everywhere)))
    assert set(range(500)) - set(ids.tolist()) == bad
    x, y = codes[4, :2].tolist()
    found = item_near(scene, view, (x, y), 1e-6)
    assert found is None
    assert not bad & set(last_of(items_in_value_range(scene, "kl", -1e9, 1e9)).tolist())


def test_a_rectangle_holds_the_codes_between_its_edges(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(dimensions=1))
    codes = scene.codes()
    assert codes is not None
    ids = last_of(items_in_polygon(scene, first_view(1), corners_of(MapRect(-0.5, -2.0, 0.5, 2.0))))
    assert ids.tolist() == np.flatnonzero(np.abs(codes[:, 0]) <= 0.5).tolist()
    other = PlaneView.of_dimensions(0, 1, np.zeros(2))
    assert len(last_of(items_in_polygon(scene, other, corners_of(MapRect(-9, -9, 9, 9))))) == 0
    assert item_near(scene, other, (0.0, 0.0), 9.0) is None


def test_items_of_a_class() -> None:
    assert items_of_label(make_images(10), 1).tolist() == [1, 4, 7]
    assert items_of_label(make_images(10), 9).tolist() == []
    for dataset in (None, make_images(10, has_labels=False)):
        with pytest.raises(UserError, match="no labels"):
            items_of_label(dataset, 1)


def test_items_by_value(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(dimensions=3), dataset=make_images())
    posterior = scene.posterior(scene.seen(np.arange(500)))
    mean, log_variance = posterior.mean.double(), posterior.log_variance.double()
    kl_N = (0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)).sum(1).numpy()
    rising = np.sort(kl_N)
    low, high = rising[99:101].mean(), rising[199:201].mean()
    ids = last_of(items_in_value_range(scene, "kl", low, high))
    assert len(ids) == 100
    assert ids.tolist() == np.flatnonzero((kl_N > low) & (kl_N < high)).tolist()
    codes = scene.codes()
    assert codes is not None
    near = last_of(items_in_value_range(scene, "distance", 0.0, 0.3, first_view(3)))
    assert near.tolist() == np.flatnonzero(np.abs(codes[:, 2]) <= 0.3).tolist()
    with pytest.raises(UserError, match="not loaded"):
        list(items_in_value_range(make_scene(make_snapshot()), "elbo", 0.0, 1.0))
