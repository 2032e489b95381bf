"""The view of a table of runs: widths that are remembered, reasons over the whole row, notes of several lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from vae_explorer.gui.tables.run_columns import MARK, NOTES, RUN, RUN_COLUMNS, STATUS, TAGS
from vae_explorer.gui.tables.runs_filter import RunsFilter
from vae_explorer.gui.tables.runs_table import COLUMN_OF, THUMBNAIL_SIDE, Entry, RunsTable
from vae_explorer.runs.library import BadFolder

Index = QModelIndex | QPersistentModelIndex
_ROW_HEIGHT = THUMBNAIL_SIDE + 6
_NOTES_LINES = 5
_IS_BEGUN = "writing_is_begun"
_LEAST_WIDTH, _MOST_WIDTH = 24, 2000
_MARK_WIDTH, _SORT_ARROW = 46, 16
_ICON_WIDTH = 34  # of a colour and a pin; thumbnails are square


class RunsView(QTableView):
    """Rows of a `RunsFilter`.

    chosen_changed(): other runs are selected. moved(): the keyboard is at another. open_wanted(), delete_wanted(): by
    key or double click, of the current run and of those selected.
    """

    chosen_changed = Signal()
    moved = Signal()
    open_wanted = Signal()
    delete_wanted = Signal()

    def __init__(self, table: RunsTable) -> None:
        super().__init__()
        self.table = table
        self.filter = RunsFilter(table, self)
        self.setModel(self.filter)
        self.setAccessibleName("Runs")
        self.setMinimumSize(200, 56)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        # Names made of data set, model and time differ at their ends.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setIconSize(QSize(_ICON_WIDTH, THUMBNAIL_SIDE))
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        for name in (RUN, TAGS):
            self.setItemDelegateForColumn(COLUMN_OF[name], WritingDelegate(self))
        self.setItemDelegateForColumn(COLUMN_OF[NOTES], NotesDelegate(self))
        rows = self.verticalHeader()
        rows.hide()
        # All alike: asking a thousand rows for their heights takes longer than a frame.
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setFirstSectionMovable(False)
        header.setMinimumSectionSize(_LEAST_WIDTH)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._offer_columns)
        letter = self.fontMetrics().horizontalAdvance("n")
        for number, column in enumerate(RUN_COLUMNS):
            wanted = letter * column.letters + (THUMBNAIL_SIDE if column.name in (RUN, STATUS) else 0) + 16
            least = header.sectionSizeHint(number) + _SORT_ARROW
            self.setColumnWidth(number, _MARK_WIDTH if column.name == MARK else max(wanted, least))
        header.setSortIndicator(COLUMN_OF["created"], Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self._empty = QLabel(self.viewport())
        self._empty.setProperty("variant", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.selectionModel().selectionChanged.connect(self._selected)
        self.selectionModel().currentRowChanged.connect(self._moved)
        self.doubleClicked.connect(self._double_clicked)
        for changed in (
            self.filter.modelReset, self.filter.layoutChanged, self.filter.rowsInserted, self.filter.rowsRemoved,
        ):  # fmt: skip
            changed.connect(self._span_reasons)

    # --- what is chosen

    def entries_selected(self) -> list[Entry]:
        """What is selected, in the order of the rows."""
        selection = self.selectionModel().selection()
        parts = (selection.at(number) for number in range(selection.count()))
        rows = {row for part in parts for row in range(part.top(), part.bottom() + 1)}
        return [self.entry_at(row) for row in sorted(rows)]

    def entry_at(self, row: int) -> Entry:
        """The entry in a row in sight."""
        return self.table.entries[self.filter.mapToSource(self.filter.index(row, 0)).row()]

    def current_entry(self) -> Entry | None:
        """The entry that the keyboard is at."""
        index = self.currentIndex()
        return self.entry_at(index.row()) if index.isValid() else None

    def select_paths(self, paths: Sequence[Path]) -> None:
        """Select these rows where they are in sight, and nothing else."""
        wanted, selection = set(paths), QItemSelection()
        for row in range(self.filter.rowCount()):
            if self.entry_at(row).path in wanted:
                selection.select(self.filter.index(row, 0), self.filter.index(row, len(RUN_COLUMNS) - 1))
        self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def edit_column(self, name: str) -> None:
        """Begin to edit a cell of the current row."""
        index = self.currentIndex()
        if index.isValid():
            cell = self.filter.index(index.row(), COLUMN_OF[name])
            self.setColumnHidden(COLUMN_OF[name], False)
            self.setCurrentIndex(cell)
            super().scrollTo(cell)
            self.edit(cell)

    def say(self, sentence: str) -> None:
        """What stands in place of rows; empty where there are some."""
        self._empty.setText(sentence)
        self._empty.setVisible(bool(sentence))

    # --- what is remembered

    def memory(self) -> dict[str, Any]:
        """Widths, order and sight of the columns, and what is sorted by."""
        header = self.horizontalHeader()
        sorted_by, order = header.sortIndicatorSection(), header.sortIndicatorOrder()
        return {
            "widths": {
                column.name: self.columnWidth(number)
                for number, column in enumerate(RUN_COLUMNS)
                if not self.isColumnHidden(number)
            },
            "columns": [RUN_COLUMNS[header.logicalIndex(place)].name for place in range(len(RUN_COLUMNS))],
            "hidden": [column.name for number, column in enumerate(RUN_COLUMNS) if self.isColumnHidden(number)],
            "sort": RUN_COLUMNS[sorted_by].name if 0 <= sorted_by < len(RUN_COLUMNS) else "",
            "is_descending": order is Qt.SortOrder.DescendingOrder,
        }

    def restore(self, table: Mapping[str, Any]) -> None:
        """As it was remembered; what is not understood stays as it is."""
        widths, places, hidden = (table.get(key) for key in ("widths", "columns", "hidden"))
        for name, width in widths.items() if isinstance(widths, dict) else ():
            if name in COLUMN_OF and type(width) is int and _LEAST_WIDTH <= width <= _MOST_WIDTH:
                self.setColumnWidth(COLUMN_OF[name], width)
        header = self.horizontalHeader()
        if isinstance(places, list) and set(map(str, places)) == set(COLUMN_OF) and places[0] == MARK:
            for place, name in enumerate(places):
                header.moveSection(header.visualIndex(COLUMN_OF[name]), place)
        for name in hidden if isinstance(hidden, list) else ():
            if name in COLUMN_OF and name not in (MARK, RUN, STATUS):
                self.setColumnHidden(COLUMN_OF[name], True)
        if (name := table.get("sort")) in COLUMN_OF:
            order = Qt.SortOrder.DescendingOrder if table.get("is_descending") is True else Qt.SortOrder.AscendingOrder
            self.sortByColumn(COLUMN_OF[str(name)], order)

    # --- Qt

    def scrollTo(
        self, index: Index, hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        """Rows come into sight; the columns stay where a person left them, since whole rows are chosen."""
        across = self.horizontalScrollBar()
        value = across.value()
        super().scrollTo(index, hint)
        across.setValue(value)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens, Delete asks to delete, F2 edits the title where the cell itself cannot be edited."""
        is_editing = self.state() is QAbstractItemView.State.EditingState
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not is_editing:
            self.open_wanted.emit()
        elif event.matches(QKeySequence.StandardKey.Delete) and not is_editing:
            self.delete_wanted.emit()
        elif event.key() == Qt.Key.Key_F2 and not is_editing:
            index = self.currentIndex()
            is_edited = index.isValid() and bool(index.flags() & Qt.ItemFlag.ItemIsEditable)
            self.edit_column(RUN_COLUMNS[index.column()].name if is_edited else RUN)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The sentence stands in the middle."""
        super().resizeEvent(event)
        self._empty.setGeometry(self.viewport().rect().adjusted(16, 0, -16, 0))

    def _selected(self) -> None:
        self.chosen_changed.emit()

    def _moved(self) -> None:
        self.moved.emit()

    def _double_clicked(self, index: Index) -> None:
        del index
        self.open_wanted.emit()

    def _span_reasons(self) -> None:
        """Why a folder is no run is written over the columns that say nothing of it."""
        self.clearSpans()
        first = COLUMN_OF[STATUS]
        for row in range(self.filter.rowCount() - 1, -1, -1):
            if not isinstance(self.entry_at(row), BadFolder):
                break  # they stand last
            self.setSpan(row, first, 1, len(RUN_COLUMNS) - first)

    def _offer_columns(self, place: QPoint) -> None:
        """Which columns are in sight."""
        menu = QMenu(self)
        for number, column in enumerate(RUN_COLUMNS):
            if column.name in (MARK, RUN, STATUS):
                continue
            action = menu.addAction(column.title)
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(number))
            action.toggled.connect(self._shower(number))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.horizontalHeader().mapToGlobal(place))

    def _shower(self, number: int) -> Callable[[bool], None]:
        return lambda is_shown: self.setColumnHidden(number, not is_shown)


class WritingDelegate(QStyledItemDelegate):
    """Leaves alone what a person is writing when the row changes meanwhile, as that of a run in training does."""

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """What was there when the writing began."""
        if editor.property(_IS_BEGUN) is None:
            editor.setProperty(_IS_BEGUN, True)
            self.begin(editor, index)

    def begin(self, editor: QWidget, index: Index) -> None:
        """Fill the field."""
        super().setEditorData(editor, index)


class NotesDelegate(WritingDelegate):
    """Notes are written on several lines: Enter keeps them, Shift+Enter begins a line, Escape takes them back."""

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self._view = view

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """A small sheet over the table."""
        sheet = QPlainTextEdit(parent)
        sheet.setTabChangesFocus(True)
        sheet.setPlaceholderText("Enter keeps, Shift+Enter begins a line")
        return sheet

    def begin(self, editor: QWidget, index: Index) -> None:
        """What was written before."""
        if isinstance(editor, QPlainTextEdit):
            editor.setPlainText(str(index.data(Qt.ItemDataRole.EditRole) or ""))
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: Any, index: Index) -> None:
        """Keep it."""
        if isinstance(editor, QPlainTextEdit):
            model.setData(index, editor.toPlainText(), Qt.ItemDataRole.EditRole)

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        """Higher than its row, within the table."""
        room = self._view.viewport().rect()
        place = option.rect
        height = editor.fontMetrics().lineSpacing() * _NOTES_LINES + 16
        place.setHeight(min(height, room.height()))
        place.setWidth(max(place.width(), min(260, room.width())))
        if place.bottom() > room.bottom():
            place.moveBottom(room.bottom())
        if place.right() > room.right():
            place.moveRight(room.right())
        editor.setGeometry(place)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Enter without Shift ends the writing."""
        if (
            isinstance(watched, QPlainTextEdit)
            and isinstance(event, QKeyEvent)
            and event.type() is QEvent.Type.KeyPress
            and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        ):
            self.commitData.emit(watched)
            self.closeEditor.emit(watched, QStyledItemDelegate.EndEditHint.NoHint)
            return True
        return super().eventFilter(watched, event)
