"""What the sections of the view panel are made of: a heading that folds, a pair of choices, a slider with a zero."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.choice_field import ChoiceField

SLIDER_REACH = 3.0
"""Sliders go from minus this to this, in units of the prior's standard deviation."""

_STEPS_A_UNIT = 100


def wrapped_label(variant: str = "") -> QLabel:
    """A label of plain text that wraps and never asks for more width."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumWidth(1)
    if variant:
        label.setProperty("variant", variant)
    return label


class FoldSection(QWidget):
    """A heading over a body that folds away.

    folded(bool): whether the body is hidden now; not emitted while the section is made.
    """

    folded = Signal(bool)

    def __init__(self, title: str, body: QWidget, *, is_open: bool = True) -> None:
        super().__init__()
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setAccessibleName(title)
        self.header.setCheckable(True)
        self.header.setChecked(is_open)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.header.setStyleSheet(
            "QToolButton { border: none; padding: 4px 0; text-align: left; background: transparent; font-weight: 600; }"
            "QToolButton:focus { text-decoration: underline; }"
        )
        self.body = body
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.header)
        column.addWidget(body)
        self.header.toggled.connect(self._fold)
        self._show_fold(is_open)

    @property
    def is_open(self) -> bool:
        """Whether the body is unfolded."""
        return self.header.isChecked()

    def _show_fold(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        self.header.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)

    @Slot(bool)
    def _fold(self, is_open: bool) -> None:
        self._show_fold(is_open)
        self.folded.emit(not is_open)


class PairField(QWidget):
    """Two labelled fields of which each takes what the other has by changing places with it."""

    def __init__(self, labels: tuple[str, str], names: tuple[str, str], tip: str) -> None:
        super().__init__()
        self.fields = (ChoiceField(names[0], tip), ChoiceField(names[1], tip))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, (text, field) in enumerate(zip(labels, self.fields, strict=True)):
            label = QLabel(text)
            label.setBuddy(field)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)

    def chosen(self, moved: int, before: tuple[Any, Any]) -> tuple[Any, Any]:
        """What the fields say after field `moved` was changed: the same twice moves the other one."""
        first, second = self.fields[0].currentData(), self.fields[1].currentData()
        if first == second:
            other = before[moved]
            return (first, other) if moved == 0 else (other, second)
        return first, second


class ZeroSlider(QSlider):
    """A slider from -3 to 3 that goes back to 0 by a double click or the Delete key.

    moved(float): a person moved it. A value beyond its ends leaves the knob at the end and is not changed by that.
    """

    moved = Signal(float)

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(round(-SLIDER_REACH * _STEPS_A_UNIT), round(SLIDER_REACH * _STEPS_A_UNIT))
        self.setSingleStep(_STEPS_A_UNIT // 20)
        self.setPageStep(_STEPS_A_UNIT // 2)
        self.setMinimumWidth(48)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.valueChanged.connect(self._tell)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())

    def show_value(self, value: float) -> None:
        """Show a value without telling anybody."""
        was = self.blockSignals(True)
        self.setValue(round(value * _STEPS_A_UNIT))
        self.blockSignals(was)
        self.update()

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        # Nothing is filled from the left: the middle is zero.
        self.setStyleSheet(f"QSlider::sub-page:horizontal {{ background: {colours.pressed}; }}")

    @Slot(int)
    def _tell(self, steps: int) -> None:
        self.moved.emit(steps / _STEPS_A_UNIT)

    def _reset(self) -> None:
        # Also where the knob stands at 0 already: the value behind it may be a rounding away.
        self.show_value(0.0)
        self.moved.emit(0.0)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to 0."""
        del event
        self.setSliderDown(False)
        self._reset()

    def event(self, event: QEvent) -> bool:
        """Delete is this slider's before it is a shortcut of the window."""
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and _is_delete(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete goes back to 0; arrows go by a twentieth, page keys by a half."""
        if _is_delete(event):
            self._reset()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only the slider in use turns with the wheel; others let the panel scroll."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def minimumSizeHint(self) -> QSize:
        """Narrow panels keep their numbers."""
        return QSize(48, super().minimumSizeHint().height())


def _is_delete(event: QKeyEvent) -> bool:
    return event.key() in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}
