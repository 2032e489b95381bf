"""R14: what is opened and closed again and again leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.allocated_memory import allocated_memory
from tests.conftest import Times
from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.gui.main_window import MainWindow

_MOST_BYTES = 20e3  # a cycle
_STRETCHES = 11


def delete_what_was_closed(qapp: QApplication) -> None:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.processEvents()


def leaves_nothing(window: MainWindow, qtbot: QtBot, cycle: Callable[[], None], num_cycles: int) -> None:
    """So many cycles, eleven times: no widget and no object of Qt is left, and no memory."""
    # What panels make when they first get an answer is there from then on.
    cycle()
    settle(window, qtbot)
    cycle()
    widgets, objects = len(QApplication.allWidgets()), len(window.findChildren(object))
    memory = []
    for _ in range(_STRETCHES):
        for _ in range(num_cycles):
            cycle()
        memory.append(allocated_memory())
    settle(window, qtbot)
    # The middle one of ten stretches: an answer that arrives in one of them is no leak.
    assert np.median(np.diff(memory)) / num_cycles <= _MOST_BYTES
    assert len(QApplication.allWidgets()) == widgets
    assert len(window.findChildren(object)) <= objects


def test_dialogs_and_docks_do_not_leak(window: MainWindow, qapp: QApplication, qtbot: QtBot, times: Times) -> None:
    def cycle() -> None:
        for dock in window.docks.values():
            dock.close()
            dock.show()
        for name in ("shortcuts", "command_palette", "about", "save_samples", "save_map"):
            window.commands.actions[f"action.{name}"].trigger()
            qapp.processEvents()
            window.commands.close_all()
        delete_what_was_closed(qapp)

    leaves_nothing(window, qtbot, cycle, times(5, 200))


def test_movies_of_paths_and_of_trainings_do_not_leak(
    open_window: Callable[..., MainWindow], qapp: QApplication, qtbot: QtBot, tmp_path: Path, times: Times
) -> None:
    run, _ = train_tiny(tmp_path / "a-run", tiny_config("grey"))
    window = open_window(tiny_config(), run=run.path)
    session, path = window.session, window.panel("path")
    qtbot.waitUntil(lambda: bool(session.timeline.steps), timeout=WAIT_MS)
    settle(window, qtbot)
    for z_D in np.eye(2):
        session.map.add_pin(z_D)
    window.docks["path"].raise_()
    qtbot.waitUntil(lambda: path.result is not None, timeout=WAIT_MS)

    def cycle() -> None:
        window.commands.actions["action.save_path"].trigger()
        assert path._dialog is not None
        path._dialog.close()
        window.commands.actions["action.save_training"].trigger()
        qtbot.waitUntil(lambda: "save_training" in window.commands._dialogs, timeout=WAIT_MS)
        window.commands.close_all()
        delete_what_was_closed(qapp)

    leaves_nothing(window, qtbot, cycle, times(2, 180))
