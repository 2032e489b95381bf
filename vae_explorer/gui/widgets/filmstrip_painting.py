"""What stands below the frames of a filmstrip: how many codes are near each, and the ruler of visual length."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme

GAP, BAR, RULER = 3.0, 4.0, 13.0
"""Heights in logical pixels: below the pictures, of a bar, of the ruler."""
_OVERHANG = 2.0  # of a number beyond its frame


def near_words(near_F: np.ndarray, width_of: Callable[[str], float], cell_width: float) -> list[str]:
    """The numbers of codes near the frames, in as many words as there is room for below every frame alike."""
    numbers = [int(near) for near in near_F]
    long = [f"{near:,} code{'' if near == 1 else 's'}" if near else "none" for near in numbers]
    short = [f"{near:,}" if near else "none" for near in numbers]
    fitting = (words for words in (long, short) if max(map(width_of, words)) <= cell_width)
    return next(fitting, [f"{near:,}" for near in numbers])


def paint_near(painter: QPainter, cells: Mapping[int, QRectF], near_F: np.ndarray, top: float, colours: Theme) -> None:
    """A bar (logarithmic) and a number below each frame in sight; hollow where no code is near."""
    most = math.log1p(max(int(near_F.max()), 1))
    metrics = QFontMetricsF(painter.font())
    width = next(iter(cells.values())).width() if cells else 0.0
    words = near_words(near_F, metrics.horizontalAdvance, width)
    for frame, cell in cells.items():
        bar = QRectF(cell.left(), top, cell.width(), BAR)
        if near_F[frame]:
            painter.fillRect(bar, QColor(colours.pressed))
            bar.setWidth(cell.width() * math.log1p(int(near_F[frame])) / most)
            painter.fillRect(bar, QColor(colours.good))
            painter.setPen(QColor(colours.muted))
        else:
            painter.setPen(QPen(QColor(colours.warning), 1))
            painter.drawRect(bar.adjusted(0, 0, -1, -1))
        place = QRectF(cell.left() - _OVERHANG, top + BAR + 1, cell.width() + 2 * _OVERHANG, metrics.height())
        painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, words[frame])


def ruler_ticks(left: float, right: float, length_F: np.ndarray, end: float) -> list[float]:
    """Where each frame's length so far stands on a ruler from 0 to `end`, or to the whole length where that is more."""
    whole = max(float(length_F[-1]), end)
    return [left + (right - left) * float(length) / whole for length in length_F]


def paint_ruler(
    painter: QPainter, centres: Sequence[float], length_F: np.ndarray, end: float, current: int, top: float,
    colours: Theme,
) -> None:  # fmt: skip
    """Each frame's tick at the length so far, joined to the frame, and the whole length as a number.

    Two rulers with one `end` have one scale. Nothing where lengths are unknown.
    """
    whole = float(length_F[-1])
    if len(centres) < 2 or not math.isfinite(whole) or whole <= 0:
        return
    base = top + RULER - 3
    ticks = ruler_ticks(centres[0], centres[-1], length_F, end)
    painter.setPen(QPen(QColor(colours.border_strong), 1))
    painter.drawLine(QPointF(centres[0], base), QPointF(ticks[-1], base))
    for frame, (centre, tick) in enumerate(zip(centres, ticks, strict=True)):
        is_current = frame == current
        painter.setPen(QPen(QColor(colours.accent if is_current else colours.border_strong), 1))
        painter.drawLine(QPointF(centre, top + 1), QPointF(tick, base - 3))
        painter.setPen(QPen(QColor(colours.accent if is_current else colours.muted), 1.6 if is_current else 1))
        painter.drawLine(QPointF(tick, base - 3), QPointF(tick, base + 3))
    painter.setPen(QColor(colours.muted))
    painter.drawText(QPointF(ticks[-1] + 4, base + 3), number_text(whole, 2))
