"""The measures that there are, with what was measured last: a row each, with a box to choose it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.record import Measure, Measurement
from vae_explorer.evaluation.words import error_text, notes, value_text

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Measure", "Value", "± s.e.", "Unit", "Bound", "Images", "Split")
_BETTER = {"lower": "lower is better", "higher": "higher is better", "neither": "neither end is better"}
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class MeasuresTable(QAbstractTableModel):
    """`chosen` are the names whose boxes are ticked; measures that do not apply are grey and say why."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.measures: tuple[Measure, ...] = tuple(MEASURES)
        self.chosen = {measure.name for measure in self.measures if measure.by_default}
        self._obstacles: Mapping[str, str] = {}
        self._values: dict[str, Measurement] = {}

    def show_obstacles(self, obstacles: Mapping[str, str]) -> None:
        """Why measures cannot be taken, by name; an empty text for those that can."""
        if obstacles != self._obstacles:
            self._obstacles = obstacles
            self._changed()

    def show_value(self, item: Measurement) -> None:
        """A new value."""
        self._values[item.name] = item
        self._changed()

    def forget_values(self) -> None:
        """They are of other weights."""
        self._values.clear()
        self._changed()

    def names_to_take(self) -> tuple[str, ...]:
        """What is ticked and can be taken, in order."""
        return tuple(m.name for m in self.measures if m.name in self.chosen and not self._obstacles.get(m.name))

    def value_of(self, name: str) -> Measurement | None:
        """What was measured last."""
        return self._values.get(name)

    # --- Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """A row a measure."""
        return 0 if parent.isValid() else len(self.measures)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """As `COLUMNS`."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles of columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """What does not apply cannot be chosen."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        measure = self.measures[index.row()]
        flags = Qt.ItemFlag.ItemIsSelectable
        if not self._obstacles.get(measure.name):
            flags |= Qt.ItemFlag.ItemIsEnabled
            if index.column() == 0:
                flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, box, alignment and tool tip of a cell."""
        if not index.isValid():
            return None
        measure = self.measures[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(measure, index.column())
            case Qt.ItemDataRole.CheckStateRole if index.column() == 0:
                return Qt.CheckState.Checked if measure.name in self.chosen else Qt.CheckState.Unchecked
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if index.column() in (1, 2, 5) else _LEFT
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(measure)
            case _:
                return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tick or untick a box."""
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        name = self.measures[index.row()].name
        if Qt.CheckState(value) == Qt.CheckState.Checked:
            self.chosen.add(name)
        else:
            self.chosen.discard(name)
        self.dataChanged.emit(index, index)
        return True

    def _text(self, measure: Measure, column: int) -> str:
        item = self._values.get(measure.name)
        if column == 0:
            return measure.title
        if column == 3:
            return measure.unit
        if item is None:
            return ""
        texts = (value_text(item), error_text(item), measure.unit, item.bound or "", f"{item.n:,}", item.split)
        return texts[column - 1]

    def _tip(self, measure: Measure) -> str:
        lines = [measure.summary, f"{_BETTER[measure.better]}; {measure.cost}", measure.reference]
        item = self._values.get(measure.name)
        if item is not None:
            lines += notes(item)
        if reason := self._obstacles.get(measure.name):
            lines.insert(0, reason)
        return "\n".join(lines)

    def _changed(self) -> None:
        self.dataChanged.emit(self.index(0, 0), self.index(len(self.measures) - 1, len(COLUMNS) - 1))
