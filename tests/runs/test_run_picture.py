"""At the end of each training a run gets its picture, which costs it nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.export.trained_models import small_config
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs import files
from vae_explorer.runs.beginning import run_from
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.history import read_events
from vae_explorer.runs.library import LibraryScanner
from vae_explorer.runs.recorder import record as recorded
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_picture import END_PICTURE, tiled
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import RunConfig


def trained(path: Path, config: RunConfig) -> RunDirectory:
    run = RunDirectory.create(config, path)
    with contextlib.closing(recorded(run_from(None, make_trainer(config), Control(), run), run)) as events:
        for _ in events:
            pass
    return run


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_every_model_leaves_a_picture(record: ModelRecord, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", small_config(record))
    with Image.open(run.samples_folder / END_PICTURE) as picture:
        pixels = np.asarray(picture)
    assert min(pixels.shape[:2]) >= 4 * 8
    assert len(np.unique(pixels)) > 2, "something is to be seen"
    (summary,) = LibraryScanner(tmp_path).scan().runs
    assert summary.thumbnail is not None
    assert summary.thumbnail.path == run.samples_folder / END_PICTURE


def test_a_picture_changes_nothing_that_is_trained(tmp_path: Path) -> None:
    with_picture, without = trained(tmp_path / "with", tiny_config()), train_tiny(tmp_path / "without")[0]
    assert not (without.samples_folder / END_PICTURE).exists()
    weights = [model_from_run(run.path).model.state_dict() for run in (with_picture, without)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_picture_that_cannot_be_written_is_never_worth_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = files.write_bytes_atomic

    def full(path: Path, content: bytes) -> None:
        if path.name == END_PICTURE:
            raise FileError(path, "The disk is full.", "Free some space.")
        written(path, content)

    monkeypatch.setattr(files, "write_bytes_atomic", full)
    run = trained(tmp_path / "run", tiny_config())
    assert read_events(run)[-1]["reason"] == "completed"
    assert not (run.samples_folder / END_PICTURE).exists()


def test_nor_is_one_that_there_is_no_memory_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Explorer, "sample", exhausted)
    assert read_events(trained(tmp_path / "run", tiny_config()))[-1]["reason"] == "completed"


def test_pictures_stand_in_rows_with_gaps_between_them() -> None:
    pictures = np.arange(16, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 5), np.uint8)
    tiles = tiled(pictures)
    assert tiles.shape == (4 * 5 - 2, 4 * 7 - 2)
    assert (tiles[0:3, 7:12] == 1).all()
    assert (tiles[15:18, 21:26] == 15).all()
    assert (tiles[3:5] == 128).all()
    assert tiled(np.zeros((16, 3, 5, 3), np.uint8)).shape == (18, 26, 3)
