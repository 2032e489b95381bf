"""New or a copy? The images nearest to a decoded picture in a row or a column, and what their distances say."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.neighbour_words import (
    DISTANCE_MEANING,
    QUESTION,
    CellKind,
    StripCell,
    ratio_text,
    short_text,
)
from vae_explorer.gui.widgets.image_actions import ImageActions, ShownPicture, to_image
from vae_explorer.gui.widgets.image_view import CRISP_SIDE
from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme
    from vae_explorer.latent.novelty import Novelty

SIDE = 28
"""Logical pixels of a small picture, or twice as many where there is room."""

COLUMN_WIDTH = 62
"""Of the strip when it stands upright, in logical pixels."""

_REST = "Rest on a place, or pin it, to see the images nearest to its picture."
_GAP, _LEAST_GROUP_GAP, _MOST_GROUP_GAP = 4, 22, 36
_BETWEEN = 3
_PALE = 0.35
_NAME_ROOM = 8  # by which the last name is wider than its picture

_TRAINING: tuple[CellKind, ...] = ("training", "training", "training", "training")


class NeighbourStrip(QWidget):
    """Lying, it is as high as `lying_height` says; standing, `COLUMN_WIDTH` wide, with as many pictures as fit.

    picture_clicked(int): a click, Enter or the space bar on the picture of this item.
    words_changed(): `short`, `details` or `is_pale` is another.
    """

    picture_clicked = Signal(int)
    words_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"{QUESTION} The nearest images")
        self.is_standing = False
        self.is_pale = False
        self.side = SIDE
        self.words, self.short, self.details = "", "", ""
        self._original: StripCell | None = None
        self._nearest: tuple[StripCell, ...] = ()
        self._chosen = 0
        self._pressed: StripCell | None = None
        self.actions_on_picture = ImageActions(self, self.picture_at, chosen_at=self._chosen_place)
        self.say(_REST)
        theme.notifier().changed.connect(self._repaint)

    # --- what is shown

    @property
    def nearest(self) -> tuple[StripCell, ...]:
        """The nearest images shown."""
        return self._nearest

    @property
    def original(self) -> StripCell | None:
        """The image whose code is under the mouse."""
        return self._original

    def show_nearest(self, cells: tuple[StripCell, ...], novelty: Novelty) -> None:
        """Show an answer."""
        self._nearest, self.is_pale = cells, False
        words = ratio_text(novelty)
        self._set_words(words, short_text(novelty), f"{words}.\n{novelty.verdict}\n{novelty.note}".strip())

    def show_original(self, cell: StripCell | None) -> None:
        """Show the image whose code is under the mouse, or none."""
        if cell is not self._original:
            self._original = cell
            self.update()

    def say(self, sentence: str) -> None:
        """A sentence in place of the nearest images."""
        self._nearest, self.is_pale = (), False
        self._set_words(sentence, sentence, sentence)

    def rest(self) -> None:
        """Nothing was compared yet."""
        self.say(_REST)

    def set_pale(self) -> None:
        """What it shows belongs to another picture than the one decoded now."""
        if self._nearest and not self.is_pale:
            self.is_pale = True
            self.update()
            self.words_changed.emit()

    def _set_words(self, words: str, short: str, details: str) -> None:
        self.words, self.short = words, short
        self.details = f"{QUESTION}\n{details}\n{DISTANCE_MEANING}" if self._nearest else f"{QUESTION}\n{details}"
        self.setAccessibleDescription(words)
        self._chosen = min(self._chosen, max(len(self.placed()) - 1, 0))
        self.update()
        self.words_changed.emit()

    # --- where it stands

    def set_form(self, *, is_standing: bool, side: int) -> None:
        """Lying or standing, and the logical pixels of a picture."""
        self.is_standing, self.side = is_standing, side
        self.update()

    def lying_height(self, side: int) -> int:
        """Names, pictures and distances."""
        line = QFontMetricsF(self._small()).height()
        return round(2 * line + side + 4)

    def standing_height(self, side: int) -> int:
        """What it needs at least when it stands: a row of training images, and the held-out one."""
        line = math.ceil(QFontMetricsF(self._small()).height())
        return 4 * line + 2 * side + 2 * _BETWEEN

    def placed(self) -> list[tuple[StripCell, QRectF]]:
        """The pictures in sight, and where."""
        cells: list[tuple[StripCell, QRectF]] = []
        places = self._standing_places() if self.is_standing else self._lying_places()
        number = 0
        for kind, place in places:
            if kind == "original":
                cell = self._original
            elif kind == "training":
                training = [known for known in self._nearest if known.kind == "training"]
                cell = training[number] if number < len(training) else None
                number += 1
            else:
                cell = next((known for known in self._nearest if known.kind == "held out"), None)
            if cell is not None:
                cells.append((cell, place))
        return cells

    def _lying_places(self) -> list[tuple[CellKind, QRectF]]:
        side = self.side
        room = (self.width() - 2 - _NAME_ROOM - (len(_TRAINING) + 2) * side - (len(_TRAINING) - 1) * _GAP) / 2
        gap = round(min(max(room, _LEAST_GROUP_GAP), _MOST_GROUP_GAP))
        top = round(QFontMetricsF(self._small()).height()) + 1
        # The original, which is there only under the mouse, leaves no hole at the beginning.
        kinds: tuple[CellKind, ...] = (*_TRAINING, "held out", "original")
        places: list[tuple[CellKind, QRectF]] = []
        left = 1.0
        for number, kind in enumerate(kinds):
            places.append((kind, QRectF(left, top, side, side)))
            left += side + (_GAP if number < len(_TRAINING) - 1 else gap)
        return places

    def _standing_places(self) -> list[tuple[CellKind, QRectF]]:
        side, line = self.side, math.ceil(QFontMetricsF(self._small()).height())
        row = side + line + 1
        num_rows = 2 if self.height() >= self.standing_height(side) + row else 1
        places: list[tuple[CellKind, QRectF]] = []
        for number in range(2 * num_rows):
            down, across = divmod(number, 2)
            places.append(("training", QRectF(1 + across * (side + _GAP), 1 + line + down * row, side, side)))
        top = 1 + line + num_rows * row + _BETWEEN + line
        below = top + row + _BETWEEN + line
        # The original has a row of its own where there is room; else it is beside the held-out one, its name below the
        # number of that one.
        corner = (1, below) if below + side + 1 <= self.height() else (1 + side + _GAP, top)
        return [*places, ("held out", QRectF(1, top, side, side)), ("original", QRectF(*corner, side, side))]

    def cell_at(self, position: QPoint) -> StripCell | None:
        """The picture at a place of the widget."""
        return next((cell for cell, place in self.placed() if place.contains(QPointF(position))), None)

    def picture_at(self, position: QPoint) -> ShownPicture | None:
        """The same, to be copied or saved."""
        cell = self.cell_at(position)
        return None if cell is None else ShownPicture(cell.picture, cell.facts)

    def _chosen_place(self) -> QPoint:
        placed = self.placed()
        return placed[min(self._chosen, len(placed) - 1)][1].center().toPoint() if placed else self.rect().center()

    # --- mouse and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a picture."""
        super().mousePressEvent(event)
        self._pressed = self.cell_at(event.position().toPoint())
        if self._pressed is not None:
            self._chosen = next(number for number, (cell, _) in enumerate(self.placed()) if cell is self._pressed)
            self.update()
            event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click, if it is still the same picture."""
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        is_left = event.button() is Qt.MouseButton.LeftButton
        if pressed is not None and is_left and self.cell_at(event.position().toPoint()) is pressed:
            self.picture_clicked.emit(pressed.item)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows choose, Enter and space click."""
        placed = self.placed()
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}
        key = Qt.Key(event.key())
        if placed and key in steps:
            self._chosen = min(max(self._chosen + steps[key], 0), len(placed) - 1)
            self.setAccessibleDescription(placed[self._chosen][0].tip)
            self.update()
        elif placed and key in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}:
            self.picture_clicked.emit(placed[min(self._chosen, len(placed) - 1)][0].item)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Tells of the picture under the mouse, elsewhere of the whole, in a tool tip."""
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(event.pos())
            tip = self.details if cell is None else cell.tip
            # As an element, whatever a data set calls its items stays plain words.
            QToolTip.showText(event.globalPos(), f"<p style='white-space:pre-line'>{html.escape(tip)}</p>", self)
            return True
        return super().event(event)

    # --- painting

    def sizeHint(self) -> QSize:
        """Lying, with small pictures."""
        return QSize(240, self.lying_height(SIDE))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The pictures under their names, or a sentence where none was compared."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        painter.setFont(self._small())
        places = self._standing_places() if self.is_standing else self._lying_places()
        for number, (cell, place) in enumerate(self.placed()):
            painter.setOpacity(_PALE if self.is_pale and cell.kind != "original" else 1.0)
            self._paint_cell(painter, cell, place, colours)
            if self.hasFocus() and number == self._chosen:
                painter.setPen(QPen(QColor(colours.accent), 2))
                painter.drawRect(place.adjusted(-1, -1, 1, 1))
        painter.setPen(QColor(colours.muted))
        known = {cell.kind for cell, _ in self.placed()}
        for kind, box, alignment in self._names(places):
            if kind in known:
                painter.setOpacity(_PALE if self.is_pale and kind != "original" else 1.0)
                painter.drawText(box, alignment | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextDontClip, kind)
        if not known and not self.is_standing:
            wrap = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), wrap, self.words)

    def _paint_cell(self, painter: QPainter, cell: StripCell, place: QRectF, colours: Theme) -> None:
        image = to_image(cell.picture)
        scale = place.width() / max(image.width(), image.height())
        target = QRectF(0, 0, image.width() * scale, image.height() * scale)
        target.moveCenter(place.center())
        factor = scale * self.devicePixelRatioF()
        is_smooth = max(image.width(), image.height()) > CRISP_SIDE or factor != round(factor)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smooth)
        painter.drawImage(target, image)
        # The original has the colour of the ring around its code on the map.
        ink = {"original": colours.accent, "training": colours.border_strong, "held out": colours.muted}[cell.kind]
        is_dashed = cell.kind == "held out"
        painter.setPen(QPen(QColor(ink), 1, Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine))
        painter.drawRect(place.adjusted(-1, -1, 0, 0))
        painter.setPen(QColor(colours.text))
        if cell.distance is not None:
            line = QFontMetricsF(painter.font()).height()
            box = QRectF(place.left() - _GAP, place.bottom() + 1, place.width() + 2 * _GAP, line)
            centre = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextDontClip
            painter.drawText(box, centre, number_text(cell.distance, 1))

    def _names(self, places: list[tuple[CellKind, QRectF]]) -> list[tuple[CellKind, QRectF, Qt.AlignmentFlag]]:
        """Where the name of each kind of picture stands: above the first of them, within the strip."""
        metrics = QFontMetricsF(self._small())
        line = metrics.height()
        names: list[tuple[CellKind, QRectF, Qt.AlignmentFlag]] = []
        kinds: tuple[CellKind, ...] = ("training", "held out", "original")
        for kind in kinds:
            place = next(place for known, place in places if known == kind)
            width = metrics.horizontalAdvance(kind) + 1
            is_beside = self.is_standing and kind == "original" and place.left() > 1
            top = place.bottom() + 1 + line if is_beside else place.top() - line - 1
            # Over the middle of a lone picture, the first of several begins the row.
            left = place.left() - 1 if kind == "training" or self.is_standing else place.center().x() - width / 2
            left = min(left, self.width() - width)
            # Without room for its name the original is told by the colour of its ring, and in the tool tip.
            if top + line <= self.height():
                names.append((kind, QRectF(left, top, width, line), Qt.AlignmentFlag.AlignLeft))
        return names

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(font.pointSizeF() - 1.5, 7.0))
        return font

    @Slot()
    def _repaint(self) -> None:
        self.update()
