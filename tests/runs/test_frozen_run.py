"""A run's newest checkpoint is looked at beside a training, without a trainer and without touching its generator."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_runs import tiny_config, train_tiny
from tests.workflows.test_every_model import config_for
from vae_explorer.errors import FileError, UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import draw_samples, look_at
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.frozen_run import FrozenRun, ImagesAtHand, open_frozen
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.run_config import with_value


def quiet(_text: str) -> None:
    """Tells nobody."""


def explorer_of(frozen: FrozenRun) -> Explorer:
    explorer = Explorer()
    explorer.show_images(frozen.dataset)
    explorer.adopt(frozen.snapshot)
    return explorer


def test_it_is_the_newest_checkpoint_with_the_codes_of_every_item(tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run", tiny_config(epochs=3, latents=4))[0]
    before = torch.get_rng_state()
    told: list[str] = []
    frozen = open_frozen(tmp_path / "run", None, told.append)
    assert torch.equal(before, torch.get_rng_state()), "a training beside it would draw other numbers"
    assert (frozen.run.name, frozen.snapshot.run_name, frozen.snapshot.step) == ("run", "run", 24)
    weights = read_checkpoint(run.checkpoints()[-1]).state.model
    assert all(torch.equal(weights[name], value) for name, value in frozen.snapshot.weights.items())
    codes = frozen.snapshot.codes_ND
    assert codes is not None
    assert codes.shape == (240, 4)
    assert torch.isfinite(codes).all()
    explorer = explorer_of(frozen)
    x = explorer.seen(np.array([17]))
    assert codes[17].numpy() == pytest.approx(explorer.posterior(x).mean[0].detach().numpy(), abs=1e-5)
    assert [text.partition(":")[2] for text in told[:2]] == [" reading its weights…", " reading the images…"]


def test_images_at_hand_are_not_loaded_twice_and_are_split_as_the_run_was(tmp_path: Path) -> None:
    train_tiny(tmp_path / "run", with_value(tiny_config(epochs=1), "data.heldout_images", 40))
    config = with_value(tiny_config(), "data.heldout_images", 25)
    there = load_training_images(config, "cpu")
    frozen = open_frozen(tmp_path / "run", ImagesAtHand(config, there), quiet)
    assert frozen.dataset.images is there.images
    expected = load_training_images(tiny_config(), "cpu")
    assert torch.equal(frozen.dataset.heldout_index_N, expected.heldout_index_N)
    assert torch.equal(frozen.dataset.train_index_N, expected.train_index_N)
    bits = tiny_config("static")
    other = open_frozen(tmp_path / "run", ImagesAtHand(bits, load_training_images(bits, "cpu")), quiet)
    assert other.dataset.images is not there.images
    assert other.dataset.content_digest == there.content_digest


def test_what_is_no_run_or_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"run\.toml"):
        open_frozen(tmp_path, None, quiet)
    run = train_tiny(tmp_path / "run", tiny_config(epochs=1))[0]
    for checkpoint in run.checkpoints():
        (checkpoint / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(FileError, match="does not have the size in its manifest"):
        open_frozen(tmp_path / "run", None, quiet)
    for checkpoint in run.checkpoints():
        shutil.rmtree(checkpoint)
    with pytest.raises(FileError, match="has no checkpoint yet"):
        open_frozen(tmp_path / "run", None, quiet)


def test_who_is_told_can_stop_it(tmp_path: Path) -> None:
    train_tiny(tmp_path / "run", tiny_config(epochs=1))

    def stop(text: str) -> None:
        if "placing" in text:
            raise UserError("stopped")

    with pytest.raises(UserError, match="stopped"):
        open_frozen(tmp_path / "run", None, stop)


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_every_model_can_be_looked_at(record: ModelRecord, tmp_path: Path) -> None:
    train_tiny(tmp_path / "run", config_for(record))
    frozen = open_frozen(tmp_path / "run", None, quiet)
    explorer = explorer_of(frozen)
    look = look_at(explorer, 5)
    assert look.decoded.shape == look.stored.shape == look.seen.shape == (8, 8)
    assert (look.place is not None) == record.has_codes
    is_scored = record.has_likelihood and record.has_prior
    assert (look.reconstruction is not None, look.kl is not None) == (is_scored, is_scored)
    if look.reconstruction is not None and look.kl is not None:
        assert np.isfinite((look.reconstruction, look.kl)).all()
    if record.can_be_sampled:
        assert draw_samples(explorer, 3, 0).pictures.shape == (3, 8, 8)
        assert draw_samples(explorer, 3, 0).is_ex_post == record.samples_ex_post
