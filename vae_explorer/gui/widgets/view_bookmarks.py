"""Places to come back to: view, part of the plane and pins under a name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.errors import UserError
from vae_explorer.gui.widgets.view_fields import wrapped_label
from vae_explorer.gui.widgets.view_tour import as_fixed
from vae_explorer.latent.arrangement import Bookmark
from vae_explorer.latent.view_catalogue import VIEWS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement

_MOST_LINES = 6
_OWN_KEYS = frozenset({Qt.Key.Key_Delete, Qt.Key.Key_F2, Qt.Key.Key_Return, Qt.Key.Key_Enter})


class _NameInPlace(QStyledItemDelegate):
    """Lines as high as the field in which their name is typed, which fills the line."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Of the name or of the field, whichever is higher."""
        field = QLineEdit()
        field.ensurePolished()
        return super().sizeHint(option, index).expandedTo(QSize(0, field.sizeHint().height()))

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The whole line."""
        editor.setGeometry(option.rect)


class BookmarkList(QListWidget):
    """Names to choose from. Signals carry the row: chosen(int), deleted(int)."""

    chosen = Signal(int)
    deleted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Bookmarks")
        self.setItemDelegate(_NameInPlace(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setTabKeyNavigation(False)
        self.itemDoubleClicked.connect(self._choose_item)

    @Slot(QListWidgetItem)
    def _choose_item(self, item: QListWidgetItem) -> None:
        self.chosen.emit(self.row(item))

    def event(self, event: QEvent) -> bool:
        """Delete is the list's before it is a shortcut of the window."""
        is_asking = event.type() is QEvent.Type.ShortcutOverride
        if is_asking and isinstance(event, QKeyEvent) and event.key() in _OWN_KEYS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter goes there, Delete removes, F2 renames."""
        is_idle = self.state() is not QAbstractItemView.State.EditingState
        if is_idle and self.currentRow() >= 0 and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.chosen.emit(self.currentRow())
        elif is_idle and self.currentRow() >= 0 and event.key() == Qt.Key.Key_Delete:
            self.deleted.emit(self.currentRow())
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """As high as its names, up to six."""
        lines = min(max(self.count(), 1), _MOST_LINES)
        line = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height() + 8
        return QSize(120, lines * line + 2 * self.frameWidth())


class Bookmarks(QWidget):
    """The list with what can be done to it; every change is one step to undo."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.list = BookmarkList()
        self.list.setObjectName("view.bookmarks")
        self.list.setToolTip("Double-click or Enter: go there. F2: rename. Delete: remove")
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._open_menu)
        self.list.chosen.connect(self.go_to)
        self.list.deleted.connect(self.delete)
        self.list.itemChanged.connect(self._renamed)
        self.note = wrapped_label("muted")
        self.note.setText("A bookmark keeps the view, the part of the plane in sight and the pins.")
        self.add_button = QPushButton("Add bookmark")
        self.add_button.setObjectName("view.add_bookmark")
        self.add_button.setToolTip("Keep this view, this part of the plane and these pins")
        self.add_button.clicked.connect(self.add)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.add_button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addWidget(self.note)
        column.addWidget(self.list)
        column.addLayout(buttons)
        session.map.arranged.connect(self._arranged)
        self._show(session.map.arrangement)

    @Slot()
    def add(self) -> None:
        """Keep where the map is now under the next free name, which can be typed over at once."""
        arrangement = self.session.map.arrangement
        if arrangement.view is None:
            self.session.post("info", "There is no view to keep yet.", "Wait until the model has been prepared.")
            return
        taken = {bookmark.name for bookmark in arrangement.bookmarks}
        name = next(name for name in map("view {}".format, range(1, len(taken) + 2)) if name not in taken)
        # A frame of the tour is gone in a moment; what is kept is the plane that it shows.
        view = as_fixed(arrangement.view, self.session.map.view)
        bookmark = Bookmark(name, view, arrangement.frame, arrangement.pins, arrangement.told)
        self.session.map.arrange(f"add bookmark {name}", bookmarks=(*arrangement.bookmarks, bookmark))
        self.list.setCurrentRow(self.list.count() - 1)
        if self.list.isVisible():
            self.list.setFocus()
            self._rename()

    @Slot(int)
    def go_to(self, row: int) -> None:
        """Show what the bookmark keeps: one step to undo."""
        map_session = self.session.map
        arrangement = map_session.arrangement
        if not 0 <= row < len(arrangement.bookmarks):
            return
        bookmark = arrangement.bookmarks[row]
        text, gesture = f"go to bookmark {bookmark.name}", map_session.new_gesture()
        if bookmark.view is not None and bookmark.view != arrangement.view:
            try:
                map_session.choose_view(bookmark.view, text, gesture)
            except UserError as error:
                self.session.post_error(error, near="panel.view")
                return
        path = arrangement.path
        if len(bookmark.pins) != len(arrangement.pins):
            path = replace(path, bends=())
        map_session.arrange(
            text, gesture, frame=bookmark.frame, pins=bookmark.pins, active_pin=len(bookmark.pins) - 1, path=path,
            told=bookmark.told,
        )  # fmt: skip

    @Slot(int)
    def delete(self, row: int) -> None:
        """One bookmark less."""
        bookmarks = self.session.map.arrangement.bookmarks
        if 0 <= row < len(bookmarks):
            kept = bookmarks[:row] + bookmarks[row + 1 :]
            self.session.map.arrange(f"remove bookmark {bookmarks[row].name}", bookmarks=kept)
            self.list.setCurrentRow(min(row, len(kept) - 1))

    @Slot(QListWidgetItem)
    def _renamed(self, item: QListWidgetItem) -> None:
        row, name = self.list.row(item), item.text().strip()
        bookmarks = self.session.map.arrangement.bookmarks
        if not 0 <= row < len(bookmarks) or name == bookmarks[row].name:
            self._show(self.session.map.arrangement)
            return
        if not name or any(bookmark.name == name for bookmark in bookmarks):
            what = f"There is a bookmark “{name}” already." if name else "A bookmark needs a name."
            self.session.post_error(UserError(what, "Choose another name."), near="panel.view")
            self._show(self.session.map.arrangement)
            return
        renamed = (*bookmarks[:row], replace(bookmarks[row], name=name), *bookmarks[row + 1 :])
        self.session.map.arrange(f"rename bookmark {bookmarks[row].name}", bookmarks=renamed)

    @Slot(QPoint)
    def _open_menu(self, position: QPoint) -> None:
        item = self.list.itemAt(position)
        if item is None:
            return
        self.list.setCurrentItem(item)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Go there").triggered.connect(self._go)
        menu.addAction("Rename").triggered.connect(self._rename)
        menu.addAction("Remove").triggered.connect(self._delete)
        menu.popup(self.list.mapToGlobal(position))

    @Slot()
    def _go(self) -> None:
        self.go_to(self.list.currentRow())

    @Slot()
    def _rename(self) -> None:
        self.list.editItem(self.list.currentItem())

    @Slot()
    def _delete(self) -> None:
        self.delete(self.list.currentRow())

    @Slot(object, object)
    def _arranged(self, before: Arrangement, after: Arrangement) -> None:
        if before.bookmarks != after.bookmarks:
            self._show(after)

    def _show(self, arrangement: Arrangement) -> None:
        row = self.list.currentRow()
        was = self.list.blockSignals(True)
        self.list.clear()
        for bookmark in arrangement.bookmarks:
            item = QListWidgetItem(bookmark.name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setToolTip(_contents(bookmark))
            self.list.addItem(item)
        self.list.setCurrentRow(min(row, self.list.count() - 1))
        self.list.blockSignals(was)
        has_any = bool(arrangement.bookmarks)
        self.list.setVisible(has_any)
        self.note.setVisible(not has_any)
        self.list.setFixedHeight(self.list.sizeHint().height())


def _contents(bookmark: Bookmark) -> str:
    parts = [] if bookmark.view is None else [VIEWS[bookmark.view.name].title]
    count = len(bookmark.pins)
    parts.append("no pin" if not count else "1 pin" if count == 1 else f"{count} pins")
    return ", ".join(parts)
