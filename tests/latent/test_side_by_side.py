"""One side of two runs: its plane, the item near a place, what the run makes of an item, samples under a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.latent.item_scenes import make_images, make_scene
from tests.latent.layer_requests import RECT, make_ink
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import (
    ITEM_DRAWS,
    draw_samples,
    draw_side,
    encode_items,
    look_at,
    look_near,
    side_view,
)
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]


def scene_of(make_snapshot: MakeSnapshot, dimensions: int = 2, **others: object) -> Explorer:
    return make_scene(make_snapshot(dimensions=dimensions, **others), dataset=make_images())


def test_two_dimensions_are_shown_as_they_are(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot)
    picture = draw_side(scene, RECT, 300, 200, 1.0, make_ink())
    assert picture.plane == "the latent plane itself"
    assert picture.axis_labels == ("z₁", "z₂")
    codes = scene.codes()
    assert codes is not None
    for item in (0, 7, 499):
        assert look_at(scene, item).place == pytest.approx(tuple(codes[item].tolist()))


def test_many_dimensions_are_shown_in_the_pca_plane_with_its_share_of_the_variance(
    make_snapshot: MakeSnapshot,
) -> None:
    codes = np.random.default_rng(3).normal(size=(500, 6)) * np.array([3.0, 2.0, 0.1, 0.1, 0.1, 0.1])
    scene = make_scene(make_snapshot(dimensions=6), codes, make_images())
    picture = draw_side(scene, RECT, 300, 200, 1.0, make_ink())
    variance = np.linalg.eigvalsh(np.cov(codes.T))[::-1]
    share = variance[:2].sum() / variance.sum()
    assert picture.plane == f"PCA plane with {100 * share:.0f} % of the variance of 6 dimensions"
    axes = np.linalg.svd(codes - codes.mean(0), full_matrices=False)[2][:2]
    placed = (codes - codes.mean(0)) @ axes.T
    for item in (3, 250):
        assert np.abs(look_at(scene, item).place) == pytest.approx(np.abs(placed[item]), rel=1e-3)


def test_the_pca_plane_does_not_flip_from_one_snapshot_to_the_next(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(dimensions=4)
    scene = make_scene(snapshot, dataset=make_images())
    before = np.array(look_at(scene, 11).place)
    later = make_snapshot(dimensions=4, step=20)
    assert snapshot.codes_ND is not None
    scene.adopt(replace(later, codes_ND=-snapshot.codes_ND))
    assert np.array(look_at(scene, 11).place) == pytest.approx(-before, rel=0.05, abs=0.05)


def test_one_dimension_is_a_line_on_which_height_means_nothing(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot, dimensions=1)
    picture = draw_side(scene, RECT, 300, 200, 1.0, make_ink())
    assert picture.plane == "the latent line, height means nothing"
    codes = scene.codes()
    assert codes is not None
    place = look_at(scene, 5).place
    assert place is not None
    assert place[0] == pytest.approx(float(codes[5, 0]))


def test_codes_stand_in_the_picture_in_the_colour_of_their_class(make_snapshot: MakeSnapshot) -> None:
    codes = np.full((500, 2), 50.0)
    codes[100], codes[101] = (-1.5, 1.0), (1.5, -1.0)  # classes 1 and 2
    scene = make_scene(make_snapshot(), codes, make_images())
    picture = draw_side(scene, RECT, 300, 200, 1.0, make_ink())
    pixels = picture.drawing.rasters[0].pixels
    assert pixels[50, 75].tolist() == [0, 9, 0, 255]
    assert pixels[150, 225].tolist() == [0, 0, 9, 255]
    assert picture.drawing.readout == "showing 2 of 500 codes"
    assert picture.drawing.legend is not None
    assert picture.drawing.legend.entries == (("class:0", "a"), ("class:1", "b"), ("class:2", "c"))


def test_without_labels_all_codes_have_one_colour(make_snapshot: MakeSnapshot) -> None:
    codes = np.full((500, 2), 50.0)
    codes[100] = (-1.5, 1.0)
    scene = make_scene(make_snapshot(), codes, make_images(has_labels=False))
    assert draw_side(scene, RECT, 300, 200, 1.0, make_ink()).drawing.rasters[0].pixels[50, 75].tolist() == [
        200, 100, 0, 255,
    ]  # fmt: skip


def test_the_item_near_a_place_is_found_by_its_id(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot)
    codes = scene.codes()
    assert codes is not None
    for item in (4, 321):
        x, y = codes[item].tolist()
        found = look_near(scene, (x + 1e-5, y), 0.01)
        assert found is not None
        assert found.item == item
    assert look_near(scene, (40.0, 40.0), 0.5) is None


def test_a_look_is_what_explorer_and_formulas_say(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot, protocol="dynamic")
    look = look_at(scene, 42)
    ids = np.array([42])
    stored = scene.stored(ids)
    seen, decoded = scene.reconstruct(stored, ids)
    np.testing.assert_array_equal(look.seen, seen[0])
    np.testing.assert_array_equal(look.decoded, decoded[0])
    np.testing.assert_array_equal(look.stored, stored[0, 0].numpy())
    assert set(np.unique(look.seen)) <= {0, 255}
    with torch.no_grad():
        x = scene.seen(ids)
        posterior = scene.posterior(x)
        mean, sigma = posterior.mean.double(), posterior.standard_deviation.double()
        kl = 0.5 * (mean**2 + sigma**2 - 1 - 2 * sigma.log()).sum()
        assert look.kl == pytest.approx(float(kl), rel=1e-4)
        noise = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1))
        likelihood = scene.network.decode(posterior.mean + posterior.standard_deviation * noise)
        log_prob = likelihood.log_prob(x.expand(20_000, -1, -1, -1))
    spread = float(log_prob.std()) / ITEM_DRAWS**0.5
    assert look.reconstruction == pytest.approx(-float(log_prob.mean()), abs=4 * spread)
    assert look.reconstruction == look_at(scene, 42).reconstruction, "the same draws each time"


def test_looking_takes_nothing_from_torchs_own_generator(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot, dimensions=5)
    before = torch.get_rng_state()
    look_at(scene, 1)
    draw_side(scene, RECT, 300, 200, 1.0, make_ink())
    draw_samples(scene, 4, 9)
    assert torch.equal(before, torch.get_rng_state())


def test_an_item_that_was_not_encoded_beforehand_is_encoded_when_it_is_looked_at(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    scene = make_scene(snapshot, dataset=make_images())
    codes = encode_items(scene, np.arange(500))
    codes[77] = np.nan
    scene = make_scene(snapshot, codes, make_images())
    whole = encode_items(scene, np.array([77]))
    assert look_at(scene, 77).place == pytest.approx(tuple(whole[0].tolist()))


def test_what_there_is_not_is_told(make_snapshot: MakeSnapshot) -> None:
    scene = scene_of(make_snapshot)
    for item in (-1, 500):
        with pytest.raises(UserError, match="There is no image"):
            look_at(scene, item)
    with pytest.raises(UserError, match="not loaded"):
        look_at(make_scene(make_snapshot()), 3)
    lost = make_scene(make_snapshot(dimensions=3), np.full((500, 3), np.nan), make_images())
    with pytest.raises(UserError, match="Fewer than two codes"):
        side_view(lost)
    assert look_at(lost, 3).place is None


def test_samples_under_one_seed_are_of_the_same_latent_points(make_snapshot: MakeSnapshot) -> None:
    first, second = scene_of(make_snapshot), scene_of(make_snapshot, seed=1)
    drawn = draw_samples(first, 6, 9)
    np.testing.assert_array_equal(drawn.z_ND, draw_samples(second, 6, 9).z_ND)
    np.testing.assert_array_equal(drawn.pictures, draw_samples(first, 12, 9).pictures[:6])
    assert not np.array_equal(drawn.pictures, draw_samples(first, 6, 10).pictures)
    assert (drawn.is_ex_post, drawn.step) == (False, 10)
