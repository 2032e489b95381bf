"""A picture of numpy pixels, shown as large as its place allows."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme


def as_image(pixels: np.ndarray) -> QImage:
    """A QImage with its own copy of uint8 pixels, (H, W) grey or (H, W, 3) colour."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    grey = pixels.ndim == 2
    form = QImage.Format.Format_Grayscale8 if grey else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, pixels.strides[0], form).copy()


class PreviewImage(QWidget):
    """Shows a picture or, before there is one, a sentence. Enlarged by whole factors only, so that pixels
    stay square.
    """

    def __init__(self) -> None:
        super().__init__()
        self._image = QImage()
        self._text = ""
        self._is_pale = False
        self.setMinimumSize(300, 300)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Room for an ordinary grid."""
        return QSize(480, 480)

    def show_pixels(self, pixels: np.ndarray) -> None:
        """Show a picture."""
        self._image, self._text, self._is_pale = as_image(pixels), "", False
        self.update()

    def show_text(self, text: str) -> None:
        """Show a sentence in place of a picture."""
        self._image, self._text = QImage(), text
        self.update()

    def set_pale(self, pale: bool) -> None:
        """Whether the picture is about to be replaced."""
        if pale != self._is_pale:
            self._is_pale = pale
            self.update()

    def image(self) -> QImage:
        """The picture shown, in full size; null where there is none."""
        return self._image

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw on a quiet ground."""
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colours.border))
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 6, 6)
        if self._image.isNull():
            painter.setPen(QColor(colours.muted))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(16, 16, -16, -16), flags, self._text)
            return
        room = self.rect().adjusted(10, 10, -10, -10)
        share = min(room.width() / self._image.width(), room.height() / self._image.height())
        factor = float(int(share)) if share >= 1 else share
        size = QSize(max(1, round(self._image.width() * factor)), max(1, round(self._image.height() * factor)))
        target = QRect(
            room.center().x() - size.width() // 2,
            room.center().y() - size.height() // 2,
            size.width(),
            size.height(),
        )
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, share < 1)
        painter.setOpacity(0.5 if self._is_pale else 1.0)
        painter.drawImage(target, self._image)
