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

_WIDTH = 200.0
_HEIGHT = 6.0
_MARGIN = 6.0
_LEAST_PLOT = 260.0


def paint_ramps(painter: QPainter, frame: MapFrame, colours: Theme, legends: Sequence[Legend]) -> None:
    """Title with unit, ramp, and the values at its ends; the topmost layer highest, as far as there is room."""
    if not legends or min(frame.width, frame.height) < _LEAST_PLOT:
        return
    metrics = QFontMetricsF(painter.font())
    height = 2 * metrics.height() + _HEIGHT + 2 * _MARGIN + 2
    bottom = frame.height - _MARGIN
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    for legend in legends:
        if bottom - height < frame.height / 4:
            break
        box = QRectF(frame.width - _WIDTH - 3 * _MARGIN, bottom - height, _WIDTH + 2 * _MARGIN, height)
        _paint_ramp(painter, colours, legend, box, metrics)
        bottom -= height + 4
    painter.restore()


def _paint_ramp(painter: QPainter, colours: Theme, legend: Legend, box: QRectF, metrics: QFontMetricsF) -> None:
    ground = QColor(colours.panel)
    ground.setAlpha(225)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(box, 4, 4)
    ink = layer_ink(colours)
    table = ink.ramp_256 if legend.ramp == "sequential" else ink.diverging_256
    left, top = box.left() + _MARGIN, box.top() + _MARGIN
    title = f"{legend.title} ({legend.unit})" if legend.unit else legend.title
    title = metrics.elidedText(title, Qt.TextElideMode.ElideRight, _WIDTH)
    painter.setPen(QColor(colours.muted))
    painter.drawText(QPointF(left, top + metrics.ascent()), title)
    top += metrics.height() + 2
    ramp = QImage(table.tobytes(), 256, 1, 1024, QImage.Format.Format_RGB32)
    painter.drawImage(QRectF(left, top, _WIDTH, _HEIGHT), ramp)
    ticks = sorted(legend.ticks)
    if not ticks:
        return
    painter.setPen(QColor(colours.text))
    baseline = top + _HEIGHT + metrics.ascent()
    half = metrics.elidedText(ticks[0][1], Qt.TextElideMode.ElideRight, 0.62 * _WIDTH)
    painter.drawText(QPointF(left, baseline), half)
    if len(ticks) > 1:
        room = _WIDTH - metrics.horizontalAdvance(half) - 6
        last = metrics.elidedText(ticks[-1][1], Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(left + _WIDTH - metrics.horizontalAdvance(last), baseline), last)
