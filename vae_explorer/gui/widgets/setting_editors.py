"""Editors for the kinds of settings; which one a setting gets follows from its metadata alone.

Every editor speaks text: what a person wrote goes through `config.parse_text`, the same door as TOML's and
the command line's values, so that a form can accept nothing that a file could not say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, cast

from PySide6.QtCore import QEvent, Qt, Signal, SignalInstance
from PySide6.QtGui import QKeyEvent, QKeySequence, QPaintEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from vae_explorer.config import Setting, Value, parse_text, text_of
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.errors import SettingError
from vae_explorer.gui.widgets.count_box import TEXT_MARGIN
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.registry import Record

_REGISTRIES = (MODELS, DATASETS, PROTOCOLS)


class SettingEditor(Protocol):
    """What the form asks of an editor, beside being a QWidget.

    changed(): a person changed the content. committed(): the person is done with it (Enter, focus elsewhere,
    a step of the arrows, a choice). left(): Escape, take the old value back. Programs' changes by
    `show_value` emit nothing.
    """

    @property
    def changed(self) -> SignalInstance: ...

    @property
    def committed(self) -> SignalInstance: ...

    @property
    def left(self) -> SignalInstance: ...

    def text(self) -> str:
        """The content as `parse_text` takes it."""

    def show_value(self, value: Value) -> None:
        """Show a value of the configuration."""


def make_editor(setting: Setting) -> QWidget:
    """The editor that suits a setting; it is a QWidget and a SettingEditor."""
    match setting.kind:
        case "integer" | "number":
            return NumberEditor(setting)
        case "choice":
            return ChoiceEditor(setting)
        case "flag":
            return FlagEditor(setting)
        case "text" | "integers":
            return TextEditor(setting)


def as_editor(widget: QWidget) -> SettingEditor:
    """The same object by its other type."""
    return cast("SettingEditor", widget)


def choice_records(setting: Setting) -> dict[str, Record]:
    """The registry records behind a setting's choices; empty where the choices are plain words."""
    for registry in _REGISTRIES:
        if setting.choices and set(setting.choices) <= set(registry.names()):
            return {record.name: cast("Record", record) for record in registry}
    return {}


def stepped(setting: Setting, value: float, steps: int) -> float:
    """The value that many steps up or down, inside the range.

    Logarithmic settings go by doubling (integers) or through 1, 2, 5, 10; others by a tenth of their leading
    digit's place, integers by at least one.
    """
    for _ in range(abs(steps)):
        value = _one_step(setting, value, 1 if steps > 0 else -1)
    low = setting.minimum if setting.minimum is not None else -math.inf
    high = setting.maximum if setting.maximum is not None else math.inf
    return min(max(value, low), high)


def _one_step(setting: Setting, value: float, direction: int) -> float:
    if setting.logarithmic and setting.kind == "integer" and value > 0:
        return value * 2 if direction > 0 else max(value // 2, 1)
    if setting.logarithmic:
        if value <= 0:
            return 0.01 if direction > 0 else value
        return _next_of_1_2_5(value, direction)
    place = 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 0.0
    step = max(1.0, place) if setting.kind == "integer" else (place or 0.1)
    return round((value + direction * step) / step) * step


def _next_of_1_2_5(value: float, direction: int) -> float:
    decade = math.floor(math.log10(value) + 1e-9)
    ladder = [digit * 10.0**power for power in (decade - 1, decade, decade + 1) for digit in (1, 2, 5)]
    if direction > 0:
        found = next(rung for rung in ladder if rung > value * (1 + 1e-6))
    else:
        found = next(rung for rung in reversed(ladder) if rung < value * (1 - 1e-6))
    return float(f"{found:.1g}")


def _is_undo_or_redo(event: QEvent) -> bool:
    """Whether a field is asked if it wants the keys of undo or redo for itself."""
    keys = QKeySequence.StandardKey
    return (
        event.type() == QEvent.Type.ShortcutOverride
        and isinstance(event, QKeyEvent)
        and (event.matches(keys.Undo) or event.matches(keys.Redo))
    )


class NumberEditor(QAbstractSpinBox):
    """An integer or a number, also as 3e-3, with steps that suit it. Out-of-range text stays to be seen and
    mended.
    """

    changed = Signal()
    committed = Signal()
    left = Signal()

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self._shown_text = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.lineEdit().setTextMargins(TEXT_MARGIN, 0, 0, 0)
        self.lineEdit().textEdited.connect(self.changed)
        self.editingFinished.connect(self.committed)

    def text(self) -> str:
        """The content of the field."""
        return self.lineEdit().text()

    def show_value(self, value: Value) -> None:
        """Show a number."""
        self._shown_text = text_of(self._setting, value)
        self.lineEdit().setText(self._shown_text)

    def event(self, event: QEvent) -> bool:
        """Undo and redo are the window's, unless there is typing of this field's own to take back."""
        if _is_undo_or_redo(event) and self.text() == self._shown_text:
            event.ignore()
            return False
        return super().event(event)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Everything may be typed; the form says below the field what is wrong with it."""
        return QValidator.State.Acceptable, text, position

    def stepBy(self, steps: int) -> None:
        """A step from the nearest number that the field can mean."""
        try:
            value = float(self.text())
        except ValueError:
            value = float(cast("float", self._setting.default))
        moved = stepped(self._setting, value, steps) if math.isfinite(value) else self._setting.default
        number: Value = int(cast("float", moved)) if self._setting.kind == "integer" else moved
        self.show_value(number)
        self.changed.emit()
        self.committed.emit()

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Up until the maximum, down until the minimum."""
        flag = QAbstractSpinBox.StepEnabledFlag
        try:
            value = float(self.text())
        except ValueError:
            return flag.StepUpEnabled | flag.StepDownEnabled
        up = self._setting.maximum is None or value < self._setting.maximum
        down = self._setting.minimum is None or value > self._setting.minimum
        return (flag.StepUpEnabled if up else flag.StepNone) | (flag.StepDownEnabled if down else flag.StepNone)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only the field in use turns with the wheel; others let the form scroll."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape takes the old value back."""
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class TextEditor(QLineEdit):
    """Plain text, or a list of whole numbers such as `512, 256, 128`."""

    changed = Signal()
    committed = Signal()
    left = Signal()

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self._shown_text = ""
        if setting.kind == "integers":
            self.setPlaceholderText("none")
        self.textEdited.connect(self.changed)
        self.editingFinished.connect(self.committed)

    def show_value(self, value: Value) -> None:
        """Show text or a list."""
        self._shown_text = text_of(self._setting, value)
        self.setText(self._shown_text)

    def event(self, event: QEvent) -> bool:
        """Undo and redo are the window's, unless there is typing of this field's own to take back."""
        if _is_undo_or_redo(event) and self.text() == self._shown_text:
            event.ignore()
            return False
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape takes the old value back."""
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class ChoiceEditor(QComboBox):
    """One of a few names, shown by their records' titles with the summaries as tool tips."""

    changed = Signal()
    committed = Signal()
    left = Signal()

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        records = choice_records(setting)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # Long titles must not widen the whole form.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        for name in setting.choices:
            record = records.get(name)
            self.addItem(record.title if record else name.replace("_", " "), name)
            if record:
                self.setItemData(self.count() - 1, record.summary, Qt.ItemDataRole.ToolTipRole)
        self.activated.connect(self._person_chose)

    def _person_chose(self) -> None:
        self.changed.emit()
        self.committed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a title that is too long for the field with an ellipsis; Qt would cut it through a letter."""
        del event
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        inside = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, inside.width() - 6
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def text(self) -> str:
        """The name chosen."""
        return str(self.currentData())

    def show_value(self, value: Value) -> None:
        """Show a name."""
        self.setCurrentIndex(self.findData(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only the field in use turns with the wheel; others let the form scroll."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class FlagEditor(QCheckBox):
    """On or off."""

    changed = Signal()
    committed = Signal()
    left = Signal()

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        del setting
        self.clicked.connect(self._person_clicked)

    def _person_clicked(self) -> None:
        self.changed.emit()
        self.committed.emit()

    def text(self) -> str:
        """`true` or `false`."""
        return "true" if self.isChecked() else "false"

    def show_value(self, value: Value) -> None:
        """Show on or off."""
        self.setChecked(bool(value))


def parsed(setting: Setting, editor: SettingEditor) -> Value:
    """The value in the editor; raises SettingError in the words of the form, which shows labels
    and not keys.
    """
    text = editor.text()
    if not text.strip() and setting.kind not in {"text", "integers"}:
        raise SettingError(setting.name, f"{setting.label} is empty.", _wanted(setting))
    return parse_text(setting, text, setting.label)


def _wanted(setting: Setting) -> str:
    what = {"integer": "a whole number", "number": "a number", "integers": "whole numbers, such as 512, 256"}
    wanted = what.get(setting.kind, "a value")
    return f"Write {wanted}{', ' + setting.range_text if setting.range_text else ''}."
