"""What the sections of the view panel are made of: a heading that folds, a pair of choices."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui.widgets.choice_field import ChoiceField


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
