"""R3 on a real file system of 1 MB that is full for a while."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_runs import make_trainer, tiny_config
from vae_explorer.errors import FileError
from vae_explorer.export.exportables import export
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import model_from_run, read_checkpoint
from vae_explorer.runs.event_records import RecordingFailed, RecordingRecovered
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, MetricsChunk, Validated
from vae_explorer.training.run_config import with_value

BALLAST = "ballast"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this account may mount no file system: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    """Write until nothing more goes."""
    with (disk / BALLAST).open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def test_training_goes_on_while_the_disk_is_full_and_all_is_written_when_there_is_room(disk: Path) -> None:
    config = with_value(tiny_config(epochs=100_000), "recording.checkpoint_interval_seconds", 0.1)
    run, control = RunDirectory.create(config, disk / "run"), Control()
    seen, reported = [], []
    trainer = make_trainer(config)
    filled_at = None
    for event in record(trainer.run(control), run):
        seen.append(event)
        if isinstance(event, MetricsChunk | Validated):
            reported.append(event.step)
        if filled_at is None and run.newest_checkpoint() is not None:
            fill(disk)
            filled_at = read_checkpoint(run.checkpoints()[-1]).step
        if isinstance(event, RecordingFailed):
            assert "the disk is full" in event.message
            assert event.hint.startswith("Training goes on.")
            assert read_checkpoint(run.checkpoints()[-1]).step >= filled_at
            (disk / BALLAST).unlink(missing_ok=True)
        if isinstance(event, RecordingRecovered):
            control.stop()
    assert isinstance(seen[-1], Finished)
    assert sum(isinstance(event, RecordingFailed) for event in seen) >= 1
    assert sum(isinstance(event, RecordingRecovered) for event in seen) >= 1
    assert read_checkpoint(run.checkpoints()[-1]).step == seen[-1].step
    assert read_metrics(run).columns["step"].astype(int).tolist() == reported
    assert read_events(run)[-1]["event"] == "finished"


def test_what_was_exported_and_set_before_stays_when_there_is_no_room(disk: Path) -> None:
    run = RunDirectory.create(tiny_config(), disk / "run")
    for _ in record(make_trainer(run.config).run(Control()), run):
        pass
    weights, settings = disk / "weights.safetensors", disk / "settings.json"
    export("model", run.path, weights)
    files.write_text_atomic(settings, "before")
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    fill(disk)
    for what, out in (("model", weights), ("metrics", disk / "metrics.csv"), ("recipe", disk / "recipe")):
        with pytest.raises(FileError, match="the disk is full"):
            export(what, run.path, out)
    with pytest.raises(FileError, match="the disk is full"):
        files.write_text_atomic(settings, "after" * 10_000)
    (disk / BALLAST).unlink()
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
    assert model_from_run(run.path).step == 16
    export("model", run.path, weights)
    files.write_text_atomic(settings, "after" * 10_000)
    assert settings.read_text(encoding="utf-8").startswith("after")
