"""A picture under the grid of its codes: a cell can be chosen, and says which code stands in it."""

from __future__ import annotations

from typing import Final

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QHelpEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.image_actions import to_image
from vae_explorer.latent.codebook_view import GridLook

_ARROWS: Final = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}
_RESETTING: Final = frozenset({Qt.Key.Key_Delete, Qt.Key.Key_Backspace})
_LEAST_CELL_WITH_NUMBER: Final = 26.0


class CodeGridView(QWidget):
    """Shows a look at a grid. A click or the arrow keys choose a cell; Delete gives a cell its own code back.

    cell_chosen(row, column). reset_wanted(row, column).
    """

    cell_chosen = Signal(int, int)
    reset_wanted = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("codebook.grid")
        self.setAccessibleName("Code grid over its picture")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)
        self._look: GridLook | None = None
        self._image: QImage | None = None
        self._cell: tuple[int, int] | None = None
        theme.notifier().changed.connect(self._repaint)

    @property
    def image(self) -> QImage | None:
        """The picture below the grid, in its own size."""
        return self._image

    def show_look(self, look: GridLook | None) -> None:
        """Show this grid and its picture, or none; painted before this returns."""
        self._look = look
        self._image = None if look is None else to_image(look.after)
        self.repaint()

    def show_cell(self, cell: tuple[int, int] | None) -> None:
        """Ring this cell."""
        self._cell = cell
        self.update()

    def rect_of(self, row: int, column: int) -> QRectF:
        """Where a cell is on the widget."""
        assert self._look is not None
        (rows, columns), whole = self._look.cells_RW.shape, self._whole()
        wide, high = whole.width() / columns, whole.height() / rows
        return QRectF(whole.left() + column * wide, whole.top() + row * high, wide, high)

    def cell_at(self, position: QPointF) -> tuple[int, int] | None:
        """The cell at a place on the widget."""
        if self._look is None or not self._whole().contains(position):
            return None
        (rows, columns), whole = self._look.cells_RW.shape, self._whole()
        row = int((position.y() - whole.top()) / whole.height() * rows)
        column = int((position.x() - whole.left()) / whole.width() * columns)
        return min(row, rows - 1), min(column, columns - 1)

    def _whole(self) -> QRectF:
        assert self._image is not None
        scale = min((self.width() - 2) / self._image.width(), (self.height() - 2) / self._image.height())
        wide, high = self._image.width() * scale, self._image.height() * scale
        return QRectF((self.width() - wide) / 2, (self.height() - high) / 2, wide, high)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The picture, the cells' borders and numbers, what was edited, and the cell that is chosen."""
        del event
        colours, look = theme.current(), self._look
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(colours.raised))
        if look is not None and self._image is not None:
            painter.drawImage(self._whole(), self._image)
            grey = QColor(128, 128, 128, 110)
            font = QFont(self.font())
            font.setPixelSize(max(8, min(11, int(self.rect_of(0, 0).width() / 2.6))))
            painter.setFont(font)
            for row, column in np.ndindex(look.cells_RW.shape):
                rect = self.rect_of(row, column)
                painter.setPen(QPen(grey, 1))
                painter.drawRect(rect)
                if rect.width() >= _LEAST_CELL_WITH_NUMBER and rect.height() >= _LEAST_CELL_WITH_NUMBER:
                    painter.setPen(QColor("#8d8d8d"))
                    number = str(look.cells_RW[row, column])
                    painter.drawText(rect.adjusted(2, 1, -2, -1), Qt.AlignmentFlag.AlignLeft, number)
                if look.cells_RW[row, column] != look.own_RW[row, column]:
                    painter.setPen(QPen(QColor(colours.warning), 2))
                    painter.drawRect(rect.adjusted(1, 1, -1, -1))
            if self._cell is not None and self._cell in np.ndindex(look.cells_RW.shape):
                for ink, width in ((colours.panel, 4.0), (colours.accent, 2.0)):
                    painter.setPen(QPen(QColor(ink), width))
                    painter.drawRect(self.rect_of(*self._cell))
        painter.setPen(QPen(QColor(colours.accent if self.hasFocus() else colours.border), 1))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def event(self, event: QEvent) -> bool:
        """A cell's code under the mouse; arrows and Delete before they are shortcuts of the window."""
        keys = _RESETTING | set(_ARROWS)
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in keys:
            event.accept()
            return True
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(QPointF(event.pos()))
            if cell is None or self._look is None:
                QToolTip.hideText()
            else:
                words = f"Row {cell[0]}, column {cell[1]}: code {self._look.cells_RW[cell]}"
                QToolTip.showText(event.globalPos(), words)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the cell under the mouse."""
        cell = self.cell_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and cell is not None:
            self.cell_chosen.emit(*cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go from cell to cell, Delete gives back the cell's own code."""
        key = Qt.Key(event.key())
        if key in _ARROWS and self._look is not None:
            rows, columns = self._look.cells_RW.shape
            row, column = self._cell or (0, 0)
            down, right = _ARROWS[key] if self._cell is not None else (0, 0)
            self.cell_chosen.emit(min(max(row + down, 0), rows - 1), min(max(column + right, 0), columns - 1))
        elif key in _RESETTING and self._cell is not None:
            self.reset_wanted.emit(*self._cell)
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(200, 200)

    @Slot()
    def _repaint(self) -> None:
        self.update()
