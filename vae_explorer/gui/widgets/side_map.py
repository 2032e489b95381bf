"""The map of one of two runs: painted like the large map, with the item that is looked at ringed.

The mouse looks, a click pins, a drag pans, the wheel zooms, a double click fits; every gesture has a key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_surface import MapSurface

REACH = 7.0
"""How near, in logical pixels, the mouse must be to a code to mean its item."""

_PIXELS_A_KEY, _LARGE_STEP = 6.0, 5.0
_ZOOM_STEP = 1.25
_RING, _ARROW = 6.5, 9.0
_ARROWS: Final = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
_KEYS: Final = frozenset(
    {
        *_ARROWS, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape, Qt.Key.Key_F, Qt.Key.Key_Plus,
        Qt.Key.Key_Equal, Qt.Key.Key_Minus,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the code of the item that is looked at stands, and whether it is pinned."""

    x: float
    y: float
    is_pinned: bool


class SideMap(MapSurface):
    """Turns mouse and keys into places of the map.

    hovered(x, y); left(); picked(x, y): a click or Enter; cleared(): Escape; taken_over(): panned or zoomed by hand;
    fit_requested().
    """

    hovered = Signal(float, float)
    left = Signal()
    picked = Signal(float, float)
    cleared = Signal()
    taken_over = Signal()
    fit_requested = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"beside.map_{name}")
        self.setAccessibleName(f"Map of {name}")
        self.setToolTip("")
        self.setMinimumSize(84, 64)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.mark: Mark | None = None
        self._cross: QPointF | None = None
        self._pressed_at: QPointF | None = None
        self._panned_from: QPointF | None = None
        self.describe("")

    @property
    def reach(self) -> float:
        """As `REACH`, in map units."""
        return REACH / self.frame.scale

    def show_mark(self, mark: Mark | None) -> None:
        """Ring this place; where it is out of sight, an arrow at the edge points to it."""
        if mark != self.mark:
            self.mark = mark
            self.update()

    def describe(self, text: str) -> None:
        """What is looked at, for those who do not see it, before what the keys do."""
        keys = "Arrow keys move a cross, Enter pins the image there, Escape lets it go, plus and minus zoom, F fits."
        self.setAccessibleDescription(f"{text}. {keys}" if text else keys)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The map, the ring, and the keyboard's cross."""
        super().paintEvent(event)
        if self.note:
            return
        colours, painter = theme.current(), QPainter(self)
        painter.translate(self.plot.topLeft())
        painter.setClipRect(QRectF(0, 0, self.frame.width, self.frame.height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.mark is not None:
            self._paint_mark(painter, colours, self.mark)
        if self._cross is not None and self.hasFocus():
            x, y = self._cross.x(), self._cross.y()
            for ink, width in ((colours.panel, 3.0), (colours.text, 1.0)):
                painter.setPen(QPen(QColor(ink), width))
                painter.drawLine(QPointF(x - 7, y), QPointF(x + 7, y))
                painter.drawLine(QPointF(x, y - 7), QPointF(x, y + 7))

    def _paint_mark(self, painter: QPainter, colours: theme.Theme, mark: Mark) -> None:
        at = QPointF(*self.frame.to_screen(mark.x, mark.y))
        ink = QColor(colours.accent if mark.is_pinned else colours.text)
        inside = QRectF(0, 0, self.frame.width, self.frame.height)
        if inside.contains(at):
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for colour, width in ((QColor(colours.panel), 5.0), (ink, 2.4)):
                painter.setPen(QPen(colour, width))
                painter.drawEllipse(at, _RING, _RING)
            return
        edge = QPointF(
            min(max(at.x(), _ARROW), inside.width() - _ARROW), min(max(at.y(), _ARROW), inside.height() - _ARROW)
        )  # fmt: skip
        angle = math.atan2(at.y() - edge.y(), at.x() - edge.x())
        corners = [
            edge + QPointF(math.cos(angle + turn), math.sin(angle + turn)) * size
            for turn, size in ((0.0, _ARROW - 1), (2.5, _ARROW - 1), (-2.5, _ARROW - 1))
        ]
        painter.setPen(QPen(QColor(colours.panel), 1.5))
        painter.setBrush(ink)
        painter.drawPolygon(QPolygonF(corners))

    # --- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begins a click or a drag."""
        if not self.note and self._is_inside(event.position()):
            self._pressed_at = self._panned_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Look at the place under the mouse, or pan."""
        position = event.position()
        if self.note:
            return
        if self._panned_from is not None and self._pressed_at is not None:
            if self._is_dragged(position) or self._panned_from != self._pressed_at:
                step, self._panned_from = position - self._panned_from, position
                self.setCursor(Qt.CursorShape.ClosedHandCursor)
                self._take_over(self.frame.panned(step.x(), step.y()))
        elif self._is_inside(position):
            self._cross = None
            self.hovered.emit(*self._place_at(position))
        else:
            self.left.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click, unless it was a drag."""
        pressed, self._pressed_at, panned = self._pressed_at, None, self._panned_from
        self._panned_from = None
        self.setCursor(Qt.CursorShape.CrossCursor)
        is_click = pressed is not None and pressed == panned and not self._is_dragged(event.position())
        if is_click and event.button() is Qt.MouseButton.LeftButton:
            self.picked.emit(*self._place_at(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Everything in sight again."""
        if not self.note and event.button() is Qt.MouseButton.LeftButton:
            self.fit_requested.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zooms with the place under the mouse staying there."""
        turn = event.angleDelta().y() or event.angleDelta().x()
        if turn and not self.note:
            at = event.position() - QPointF(self.plot.topLeft())
            self._take_over(self.frame.zoomed(1.0015**turn, at.x(), at.y()))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """Look at nothing here."""
        super().leaveEvent(event)
        self.left.emit()

    # --- keyboard

    def event(self, event: QEvent) -> bool:
        """Its keys are the map's before they are shortcuts of the window."""
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._means_map(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move a cross, Enter pins the item there, Escape lets it go."""
        key = Qt.Key(event.key())
        if self.note or not self._means_map(event):
            super().keyPressEvent(event)
        elif key in _ARROWS:
            is_large = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._move_cross(QPointF(*_ARROWS[key]) * _PIXELS_A_KEY * (_LARGE_STEP if is_large else 1.0))
        elif key == Qt.Key.Key_Escape:
            self._cross = None
            self.update()
            self.cleared.emit()
        elif key == Qt.Key.Key_F:
            self.fit_requested.emit()
        elif key in {Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus}:
            factor = 1 / _ZOOM_STEP if key == Qt.Key.Key_Minus else _ZOOM_STEP
            at = self._cross or QPointF(self.frame.width / 2, self.frame.height / 2)
            self._take_over(self.frame.zoomed(factor, at.x(), at.y()))
        elif self._cross is not None:
            self.picked.emit(*self.frame.to_map(self._cross.x(), self._cross.y()))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The focus ring is painted by hand."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The cross is the keyboard's."""
        super().focusOutEvent(event)
        self.update()
        if self._cross is not None:
            self.left.emit()

    def _means_map(self, event: QKeyEvent) -> bool:
        held = event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
        return held == Qt.KeyboardModifier.NoModifier and Qt.Key(event.key()) in _KEYS

    def _move_cross(self, step: QPointF) -> None:
        start = self._cross
        if start is None and self.mark is not None:
            start = QPointF(*self.frame.to_screen(self.mark.x, self.mark.y))
        moved = (start or QPointF(self.frame.width / 2, self.frame.height / 2)) + step
        self._cross = QPointF(
            min(max(moved.x(), 0.0), self.frame.width - 1.0), min(max(moved.y(), 0.0), self.frame.height - 1.0)
        )
        self.update()
        self.hovered.emit(*self.frame.to_map(self._cross.x(), self._cross.y()))

    # --- inner workings

    def _is_inside(self, position: QPointF) -> bool:
        return self.plot.contains(position.toPoint())

    def _is_dragged(self, position: QPointF) -> bool:
        if self._pressed_at is None:
            return False
        return (position - self._pressed_at).manhattanLength() >= QApplication.startDragDistance()

    def _place_at(self, position: QPointF) -> tuple[float, float]:
        at = position - QPointF(self.plot.topLeft())
        return self.frame.to_map(at.x(), at.y())

    def _take_over(self, frame: MapFrame) -> None:
        self.taken_over.emit()
        self.set_frame(frame)
