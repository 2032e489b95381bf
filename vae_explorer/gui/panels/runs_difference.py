"""The page of settings in the panel of runs: in what two selected runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QVBoxLayout, QWidget

from vae_explorer.gui.tables.settings_table import SettingsTable
from vae_explorer.gui.widgets.group_parts import wrapped
from vae_explorer.runs.comparable import difference
from vae_explorer.runs.run_course import course_words

if TYPE_CHECKING:
    from vae_explorer.runs.run_summary import RunSummary

_CHOOSE = "Select two runs in the table to see in which settings they differ."


class DifferencePage(QWidget):
    """A sentence, and a table where there is a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SettingsTable(self)
        self.sentence = wrapped(_CHOOSE)
        self.view = QTableView()
        self.view.setModel(self.table)
        self.view.setAccessibleName("Settings that differ")
        self.view.setMinimumHeight(56)
        self.view.setShowGrid(False)
        self.view.setAlternatingRowColors(True)
        self.view.setTabKeyNavigation(False)
        self.view.verticalHeader().hide()
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.sentence)
        column.addWidget(self.view, 1)
        column.addStretch(0)
        self._pair: tuple[RunSummary, ...] = ()
        self.view.hide()

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """What is selected; two runs are compared."""
        pair = tuple(runs) if len(runs) == 2 else ()
        if pair and self._pair and all(a.config == b.config for a, b in zip(pair, self._pair, strict=True)):
            rows = self.table.rows
        else:
            rows = difference(pair[0].config, pair[1].config) if pair else ()
        self._pair = pair
        labels = [run.label for run in pair] or ["", ""]
        self.table.show_difference(rows, *labels)
        self.view.setVisible(bool(rows))
        if not pair:
            self.sentence.setText(_CHOOSE)
            return
        courses = [words for run in pair if (words := course_words(run))]
        if rows:
            count = "one setting" if len(rows) == 1 else f"{len(rows)} settings"
            found = f"{labels[0]} and {labels[1]} differ in {count}."
        else:
            found = f"{labels[0]} and {labels[1]} {'began' if courses else 'were trained'} with the same settings."
        self.sentence.setText(" ".join([found, *courses]))
