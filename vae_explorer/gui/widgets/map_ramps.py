"""The colour ramps of the layers, small in a corner of the map: what a colour means is said where it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter

from vae_explorer.gui.widgets.map_ink import layer_ink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vae_explorer.gui.theme import Theme
    from vae_explorer.gui.widgets.map_frame import MapFrame
    from vae_explorer.latent.drawing import Legend

_LEAST_WIDTH = 200.0
_HEIGHT = 6.0
_MARGIN = 6.0
_BETWEEN = 12.0
_LEAST_PLOT = 260.0


def paint_ramps(painter: QPainter, frame: MapFrame, colours: Theme, legends: Sequence[Legend]) -> None:
    """Title with unit, ramp, and the values at its ends; the topmost layer highest, as far as there is room.

    All are as wide as the widest of their words, so that neither a unit nor a meaning is cut;
    a title that is longer takes a second line.
    """
    if not legends or min(frame.width, frame.height) < _LEAST_PLOT:
        return
    metrics = QFontMetricsF(painter.font())
    width = min(max(_LEAST_WIDTH, *(_wanted_width(legend, metrics) for legend in legends)), 0.9 * frame.width)
    bottom = frame.height - _MARGIN
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    for legend in legends:
        lines = _title_lines(legend, width, metrics)
        num_lines = len(lines) + bool(legend.ticks)
        height = num_lines * metrics.height() + _HEIGHT + 2 * _MARGIN + 2
        if bottom - height < frame.height / 4:
            break
        box = QRectF(frame.width - width - 3 * _MARGIN, bottom - height, width + 2 * _MARGIN, height)
        _paint_ramp(painter, colours, legend, lines, box, metrics)
        bottom -= height + 4
    painter.restore()


def _wanted_width(legend: Legend, metrics: QFontMetricsF) -> float:
    ticks = sorted(legend.ticks)
    ends = sum(metrics.horizontalAdvance(text) for _, text in (ticks[:1] + ticks[1:][-1:])) + _BETWEEN
    return max(ends, metrics.horizontalAdvance(legend.title), metrics.horizontalAdvance(f"({legend.unit})"))


def _title_lines(legend: Legend, width: float, metrics: QFontMetricsF) -> list[str]:
    unit = f"({legend.unit})" if legend.unit else ""
    whole = f"{legend.title} {unit}".rstrip()
    lines = [legend.title, unit] if unit and metrics.horizontalAdvance(whole) > width else [whole]
    return [metrics.elidedText(line, Qt.TextElideMode.ElideRight, width) for line in lines]


def _paint_ramp(
    painter: QPainter, colours: Theme, legend: Legend, lines: Sequence[str], box: QRectF, metrics: QFontMetricsF
) -> None:
    ground = QColor(colours.panel)
    ground.setAlpha(225)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(box, 4, 4)
    ink = layer_ink(colours)
    table = ink.ramp_256 if legend.ramp == "sequential" else ink.diverging_256
    left, top, width = box.left() + _MARGIN, box.top() + _MARGIN, box.width() - 2 * _MARGIN
    painter.setPen(QColor(colours.muted))
    for line in lines:
        painter.drawText(QPointF(left, top + metrics.ascent()), line)
        top += metrics.height()
    top += 2
    ramp = QImage(table.tobytes(), 256, 1, 1024, QImage.Format.Format_RGB32)
    painter.drawImage(QRectF(left, top, width, _HEIGHT), ramp)
    ticks = sorted(legend.ticks)
    if not ticks:
        return
    painter.setPen(QColor(colours.text))
    baseline = top + _HEIGHT + metrics.ascent()
    first = metrics.elidedText(ticks[0][1], Qt.TextElideMode.ElideRight, 0.62 * width)
    painter.drawText(QPointF(left, baseline), first)
    if len(ticks) > 1:
        room = width - metrics.horizontalAdvance(first) - 6
        last = metrics.elidedText(ticks[-1][1], Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(left + width - metrics.horizontalAdvance(last), baseline), last)
