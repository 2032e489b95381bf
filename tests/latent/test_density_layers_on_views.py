"""The layers of densities and forces on views that are no plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.latent.layer_requests import drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.curved_views import InverseCdfView, SphereView
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.field_raster import lifted
from vae_explorer.latent.layers import AggregateOptions, Focus, ForcesOptions, ReliabilityOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PlaneView

SQUARE = MapRect(-0.25, -0.25, 1.25, 1.25)
LAYERS_AND_OPTIONS = [
    ("posterior", None),
    ("aggregate", AggregateOptions("holes")),
    ("aggregate", AggregateOptions("aggregate")),
    ("reliability", ReliabilityOptions("distance")),
    ("reliability", ReliabilityOptions("round-trip")),
    ("forces", ForcesOptions(30)),
]


@pytest.fixture
def make_explorer(make_snapshot: Any, tiny_dataset: Any) -> Any:
    def make(dimensions: int) -> Explorer:
        explorer = Explorer()
        explorer.adopt(make_snapshot(dimensions=dimensions, num_codes=300))
        explorer.show_images(tiny_dataset)
        return explorer

    return make


@pytest.mark.parametrize(("name", "options"), LAYERS_AND_OPTIONS)
def test_on_the_square_of_the_inverse_cdf(make_explorer: Any, name: str, options: Any) -> None:
    explorer = make_explorer(2)
    view = InverseCdfView.of_dimensions(0, 1, np.zeros(2))
    last = drawings(name, explorer, make_request(explorer, options, Focus(hovered_item=3), SQUARE, view))[-1]
    assert last.readout
    for raster in last.rasters:
        height, width = raster.pixels.shape[:2]
        # Nothing is said of places outside the square, which are no latent points.
        x = raster.rect.left + (np.arange(width) + 0.5) * raster.rect.width / width
        y = raster.rect.top - (np.arange(height) + 0.5) * raster.rect.height / height
        assert raster.pixels[(y < -0.05) | (y > 1.05)].sum() == 0
        assert raster.pixels[:, (x < -0.05) | (x > 1.05)].sum() == 0
    for strokes in last.strokes:
        assert np.isfinite(strokes.xy_P2).all()


@pytest.mark.parametrize(("name", "options"), LAYERS_AND_OPTIONS)
def test_on_a_sphere(make_explorer: Any, name: str, options: Any) -> None:
    explorer = make_explorer(4)
    view = SphereView.through(np.random.default_rng(0).normal(size=(3, 4)))
    request = make_request(explorer, options, Focus(hovered_item=3), MapRect(-9, -9, 9, 9), view)
    last = drawings(name, explorer, request)[-1]
    assert last.readout
    for strokes in last.strokes:
        assert np.isfinite(strokes.xy_P2).all()


def test_only_places_that_come_back_are_latent_points() -> None:
    places = np.array([[0.5, 0.5], [1.2, 0.5], [0.5, -0.1]])
    _, held = lifted(InverseCdfView.of_dimensions(0, 1, np.zeros(2)), places)
    assert held.tolist() == [True, False, False]
    sphere = SphereView.through(np.eye(3))
    _, held = lifted(sphere, np.array([[1.0, 0.5], [6.0, 0.0]]))
    assert held.tolist() == [True, False]
    _, held = lifted(PlaneView.through(np.ones(3), [1e-3, 0, 0], [1.0, 40.0, 0], ("", "")), 50 * places)
    assert held.all()


class _Overview(PlaneView):
    @property
    def is_exact(self) -> bool:
        return False


@pytest.mark.parametrize(("name", "options"), LAYERS_AND_OPTIONS)
def test_an_overview_gets_a_sentence(make_explorer: Any, name: str, options: Any) -> None:
    explorer = make_explorer(2)
    view = _Overview.of_dimensions(0, 1, np.zeros(2))
    request = make_request(explorer, options, Focus(hovered_item=3), view=view)
    if name == "posterior":
        assert "overview" in drawings(name, explorer, request)[-1].readout.lower()
        return
    with pytest.raises(UserError, match="overview") as caught:
        drawings(name, explorer, request)
    assert caught.value.hint
