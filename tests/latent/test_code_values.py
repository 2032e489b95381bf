from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.latent.item_scenes import make_images, make_scene, returned_by
from tests.latent.layer_requests import drawings, first_view, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.code_values import (
    UNKNOWN_ROW,
    complete_values,
    distance_values,
    known_values,
    prepared_values,
    ramp_rows,
    ramp_ticks,
    value_range,
)
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.grand_tour import tour_view
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
NUM = 5_000


@pytest.fixture
def scene(make_snapshot: MakeSnapshot) -> Explorer:
    return make_scene(make_snapshot(num_codes=NUM), dataset=make_images(NUM))


def test_kl_and_elbo_are_those_of_the_network(scene: Explorer) -> None:
    values = {name: returned_by(complete_values(scene, name)) for name in ("elbo", "reconstruction", "kl")}
    x = scene.seen(np.arange(NUM))
    posterior = scene.posterior(x)
    assert np.allclose(values["kl"], posterior.kl().numpy(), rtol=1e-4, atol=1e-4)
    assert np.allclose(values["elbo"], -values["reconstruction"] - values["kl"], rtol=1e-4, atol=1e-3)
    # One draw an image: their mean over all images is an estimate of the mean over draws.
    draws = []
    for seed in range(5):
        z = posterior.sample(torch.Generator().manual_seed(seed))
        draws.append(-scene.network.decode(z).log_prob(x).numpy())  # type: ignore[attr-defined]
    spread = np.std(draws, axis=0).mean() * 6 / np.sqrt(NUM)
    assert values["reconstruction"].mean() == pytest.approx(np.mean(draws), abs=spread)


def test_an_image_keeps_its_draw_whatever_batch_it_comes_in(scene: Explorer, make_snapshot: MakeSnapshot) -> None:
    state = torch.random.get_rng_state()
    first = returned_by(complete_values(scene, "reconstruction"))
    other = make_scene(make_snapshot(num_codes=NUM), dataset=make_images(NUM))
    returned_by(prepared_values(other, "kl", seconds=1e-9))
    second = returned_by(complete_values(other, "reconstruction"))
    assert np.allclose(first, second, rtol=1e-5)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_drawing_computes_a_part_and_the_next_goes_on(scene: Explorer) -> None:
    assert known_values(scene, "elbo") is None
    part = returned_by(prepared_values(scene, "elbo", seconds=1e-9))
    assert 0 < part.num_known < NUM
    assert part.num_known == np.isfinite(part.value_N).sum()
    assert not part.is_current
    known = part.num_known
    while not part.is_current:
        part = returned_by(prepared_values(scene, "elbo", seconds=1e-9))
        assert part.num_known > known or part.is_current
        known = part.num_known
    assert known == NUM
    assert list(prepared_values(scene, "elbo")) == []


def test_a_new_snapshot_replaces_values_in_turn_and_throws_none_away(
    scene: Explorer, make_snapshot: MakeSnapshot
) -> None:
    old = returned_by(complete_values(scene, "kl"))
    while not returned_by(prepared_values(scene, "kl")).is_current:
        pass
    scene.adopt(replace(make_snapshot(seed=3, num_codes=NUM), step=40))
    mixed = returned_by(prepared_values(scene, "kl", seconds=1e-9))
    assert mixed.num_known == NUM
    assert (mixed.oldest_step, mixed.newest_step) == (10, 40)
    is_new = mixed.value_N != old
    assert 0 < is_new.sum() < NUM
    fresh = scene.posterior(scene.seen(np.flatnonzero(is_new))).kl().numpy()
    assert np.allclose(mixed.value_N[is_new], fresh, rtol=1e-4, atol=1e-4)
    while not (now := returned_by(prepared_values(scene, "kl"))).is_current:
        pass
    assert (now.oldest_step, now.newest_step) == (40, 40)


def test_another_run_or_the_same_begun_anew_starts_without_values(scene: Explorer, make_snapshot: MakeSnapshot) -> None:
    returned_by(complete_values(scene, "kl"))
    for snapshot in (
        replace(make_snapshot(num_codes=NUM), step=2),
        replace(make_snapshot(num_codes=NUM), step=60, run_name="another"),
    ):
        scene.adopt(snapshot)
        part = returned_by(prepared_values(scene, "kl", seconds=1e-9))
        assert part.num_known < NUM
        assert part.oldest_step == part.newest_step == snapshot.step
        returned_by(complete_values(scene, "kl"))


def test_without_images_or_a_bound_it_says_so(make_snapshot: MakeSnapshot) -> None:
    with pytest.raises(UserError, match="not loaded"):
        next(prepared_values(make_scene(make_snapshot()), "elbo"))


def test_the_distance_from_a_plane(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(300, 4))
    codes[7] = np.nan
    scene = make_scene(make_snapshot(dimensions=4), codes)
    distance_N = returned_by(distance_values(scene, first_view(4)))
    wanted = np.hypot(codes[:, 2], codes[:, 3])
    assert np.allclose(distance_N, wanted, rtol=1e-5, equal_nan=True)
    assert returned_by(distance_values(scene, first_view(4))) is distance_N
    assert returned_by(distance_values(scene, first_view(3))) is None


def test_of_twenty_planes_a_second_only_the_last_is_kept(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(dimensions=4), np.random.default_rng(0).normal(size=(300, 4)))
    sizes = []
    for seconds in range(4):
        drawings("codes", scene, make_request(scene, view=tour_view(0, float(seconds), 4, np.zeros(4))))
        sizes.append(len(scene.cache))
    assert sizes == sizes[:1] * 4


def test_colours_run_from_the_second_to_the_ninety_eighth_percentile() -> None:
    values = np.append(np.linspace(0.0, 100.0, 1001), [1e9, np.nan, -np.inf]).astype(np.float32)
    span = value_range(values)
    assert span is not None
    low, high = span
    assert (low, high) == (pytest.approx(2.0, abs=0.1), pytest.approx(98.1, abs=0.2))
    rows = ramp_rows(values, low, high)
    assert rows[[0, 1000, 1001, 1002, 1003]].tolist() == [0, 255, 255, UNKNOWN_ROW, UNKNOWN_ROW]
    assert (np.diff(rows[:1001].astype(int)) >= 0).all()
    assert value_range(np.full(3, np.nan)) is None
    assert ramp_rows(np.array([5.0, 5.0, np.nan]), 5.0, 5.0).tolist() == [128, 128, UNKNOWN_ROW]


def test_ticks_have_as_many_digits_as_tell_them_apart() -> None:
    assert [text for _, text in ramp_ticks(-180.4, -90.2)] == ["≤ −180", "−135", "≥ −90"]
    assert [text for _, text in ramp_ticks(0.01, 0.03)] == ["≤ 0.010", "0.020", "≥ 0.030"]
    assert ramp_ticks(4.0, 4.0) == ((0.5, "4"),)
