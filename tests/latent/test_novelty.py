from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.latent.item_scenes import last_of, make_images, make_scene
from vae_explorer.errors import UserError
from vae_explorer.latent.novelty import novelty, verdict
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]


def test_the_nearest_images_are_those_of_brute_force(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    x_CHW = np.random.default_rng(1).uniform(size=(1, 8, 8)).astype(np.float32)
    found = last_of(novelty(scene, x_CHW))
    pictures = dataset.images.images_NCHW.numpy()
    distance_N = np.sqrt(((pictures / 255.0 - x_CHW) ** 2).sum(axis=(1, 2, 3)))
    nearest = np.argsort(distance_N[:400])[:4]
    assert found.train_ids.tolist() == nearest.tolist()
    assert np.allclose(found.train_distances, distance_N[nearest], rtol=1e-5)
    assert np.array_equal(found.train_pictures, pictures[nearest, 0])
    assert found.heldout_id == 400 + int(distance_N[400:].argmin())
    assert found.heldout_distance == pytest.approx(distance_N[400:].min(), rel=1e-5)
    assert np.array_equal(found.heldout_picture, pictures[found.heldout_id, 0])
    assert found.ratio == pytest.approx(distance_N[:400].min() / distance_N[400:].min(), rel=1e-5)
    assert found.num_fair == 100
    assert found.ratio <= found.fair_ratio
    assert "100 held-out" in found.note
    assert last_of(novelty(scene, x_CHW)).fair_ratio == found.fair_ratio


def test_the_fair_ratio_is_that_of_an_equally_large_random_part(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    pictures = dataset.images.images_NCHW.numpy() / 255.0
    part = np.random.default_rng(0).choice(400, 100, replace=False)
    left_out = np.setdiff1d(np.arange(400), part)
    for original, sentence in ((left_out[0], "No nearer to as many"), (part[0], "Somewhat nearer")):
        # On the way from a training image to a held-out one, nearer to the first.
        x_CHW = (0.59 * pictures[original] + 0.41 * pictures[450]).astype(np.float32)
        found = last_of(novelty(scene, x_CHW))
        distance_N = np.sqrt(((pictures - x_CHW) ** 2).sum(axis=(1, 2, 3)))
        assert found.train_ids[0] == original
        assert found.heldout_id == 450
        assert found.ratio == pytest.approx(0.41 / 0.59, rel=1e-4)
        assert found.fair_ratio == pytest.approx(distance_N[part].min() / distance_N[400:].min(), rel=1e-5)
        assert found.num_fair == 100
        assert found.verdict.startswith(sentence)
        assert f"the ratio is {found.fair_ratio:.2f}." in found.note


def test_a_training_image_is_found_at_distance_zero_with_its_own_id(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    for item in (0, 399):
        found = last_of(novelty(scene, dataset.images.images_NCHW.numpy()[item] / np.float32(255)))
        assert found.train_ids[0] == item
        assert found.train_distances[0] == 0.0
        assert found.ratio == 0.0
        assert "pixel for pixel" in found.verdict
    almost = np.clip(dataset.images.images_NCHW.numpy()[5] / np.float32(255) + 0.02, 0, 1)
    found = last_of(novelty(scene, almost))
    assert found.train_ids[0] == 5
    assert "Very near to a training image (ratio 0.1): compare them." in found.verdict


def test_a_held_out_image_is_no_copy(make_snapshot: MakeSnapshot) -> None:
    dataset = make_images()
    scene = make_scene(make_snapshot(), dataset=dataset)
    found = last_of(novelty(scene, dataset.images.images_NCHW.numpy()[450] / np.float32(255)))
    assert found.heldout_id == 450
    assert found.ratio == float("inf")
    assert "no sign of copying" in found.verdict


def test_the_verdict_follows_both_ratios() -> None:
    assert "Nearer to the held-out" in verdict(3.0, 1.2, 1.4)
    assert "No nearer to as many" in verdict(3.0, 0.8, 1.0)
    assert "Somewhat nearer" in verdict(3.0, 0.7, 0.7)
    assert "Very near" in verdict(3.0, 0.4, 1.0)
    assert "No images are held out" in verdict(3.0, None, None)


def test_without_held_out_images_there_is_no_ratio(make_snapshot: MakeSnapshot) -> None:
    dataset = replace(make_images(), train_index_N=torch.arange(3), heldout_index_N=torch.zeros(0, dtype=torch.int64))
    found = last_of(novelty(make_scene(make_snapshot(), dataset=dataset), np.zeros((1, 8, 8))))
    assert found.ratio is None
    assert found.heldout_picture is None
    assert len(found.train_ids) == 3
    assert found.note == ""


def test_what_cannot_be_compared_says_so(make_snapshot: MakeSnapshot) -> None:
    scene = make_scene(make_snapshot(), dataset=make_images())
    with pytest.raises(UserError, match="shape"):
        list(novelty(scene, np.zeros((8, 8))))
    with pytest.raises(UserError, match="not finite"):
        list(novelty(scene, np.full((1, 8, 8), np.nan)))
    with pytest.raises(UserError, match="not loaded"):
        list(novelty(make_scene(make_snapshot()), np.zeros((1, 8, 8))))
