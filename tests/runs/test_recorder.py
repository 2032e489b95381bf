from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.runs.failing_calls import ERRORS, SHORT_WRITE, fail_call, mend
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.runs.checkpoint import read_checkpoint, write_checkpoint
from vae_explorer.runs.event_records import (
    CheckpointWritten,
    RecordingFailed,
    RecordingRecovered,
    event_record,
)
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.control import Control
from vae_explorer.training.events import CheckpointDue, Event, Finished, MetricsChunk, TrainingState, Validated
from vae_explorer.training.run_config import with_value


def test_metrics_csv_has_a_row_per_report_in_nats(tmp_path: Path) -> None:
    run, events = train_tiny(tmp_path / "run")
    with run.metrics_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    reports = [event for event in events if isinstance(event, MetricsChunk | Validated)]
    assert list(rows[0]) == [
        "step", "epoch", "images_seen", "seconds", "split", "elbo", "reconstruction", "kl",
        "mutual_information", "total_correlation", "dimension_wise_kl", "beta", "learning_rate", "images_per_second",
        "active_units", "gradient_norm",
    ]  # fmt: skip
    assert [int(row["step"]) for row in rows] == [report.step for report in reports]
    for row, report in zip(rows, reports, strict=True):
        assert float(row["elbo"]) == pytest.approx(-(float(row["reconstruction"]) + float(row["kl"])), rel=1e-4)
        if isinstance(report, MetricsChunk):
            assert row["split"] == "train"
            assert float(row["elbo"]) == pytest.approx(float(report.values[:, 0].mean()), rel=1e-5)
            assert float(row["learning_rate"]) == pytest.approx(1e-2)
            assert row["mutual_information"] == "", "measured at the held-out checks alone"
        else:
            assert row["split"] == "heldout"
            assert row["learning_rate"] == ""
            assert float(row["mutual_information"]) == pytest.approx(report.terms["mutual_information"], rel=1e-5)
            assert int(row["active_units"]) == report.active_units


def test_events_are_lines_with_step_and_time(tmp_path: Path) -> None:
    run, events = train_tiny(tmp_path / "run")
    lines = read_events(run)
    assert [line["event"] for line in lines] == ["started", "checkpoint_written", "finished"]
    assert all("step" in line and "time" in line for line in lines)
    assert isinstance(events[-1], Finished)
    assert isinstance(events[-2], CheckpointWritten)
    assert not any(isinstance(event, CheckpointDue) for event in events)
    assert not (run.path / LOCK_FILE).exists()


def test_read_metrics_gives_what_was_reported_and_ignores_a_cut_last_line(tmp_path: Path) -> None:
    run, events = train_tiny(tmp_path / "run")
    whole = read_metrics(run)
    heldout = [event for event in events if isinstance(event, Validated)]
    np.testing.assert_allclose(whole.of("heldout")["elbo"], [event.terms["elbo"] for event in heldout], rtol=1e-5)
    content = run.metrics_file.read_bytes()
    for cut in (1, 3, 20):
        run.metrics_file.write_bytes(content[:-cut])
        assert len(read_metrics(run).split) == len(whole.split) - 1
    text = run.events_file.read_text(encoding="utf-8")
    run.events_file.write_text(text + '{"event": "half', encoding="utf-8")
    assert len(read_events(run)) == 3


@pytest.mark.parametrize("line", ["1,2,3\n", "a,b,c,d,e,f,g,h,i,j,k,l,m\n", ",\n", "\x00\n"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    run, _ = train_tiny(tmp_path / "run")
    lines = run.metrics_file.read_text(encoding="utf-8").splitlines(keepends=True)
    run.metrics_file.write_text("".join([*lines[:2], line, *lines[2:]]), encoding="utf-8")
    with pytest.raises(FileError, match="damaged line 3"):
        read_metrics(run)


def test_a_run_that_has_not_started_has_no_metrics(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    assert len(read_metrics(run).split) == 0
    assert read_events(run) == []


class SavingEveryStep(Control):
    """Asks for a checkpoint before each step."""

    has_requests = True

    def take_checkpoint_wish(self) -> bool:
        return True


def states_of(epochs: int = 2) -> list[Event]:
    """The events of a real run with a checkpoint before every step."""
    return list(make_trainer(tiny_config(epochs=epochs)).run(SavingEveryStep()))


def test_of_many_checkpoints_the_last_three_the_best_and_the_hours_first_stay(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = states_of()
    written = [event.step for event in record(iter(given), run) if isinstance(event, CheckpointWritten)]
    assert written == sorted(set(written)), "each state at most once"
    losses = {
        int(event.state.progress["step"]): event.state.progress.get("heldout_loss", np.inf)
        for event in given
        if isinstance(event, CheckpointDue | Finished) and event.state is not None
    }
    best = min(written, key=lambda step: losses[step])
    # The first is the only one of its hour, unless the test runs over a full hour.
    kept = {written[0], best, *written[-3:]}
    assert kept <= {int(folder.name) for folder in run.checkpoints()}
    assert len(run.checkpoints()) <= len(kept) + 1
    assert sorted(entry.name for entry in run.checkpoints_folder.iterdir()) == [p.name for p in run.checkpoints()]
    assert read_checkpoint(run.checkpoints()[-1]).step == 16


def test_a_checkpoint_is_written_beside_the_training_and_the_newest_state_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk holds nothing up: what comes meanwhile is replaced by what comes later."""
    may_write, is_writing = threading.Event(), threading.Event()

    def slow(run: RunDirectory, state: TrainingState) -> Path:
        is_writing.set()
        assert may_write.wait(10)
        return write_checkpoint(run, state)

    monkeypatch.setattr("vae_explorer.runs.recorder.write_checkpoint", slow)
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = states_of(1)
    seen = []
    for event in record(iter(given), run):
        seen.append(event)
        if len(seen) == 10:
            assert is_writing.wait(10)
            assert run.checkpoints() == (), "the first is still being written"
            may_write.set()
    written = [event.step for event in seen if isinstance(event, CheckpointWritten)]
    assert written[0] == 0
    assert written[-1] == 8
    assert len(written) < 8
    assert not any(thread.name == "saver" for thread in threading.enumerate())


def test_a_defect_of_the_saver_is_raised_where_the_recording_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: RunDirectory, state: TrainingState) -> Path:
        raise ZeroDivisionError("defect")

    monkeypatch.setattr("vae_explorer.runs.recorder.write_checkpoint", broken)
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        list(record(iter(states_of(1)), run))
    assert not (run.path / LOCK_FILE).exists()


def test_a_checkpoint_is_written_at_its_interval(tmp_path: Path) -> None:
    config = with_value(tiny_config(epochs=400), "recording.checkpoint_interval_seconds", 0.1)
    control = Control()
    run = RunDirectory.create(config, tmp_path / "run")
    with contextlib.closing(record(make_trainer(config).run(control), run)) as events:
        for event in events:
            if isinstance(event, CheckpointWritten):
                control.stop()
    steps = [line["step"] for line in read_events(run) if line["event"] == "checkpoint_written"]
    assert len(steps) == len(set(steps)) >= 1, "one at the interval, and one at the end if more was trained"
    assert steps[0] < read_events(run)[0]["total_steps"]


@pytest.mark.parametrize("error", [error for error in ERRORS if error != SHORT_WRITE])
def test_a_full_disk_never_ends_training_and_everything_is_written_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    clock = iter(float(second) for second in range(100_000))
    given = states_of()
    attempts = []

    def while_the_disk_is_full() -> Iterator[Event]:
        yield from given[:3]
        calls = fail_call(monkeypatch, 1, error, for_good=True)
        yield from given[3:-5]
        mend(monkeypatch)
        attempts.append(calls.count)
        yield from given[-5:]

    seen = list(record(while_the_disk_is_full(), run, lambda: next(clock)))
    assert attempts[0] > 3, "it tried again"
    failures = [event for event in seen if isinstance(event, RecordingFailed)]
    assert len(failures) == 1, "said once, not at every attempt"
    assert failures[0].hint.startswith("Training goes on.")
    assert sum(isinstance(event, RecordingRecovered) for event in seen) == 1
    assert isinstance(seen[-1], Finished)
    steps = [event.step for event in given if isinstance(event, MetricsChunk | Validated)]
    first_column = [int(line.split(",")[0]) for line in run.metrics_file.read_text().splitlines()[1:]]
    assert first_column == steps, "no row is lost"
    assert [line["event"] for line in read_events(run)].count("warning") == 1
    assert read_checkpoint(run.checkpoints()[-1]).step == seen[-1].step


def test_a_disk_that_stays_full_is_told_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = states_of()
    seen = []
    with contextlib.closing(record(iter(given), run)) as recording:
        for event in recording:
            if not seen:
                fail_call(monkeypatch, 1, errno.ENOSPC, for_good=True)
            seen.append(event)
    mend(monkeypatch)
    assert isinstance(seen[-1], Finished)
    assert isinstance(seen[-2], RecordingFailed)
    assert "the disk is full" in seen[-2].message


@pytest.mark.parametrize("error", [errno.ENOSPC, SHORT_WRITE])
def test_whichever_call_fails_the_newest_checkpoint_loads_and_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    given = states_of(1)
    due = [event for event in given if isinstance(event, CheckpointDue)]
    given = [event for event in given if not isinstance(event, CheckpointDue) or event is due[3]]
    config = tiny_config()
    for failing in range(1, 400):
        run = RunDirectory.create(config, tmp_path / str(failing))
        clock = iter(float(second) * 10 for second in range(100_000))
        recording = record(iter(given), run, lambda clock=clock: next(clock))
        seen = [next(recording)]
        calls = fail_call(monkeypatch, failing, error)
        seen += recording
        mend(monkeypatch)
        assert isinstance(seen[-1], Finished)
        assert read_checkpoint(run.checkpoints()[-1]).step == seen[-1].step
        assert "finished" in [line["event"] for line in read_events(run)[-2:]]
        assert len(read_metrics(run).split) == sum(isinstance(event, MetricsChunk | Validated) for event in given)
        if calls.count < failing:
            break
    else:
        pytest.fail("the calls never came to an end")


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = states_of(1)
    states = [event for event in given if isinstance(event, CheckpointDue)]
    good, later = states[0].state, states[1].state
    broken = dataclasses.replace(later, model={name: tensor * torch.nan for name, tensor in later.model.items()})
    seen = list(record(iter([given[0], CheckpointDue(good), CheckpointDue(broken)]), run))
    assert isinstance(seen[-1], RecordingFailed)
    assert "not finite" in seen[-1].message
    newest = run.newest_checkpoint()
    assert newest is not None
    assert read_checkpoint(newest).step == good.progress["step"]


def test_an_exception_of_the_trainer_is_noted_and_passes_and_the_folder_is_free(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    given = states_of(1)

    def breaking() -> Iterator[Event]:
        yield from given[:8]
        raise ZeroDivisionError("defect")

    with pytest.raises(ZeroDivisionError):
        list(record(breaking(), run))
    assert read_events(run)[-1]["event"] == "error"
    assert "ZeroDivisionError" in read_events(run)[-1]["message"]
    assert run.newest_checkpoint() is not None
    assert not (run.path / LOCK_FILE).exists()


def test_closing_early_ends_the_training_and_frees_the_folder(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    closed = []

    def events() -> Iterator[Event]:
        try:
            yield from states_of(1)
        finally:
            closed.append(True)

    with contextlib.closing(record(events(), run)) as recording:
        next(recording)
        assert (run.path / LOCK_FILE).exists()
    assert closed == [True]
    assert not (run.path / LOCK_FILE).exists()


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    chunk = MetricsChunk(
        step=1, epoch=0.1, images_seen=1, seconds=0.1, images_per_second=10.0, columns=("elbo", "beta"),
        values=np.array([[np.nan, 1.0]], dtype=np.float32), steps=np.array([1]), kl_D=None,
    )  # fmt: skip
    line = event_record(chunk)
    assert line is not None
    assert line["elbo"] is None
    assert "NaN" not in json.dumps(line)
