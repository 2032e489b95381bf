"""A small square to draw on with a soft brush, by mouse, pen or keyboard; who listens sees the drawing grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTabletEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.image_view import to_image

SIDE = 280
"""Side of the sheet in its own pixels, whatever its size on the screen."""

_FIRST_RADIUS = 14.0
_RADII = (4.0, 40.0)
_SOFTNESS = 0.5  # the outer part of the brush over which it fades
_ANNOUNCE_MS = 50
_MOST_UNDONE = 50
_SMALL_STEP, _LARGE_STEP = 4.0, 16.0
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
}  # fmt: skip
_OWN_KEYS = {
    *_ARROWS, Qt.Key.Key_Space, Qt.Key.Key_E, Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight, Qt.Key.Key_Delete,
    Qt.Key.Key_Backspace,
}  # fmt: skip

Float32 = np.ndarray[Any, np.dtype[np.float32]]
UInt8 = np.ndarray[Any, np.dtype[np.uint8]]


class DrawingCanvas(QWidget):
    """A sheet of 280 x 280 pixels, `ink` float32 from 0 (nothing) to 1 (ink).

    changed(): the drawing is another; at most every 50 ms while a stroke goes on, and once at its end.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.ink: Float32 = np.zeros((SIDE, SIDE), dtype=np.float32)
        self.radius = _FIRST_RADIUS
        self.is_erasing = False
        self.is_light_on_dark = True
        self._undone: list[Float32] = []
        self._last: tuple[float, float, float] | None = None
        self._erases_now = False
        self._crosshair: tuple[float, float] | None = None
        self._hover: QPointF | None = None
        self._backdrop: QImage | None = None
        self._image: QImage | None = None
        self._has_news = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_ANNOUNCE_MS)
        self._timer.timeout.connect(self._announce_rest)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMinimumSize(112, 112)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Drawing canvas")
        keys = "Arrows move the cross, Space held draws, E erases or draws, [ and ] change the brush, Delete clears"
        self.setAccessibleDescription(f"{keys}, Ctrl+Z takes back a stroke.")
        self.setToolTip(f"Draw with the left button, erase with the right. {keys}, Ctrl+Z takes back a stroke.")
        theme.notifier().changed.connect(self._repaint)

    # --- what others do

    @property
    def is_empty(self) -> bool:
        """Whether there is no ink."""
        return not self.ink.any()

    @property
    def can_undo(self) -> bool:
        """Whether a stroke can be taken back."""
        return bool(self._undone)

    def picture(self) -> UInt8:
        """The drawing as it looks, uint8 (280, 280), a copy."""
        levels = (self.ink * 255 + 0.5).astype(np.uint8)
        return levels if self.is_light_on_dark else 255 - levels

    def show_light_on_dark(self, is_light_on_dark: bool) -> None:
        """Draw as the data look: light ink on a dark sheet, or the reverse."""
        if is_light_on_dark != self.is_light_on_dark:
            self.is_light_on_dark = is_light_on_dark
            self._forget_image()

    def show_backdrop(self, image: QImage | None) -> None:
        """Show a picture in place of the drawing, until a stroke begins a new one."""
        self._backdrop = image
        if image is not None:
            self.ink[:] = 0
            self._undone.clear()
            self._last = None
        self._forget_image()

    def set_radius(self, radius: float) -> None:
        """The brush's radius in pixels of the sheet."""
        self.radius = min(max(radius, _RADII[0]), _RADII[1])
        self.update()

    def set_erasing(self, is_erasing: bool) -> None:
        """Whether the left button and Space take ink away."""
        self.is_erasing = is_erasing
        self.update()

    def clear(self) -> None:
        """An empty sheet; can be undone."""
        self._backdrop = None
        if not self.is_empty:
            self._remember()
            self.ink[:] = 0
        self._forget_image()
        self._announce()

    def undo(self) -> None:
        """Take back the last stroke, or the clearing of the sheet."""
        if self._undone and self._last is None:
            self.ink = self._undone.pop()
            self._forget_image()
            self._announce()

    def begin_stroke(self, x: float, y: float, *, erases: bool = False, pressure: float = 1.0) -> None:
        """Put the brush down, in pixels of the sheet; `pressure` from 0 to 1 scales it."""
        self._backdrop = None
        self._remember()
        self._erases_now = erases
        self._last = None
        self._stamp(x, y, pressure)
        self._announce()

    def go_on(self, x: float, y: float, pressure: float = 1.0) -> None:
        """Draw on to here."""
        if self._last is not None:
            self._stamp(x, y, pressure)
            self._announce()

    def end_stroke(self) -> None:
        """Lift the brush."""
        if self._last is not None:
            self._last = None
            if self._undone and np.array_equal(self._undone[-1], self.ink):
                self._undone.pop()
            self._announce_rest()

    # --- drawing

    def _stamp(self, x: float, y: float, pressure: float) -> None:
        radius = max(self.radius * min(max(pressure, 0.05), 1.0), 1.0)
        start = self._last or (x, y, radius)
        self._last = (x, y, radius)
        reach = max(radius, start[2]) + 1
        left, right = (int(f) for f in (max(min(x, start[0]) - reach, 0), min(max(x, start[0]) + reach + 1, SIDE)))
        top, bottom = (int(f) for f in (max(min(y, start[1]) - reach, 0), min(max(y, start[1]) + reach + 1, SIDE)))
        if left >= right or top >= bottom:
            return
        dab = _soft_line(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5, start, self._last)
        part = self.ink[top:bottom, left:right]
        if self._erases_now:
            np.minimum(part, 1 - dab, out=part)
        else:
            np.maximum(part, dab, out=part)
        self._forget_image()

    def _remember(self) -> None:
        self._undone.append(self.ink.copy())
        del self._undone[:-_MOST_UNDONE]

    def _announce(self) -> None:
        if self._timer.isActive():
            self._has_news = True
            return
        self._timer.start()
        self.changed.emit()

    @Slot()
    def _announce_rest(self) -> None:
        if self._has_news:
            self._has_news = False
            self._timer.start()
            self.changed.emit()

    # --- mouse, pen and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The left button draws, the right one erases."""
        if event.button() not in {Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton}:
            return
        self._crosshair = None
        erases = self.is_erasing or event.button() is Qt.MouseButton.RightButton
        self.begin_stroke(*self._on_sheet(event.position()), erases=erases)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw on, and show the brush."""
        self._hover = event.position()
        if event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.RightButton):
            self.go_on(*self._on_sheet(event.position()))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The stroke ends."""
        self.end_stroke()

    def tabletEvent(self, event: QTabletEvent) -> None:
        """As the mouse, with the brush as wide as the pen is pressed; its other end erases."""
        x, y = self._on_sheet(event.position())
        match event.type():
            case QEvent.Type.TabletPress:
                self._crosshair = None
                is_rubber = event.pointerType() is event.pointerType().Eraser
                self.begin_stroke(x, y, erases=self.is_erasing or is_rubber, pressure=event.pressure())
            case QEvent.Type.TabletMove:
                self.go_on(x, y, event.pressure())
            case QEvent.Type.TabletRelease:
                self.end_stroke()
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """No brush where no mouse is."""
        self._hover = None
        self.update()

    def event(self, event: QEvent) -> bool:
        """Keys the canvas uses are its own while it has the focus: the window's shortcuts wait."""
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._is_own(event):
            event.accept()
            return True
        return super().event(event)

    def _is_own(self, event: QKeyEvent) -> bool:
        if event.matches(QKeySequence.StandardKey.Undo):
            return self.can_undo
        modifiers = event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
        return not modifiers and event.key() in _OWN_KEYS

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Everything the mouse can do."""
        if not self._is_own(event):
            super().keyPressEvent(event)
            return
        key = Qt.Key(event.key())
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
        elif key in _ARROWS:
            step = _LARGE_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else _SMALL_STEP
            x, y = self._crosshair or (SIDE / 2, SIDE / 2)
            x, y = (min(max(at + step * d, 0.0), SIDE) for at, d in zip((x, y), _ARROWS[key], strict=True))
            self._crosshair = (x, y)
            self.go_on(x, y)
        elif key is Qt.Key.Key_Space and not event.isAutoRepeat():
            self._crosshair = self._crosshair or (SIDE / 2, SIDE / 2)
            self.begin_stroke(*self._crosshair, erases=self.is_erasing)
        elif key is Qt.Key.Key_E:
            self.set_erasing(not self.is_erasing)
        elif key in {Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight}:
            self.set_radius(self.radius * (1.25 if key is Qt.Key.Key_BracketRight else 0.8))
        elif key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.clear()
        self.update()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space let go lifts the brush."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.end_stroke()
        else:
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A stroke does not go on without its hand."""
        self.end_stroke()
        self._crosshair = None
        super().focusOutEvent(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The sheet with the drawing or the picture put in, the brush under the mouse, the cross of the keyboard."""
        colours, sheet = theme.current(), self._sheet()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._image is None:
            self._image = to_image(self.picture())
        painter.drawImage(sheet, self._image)
        if self._backdrop is not None:
            size = QSize(self._backdrop.size())
            shown = size.scaled(sheet.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
            corner = sheet.center() - QPointF(shown.width() / 2, shown.height() / 2)
            painter.fillRect(sheet, QColor(colours.raised))
            painter.drawImage(QRectF(corner, shown.toSizeF()), self._backdrop)
        elif self.is_empty and self._crosshair is None:
            painter.setPen(QColor("#8a8f99" if self.is_light_on_dark else "#6b7079"))
            painter.drawText(
                sheet, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, "Draw here,\nor drop a picture"
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_brush(painter, sheet)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QColor(colours.accent if self.hasFocus() else colours.border_strong))
        painter.drawRect(sheet.adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_brush(self, painter: QPainter, sheet: QRectF) -> None:
        place, scale = self._hover, sheet.width() / SIDE
        if self._crosshair is not None:
            x, y = self._crosshair
            place = sheet.topLeft() + QPointF(x, y) * scale
        if place is None or not sheet.contains(place):
            return
        painter.setClipRect(sheet)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        style = Qt.PenStyle.DashLine if self.is_erasing else Qt.PenStyle.SolidLine
        reach = self.radius * scale
        # Two rings, so that one of them shows on any ground.
        for colour, shrink in (("#000000", 0.0), ("#ffffff", 1.0)):
            painter.setPen(QPen(QColor(colour), 1, style))
            painter.drawEllipse(place, reach - shrink, reach - shrink)
        if self._crosshair is not None and self.hasFocus():
            painter.setPen(QColor(theme.current().accent))
            painter.drawLine(place - QPointF(reach + 6, 0), place + QPointF(reach + 6, 0))
            painter.drawLine(place - QPointF(0, reach + 6), place + QPointF(0, reach + 6))

    def sizeHint(self) -> QSize:
        """Half its own pixels."""
        return QSize(SIDE // 2, SIDE // 2)

    def _sheet(self) -> QRectF:
        side = min(self.width(), self.height())
        return QRectF((self.width() - side) // 2, (self.height() - side) // 2, side, side)

    def _on_sheet(self, position: QPointF) -> tuple[float, float]:
        sheet = self._sheet()
        place = (position - sheet.topLeft()) * (SIDE / max(sheet.width(), 1))
        return place.x(), place.y()

    def _forget_image(self) -> None:
        self._image = None
        self.update()

    @Slot()
    def _repaint(self) -> None:
        self.update()


def _soft_line(
    x_W: np.ndarray, y_H: np.ndarray, start: tuple[float, float, float], end: tuple[float, float, float]
) -> Float32:
    """Ink (H, W) from 0 to 1 of a soft round brush moved from (x, y, radius) to (x, y, radius): dabs without gaps."""
    (x0, y0, r0), (x1, y1, r1) = start, end
    squared_length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    dx_HW, dy_HW = np.meshgrid(x_W - x0, y_H - y0)
    along_HW = ((dx_HW * (x1 - x0) + dy_HW * (y1 - y0)) / max(squared_length, 1e-12)).clip(0, 1)
    distance_HW = np.hypot(dx_HW - along_HW * (x1 - x0), dy_HW - along_HW * (y1 - y0))
    radius_HW = r0 + (r1 - r0) * along_HW
    depth_HW = ((radius_HW - distance_HW) / (_SOFTNESS * radius_HW)).clip(0, 1)
    return (depth_HW * depth_HW * (3 - 2 * depth_HW)).astype(np.float32)
