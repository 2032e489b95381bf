"""Measures of A and of B in two columns: a row a measure; what may not stand side by side is in neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from vae_explorer.evaluation.record import Measurement
from vae_explorer.evaluation.side_by_side import PairedMeasure

Index = QModelIndex | QPersistentModelIndex
_NOTHING = "—"
_COUNTS = frozenset({"dimensions"})


class PairedTable(QAbstractTableModel):
    """The better one of two values is bold; a tool tip says what each was measured on."""

    def __init__(self, parent: QObject | None = None, *, digits: int = 2) -> None:
        super().__init__(parent)
        self.pairs: tuple[PairedMeasure, ...] = ()
        self._digits = digits

    def show_pairs(self, pairs: Sequence[PairedMeasure]) -> None:
        """Other values; as many measures as before keep what is chosen in the table."""
        pairs = tuple(pairs)
        if [pair.measure.name for pair in pairs] == [pair.measure.name for pair in self.pairs]:
            self.pairs = pairs
            if pairs:
                self.dataChanged.emit(self.index(0, 0), self.index(len(pairs) - 1, 2))
                self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, 0)
            return
        self.beginResetModel()
        self.pairs = pairs
        self.endResetModel()

    # --- Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """A row a measure."""
        return 0 if parent.isValid() else len(self.pairs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """The measure, A, B."""
        return 0 if parent.isValid() else 3

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Names of the columns."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_alignment(section))
        return (self._unit(), "A", "B")[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A value with its standard error."""
        if not index.isValid():
            return None
        pair, column = self.pairs[index.row()], index.column()
        item = (None, pair.first, pair.second)[column]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return pair.measure.title if column == 0 else self._text(item)
            case Qt.ItemDataRole.ToolTipRole:
                return f"{pair.measure.summary} ({pair.measure.unit})" if column == 0 else _told(item, pair)
            case Qt.ItemDataRole.FontRole if column and pair.better == " AB"[column]:
                font = QFont()
                font.setBold(True)
                return font
            case Qt.ItemDataRole.TextAlignmentRole:
                return int(_alignment(column))
            case _:
                return None

    def _unit(self) -> str:
        """That of all values but counts."""
        values = (pair.first or pair.second for pair in self.pairs)
        return next((value.unit for value in values if value is not None and value.unit not in _COUNTS), "")

    def _text(self, item: Measurement | None) -> str:
        if item is None:
            return _NOTHING
        digits = 0 if item.unit in _COUNTS else self._digits
        error = "" if item.standard_error is None else f" ± {item.standard_error:.{digits}f}"
        return f"{item.value:.{digits}f}{error}"


def _told(item: Measurement | None, pair: PairedMeasure) -> str:
    if item is None:
        return f"{pair.refusal} {pair.hint}".strip() or "This run does not have it."
    bound = f", {item.bound}" if item.bound else ""
    images = {"heldout": "images that both runs hold out", "test": "test images"}.get(item.split)
    on = item.split if images is None else f"{item.n:,} {images}, seed {item.seed}"
    return f"protocol {item.protocol}{bound}, {on}"


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
