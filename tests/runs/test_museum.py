"""R22: run folders of every earlier version still open, mean what they meant, and can be continued."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from vae_explorer.errors import FileError
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import CONFIG_FILE, FORMAT_VERSION, RunDirectory
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.runs.stored_run import read_stored_run
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import with_value
from vae_explorer.training.trainer import Trainer

MUSEUM = Path(__file__).parents[1] / "museum"


@pytest.fixture(params=sorted(path for path in MUSEUM.iterdir() if path.is_dir()), ids=lambda path: path.name)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    return RunDirectory.open(Path(shutil.copytree(request.param, tmp_path / "run")))


def test_an_old_run_opens_measures_what_it_measured_and_goes_on(run: RunDirectory) -> None:
    stored = read_stored_run(run)
    assert stored.started is not None
    checkpoint = newest_good_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.step == stored.step
    assert model_from_run(run.path).step == stored.step

    dataset = load_training_images(run.config, "cpu")
    trainer = Trainer(run.config, dataset, run.name)
    trainer.restore(checkpoint.state)
    trainer.fill_schedules()
    told = read_metrics(run).of("heldout")
    for name, value in trainer.validate().terms.items():
        if name in told:
            assert told[name][-1] == pytest.approx(value, rel=1e-4, abs=1e-4), name

    config = with_value(run.config, "training.epochs", run.config.training.epochs + 1)
    longer = Trainer(config, dataset, run.name)
    longer.restore(checkpoint.state)
    list(record(longer.run(Control()), dataclasses.replace(run, config=config)))
    course = read_stored_run(RunDirectory.open(run.path))
    assert course.step > stored.step
    newest = newest_good_checkpoint(run)
    assert newest is not None
    assert newest.step == course.step


def test_a_run_of_a_newer_version_is_refused_in_one_sentence(run: RunDirectory) -> None:
    path = run.path / CONFIG_FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("format_version = 1", f"format_version = {FORMAT_VERSION + 1}"), encoding="utf-8")
    with pytest.raises(FileError, match=f"format version {FORMAT_VERSION + 1}, which is newer"):
        RunDirectory.open(run.path)
