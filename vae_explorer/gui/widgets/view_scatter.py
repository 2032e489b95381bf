"""The overview on the screen: items in the colours of their classes, what is under the mouse, and the items picked."""

from __future__ import annotations

import time

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.latent.code_raster import fair_order, raster_codes
from vae_explorer.latent.map_rect import MapRect

_PIXELS_A_KEY = 6.0
_MARGIN = 1.08
# UMAP flings single items far out; so much larger than the bulk, the whole would show the bulk as a blot.
_MOST_OVER_BULK = 1.6
_BULK, _AIR_AROUND_BULK = 0.01, 0.3
_ARROWS = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}


class OverviewScatter(QWidget):
    """Paints an overview; mouse and arrow keys move over it.

    hovered(x, y, moment) in map units; left(); picked(x, y): a click or Enter; cleared(): Escape; resized(): more or
    less of the plane is in sight.
    """

    hovered = Signal(float, float, float)
    left = Signal()
    picked = Signal(float, float)
    cleared = Signal()
    resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("view.overview_map")
        self.setAccessibleName("Overview of the codes")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumSize(120, 120)
        self._xy_P2 = np.empty((0, 2))
        self._colour_P = np.empty(0, dtype=np.uint8)
        self._palette_K4 = np.zeros((1, 4), dtype=np.uint8)
        self._extent = MapRect(-1.0, -1.0, 1.0, 1.0)
        self._image: QImage | None = None
        self._cursor: QPointF | None = None
        self._marks: tuple[tuple[float, float], ...] = ()
        self._ring: tuple[float, float] | None = None
        self._badge, self._is_pale = "", False
        theme.notifier().changed.connect(self._recolour)

    # --- what it shows

    def show_items(self, xy_P2: np.ndarray, colour_P: np.ndarray, palette_K4: np.ndarray) -> None:
        """Items at these places, in these rows of the palette (blue, green, red, alpha)."""
        order_P = fair_order(len(xy_P2))
        self._xy_P2, self._colour_P, self._palette_K4 = xy_P2[order_P], colour_P[order_P], palette_K4
        self._extent = _extent_of(xy_P2)
        self._cursor = None
        self.show_hover(None, "", False)
        self._image = None
        self.update()

    def show_marks(self, places: tuple[tuple[float, float], ...]) -> None:
        """The picked items, numbered from 1."""
        self._marks = places
        self.update()

    def show_hover(self, ring: tuple[float, float] | None, badge: str, is_pale: bool) -> None:
        """A ring around an item, a word in the corner, and whether all is greyed because nothing is near."""
        self._ring, self._badge, self._is_pale = ring, badge, is_pale
        self.setAccessibleDescription(badge)
        self.update()

    @property
    def badge(self) -> str:
        """The word in the corner."""
        return self._badge

    @property
    def is_pale(self) -> bool:
        """Whether the place under the mouse is far from every item."""
        return self._is_pale

    # --- places

    def rect_shown(self) -> MapRect:
        """The part of the plane in sight: the items, with the same scale along both axes."""
        extent = self._extent
        scale = max(extent.width / max(self.width(), 1), extent.height / max(self.height(), 1), 1e-12)
        return MapRect.around(*extent.centre, self.width() * scale, self.height() * scale)

    @property
    def num_outside(self) -> int:
        """How many items are not in sight."""
        rect, (x_P, y_P) = self.rect_shown(), self._xy_P2.T
        is_inside_P = (x_P >= rect.left) & (x_P <= rect.right) & (y_P >= rect.bottom) & (y_P <= rect.top)
        return int(np.count_nonzero(~is_inside_P))

    def to_screen(self, x: float, y: float) -> QPointF:
        """Where a map point is on the widget."""
        rect = self.rect_shown()
        return QPointF(
            (x - rect.left) / rect.width * self.width(), (rect.top - y) / rect.height * self.height()
        )  # fmt: skip

    def to_map(self, position: QPointF) -> tuple[float, float]:
        """The map point at a place on the widget."""
        rect = self.rect_shown()
        return (
            rect.left + position.x() / self.width() * rect.width,
            rect.top - position.y() / self.height() * rect.height,
        )

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Items, then the picks, the ring, the keyboard's cross and the badge."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(colours.raised))
        if self._image is None and len(self._xy_P2):
            self._image = self._drawn()
        if self._image is not None:
            painter.setOpacity(0.35 if self._is_pale else 1.0)
            painter.drawImage(QRectF(self.rect()), self._image)
            painter.setOpacity(1.0)
        if self._ring is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for ink, width in ((colours.panel, 4.0), (colours.text, 2.0)):
                painter.setPen(QPen(QColor(ink), width))
                painter.drawEllipse(self.to_screen(*self._ring), 6.0, 6.0)
        for number, place in enumerate(self._marks, start=1):
            self._paint_mark(painter, self.to_screen(*place), str(number))
        if self._cursor is not None and self.hasFocus():
            painter.setPen(QPen(QColor(colours.text), 1))
            x, y = self._cursor.x(), self._cursor.y()
            painter.drawLine(QPointF(x - 7, y), QPointF(x + 7, y))
            painter.drawLine(QPointF(x, y - 7), QPointF(x, y + 7))
        if self._badge:
            self._paint_badge(painter)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colours.accent if self.hasFocus() else colours.border), 1))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _drawn(self) -> QImage:
        ratio = self.devicePixelRatioF()
        width, height = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        pixels, _ = raster_codes(
            self._xy_P2, self._colour_P, self.rect_shown(), width, height, self._palette_K4, ratio
        )  # fmt: skip
        form = QImage.Format.Format_ARGB32_Premultiplied
        return QImage(pixels.data, width, height, 4 * width, form).copy()

    def _paint_mark(self, painter: QPainter, centre: QPointF, text: str) -> None:
        colours = theme.current()
        painter.setPen(QPen(QColor(colours.panel), 1.5))
        painter.setBrush(QColor(colours.accent))
        painter.drawEllipse(centre, 8.5, 8.5)
        painter.setPen(QColor(colours.accent_text))
        painter.drawText(QRectF(centre.x() - 9, centre.y() - 9, 18, 18), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_badge(self, painter: QPainter) -> None:
        colours = theme.current()
        metrics = QFontMetricsF(self.font())
        text = metrics.elidedText(self._badge, Qt.TextElideMode.ElideRight, self.width() - 28)
        box = QRectF(6, 6, metrics.horizontalAdvance(text) + 14, metrics.height() + 4)
        painter.setPen(QPen(QColor(colours.border_strong), 1))
        painter.setBrush(QColor(colours.panel))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(colours.warning if self._badge.startswith("approximate") else colours.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    # --- mouse and keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Look at the place under the mouse."""
        self._cursor = None
        self._look_at(event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick the item under the mouse."""
        if event.button() is Qt.MouseButton.LeftButton and len(self._xy_P2):
            self.picked.emit(*self.to_map(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Look at nothing here."""
        super().leaveEvent(event)
        self.left.emit()

    def event(self, event: QEvent) -> bool:
        """Arrows, Enter and Escape are the overview's before they are shortcuts of the window."""
        keys = {*_ARROWS, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape}
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in keys:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move a cross, Enter picks the item there, Escape forgets the picks."""
        key = Qt.Key(event.key())
        if key in _ARROWS and len(self._xy_P2):
            step = _PIXELS_A_KEY * (5.0 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0)
            start = self._cursor or QPointF(self.rect().center())
            moved = start + QPointF(*_ARROWS[key]) * step
            self._cursor = QPointF(
                min(max(moved.x(), 0.0), self.width() - 1.0), min(max(moved.y(), 0.0), self.height() - 1.0)
            )
            self._look_at(self._cursor)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self._cursor is not None:
            self.picked.emit(*self.to_map(self._cursor))
        elif key == Qt.Key.Key_Escape:
            self.cleared.emit()
        else:
            super().keyPressEvent(event)

    def _look_at(self, position: QPointF) -> None:
        if len(self._xy_P2):
            self.hovered.emit(*self.to_map(position), time.perf_counter())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The picture is drawn again in its new size."""
        super().resizeEvent(event)
        self._image = None
        self.resized.emit()

    def hasHeightForWidth(self) -> bool:
        """As high as wide."""
        return True

    def heightForWidth(self, width: int) -> int:
        """A square, but no wall in a wide panel."""
        return min(width, 360)

    def sizeHint(self) -> QSize:
        """A square of a narrow panel's width."""
        return QSize(240, 240)

    @Slot(object)
    def _recolour(self, _theme: object) -> None:
        self._image = None
        self.update()


def _extent_of(xy_P2: np.ndarray) -> MapRect:
    """All items, or most of them where a few lie far away from the others."""
    if not len(xy_P2):
        return MapRect(-1.0, -1.0, 1.0, 1.0)
    (left, bottom), (right, top) = xy_P2.min(axis=0), xy_P2.max(axis=0)
    whole = MapRect(float(left), float(bottom), float(right), float(top))
    (left, bottom), (right, top) = np.quantile(xy_P2, [_BULK, 1.0 - _BULK], axis=0)
    bulk = MapRect(float(left), float(bottom), float(right), float(top)).grown(1.0 + _AIR_AROUND_BULK)
    is_compact = whole.width <= _MOST_OVER_BULK * bulk.width and whole.height <= _MOST_OVER_BULK * bulk.height
    return whole.grown(_MARGIN) if is_compact else bulk
