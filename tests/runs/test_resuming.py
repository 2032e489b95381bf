from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.runs.beginning import beginning_of, run_from
from vae_explorer.runs.checkpoint import MODEL_FILE
from vae_explorer.runs.event_records import CheckpointWritten
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, TrainingState
from vae_explorer.training.run_config import with_value


class SavingEveryStep(Control):
    has_requests = True

    def take_checkpoint_wish(self) -> bool:
        return True


def broken_off(path: Path) -> RunDirectory:
    """A run that ended like a process that was killed: after a checkpoint, with rows of later steps and half a line."""
    config = tiny_config(epochs=4)
    run = RunDirectory.create(config, path)
    with contextlib.closing(record(make_trainer(config).run(SavingEveryStep()), run)) as events:
        for event in events:
            if isinstance(event, CheckpointWritten) and event.step >= 10:
                break
    newest = newest_good_checkpoint(run)
    assert newest is not None
    last = read_metrics(run).columns["step"][-1]
    with run.metrics_file.open("a", encoding="utf-8") as file:
        for step in range(int(last) + 1, int(last) + 5):
            file.write(f"{step},0.5,{step * 25},1.0,train" + ",1" * 11 + "\n")
        file.write(f"{int(last) + 5},0.")
    return run


def test_what_another_process_trained_meanwhile_is_not_taken_back(tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run", tiny_config(epochs=2))[0]
    beginning = beginning_of(run)
    longer = with_value(tiny_config(), "training.epochs", 4)
    run = dataclasses.replace(run, config=longer)
    meanwhile = run_from(beginning_of(run), make_trainer(longer), Control(), run)
    with contextlib.closing(record(meanwhile, run)) as events:
        assert isinstance(list(events)[-1], CheckpointWritten | Finished)
    newest = run.checkpoints()[-1]
    with (
        contextlib.closing(record(run_from(beginning, make_trainer(longer), Control(), run), run)) as events,
        pytest.raises(FileError, match="was trained on to step 32 by another process"),
    ):
        next(events)
    assert run.checkpoints()[-1] == newest
    found = beginning_of(run)
    assert isinstance(found, TrainingState)
    assert found.progress["step"] == 32


def test_the_curve_of_a_continued_run_has_each_step_once(tmp_path: Path) -> None:
    run = broken_off(tmp_path / "run")
    checkpoint = newest_good_checkpoint(run)
    assert checkpoint is not None
    trainer = make_trainer(run.config)
    trainer.restore(checkpoint.state)
    list(record(trainer.run(Control()), run))
    train = read_metrics(run).of("train")
    assert (np.diff(train["step"]) > 0).all()
    assert (np.diff(train["images_seen"]) > 0).all()
    assert train["step"][-1] == 32
    starts = [event["step"] for event in read_events(run) if event["event"] == "started"]
    assert starts == [0, checkpoint.step]
    newest = run.newest_checkpoint()
    assert newest is not None
    assert int(newest.name) == 32


def test_an_older_checkpoint_takes_the_place_of_a_damaged_one_which_then_goes(tmp_path: Path) -> None:
    run = broken_off(tmp_path / "run")
    *_, older, newest = run.checkpoints()
    (newest / MODEL_FILE).write_bytes(b"damaged")
    found = newest_good_checkpoint(run)
    assert found is not None
    assert found.path == older
    trainer = make_trainer(run.config)
    trainer.restore(found.state)
    stream = record(trainer.run(Control()), run)
    next(stream)
    assert newest not in run.checkpoints()
    stream.close()


def test_where_all_are_damaged_the_newest_says_why(tmp_path: Path) -> None:
    run = broken_off(tmp_path / "run")
    for path in run.checkpoints():
        (path / MODEL_FILE).write_bytes(b"damaged")
    with pytest.raises(FileError) as caught:
        newest_good_checkpoint(run)
    assert run.checkpoints()[-1].name in caught.value.message


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert newest_good_checkpoint(RunDirectory.create(tiny_config(), tmp_path / "run")) is None
