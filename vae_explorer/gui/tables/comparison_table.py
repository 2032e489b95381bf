"""Measured runs side by side: a row a measure, a column a run; what may not be compared is not ranked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from vae_explorer.evaluation.comparison import ComparedMeasure, MeasuredRun, comparison
from vae_explorer.evaluation.words import error_text, value_text

Index = QModelIndex | QPersistentModelIndex
_NOT_RANKED = "not ranked"


class ComparisonTable(QAbstractTableModel):
    """The last column says in a word whether the row is ranked; its tool tip, and `refusal_at`, why not."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.runs: tuple[MeasuredRun, ...] = ()
        self.rows: tuple[ComparedMeasure, ...] = ()

    def show_runs(self, runs: Sequence[MeasuredRun]) -> None:
        """Other runs, or more measurements of them."""
        self.beginResetModel()
        self.runs, self.rows = tuple(runs), comparison(runs)
        self.endResetModel()

    def refusal_at(self, row: int) -> str:
        """Why a row is not ranked and what to do; empty where it is."""
        found = self.rows[row]
        return f"{found.refusal} {found.hint}".strip()

    def as_text(self) -> str:
        """The table as tab-separated lines."""
        columns = range(self.columnCount())
        head = [str(self.headerData(column, Qt.Orientation.Horizontal)) for column in columns]
        lines = [[str(self.data(self.index(row, column)) or "") for column in columns] for row in range(len(self.rows))]
        return "\n".join("\t".join(line) for line in [head, *lines])

    # --- Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """A row a measure."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """The measure, the runs, whether it is ranked."""
        return 0 if parent.isValid() else len(self.runs) + 2

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Names of runs; their data and protocol as tool tips."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        is_run = 0 < section <= len(self.runs)
        if role == Qt.ItemDataRole.ToolTipRole and is_run:
            run = self.runs[section - 1]
            return f"{run.dataset}, protocol {run.protocol}"
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return self.runs[section - 1].name if is_run else "Measure" if section == 0 else "Ranking"

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Values with their errors; the best of those that may be compared is bold."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(row, column)
            case Qt.ItemDataRole.FontRole if 0 < column <= len(self.runs) and self._is_best(row, column):
                font = QFont()
                font.setBold(True)
                return font
            case Qt.ItemDataRole.TextAlignmentRole if 0 < column <= len(self.runs):
                return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            case _:
                return None

    def _text(self, row: ComparedMeasure, column: int) -> str:
        if column == 0:
            return f"{row.measure.title} ({row.measure.unit})"
        if column > len(self.runs):
            return _NOT_RANKED if row.refusal else row.measure.better
        item = dict(entry for group in row.groups for entry in group).get(self.runs[column - 1].name)
        if item is None:
            return ""
        error = error_text(item)
        return f"{value_text(item)} ± {error}" if error else value_text(item)

    def _tip(self, row: ComparedMeasure, column: int) -> str:
        if column > len(self.runs) or column == 0:
            return f"{row.refusal}\n{row.hint}" if row.refusal else row.measure.summary
        item = dict(entry for group in row.groups for entry in group).get(self.runs[column - 1].name)
        if item is None:
            return "Not measured."
        bound = f", {item.bound}" if item.bound else ""
        return f"protocol {item.protocol}{bound}, {item.n:,} images of the split {item.split}, seed {item.seed}"

    def _is_best(self, row: ComparedMeasure, column: int) -> bool:
        if row.refusal or row.measure.better == "neither" or len(row.groups[0]) < 2:
            return False
        return row.groups[0][0][0] == self.runs[column - 1].name
