"""The rows and the collapsible sections of a form over configuration metadata."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from vae_explorer.config import Setting, Value, text_of
from vae_explorer.errors import SettingError
from vae_explorer.gui import theme
from vae_explorer.gui.widgets.setting_editors import as_editor, choice_records, make_editor, parsed
from vae_explorer.training.run_config import Section

_LABEL_WIDTH = 124  # the same in all sections, so that the fields stand in one column; longer labels wrap
_TIP_CHARACTERS = 64
_DIGITS_BESIDE_UNIT = 4
# Clicking a field must not bring the help line up and move the form under the mouse; tool tips tell the mouse.
_KEYBOARD_REASONS = frozenset(
    {
        Qt.FocusReason.TabFocusReason,
        Qt.FocusReason.BacktabFocusReason,
        Qt.FocusReason.ShortcutFocusReason,
        Qt.FocusReason.OtherFocusReason,
    }
)


class SettingRow(QObject):
    """Label, editor, unit and the message below them, for one setting.

    edited(path, value): a person gave another valid value and is done with it.
    problem_changed(): the row became valid or invalid. entered(): the keyboard came to the row.
    """

    edited = Signal(str, object)
    problem_changed = Signal()
    entered = Signal()

    def __init__(self, path: str, setting: Setting, value: Value, parent: QObject) -> None:
        super().__init__(parent)
        self.path, self.setting = path, setting
        self.value = value
        self.problem: SettingError | None = None
        self._records = choice_records(setting)
        is_long = _has_long_numbers(setting)
        self.label = QLabel(_label_with_unit(setting) if is_long else setting.label)
        self.editor = make_editor(setting)
        self.unit = QLabel(setting.unit) if setting.unit and not is_long else None
        if self.unit is not None:
            self.unit.setProperty("variant", "muted")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setObjectName(f"message.{path}")
        self.message.hide()
        self._message_kind = ""
        self.label.setBuddy(self.editor)
        # Titles of records are too long to stand beside their label in a narrow form.
        self.is_stacked = bool(self._records)
        if not self.is_stacked:
            self.label.setWordWrap(True)
            self.label.setFixedWidth(_LABEL_WIDTH)
        self.editor.setObjectName(f"setting.{path}")
        self.editor.setAccessibleName(f"{setting.label}, {setting.unit}" if setting.unit else setting.label)
        self.editor.setAccessibleDescription(self.help_text())
        self.editor.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.editor.setMinimumWidth(64)
        for widget in self._widgets():
            widget.setToolTip(self._tip())
        self.editor.installEventFilter(self)
        editor = as_editor(self.editor)
        editor.show_value(value)
        editor.changed.connect(self._changed)
        editor.committed.connect(self._committed)
        editor.left.connect(self.revert)

    def _widgets(self) -> list[QWidget]:
        return [self.label, self.editor, *([self.unit] if self.unit is not None else [])]

    def help_text(self) -> str:
        """What the setting does, the formula it stands in, and its range."""
        range_text = self.setting.range_text
        parts = [self.setting.help, self.setting.formula, f"Range: {range_text}." if range_text else ""]
        record = self._records.get(str(self.value))
        if record is not None:
            parts.insert(1, f"{record.title}: {record.summary}")
        if self.setting.live:
            parts.append("Can be changed while training.")
        return "\n".join(part for part in parts if part)

    def _tip(self) -> str:
        return "\n".join(textwrap.fill(line, _TIP_CHARACTERS) for line in self.help_text().splitlines())

    def show_value(self, value: Value, *, force: bool = False) -> None:
        """Follow the configuration. Text under a person's hands that already means this value
        stays as it is.
        """
        if value == self.value and not force:
            return
        self.value = value
        try:
            is_shown = parsed(self.setting, as_editor(self.editor)) == value
        except SettingError:
            is_shown = False
        if not is_shown or not self.editor.hasFocus() or force:
            as_editor(self.editor).show_value(value)
        self._set_problem(None)
        self.say("", "")
        if self._records:
            self.editor.setToolTip(self._tip())

    @Slot()
    def revert(self) -> None:
        """Back to the value of the configuration."""
        self.show_value(self.value, force=True)

    def commit(self) -> None:
        """Hand over what is typed but not yet committed, if it is valid and new."""
        self._committed()

    def say(self, text: str, kind: str) -> None:
        """A sentence below the field; kind is "", "warning" or "error"."""
        self._message_kind = kind
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.recolour()
        self.editor.setAccessibleDescription(f"{text}\n{self.help_text()}" if text else self.help_text())

    def recolour(self) -> None:
        """Take the theme's colours."""
        colours = theme.current()
        colour = colours.error if self._message_kind == "error" else colours.warning
        self.message.setStyleSheet(f"color: {colour};")

    def set_locked(self, locked: bool) -> None:
        """Whether the field can be changed now."""
        for widget in self._widgets():
            widget.setEnabled(not locked)

    def set_visible(self, visible: bool) -> None:
        """Show or hide the whole row."""
        for widget in self._widgets():
            widget.setVisible(visible)
        self.message.setVisible(visible and bool(self.message.text()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell where the keyboard is, for the help at the foot of the form."""
        if isinstance(event, QFocusEvent) and event.gotFocus() and event.reason() in _KEYBOARD_REASONS:
            self.entered.emit()
        return super().eventFilter(watched, event)

    @Slot()
    def _changed(self) -> None:
        """Say at once what is wrong; nothing is handed over before the person is done."""
        self._read()

    @Slot()
    def _committed(self) -> None:
        value = self._read()
        if value is None:
            return
        if value != self.value:
            self.edited.emit(self.path, value)
        if value == self.value:
            # Nobody types any more: show it as a file would have it, 3e-3 as 0.003.
            as_editor(self.editor).show_value(self.value)

    def _read(self) -> Value | None:
        """The value in the field, or None with a message below the field."""
        try:
            value = parsed(self.setting, as_editor(self.editor))
        except SettingError as error:
            self._set_problem(error)
            self.say(error.in_one_line, "error")
            return None
        if self.problem is not None or self._message_kind:
            self.say("", "")
        self._set_problem(None)
        return value

    def _set_problem(self, problem: SettingError | None) -> None:
        had = self.problem is not None
        self.problem = problem
        if had != (problem is not None):
            self.editor.setProperty("invalid", "true" if problem else "false")
            self.editor.style().unpolish(self.editor)
            self.editor.style().polish(self.editor)
            self.problem_changed.emit()


def _has_long_numbers(setting: Setting) -> bool:
    """Whether values can be too long for a field with its unit beside it."""
    return setting.maximum is not None and setting.maximum >= 10**_DIGITS_BESIDE_UNIT


def _label_with_unit(setting: Setting) -> str:
    return setting.label if setting.unit in setting.label else f"{setting.label} ({setting.unit})"


class SettingSection(QWidget):
    """A titled group of rows that folds; its advanced rows fold a second time."""

    def __init__(self, section: Section, values: Mapping[str, Value], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.section = section
        self.rows = [
            SettingRow(f"{section.name}.{item.name}", item, values[f"{section.name}.{item.name}"], self)
            for item in section.settings
        ]
        self._has_basic = any(not row.setting.advanced for row in self.rows)
        self.header = _fold_button(section.title, bold=True)
        self.header.setObjectName(f"section.{section.name}")
        self.header.setChecked(self._has_basic)
        self.header.toggled.connect(self.refold)
        self.more = _fold_button("Advanced", bold=False)
        self.more.setObjectName(f"advanced.{section.name}")
        self.more.toggled.connect(self.refold)
        self._body = QWidget()
        grid = QGridLayout(self._body)
        grid.setContentsMargins(4, 2, 0, 6)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(1, 1)
        line = 0
        for row in sorted(self.rows, key=lambda row: row.setting.advanced):
            if (
                row.setting.advanced
                and self._has_basic
                and grid.itemAtPosition(line, 0) is None
                and self.more.parent() is None
            ):
                grid.addWidget(self.more, line, 0, 1, 3)
                line += 1
            if row.is_stacked:
                grid.addWidget(row.label, line, 0, 1, 3)
                grid.addWidget(row.editor, line + 1, 0, 1, 3)
                grid.addWidget(row.message, line + 2, 0, 1, 3)
                line += 3
                continue
            grid.addWidget(row.label, line, 0)
            grid.addWidget(row.editor, line, 1, 1, 2 if row.unit is None else 1)
            if row.unit is not None:
                grid.addWidget(row.unit, line, 2)
            grid.addWidget(row.message, line + 1, 0, 1, 3)
            line += 2
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self._body)
        if self.more.parent() is None:
            self.more.setParent(self)
            self.more.hide()
        self.refold()

    @Slot()
    def refold(self) -> None:
        """Show what is unfolded. A row with a problem is always shown."""
        self._body.setVisible(self.header.isChecked())
        for row in self.rows:
            row.set_visible(
                not row.setting.advanced or not self._has_basic or self.more.isChecked() or row.problem is not None
            )
        for button in (self.header, self.more):
            button.setArrowType(Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow)

    def reveal(self, row: SettingRow) -> None:
        """Unfold what hides a row."""
        self.header.setChecked(True)
        if row.setting.advanced and self._has_basic:
            self.more.setChecked(True)


def _fold_button(text: str, *, bold: bool) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setCheckable(True)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.setStyleSheet(
        "QToolButton { border: none; padding: 4px 0; text-align: left; background: transparent;"
        + (" font-weight: 600;" if bold else "")
        + " } QToolButton:focus { text-decoration: underline; }"
    )
    return button


def readable(setting: Setting, value: Value) -> str:
    """A value in words for a summary."""
    record = choice_records(setting).get(str(value)) if setting.choices else None
    return record.title if record else text_of(setting, value)
