"""The same latent point under every class; or several draws of the rest, where a part of a picture is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRect, Qt, Signal, Slot
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets.image_actions import to_image

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.explorer import Explorer

HEIGHT = 40
NUM_DRAWS = 8
_SLOT = "conditions"
_GAP = 3
_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """Pictures (K, H, W[, C]) uint8 and what they were told."""

    pictures: np.ndarray
    told: int


class ConditionStrip(QWidget):
    """A row of pictures for models with a condition; asks for nothing while it is hidden.

    For a class: one picture a class at the place looked at, the chosen class framed; a click, or Left and Right,
    chooses another. For a part: completions of the image that is looked at, with z drawn from p(z|x).

    chosen(int): the class.
    """

    chosen = Signal(int)

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._row: _Row | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)
        self.hide()
        session.explorer_thread.place.decoded.connect(self._follow)
        session.snapshot_changed.connect(self._tell)
        theme.notifier().changed.connect(self._repaint)

    @property
    def num_pictures(self) -> int:
        """How many are shown."""
        return 0 if self._row is None else len(self._row.pictures)

    def picture(self, number: int) -> np.ndarray:
        """One of them, uint8 (H, W) or (H, W, C)."""
        assert self._row is not None
        picture: np.ndarray = self._row.pictures[number]
        return picture

    def cell(self, number: int) -> QRect:
        """Where it stands."""
        count = max(self.num_pictures, 1)
        side = max(min(HEIGHT - 4, (self.width() - _GAP * (count - 1)) // count), 8)
        return QRect(number * (side + _GAP), (HEIGHT - side) // 2, side, side)

    @Slot(object)
    def _tell(self, _snapshot: object) -> None:
        is_part = self._session.map.condition == "part"
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if is_part else Qt.FocusPolicy.StrongFocus)
        name = "Completions drawn from p(z|x)" if is_part else "The same place under every class: click to choose one"
        self.setAccessibleName(name)
        self.setToolTip(name)

    @Slot(object)
    def _follow(self, place: object) -> None:
        if not isinstance(place, DecodedPlace) or place.told is None or not self.isVisible():
            return
        condition = self._session.map.condition
        work = partial(_completions if condition == "part" else _classes, z_D=place.z_D)
        self._session.map.explore(_SLOT, work, self._show, lambda _error: None)

    def _show(self, row: _Row) -> None:
        self._row = row
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the class under the mouse."""
        if self._session.map.condition != "class":
            return
        at = event.position().toPoint()
        for number in range(self.num_pictures):
            if self.cell(number).contains(at):
                self.chosen.emit(number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right choose the class beside."""
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        if by and self._row is not None and self._session.map.condition == "class":
            self.chosen.emit((self._row.told + by) % self.num_pictures)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The pictures; a frame round the chosen class."""
        if self._row is None:
            return
        painter, colours = QPainter(self), theme.current()
        for number in range(self.num_pictures):
            cell = self.cell(number)
            painter.drawImage(cell, to_image(self.picture(number)))
            if self._session.map.condition == "class" and number == self._row.told:
                painter.setPen(QPen(QColor(colours.accent), 2))
                painter.drawRect(cell.adjusted(0, 0, -1, -1))
        painter.end()

    @Slot()
    def _repaint(self, *_news: object) -> None:
        self.update()


def _classes(explorer: Explorer, z_D: np.ndarray) -> _Row | None:
    if explorer.snapshot is None or explorer.record.condition != "class":
        return None
    return _Row(explorer.decode_under_each_class(z_D), explorer.snapshot.told)


def _completions(explorer: Explorer, z_D: np.ndarray) -> _Row | None:
    del z_D  # draws do not depend on the place
    if explorer.snapshot is None or explorer.record.condition != "part":
        return None
    pictures, _ = explorer.sample(NUM_DRAWS, _SEED)
    return _Row(pictures, explorer.snapshot.told)
