"""The content of a scroll area that is as high as its texts are in the width in sight."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QScrollArea, QWidget


class FittedContent(QWidget):
    """Neither squeezed, which cuts texts of several lines, nor scrolled too early.

    Labels that wrap ask for a height that fits no width in particular, so the area is asked for the width in sight.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__()
        self._area = area

    def minimumSizeHint(self) -> QSize:
        """The layout's height for that width."""
        layout, room = self.layout(), self._area.maximumViewportSize()
        if layout is None:
            return super().minimumSizeHint()
        least = layout.totalMinimumSize()
        if not layout.hasHeightForWidth():
            return least  # no text that wraps is in sight
        height = layout.totalHeightForWidth(room.width())
        if height > room.height():
            bar = self._area.verticalScrollBar().sizeHint().width()
            height = layout.totalHeightForWidth(room.width() - bar)
        return QSize(least.width(), height)
