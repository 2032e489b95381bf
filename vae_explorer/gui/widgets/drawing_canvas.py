"""A small square to draw on with a soft brush, by mouse, pen or keyboard, on a picture too; listeners see it grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, QTimer, Signal, Slot
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
from PySide6.QtWidgets import QMenu, QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.drawing_sheet import SIDE, Basis, Float32, Sheet, UInt8, empty_ink, stamp
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, pixels_of, to_image

__all__ = ["SIDE", "DrawingCanvas"]

_FIRST_RADIUS = 14.0
_RADII = (4.0, 40.0)
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


class DrawingCanvas(QWidget):
    """A sheet of 280 x 280 pixels, `ink` float32 from 0 (nothing) to 1 (ink); every change of it can be undone.

    A picture put in covers it, until the first stroke turns it into the ink to draw on.

    changed(): the drawing is another; at most every 50 ms while a stroke goes on, and once at its end.
    undo_changed(bool): whether there is a step to take back.
    """

    changed = Signal()
    undo_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.ink: Float32 = empty_ink()
        self.basis: Basis | None = None
        self.put_in: Any = None
        self.radius = _FIRST_RADIUS
        self.is_erasing = False
        self.is_light_on_dark = True
        self._undone: list[tuple[Sheet, QImage | None]] = []
        self._last: tuple[float, float, float] | None = None
        self._erases_now = False
        self._crosshair: tuple[float, float] | None = None
        self._hover: QPointF | None = None
        self._backdrop: QImage | None = None
        self._ground: tuple[UInt8, bool] | None = None
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
        keys += ", Ctrl+Z takes back a stroke, a picture put in or a clearing."
        self.setAccessibleDescription(keys)
        self.setToolTip(f"Drag to draw, on an opened picture too; Shift+drag, or E and drag, erases. {keys}")
        self.actions_on_picture = ImageActions(self, self._picture_at, is_draggable=False)
        self.actions_on_picture.menu_opening.connect(self._offer)
        theme.notifier().changed.connect(self._repaint)

    # --- what others do

    @property
    def is_empty(self) -> bool:
        """Whether there is neither ink nor a picture."""
        return self.put_in is None and self.basis is None and not self.ink.any()

    @property
    def can_undo(self) -> bool:
        """Whether a stroke can be taken back."""
        return bool(self._undone)

    def picture(self) -> UInt8:
        """The drawing as it looks, a copy: uint8 (280, 280), or on a picture in that one's own pixels and colours."""
        return self._levels(self.ink if self.basis is None else self.basis.reduced(self.ink))

    def show_light_on_dark(self, is_light_on_dark: bool) -> None:
        """Draw as the data look: light ink on a dark sheet, or the reverse."""
        if is_light_on_dark != self.is_light_on_dark:
            self.is_light_on_dark = is_light_on_dark
            self._forget_image()

    def put_picture(self, image: QImage, put_in: object) -> None:
        """Show a picture in place of the drawing; `put_in` stands for it until a stroke or undoing. Can be undone."""
        self._remember()
        self.ink, self.basis = empty_ink(), None
        self.put_in, self._backdrop, self._ground = put_in, image, None
        self._last = None
        self._forget_image()

    def set_ground(self, ground: UInt8, *, was_inverted: bool = False) -> None:
        """What the picture put in becomes when it is drawn on: as the network sees it, uint8 (H, W) or (H, W, 3)."""
        if self.put_in is not None:
            self._ground = (ground, was_inverted)

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
        if not self.is_empty:
            self._remember()
            self._show_sheet(Sheet(empty_ink()), None)
        self._announce()

    def undo(self) -> None:
        """Take back the last stroke, the picture put in or the clearing of the sheet."""
        if self._undone and self._last is None:
            self._show_sheet(*self._undone.pop())
            self.undo_changed.emit(self.can_undo)
            self._announce()

    def begin_stroke(self, x: float, y: float, *, erases: bool = False, pressure: float = 1.0) -> None:
        """Put the brush down, in pixels of the sheet; `pressure` from 0 to 1 scales it.

        A picture that the network has not seen yet is not drawn on.
        """
        if self.put_in is not None and self._ground is None:
            return
        self._remember()
        if self._ground is not None:
            levels: Float32 = self._ground[0].astype(np.float32) / np.float32(255)
            basis = Basis(levels if self.is_light_on_dark else np.float32(1) - levels, self._ground[1])
            self._show_sheet(Sheet(basis.enlarged(), basis), None)
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
            before = self._undone[-1][0] if self._undone else None
            if before is not None and before.put_in is None and np.array_equal(before.ink, self.ink):
                self._undone.pop()
                self.undo_changed.emit(self.can_undo)
            self._announce_rest()

    # --- drawing

    def _stamp(self, x: float, y: float, pressure: float) -> None:
        radius = max(self.radius * min(max(pressure, 0.05), 1.0), 1.0)
        start = self._last or (x, y, radius)
        self._last = (x, y, radius)
        stamp(self.ink, start, self._last, erases=self._erases_now)
        self._forget_image()

    def _levels(self, ink: Float32) -> UInt8:
        levels = (ink * 255 + 0.5).astype(np.uint8)
        return levels if self.is_light_on_dark else 255 - levels

    def _remember(self) -> None:
        self._undone.append((Sheet(self.ink.copy(), self.basis, self.put_in), self._backdrop))
        del self._undone[:-_MOST_UNDONE]
        self.undo_changed.emit(True)

    def _show_sheet(self, sheet: Sheet, backdrop: QImage | None) -> None:
        self.ink, self.basis, self.put_in = sheet.ink, sheet.basis, sheet.put_in
        self._backdrop, self._ground = backdrop, None
        self._forget_image()

    # --- copying, saving and the menu

    def _picture_at(self, _position: QPoint) -> ShownPicture:
        pixels = self._levels(self.ink) if self._backdrop is None else pixels_of(self._backdrop)
        return ShownPicture(pixels, {"kind": "own picture"})

    @Slot(QMenu, QPoint)
    def _offer(self, menu: QMenu, _position: QPoint) -> None:
        self.end_stroke()
        menu.addSeparator()
        undo = menu.addAction("Undo stroke", self.undo)
        undo.setShortcut(QKeySequence.StandardKey.Undo)
        undo.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        undo.setEnabled(self.can_undo)
        menu.addAction("Clear", self.clear).setEnabled(not self.is_empty)

    # --- telling

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
        """The left button draws, with Shift it erases."""
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        self._crosshair = None
        erases = self.is_erasing or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.begin_stroke(*self._on_sheet(event.position()), erases=erases)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw on, and show the brush."""
        self._hover = event.position()
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.go_on(*self._on_sheet(event.position()))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The stroke ends."""
        if event.button() is Qt.MouseButton.LeftButton:
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
            self._image = to_image(self._levels(self.ink))
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
