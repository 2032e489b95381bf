"""The form of a run's configuration: derived from metadata, validated, undoable, locked while training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QFocusEvent, QKeySequence, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QWidget
from pytestqt.qtbot import QtBot

from vae_explorer.config import Setting, setting, text_of
from vae_explorer.errors import SettingError
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.run_config import RunConfigPanel
from vae_explorer.gui.session import Session
from vae_explorer.gui.session_words import Message, State
from vae_explorer.gui.widgets.setting_editors import (
    NumberEditor,
    TextEditor,
    as_editor,
    choice_records,
    make_editor,
    parsed,
    stepped,
)
from vae_explorer.models.catalogue import MODELS
from vae_explorer.training.events import SettingChanged, Started
from vae_explorer.training.run_config import (
    RunConfig,
    default_config,
    load_preset,
    preset_names,
    sections,
    value_of,
    with_value,
)

pytestmark = pytest.mark.gui


def all_settings() -> list[tuple[str, Setting, RunConfig]]:
    found = []
    for model_name in MODELS.names():
        config = with_value(default_config(), "model.name", model_name)
        for section in sections(config):
            found += [(f"{section.name}.{item.name}", item, config) for item in section.settings]
    return found


@pytest.fixture
def panel(qtbot: QtBot) -> Iterator[RunConfigPanel]:
    with closing(Session()) as session:
        panel = RunConfigPanel(session)
        qtbot.addWidget(panel)
        panel.resize(320, 900)
        yield panel


def write(panel: RunConfigPanel, path: str, text: str, qtbot: QtBot) -> None:
    """Type as a person does, without Enter."""
    editor = panel.row(path).editor
    assert isinstance(editor, NumberEditor | QWidget)
    field = editor.lineEdit() if isinstance(editor, QAbstractSpinBox) else editor
    field.selectAll()  # type: ignore[attr-defined]
    qtbot.keyClicks(field, text)


@pytest.mark.parametrize(
    ("path", "item", "config"), all_settings(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_setting_of_every_model_has_an_editor_that_gives_back_what_it_shows(
    qtbot: QtBot, path: str, item: Setting, config: RunConfig
) -> None:
    editor = make_editor(item)
    qtbot.addWidget(editor)
    values = [value_of(config, path), item.default]
    if item.kind in {"integer", "number"}:
        cast = int if item.kind == "integer" else float
        values += [cast(limit) for limit in (item.minimum, item.maximum) if limit is not None]
    values += list(item.choices)
    if item.kind == "flag":
        values += [True, False]
    for value in values:
        as_editor(editor).show_value(value)
        assert parsed(item, as_editor(editor)) == value


def test_the_form_has_a_row_for_every_setting_and_each_can_be_reached(panel: RunConfigPanel) -> None:
    config = panel.session.config
    wanted = [f"{section.name}.{item.name}" for section in sections(config) for item in section.settings]
    assert [row.path for row in panel.rows()] == wanted
    for row in panel.rows():
        assert row.label.buddy() is row.editor
        assert row.setting.label in row.editor.accessibleName()
        assert row.setting.help in row.editor.accessibleDescription()
        assert row.setting.help in row.editor.toolTip().replace("\n", " ")
        assert row.setting.formula in row.editor.toolTip()
        assert row.setting.range_text in row.editor.toolTip()
        assert row.editor.focusPolicy() & Qt.FocusPolicy.TabFocus
        assert text_of(row.setting, value_of(config, row.path)) == as_editor(row.editor).text()


def test_a_model_that_is_fitted_shows_nothing_of_gradients(panel: RunConfigPanel) -> None:
    def paths() -> set[str]:
        return {row.path for row in panel.rows()}

    before = paths()
    panel.session.edit("model.name", "ppca")
    assert before - paths() >= {"training.learning_rate", "training.precision", "training.ema_decay"}
    assert {"training.epochs", "training.batch_size", "training.seed"} <= paths()
    panel.session.edit("model.name", "vae")
    assert paths() == before


def test_a_valid_number_is_one_undoable_edit(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session = panel.session
    before = session.config.training.learning_rate
    write(panel, "training.learning_rate", "5e-4", qtbot)
    assert session.config.training.learning_rate == before  # the 5 on the way is not meant
    qtbot.keyClick(panel.row("training.learning_rate").editor, Qt.Key.Key_Return)
    assert session.config.training.learning_rate == 5e-4
    assert as_editor(panel.row("training.learning_rate").editor).text() == "0.0005"
    assert session.undo_stack.count() == 1
    session.undo_stack.undo()
    assert session.config.training.learning_rate == before
    assert as_editor(panel.row("training.learning_rate").editor).text() == text_of(
        panel.row("training.learning_rate").setting, before
    )
    session.undo_stack.redo()
    assert as_editor(panel.row("training.learning_rate").editor).text() == "0.0005"


def test_undo_changes_the_field_once_and_does_not_echo(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session = panel.session
    session.edit("training.epochs", session.config.training.epochs + 1)
    heard: list[object] = []
    session.config_changed.connect(heard.append)
    session.undo_stack.undo()
    assert len(heard) == 1
    assert session.undo_stack.index() == 0
    assert session.undo_stack.canRedo()


def test_a_wrong_value_is_told_below_the_field_and_not_applied(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session, row = panel.session, panel.row("training.batch_size")
    before = session.config
    problems: list[str] = []
    panel.problem_changed.connect(problems.append)
    write(panel, "training.batch_size", "0", qtbot)
    assert session.config == before
    assert "Batch size" in row.message.text()
    assert "1 to 65536" in row.message.text().replace(",", "")
    assert not row.message.isHidden()
    assert row.editor.property("invalid") == "true"
    assert panel.problem
    qtbot.keyClick(row.editor, Qt.Key.Key_Escape)
    assert row.message.isHidden()
    assert panel.problem == ""
    assert as_editor(row.editor).text() == str(before.training.batch_size)
    assert problems[0]
    assert problems[-1] == ""


@pytest.mark.parametrize("text", ["", "twelve", "1e999", "nan", "-1", "3.5"])
def test_what_is_no_whole_number_is_refused(panel: RunConfigPanel, qtbot: QtBot, text: str) -> None:
    before = panel.session.config
    editor = panel.row("training.epochs").editor
    assert isinstance(editor, NumberEditor)
    editor.lineEdit().clear()
    qtbot.keyClicks(editor.lineEdit(), text)
    if not text:
        editor.lineEdit().textEdited.emit("")
    panel.commit_pending()
    assert panel.session.config == before
    assert panel.problem
    with pytest.raises(SettingError):
        parsed(panel.row("training.epochs").setting, editor)


def test_a_list_of_widths_is_read_as_one(panel: RunConfigPanel, qtbot: QtBot) -> None:
    write(panel, "model.hidden_widths", "300, 200 100", qtbot)
    panel.commit_pending()
    assert panel.session.config.model.hidden_widths == (300, 200, 100)
    write(panel, "model.hidden_widths", "300, many", qtbot)
    panel.commit_pending()
    assert panel.session.config.model.hidden_widths[0] == 300
    assert panel.row("model.hidden_widths").problem is not None


def test_an_invalid_field_that_is_left_keeps_its_text_and_its_message(panel: RunConfigPanel, qtbot: QtBot) -> None:
    write(panel, "training.seed", "x", qtbot)
    panel.row("training.seed").editor.editingFinished.emit()  # type: ignore[attr-defined]
    assert as_editor(panel.row("training.seed").editor).text() == "x"
    assert panel.problem


def test_choices_are_shown_by_the_titles_of_their_records(panel: RunConfigPanel) -> None:
    row = panel.row("data.protocol")
    editor = row.editor
    assert isinstance(editor, QComboBox)
    records = choice_records(row.setting)
    assert records
    for index in range(editor.count()):
        record = records[editor.itemData(index)]
        assert editor.itemText(index) == record.title
        assert editor.itemData(index, Qt.ItemDataRole.ToolTipRole) == record.summary


def test_choosing_in_a_combo_edits_the_configuration(panel: RunConfigPanel) -> None:
    editor = panel.row("data.protocol").editor
    assert isinstance(editor, QComboBox)
    index = editor.findData("dynamic")
    editor.setCurrentIndex(index)
    editor.activated.emit(index)
    assert panel.session.config.data.protocol == "dynamic"
    assert panel.session.undo_stack.count() == 1


def test_presets_fill_the_form_in_one_step_and_mend_it(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session = panel.session
    write(panel, "training.batch_size", "0", qtbot)
    index = panel.presets.findData("tutorial")
    panel.presets.setCurrentIndex(index)
    panel.presets.activated.emit(index)
    assert session.config == load_preset("tutorial").config
    assert panel.problem == ""
    assert session.undo_stack.count() == 1
    session.undo_stack.undo()
    assert session.config == default_config()
    assert panel.presets.currentData() == preset_names()[0]


def test_own_settings_are_named_by_what_differs_from_the_nearest_preset(panel: RunConfigPanel) -> None:
    panel.session.edit("training.epochs", 33)
    assert panel.presets.currentIndex() == -1
    assert "epochs" in panel._summary.text()


def test_while_training_only_live_settings_can_be_changed(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session = panel.session
    session.enter(State.TRAINING)
    for row in panel.rows():
        assert row.editor.isEnabled() is row.setting.live
    assert not panel.presets.isEnabled()
    assert not panel._note.isHidden()
    session.enter(State.FINISHED)
    assert all(row.editor.isEnabled() for row in panel.rows())
    assert panel._note.isHidden()


def test_while_training_a_live_value_waits_for_enter(panel: RunConfigPanel, qtbot: QtBot) -> None:
    session = panel.session
    session.enter(State.TRAINING)
    before = session.config.training.learning_rate
    write(panel, "training.learning_rate", "2e-3", qtbot)
    assert session.config.training.learning_rate == before
    qtbot.keyClick(panel.row("training.learning_rate").editor, Qt.Key.Key_Return)
    assert session.config.training.learning_rate == 2e-3
    assert as_editor(panel.row("training.learning_rate").editor).text() == "0.002"


def test_effective_beta_and_steps_are_read_out(panel: RunConfigPanel) -> None:
    session = panel.session
    assert panel._readout.isHidden()
    session.enter(State.TRAINING)
    started = Started(
        config=session.config, run_name="run", device="cpu", device_name="CPU", precision="float32", num_threads=1,
        num_parameters=10, effective_beta=1.0, num_train=55000, num_heldout=5000, steps_per_epoch=215,
        total_steps=4300, start_step=0,
    )  # fmt: skip
    session.learn(started)
    assert "215 steps per epoch" in panel._readout.text()
    session.learn(SettingChanged(path="model.beta", old=1.0, new=4.0, step=5, images_seen=50, seconds=1.0))
    assert "Effective beta 4" in panel._readout.text()
    assert not panel._readout.isHidden()
    session.edit("model.beta", 4.0)
    session.enter(State.FINISHED)
    assert not panel._readout.isHidden()
    session.edit("training.batch_size", 64)
    assert panel._readout.isHidden()  # it is no longer what this form would come to
    session.undo_stack.undo()
    assert not panel._readout.isHidden()


def test_a_message_about_a_setting_appears_below_it(panel: RunConfigPanel) -> None:
    path = "training.num_threads"
    panel.session.message_posted.emit(Message("error", "Too many threads.", "Choose fewer.", near=path))
    row = panel.row(path)
    assert "Too many threads." in row.message.text()
    assert not row.message.isHidden()
    assert not row.editor.isHidden()  # it was folded away among the advanced ones


def test_the_model_section_follows_the_chosen_model(
    panel: RunConfigPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class OtherConfig:
        latent_dimensions: int = setting(3, label="Latent dimensions", help="Size.", minimum=1, maximum=64)
        is_odd: bool = setting(True, label="Odd", help="A flag.")
        remark: str = setting("none", label="Remark", help="Plain text.")

    record = replace(MODELS["vae"], name="other", title="Other model", config_type=OtherConfig)
    monkeypatch.setattr(MODELS, "_records", {**{item.name: item for item in MODELS}, "other": record})
    session = panel.session
    session.edit("model.name", "other")
    assert {row.path for row in panel.rows() if row.path.startswith("model.")} == {
        "model.name", "model.latent_dimensions", "model.is_odd", "model.remark",
    }  # fmt: skip
    panel.row("model.is_odd").editor.click()  # type: ignore[attr-defined]
    assert session.config.model.is_odd is False
    write(panel, "model.remark", "a note", qtbot)
    qtbot.keyClick(panel.row("model.remark").editor, Qt.Key.Key_Return)
    assert session.config.model.remark == "a note"
    session.undo_stack.setIndex(0)
    assert panel.row("model.beta")
    QApplication.sendPostedEvents()


def test_help_follows_the_keyboard(panel: RunConfigPanel, qtbot: QtBot) -> None:
    panel.row("model.beta").entered.emit()
    assert panel.row("model.beta").setting.formula in panel._help.text()
    assert not panel._help.isHidden()


def test_help_goes_with_the_keyboard_and_gives_its_place_back(panel: RunConfigPanel, qtbot: QtBot) -> None:
    assert panel._help.isHidden()

    def send(path: str, kind: QEvent.Type, reason: Qt.FocusReason) -> None:
        QApplication.sendEvent(panel.row(path).editor, QFocusEvent(kind, reason))

    send("model.beta", QEvent.Type.FocusIn, Qt.FocusReason.MouseFocusReason)
    assert panel._help.isHidden(), "the form must not move under the mouse"
    send("data.dataset", QEvent.Type.FocusIn, Qt.FocusReason.TabFocusReason)
    assert panel.row("data.dataset").setting.help in panel._help.text()
    send("data.dataset", QEvent.Type.FocusOut, Qt.FocusReason.PopupFocusReason)
    qtbot.wait(20)
    assert not panel._help.isHidden(), "its own list is open"
    send("data.dataset", QEvent.Type.FocusOut, Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(panel._help.isHidden, timeout=5000)


def test_titles_of_records_are_readable_in_the_narrowest_form(panel: RunConfigPanel, qtbot: QtBot) -> None:
    panel.resize(panel.minimumWidth(), 700)
    for path in ("data.dataset", "data.protocol", "model.name"):
        editor = panel.row(path).editor
        assert isinstance(editor, QComboBox)
        qtbot.waitUntil(lambda editor=editor: editor.width() > 200, timeout=5000)
        widest = max(editor.fontMetrics().horizontalAdvance(editor.itemText(i)) for i in range(editor.count()))
        assert widest < editor.width() - 36


def test_the_wheel_scrolls_the_form_and_does_not_turn_fields(panel: RunConfigPanel, qtbot: QtBot) -> None:
    for path in ("training.epochs", "data.protocol"):
        editor = panel.row(path).editor
        before = as_editor(editor).text()
        event = QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(editor, event)
        assert as_editor(editor).text() == before


def test_a_list_can_be_emptied(panel: RunConfigPanel, qtbot: QtBot) -> None:
    write(panel, "model.hidden_widths", "", qtbot)
    qtbot.keyClick(panel.row("model.hidden_widths").editor, Qt.Key.Key_Backspace)
    panel.commit_pending()
    assert panel.session.config.model.hidden_widths == ()
    editor = panel.row("model.hidden_widths").editor
    assert isinstance(editor, TextEditor)
    assert (editor.text(), editor.placeholderText()) == ("", "none")


def test_pending_text_is_handed_over_before_training(panel: RunConfigPanel, qtbot: QtBot) -> None:
    write(panel, "model.beta", "2", qtbot)
    assert panel.session.config.model.beta == 1.0
    panel.commit_pending()
    assert panel.session.config.model.beta == 2.0
    assert panel.session.undo_stack.count() == 1


@pytest.mark.parametrize(
    ("kind", "logarithmic", "value", "steps", "wanted"),
    [
        ("integer", True, 64, 1, 128),
        ("integer", True, 64, -1, 32),
        ("integer", True, 1, -1, 1),
        ("number", True, 0.001, 1, 0.002),
        ("number", True, 0.002, 1, 0.005),
        ("number", True, 0.005, 1, 0.01),
        ("number", True, 0.001, -1, 0.0005),
        ("number", True, 0.0, 1, 0.01),
        ("integer", False, 2, 1, 3),
        ("integer", False, 50_000, -1, 49_000),
        ("number", False, 0.0, 1, 0.1),
        ("number", False, 1.0, 1, 1.1),
        ("integer", False, 100, 5, 100),
    ],
)
def test_steps_suit_the_setting(kind: str, logarithmic: bool, value: float, steps: int, wanted: float) -> None:
    item = Setting(
        name="x", label="X", help="", kind=kind, default=1, minimum=0, maximum=100 if steps == 5 else 1e9,  # type: ignore[arg-type]
        logarithmic=logarithmic,
    )  # fmt: skip
    assert stepped(item, value, steps) == pytest.approx(wanted)


def test_stepping_with_the_arrow_keys_is_an_edit(panel: RunConfigPanel, qtbot: QtBot) -> None:
    editor = panel.row("training.batch_size").editor
    before = panel.session.config.training.batch_size
    qtbot.keyClick(editor, Qt.Key.Key_Up)
    assert panel.session.config.training.batch_size == 2 * before
    qtbot.keyClick(editor, Qt.Key.Key_Down)
    assert panel.session.config.training.batch_size == before


@pytest.mark.parametrize("path", ["model.beta_warmup_images", "training.validation_interval_images"])
def test_long_numbers_are_seen_whole_in_a_narrow_form(panel: RunConfigPanel, path: str) -> None:
    panel.resize(panel.minimumWidth(), 900)
    for section in panel._sections:
        section.more.setChecked(True)
    panel.session.edit(path, 10_000_000)
    panel.show()
    QApplication.processEvents()
    field = panel.row(path).editor.lineEdit()  # type: ignore[attr-defined]
    assert field.fontMetrics().horizontalAdvance("10000000") < field.width() - 10
    assert "images" in panel.row(path).label.text()


@pytest.mark.parametrize(("path", "text"), [("training.epochs", "33"), ("model.hidden_widths", "64, 32")])
@pytest.mark.parametrize("redo", ["Ctrl+Y", "Ctrl+Shift+Z"])
def test_undo_in_a_field_is_the_windows_once_its_text_is_handed_over(
    window: MainWindow, qtbot: QtBot, path: str, text: str, redo: str
) -> None:
    form = window.findChild(RunConfigPanel)
    assert form is not None
    window.activateWindow()
    editor = form.row(path).editor
    before = as_editor(editor).text()
    editor.setFocus()
    write(form, path, text, qtbot)
    # Still being typed: the keys take back typing, not an earlier setting.
    count = window.session.undo_stack.index()
    qtbot.keyClick(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.session.undo_stack.index() == count
    write(form, path, text, qtbot)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert window.session.undo_stack.index() == count + 1
    qtbot.keyClick(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.session.undo_stack.index() == count
    assert as_editor(editor).text() == before
    QTest.keySequence(editor, QKeySequence(redo))
    assert as_editor(editor).text() == text
