from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import RECT, drawings, make_ink, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.anchors import Anchors
from vae_explorer.latent.drawing import LayerInk
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import ReliabilityOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.reliability_layer import NearestInSigma, median_spacing, round_trip
from vae_explorer.latent.views import PlaneView


def direct_distance(z_PD: np.ndarray, mean_MD: np.ndarray, sigma_MD: np.ndarray) -> np.ndarray:
    square = (((z_PD[:, None] - mean_MD) / sigma_MD) ** 2).mean(axis=2)
    return np.sqrt(square.min(axis=1))


@pytest.mark.parametrize("dimensions", [1, 2, 9])
def test_distance_equals_the_direct_computation(dimensions: int) -> None:
    random = np.random.default_rng(0)
    mean, z = random.normal(size=(40, dimensions)), 3 * random.normal(size=(200, dimensions))
    sigma = random.uniform(0.01, 1.0, size=(40, dimensions))
    wanted = direct_distance(z, mean, np.maximum(sigma, 0.1))
    assert finished(NearestInSigma(mean, sigma, 0.1).distance(z)) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_the_spacing_is_the_median_nearest_distance() -> None:
    mean = np.random.default_rng(1).normal(size=(300, 3))
    apart = np.linalg.norm(mean[:, None] - mean, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert finished(median_spacing(mean)) == pytest.approx(np.median(apart.min(axis=1)), abs=1e-9)
    assert finished(median_spacing(mean[:1])) == 0.0


def test_a_dense_cloud_of_tiny_posteriors_is_not_empty(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = with_anchors(make_snapshot, tiny_dataset, grid_of(-2.0, 2.0, 21), 1e-4)
    last = drawings("reliability", explorer, make_request(explorer, rect=MapRect(-1.9, -1.9, 1.9, 1.9)))[-1]
    assert last.readout.startswith("0 % of the view")
    assert last.rasters[0].pixels.max() == 0


def grid_of(low: float, high: float, side: int) -> np.ndarray:
    line = np.linspace(low, high, side)
    return np.stack([axis.reshape(-1) for axis in np.meshgrid(line, line)], axis=1)


def with_anchors(make_snapshot: Any, dataset: Any, mean_MD: np.ndarray, sigma: float) -> Explorer:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=mean_MD.shape[1]))
    explorer.show_images(dataset)
    explorer.cache["anchors"] = Anchors(np.arange(len(mean_MD)), mean_MD, np.full_like(mean_MD, sigma))
    return explorer


def test_what_is_far_is_shaded_and_its_edge_is_drawn(make_snapshot: Any, tiny_dataset: Any) -> None:
    mean = np.array([[-1.0, 0.0], [-0.9, 0.0], [np.nan, 0.0]])
    explorer = with_anchors(make_snapshot, tiny_dataset, mean, 0.3)
    last = drawings("reliability", explorer, make_request(explorer))[-1]
    alpha = last.rasters[0].pixels[..., 3]
    near, far = alpha[100, 100], alpha[100, 290]
    assert near == 0
    assert far >= 0.84 * 255
    # The edge at two sigma: 2 * 0.3 * sqrt(2) from the nearest mean.
    edge = last.strokes[0].xy_P2
    reach = np.abs(edge - np.array([-1.0, 0.0])), np.abs(edge - np.array([-0.9, 0.0]))
    nearest = np.minimum(*(np.hypot(*offset.T) for offset in reach))
    assert nearest == pytest.approx(np.full(len(edge), 2 * 0.3 * np.sqrt(2)), abs=0.01)
    area = np.pi * (2 * 0.3 * np.sqrt(2)) ** 2 + 0.1 * 4 * 0.3 * np.sqrt(2)
    assert last.readout.startswith(f"{1 - area / 24:.0%}".replace("%", " %"))


LIGHT = replace(make_ink(), ground_3=np.full(3, 255, np.uint8), text_3=np.full(3, 28, np.uint8), is_dark=False)
DARK = replace(make_ink(), ground_3=np.full(3, 27, np.uint8), text_3=np.full(3, 232, np.uint8), is_dark=True)


@pytest.mark.parametrize("ink", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_far_is_plain_to_see_on_the_ground_and_over_pictures(
    make_snapshot: Any, tiny_dataset: Any, ink: LayerInk
) -> None:
    explorer = with_anchors(make_snapshot, tiny_dataset, np.zeros((2, 2)), 0.3)
    request = replace(make_request(explorer), ink=ink)
    pixels = drawings("reliability", explorer, request)[-1].rasters[0].pixels.astype(float)
    # 50 pixels a unit: two sigma are 0.85 units from the middle.
    far, edge = pixels[80:120, 240:290].reshape(-1, 4), pixels[95:105, 200:210].reshape(-1, 4)
    ground, text = float(ink.ground_3[0]), float(ink.text_3[0])

    def seen(part: np.ndarray, under: float) -> np.ndarray:
        return part[:, 0] + (1 - part[:, 3] / 255) * under

    for part in (far, edge):
        # The hatch, on the bare ground and over a picture in the text's colour, in steps of 255.
        assert np.ptp(seen(part, ground)) > 75
        assert np.ptp(seen(part, text)) > 25
    # Between the lines a picture is a third gone at the edge already, and nearly so where it is far.
    assert np.abs(seen(edge, text) - text).max() > abs(text - ground) / 3
    assert np.abs(seen(far, text) - text).max() > 0.8 * abs(text - ground)


def test_a_round_trip_equals_decoding_and_encoding(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=3))
    explorer.show_images(tiny_dataset)
    z = np.random.default_rng(2).normal(size=(70, 3))
    with torch.no_grad():
        q = explorer.network.encode(torch.from_numpy(explorer.decode_mean(z)))
    wanted = np.sqrt((((q.mean.numpy() - z) / q.standard_deviation.numpy()) ** 2).mean(axis=1))
    assert finished(round_trip(explorer, z)) == pytest.approx(wanted, rel=1e-4)
    last = drawings("reliability", explorer, make_request(explorer, ReliabilityOptions("round-trip")))[-1]
    assert "round trip" in last.readout
    assert last.legend is not None
    assert "Round trip" in last.legend.title


@pytest.mark.parametrize("dimensions", [1, 2, 6])
def test_in_every_dimension_and_computed_once(make_snapshot: Any, tiny_dataset: Any, dimensions: int) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=dimensions))
    explorer.show_images(tiny_dataset)
    first = drawings("reliability", explorer, make_request(explorer, rect=MapRect(-60, -40, 60, 40)))[-1]
    assert first.rasters[0].pixels[..., 3].any()
    assert len(first.strokes[0].xy_P2)
    explorer.cache["nearest in sigma"] = None
    again = drawings("reliability", explorer, make_request(explorer, rect=MapRect(-60, -40, 60, 40)))[-1]
    assert np.array_equal(first.rasters[0].pixels, again.rasters[0].pixels)


def test_bad_input(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    with pytest.raises(UserError, match="not loaded"):
        drawings("reliability", explorer, make_request(explorer))
    other = PlaneView.of_dimensions(0, 1, np.zeros(4))
    assert drawings("reliability", explorer, make_request(explorer, None, None, RECT, other))[-1].rasters == ()
    explorer = with_anchors(make_snapshot, tiny_dataset, np.full((5, 2), np.nan), 1.0)
    with pytest.raises(UserError, match="not finite"):
        drawings("reliability", explorer, make_request(explorer))
