"""One picture on the screen, as large as it fits; a small one keeps crisp pixel edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, to_image

__all__ = ["CRISP_SIDE", "ImageView", "UInt8", "crisp_scale", "paint_note", "to_image"]

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]

CRISP_SIDE = 64
"""Pictures up to this side are enlarged by whole factors with hard edges; larger ones look better smoothed."""


def crisp_scale(picture_side: int, available: float) -> float:
    """Enlargement of a picture of this side into so many device pixels: a whole factor for small pictures."""
    scale = available / picture_side
    return float(math.floor(scale)) if picture_side <= CRISP_SIDE and scale >= 1 else scale


class ImageView(QWidget):
    """One picture, as large as it fits. It can be copied, saved and dragged out.

    painted(): the picture last shown is on the widget; emitted at the end of its first paint.
    """

    painted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(64, 64)
        self.note = ""
        self._image: QImage | None = None
        self._pixels: UInt8 | None = None
        self._facts: Callable[[], Mapping[str, str]] | None = None
        self.badge = ""
        self._is_fresh = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.actions_on_picture = ImageActions(self, self.picture_at)
        theme.notifier().changed.connect(self._repaint)

    @property
    def image(self) -> QImage | None:
        """The picture shown, in its own size."""
        return self._image

    def show_picture(
        self, picture: UInt8 | None, facts: Callable[[], Mapping[str, str]] | None = None, badge: str = ""
    ) -> None:
        """Show uint8 (H, W) or (H, W, 3), or nothing; it is painted before this returns.

        `facts` says, when it is saved, what it is ("kind", "step", "z", "item" …); `badge` is a word of warning in its
        corner.
        """
        self._image = None if picture is None else to_image(picture)
        self._pixels, self._facts, self.badge = picture, facts, badge
        self._is_fresh = picture is not None
        self.repaint()

    def picture_at(self, position: QPoint) -> ShownPicture | None:
        """The picture, wherever it is pointed at."""
        del position
        if self._pixels is None:
            return None
        return ShownPicture(self._pixels, {} if self._facts is None else self._facts())

    def set_note(self, note: str) -> None:
        """A sentence where there is no picture."""
        self.note = note
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The picture in the middle with a hairline around it."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        if self._image is None:
            paint_note(painter, self, self.note)
            if self.hasFocus():
                painter.setPen(QColor(colours.accent))
                painter.drawRect(QRectF(self.rect()).adjusted(0, 0, -1, -1))
            return
        ratio = self.devicePixelRatioF()
        width, height = self._image.width(), self._image.height()
        available = min(self.width() * ratio / width, self.height() * ratio / height) * max(width, height) - 2 * ratio
        scale = crisp_scale(max(width, height), available) / ratio
        left = round((self.width() - width * scale) / 2 * ratio) / ratio
        top = round((self.height() - height * scale) / 2 * ratio) / ratio
        target = QRectF(left, top, width * scale, height * scale)
        is_smooth = max(width, height) > CRISP_SIDE or scale * ratio < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        painter.drawImage(target, self._image)
        painter.setPen(QColor(colours.accent if self.hasFocus() else colours.border_strong))
        painter.drawRect(target.adjusted(-1, -1, 0, 0))
        if self.badge:
            _paint_badge(painter, target, self.badge)
        painter.end()
        if self._is_fresh:
            self._is_fresh = False
            self.painted.emit()

    def sizeHint(self) -> QSize:
        """Eight screen pixels a pixel of a small picture."""
        return QSize(248, 248)

    @Slot()
    def _repaint(self) -> None:
        self.update()


def _paint_badge(painter: QPainter, target: QRectF, text: str) -> None:
    colours, metrics = theme.current(), painter.fontMetrics()
    box = QRectF(target.left() + 4, target.top() + 4, metrics.horizontalAdvance(text) + 12, metrics.height() + 4)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(colours.warning))
    painter.setBrush(QColor(colours.warning_ground))
    painter.drawRoundedRect(box.translated(0.5, 0.5), 4, 4)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def paint_note(painter: QPainter, widget: QWidget, note: str) -> None:
    """A sentence in the middle of a widget that has no picture."""
    painter.setPen(QColor(theme.current().muted))
    box = QRectF(widget.rect()).adjusted(12, 12, -12, -12)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, note)
