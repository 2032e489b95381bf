"""The latent map's canvas: the painted surface with mouse and keyboard, in map points.

Left press pins, a drag draws the pin along; middle, right or Space with left drag pans; the wheel zooms at
the mouse; a double click centres. Arrows move the pin, plus and minus zoom, F fits, Escape removes the pin.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_surface import MapSurface

_STEP_PIXELS = 8.0
_LARGE_STEP_PIXELS = 48.0
_ZOOM_STEP = 1.25

_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


class MapCanvas(MapSurface):
    """Turns mouse and keys over the map into map points.

    Signals (GUI thread): taken_over(), the person panned or zoomed; fit_requested(); hovered(x, y, moment)
    and left(); pin_placed(x, y, continues, moment), where `continues` is true in a drag or a held key and
    `moment` is `time.perf_counter()` of the event; pin_cleared().
    """

    taken_over = Signal()
    fit_requested = Signal()
    hovered = Signal(float, float, float)
    left = Signal()
    pin_placed = Signal(float, float, bool, float)
    pin_cleared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("map_canvas")
        self.setAccessibleName("Latent map")
        self.setAccessibleDescription(
            "Arrow keys move the pin, with Shift in large steps. Plus and minus zoom, F fits, Escape removes the pin."
        )
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._panned_from: QPointF | None = None
        self._is_pinning = False
        self._space_is_down = False

    # --- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left pins, or pans while Space is held; middle and right pan."""
        moment = time.perf_counter()
        if self.note:
            return
        is_left = event.button() == Qt.MouseButton.LeftButton
        if not self.plot.contains(event.position().toPoint()):
            return
        if is_left and not self._space_is_down:
            self._is_pinning = True
            self._pin_at(event.position(), False, moment)
        elif is_left or event.button() in (Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton):
            self._panned_from = event.position()
            self._set_hover(None)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Hover, draw the pin along, or pan."""
        moment = time.perf_counter()
        if self.note:
            return
        position = event.position()
        if self._panned_from is not None:
            step = position - self._panned_from
            self._panned_from = position
            self._take_over(self.frame.panned(step.x(), step.y()))
        elif self._is_pinning:
            self._pin_at(position, True, moment)
        elif self.plot.contains(position.toPoint()):
            place = self._place_at(position)
            # Asked for before anything is painted: the decoder starts while this surface is still drawing.
            self.hovered.emit(*place, moment)
            self._set_hover(place)
        elif self._hover is not None:
            self._set_hover(None)
            self.left.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Ends a drag."""
        if self._is_pinning and event.button() == Qt.MouseButton.LeftButton:
            self._is_pinning = False
        elif self._panned_from is not None:
            self._panned_from = None
            self._show_cursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Brings the place into the middle."""
        if (
            not self.note
            and event.button() == Qt.MouseButton.LeftButton
            and self.plot.contains(event.position().toPoint())
        ):
            self.taken_over.emit()
            self.glide_to(self.frame.centred(*self._place_at(event.position())))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zooms with the place under the mouse staying there."""
        if self.note:
            return
        turn = event.angleDelta().y() or event.angleDelta().x()
        if turn:
            at = event.position() - QPointF(self.plot.topLeft())
            self._take_over(self.frame.zoomed(1.0015**turn, at.x(), at.y()))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """Back to the pin."""
        self._set_hover(None)
        self.left.emit()
        super().leaveEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        """A crosshair shows that places can be picked."""
        self._show_cursor()
        super().enterEvent(event)

    # --- keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the pin; plus, minus and F change what is in sight; Escape removes the pin."""
        moment = time.perf_counter()
        if self.note:
            super().keyPressEvent(event)
            return
        key = Qt.Key(event.key())
        commands: dict[Qt.Key, Callable[[], None]] = {
            Qt.Key.Key_F: self.fit_requested.emit,
            Qt.Key.Key_Plus: lambda: self.zoom(_ZOOM_STEP),
            Qt.Key.Key_Equal: lambda: self.zoom(_ZOOM_STEP),
            Qt.Key.Key_Minus: lambda: self.zoom(1 / _ZOOM_STEP),
        }
        held = event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
        if held != Qt.KeyboardModifier.NoModifier:
            super().keyPressEvent(event)
        elif key in _ARROWS:
            is_large = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._nudge(*_ARROWS[key], is_large, event.isAutoRepeat(), moment)
        elif key in commands:
            commands[key]()
        elif key == Qt.Key.Key_Space:
            self._space_is_down = True
            self._show_cursor()
        elif key == Qt.Key.Key_Escape and self._pin is not None:
            self.pin_cleared.emit()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space no longer pans."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._space_is_down = False
            self._show_cursor()
        else:
            super().keyReleaseEvent(event)

    def zoom(self, factor: float) -> None:
        """Magnify around the pin if it is in sight, else around the middle."""
        left, top = self.frame.width / 2, self.frame.height / 2
        if self._pin is not None:
            pin_left, pin_top = self.frame.to_screen(*self._pin)
            if 0 <= pin_left <= self.frame.width and 0 <= pin_top <= self.frame.height:
                left, top = pin_left, pin_top
        self._take_over(self.frame.zoomed(factor, left, top))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The focus ring is painted by hand."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A key released elsewhere is not heard here."""
        self._space_is_down = False
        super().focusOutEvent(event)
        self.update()

    # --- inner workings

    def _pin_at(self, position: QPointF, continues: bool, moment: float) -> None:
        self._set_hover(None)
        self.pin_placed.emit(*self._place_at(position), continues, moment)

    def _nudge(self, right: int, up: int, is_large: bool, continues: bool, moment: float) -> None:
        step = (_LARGE_STEP_PIXELS if is_large else _STEP_PIXELS) / self.frame.scale
        x, y = self._pin if self._pin is not None else (self.frame.x, self.frame.y)
        if self._pin is not None:
            x, y = x + right * step, y + up * step
        rect = self.frame.rect
        beyond_x = min(x - rect.left, 0.0) + max(x - rect.right, 0.0)
        beyond_y = min(y - rect.bottom, 0.0) + max(y - rect.top, 0.0)
        if beyond_x or beyond_y:
            self._take_over(self.frame.centred(self.frame.x + beyond_x, self.frame.y + beyond_y))
        self.pin_placed.emit(x, y, continues, moment)

    def _take_over(self, frame: MapFrame) -> None:
        self.taken_over.emit()
        self.set_frame(frame)

    def _place_at(self, position: QPointF) -> tuple[float, float]:
        corner = self.plot.topLeft()
        return self.frame.to_map(position.x() - corner.x(), position.y() - corner.y())

    def _show_cursor(self) -> None:
        self.setCursor(Qt.CursorShape.OpenHandCursor if self._space_is_down else Qt.CursorShape.CrossCursor)
