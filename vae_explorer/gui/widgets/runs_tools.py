"""The row above a table of runs: which folder, which of its runs, and what can be done to those selected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QMenu, QSizePolicy, QToolButton, QWidget

from vae_explorer.gui.tables.runs_filter import FACETS, RunsFilter, values_of
from vae_explorer.gui.tables.runs_table import Entry, RunsTable
from vae_explorer.gui.widgets.group_parts import plain_tip
from vae_explorer.runs.library import BadFolder

_MOST_CHOICES = 40
_FOLDER_LETTERS = 18
_SEARCH_WIDTH = 90


class RunsTools(QWidget):
    """Folder, search, filter, and the menu of the selected runs.

    folder_wanted(): a person wants to choose another one. default_folder_wanted(): that of new runs.
    own_folder_wanted(): that of the run in the window. browse_wanted(): to see the folder in the file browser.
    filtered(): other rows may be in sight.
    """

    folder_wanted = Signal()
    default_folder_wanted = Signal()
    own_folder_wanted = Signal()
    browse_wanted = Signal()
    filtered = Signal()

    def __init__(self, table: RunsTable, rows: RunsFilter, selected_menu: QMenu) -> None:
        super().__init__()
        self._table, self._rows = table, rows
        self.folder_button = _menu_button("Folder of runs")
        self._folder_menu = QMenu(self.folder_button)
        self._folder_menu.addAction("Choose folder…").triggered.connect(self.folder_wanted)
        self.default_action = self._folder_menu.addAction("Where new runs are saved")
        self.default_action.setCheckable(True)
        self.default_action.triggered.connect(self.default_folder_wanted)
        self.own_action = self._folder_menu.addAction("Where the run in the window is")
        self.own_action.triggered.connect(self.own_folder_wanted)
        self._folder_menu.addAction("Show in the file browser").triggered.connect(self.browse_wanted)
        self.folder_button.setMenu(self._folder_menu)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search runs")
        self.search.setToolTip("Words in names, titles, notes, tags, settings; all of them must be found")
        self.search.setMinimumWidth(_SEARCH_WIDTH)
        self.search.textChanged.connect(self._search)
        self.filter_button = _menu_button("Filter runs")
        self._filter_menu = QMenu(self.filter_button)
        self._filter_menu.aboutToShow.connect(self._fill_filter_menu)
        self.filter_button.setMenu(self._filter_menu)
        self.selected_button = _menu_button("Selected runs")
        self.selected_button.setText("Selected ▾")
        self.selected_button.setToolTip("What can be done to the selected runs; a right click offers the same")
        self.selected_button.setMenu(selected_menu)
        self.count = ShortenedLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for widget in (self.folder_button, self.search, self.filter_button, self.selected_button):
            row.addWidget(widget)
        row.addWidget(self.count, 2)
        row.setStretch(1, 1)
        self._show_filter()

    def show_folder(self, folder: Path, is_default: bool) -> None:
        """The folder that is looked at."""
        name = folder.name or str(folder)
        self.folder_button.setText(f"{_shortened(name, _FOLDER_LETTERS)} ▾")
        self.folder_button.setToolTip(plain_tip(str(folder)))
        self.default_action.setChecked(is_default)

    def show_count(self, entries: Sequence[Entry], num_in_sight: int) -> None:
        """How many there are, and how many of them are in sight."""
        num_bad = sum(isinstance(entry, BadFolder) for entry in entries)
        text = _counted(len(entries) - num_bad, "run")
        if num_bad:
            text += f", {_counted(num_bad, 'other folder')}"
        if num_in_sight != len(entries):
            text += f"; {num_in_sight:,} shown"
        self.say(text)

    def say(self, text: str) -> None:
        """A few words at the end of the row."""
        self.count.say(text)

    def clear(self) -> None:
        """Search and filter nothing."""
        self.search.clear()
        for facet in FACETS:
            self._rows.choose(facet, "")
        self._changed()

    # --- searching and filtering

    @Slot(str)
    def _search(self, text: str) -> None:
        self._rows.search(text)
        self.filtered.emit()

    @Slot()
    def _fill_filter_menu(self) -> None:
        menu = self._filter_menu
        menu.clear()
        for facet, (title, _) in FACETS.items():
            values = Counter(value for entry in self._table.entries for value in values_of(entry, facet))
            chosen = self._rows.chosen.get(facet, "")
            if not values and not chosen:
                continue
            part = menu.addMenu(_menu_text(title if not chosen else f"{title}: {_shortened(chosen, 30)}"))
            for value in ("", *sorted({*values, *filter(None, [chosen])})[:_MOST_CHOICES]):
                action = part.addAction(_menu_text(f"{value} ({values[value]:,})") if value else "All")
                action.setCheckable(True)
                action.setChecked(value == chosen)
                action.triggered.connect(lambda *_, facet=facet, value=value: self.choose(facet, value))
        menu.addSeparator()
        hidden = menu.addAction("Show hidden runs")
        hidden.setCheckable(True)
        hidden.setChecked(self._rows.shows_hidden)
        hidden.toggled.connect(self.show_hidden)
        menu.addAction("Clear search and filter").triggered.connect(self.clear)

    def choose(self, facet: str, value: str) -> None:
        """Only runs of this value; an empty one takes the choice back."""
        self._rows.choose(facet, value)
        self._changed()

    def show_hidden(self, wanted: bool) -> None:
        """Whether hidden runs are in sight."""
        self._rows.show_hidden(wanted)
        self._changed()

    def _changed(self) -> None:
        self._show_filter()
        self.filtered.emit()

    def _show_filter(self) -> None:
        chosen = ", ".join(self._rows.chosen.values())
        self.filter_button.setText(f"Filter: {_shortened(chosen, 20)} ▾" if chosen else "Filter ▾")
        self.filter_button.setToolTip("By status, model, data set, protocol, tag; and whether hidden runs are shown")


class ShortenedLabel(QLabel):
    """A muted line that asks for no width; what does not fit ends in an ellipsis and stands in the tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("variant", "muted")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def say(self, text: str) -> None:
        """Another text."""
        self.setText(text)
        self.setToolTip(plain_tip(text))

    def minimumSizeHint(self) -> QSize:
        """As narrow as need be."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """One line, vertically in the middle."""
        painter = QPainter(self)
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        self.style().drawItemText(
            painter, self.rect(), self.alignment(), self.palette(), self.isEnabled(), shown, self.foregroundRole()
        )


def _menu_button(name: str) -> QToolButton:
    button = QToolButton()
    button.setAccessibleName(name)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _menu_text(text: str) -> str:
    """A single & would become the line under a letter."""
    return text.replace("&", "&&")


def _counted(num: int, what: str) -> str:
    return f"{num:,} {what}{'' if num == 1 else 's'}"


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
