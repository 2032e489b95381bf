"""A field for a whole number, as forms, dialogs and rows of controls have it."""

from __future__ import annotations

from PySide6.QtWidgets import QSpinBox

TEXT_MARGIN = 6
"""Pixels before the text of any spin box: the style sheet's padding does not reach the line edit within."""


def count_box(name: str, minimum: int, maximum: int, *, prefix: str = "", suffix: str = "") -> QSpinBox:
    """A spin box that tells of a number when it is complete, not at each key; `name` is for those who do not see it."""
    box = QSpinBox()
    box.setRange(minimum, maximum)
    box.setPrefix(prefix)
    box.setSuffix(suffix)
    box.lineEdit().setTextMargins(TEXT_MARGIN, 0, 0, 0)
    box.setAccelerated(True)
    box.setKeyboardTracking(False)
    box.setAccessibleName(name)
    return box
