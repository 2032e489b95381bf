"""All keyboard shortcuts in one searchable list, made from the window's actions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSortFilterProxyModel, Qt, Slot
from PySide6.QtGui import QAction, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui.dialogs.command_palette import shortcuts_of, title_of

# Keys that belong to a panel and not to the window, so that no action carries them.
PANEL_KEYS: tuple[tuple[str, str, str], ...] = (
    ("Move the pin", "Arrow keys", "On the latent map"),
    ("Go from moment to moment", "Arrow keys, Home, End", "On the time slider below the map"),
    ("Play the training, or rest", "Space", "On the time slider below the map"),
    ("Back to the present", "Escape", "On the time slider below the map"),
    ("Zoom the time axis", "Mouse wheel", "On the curves"),
    ("Follow the newest steps", "Double click", "On the curves"),
    ("Apply a setting", "Enter", "In the form; Escape takes the old value back"),
    ("Step a number", "Up, Down", "In the form"),
)


class ShortcutsDialog(QDialog):
    """Opened by F1 and Ctrl+/; typing filters by name, keys or description."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.shortcuts")
        self.setWindowTitle("Keyboard shortcuts")
        self.field = QLineEdit()
        self.field.setPlaceholderText("Search by name or keys")
        self.field.setAccessibleName("Search shortcuts")
        self.field.setClearButtonEnabled(True)
        self.table = QStandardItemModel(0, 3, self)
        self.table.setHorizontalHeaderLabels(["Command", "Keys", "What it does"])
        for action in actions:
            if action.text() and not action.isSeparator() and action.shortcuts():
                self._add(title_of(action).rstrip("…"), shortcuts_of(action), action.statusTip())
        for name, keys, place in PANEL_KEYS:
            self._add(name, keys, place)
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSourceModel(self.table)
        self.proxy.setFilterKeyColumn(-1)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.view = QTreeView()
        self.view.setModel(self.proxy)
        self.view.setRootIsDecorated(False)
        self.view.setUniformRowHeights(True)
        self.view.setAlternatingRowColors(True)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setAccessibleName("Shortcuts")
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.view.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.view.header().setStretchLastSection(True)
        self._none = QLabel("No shortcut fits. The command palette (Ctrl+Shift+P) finds every command.")
        self._none.setProperty("variant", "muted")
        self._none.setWordWrap(True)
        self._none.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(10)
        column.addWidget(self.field)
        column.addWidget(self.view, 1)
        column.addWidget(self._none)
        column.addWidget(buttons)
        self.field.textChanged.connect(self._filter)
        self.field.setFocus()
        self.resize(680, 520)

    def _add(self, name: str, keys: str, about: str) -> None:
        items = [QStandardItem(text) for text in (name, keys, about)]
        for item in items:
            item.setToolTip(about)
        self.table.appendRow(items)

    @Slot(str)
    def _filter(self, text: str) -> None:
        # As a fixed string: a plus sign among the keys is no pattern.
        self.proxy.setFilterFixedString(text.strip())
        self._none.setVisible(self.proxy.rowCount() == 0)
