"""A line of text that is cut with three dots where the room ends, and said whole in its tool tip."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from vae_explorer.gui.widgets.group_parts import plain_tip


class ElidedLabel(QLabel):
    """Asks for no width of its own, so that a text that changes never moves what stands around it."""

    def __init__(self, *, is_muted: bool = False, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self.whole = ""
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if is_muted:
            self.setProperty("variant", "muted")

    def show_text(self, text: str) -> None:
        """Say this."""
        if text != self.whole:
            self.whole = text
            self.setToolTip(plain_tip(text))
            self.setAccessibleName(text)
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or less of it is to be read."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self.whole, self._mode, self.width()))
