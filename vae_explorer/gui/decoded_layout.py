"""Where the decoded image, its texts and the nearest images go in a panel of any shape: the picture as large as can be.

Plain arithmetic on sizes, no widgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QRect, QSize

from vae_explorer.gui.widgets.neighbour_strip import COLUMN_WIDTH, SIDE

_LEFT, _TOP, _RIGHT, _BOTTOM = 12, 10, 12, 8
_SPACING, _BESIDE_STRIP, _BESIDE_TEXTS = 8, 5, 10
_NARROW_LINES, _WIDE_LINES = 3, 6
_NARROW_MORE, _WIDE_MORE = 1, 2  # with the strip, for what it says
_LYING_WIDTH = 240
_NAMES_WIDTH = 68  # between the pictures of a lying strip, for their names
_LEAST_PICTURE = 84
_WIDE_GAIN = 1.1  # texts go beside the picture where that makes it this much larger
_NEARLY_AS_LARGE, _FOR_LARGE_NEIGHBOURS = 0.93, 0.85
_WORTH_IT = 0.55  # rather no strip than a picture smaller than this part of what it could be


class StripHeights(Protocol):
    """How high the strip of nearest images is, in logical pixels, by the side of its pictures."""

    def lying_height(self, side: int) -> int:
        """Below the picture or the texts."""

    def standing_height(self, side: int) -> int:
        """Beside the picture, at least."""


@dataclass(frozen=True, slots=True)
class DecodedLayout:
    """Places in the panel. `strip` is None where there is no room for it; `side` is that of its pictures."""

    view: QRect
    facts: QRect
    strip: QRect | None
    is_wide: bool = False
    is_standing: bool = False
    side: int = SIDE

    @property
    def picture(self) -> int:
        """The side of the largest square in the picture's place."""
        return min(self.view.width(), self.view.height())


def decoded_layout(size: QSize, line: int, text_width: int, strip: StripHeights) -> DecodedLayout:
    """The layout of a panel of this size.

    `line` is the height of a line of text, `text_width` what the longest needs; `strip` says how high the nearest
    images are.

    In order of preference: all in one column with large or small neighbours, texts and neighbours beside, neighbours
    standing beside the picture; a less preferred one is taken where it makes the picture clearly larger.
    """
    room = QRect(_LEFT, _TOP, max(size.width() - _LEFT - _RIGHT, 1), max(size.height() - _TOP - _BOTTOM, 1))
    column, beside = _in_column(room, line), _beside(room, line, text_width)
    bare = beside if beside.picture > _WIDE_GAIN * column.picture else column
    choices = [
        (_in_column(room, line, strip.lying_height(2 * SIDE), 2 * SIDE), _FOR_LARGE_NEIGHBOURS),
        (_in_column(room, line, strip.lying_height(SIDE)), _NEARLY_AS_LARGE),
        (_beside(room, line, max(text_width, _LYING_WIDTH), strip.lying_height(SIDE)), _NEARLY_AS_LARGE),
        (_standing(room, line, strip.standing_height(SIDE)), 0.0),
    ]
    fitting = [(layout, share) for layout, share in choices if layout.strip is not None]
    largest = max((layout.picture for layout, _ in fitting), default=0)
    if largest < max(_LEAST_PICTURE, _WORTH_IT * bare.picture):
        return bare
    return next(layout for layout, share in fitting if layout.picture >= share * largest)


def _in_column(room: QRect, line: int, strip_height: int = 0, side: int = SIDE) -> DecodedLayout:
    texts = (_NARROW_LINES + (_NARROW_MORE if strip_height else 0)) * line
    below = texts + _SPACING + (strip_height + _SPACING if strip_height else 0)
    view = QRect(room.left(), room.top(), room.width(), max(room.height() - below, 1))
    facts = QRect(room.left(), view.bottom() + 1 + _SPACING, room.width(), texts)
    is_too_narrow = room.width() < 6 * side + _NAMES_WIDTH
    strip = QRect(room.left(), facts.bottom() + 1 + _SPACING, room.width(), strip_height)
    return DecodedLayout(view, facts, strip if strip_height and not is_too_narrow else None, side=side)


def _beside(room: QRect, line: int, text_width: int, strip_height: int = 0) -> DecodedLayout:
    texts = (_WIDE_LINES + (_WIDE_MORE if strip_height else 0)) * line
    view = QRect(room.left(), room.top(), max(room.width() - text_width - _BESIDE_TEXTS, 1), room.height())
    height = texts + (strip_height + _SPACING if strip_height else 0)
    top = room.top() + max((room.height() - height) // 2, 0)
    left = view.right() + 1 + _BESIDE_TEXTS
    facts = QRect(left, top, text_width, min(texts, room.height()))
    strip = QRect(left, facts.bottom() + 1 + _SPACING, text_width, strip_height)
    return DecodedLayout(view, facts, strip if strip_height and height <= room.height() else None, is_wide=True)


def _standing(room: QRect, line: int, least_height: int) -> DecodedLayout:
    texts = (_NARROW_LINES + _NARROW_MORE) * line
    view = QRect(room.left(), room.top(), room.width(), max(room.height() - texts - _SPACING, 1))
    facts = QRect(room.left(), view.bottom() + 1 + _SPACING, room.width(), texts)
    view.adjust(0, 0, -COLUMN_WIDTH - _BESIDE_STRIP, 0)
    # Beside the square of the picture, not at the far end of a wide panel.
    spare = max(view.width() - view.height(), 0)
    view.adjust(spare // 2, 0, -(spare - spare // 2), 0)
    strip = QRect(view.right() + 1 + _BESIDE_STRIP, view.top(), COLUMN_WIDTH, view.height())
    has_room = view.height() >= least_height and view.width() > 1
    return DecodedLayout(view, facts, strip if has_room else None, is_standing=True)
