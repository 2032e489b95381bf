"""The codes of a codebook in a plane: a disc a code, as large as it is used; dead ones are rings."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vae_explorer.gui import theme
from vae_explorer.latent.codebook_view import CodebookLook

_ARROWS: Final = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
_MARGIN, _LEAST_RADIUS, _DEAD_RADIUS = 14.0, 2.0, 2.5
_INK_SHARE: Final = 0.15  # of the widget's area that all discs together would cover
_REACH: Final = 14.0  # pixels around a disc in which a click is meant for it


class CodebookScatter(QWidget):
    """Shows a look at a codebook. A click or the arrow keys choose a code, Enter or a double click takes it.

    chosen(int): the code that is looked at now. taken(int): the code is wanted for the cell that is edited.
    """

    chosen = Signal(int)
    taken = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("codebook.scatter")
        self.setAccessibleName("Codes in their principal plane")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)
        self._look: CodebookLook | None = None
        self._code = -1
        theme.notifier().changed.connect(self._repaint)

    def show_look(self, look: CodebookLook | None) -> None:
        """Show these codes, or none."""
        self._look = look
        self.update()

    def show_chosen(self, code: int) -> None:
        """Ring this code; -1 for none."""
        self._code = code
        self.update()

    def place_of(self, code: int) -> QPointF:
        """Where a code is on the widget."""
        assert self._look is not None
        return QPointF(*self._screen()[code])

    def code_at(self, position: QPointF) -> int | None:
        """The code under or next to a place on the widget, None where there is none near."""
        if self._look is None:
            return None
        gaps_K = np.hypot(*(self._screen() - (position.x(), position.y())).T) - self._radii()
        nearest = int(gaps_K.argmin())
        return nearest if gaps_K[nearest] <= _REACH else None

    def _screen(self) -> np.ndarray:
        """Places of the codes in pixels, (K, 2): each axis fills the widget, as the second often is far shorter."""
        assert self._look is not None
        places_K2 = self._look.places_K2
        low_2, high_2 = places_K2.min(axis=0), places_K2.max(axis=0)
        room = (self.width() - 2 * _MARGIN, self.height() - 2 * _MARGIN)
        sides_2 = np.maximum(high_2 - low_2, 1e-12)
        scales_2 = np.array([max(room[0], 1.0), -max(room[1], 1.0)]) / sides_2
        from_middle_K2 = (places_K2 - (low_2 + high_2) / 2) * scales_2
        places: np.ndarray = from_middle_K2 + np.array([self.width() / 2, self.height() / 2])
        return places

    def _radii(self) -> np.ndarray:
        assert self._look is not None
        ink = _INK_SHARE * self.width() * self.height() / math.pi
        radii: np.ndarray = np.maximum(np.sqrt(self._look.share_K * ink), _LEAST_RADIUS)
        return radii

    def paintEvent(self, event: QPaintEvent) -> None:
        """Large discs first, so that none hides a small one."""
        del event
        colours, look = theme.current(), self._look
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(colours.raised))
        if look is not None:
            places_K2, radii_K = self._screen(), self._radii()
            fill = QColor(colours.accent)
            fill.setAlphaF(0.45)
            for code in np.argsort(-look.share_K, kind="stable"):
                centre = QPointF(*places_K2[code])
                is_dead = look.share_K[code] == 0
                painter.setPen(QPen(QColor(colours.faint if is_dead else colours.accent), 1))
                painter.setBrush(Qt.BrushStyle.NoBrush if is_dead else fill)
                radius = _DEAD_RADIUS if is_dead else radii_K[code]
                painter.drawEllipse(centre, radius, radius)
            if 0 <= self._code < len(places_K2):
                painter.setBrush(Qt.BrushStyle.NoBrush)
                for ink, width in ((colours.panel, 4.0), (colours.text, 2.0)):
                    painter.setPen(QPen(QColor(ink), width))
                    radius = float(radii_K[self._code]) + 4
                    painter.drawEllipse(QPointF(*places_K2[self._code]), radius, radius)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colours.accent if self.hasFocus() else colours.border), 1))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def event(self, event: QEvent) -> bool:
        """What a code is, under the mouse; arrows and Enter before they are shortcuts of the window."""
        keys = {*_ARROWS, Qt.Key.Key_Return, Qt.Key.Key_Enter}
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in keys:
            event.accept()
            return True
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            code = self.code_at(QPointF(event.pos()))
            if code is None or self._look is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), f"Code {code}, {share_text(float(self._look.share_K[code]))}")
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Look at the code under the mouse."""
        code = self.code_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and code is not None:
            self.chosen.emit(code)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take the code under the mouse."""
        code = self.code_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and code is not None:
            self.taken.emit(code)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go to the next code in their direction, Enter takes the code looked at."""
        key = Qt.Key(event.key())
        if key in _ARROWS and self._look is not None:
            self.chosen.emit(self._next(*_ARROWS[key]))
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self._code >= 0:
            self.taken.emit(self._code)
        else:
            super().keyPressEvent(event)

    def _next(self, x: float, y: float) -> int:
        """The nearest code within 45 degrees of a direction; the one looked at where there is none."""
        assert self._look is not None
        places_K2 = self._screen()
        if not 0 <= self._code < len(places_K2):
            return int(self._look.share_K.argmax())
        from_here_K2 = places_K2 - places_K2[self._code]
        along_K = from_here_K2 @ (x, y)
        across_K = np.abs(from_here_K2 @ (y, x))
        is_ahead_K = (along_K > 0) & (along_K >= across_K)
        if not is_ahead_K.any():
            return self._code
        return int(np.where(is_ahead_K, along_K + 2 * across_K, np.inf).argmin())

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(200, 200)

    @Slot()
    def _repaint(self) -> None:
        self.update()


def share_text(share: float) -> str:
    """How much a code is used, in words."""
    return "unused" if share == 0 else f"{100 * share:.3g} % of cells"
