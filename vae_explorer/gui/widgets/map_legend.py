"""How to read a layer: swatches with names, or a ramp with ticks and its unit; outside the plot, hiding no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.map_ink import layer_ink, role_colour

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import Gauge, Legend

_SWATCH = 9.0
_GAP = 5.0
_BETWEEN = 12.0
_RAMP_HEIGHT = 8.0
_RAMP_WIDTH = 240.0
_WRAP = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in its box, muted or not, with a swatch of a role before it where there is one."""

    box: QRectF
    text: str
    is_muted: bool = False
    role: str = ""


class MapLegend(QWidget):
    """A title with the unit, a ramp where there is one, and swatches flowing over as many lines as they need."""

    def __init__(self, parent: QWidget | None = None, *, has_title: bool = False, least_lines: int = 0) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._legend: Legend | None = None
        self._has_title = has_title
        self._least_lines = least_lines
        self._texts: list[_Text] = []
        self._ramp = QRectF()
        self._gauge = QRectF()
        theme.notifier().changed.connect(self._repaint)

    def show_legend(self, legend: Legend | None) -> None:
        """Show how to read this; None hides the legend."""
        if legend == self._legend:
            return
        self._legend = legend
        self.setAccessibleDescription("" if legend is None else _in_words(legend))
        self.setToolTip("" if legend is None else _in_words(legend))
        self._lay_out()
        self.update()

    @property
    def legend(self) -> Legend | None:
        """What is shown."""
        return self._legend

    def paintEvent(self, event: QPaintEvent) -> None:
        """The legend."""
        del event
        self.paint_into(QPainter(self))

    def paint_into(self, painter: QPainter) -> None:
        """Title, ramp, swatches, on any paint device."""
        legend, colours = self._legend, theme.current()
        if legend is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if legend.ramp:
            ink = layer_ink(colours)
            ramp = ink.ramp_256 if legend.ramp == "sequential" else ink.diverging_256
            painter.drawImage(self._ramp, QImage(ramp.tobytes(), 256, 1, 1024, QImage.Format.Format_RGB32))
        if legend.gauge is not None:
            self._paint_gauge(painter, legend.gauge)
        for text in self._texts:
            if text.role:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(role_colour(text.role, colours))
                middle = (self._metrics().height() + 2 - _SWATCH) / 2
                swatch = QRectF(text.box.left() - _SWATCH - _GAP, text.box.top() + middle, _SWATCH, _SWATCH)
                painter.drawEllipse(swatch)
            painter.setPen(QColor(colours.muted if text.is_muted else colours.text))
            painter.drawText(text.box, int(_WRAP), text.text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow legend needs more lines."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._lay_out()

    def sizeHint(self) -> QSize:
        """What it needs at its width."""
        return QSize(200, self.maximumHeight() if self._legend is not None else 0)

    def _metrics(self) -> QFontMetrics:
        return self.fontMetrics()

    def _lay_out(self) -> None:
        self._texts = []
        legend = self._legend
        if legend is None:
            self.setFixedHeight(self._least_lines * (self._metrics().height() + 2))
            return
        width, line, top = max(self.width(), 40), self._metrics().height() + 2, 0.0
        if legend.title and (self._has_title or legend.ramp):
            top = self._add(_Text(QRectF(0, top, width, 0), _title(legend), is_muted=True))
        if legend.ramp:
            self._ramp = QRectF(0, top + 2, min(_RAMP_WIDTH, width - 2.0), _RAMP_HEIGHT)
            top = self._add_ticks(legend, top + _RAMP_HEIGHT + 3, width, line)
        left = 0.0
        for role, name in legend.entries:
            needed = _SWATCH + _GAP + self._metrics().horizontalAdvance(name) + 4
            if left > 0 and left + needed > width:
                left, top = 0.0, top + line
            box = QRectF(left + _SWATCH + _GAP, top, min(needed, width - left) - _SWATCH - _GAP, 0)
            bottom = self._add(_Text(box, name, role=role))
            left += needed + _BETWEEN
            if bottom > top + line + 1:
                left, top = 0.0, bottom
        if left > 0:
            top += line
        if legend.gauge is not None:
            top = self._add_gauge(legend.gauge, top + 2, width)
        self.setFixedHeight(max(round(top + 1), self._least_lines * line))

    def _add_ticks(self, legend: Legend, top: float, width: float, line: int) -> float:
        """Each tick under its place on the ramp; one that finds no room goes a line down."""
        ends: list[float] = []
        for part, text in sorted(legend.ticks):
            wide = self._metrics().horizontalAdvance(text) + 2.0
            left = min(max(part * self._ramp.width() - wide / 2, 0.0), max(width - wide, 0.0))
            row = next((row for row, end in enumerate(ends) if left > end), len(ends))
            ends[row : row + 1] = [left + wide + 4]
            self._texts.append(_Text(QRectF(left, top + row * line, min(wide, width), line), text))
        return top + max(len(ends), 1) * line

    def _add_gauge(self, gauge: Gauge, top: float, width: float) -> float:
        """A bar of the parts to scale, the mark as a line through it, and a swatch with the value of each."""
        self._gauge = QRectF(0, top + 2, min(_RAMP_WIDTH, width - 2.0), _RAMP_HEIGHT)
        top = self._gauge.bottom() + 4
        for role, value, name in gauge.parts:
            text = f"{name} {value:.2f} {gauge.unit}"
            top = self._add(_Text(QRectF(_SWATCH + _GAP, top, width - _SWATCH - _GAP, 0), text, role=role))
        if gauge.mark is not None:
            text = f"line: {gauge.mark[1]} = {gauge.mark[0]:.2f} {gauge.unit}"
            top = self._add(_Text(QRectF(_SWATCH + _GAP, top, width - _SWATCH - _GAP, 0), text, role="text"))
        return top

    def _paint_gauge(self, painter: QPainter, gauge: Gauge) -> None:
        colours, box = theme.current(), self._gauge
        total = sum(max(value, 0.0) for _, value, _ in gauge.parts)
        largest = max(total, gauge.mark[0] if gauge.mark is not None else 0.0)
        if not largest > 0.0:
            return
        unit = box.width() / (1.04 * largest)
        left = box.left()
        painter.setPen(Qt.PenStyle.NoPen)
        for role, value, _ in gauge.parts:
            painter.setBrush(role_colour(role, colours))
            painter.drawRect(QRectF(left, box.top(), max(value, 0.0) * unit, box.height()))
            left += max(value, 0.0) * unit
        if gauge.mark is not None:
            painter.setBrush(QColor(colours.text))
            painter.drawRect(QRectF(box.left() + gauge.mark[0] * unit - 1, box.top() - 3, 2, box.height() + 6))

    def _add(self, text: _Text) -> float:
        """Put a text where it belongs, as high as it needs; its bottom."""
        bound = self._metrics().boundingRect(0, 0, max(round(text.box.width()), 10), 1000, int(_WRAP), text.text)
        text.box.setHeight(bound.height() + 2)
        self._texts.append(text)
        return text.box.bottom()

    @Slot()
    def _repaint(self) -> None:
        self.update()


def _title(legend: Legend) -> str:
    return f"{legend.title} ({legend.unit})" if legend.unit else legend.title


def _in_words(legend: Legend) -> str:
    parts = [_title(legend)] if legend.title else []
    if legend.ticks:
        parts.append("from " + " over ".join(text for _, text in sorted(legend.ticks)))
    parts.extend(name for _, name in legend.entries)
    if legend.gauge is not None:
        parts.extend(f"{name} {value:.2f} {legend.gauge.unit}" for _, value, name in legend.gauge.parts)
    return ", ".join(parts)
