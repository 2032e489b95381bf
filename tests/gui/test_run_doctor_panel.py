"""The run doctor in the window: it finds a collapse while training, says it once, and its button mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.training import run_doctor
from vae_explorer.training.run_config import with_value
from vae_explorer.training.run_doctor import Mend


def press(button: object) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def collapsing(open_window: Callable[..., MainWindow], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """A window in whose run the KL costs far too much."""
    monkeypatch.setattr(run_doctor, "ENOUGH_IMAGES", 1000)
    window = open_window(with_value(tiny_config(epochs=3000), "model.beta", 200.0))
    window.session.train()
    return window


def test_a_collapse_is_found_while_training_and_mended_at_once(collapsing: MainWindow, qtbot: QtBot) -> None:
    panel, session = collapsing.panel("run_doctor"), collapsing.session
    collapsing.docks["run_doctor"].raise_()
    qtbot.waitUntil(lambda: any(one.rule == "posterior-collapse" for one in panel.findings), timeout=WAIT_MS)
    card = panel.cards[0]
    assert "collapses onto the prior" in card.text.text()
    assert card.button.text() == "Set beta to 1"
    with qtbot.waitSignal(session.setting_marked, timeout=WAIT_MS):
        press(card.button)
    assert session.config.model.beta == 1.0
    assert session.is_running
    qtbot.waitUntil(lambda: not panel.findings, timeout=WAIT_MS)
    assert panel.nothing.isVisible()
    session.undo_stack.undo()
    assert session.config.model.beta == 200.0


def test_out_of_sight_a_warning_is_told_once_in_a_message(collapsing: MainWindow, qtbot: QtBot) -> None:
    told: list[str] = []
    collapsing.session.message_posted.connect(lambda message: told.append(message.near))
    collapsing.docks["bound_curves"].raise_()
    qtbot.waitUntil(lambda: "panel.run_doctor" in told, timeout=WAIT_MS)
    checks: list[object] = []
    collapsing.session.validated.connect(checks.append)
    qtbot.waitUntil(lambda: len(checks) > 5, timeout=WAIT_MS)
    assert told.count("panel.run_doctor") == 1


def test_what_a_run_cannot_follow_is_set_after_its_end_and_trained_anew(collapsing: MainWindow, qtbot: QtBot) -> None:
    panel, session = collapsing.panel("run_doctor"), collapsing.session
    qtbot.waitUntil(lambda: session.start is not None, timeout=WAIT_MS)
    first = session.run_directory
    panel.apply(Mend("Warm up", (("model.beta_warmup_images", 4000),)))
    assert session.state is State.STOPPING
    qtbot.waitUntil(lambda: session.state is State.TRAINING and session.start is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: session.run_directory not in (None, first), timeout=WAIT_MS)
    assert session.start.config.model.beta_warmup_images == 4000
    panel.apply(Mend("Stop", stops=True))
    qtbot.waitUntil(lambda: session.state is State.FINISHED, timeout=WAIT_MS)
