"""The latent map's canvas: the painted surface with mouse and keyboard, in map points.

Left press pins, Shift adds a pin, a drag draws the pin along; a drag on a pin moves that pin, a drag on the path bends
it; Ctrl and a click pick an image. With a selecting tool a drag draws an outline; Shift adds what it holds, Ctrl takes
it away. Middle, right or Space with left drag pans; the wheel zooms at the mouse; a double click centres; a right click
opens the menu. Everything has a key as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_outline import Mode, Outline
from vae_explorer.gui.widgets.map_surface import MapSurface

Tool = Literal["point", "lasso", "rectangle"]
_STEP_PIXELS = 8.0
_LARGE_STEP_PIXELS = 48.0
_ZOOM_STEP = 1.25
_PIN_REACH = 12.0
_CURVE_REACH = 6.0
_CLICK_REACH = 4.0

_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


class MapCanvas(MapSurface):
    """Turns mouse and keys over the map into map points.

    Signals (GUI thread): gesture_began(), a press or a first key: what follows until the next is one step to undo;
    double_clicked(), after the press of its first click;
    taken_over(), the person panned or zoomed; fit_requested(); hovered(x, y, moment) and left(); pin_placed(x, y,
    moment), the active pin; pin_added(x, y, moment); pin_moved(number, x, y, moment); pin_turned(step), another pin
    is to be the active one; pin_removed(); curve_bent(part, x, y), where `part` from 0 to 1 says where on the curve it
    was taken; item_picked(x, y); enclosed(polygon (P, 2), mode) with the mode `replace`, `add` or `subtract`;
    escaped(); menu_requested(QPoint on the screen, x, y); tool_changed(tool). `moment` is `time.perf_counter()` of the
    event.
    """

    gesture_began = Signal()
    double_clicked = Signal()
    taken_over = Signal()
    fit_requested = Signal()
    hovered = Signal(float, float, float)
    left = Signal()
    pin_placed = Signal(float, float, float)
    pin_added = Signal(float, float, float)
    pin_moved = Signal(int, float, float, float)
    pin_turned = Signal(int)
    pin_removed = Signal()
    curve_bent = Signal(float, float, float)
    item_picked = Signal(float, float)
    enclosed = Signal(object, str)
    escaped = Signal()
    menu_requested = Signal(QPoint, float, float)
    tool_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("map_canvas")
        self.setAccessibleName("Latent map")
        self.setAccessibleDescription(
            "Arrow keys move the pin, with Shift in large steps. A adds a pin, N goes to the next, Delete removes it. "
            "Plus and minus zoom, F fits, L and R select by lasso and rectangle, Escape clears, the menu key opens "
            "the menu."
        )
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.tool: Tool = "point"
        self._pressed_at: QPointF | None = None
        self._panned_from: QPointF | None = None
        self._drag: Callable[[QPointF, float], None] | None = None
        self._outline: Outline | None = None
        self._space_is_down = False
        self._mouse_at: QPointF | None = None
        self._is_dragged = False
        self.frame_changed.connect(self.hover_again)

    def hover_again(self) -> None:
        """What is under the resting mouse is another place now: the plane was moved, or a pin."""
        if self._hover is None or self._mouse_at is None or self._drag is not None or self.note:
            return
        place = self._place_at(self._mouse_at)
        self.hovered.emit(*place, time.perf_counter())
        self._set_hover(place)

    def set_tool(self, tool: Tool) -> None:
        """What a left drag does from now on."""
        if tool != self.tool:
            self.tool = tool
            self._end_outline()
            self._show_cursor()
            self.tool_changed.emit(tool)

    # --- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left pins, grabs or begins an outline, or pans while Space is held; middle and right pan."""
        moment = time.perf_counter()
        position = event.position()
        if self.note or not self.plot.contains(position.toPoint()):
            return
        is_left = event.button() == Qt.MouseButton.LeftButton
        self._pressed_at, self._is_dragged = position, False
        if is_left and not self._space_is_down:
            self.gesture_began.emit()
            self._press(position, event.modifiers(), moment)
        elif is_left or event.button() in (Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton):
            self._panned_from = position
            self._set_hover(None)

    def _press(self, position: QPointF, held: Qt.KeyboardModifier, moment: float) -> None:
        self._set_hover(None)
        x, y = self._place_at(position)
        if self.tool != "point":
            mode: Mode = "add" if held & _SHIFT else "subtract" if held & _CONTROL else "replace"
            self._outline = Outline(self.tool == "rectangle", mode)
            self._outline.reach((x, y))
            self._drag = self._draw_outline
            return
        if held & _CONTROL:
            self.item_picked.emit(x, y)
            return
        grabbed = self._pin_at(position)
        part = None if grabbed is not None else self._curve_at(position)
        if held & _SHIFT:
            self.pin_added.emit(x, y, moment)
            self._drag = self._place_pin
        elif grabbed is not None:
            self.pin_moved.emit(grabbed, self.overlay.pins[grabbed].x, self.overlay.pins[grabbed].y, moment)
            self._drag = lambda at, when: self.pin_moved.emit(grabbed, *self._place_at(at), when)
        elif part is not None:
            self._drag = lambda at, _when: self.curve_bent.emit(part, *self._place_at(at))
        else:
            self.pin_placed.emit(x, y, moment)
            self._drag = self._place_pin

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Hover, go on with a drag, or pan."""
        moment = time.perf_counter()
        if self.note:
            return
        position = event.position()
        if self._panned_from is not None:
            if self._has_moved(position) or self._panned_from != self._pressed_at:
                step = position - self._panned_from
                self._panned_from = position
                self.setCursor(Qt.CursorShape.ClosedHandCursor)
                self._take_over(self.frame.panned(step.x(), step.y()))
        elif self._drag is not None:
            if not self._is_dragged and self._has_moved(position):
                # From here on the mouse is elsewhere than over what it pressed.
                self._is_dragged = True
                self.left.emit()
            self._drag(position, moment)
        elif self.plot.contains(position.toPoint()):
            self._mouse_at = position
            place = self._place_at(position)
            # Asked for before anything is painted: the decoder starts while this surface is still drawing.
            self.hovered.emit(*place, moment)
            self._set_hover(place)
            self._show_cursor(position)
        elif self._hover is not None:
            self._set_hover(None)
            self.left.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Ends a drag or an outline; a right click that did not pan opens the menu."""
        if event.button() == Qt.MouseButton.LeftButton and self._drag is not None:
            self._drag = None
            if self._outline is not None:
                outline = self._outline
                self._end_outline()
                self.enclosed.emit(outline.polygon_P2, outline.mode)
            if self._is_dragged and self.plot.contains(event.position().toPoint()):
                self._mouse_at = event.position()
                self._set_hover(self._place_at(self._mouse_at))
                self.hover_again()
        elif self._panned_from is not None:
            self._panned_from = None
            self._show_cursor()
            if event.button() == Qt.MouseButton.RightButton and not self._has_moved(event.position()):
                self.menu_requested.emit(event.globalPosition().toPoint(), *self._place_at(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Brings the place into the middle."""
        if (
            not self.note
            and event.button() == Qt.MouseButton.LeftButton
            and self.plot.contains(event.position().toPoint())
        ):
            self.double_clicked.emit()
            self.centre(*self._place_at(event.position()))

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
        """Arrows move the active pin; letters are the tools; Escape clears."""
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
            Qt.Key.Key_A: self.add_pin,
            Qt.Key.Key_N: lambda: self.pin_turned.emit(-1 if event.modifiers() & _SHIFT else 1),
            Qt.Key.Key_Delete: self.pin_removed.emit,
            Qt.Key.Key_Backspace: self.pin_removed.emit,
            Qt.Key.Key_P: lambda: self.set_tool("point"),
            Qt.Key.Key_L: lambda: self.set_tool("lasso"),
            Qt.Key.Key_R: lambda: self.set_tool("rectangle"),
            Qt.Key.Key_Menu: self._open_menu_by_key,
        }
        if not event.isAutoRepeat():
            self.gesture_began.emit()
        held = event.modifiers() & ~(_SHIFT | Qt.KeyboardModifier.KeypadModifier)
        if held != Qt.KeyboardModifier.NoModifier:
            super().keyPressEvent(event)
        elif key in _ARROWS:
            self._nudge(*_ARROWS[key], bool(event.modifiers() & _SHIFT), moment)
        elif key in commands:
            commands[key]()
        elif key == Qt.Key.Key_Space:
            self._space_is_down = True
            self._show_cursor()
        elif key == Qt.Key.Key_Escape:
            self._escape()
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
        """Magnify around the active pin if it is in sight, else around the middle."""
        left, top = self.frame.width / 2, self.frame.height / 2
        pin = self._active_pin()
        if pin is not None:
            pin_left, pin_top = self.frame.to_screen(*pin)
            if 0 <= pin_left <= self.frame.width and 0 <= pin_top <= self.frame.height:
                left, top = pin_left, pin_top
        self._take_over(self.frame.zoomed(factor, left, top))

    def add_pin(self) -> None:
        """One pin more: where the mouse is, else beside the active pin, else in the middle."""
        self.gesture_began.emit()
        self.pin_added.emit(*self._place_for_new_pin(), time.perf_counter())

    def centre(self, x: float, y: float) -> None:
        """Bring a map point into the middle; on a line, where height means nothing, across alone."""
        self.taken_over.emit()
        self.glide_to(self.frame.centred(x, y if self.axis_labels[1] else self.frame.y))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The focus ring is painted by hand."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A key released elsewhere is not heard here."""
        self._space_is_down = False
        super().focusOutEvent(event)
        self.update()

    # --- gestures

    def _place_pin(self, position: QPointF, moment: float) -> None:
        self.pin_placed.emit(*self._place_at(position), moment)

    def _draw_outline(self, position: QPointF, _moment: float) -> None:
        if self._outline is not None:
            self._outline.reach(self._place_at(position))
            self.set_overlay(gesture=self._outline.corners)

    def _end_outline(self) -> None:
        self._outline = self._drag = None
        self.set_overlay(gesture=())

    def _escape(self) -> None:
        if self._outline is not None:
            self._end_outline()
        elif self.tool != "point":
            self.set_tool("point")
        else:
            self.escaped.emit()

    def _nudge(self, right: int, up: int, is_large: bool, moment: float) -> None:
        step = (_LARGE_STEP_PIXELS if is_large else _STEP_PIXELS) / self.frame.scale
        pin = self._active_pin()
        x, y = pin if pin is not None else (self.frame.x, self.frame.y)
        if pin is not None:
            x, y = x + right * step, y + up * step
        rect = self.frame.rect
        beyond_x = min(x - rect.left, 0.0) + max(x - rect.right, 0.0)
        beyond_y = min(y - rect.bottom, 0.0) + max(y - rect.top, 0.0)
        if beyond_x or beyond_y:
            self._take_over(self.frame.centred(self.frame.x + beyond_x, self.frame.y + beyond_y))
        self.pin_placed.emit(x, y, moment)

    def _open_menu_by_key(self) -> None:
        x, y = self._active_pin() or (self.frame.x, self.frame.y)
        left, top = self.frame.to_screen(x, y)
        corner = self.plot.topLeft()
        self.menu_requested.emit(self.mapToGlobal(QPoint(round(left), round(top)) + corner), x, y)

    def _take_over(self, frame: MapFrame) -> None:
        self.taken_over.emit()
        self.set_frame(frame)

    # --- what lies where

    def _active_pin(self) -> tuple[float, float] | None:
        return next(((pin.x, pin.y) for pin in self.overlay.pins if pin.is_active), None)

    def _place_for_new_pin(self) -> tuple[float, float]:
        pin = self._active_pin()
        if self._hover is not None:
            return self._hover
        return (self.frame.x, self.frame.y) if pin is None else (pin[0] + _LARGE_STEP_PIXELS / self.frame.scale, pin[1])

    def _pin_at(self, position: QPointF) -> int | None:
        """The number of the pin under the mouse, the last one painted first."""
        at = position - QPointF(self.plot.topLeft())
        for number in reversed(range(len(self.overlay.pins))):
            left, top = self.frame.to_screen(self.overlay.pins[number].x, self.overlay.pins[number].y)
            if math.hypot(left - at.x(), top - at.y()) <= _PIN_REACH:
                return number
        return None

    def _curve_at(self, position: QPointF) -> float | None:
        """Where on the path the mouse is, from 0 to 1 by the number of its points; None where it is not on it."""
        if len(self.overlay.curve) < 2:
            return None
        at = position - QPointF(self.plot.topLeft())
        screen_P2 = np.array([self.frame.to_screen(*place) for place in self.overlay.curve])
        distance_P = np.hypot(screen_P2[:, 0] - at.x(), screen_P2[:, 1] - at.y())
        nearest = int(np.nanargmin(distance_P)) if np.isfinite(distance_P).any() else 0
        return nearest / (len(distance_P) - 1) if distance_P[nearest] <= _CURVE_REACH else None

    def _has_moved(self, position: QPointF) -> bool:
        pressed = self._pressed_at
        return pressed is None or (position - pressed).manhattanLength() > _CLICK_REACH

    def _place_at(self, position: QPointF) -> tuple[float, float]:
        corner = self.plot.topLeft()
        return self.frame.to_map(position.x() - corner.x(), position.y() - corner.y())

    def _show_cursor(self, position: QPointF | None = None) -> None:
        shape = Qt.CursorShape.CrossCursor
        if self._space_is_down:
            shape = Qt.CursorShape.OpenHandCursor
        elif (
            position is not None
            and self.tool == "point"
            and (self._pin_at(position) is not None or self._curve_at(position) is not None)
        ):
            shape = Qt.CursorShape.PointingHandCursor
        if self.cursor().shape() != shape:
            self.setCursor(shape)
