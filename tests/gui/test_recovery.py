"""What a crash leaves is offered and comes back: runs that were broken off, the form, the arrangement of the map."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Message, State
from vae_explorer.runs.arrangement_file import FILE, read_arrangement
from vae_explorer.runs.broken_off import broken_off_runs
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.event_records import CheckpointWritten
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory, default_parent
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import value_of

Opener = Callable[..., MainWindow]

GONE = {"host": socket.gethostname(), "pid": 2**22 + 1, "start": 1}
"""No process has that number: it is above what the system gives out."""


class SavingEveryStep(Control):
    has_requests = True

    def take_checkpoint_wish(self) -> bool:
        return True


@pytest.fixture
def broken_off() -> RunDirectory:
    """A run of four epochs in the folder of runs that a kill ended after step 10."""
    config = tiny_config(epochs=4)
    run = RunDirectory.create(config, default_parent() / "broken-run")
    with contextlib.closing(record(make_trainer(config).run(SavingEveryStep()), run)) as events:
        for event in events:
            if isinstance(event, CheckpointWritten) and event.step >= 10:
                break
    (run.path / LOCK_FILE).write_text(json.dumps(GONE), encoding="utf-8")
    return run


def offer(window: MainWindow, label: str) -> QPushButton:
    return next(button for button in window.message_bar.findChildren(QPushButton) if button.text() == label)


def wait_for_offer(window: MainWindow, qtbot: QtBot) -> Message:
    bar = window.message_bar
    qtbot.waitUntil(lambda: bar.message is not None and bool(bar.message.offers), timeout=WAIT_MS)
    assert bar.message is not None
    return bar.message


def test_a_run_that_was_broken_off_is_offered_and_ends_as_one_that_never_was(
    open_window: Opener, qtbot: QtBot, broken_off: RunDirectory, tmp_path: Path
) -> None:
    whole = train_tiny(tmp_path / "whole", tiny_config(epochs=4))[0]
    found = broken_off_runs(default_parent())
    assert [run.path for run in found] == [broken_off.path]
    window = open_window(tiny_config())
    message = wait_for_offer(window, qtbot)
    assert "broken-run was broken off at step" in message.text
    assert message.hint == found[0].loss_words
    offer(window, "Continue it").click()
    session = window.session
    qtbot.waitUntil(
        lambda: session.state is State.FINISHED and session.progress is not None and session.progress.step == 32,
        timeout=WAIT_MS,
    )
    states = [read_checkpoint(run.checkpoints()[-1]).state for run in (whole, broken_off)]
    assert all(torch.equal(states[0].model[name], value) for name, value in states[1].model.items())
    assert (np.diff(session.history.train("step")) > 0).all()
    assert broken_off_runs(default_parent()) == ()


def test_one_that_is_not_wanted_is_not_offered_again(
    open_window: Opener, qtbot: QtBot, broken_off: RunDirectory
) -> None:
    window = open_window(tiny_config())
    wait_for_offer(window, qtbot)
    offer(window, "Do not offer it again").click()
    assert not (broken_off.path / LOCK_FILE).exists()
    assert not window.message_bar.isVisible()
    assert broken_off.newest_checkpoint() is not None


def test_what_would_be_lost_is_said(broken_off: RunDirectory) -> None:
    with broken_off.metrics_file.open(encoding="utf-8") as file:
        last = file.readlines()[-1].split(",")
    last[0], last[3] = str(int(last[0]) + 7), str(float(last[3]) + 5)
    with broken_off.metrics_file.open("a", encoding="utf-8") as file:
        file.write(",".join(last))
    found = broken_off_runs(default_parent())[0]
    assert found.step > found.checkpoint_step
    assert found.loss_words == f"Going on trains {found.step - found.checkpoint_step:,} steps again (5 s)."


def test_the_form_and_the_map_are_kept_within_seconds_and_come_back(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    run = train_tiny(tmp_path / "run", tiny_config())[0]
    window = open_window(tiny_config(), run=run.path)
    window.session.map.add_pin(np.array([0.5, -1.0]))
    window.session.edit("training.batch_size", 33)
    qtbot.waitUntil(lambda: (run.path / FILE).exists(), timeout=WAIT_MS)
    # As after a crash: another window reads what this one has kept so far.
    second = open_window(tiny_config(), run=run.path)
    pins = second.session.map.arrangement.pins
    assert [(pin.name, pin.z) for pin in pins] == [("A", (0.5, -1.0))]
    config = window.settings.config()
    assert config is not None
    assert value_of(config, "training.batch_size") == 33
    second.session.map.clear_pins()
    second.close()
    kept = read_arrangement(run)
    assert kept is not None
    assert kept.pins == (), "the end keeps the last change at once"


def test_a_run_that_was_looked_at_when_the_window_was_lost_is_offered(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    run = train_tiny(tmp_path / "looked-at", tiny_config())[0]
    first = open_window(tiny_config(), run=run.path)
    first.memory.keep()
    assert first.settings.table("session/looked_at")["path"] == str(run.path)
    first.settings.remember_table("session/looked_at", {"pid": GONE["pid"], "start": 1, "path": str(run.path)})
    first.settings.save()
    window = open_window(tiny_config())
    message = wait_for_offer(window, qtbot)
    assert "while it showed the run looked-at" in message.text
    with qtbot.waitSignal(window.session.run_opened, timeout=WAIT_MS):
        offer(window, "Look at it again").click()
    qtbot.waitUntil(lambda: window.session.state is State.FINISHED, timeout=WAIT_MS)


def test_a_window_that_was_closed_offers_nothing(open_window: Opener, qtbot: QtBot, tmp_path: Path) -> None:
    run = train_tiny(tmp_path / "run", tiny_config())[0]
    first = open_window(tiny_config(), run=run.path)
    first.memory.keep()
    first.close()
    window = open_window(tiny_config())
    recovering = window.session._recovering
    assert recovering is not None
    recovering.join()
    qtbot.waitUntil(lambda: not window.session._is_recovering, timeout=WAIT_MS)
    assert window.message_bar.message is None


def test_an_arrangement_that_cannot_be_read_is_told_and_the_run_opens(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    run = train_tiny(tmp_path / "run", tiny_config())[0]
    (run.path / FILE).write_text("{", encoding="utf-8")
    window = open_window(tiny_config(), run=run.path)
    assert window.message_bar.message is not None
    assert FILE in window.message_bar.message.text
    assert window.session.snapshot is not None
