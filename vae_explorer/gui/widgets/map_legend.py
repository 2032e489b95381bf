"""The map's legend: a swatch and a name for each class, outside the plot so that it hides no data."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme

_SWATCH = 9.0
_GAP = 5.0
_BETWEEN = 12.0
_MOST_LINES = 3


class MapLegend(QWidget):
    """Swatches and names, flowing over as many lines as they need (at most three)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend of the classes")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._entries: tuple[tuple[str, str], ...] = ()
        theme.notifier().changed.connect(self._repaint)

    def set_classes(self, names: Sequence[str]) -> None:
        """Show these class names in the classes' colours; none hides the legend."""
        self._entries = tuple((name, theme.class_colour(number)) for number, name in enumerate(names))
        self.setAccessibleDescription(", ".join(names))
        self.setToolTip("Colours are " + ", ".join(names) if names else "")
        self._reshape()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """All entries that fit."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line, ascent = self._line_height(), self.fontMetrics().ascent()
        for (name, colour), (x, y) in zip(self._entries, self._places(self.width()), strict=False):
            if y >= _MOST_LINES:
                break
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
            painter.drawEllipse(QRectF(x, y * line + (line - _SWATCH) / 2, _SWATCH, _SWATCH))
            painter.setPen(QColor(theme.current().text))
            painter.drawText(QPointF(x + _SWATCH + _GAP, y * line + (line + ascent) / 2 - 1), name)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow map needs more lines."""
        super().resizeEvent(event)
        self._reshape()

    def sizeHint(self) -> QSize:
        """One line."""
        return QSize(200, self._line_height() if self._entries else 0)

    def _places(self, width: int) -> list[tuple[float, int]]:
        places, x, y = [], 0.0, 0
        for name, _ in self._entries:
            needed = _SWATCH + _GAP + self.fontMetrics().horizontalAdvance(name)
            if x > 0 and x + needed > width:
                x, y = 0.0, y + 1
            places.append((x, y))
            x += needed + _BETWEEN
        return places

    def _line_height(self) -> int:
        return self.fontMetrics().height() + 2

    def _reshape(self) -> None:
        places = self._places(max(self.width(), 1))
        lines = min(places[-1][1] + 1, _MOST_LINES) if places else 0
        self.setFixedHeight(lines * self._line_height())

    @Slot()
    def _repaint(self) -> None:
        self.update()
