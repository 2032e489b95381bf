"""A row of tiny pictures along one latent dimension; a click takes the value that a picture was made with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, UInt8, point_in_full, to_image
from vae_explorer.gui.widgets.map_frame import number_text

PREVIEW_VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)
_SIDE = 28.0
_SPACING = 3.0


class PreviewStrip(QWidget):
    """Pictures of one point with one coordinate at -2 to 2; the place is kept while there are none.

    Each can be copied, saved and dragged out.

    value_clicked(float): the value of the picture under the mouse.
    """

    value_clicked = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.name = ""
        self._strip: QImage | None = None
        self._shown: tuple[ShownPicture, ...] = ()
        self.actions_on_picture = ImageActions(self, self.picture_at)
        theme.notifier().changed.connect(self._recolour)

    @property
    def strip(self) -> QImage | None:
        """The pictures one below the other, in their own size; None before there are any."""
        return self._strip

    def show_pictures(self, pictures: Sequence[ShownPicture]) -> None:
        """Show uint8 pictures of one size, one for each of `PREVIEW_VALUES`; none of them shows empty cells."""
        self._shown = tuple(pictures)
        self._strip = to_image(np.concatenate([picture.pixels for picture in pictures])) if pictures else None
        self.update()

    def picture_at(self, position: QPoint) -> ShownPicture | None:
        """The picture at a place of the strip."""
        number = self._number_at(position)
        return self._shown[number] if number is not None and number < len(self._shown) else None

    def sizeHint(self) -> QSize:
        """Five cells."""
        count = len(PREVIEW_VALUES)
        return QSize(math.ceil(count * _SIDE + (count - 1) * _SPACING), math.ceil(_SIDE))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The pictures, or empty cells."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        for number in range(len(PREVIEW_VALUES)):
            cell = QRectF(number * (_SIDE + _SPACING), 0.0, _SIDE, _SIDE)
            if self._strip is None:
                painter.fillRect(cell, QColor(colours.raised))
                continue
            width, height = self._strip.width(), self._strip.height() / len(PREVIEW_VALUES)
            scale = _SIDE / max(width, height)
            target = QRectF(0.0, 0.0, width * scale, height * scale)
            target.moveCenter(cell.center())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale * self.devicePixelRatioF() < 1)
            painter.drawImage(target, self._strip, QRectF(0, number * height, width, height))
            painter.setPen(QPen(QColor(colours.border), 1))
            painter.drawRect(target.adjusted(0, 0, -1, -1))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Take the value of the picture under the mouse."""
        number = self._number_at(event.position().toPoint())
        if number is not None and event.button() is Qt.MouseButton.LeftButton:
            self.value_clicked.emit(PREVIEW_VALUES[number])

    def event(self, event: QEvent) -> bool:
        """The tool tip says which value a picture was made with."""
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self._number_at(event.pos())
            if number is not None:
                value = number_text(PREVIEW_VALUES[number], 0)
                QToolTip.showText(event.globalPos(), f"{self.name} = {value}; click to take it", self)
            return True
        return super().event(event)

    def _number_at(self, position: QPoint) -> int | None:
        number = int(position.x() // (_SIDE + _SPACING))
        return number if 0 <= number < len(PREVIEW_VALUES) and self.rect().contains(position) else None

    @Slot(object)
    def _recolour(self, _theme: object) -> None:
        self.update()


def points_along(base_D: np.ndarray, dimensions: tuple[int, ...]) -> np.ndarray:
    """The points z_RVD whose pictures stand in R strips: the base with one coordinate at each preview value."""
    count = len(PREVIEW_VALUES)
    z_RVD = np.tile(np.asarray(base_D, dtype=np.float64), (len(dimensions), count, 1))
    z_RVD[np.arange(len(dimensions))[:, None], np.arange(count), np.array(dimensions)[:, None]] = PREVIEW_VALUES
    return z_RVD


def shown_pictures(pictures_VHW: UInt8, z_VD: np.ndarray, step: int) -> tuple[ShownPicture, ...]:
    """Decoded pictures with what they are of, for their files."""
    return tuple(
        ShownPicture(
            picture,
            {"kind": "traversal", "step": str(step), "z": point_in_full(z_D)},
        )
        for picture, z_D in zip(pictures_VHW, z_VD, strict=True)
    )
