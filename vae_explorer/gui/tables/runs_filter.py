"""Which rows of a table of runs are in sight: by words, by choices, and whether hidden runs are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from vae_explorer.runs.library import BadFolder

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.gui.tables.runs_table import Entry, RunsTable
    from vae_explorer.runs.run_summary import RunSummary

NOT_A_RUN = "not a run"

FACETS: Mapping[str, tuple[str, Callable[[RunSummary], tuple[str, ...]]]] = {
    "status": ("Status", lambda run: (run.status,)),
    "model": ("Model", lambda run: (run.model,)),
    "dataset": ("Data set", lambda run: (run.dataset,)),
    "protocol": ("Protocol", lambda run: (run.protocol,)),
    "tag": ("Tag", lambda run: run.notes.tags),
}
"""By what runs are chosen: a title, and the values a run has of it."""


def values_of(entry: Entry, facet: str) -> tuple[str, ...]:
    """The values an entry has of a facet; a folder that is no run has a status alone."""
    if isinstance(entry, BadFolder):
        return (NOT_A_RUN,) if facet == "status" else ()
    return FACETS[facet][1](entry)


class RunsFilter(QSortFilterProxyModel):
    """Rows of a `RunsTable`, in its order."""

    def __init__(self, table: RunsTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self.words: tuple[str, ...] = ()
        self.chosen: dict[str, str] = {}
        self.shows_hidden = False
        self._texts: dict[Path, tuple[Entry, str]] = {}
        self.setDynamicSortFilter(True)
        self.setSourceModel(table)

    def search(self, text: str) -> None:
        """Only rows in which all the words are found, in their names, notes, tags, settings or reasons."""
        with self._changing():
            self.words = tuple(text.casefold().split())

    def choose(self, facet: str, value: str) -> None:
        """Only rows with this value; an empty one takes the choice back."""
        with self._changing():
            self.chosen.pop(facet, None)
            if value:
                self.chosen[facet] = value

    def show_hidden(self, wanted: bool) -> None:
        """Whether runs that a person hid are in sight all the same."""
        with self._changing():
            self.shows_hidden = wanted

    def look_again(self) -> None:
        """Marks changed."""
        with self._changing():
            pass

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self.beginFilterChange()
        yield
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    @property
    def is_filtering(self) -> bool:
        """Whether a word or a choice may keep rows out of sight."""
        return bool(self.words or self.chosen)

    # --- Qt

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex | QPersistentModelIndex) -> bool:
        """Whether a row is in sight; asked for every row at every letter of a search, so that it must be quick."""
        entry = self._table.entries[source_row]
        if self._table.marks and not self.shows_hidden and self._table.mark_of(entry.path).is_hidden:
            return False
        if self.chosen and any(value not in values_of(entry, facet) for facet, value in self.chosen.items()):
            return False
        if not self.words:
            return True
        text = self._text(entry)
        return all(word in text for word in self.words)

    def _text(self, entry: Entry) -> str:
        known, text = self._texts.get(entry.path, (None, ""))
        if known is not entry:
            text = _searched_text(entry)
            self._texts[entry.path] = (entry, text)
        return text

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """The table itself is put in order."""
        self._table.sort(column, order)


def _searched_text(entry: Entry) -> str:
    if isinstance(entry, BadFolder):
        return f"{entry.name}\n{NOT_A_RUN}\n{entry.reason}".casefold()
    notes = entry.notes
    parts = (
        entry.name, notes.title, notes.notes, *notes.tags, entry.status, entry.model, entry.dataset, entry.protocol,
        entry.bound,
    )  # fmt: skip
    return "\n".join(parts).casefold()
