"""The command palette: find any command by a few of its letters and run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Slot
from PySide6.QtGui import QAction, QColor, QFontMetrics, QKeyEvent, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui import theme

_ACTION: Final = Qt.ItemDataRole.UserRole
_NOT_NOW: Final = "not available now"
_NATIVE: Final = QKeySequence.SequenceFormat.NativeText


def title_of(action: QAction) -> str:
    """An action's text without mnemonic marks."""
    return action.text().replace("&&", "\0").replace("&", "").replace("\0", "&")


def shortcuts_of(action: QAction) -> str:
    """An action's keys as the desktop writes them."""
    return ", ".join(keys.toString(_NATIVE) for keys in action.shortcuts())


def score(query: str, text: str) -> float | None:
    """How well the letters of the query, in their order, are found in the text; None where they are not.

    Starts of words and runs of letters count more, so that `ssg` finds Save sample grid and `sam` prefers
    Samples.
    """
    query, lower = "".join(query.lower().split()), text.lower()
    if not query:
        return 0.0
    best: float | None = None
    for start in (i for i, letter in enumerate(lower) if letter == query[0]):
        found = _score_from(query, lower, start)
        if found is not None and (best is None or found > best):
            best = found
    return None if best is None else best - 0.01 * len(text)


def _score_from(query: str, text: str, start: int) -> float | None:
    total, previous = 0.0, start - 1
    place = start
    for letter in query:
        # The start of a later word is preferred to a nearer letter inside one.
        word = next((i for i in range(place, len(text)) if text[i] == letter and _starts_word(text, i)), -1)
        near = text.find(letter, place)
        if near < 0:
            return None
        found = near if near == previous + 1 or word < 0 else word
        total += 3.0 if found == previous + 1 and previous >= start else 0.0
        total += 2.0 if _starts_word(text, found) else 0.5
        previous, place = found, found + 1
    return total - 0.02 * start


def _starts_word(text: str, index: int) -> bool:
    return index == 0 or not text[index - 1].isalnum()


class CommandPalette(QDialog):
    """A field and a list; Enter runs the chosen command, Escape closes. Commands that cannot run now are
    shown dimmed.
    """

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup if parent is not None else Qt.WindowType.Dialog)
        self.setObjectName("dialog.command_palette")
        self.setWindowTitle("Command palette")
        self._actions = [action for action in actions if action.text() and not action.isSeparator()]
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type a command")
        self.field.setAccessibleName("Command")
        self.field.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setAccessibleName("Commands found")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setItemDelegate(_CommandDelegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Over the list, so that the popup keeps its size.
        self.nothing = QLabel("No command matches.", self.list)
        self.nothing.setProperty("variant", "muted")
        self.nothing.setMargin(10)
        self.nothing.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list.itemClicked.connect(self._run_item)
        self.resize(520, 380)
        self._filter()
        self.field.setFocus()
        self._place_over(parent)

    def _place_over(self, parent: QWidget | None) -> None:
        if parent is None:
            return
        area = parent.window().frameGeometry()
        self.setFixedWidth(min(560, max(320, area.width() - 40)))
        self.move(area.center().x() - self.width() // 2, area.top() + min(90, area.height() // 8))

    @Slot()
    def _filter(self) -> None:
        """List what fits, best first; what can run now stands before what cannot."""
        query = self.field.text()
        found = []
        for place, action in enumerate(self._actions):
            by_title = score(query, title_of(action))
            by_help = score(query, action.statusTip()) if len(query) > 2 else None
            if by_title is None and (by_help is None or by_help < 2.5 * len("".join(query.split()))):
                continue
            rank = by_title if by_title is not None else (by_help or 0.0) - 100
            found.append((not action.isEnabled() and bool(query), -rank, place, action))
        self.list.clear()
        # Letters scattered over a long title are no match where another has them together.
        best = max((-rank for _, rank, _, _ in found), default=0.0)
        found = [entry for entry in found if not query or -entry[1] >= 0.5 * best]
        for _, _, _, action in sorted(found, key=lambda entry: entry[:3]):
            item = QListWidgetItem(title_of(action))
            item.setData(_ACTION, action)
            item.setToolTip(action.statusTip() or action.toolTip())
            keys = shortcuts_of(action)
            said = f"{title_of(action)}, {keys}" if keys else title_of(action)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, said if action.isEnabled() else f"{said}, {_NOT_NOW}")
            self.list.addItem(item)
        self.nothing.setVisible(not self.list.count())
        if self.list.count():
            self.list.setCurrentRow(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A line around it: a popup has no frame of the desktop's."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QColor(theme.current().border_strong))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up, down, page and Enter work while the field has the keys."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            key = event.key()
            if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self._run_item(self.list.currentItem())
                return True
            steps = {
                Qt.Key.Key_Down: 1,
                Qt.Key.Key_Up: -1,
                Qt.Key.Key_PageDown: 8,
                Qt.Key.Key_PageUp: -8,
            }.get(Qt.Key(key))
            if steps is not None and self.list.count():
                row = self.list.currentRow() + steps
                last = self.list.count() - 1
                self.list.setCurrentRow(row % (last + 1) if abs(steps) == 1 else min(max(row, 0), last))
                return True
        return super().eventFilter(watched, event)

    @Slot(object)
    def _run_item(self, item: QListWidgetItem | None) -> None:
        if item is None:
            return
        action: QAction = item.data(_ACTION)
        if not action.isEnabled():
            self.field.selectAll()
            return
        # Closed first: the command may open a dialog of its own.
        self.accept()
        action.trigger()


class _CommandDelegate(QStyledItemDelegate):
    """Title at the left, keys or the reason why not at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """One line with air."""
        return QSize(100, QFontMetrics(option.font).height() + 12)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw the row in the theme's colours."""
        colours = theme.current()
        action: QAction = index.data(_ACTION)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setBrush(QColor(colours.selection))
            painter.drawRoundedRect(option.rect.adjusted(1, 0, -1, 0), 4, 4)
        room: QRect = option.rect.adjusted(10, 0, -10, 0)
        enabled = action.isEnabled()
        side = shortcuts_of(action) if enabled else _NOT_NOW
        metrics = QFontMetrics(option.font)
        painter.setFont(option.font)
        painter.setPen(QColor(colours.muted if enabled else colours.faint))
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, side)
        room.setRight(room.right() - metrics.horizontalAdvance(side) - 16)
        painter.setPen(QColor(colours.text if enabled else colours.faint))
        title = metrics.elidedText(title_of(action), Qt.TextElideMode.ElideRight, room.width())
        if action.isCheckable() and action.isChecked():
            title = f"✓ {title}"
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, title)
        painter.restore()
