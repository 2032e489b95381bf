"""BARS R11: the window closes at a random moment in any state; nothing is lost and nobody waits."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from tests.gui.conftest import HARMLESS, WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Session, State
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.run_directory import RunDirectory

MOMENTS = (State.STARTING, State.READY, State.TRAINING, State.PAUSED, State.STOPPING, State.FINISHED)

# The real program with its real data; it closes by itself, or waits for a signal.
PROGRAM = """
import sys
from PySide6.QtCore import Qt, QTimer
from vae_explorer.gui import application
create = application.create_window
def creating(argv):
    app, window = create(argv)
    def changed(state):
        if state.value == "ready":
            window.commands.actions["action.train"].trigger()
    window.session.state_changed.connect(changed)
    window.session.history_changed.connect(lambda: print("curves", flush=True))
    if sys.argv[1] != "signal":
        window.session.history_changed.connect(
            lambda: QTimer.singleShot(int(sys.argv[1]), window.close), Qt.ConnectionType.SingleShotConnection
        )
    return app, window
application.create_window = creating
sys.exit(application.main(["vae-explorer"]))
"""


def bring_to(window: MainWindow, state: State, qtbot: QtBot) -> None:
    session = window.session
    if state is State.STARTING:
        return
    qtbot.waitUntil(lambda: session.state is State.READY, timeout=WAIT_MS)
    if state is State.READY:
        return
    session.train()
    qtbot.waitUntil(lambda: len(session.history) > 0, timeout=WAIT_MS)
    if state is State.PAUSED:
        session.pause()
    if state in {State.STOPPING, State.FINISHED}:
        session.stop()
    qtbot.waitUntil(lambda: session.state in {state, State.FINISHED}, timeout=WAIT_MS)


def saved_step(session: Session) -> int | None:
    run = session.run_directory
    newest = run.newest_checkpoint() if run is not None else None
    return read_checkpoint(newest).step if newest is not None else None


@pytest.mark.parametrize("number", [*range(10), *(pytest.param(i, marks=pytest.mark.long) for i in range(10, 300))])
def test_close_at_a_random_moment(open_window: Callable[..., MainWindow], qtbot: QtBot, number: int) -> None:
    chance = random.Random(number)
    window = open_window(wait=False)
    state = MOMENTS[number % len(MOMENTS)]
    bring_to(window, state, qtbot)
    waited = QTimer(singleShot=True)
    with qtbot.waitSignal(waited.timeout):
        waited.start(chance.randrange(0, 150))
    session = window.session
    has_trained = session.start is not None
    begin = time.monotonic()
    assert window.close()
    assert time.monotonic() - begin < 3.0
    assert window.closed_cleanly
    assert not window.isVisible()
    if has_trained:
        assert saved_step(session) == session.history.axis("step", "train")[-1]


def test_closing_asks_nothing_when_nothing_is_lost(
    training_window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_window.commands, "ask_to_lose", lambda: pytest.fail("asked"))
    assert training_window.close()


def test_closing_takes_open_dialogs_along(training_window: MainWindow, qtbot: QtBot) -> None:
    training_window.commands.actions["action.shortcuts"].trigger()
    training_window.error_reports.show_report("a report")
    assert training_window.close()
    assert not training_window.commands._dialogs


def run_program(argument: str, tmp_path: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"VAE_EXPLORER_RUNS": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, argument],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def newest_step(tmp_path: Path) -> int:
    (folder,) = tmp_path.iterdir()
    newest = RunDirectory.open(folder).newest_checkpoint()
    assert newest is not None
    return read_checkpoint(newest).step


def complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not any(harmless in line for harmless in HARMLESS)]


def test_program_ends_with_status_0_in_mid_training(tmp_path: Path) -> None:
    program = run_program("300", tmp_path)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    assert complaints(errors) == []
    assert newest_step(tmp_path) > 0


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_signal_saves_and_ends_with_status_130(tmp_path: Path, signal_name: str) -> None:
    import signal

    program = run_program("signal", tmp_path)
    assert program.stdout is not None
    assert program.stdout.readline() == "curves\n"
    begin = time.monotonic()
    program.send_signal(getattr(signal, signal_name))
    _, errors = program.communicate(timeout=60)
    assert time.monotonic() - begin < 5
    assert program.returncode == 130, errors
    assert complaints(errors) == []
    assert newest_step(tmp_path) > 0
