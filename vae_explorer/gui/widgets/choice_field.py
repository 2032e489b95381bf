"""A combo box for narrow panels that scroll. GUI thread only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

_ARROW_WIDTH = 20


class ChoiceField(QComboBox):
    """A combo box that is as narrow as its place, ends long texts in an ellipsis and lets the panel scroll past it."""

    def __init__(self, name: str, tip: str = "") -> None:
        super().__init__()
        self._arrow_width = 0
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_whole(self, least: int) -> None:
        """From now on as wide as its longest text where there is room, and at least so wide."""
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(least)
        # The arrow has its own place; room for it twice would cost the last letters of a narrow field.
        self.setStyleSheet("QComboBox { padding-right: 2px; }")
        self._arrow_width = _ARROW_WIDTH

    def sizeHint(self) -> QSize:
        """With room for the arrow, where the whole text is wanted."""
        return super().sizeHint() + QSize(self._arrow_width, 0)

    def offer(self, entries: Sequence[tuple[str, Any]], chosen: Any, tips: Sequence[str] = ()) -> None:
        """Show these texts with their data, and which is chosen (None of them: an empty field).

        An open list under the mouse is left alone.
        """
        if self.view().isVisible():
            return
        if [self.itemData(row) for row in range(self.count())] != [data for _, data in entries]:
            self.clear()
            for text, data in entries:
                self.addItem(text, data)
        for row, (text, _) in enumerate(entries):
            if self.itemText(row) != text:
                self.setItemText(row, text)
        for row, tip in enumerate(tips):
            self.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(next((row for row, (_, data) in enumerate(entries) if data == chosen), -1))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a text that is too long for the field with an ellipsis; Qt would cut it through a letter."""
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

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only the field in use turns with the wheel; others let the panel scroll."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()
