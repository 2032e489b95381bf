"""What a person has put on the map: pins, the path with its frames, a lasso being drawn, the image under the mouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPolygonF

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme
    from vae_explorer.gui.widgets.map_frame import MapFrame

Place = tuple[float, float]
_NO_BRUSH = Qt.BrushStyle.NoBrush
_RING = 8.0
_OLD_OPACITY, _OLD_SIZE, _DASH = 0.4, 0.7, 5.0  # of a path whose ends have moved since it was found


@dataclass(frozen=True, slots=True)
class PinMark:
    """A pin at a map point; `is_in_view` is False for one that lies off the plane and is shown where it projects."""

    name: str
    x: float
    y: float
    is_active: bool
    is_in_view: bool


@dataclass(frozen=True, slots=True)
class MapOverlay:
    """All of it, in map points.

    `gesture` is the outline of a lasso or rectangle in progress, `item` the hovered code. `is_curve_old`: the path is
    that of other ends or bends, and the one asked for is still being found.
    """

    pins: tuple[PinMark, ...] = ()
    curve: tuple[Place, ...] = ()
    stops: tuple[Place, ...] = ()
    current_stop: int = -1
    gesture: tuple[Place, ...] = ()
    item: Place | None = None
    is_curve_old: bool = False


def paint_overlay(painter: QPainter, frame: MapFrame, colours: Theme, overlay: MapOverlay, is_line: bool) -> None:
    """Everything a person put on the map, legible on any ground."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setBrush(_NO_BRUSH)
    if overlay.curve:
        _paint_path(painter, frame, colours, overlay)
    if overlay.item is not None:
        at = QPointF(*frame.to_screen(*overlay.item))
        for colour, width in ((QColor(colours.panel), 4.0), (QColor(colours.text), 1.8)):
            painter.setPen(QPen(colour, width))
            painter.drawEllipse(at, 5.0, 5.0)
    for pin in overlay.pins:
        _paint_pin(painter, frame, colours, pin, is_line)
    if len(overlay.gesture) > 1:
        outline = QPolygonF([QPointF(*frame.to_screen(*place)) for place in overlay.gesture])
        ground = QColor(colours.accent)
        ground.setAlpha(40)
        painter.setBrush(ground)
        painter.setPen(QPen(QColor(colours.accent), 1.5, Qt.PenStyle.DashLine))
        painter.drawPolygon(outline)
        painter.setBrush(_NO_BRUSH)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _paint_path(painter: QPainter, frame: MapFrame, colours: Theme, overlay: MapOverlay) -> None:
    is_old = overlay.is_curve_old
    line = QPolygonF([QPointF(*frame.to_screen(*place)) for place in overlay.curve])
    style = Qt.PenStyle.DashLine if is_old else Qt.PenStyle.SolidLine
    painter.save()
    painter.setOpacity(_OLD_OPACITY * painter.opacity() if is_old else painter.opacity())
    for colour, width in ((colours.panel, 3.0 if is_old else 4.5), (colours.accent, 1.5 if is_old else 2.0)):
        pen = QPen(QColor(colour), width, style)
        if is_old:
            # Dashes are measured in widths of the pen: the ground's dashes lie under the line's.
            pen.setDashPattern([_DASH / width, _DASH / width])
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawPolyline(line)
    for number, stop in enumerate(overlay.stops):
        at = QPointF(*frame.to_screen(*stop))
        is_current = number == overlay.current_stop
        radius = (6.0 if is_current else 3.0) * (_OLD_SIZE if is_old else 1.0)
        painter.setPen(QPen(QColor(colours.panel), 1.0))
        painter.setBrush(QColor(colours.text if is_current else colours.accent))
        painter.drawEllipse(at, radius, radius)
    painter.restore()
    painter.setBrush(_NO_BRUSH)


def _paint_pin(painter: QPainter, frame: MapFrame, colours: Theme, pin: PinMark, is_line: bool) -> None:
    """A ring with a dot and a letter: drawn in the ground's colour first, in its own over it."""
    left, top = frame.to_screen(pin.x, pin.y)
    centre = QPointF(left, top)
    ink = QColor(colours.accent if pin.is_active else colours.text)
    dashes = Qt.PenStyle.SolidLine if pin.is_in_view else Qt.PenStyle.DotLine
    painter.setBrush(_NO_BRUSH)
    for colour, width, style in ((QColor(colours.panel), 5.0, Qt.PenStyle.SolidLine), (ink, 2.2, dashes)):
        painter.setPen(QPen(colour, width, style))
        if is_line:
            painter.drawLine(QPointF(left, 0), QPointF(left, frame.height))
        painter.drawEllipse(centre, _RING, _RING)
        if pin.is_active:
            for across, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                near, far = QPointF(across * _RING, down * _RING), QPointF(across * 13, down * 13)
                painter.drawLine(centre + near, centre + far)
    painter.setPen(Qt.PenStyle.NoPen)
    for colour, radius in ((QColor(colours.panel), 3.4), (ink, 2.2)):
        painter.setBrush(colour)
        painter.drawEllipse(centre, radius, radius)
    font = QFont(painter.font())
    font.setBold(True)
    painter.save()
    painter.setFont(font)
    box = QRectF(left + 9, top - 25, painter.fontMetrics().horizontalAdvance(pin.name) + 8, 16)
    painter.setBrush(ink)
    painter.drawRoundedRect(box, 4, 4)
    painter.setPen(QColor(colours.accent_text if pin.is_active else colours.panel))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, pin.name)
    painter.restore()
    painter.setBrush(_NO_BRUSH)
