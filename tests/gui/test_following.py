"""A window that looks at a run which another process is still writing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.gui.threads import following
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.stored_run import read_stored_run
from vae_explorer.training.run_config import with_value

Opener = Callable[..., MainWindow]
ENDLESS = [
    "--dataset", "two-moons", "--set", "model.hidden_widths=16", "--set", "training.num_threads=1", "--device", "cpu",
    "--set", "data.heldout_images=1000", "--epochs", "5000", "--set", "recording.checkpoint_interval_seconds=1",
]  # fmt: skip
LONG_MS = 60_000  # another process starts


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.05)


def test_a_run_in_another_process_moves_here_and_is_continued_when_that_ends(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    words = [sys.executable, "-m", "vae_explorer", "train", *ENDLESS, "--run-dir", str(path)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            qtbot.waitUntil(lambda: (path / "metrics.csv").exists(), timeout=LONG_MS)
            window = open_window(tiny_config(), run=path)
            session = window.session
            qtbot.waitUntil(lambda: str(child.pid) in session.following.writer, timeout=WAIT_MS)
            assert session.state is State.FINISHED
            assert f"process {child.pid}" in window.statusBar().note.text()
            assert not window.commands.actions["action.pause"].isEnabled()
            rows, step = len(session.history), session.snapshot.step if session.snapshot else -1
            qtbot.waitUntil(lambda: len(session.history) > rows, timeout=LONG_MS)
            qtbot.waitUntil(lambda: session.snapshot is not None and session.snapshot.step > step, timeout=LONG_MS)
            assert session.progress is not None
            assert session.progress.step == session.history.train("step")[-1]
        finally:
            child.terminate()
            child.wait()
    qtbot.waitUntil(lambda: session.following.writer == "", timeout=WAIT_MS)
    assert window.commands.actions["action.pause"].isEnabled()
    newest = RunDirectory.open(path).newest_checkpoint()
    assert newest is not None
    qtbot.waitUntil(lambda: session.snapshot is not None and session.snapshot.step == int(newest.name), timeout=LONG_MS)
    with qtbot.waitSignal(session.history_changed, timeout=LONG_MS):
        session.continue_run()
    assert session.state is State.TRAINING


def test_a_run_that_arrives_file_by_file_is_shown_as_far_as_it_is_whole(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    config = with_value(tiny_config(epochs=40), "recording.checkpoint_interval_seconds", 0.1)
    whole = train_tiny(tmp_path / "whole", config)[0]
    lines = whole.metrics_file.read_bytes().splitlines(keepends=True)
    path = tmp_path / "arriving"
    path.mkdir()
    for name in ("run.toml", "events.jsonl"):
        shutil.copy(whole.path / name, path / name)
    (path / "metrics.csv").write_bytes(b"".join(lines[:5]) + lines[5][:9])
    window = open_window(config, run=path)
    session = window.session
    assert session.snapshot is not None
    assert session.snapshot.step == 0

    target = path / "checkpoints" / whole.checkpoints()[-1].name
    target.mkdir(parents=True)
    for file in whole.checkpoints()[-1].iterdir():
        (target / file.name).write_bytes(file.read_bytes()[:100])
    # Rows come by the same look that finds the torn checkpoint: it was seen, and waited for.
    with qtbot.waitSignal(session.history_changed, timeout=WAIT_MS), (path / "metrics.csv").open("ab") as metrics:
        metrics.write(b"".join([lines[5][9:], *lines[6:]]))
    stored = read_stored_run(whole)
    assert len(session.history) == len(stored.history)
    assert session.history.num_heldout == stored.history.num_heldout
    assert session.snapshot.step == 0
    shutil.copytree(whole.checkpoints()[-1], target, dirs_exist_ok=True)
    with qtbot.waitSignal(session.validated, timeout=WAIT_MS):
        qtbot.waitUntil(lambda: session.snapshot.step == int(target.name), timeout=WAIT_MS)  # type: ignore[union-attr]
    assert session.history.heldout("elbo")[-1] == pytest.approx(stored.history.heldout("elbo")[-1])


def test_what_is_gone_is_said_once_and_what_was_read_stays(
    open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_explorer.gui.following._PATIENCE_SECONDS", 0.1)
    run = train_tiny(tmp_path / "run", tiny_config(epochs=2))[0]
    window = open_window(tiny_config(), run=run.path)
    session, told = window.session, []
    session.message_posted.connect(told.append)
    rows = len(session.history)
    qtbot.waitUntil(lambda: session.following.has_looked, timeout=WAIT_MS)
    run.metrics_file.rename(tmp_path / "metrics.csv")
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert "metrics.csv is gone" in told[0].text
    (tmp_path / "metrics.csv").rename(run.metrics_file)
    with run.metrics_file.open("ab") as metrics, qtbot.waitSignal(session.history_changed, timeout=WAIT_MS):
        metrics.write(run.metrics_file.read_bytes().splitlines(keepends=True)[-1])
        metrics.flush()
    assert len(told) == 1
    assert len(session.history) + session.history.num_heldout > rows
