"""The past as snapshots: codes of the frame, weights of the nearest that were kept, turned as one says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.runs.test_frames import frame_at
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from tests.workflows.test_every_model import config_for
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.errors import UserError
from vae_explorer.latent.alignment import procrustes
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.views import LineView, PlaneView
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.frames import frames_folder, write_frames
from vae_explorer.runs.past import Past, PastLook
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import with_value

PLANE = PlaneView.of_dimensions(0, 1, np.zeros(2))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return read(train_tiny(tmp_path / "run", with_value(tiny_config("grey"), "recording.lookback_images", 60))[0])


def read(run: RunDirectory) -> Past:
    past = Past(run)
    assert past.refresh() is not None
    return past


def images(past: Past) -> ImageDataset:
    return load_training_images(past.run.config, "cpu")


def look(past: Past, step: int, **changes: object) -> PastLook:
    options = {"reference": 16, "present": None, "is_aligned": True, "view": PLANE} | changes
    return past.look(step, images(past), **options)  # type: ignore[arg-type]


def test_a_moment_is_a_snapshot_of_its_codes_and_the_nearest_weights(past: Past) -> None:
    found = look(past, 4)
    moment, snapshot = found.moment, found.snapshot
    assert (moment.number, moment.of, moment.step, moment.images_seen, moment.epoch) == (1, 3, 4, 100, 0.5)
    assert (moment.num_codes, moment.num_items) == (60, 240)
    assert (moment.weights_step, moment.has_near_weights) == (16, False)
    assert (snapshot.step, snapshot.run_name, snapshot.images_seen) == (16, "run", 100)
    assert past.recorded is not None
    frame = past.recorded.frames[1]
    assert snapshot.codes_ND is not None
    codes_ND = snapshot.codes_ND.numpy()
    np.testing.assert_array_equal(codes_ND[past.recorded.items_A], np.asarray(frame.codes_AD, np.float32))
    assert np.isnan(np.delete(codes_ND, past.recorded.items_A, axis=0)).all()
    newer = look(past, 16)
    assert newer.snapshot.stamp > snapshot.stamp
    assert newer.moment.has_near_weights


def test_what_the_explorer_decodes_of_the_end_is_what_the_trained_network_decodes(past: Past) -> None:
    explorer = Explorer()
    explorer.show_images(images(past))
    explorer.adopt(look(past, 16).snapshot)
    trainer = make_trainer(past.run.config)
    for _ in trainer.run(Control()):
        pass
    z_N2 = np.random.default_rng(0).normal(size=(7, 2))
    with torch.inference_mode():
        mean_BCHW = trainer.model.decode(torch.from_numpy(z_N2.astype(np.float32))).mean_BCHW
    np.testing.assert_allclose(explorer.decode_mean(z_N2), mean_BCHW.numpy(), atol=1e-6)


def test_rotations_lead_to_the_reference(past: Past) -> None:
    assert past.recorded is not None
    codes = {frame.step: frame.codes_AD for frame in past.recorded.frames}
    np.testing.assert_array_equal(look(past, 16).rotation_DD, np.eye(2))
    expected_22 = procrustes(codes[4], codes[16])  # type: ignore[arg-type]
    np.testing.assert_allclose(look(past, 4).rotation_DD, expected_22)
    before_22 = procrustes(codes[0], codes[4])  # type: ignore[arg-type]
    np.testing.assert_allclose(look(past, 0).rotation_DD, before_22 @ expected_22, atol=1e-12)
    np.testing.assert_array_equal(look(past, 4, reference=4).rotation_DD, np.eye(2))
    assert look(past, 4, is_aligned=False).rotation_DD is None


def test_the_extent_has_room_for_most_moments_and_is_the_same_for_all(past: Past) -> None:
    far = np.tile(np.array([[40.0, 50.0], [-40.0, -50.0]], np.float32), (30, 1))
    assert past.recorded is not None
    steps = range(100, 110)
    write_frames(past.run, [frame_at(step, far / 10, items_A=past.recorded.items_A) for step in steps])
    write_frames(past.run, [frame_at(200, far, items_A=past.recorded.items_A)])
    past.refresh()
    extents = {look(past, step, is_aligned=False).extent for step in (0, 16, 105, 200)}
    assert len(extents) == 1
    extent = extents.pop()
    assert extent is not None
    assert (round(extent.right, 3), round(extent.top, 3)) == (4.0, 5.0), "one wild frame makes no other small"
    assert look(past, 0, view=None).extent is None
    assert look(past, 0, view=LineView()).extent is None, "a view of another latent space"


def test_frames_that_come_later_are_found_after_a_refresh(past: Past) -> None:
    assert past.recorded is not None
    write_frames(past.run, [frame_at(20, np.ones((60, 2), np.float32), items_A=past.recorded.items_A)])
    with pytest.raises(UserError, match="no longer there"):
        look(past, 20)
    past.refresh()
    assert look(past, 20).moment.number == 3


def test_damaged_weights_give_way_to_others_and_then_to_those_of_the_present(past: Past) -> None:
    (frames_folder(past.run) / "000000016-weights.safetensors").write_bytes(b"damaged")
    assert look(past, 16).moment.weights_step == 0
    other = read(past.run)
    (frames_folder(past.run) / "000000000-weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="is not a file that VAE Explorer wrote"):
        look(other, 16)
    trainer = make_trainer(past.run.config)
    trainer.run_name, trainer.num_steps = "run", 99
    assert look(other, 16, present=trainer.snapshot()).moment.weights_step == 99
    trainer.run_name = "another"
    with pytest.raises(UserError):
        look(other, 16, present=trainer.snapshot())


def test_frames_of_other_images_are_refused(past: Past) -> None:
    write_frames(past.run, [frame_at(3, np.zeros((60, 2), np.float32), items_A=np.arange(60) * 100)])
    past.refresh()
    with pytest.raises(UserError, match="are of other images"):
        look(past, 3)


def test_a_model_without_codes_has_a_past_too(tmp_path: Path) -> None:
    past = read(train_tiny(tmp_path / "run", config_for(MODELS["vqvae"]))[0])
    assert past.recorded is not None
    assert past.recorded.steps == (0, 16, 32)
    found = look(past, 16)
    assert found.snapshot.codes_ND is None
    assert found.rotation_DD is None
    assert found.moment.num_codes == 0
    explorer = Explorer()
    explorer.adopt(found.snapshot)
    pictures, _ = explorer.sample(3, 0)
    assert pictures.shape == (3, 8, 8)
