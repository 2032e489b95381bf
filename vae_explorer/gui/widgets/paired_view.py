"""A small table of two runs that is as high as its rows."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QSizePolicy, QTableView

from vae_explorer.gui.tables.paired_table import PairedTable

_LEAST_WIDTH, _MOST_WIDTH = 150, 460


class PairedView(QTableView):
    """Shows `table`; no table at all where that is empty."""

    def __init__(self, name: str, table: PairedTable) -> None:
        super().__init__()
        self.setModel(table)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setMaximumWidth(_MOST_WIDTH)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        table.modelReset.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        self.setVisible(self.model().rowCount() > 0)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """The header and every row."""
        rows = self.model().rowCount()
        height = self.horizontalHeader().sizeHint().height() + sum(self.rowHeight(row) for row in range(rows))
        return QSize(240, height + 2 * self.frameWidth() + 2)

    def minimumSizeHint(self) -> QSize:
        """All of its height."""
        return QSize(_LEAST_WIDTH, self.sizeHint().height())
