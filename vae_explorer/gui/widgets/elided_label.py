"""A line of text that is cut with three dots where the room ends, and said whole in its tool tip."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from vae_explorer.gui.widgets.group_parts import plain_tip


class ElidedLabel(QLabel):
    """Asks for no width of its own and always for one line's height, so that its text never moves what stands around.

    A plain label without a text is, with some fonts, a pixel lower than one with a text.
    """

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

    def sizeHint(self) -> QSize:
        """The height of a line of text, whether there is one or not."""
        margins = self.contentsMargins()
        line = self.fontMetrics().size(Qt.TextFlag.TextSingleLine, "x").height()
        return QSize(0, line + margins.top() + margins.bottom())

    def minimumSizeHint(self) -> QSize:
        """The same: it is never lower."""
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or less of it is to be read."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self.whole, self._mode, self.width()))
