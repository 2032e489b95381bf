"""The settings in which two runs differ, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from vae_explorer.gui.widgets.group_parts import plain_tip
from vae_explorer.runs.comparable import SettingDifference

Index = QModelIndex | QPersistentModelIndex
_NONE = "–"


class SettingsTable(QAbstractTableModel):
    """The setting with its unit, its value in the one run, its value in the other."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[SettingDifference, ...] = ()
        self._names = ("", "")

    def show_difference(self, rows: Sequence[SettingDifference], first: str, second: str) -> None:
        """Other runs; their names stand in the header."""
        self.beginResetModel()
        self.rows, self._names = tuple(rows), (first, second)
        self.endResetModel()

    # --- Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """A row a setting."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """The setting and both values."""
        return 0 if parent.isValid() else 3

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The names of the runs."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        text = ("Setting", *self._names)[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(text)
        return text if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts; what the setting does as tool tip."""
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(f"{row.path}\n{row.setting.help}")
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        unit = f" ({row.setting.unit})" if row.setting.unit else ""
        values = (f"{row.setting.label}{unit}", row.first, row.second)
        return _NONE if values[index.column()] is None else values[index.column()]
