"""Pictures of a data set on the screen: one large, or a grid of many; small ones keep crisp pixel edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]

# Pictures up to this side are enlarged by whole factors with hard edges; larger ones look better smoothed.
_CRISP_SIDE = 64
# Sides of a grid's cells in pixels, and how many cells there must be for one to be taken.
_CELL_SIDES = ((84, 60), (56, 14), (42, 10), (28, 1))
_LARGE_CELL_SIDE = 75.0
_PAIR_SPACING = 2.0


def to_image(picture: UInt8) -> QImage:
    """A QImage of its own from uint8 (H, W) or (H, W, 3)."""
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    if picture.ndim == 2:
        return QImage(picture.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
    return QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def crisp_scale(picture_side: int, available: float) -> float:
    """Enlargement of a picture of this side into so many device pixels: a whole factor for small pictures."""
    scale = available / picture_side
    return float(math.floor(scale)) if picture_side <= _CRISP_SIDE and scale >= 1 else scale


class ImageView(QWidget):
    """One picture, as large as it fits.

    painted(): the picture last shown is on the widget; emitted at the end of its first paint.
    """

    painted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)
        self.note = ""
        self._image: QImage | None = None
        self._is_fresh = False
        theme.notifier().changed.connect(self._repaint)

    @property
    def image(self) -> QImage | None:
        """The picture shown, in its own size."""
        return self._image

    def show_picture(self, picture: UInt8 | None) -> None:
        """Show uint8 (H, W) or (H, W, 3), or nothing; it is painted before this returns."""
        self._image = None if picture is None else to_image(picture)
        self._is_fresh = picture is not None
        self.repaint()

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
            _paint_note(painter, self, self.note)
            return
        ratio = self.devicePixelRatioF()
        width, height = self._image.width(), self._image.height()
        available = min(self.width() * ratio / width, self.height() * ratio / height) * max(width, height) - 2 * ratio
        scale = crisp_scale(max(width, height), available) / ratio
        left = round((self.width() - width * scale) / 2 * ratio) / ratio
        top = round((self.height() - height * scale) / 2 * ratio) / ratio
        target = QRectF(left, top, width * scale, height * scale)
        is_smooth = max(width, height) > _CRISP_SIDE or scale * ratio < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        painter.drawImage(target, self._image)
        painter.setPen(QColor(colours.border_strong))
        painter.drawRect(target.adjusted(-1, -1, 0, 0))
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


@dataclass(frozen=True, slots=True)
class GridShape:
    """How many cells fit a place, and how large each is, in logical pixels."""

    columns: int
    rows: int
    side: float
    spacing: float

    @property
    def num_cells(self) -> int:
        """Cells in all."""
        return self.columns * self.rows


def grid_shape(width: float, height: float, picture_side: int, rows_together: int = 1) -> GridShape:
    """The grid that fills width x height: cells as large as they can be while there are still a dozen or so.

    `rows_together` rows (an original and its reconstruction) count as one cell.
    """
    if picture_side > _CRISP_SIDE:
        return _shape_of_side(width, height, _LARGE_CELL_SIDE, rows_together)
    shapes = []
    for wanted, least in _CELL_SIDES:
        # Whole or half factors only: others make strokes of uneven width.
        side = max(1.0, round(2 * wanted / picture_side) / 2) * picture_side
        shapes.append((_shape_of_side(width, height, side, rows_together), least))
    return next((shape for shape, least in shapes if shape.num_cells >= least), shapes[-1][0])


def _shape_of_side(width: float, height: float, side: float, rows_together: int) -> GridShape:
    spacing = 4.0
    columns = max(1, int((width + spacing) // (side + spacing)))
    block = rows_together * side + _PAIR_SPACING * (rows_together - 1)
    rows = max(1, int((height + spacing) // (block + spacing)))
    return GridShape(columns, rows, side, spacing)


class ImageGrid(QWidget):
    """Many pictures of one size, row by row; with a second set, each stands right below its partner.

    capacity_changed(): another number of cells fits.
    """

    capacity_changed = Signal()

    def __init__(self, parent: QWidget | None = None, rows_together: int = 1) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(64, 64)
        self.note = ""
        self._rows_together = rows_together
        self._picture_side = 28
        self._strips: list[QImage] = []
        self._num = 0
        self._shape = GridShape(1, 1, 56.0, 4.0)
        theme.notifier().changed.connect(self._repaint)

    @property
    def capacity(self) -> int:
        """How many pictures (or pairs) fit now."""
        return self._shape.num_cells

    @property
    def num_pictures(self) -> int:
        """How many pictures (or pairs) it holds."""
        return self._num

    def set_picture_side(self, side: int) -> None:
        """The larger side of the pictures to come, which decides how many fit."""
        self._picture_side = side
        self._fit()

    def show_pictures(self, *sets_NHW: UInt8) -> None:
        """Show uint8 pictures (N, H, W) or (N, H, W, 3), one set for each of the rows that stand together."""
        # One tall image a set: a cell is then a part of it, without an image object for each.
        self._strips = [to_image(pictures.reshape(-1, *pictures.shape[2:])) for pictures in sets_NHW if len(pictures)]
        self._num = min((len(pictures) for pictures in sets_NHW), default=0)
        self.update()

    def set_note(self, note: str) -> None:
        """A sentence where there are no pictures."""
        self.note = note
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """As many whole cells as fit."""
        del event
        painter = QPainter(self)
        if not self._num:
            _paint_note(painter, self, self.note)
            return
        shape, ratio = self._shape, self.devicePixelRatioF()
        height = self._strips[0].height() / self._num
        width = self._strips[0].width()
        cell_width, cell_height = (shape.side * part / max(width, height) for part in (width, height))
        factor = cell_width * ratio / width
        is_smooth = max(width, height) > _CRISP_SIDE or factor != round(factor)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        block = self._rows_together * cell_height + _PAIR_SPACING * (self._rows_together - 1)
        columns = min(shape.columns, self._num)
        rows = min(shape.rows, math.ceil(self._num / shape.columns))
        left = math.floor((self.width() - columns * (shape.side + shape.spacing) + shape.spacing) / 2)
        top = math.floor((self.height() - rows * (block + shape.spacing) + shape.spacing) / 2)
        for number in range(min(shape.num_cells, self._num)):
            row, column = divmod(number, shape.columns)
            x = left + column * (shape.side + shape.spacing)
            for part, strip in enumerate(self._strips):
                y = top + row * (block + shape.spacing) + part * (cell_height + _PAIR_SPACING)
                target = QRectF(x, round(y * ratio) / ratio, cell_width, cell_height)
                painter.drawImage(target, strip, QRectF(0, number * height, width, height))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another size may hold another number of cells."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """Four by three cells."""
        return QSize(240, 180)

    def _fit(self) -> None:
        shape = grid_shape(self.width(), self.height(), self._picture_side, self._rows_together)
        if shape != self._shape:
            self._shape = shape
            self.update()
            self.capacity_changed.emit()

    @Slot()
    def _repaint(self) -> None:
        self.update()


def _paint_note(painter: QPainter, widget: QWidget, note: str) -> None:
    painter.setPen(QColor(theme.current().muted))
    box = QRectF(widget.rect()).adjusted(12, 12, -12, -12)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, note)
