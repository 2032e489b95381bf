from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from tests.latent.layer_requests import RECT, drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.aggregate import (
    Surgery,
    diagonal_mixture,
    log_density,
    planar_mixture,
    surgery,
)
from vae_explorer.latent.aggregate_layer import surgery_gauge, surgery_words
from vae_explorer.latent.all_posteriors import Posteriors, prepared_posteriors
from vae_explorer.latent.anchors import Anchors
from vae_explorer.latent.drawing import Gauge
from vae_explorer.latent.explorer import Explorer
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
    assert log_density(diagonal_mixture(mean_MD, sigma_MD), z_PD) == pytest.approx(wanted, abs=1e-9)


def test_a_planar_mixture_has_correlations() -> None:
    random = np.random.default_rng(1)
    mean, root = random.normal(size=(4, 2)), random.normal(size=(4, 2, 2))
    covariance = root @ root.transpose(0, 2, 1) + 0.05 * np.eye(2)
    z = random.normal(size=(30, 2)) * 2
    offset = z[:, None] - mean
    square = np.einsum("pma,mab,pmb->pm", offset, np.linalg.inv(covariance), offset)
    wanted = np.log((np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))).mean(axis=1))
    assert log_density(planar_mixture(mean, covariance), z) == pytest.approx(wanted, abs=1e-9)


def test_far_points_and_narrow_parts_keep_their_digits() -> None:
    mixture = diagonal_mixture(np.array([[5.0, -5.0]]), np.array([[0.007, 0.007]]))
    wanted = -0.5 * (50.0 / 0.007**2) - 2 * math.log(0.007) - math.log(2 * math.pi)
    assert log_density(mixture, np.array([[10.0, -10.0]]))[0] == pytest.approx(wanted, rel=1e-9)
    assert log_density(mixture, np.array([[5.0, -5.0]]))[0] == pytest.approx(
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


def test_the_mixture_is_never_subsampled() -> None:
    """9,000 posteriors that do not touch tell ln 9,000 to any number of queries; of 4,096 no more than ln 4,096."""
    # On a grid around the origin, 50 sigma apart: in one row their squares would be so large that digits are lost.
    mean = (np.stack(np.divmod(np.arange(9000), 95), axis=1) - 47) * 0.05
    sigma = np.full((9000, 2), 1e-3)
    parts = finished(surgery(mean, sigma, 500))
    assert (parts.num_images, parts.num_queries) == (9000, 500)
    assert parts.mutual_information == pytest.approx(math.log(9000), abs=1e-9)
    assert parts.ceiling == pytest.approx(math.log(9000))
    # Tiles of parts add up to the direct sum.
    random = np.random.default_rng(0)
    mean, sigma = random.normal(size=(9000, 2)), random.uniform(0.1, 0.5, size=(9000, 2))
    z = random.normal(size=(5, 2)) * 2
    wanted = direct_log_aggregate(z, mean, sigma)
    assert log_density(diagonal_mixture(mean, sigma), z) == pytest.approx(wanted, abs=1e-9)


def test_few_queries_agree_with_all_within_their_error() -> None:
    random = np.random.default_rng(4)
    mean, sigma = random.normal(size=(3000, 4)) * 1.2, random.uniform(0.2, 0.6, size=(3000, 4))
    every, some = (finished(surgery(mean, sigma, num)) for num in (3000, 400))
    assert every.kl == some.kl
    assert some.mutual_information == pytest.approx(every.mutual_information, abs=4 * some.error)
    assert 0.02 < some.error < 0.2


def test_all_training_items_are_encoded_in_steps_that_go_on_where_they_were(
    make_snapshot: Any, tiny_dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    explorer.show_images(tiny_dataset)
    asked: list[int] = []
    seen = explorer.seen
    monkeypatch.setattr(explorer, "seen", lambda ids: asked.extend(ids.tolist()) or seen(ids))
    steps = prepared_posteriors(explorer)
    next(steps)
    assert 0 < len(asked) < 240
    steps.close()
    posteriors = finished(prepared_posteriors(explorer))
    wanted = tiny_dataset.train_index_N.numpy()
    assert asked == wanted.tolist()
    assert np.array_equal(posteriors.ids_N, wanted)
    q = explorer.posterior(seen(wanted))
    assert posteriors.mean_ND == pytest.approx(q.mean.numpy(), abs=1e-5)
    assert posteriors.sigma_ND == pytest.approx(q.standard_deviation.numpy(), rel=1e-4)


def test_while_training_the_parts_are_renewed_at_a_rate_of_their_own(
    make_snapshot: Any, tiny_dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(step=100))
    explorer.show_images(tiny_dataset)
    clock = [1000.0]
    monkeypatch.setattr("vae_explorer.latent.aggregate_layer.time.monotonic", lambda: clock[0])

    def drawn(is_training: bool) -> Any:
        request = dataclasses.replace(make_request(explorer, AggregateOptions("holes")), is_training=is_training)
        return drawings("aggregate", explorer, request)[-1]

    first = drawn(True)
    assert "step" not in first.readout
    assert "from 240 of 240 images" in first.readout
    seconds = first.extras["seconds_apart"]
    assert seconds > 0
    explorer.adopt(make_snapshot(seed=1, step=200))
    behind = drawn(True)
    assert behind.readout == f"{first.readout} · as of step 100"
    assert behind.legend.gauge == first.legend.gauge
    assert behind.extras["is_behind"]
    assert "seconds_apart" not in behind.extras
    clock[0] += seconds / 0.04 + 1e-3
    assert "step" not in drawn(True).readout
    # Where nothing trains, nothing is put off.
    explorer.adopt(make_snapshot(seed=2, step=300))
    last = drawn(False)
    assert "step" not in last.readout
    assert "is_behind" not in last.extras


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
    explorer.cache["posteriors"] = Posteriors(np.arange(len(mean_MD)), mean_MD, sigma_MD, len(mean_MD))
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
    assert hole == table[-1].tolist()
    assert "KL" in last.readout
    assert "of 240 images" in last.readout


def ticks_of(drawing: Any) -> list[tuple[float, float]]:
    return [(part, float(text.split(":")[0].replace("−", "-"))) for part, text in drawing.legend.ticks]


def test_faint_holes_fill_the_scale(make_snapshot: Any, tiny_dataset: Any) -> None:
    # q(z) = N(0, 1.2^2): the difference is a third of the prior's peak at most.
    explorer = explorer_with(make_snapshot, tiny_dataset, np.zeros((50, 2)), np.full((50, 2), 1.2))
    last = drawings("aggregate", explorer, make_request(explorer, AggregateOptions("holes")))[-1]
    x, y = np.meshgrid(np.linspace(-3, 3, 300), np.linspace(-2, 2, 200))
    square = x**2 + y**2
    difference = np.exp(-square / 2) / (2 * np.pi) - np.exp(-square / 2.88) / (2 * np.pi * 1.44)
    scale = np.percentile(np.abs(difference), 99.5)
    (low, least), (middle, zero), (high, most) = ticks_of(last)
    assert (middle, zero) == (0.5, 0.0)
    assert -least == most == pytest.approx(0.04)
    assert (high - 0.5) * 2 * scale == pytest.approx(most, rel=0.02)
    assert (0.5 - low) * 2 * scale == pytest.approx(most, rel=0.02)
    table = make_request(explorer).ink.diverging_256
    assert pixel(last, 0.0, 0.0) == table[-1].tolist()
    # Where both densities are the same, nothing is drawn; quarter of the scale is seen well.
    same = math.sqrt(2 * math.log(1.44) / (1 - 1 / 1.44))
    assert pixel(last, same, 0.0)[3] < 10
    quarter = int(np.abs(difference[100, 150:] - 0.25 * scale)[:100].argmin())
    assert 60 < pixel(last, (quarter + 0.5) / 50, 0.0)[3] < 140


def test_no_hole_is_drawn_where_q_is_the_prior(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = explorer_with(make_snapshot, tiny_dataset, np.zeros((50, 2)), np.full((50, 2), 1.0005))
    last = drawings("aggregate", explorer, make_request(explorer, AggregateOptions("holes")))[-1]
    assert last.rasters[0].pixels[..., 3].max() < 10


def test_the_scale_of_the_holes_follows_training_smoothly(make_snapshot: Any, tiny_dataset: Any) -> None:
    explorer = explorer_with(make_snapshot, tiny_dataset, np.zeros((50, 2)), np.full((50, 2), 1.2))

    def scale(sigma: float, rect: MapRect = RECT) -> float:
        explorer.cache["anchors"] = Anchors(np.arange(50), np.zeros((50, 2)), np.full((50, 2), sigma))
        request = make_request(explorer, AggregateOptions("holes"), rect=rect)
        (_, _, (part, value)) = ticks_of(drawings("aggregate", explorer, request)[-1])
        return value / (2 * part - 1)

    first = scale(1.2)
    assert scale(1.2) == pytest.approx(first)
    explorer.adopt(make_snapshot(step=1))
    second = scale(1.4)
    assert scale(1.4) == pytest.approx(second)
    explorer.lasting.clear()
    fresh = scale(1.4)
    assert fresh > 1.2 * first
    assert second == pytest.approx(first + 0.3 * (fresh - first), rel=0.01)
    # Elsewhere nothing is smoothed: there the colours are new anyhow.
    far = scale(1.4, MapRect(6.0, 6.0, 9.0, 8.0))
    assert far == pytest.approx(0.02 / (2 * math.pi), rel=0.01)


@pytest.mark.parametrize("shows", ["aggregate", "prior", "holes"])
def test_the_legend_has_the_kl_as_a_bar_of_two_parts(make_snapshot: Any, tiny_dataset: Any, shows: str) -> None:
    explorer = explorer_with(make_snapshot, tiny_dataset, np.linspace([-4, 0], [4, 0], 64), np.full((64, 2), 0.5))
    first, last = drawings("aggregate", explorer, make_request(explorer, AggregateOptions(shows)))
    parts = explorer.lasting["surgery"].parts
    assert first.legend.gauge is None
    assert last.legend.gauge == Gauge(
        (
            ("accent", parts.mutual_information, "mutual information I"),
            ("warning", parts.mismatch, "mismatch"),
        ),
        "nats per image",
        (math.log(64), "ceiling ln 64"),
    )
    assert sum(value for _, value, _ in last.legend.gauge.parts) == pytest.approx(parts.kl)


def test_the_bar_says_where_its_parts_are_bounds_only() -> None:
    gauge = surgery_gauge(Surgery(8.3, 8.31, -0.01, math.log(4096), 4096, 2000))
    assert [(value, name) for _, value, name in gauge.parts] == [
        (8.31, "mutual information I, at least"), (0.0, "mismatch, at most")
    ]  # fmt: skip
    assert gauge.mark == (math.log(4096), "ceiling ln 4,096")


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
    assert "≥" not in surgery_words(Surgery(5.82, 5.22, 0.60, math.log(4096), 4096, 2000), 60_000)
    explorer.show_images(tiny_dataset)
    empty = MapRect(500.0, 500.0, 501.0, 501.0)
    assert drawings("aggregate", explorer, make_request(explorer, rect=empty))[-1].legend is not None
