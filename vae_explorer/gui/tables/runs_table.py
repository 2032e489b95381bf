"""The runs of a library and its other folders, a row each; titles, tags and notes are edited in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QIcon, QImage, QPixmap

from vae_explorer.gui import theme
from vae_explorer.gui.run_marks import NO_MARK, RunMark
from vae_explorer.gui.tables.run_columns import MARK, NOTES, RUN, RUN_COLUMNS, STATUS, TAGS, RunColumn, comparable_group
from vae_explorer.gui.tables.run_icons import RunIcons, untinted
from vae_explorer.gui.tables.runs_filter import NOT_A_RUN
from vae_explorer.gui.widgets.group_parts import plain_tip
from vae_explorer.runs.library import BadFolder, Library
from vae_explorer.runs.run_notes import RunNotes, tidied
from vae_explorer.runs.run_summary import Picture, RunSummary

Index = QModelIndex | QPersistentModelIndex
Entry = RunSummary | BadFolder

THUMBNAIL_SIDE = 26
COLUMN_OF = {column.name: number for number, column in enumerate(RUN_COLUMNS)}
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class RunsTable(QAbstractTableModel):
    """Rows stand in the order of the last `sort`: pinned runs first, folders that are no runs last.

    notes_changed(Path, RunNotes): a person wrote something about a run. thumbnails_wanted(tuple of Picture): these are
    about to be seen.
    """

    notes_changed = Signal(object, object)
    thumbnails_wanted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self.marks: dict[str, RunMark] = {}
        self._colours: Mapping[str, int] = {}
        self._order = (COLUMN_OF["created"], Qt.SortOrder.DescendingOrder)
        self._icons = RunIcons()
        self._thumbnails: dict[Picture, QIcon] = {}
        self._wanted: list[Picture] = []
        blank = QPixmap(QSize(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        blank.fill(Qt.GlobalColor.transparent)
        self._blank = untinted(blank)
        # Cells are painted one by one; what they lack is asked for together.
        self._asking = QTimer(self)
        self._asking.setSingleShot(True)
        self._asking.timeout.connect(self._ask_for_thumbnails)

    # --- what is shown

    def show_library(self, library: Library) -> None:
        """What a new look found: rows that are gone go, changed ones change, new ones come where they belong."""
        entries: tuple[Entry, ...] = (*library.runs, *library.bad_folders)
        found = {entry.path: entry for entry in entries}
        known = {entry.path for entry in self.entries}
        num_common = len(known & found.keys())
        if num_common < max(len(known), len(found)) - 8:  # another folder, or the first look
            self.beginResetModel()
            self.entries = self._sorted(list(found.values()))
            self.endResetModel()
            return
        for row in reversed(range(len(self.entries))):
            if self.entries[row].path not in found:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self.entries[row]
                self.endRemoveRows()
        is_moved = False
        for row, entry in enumerate(self.entries):
            if found[entry.path] is not entry:
                is_moved |= type(found[entry.path]) is not type(entry)
                self.entries[row] = found[entry.path]
                self._row_changed(row)
        if is_moved:
            self.sort(*self._order)
        for path in found.keys() - known:
            after = self._sorted([*self.entries, found[path]])
            row = next(row for row, entry in enumerate(after) if entry.path == path)
            self.beginInsertRows(QModelIndex(), row, row)
            self.entries.insert(row, found[path])
            self.endInsertRows()

    def clear(self) -> None:
        """The folder cannot be read."""
        if self.entries:
            self.beginResetModel()
            self.entries = []
            self.endResetModel()

    def mark_runs(self, paths: Sequence[Path], **changes: Any) -> None:
        """Change the marks of runs: `is_pinned`, `is_hidden`, `colour`."""
        for path in paths:
            mark = dataclasses.replace(self.mark_of(path), **changes)
            self.marks.pop(str(path), None)
            if mark != NO_MARK:
                self.marks[str(path)] = mark
        if "is_pinned" in changes:
            self.sort(*self._order)
        wanted = set(paths)
        for row, entry in enumerate(self.entries):
            if entry.path in wanted:
                self._row_changed(row)

    def mark_of(self, path: Path) -> RunMark:
        """How a person marked a run."""
        return self.marks.get(str(path), NO_MARK)

    def show_colours(self, colours: Mapping[str, int]) -> None:
        """The colours of the curves that are drawn, by the paths of their runs."""
        before, self._colours = self._colours, dict(colours)
        changed = {path for path in {*before, *colours} if before.get(path) != colours.get(path)}
        for row, entry in enumerate(self.entries) if changed else ():
            if str(entry.path) in changed:
                cell = self.index(row, COLUMN_OF[MARK])
                self.dataChanged.emit(cell, cell, [Qt.ItemDataRole.DecorationRole])

    def recolour(self) -> None:
        """The theme changed."""
        if self.entries:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.entries) - 1, COLUMN_OF[STATUS]))

    def show_thumbnails(self, images: Mapping[Picture, QImage]) -> None:
        """Thumbnails that were asked for; an image that is null could not be read."""
        for picture, image in images.items():
            self._thumbnails[picture] = self._blank if image.isNull() else untinted(QPixmap.fromImage(image))
        for row, entry in enumerate(self.entries):
            if isinstance(entry, RunSummary) and entry.thumbnail in images:
                cell = self.index(row, COLUMN_OF[RUN])
                self.dataChanged.emit(cell, cell, [Qt.ItemDataRole.DecorationRole])

    def row_of(self, path: Path) -> int | None:
        """Where an entry stands; None where it does not."""
        return next((row for row, entry in enumerate(self.entries) if entry.path == path), None)

    @property
    def runs(self) -> list[RunSummary]:
        """The runs in their order."""
        return [entry for entry in self.entries if isinstance(entry, RunSummary)]

    # --- order

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows in order, here and not in a proxy, which would ask for two cells at each comparison."""
        if not 0 <= column < len(RUN_COLUMNS):
            return
        self._order = (column, order)
        after = self._sorted(self.entries)
        if all(a is b for a, b in zip(after, self.entries, strict=True)):
            return
        self.layoutAboutToBeChanged.emit()
        rows = {id(entry): row for row, entry in enumerate(after)}
        before = self.persistentIndexList()
        moved = [self.index(rows[id(self.entries[old.row()])], old.column()) for old in before]
        self.entries = after
        self.changePersistentIndexList(before, moved)
        self.layoutChanged.emit()

    def _sorted(self, entries: Sequence[Entry]) -> list[Entry]:
        column = RUN_COLUMNS[self._order[0]]
        runs = [entry for entry in entries if isinstance(entry, RunSummary)]
        bad = [entry for entry in entries if isinstance(entry, BadFolder)]
        runs.sort(key=lambda run: run.name)
        keyed = [(column.key(run), run) for run in runs]
        valued = [entry for entry in keyed if entry[0] is not None]
        valued.sort(key=lambda entry: entry[0], reverse=self._order[1] is Qt.SortOrder.DescendingOrder)
        ordered = [run for _, run in valued] + [run for key, run in keyed if key is None]
        if column.is_ranked:
            ordered.sort(key=comparable_group)
        ordered.sort(key=lambda run: not self.mark_of(run.path).is_pinned)
        return [*ordered, *sorted(bad, key=lambda folder: folder.name)]

    # --- Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """A row an entry."""
        return 0 if parent.isValid() else len(self.entries)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """As `RUN_COLUMNS`."""
        return 0 if parent.isValid() else len(RUN_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles with their units, and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = RUN_COLUMNS[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.title
            case Qt.ItemDataRole.ToolTipRole:
                return column.tip
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if column.is_number else _LEFT
            case _:
                return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Titles, tags and notes of runs are edited."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        is_run = isinstance(self.entries[index.row()], RunSummary)
        return flags | Qt.ItemFlag.ItemIsEditable if is_run and RUN_COLUMNS[index.column()].is_edited else flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, pictures, alignment and tool tip of a cell."""
        if not index.isValid():
            return None
        entry, column = self.entries[index.row()], RUN_COLUMNS[index.column()]
        if isinstance(entry, BadFolder):
            return self._of_bad_folder(entry, column, role)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(entry)
            case Qt.ItemDataRole.EditRole:
                return self._edited_text(entry, column)
            case Qt.ItemDataRole.DecorationRole:
                return self._decoration(entry, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if column.is_number else _LEFT
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(self._tip(entry, column))
            case Qt.ItemDataRole.ForegroundRole if self.mark_of(entry.path).is_hidden:
                return QColor(theme.current().faint)
            case _:
                return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Take what a person wrote."""
        entry = self.entries[index.row()] if index.isValid() else None
        if role != Qt.ItemDataRole.EditRole or not isinstance(entry, RunSummary):
            return False
        notes, text = entry.notes, str(value)
        match RUN_COLUMNS[index.column()].name:
            case name if name == RUN:
                title = "" if text.strip() == entry.name else text
                changed = tidied(title, notes.notes, notes.tags)
            case name if name == TAGS:
                changed = tidied(notes.title, notes.notes, text.split(","))
            case name if name == NOTES:
                changed = tidied(notes.title, text, notes.tags)
            case _:
                return False
        if changed != notes:
            self._take_notes(index.row(), entry, changed)
        return True

    def _take_notes(self, row: int, run: RunSummary, notes: RunNotes) -> None:
        self.entries[row] = dataclasses.replace(run, notes=notes)
        self._row_changed(row)
        self.notes_changed.emit(run.path, notes)

    def _row_changed(self, row: int) -> None:
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(RUN_COLUMNS) - 1))

    # --- cells

    def _of_bad_folder(self, folder: BadFolder, column: RunColumn, role: int) -> Any:
        """Its name, and in the next column, which spans the rest, why it is no run."""
        match role:
            case Qt.ItemDataRole.DisplayRole if column.name == RUN:
                return folder.name
            case Qt.ItemDataRole.DisplayRole if column.name == STATUS:
                return f"{NOT_A_RUN}: {folder.reason}"
            case Qt.ItemDataRole.DecorationRole if column.name == RUN:
                return self._blank
            case Qt.ItemDataRole.DecorationRole if column.name == STATUS:
                return self._icons.of_status(None)
            case Qt.ItemDataRole.ForegroundRole:
                return QColor(theme.current().muted)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{folder.path}\n{folder.reason}")
            case _:
                return None

    @staticmethod
    def _edited_text(run: RunSummary, column: RunColumn) -> str:
        return run.notes.notes if column.name == NOTES else column.text(run)

    def _decoration(self, run: RunSummary, column: RunColumn) -> QIcon | None:
        if column.name == STATUS:
            return self._icons.of_status(run.status)
        if column.name == MARK:
            return self._icons.of_mark(self._colours.get(str(run.path)), self.mark_of(run.path).is_pinned)
        return self._thumbnail(run.thumbnail) if column.name == RUN else None

    def _thumbnail(self, picture: Picture | None) -> QIcon:
        if picture is None:
            return self._blank
        found = self._thumbnails.get(picture)
        if found is None:
            self._thumbnails[picture] = found = self._blank
            self._wanted.append(picture)
            self._asking.start(0)
        return found

    def _ask_for_thumbnails(self) -> None:
        wanted, self._wanted = tuple(self._wanted), []
        self.thumbnails_wanted.emit(wanted)

    @staticmethod
    def _tip(run: RunSummary, column: RunColumn) -> str:
        if column.name == RUN:
            lines = [run.name if run.label != run.name else "", str(run.path), run.remark]
        elif column.name == STATUS:
            lines = [run.status, run.judgement.note, run.remark]
        elif column.name == NOTES:
            lines = [run.notes.notes]
        elif column.is_ranked or column.name == "best_step":
            lines = [run.term.title, run.term.unit, f"protocol {run.protocol}", run.bound]
        else:
            lines = [column.text(run)]
        return "\n".join(filter(None, lines))
