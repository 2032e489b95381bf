from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import RECT, drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import Focus, GivenPosterior, PosteriorOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PlaneView

WIDE = MapRect(-30.0, -30.0, 30.0, 30.0)


@pytest.fixture
def make_explorer(make_snapshot: Any, tiny_dataset: Any) -> Any:
    def make(dimensions: int = 2, **changes: Any) -> Explorer:
        explorer = Explorer()
        explorer.adopt(make_snapshot(dimensions=dimensions, num_codes=300, **changes))
        explorer.show_images(tiny_dataset)
        return explorer

    return make


def posterior_of(explorer: Explorer, item: int) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        q = explorer.posterior(explorer.seen(np.array([item])))
    return q.mean[0].double().numpy(), q.standard_deviation[0].double().numpy()


def test_ellipses_stand_at_the_mean_with_axes_of_one_and_two_sigma(make_explorer: Any) -> None:
    explorer = make_explorer()
    request = make_request(explorer, PosteriorOptions(shows_exact=False), Focus(hovered_item=7, items=(7, 12)), WIDE)
    (drawing,) = drawings("posterior", explorer, request)
    assert len(drawing.strokes) == 4
    mean, sigma = posterior_of(explorer, 7)
    one, two = (stroke for stroke in drawing.strokes if stroke.role == "accent")
    assert one.width == 2.0
    assert np.ptp(one.xy_P2, axis=0) == pytest.approx(2 * sigma, rel=1e-3)
    assert np.ptp(two.xy_P2, axis=0) == pytest.approx(4 * sigma, rel=1e-3)
    assert (one.xy_P2.min(axis=0) + one.xy_P2.max(axis=0)) / 2 == pytest.approx(mean, abs=1e-3)
    label = int(explorer.dataset.labels_N[12])
    assert sum(stroke.role == f"class:{label}" for stroke in drawing.strokes) == 2
    assert "item 7" in drawing.readout.lower()
    assert explorer.dataset.class_names[int(explorer.dataset.labels_N[7])] in drawing.readout
    assert "σ = (" in drawing.readout


def test_the_exact_posterior_lies_where_its_mass_is(make_explorer: Any) -> None:
    explorer = make_explorer()
    first, last = drawings("posterior", explorer, make_request(explorer, None, Focus(hovered_item=7), WIDE))
    assert not first.is_whole
    assert first.rasters == ()
    (raster,) = last.rasters
    assert last.legend is not None
    assert last.legend.ramp == "sequential"
    exact = explorer.cache["exact posteriors"][("item", 7)]
    alpha = raster.pixels[..., 3].astype(float)
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    x = raster.rect.left + (column + 0.5) * raster.rect.width / alpha.shape[1]
    y = raster.rect.top - (row + 0.5) * raster.rect.height / alpha.shape[0]
    log_density = exact.log_weight_N - 2 * np.log(exact.size_N)
    assert np.hypot(*(exact.points_ND[log_density.argmax()] - [x, y])) < 3 * exact.size_N.min()
    assert f"KL(q ‖ exact) = {exact.kl_from_q:.2f} nats" in last.readout
    # Known now: shown at once, and with no more decoding.
    explorer.network.decode = None
    (again,) = drawings("posterior", explorer, make_request(explorer, None, Focus(hovered_item=7), WIDE))
    assert np.array_equal(again.rasters[0].pixels, raster.pixels)


def test_a_swapped_plane_shows_the_heat_swapped(make_explorer: Any) -> None:
    explorer = make_explorer()
    swapped = PlaneView.of_dimensions(1, 0, np.zeros(2))
    focus = Focus(hovered_item=3)
    straight = drawings("posterior", explorer, make_request(explorer, None, focus, WIDE))[-1].rasters[0]
    turned = drawings("posterior", explorer, make_request(explorer, None, focus, WIDE, swapped))[-1].rasters[0]
    assert (turned.rect.left, turned.rect.bottom) == pytest.approx((straight.rect.bottom, straight.rect.left))


def test_given_posteriors_have_their_names_and_need_no_images(make_snapshot: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    given = GivenPosterior("Mine", np.array([1.0, -0.5]), np.array([0.2, 0.4]), np.ones((1, 8, 8), np.float32))
    last = drawings("posterior", explorer, make_request(explorer, None, Focus(given=(given,))))[-1]
    assert [word.text for word in last.words] == ["Mine"]
    assert {stroke.role for stroke in last.strokes} == {"warning"}
    assert "Mine · σ = (0.2, 0.4)" in last.readout
    with pytest.raises(UserError, match="not loaded"):
        drawings("posterior", explorer, make_request(explorer, None, Focus(hovered_item=3)))


def test_a_picture_and_its_refinement_have_names_apart(make_snapshot: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    place, sigma = np.array([0.3, 0.2]), np.array([0.1, 0.1])
    given = tuple(GivenPosterior(name, place, sigma) for name in ("yours", "refined"))
    words = drawings("posterior", explorer, make_request(explorer, None, Focus(given=given)))[-1].words
    heights = {word.text: word.y for word in words}
    assert heights["yours"] > 0.2 + 2 * 0.1
    assert heights["refined"] < 0.2 - 2 * 0.1


def test_a_posterior_that_fills_the_view_leaves_the_codes_to_be_seen(make_explorer: Any) -> None:
    explorer = make_explorer()
    focus = Focus(hovered_item=3)
    wide = drawings("posterior", explorer, make_request(explorer, None, focus, WIDE))[-1].rasters[0]
    row, column = np.unravel_index(wide.pixels[..., 3].argmax(), wide.pixels.shape[:2])
    x = wide.rect.left + (column + 0.5) / wide.pixels.shape[1] * wide.rect.width
    y = wide.rect.top - (row + 0.5) / wide.pixels.shape[0] * wide.rect.height
    close = MapRect.around(float(x), float(y), 0.02, 0.02)
    filled = drawings("posterior", explorer, make_request(explorer, None, focus, close))[-1].rasters[0]
    assert filled.pixels[..., 3].max() < 0.5 * 255 < wide.pixels[..., 3].max()


def test_in_one_dimension_they_stand_beside_their_code(make_explorer: Any) -> None:
    explorer = make_explorer(dimensions=1)
    request = make_request(explorer, None, Focus(hovered_item=5), WIDE)
    last = drawings("posterior", explorer, request)[-1]
    height = request.view.place(np.zeros((300, 1)))[5, 1]
    mean, sigma = posterior_of(explorer, 5)
    line = last.strokes[0].xy_P2
    assert np.ptp(line[:, 0]) in (pytest.approx(2 * sigma[0]), pytest.approx(4 * sigma[0]))
    assert line.mean(axis=0)[0] == pytest.approx(mean[0], abs=sigma[0])
    assert last.rasters[0].rect.centre[1] == pytest.approx(height)


def test_in_five_dimensions_there_are_ellipses_and_no_heat(make_explorer: Any) -> None:
    explorer = make_explorer(dimensions=5)
    last = drawings("posterior", explorer, make_request(explorer, None, Focus(items=(1, 2, 3)), WIDE))[-1]
    assert len(last.strokes) == 6
    assert last.rasters == ()
    assert "3 posteriors · median σ" in last.readout
    assert "in 5 dimensions" in last.readout


def test_the_exact_posterior_is_of_the_hovered_the_only_selected_or_the_first_given(make_explorer: Any) -> None:
    explorer = make_explorer()
    given = GivenPosterior("Mine", np.zeros(2), np.ones(2), np.ones((1, 8, 8), np.float32))

    def subject(**focus: Any) -> str:
        last = drawings("posterior", explorer, make_request(explorer, None, Focus(**focus), WIDE))[-1]
        return last.readout.rsplit(" · σ", 1)[0] if last.rasters else ""

    assert "Item 7 " in subject(hovered_item=7, items=(1, 2), given=(given,))
    assert "Item 1 " in subject(items=(1,), given=(given,))
    assert "Mine" in subject(items=(1, 2), given=(given,))
    assert subject(items=(1, 2)) == ""


def test_a_heat_out_of_sight_is_not_drawn(make_explorer: Any) -> None:
    explorer = make_explorer()
    far = MapRect(200.0, 200.0, 201.0, 201.0)
    assert drawings("posterior", explorer, make_request(explorer, None, Focus(hovered_item=7), far))[-1].rasters == ()


def test_nothing_in_focus_strange_items_and_spoilt_weights(make_explorer: Any, make_snapshot: Any) -> None:
    explorer = make_explorer()
    assert "Point at a code" in drawings("posterior", explorer, make_request(explorer))[-1].readout
    strange = Focus(hovered_item=10_000, items=(-3,))
    assert drawings("posterior", explorer, make_request(explorer, None, strange))[-1].strokes == ()
    spoilt = make_snapshot(num_codes=300)
    for value in spoilt.weights.values():
        value.fill_(float("nan"))
    explorer.adopt(spoilt)
    last = drawings("posterior", explorer, make_request(explorer, None, Focus(hovered_item=3)))[-1]
    assert last.strokes == ()
    assert "not finite" in last.readout
    other = PlaneView.of_dimensions(0, 1, np.zeros(4))
    assert drawings("posterior", explorer, make_request(explorer, None, None, RECT, other))[-1].strokes == ()
