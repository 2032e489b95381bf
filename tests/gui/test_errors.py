from __future__ import annotations

import dataclasses
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMessageLogContext, QObject, Qt, QtMsgType, Signal, Slot
from PySide6.QtGui import QFont, QFontMetrics, QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.errors import FileError
from vae_explorer.gui.application import create_window
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Message, Session, State
from vae_explorer.gui.settings import Settings
from vae_explorer.gui.threads.failure import failure_of
from vae_explorer.runs import files
from vae_explorer.training.run_config import RunConfig, default_config, with_value
from vae_explorer.training.trainer import Trainer

_PADDING = 14


def posted_by(session: Session) -> list[Message]:
    messages: list[Message] = []
    session.message_posted.connect(messages.append)
    return messages


def finish(qtbot: QtBot, window: MainWindow, state: State) -> None:
    qtbot.waitUntil(lambda: window.session.state is state, timeout=WAIT_MS)


class Alarm(QObject):
    rung = Signal()

    @Slot()
    def fail(self) -> None:
        raise RuntimeError("the slot is broken")

    def need(self, more: object) -> None:
        """Takes what the signal does not give."""


@pytest.mark.qt_no_exception_capture
def test_exception_in_a_slot_gives_one_report_that_can_be_copied(
    window: MainWindow, qtbot: QtBot, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = Alarm()
    alarm.rung.connect(alarm.fail)
    for _ in range(30):
        alarm.rung.emit()
    dialog = window.error_reports.dialog
    assert dialog is not None
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert dialog.num_reports == 1
    assert "30 times" in dialog.heading.text()
    dialog.copy_button.click()
    text = QGuiApplication.clipboard().text()
    assert "the slot is broken" in text
    assert "Python" in text
    assert window.commands.actions["action.train"].isEnabled(), "the window goes on"
    assert "the slot is broken" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.qt_no_exception_capture
def test_exception_in_a_thread_is_reported_in_the_gui_thread(window: MainWindow, qtbot: QtBot) -> None:
    def fail() -> None:
        raise RuntimeError("the thread is broken")

    with qtbot.waitSignal(window.error_reports.reported, timeout=5000):
        thread = threading.Thread(target=fail, name="broken")
        thread.start()
        thread.join()
    qtbot.waitUntil(lambda: window.error_reports.dialog is not None, timeout=5000)
    assert "broken" in window.error_reports.reports[0]


def test_critical_message_of_qt_is_reported_and_a_warning_is_not(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Called as Qt would: a real critical message fails the test that sends it.
    monkeypatch.setattr(window.error_reports, "_previous", None)
    window.error_reports._qt_message(QtMsgType.QtWarningMsg, QMessageLogContext(), "only a warning")
    window.error_reports._qt_message(QtMsgType.QtCriticalMsg, QMessageLogContext(), "a critical thing")
    monkeypatch.undo()
    assert window.error_reports.reports == ["Qt (QtCriticalMsg): a critical thing"]


def test_hooks_are_given_back(open_window: Callable[..., MainWindow]) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    window = open_window()
    assert sys.excepthook != before[0]
    window.close()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before
    assert gc.isenabled()


def test_defect_in_training_ends_the_run_and_keeps_the_checkpoint(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Big:
        pass

    kept: list[weakref.ref[Big]] = []
    validate = Trainer.validate

    def failing(self: Trainer) -> object:
        if self.num_steps < 100:
            return validate(self)
        big = Big()
        kept.append(weakref.ref(big))
        raise RuntimeError("a defect of the trainer")

    monkeypatch.setattr(Trainer, "validate", failing)
    config = with_value(window.session.config, "recording.checkpoint_interval_seconds", 0.1)
    config = with_value(config, "data.heldout_images", 40)
    window.session.place_config(with_value(config, "training.validation_interval_images", 100_000))
    messages = posted_by(window.session)
    # The first held-out measurement after the start comes late enough for a checkpoint to have been written.
    window.session.train()
    finish(qtbot, window, State.FAILED)
    assert [message.kind for message in messages] == ["error"]
    assert "a defect of the trainer" in messages[0].details
    assert "checkpoint is kept" in messages[0].hint
    assert window.error_reports.dialog is not None
    assert "a defect of the trainer" in window.error_reports.dialog.text.toPlainText()
    assert window.session.run_directory is not None
    assert window.session.run_directory.newest_checkpoint() is not None
    gc.collect()
    assert kept[0]() is None, "what the frames held is free"
    assert window.commands.actions["action.train"].isEnabled()
    assert window.message_bar.message is messages[0]


def test_run_folder_that_cannot_be_made_is_told_and_another_can_be_chosen(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    window.session.runs_folder = blocked / "runs"
    messages = posted_by(window.session)
    window.commands.actions["action.train"].trigger()
    finish(qtbot, window, State.FAILED)
    assert str(blocked) in messages[0].text
    assert messages[0].hint
    assert not messages[0].details
    window.session.runs_folder = tmp_path / "free"
    with qtbot.waitSignal(window.session.history_changed, timeout=WAIT_MS):
        window.commands.actions["action.train"].trigger()


def test_a_disk_that_fills_up_warns_once_and_training_goes_on(
    training_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = training_window
    messages = posted_by(window.session)
    asked: list[bool] = []
    monkeypatch.setattr(window.commands, "ask_to_lose", lambda *_: bool(asked.append(True)))

    def full(path: Path, *_: object) -> None:
        raise FileError(path, f"{path} cannot be written: no space left on device.", "Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(files, "append_text", full)
        qtbot.waitUntil(lambda: bool(messages), timeout=WAIT_MS)
        steps = len(window.session.history)
        qtbot.waitUntil(lambda: len(window.session.history) > steps, timeout=WAIT_MS)
        assert window.session.state is State.TRAINING
        assert window.session.unsaved
        assert [message.kind for message in messages] == ["warning"]
        window.close()
        assert window.isVisible(), "it asked, and the answer was to stay"
        assert asked
    qtbot.waitUntil(lambda: not window.session.unsaved, timeout=WAIT_MS)
    assert window.close()


def test_wrong_setting_in_the_form_keeps_train_from_starting(window: MainWindow, qtbot: QtBot) -> None:
    messages = posted_by(window.session)
    actions = window.commands.actions
    row = window.panel("run_config").row("model.hidden_widths")
    qtbot.keyClicks(row.editor, "x")
    problem = window.panel("run_config").problem
    assert problem
    for name in ("action.train", "action.step"):
        assert not actions[name].isEnabled()
        assert problem in actions[name].toolTip()
    window.commands.train()
    assert window.session.state is State.READY
    assert messages[0].near == "panel.run_config"
    qtbot.keyClick(row.editor, Qt.Key.Key_Backspace)
    for name in ("action.train", "action.step"):
        assert actions[name].isEnabled()
        assert "run" in actions["action.train"].toolTip()


def test_nothing_is_refreshed_after_the_window_has_closed(window: MainWindow, qtbot: QtBot) -> None:
    commands = window.commands
    window.session.map.place_active_pin(np.zeros(2))
    window.close()
    with qtbot.captureExceptions() as raised:
        commands._refresh()
        window.session.undo_stack.indexChanged.emit(0)
    assert not raised


def test_warm_up_that_fails_says_so_and_a_mended_setting_tries_again(
    open_window: Callable[..., MainWindow], long_config: RunConfig, qtbot: QtBot
) -> None:
    window = open_window(with_value(long_config, "data.heldout_images", 100_000), wait=False)
    messages = posted_by(window.session)
    finish(qtbot, window, State.FAILED)
    assert messages[0].kind == "error"
    window.session.edit("data.heldout_images", 40)
    finish(qtbot, window, State.READY)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300])
def test_poisoned_run_pauses_with_a_sentence_and_keeps_the_good_checkpoint(
    training_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    import torch

    from vae_explorer.models.vae import VariationalAutoencoder
    from vae_explorer.runs.checkpoint import read_checkpoint

    window = training_window
    messages = posted_by(window.session)
    objective = VariationalAutoencoder.objective

    def poisoned(self: VariationalAutoencoder, *args: Any) -> object:
        found = objective(self, *args)
        return dataclasses.replace(found, loss=found.loss * value)

    monkeypatch.setattr(VariationalAutoencoder, "objective", poisoned)
    finish(qtbot, window, State.PAUSED)
    assert any("not finite" in message.text for message in messages)
    assert all(message.hint for message in messages)
    assert len(messages) < 20
    window.commands.actions["action.stop"].trigger()
    finish(qtbot, window, State.FINISHED)
    run = window.session.run_directory
    assert run is not None
    newest = run.newest_checkpoint()
    if newest is not None:
        assert all(bool(torch.isfinite(t).all()) for t in read_checkpoint(newest).state.model.values())


def test_message_bar_counts_equal_messages_and_an_error_comes_back_after_a_note(window: MainWindow) -> None:
    bar = window.message_bar
    for _ in range(3):
        window.session.post("error", "It is broken.", "Mend it.")
    assert "3 times" in bar._text.text()
    window.session.post("info", "By the way.")
    assert bar._text.text() == "By the way."
    window.session.post("info", "And this too.")
    bar._timer.timeout.emit()
    assert bar.message is not None
    assert bar.message.text == "It is broken."
    assert not bar._timer.isActive(), "an error stays"
    bar._copy_button.click()
    assert QGuiApplication.clipboard().text() == "It is broken.\nMend it."
    bar._dismiss_button.click()
    assert bar.isHidden()


def test_what_a_note_covers_goes_when_it_is_mended_or_another_error_comes(window: MainWindow) -> None:
    bar, session = window.message_bar, window.session
    session.post("error", "Too large.", near="training.batch_size")
    session.post("info", "By the way.")
    session.message_settled.emit("training.batch_size")
    assert bar._text.text() == "By the way."
    bar._dismiss_button.click()
    assert bar.isHidden()
    session.post("error", "One.")
    session.post("info", "By the way.")
    session.post("warning", "Two.")
    bar._dismiss_button.click()
    assert bar.isHidden()


def test_a_message_about_a_setting_goes_when_that_is_changed(window: MainWindow, qtbot: QtBot) -> None:
    session, bar = window.session, window.message_bar
    session.edit("data.heldout_images", 9000)
    qtbot.waitUntil(lambda: bar.message is not None, timeout=WAIT_MS)
    assert bar._text.text().startswith("9000 images cannot be held out")
    session.edit("training.epochs", 7)
    assert bar.isVisible(), "it is about another one"
    session.edit("data.heldout_images", 30)
    assert bar.isHidden()
    qtbot.waitUntil(lambda: session.state is State.READY, timeout=WAIT_MS)


def test_message_near_a_setting_leads_there(window: MainWindow, qtbot: QtBot) -> None:
    window.docks["run_config"].close()
    window.session.post("error", "Too large.", "Take less.", near="training.batch_size")
    window.message_bar._near_button.click()
    assert window.docks["run_config"].isVisible()


def test_failure_is_plain_text() -> None:
    try:
        raise RuntimeError("deep")
    except RuntimeError as error:
        failure = failure_of(error)
    assert "deep" in failure.report
    assert not any(isinstance(value, BaseException) for value in vars(failure).values())
    assert not failure_of(FileError("a", "a is bad.", "Mend it.")).report
    assert tiny_config().training.epochs == 2


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise FileError(path, f"{path} cannot be written: no space left on device.", "Make room.")

    patch.setattr(files, "append_text", full)
    patch.setattr(files, "write_folder", full)


@pytest.mark.parametrize("way", ["action", "close"])
def test_a_run_whose_end_met_a_full_disk_is_saved_once_there_is_room(
    training_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    window = training_window
    session, messages, asked = window.session, posted_by(window.session), []
    monkeypatch.setattr(window.commands, "ask_to_lose", lambda verb="Close": bool(asked.append(verb)))
    with monkeypatch.context() as patch:
        full_disk(patch)
        before = session.run_directory.checkpoints()
        session.stop()
        qtbot.waitUntil(lambda: session.state is State.FINISHED, timeout=WAIT_MS)
        assert session.unsaved
        assert "Training goes on" not in messages[-1].hint
        window.commands.actions["action.train"].trigger()
        assert asked == ["Train"], "a new run would throw the unsaved one away"
        assert session.state is State.FINISHED
    run = session.run_directory
    assert run is not None
    assert len(run.checkpoints()) <= len(before) + 1, "at most the one that was being written"
    if way == "action":
        window.commands.actions["action.save_run_again"].trigger()
        assert not session.unsaved
    else:
        assert window.close()
        assert asked == ["Train"], "it was saved, so nothing had to be asked"
    newest = run.newest_checkpoint()
    assert newest is not None
    assert int(newest.name) == session.history.train("step")[-1]


def test_training_during_a_preparation_leaves_no_note_of_it(window: MainWindow, qtbot: QtBot) -> None:
    notes: list[str] = []
    window.session.preparation_noted.connect(notes.append)
    window.session.prepare()
    window.session.train()
    qtbot.waitUntil(lambda: window.session.state is State.TRAINING and bool(window.session.history), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: notes[-1:] == [""], timeout=WAIT_MS)
    assert "Warming up" not in window.status.note.text()


def test_a_first_start_shows_the_default_preset(qapp: QApplication, qtbot: QtBot) -> None:
    assert Settings().config() is None
    _, window = create_window(["vae-explorer"])
    qtbot.addWidget(window)
    try:
        assert window.session.config == default_config()
    finally:
        window.close()


def test_the_form_is_as_it_was_left(open_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    first = open_window()
    first.session.edit("training.epochs", 33)
    assert first.close()
    remembered = Settings().config()
    assert remembered is not None
    assert remembered.training.epochs == 33


def test_the_whole_name_of_the_button_that_copies_is_to_be_read(window: MainWindow, qapp: QApplication) -> None:
    window.error_reports.show_report("broken")
    dialog = window.error_reports.dialog
    assert dialog is not None
    button = dialog.copy_button
    drawn = QFont(button.font())
    drawn.setWeight(QFont.Weight.DemiBold)
    assert button.isDefault()
    assert QFontMetrics(drawn).horizontalAdvance(button.text()) + 2 * _PADDING <= button.width()


@pytest.mark.qt_no_exception_capture
def test_a_slot_that_cannot_be_called_is_reported_with_the_place_of_its_signal(window: MainWindow) -> None:
    alarm = Alarm()
    alarm.rung.connect(alarm.need)
    alarm.rung.emit()
    (report,) = window.error_reports.reports
    assert "missing 1 required positional argument" in report
    assert "alarm.rung.emit()" in report
    assert "error_report.py" not in report
