from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.latent.layer_requests import drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.aggregate import GaussianMixture, Surgery, log_aggregate, surgery
from vae_explorer.latent.aggregate_layer import surgery_words
from vae_explorer.latent.explorer import Anchors, Explorer
from vae_explorer.latent.layers import LAYERS, AggregateOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.views import PlaneView


def direct_log_aggregate(z_PD: np.ndarray, mean_MD: np.ndarray, sigma_MD: np.ndarray) -> np.ndarray:
    log_PM = -0.5 * (
        ((z_PD[:, None] - mean_MD) / sigma_MD) ** 2 + 2 * np.log(sigma_MD) + math.log(2 * math.pi)
    ).sum(axis=2)  # fmt: skip
    return np.log(np.exp(log_PM).mean(axis=1))


@pytest.mark.parametrize("dimensions", [1, 2, 7])
def test_log_density_equals_the_direct_sum(dimensions: int) -> None:
    random = np.random.default_rng(0)
    mean_MD, z_PD = random.normal(size=(50, dimensions)), random.normal(size=(300, dimensions))
    sigma_MD = random.uniform(0.1, 1.5, size=(50, dimensions))
    wanted = direct_log_aggregate(z_PD, mean_MD, sigma_MD)
    assert log_aggregate(z_PD, mean_MD, sigma_MD) == pytest.approx(wanted, abs=1e-9)
    assert finished(
        GaussianMixture.diagonal(mean_MD, sigma_MD).log_density_in_steps(z_PD)
    ) == pytest.approx(wanted, abs=1e-9)  # fmt: skip


def test_a_planar_mixture_has_correlations() -> None:
    random = np.random.default_rng(1)
    mean, root = random.normal(size=(4, 2)), random.normal(size=(4, 2, 2))
    covariance = root @ root.transpose(0, 2, 1) + 0.05 * np.eye(2)
    z = random.normal(size=(30, 2)) * 2
    offset = z[:, None] - mean
    square = np.einsum("pma,mab,pmb->pm", offset, np.linalg.inv(covariance), offset)
    wanted = np.log((np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))).mean(axis=1))
    assert GaussianMixture.planar(mean, covariance).log_density(z) == pytest.approx(wanted, abs=1e-9)


def test_far_points_and_narrow_parts_keep_their_digits() -> None:
    mixture = GaussianMixture.diagonal(np.array([[5.0, -5.0]]), np.array([[0.007, 0.007]]))
    wanted = -0.5 * (50.0 / 0.007**2) - 2 * math.log(0.007) - math.log(2 * math.pi)
    assert mixture.log_density(np.array([[10.0, -10.0]]))[0] == pytest.approx(wanted, rel=1e-9)
    assert mixture.log_density(np.array([[5.0, -5.0]]))[0] == pytest.approx(
        -2 * math.log(0.007) - math.log(2 * math.pi), abs=1e-6
    )


def test_two_far_groups_tell_ln_2() -> None:
    mean = np.repeat([[-30.0, 0.0], [30.0, 0.0]], 500, axis=0)
    parts = finished(surgery(mean, np.ones((1000, 2))))
    assert parts.mutual_information == pytest.approx(math.log(2.0), abs=1e-9)
    assert not parts.is_at_ceiling


def test_equal_posteriors_tell_nothing() -> None:
    mean, sigma = np.full((300, 3), 0.4), np.full((300, 3), 0.7)
    parts = finished(surgery(mean, sigma))
    assert parts.mutual_information == pytest.approx(0.0, abs=1e-9)
    closed = 3 * 0.5 * (0.4**2 + 0.7**2 - 1 - math.log(0.7**2))
    assert parts.kl == pytest.approx(closed)
    assert parts.mismatch == pytest.approx(closed)


def test_posteriors_that_do_not_touch_are_at_the_ceiling() -> None:
    parts = finished(surgery(np.arange(64.0)[:, None], np.full((64, 1), 1e-3)))
    assert parts.mutual_information == pytest.approx(math.log(64))
    assert parts.is_at_ceiling
    words = surgery_words(parts, 1000)
    assert "I ≥ 4.16" in words
    assert "mismatch ≤" in words
    assert "ceiling ln 64 = 4.16 · from 64 of 1,000 images" in words


def test_kl_is_information_plus_mismatch() -> None:
    random = np.random.default_rng(2)
    mean, sigma = random.normal(size=(1500, 2)) * 1.4, random.uniform(0.2, 0.9, size=(1500, 2))
    parts = finished(surgery(mean, sigma))
    # A second method: the mismatch from draws of q(z) itself, KL(q(z) || p) = E_q(z)[log q(z) - log p(z)].
    part = random.integers(1500, size=6000)
    z = mean[part] + sigma[part] * random.normal(size=(6000, 2))
    terms = direct_log_aggregate(z, mean, sigma) + 0.5 * (z**2).sum(1) + math.log(2 * math.pi)
    error = terms.std() / math.sqrt(1500)
    assert parts.kl == pytest.approx(parts.mutual_information + parts.mismatch)
    assert parts.mismatch == pytest.approx(terms.mean(), abs=4 * error)


def test_non_finite_posteriors_are_left_out() -> None:
    mean = np.zeros((10, 2))
    mean[3] = np.nan
    assert finished(surgery(mean, np.ones((10, 2)))).num_images == 9
    with pytest.raises(UserError, match="not finite"):
        finished(surgery(mean, np.full((10, 2), np.inf)))


def explorer_with(make_snapshot: Any, dataset: Any, mean_MD: np.ndarray, sigma_MD: np.ndarray) -> Explorer:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=mean_MD.shape[1]))
    explorer.show_images(dataset)
    explorer.cache["anchors"] = Anchors(np.arange(len(mean_MD)), mean_MD, sigma_MD)
    return explorer


def pixel(drawing: Any, x: float, y: float) -> list[int]:
    raster = drawing.rasters[0]
    height, width = raster.pixels.shape[:2]
    row = int((raster.rect.top - y) / raster.rect.height * height)
    column = int((x - raster.rect.left) / raster.rect.width * width)
    return raster.pixels[row, column].tolist()


def test_a_hole_is_where_the_prior_has_mass_and_no_data_live(make_snapshot: Any, tiny_dataset: Any) -> None:
    mean = np.tile([[1.5, 0.0]], (200, 1))
    explorer = explorer_with(make_snapshot, tiny_dataset, mean, np.full((200, 2), 0.3))
    first, last = drawings("aggregate", explorer, make_request(explorer, AggregateOptions("holes")))
    assert not first.is_whole
    assert last.legend.ramp == "diverging"
    # The test's ramp goes from blue to not blue: high is a hole. At the edge, nothing is drawn.
    hole, crowded, nothing = pixel(last, -0.5, 0.0), pixel(last, 1.5, 0.0), pixel(last, -2.95, 1.95)
    assert hole[3] > 200
    assert crowded[3] == 255
    assert nothing[3] < 30
    table = make_request(explorer).ink.diverging_256
    assert crowded == table[0].tolist()
    assert hole[0] == pytest.approx(table[int(255 * (0.5 + 0.5 * math.exp(-0.125)))][0], abs=30)
    assert "KL" in last.readout
    assert "of 240 images" in last.readout


@pytest.mark.parametrize("shows", ["aggregate", "prior", "holes"])
@pytest.mark.parametrize("dimensions", [1, 2, 6])
def test_every_choice_in_every_dimension(make_snapshot: Any, tiny_dataset: Any, shows: str, dimensions: int) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=dimensions))
    explorer.show_images(tiny_dataset)
    last = drawings("aggregate", explorer, make_request(explorer, AggregateOptions(shows)))[-1]
    assert last.rasters[0].pixels[..., 3].any()
    assert last.legend.unit
    assert {"1σ", "2σ", "3σ"} <= {word.text for word in last.words}
    assert last.strokes[0].is_dashed


def test_densities_are_marginals_of_the_plane(make_snapshot: Any, tiny_dataset: Any) -> None:
    random = np.random.default_rng(3)
    mean, sigma = random.normal(size=(80, 4)), random.uniform(0.2, 0.8, size=(80, 4))
    explorer = explorer_with(make_snapshot, tiny_dataset, mean, sigma)
    plane = PlaneView.of_dimensions(3, 1, random.normal(size=4))
    drawings("aggregate", explorer, make_request(explorer, AggregateOptions("aggregate"), view=plane))
    (densities,) = explorer.cache["densities"].values()
    rows, columns = densities.aggregate.shape
    x = -3 + (7 + 0.5) * 6 / columns
    y = 2 - (11 + 0.5) * 4 / rows
    wanted = direct_log_aggregate(np.array([[x, y]]), mean[:, [3, 1]], sigma[:, [3, 1]])[0]
    assert densities.aggregate[11, 7] == pytest.approx(wanted, abs=1e-9)
    assert densities.prior[11, 7] == pytest.approx(-0.5 * (x * x + y * y) - math.log(2 * math.pi), abs=1e-9)


def test_another_choice_at_the_same_place_computes_nothing(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    explorer.show_images(tiny_dataset)
    drawings("aggregate", explorer, make_request(explorer, AggregateOptions("holes")))
    steps = list(LAYERS["aggregate"].draw(explorer, make_request(explorer, AggregateOptions("prior"))))
    assert len(steps) == 1


def test_no_images_and_another_space(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    with pytest.raises(UserError, match="not loaded"):
        drawings("aggregate", explorer, make_request(explorer))
    other = PlaneView.of_dimensions(0, 1, np.zeros(5))
    assert drawings("aggregate", explorer, make_request(explorer, view=other))[-1].rasters == ()
    assert "≥" not in surgery_words(Surgery(5.82, 5.22, 0.60, math.log(4096), 4096), 60_000)
    explorer.show_images(tiny_dataset)
    empty = MapRect(500.0, 500.0, 501.0, 501.0)
    assert drawings("aggregate", explorer, make_request(explorer, rect=empty))[-1].legend is not None
