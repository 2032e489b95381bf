"""Many pictures of one size on the screen, in rows; small ones keep crisp pixel edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, to_image
from vae_explorer.gui.widgets.image_view import CRISP_SIDE, UInt8, paint_note

# Sides of a grid's cells in pixels, and how many cells there must be for one to be taken.
_CELL_SIDES = ((84, 60), (56, 14), (42, 10), (28, 1))
_LARGE_CELL_SIDE = 75.0
_PAIR_SPACING = 2.0
_SAVED_SPACING, _SAVED_GROUND = 2, 255  # between the cells of a saved grid: they stand as on paper


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
    if picture_side > CRISP_SIDE:
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

    Arrow keys and clicks choose a picture; each can be copied, saved and dragged out, and all saved as one.

    capacity_changed(): another number of cells fits. picture_clicked(int): a click, Enter or the space bar on a picture
    (or pair) of this number.
    """

    capacity_changed = Signal()
    picture_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None, rows_together: int = 1) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(64, 64)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.note = ""
        self.chosen = (0, 0)
        self._rows_together = rows_together
        self._picture_side = 28
        self._sets: tuple[UInt8, ...] = ()
        self._strips: list[QImage] = []
        self._num = 0
        self._common: Mapping[str, str] = {}
        self._describe: Callable[[int, int], Mapping[str, str]] | None = None
        self._pressed: tuple[int, int] | None = None
        self._shape = GridShape(1, 1, 56.0, 4.0)
        self.actions_on_picture = ImageActions(
            self, self.picture_at, chosen_at=self._chosen_place, whole=self.whole_picture
        )
        theme.notifier().changed.connect(self._repaint)

    @property
    def capacity(self) -> int:
        """How many pictures (or pairs) fit now."""
        return self._shape.num_cells

    @property
    def num_pictures(self) -> int:
        """How many pictures (or pairs) it holds."""
        return self._num

    @property
    def num_shown(self) -> int:
        """How many pictures (or pairs) are in sight."""
        return min(self._shape.num_cells, self._num)

    def set_picture_side(self, side: int) -> None:
        """The larger side of the pictures to come, which decides how many fit."""
        self._picture_side = side
        self._fit()

    def set_rows_together(self, rows_together: int) -> None:
        """How many rows count as one cell."""
        if rows_together != self._rows_together:
            self._rows_together = rows_together
            self._fit()

    def show_pictures(
        self,
        *sets_NHW: UInt8,
        common: Mapping[str, str] | None = None,
        describe: Callable[[int, int], Mapping[str, str]] | None = None,
    ) -> None:
        """Show uint8 pictures (N, H, W) or (N, H, W, 3), one set for each of the rows that stand together.

        What they are: `common` for all of them ("kind", "step"), and `describe(number, set)` for each ("item", "z");
        its "title" is the tool tip.
        """
        # One tall image a set: a cell is then a part of it, without an image object for each.
        self._strips = [to_image(pictures.reshape(-1, *pictures.shape[2:])) for pictures in sets_NHW if len(pictures)]
        self._sets = sets_NHW
        self._num = min((len(pictures) for pictures in sets_NHW), default=0)
        self._common, self._describe = common or {}, describe
        self.update()

    def set_note(self, note: str) -> None:
        """A sentence where there are no pictures."""
        self.note = note
        self.update()

    # --- which picture is where

    def cell_rect(self, number: int, part: int = 0) -> QRectF:
        """Where a picture stands."""
        shape, ratio = self._shape, self.devicePixelRatioF()
        height, width = self._sets[0].shape[1:3]
        cell_width, cell_height = (shape.side * side / max(width, height) for side in (width, height))
        block = self._rows_together * cell_height + _PAIR_SPACING * (self._rows_together - 1)
        columns = min(shape.columns, self._num)
        rows = min(shape.rows, math.ceil(self._num / shape.columns))
        left = math.floor((self.width() - columns * (shape.side + shape.spacing) + shape.spacing) / 2)
        top = math.floor((self.height() - rows * (block + shape.spacing) + shape.spacing) / 2)
        row, column = divmod(number, shape.columns)
        x = left + column * (shape.side + shape.spacing)
        y = top + row * (block + shape.spacing) + part * (cell_height + _PAIR_SPACING)
        return QRectF(x, round(y * ratio) / ratio, cell_width, cell_height)

    def cell_at(self, position: QPoint) -> tuple[int, int] | None:
        """The number and the set of the picture at a place of the widget."""
        for number in range(self.num_shown):
            for part in range(len(self._strips)):
                if self.cell_rect(number, part).contains(QPointF(position)):
                    return number, part
        return None

    def picture_at(self, position: QPoint) -> ShownPicture | None:
        """The picture at a place of the widget."""
        cell = self.cell_at(position)
        return None if cell is None else ShownPicture(self._sets[cell[1]][cell[0]], self._facts(*cell))

    def whole_picture(self) -> ShownPicture | None:
        """All pictures in sight as one, a pixel of theirs a pixel of it."""
        num, columns = self.num_shown, min(self._shape.columns, self.num_shown)
        if not num:
            return None
        rows = math.ceil(num / columns) * len(self._strips)
        height, width, *channels = self._sets[0].shape[1:]
        pitch_y, pitch_x = height + _SAVED_SPACING, width + _SAVED_SPACING
        size = (rows * pitch_y + _SAVED_SPACING, columns * pitch_x + _SAVED_SPACING)
        pixels = np.full((*size, *channels), _SAVED_GROUND, dtype=np.uint8)
        for number in range(num):
            for part, pictures in enumerate(self._sets):
                top = (number // columns * len(self._strips) + part) * pitch_y + _SAVED_SPACING
                left = number % columns * pitch_x + _SAVED_SPACING
                pixels[top : top + height, left : left + width] = pictures[number]
        return ShownPicture(pixels, self._common)

    def _facts(self, number: int, part: int) -> Mapping[str, str]:
        return self._common if self._describe is None else {**self._common, **self._describe(number, part)}

    def _chosen_place(self) -> QPoint:
        return self.cell_rect(*self.chosen).center().toPoint() if self._num else self.rect().center()

    # --- mouse and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a picture."""
        super().mousePressEvent(event)
        self._pressed = self.cell_at(event.position().toPoint())
        if self._pressed is not None:
            self._choose(*self._pressed)
            event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click, if it is still the same picture."""
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        is_left = event.button() is Qt.MouseButton.LeftButton
        if pressed is not None and is_left and self.cell_at(event.position().toPoint()) == pressed:
            self.picture_clicked.emit(pressed[0])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows, Home and End choose; Enter and space click."""
        goal = self._goal(Qt.Key(event.key()))
        if not self._num:
            super().keyPressEvent(event)
        elif goal is not None:
            self._choose(*goal)
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}:
            self.picture_clicked.emit(self.chosen[0])
        else:
            super().keyPressEvent(event)

    def _goal(self, key: Qt.Key) -> tuple[int, int] | None:
        (number, part), last = self.chosen, self.num_shown - 1
        columns, parts = self._shape.columns, max(len(self._strips), 1)
        if key == Qt.Key.Key_Up:
            return (number, part - 1) if part else (number - columns, parts - 1) if number >= columns else (number, 0)
        if key == Qt.Key.Key_Down:
            below = (number + columns, 0) if number + columns <= last else (number, part)
            return (number, part + 1) if part + 1 < parts else below
        goals = {
            Qt.Key.Key_Left: max(number - 1, 0), Qt.Key.Key_Right: min(number + 1, last), Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }  # fmt: skip
        return (goals[key], part) if key in goals else None

    def _choose(self, number: int, part: int) -> None:
        self.chosen = (number, part)
        title = self._facts(number, part).get("title", "")
        self.setAccessibleDescription(f"Picture {number + 1} of {self.num_shown}  {title}".strip())
        self.update()

    def event(self, event: QEvent) -> bool:
        """Tells of the picture under the mouse in a tool tip."""
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._describe is not None:
            cell = self.cell_at(event.pos())
            title = "" if cell is None else self._facts(*cell).get("title", "")
            if cell is not None and title:
                QToolTip.showText(event.globalPos(), title, self, self.cell_rect(*cell).toRect())
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """As many whole cells as fit."""
        del event
        painter = QPainter(self)
        if not self._num:
            paint_note(painter, self, self.note)
            return
        height, width = self._sets[0].shape[1:3]
        first = self.cell_rect(0)
        factor = first.width() * self.devicePixelRatioF() / width
        is_smooth = max(width, height) > CRISP_SIDE or factor != round(factor)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        for number in range(self.num_shown):
            for part, strip in enumerate(self._strips):
                painter.drawImage(self.cell_rect(number, part), strip, QRectF(0, number * height, width, height))
        self.chosen = (min(self.chosen[0], self.num_shown - 1), min(self.chosen[1], len(self._strips) - 1))
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.current().accent), 2))
            painter.drawRect(self.cell_rect(*self.chosen).adjusted(-1, -1, 1, 1))

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
