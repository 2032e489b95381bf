"""The frames of a path in one row, with how many codes are near each and how far the picture has changed so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.filmstrip_painting import BAR, GAP, RULER, paint_near, paint_ruler
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, pixels_of, to_image
from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]

_CRISP_SIDE = 64  # pictures up to this side are enlarged by whole or half factors
_SPACING, _MARGIN = 4.0, 3.0
_SHRINKS_TO = 0.7  # rather than scrolling, frames become smaller by this much
_LARGEST_SHARE = 0.3  # of the width, so that there are neighbours to compare
_DIMMED = 0.4  # as the path on the map
_LARGE_STEP = 4.0
_ARROWS = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, 1.0),
    Qt.Key.Key_Down: (0.0, -1.0),
}
_BY_KEYS = "Alt with an arrow key bends the path at the current frame, with Shift in larger steps."
_LINES_A_NOTCH = 0.5  # the wheel moves the row by this part of an angle in eighths of a degree


class Filmstrip(QWidget):
    """Frames of a path; one is the current one. Scrolls by the wheel where they do not fit.

    chosen(int): the person chose a frame by click or key. hovered(int): the mouse is over a frame, -1 when it has left
    them. activated(): the space bar. nudged(right, up, is_new): Alt with an arrow key, in steps; `is_new` where it was
    pressed just now and not held. `facts_of` says what a frame is of, for the files made of it.
    """

    chosen = Signal(int)
    hovered = Signal(int)
    activated = Signal()
    nudged = Signal(float, float, bool)

    def __init__(
        self, facts_of: Callable[[int], Mapping[str, str]] = lambda _frame: {}, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 52)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Frames of the path")
        self.note = ""
        self.is_dimmed = False
        self.current = 0
        self._hovered = -1
        self._strip: QImage | None = None
        self._size = (1, 1)
        self._num_near_F: np.ndarray | None = None
        self._length_F = np.zeros(0)
        self._ruler_end = 0.0
        self._unit = "in pixel values from 0 to 1"
        self._name = "visual length"
        self._offset = 0.0
        self._scale = 1.0
        self._facts_of = facts_of
        self.actions_of_frames = ImageActions(
            self, self.picture_at, chosen_at=lambda: self.frame_rect(self.current).center().toPoint()
        )
        theme.notifier().changed.connect(self._repaint)

    @property
    def num_frames(self) -> int:
        """F, 0 where nothing is shown."""
        return len(self._length_F)

    def show_lengths_in(self, name: str, unit: str, ruler_end: float) -> None:
        """What the lengths are called and measured in, and the length that the ruler's end stands for."""
        self._name, self._unit, self._ruler_end = name, unit, ruler_end
        self.update()

    def show_frames(self, pictures_F: UInt8, num_near_F: np.ndarray | None, visual_length_F: np.ndarray) -> None:
        """Show uint8 pictures (F, H, W) or (F, H, W, 3), the number of codes near each, and the visual length so far.

        The current frame keeps its number where there is one. `num_near_F` is None for a model without codes.
        """
        self._strip = to_image(pictures_F.reshape(-1, *pictures_F.shape[2:]))
        self._size = (pictures_F.shape[1], pictures_F.shape[2])
        self._num_near_F, self._length_F = num_near_F, visual_length_F
        self.current = min(self.current, self.num_frames - 1)
        self._fit()
        self._describe()

    def clear(self, note: str) -> None:
        """No frames, but a sentence."""
        self._strip, self.note = None, note
        self._num_near_F, self._length_F = None, np.zeros(0)
        self.current, self._offset = 0, 0.0
        self._set_hovered(-1)
        self.setAccessibleDescription(note)
        self.update()

    def set_dimmed(self, is_dimmed: bool) -> None:
        """Paint the frames faintly: they are those of a path that is no longer the one asked for."""
        if is_dimmed != self.is_dimmed:
            self.is_dimmed = is_dimmed
            self._describe()
            self.update()

    def set_current(self, frame: int) -> None:
        """Mark this frame and bring it into sight."""
        if not 0 <= frame < self.num_frames:
            return
        self.current = frame
        self._bring_into_sight(frame)
        self._describe()
        self.update()

    def frame_text(self, frame: int) -> str:
        """What is known of a frame, with units."""
        text = f"Frame {frame + 1} of {self.num_frames}"
        if self._num_near_F is None:
            return text
        near = int(self._num_near_F[frame])
        return f"{text} · codes near: {f'{near:,}' if near else 'none'}"

    def frame_at(self, position: QPointF) -> int:
        """The frame at a place of the widget, -1 where there is none."""
        if not self.num_frames:
            return -1
        pitch = self._cell_width + _SPACING
        frame, within = divmod(position.x() - self._left, pitch)
        return int(frame) if 0 <= frame < self.num_frames and within < self._cell_width else -1

    def frame_rect(self, frame: int) -> QRectF:
        """Where the picture of a frame stands."""
        left = self._left + frame * (self._cell_width + _SPACING)
        return QRectF(left, self._top, self._cell_width, self._size[0] * self._scale)

    def frame_image(self, frame: int) -> QImage | None:
        """The picture of a frame in its own size."""
        if self._strip is None or not 0 <= frame < self.num_frames:
            return None
        height, width = self._size
        return self._strip.copy(0, frame * height, width, height)

    def picture_at(self, position: QPoint) -> ShownPicture | None:
        """The picture under a place of the widget, in its own size, and what it is."""
        frame = self.frame_at(QPointF(position))
        image = self.frame_image(frame)
        return None if image is None else ShownPicture(pixels_of(image), self._facts_of(frame))

    def _length_text(self, frame: int) -> str:
        if not np.isfinite(self._length_F[-1]):
            return f"{self._name} unknown"
        so_far, whole = (number_text(float(self._length_F[at]), 2) for at in (frame, -1))
        return f"{self._name} so far: {so_far} of {whole}, {self._unit}"

    # --- where things stand

    @property
    def _cell_width(self) -> float:
        return self._size[1] * self._scale

    @property
    def _content_width(self) -> float:
        return self.num_frames * (self._cell_width + _SPACING) - _SPACING + 2 * _MARGIN

    @property
    def _left(self) -> float:
        spare = self.width() - self._content_width
        ratio = self.devicePixelRatioF()
        return round((max(spare / 2, 0.0) + _MARGIN - self._offset) * ratio) / ratio

    @property
    def _below(self) -> float:
        near = BAR + 1 + QFontMetricsF(self._small()).height() if self._num_near_F is not None else 0.0
        return GAP + near + RULER

    @property
    def _top(self) -> float:
        spare = self.height() - self._below - self._size[0] * self._scale - 2 * _MARGIN
        return math.floor(max(spare / 2, 0.0)) + _MARGIN

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(font.pointSizeF() - 1.5, 7.0))
        return font

    def _fit(self) -> None:
        height, width = self._size
        room = max(self.height() - self._below - 2 * _MARGIN, 8.0)
        scale = self._whole(min(room / height, _LARGEST_SHARE * self.width() / width))
        num = self.num_frames
        if num:
            fitting = self._whole((self.width() - 2 * _MARGIN - (num - 1) * _SPACING) / (num * width))
            if _SHRINKS_TO * scale <= fitting < scale:
                scale = fitting
        self._scale = max(scale, 1e-3)
        self._scroll_to(self._offset)
        self._bring_into_sight(self.current)
        self.update()

    def _whole(self, factor: float) -> float:
        """A factor at which pixels of small pictures stay nearly even."""
        steps = 2 * self.devicePixelRatioF()
        is_crisp = max(self._size) <= _CRISP_SIDE and factor >= 1
        return math.floor(factor * steps) / steps if is_crisp else factor

    def _scroll_to(self, offset: float) -> None:
        most = max(self._content_width - self.width(), 0.0) if self.num_frames else 0.0
        self._offset = min(max(offset, 0.0), most)
        self.update()

    def _bring_into_sight(self, frame: int) -> None:
        left = frame * (self._cell_width + _SPACING)
        right = left + self._cell_width + 2 * _MARGIN
        if left < self._offset:
            self._scroll_to(left)
        elif right > self._offset + self.width():
            self._scroll_to(right - self.width())

    # --- mouse and keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Another frame may be under the mouse."""
        super().mouseMoveEvent(event)
        self._set_hovered(self.frame_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """No frame is under the mouse any more."""
        super().leaveEvent(event)
        self._set_hovered(-1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a frame."""
        super().mousePressEvent(event)
        frame = self.frame_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and frame >= 0:
            self._choose(frame)
            event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolls the row where it does not fit."""
        turn = event.angleDelta().x() or event.angleDelta().y()
        if self._content_width <= self.width() or not self.num_frames:
            event.ignore()
            return
        self._scroll_to(self._offset - _LINES_A_NOTCH * turn)
        self._set_hovered(self.frame_at(event.position()))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right, the first and the last frame, and the space bar; with Alt, arrows draw the frame along."""
        last = self.num_frames - 1
        if event.modifiers() & Qt.KeyboardModifier.AltModifier and event.key() in _ARROWS:
            right, up = _ARROWS[Qt.Key(event.key())]
            factor = _LARGE_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0
            if last >= 0:
                self.nudged.emit(factor * right, factor * up, not event.isAutoRepeat())
            return
        steps = {
            Qt.Key.Key_Left: max(self.current - 1, 0),
            Qt.Key.Key_Right: min(self.current + 1, last),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        key = Qt.Key(event.key())
        if last >= 0 and key in steps:
            self._choose(steps[key])
        elif last >= 0 and key == Qt.Key.Key_Space:
            self.activated.emit()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Tells of the frame under the mouse in a tool tip."""
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            frame = self.frame_at(QPointF(event.pos()))
            if frame >= 0:
                text = f"{self.frame_text(frame)}\n{self._length_text(frame)}\n{_BY_KEYS}"
                QToolTip.showText(event.globalPos(), text, self, self.frame_rect(frame).toRect())
                return True
            QToolTip.hideText()
            return True
        return super().event(event)

    def _choose(self, frame: int) -> None:
        self.set_current(frame)
        self.chosen.emit(frame)

    def _set_hovered(self, frame: int) -> None:
        if frame != self._hovered:
            self._hovered = frame
            self.update()
            self.hovered.emit(frame)

    def _describe(self) -> None:
        if self.num_frames:
            text = f"{self.frame_text(self.current)}. {_BY_KEYS}"
            self.setAccessibleDescription(f"Finding the path. {text}" if self.is_dimmed else text)

    # --- painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another height is another scale."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """Eleven small pictures, twice as large."""
        return QSize(600, 96)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Pictures, below them the codes near, below those the ruler."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        painter.setFont(self.font() if self._strip is None else self._small())
        if self._strip is None:
            painter.setPen(QColor(colours.muted))
            box = QRectF(self.rect()).adjusted(12, 4, -12, -4)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.note)
            return
        painter.setOpacity(_DIMMED if self.is_dimmed else 1.0)
        height, width = self._size
        factor = self._scale * self.devicePixelRatioF()
        is_smooth = max(self._size) > _CRISP_SIDE or factor != round(factor)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        seen = [frame for frame in range(self.num_frames) if self.frame_rect(frame).intersects(QRectF(self.rect()))]
        for frame in seen:
            rect = self.frame_rect(frame)
            painter.drawImage(rect, self._strip, QRectF(0, frame * height, width, height))
        self._paint_frames(painter, seen, colours)
        bottom = self._top + self._size[0] * self._scale
        if self._num_near_F is not None:
            cells = {frame: self.frame_rect(frame) for frame in seen}
            paint_near(painter, cells, self._num_near_F, bottom + GAP, colours)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centres = [self.frame_rect(frame).center().x() for frame in range(self.num_frames)]
        end = self._ruler_end if math.isfinite(self._ruler_end) else 0.0
        paint_ruler(painter, centres, self._length_F, end, self.current, bottom + self._below - RULER, colours)
        if self._content_width > self.width():
            share = self.width() / self._content_width
            seen_part = QRectF(self._offset * share, self.height() - 2, self.width() * share, 2)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.faint))
            painter.drawRoundedRect(seen_part, 1, 1)

    def _paint_frames(self, painter: QPainter, seen: list[int], colours: Theme) -> None:
        for frame in seen:
            if frame == self.current:
                pen = QPen(QColor(colours.accent), 2)
            elif frame == self._hovered:
                pen = QPen(QColor(colours.text), 1)
            elif self._num_near_F is not None and not self._num_near_F[frame]:
                pen = QPen(QColor(colours.warning), 1, Qt.PenStyle.DashLine)
            else:
                pen = QPen(QColor(colours.border_strong), 1)
            painter.setPen(pen)
            painter.drawRect(self.frame_rect(frame).adjusted(-1, -1, 0, 0))

    @Slot()
    def _repaint(self) -> None:
        self.update()
