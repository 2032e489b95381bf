"""Parts that the sections of the groups panel share: a titled section, a row of pictures, names edited in place, bars.

GUI thread only.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.gui.widgets.image_view import ImageView, UInt8, crisp_scale

MOST_NAME_LETTERS = 80
_LEAST_PICTURE_SIDE, _MOST_PICTURE_SIDE = 34, 180
_PICTURE_SPACING = 6
_LEAST_CHOICE_WIDTH = 72


class Section(QWidget):
    """A header and what belongs under it, in `column`; `note` is a sentence at its end, hidden while empty."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(6)
        header = QLabel(title)
        header.setTextFormat(Qt.TextFormat.PlainText)
        header.setProperty("variant", "header")
        self.column.addWidget(header)
        self.note = wrapped("")
        self.note.setVisible(False)

    def finish(self) -> None:
        """Everything is in the column: the note comes last."""
        self.column.addWidget(self.note)

    def say(self, sentence: str) -> None:
        """Show a sentence under the section; an empty one takes the last away."""
        self.note.setText(sentence)
        self.note.setVisible(bool(sentence))


class PictureRow(QWidget):
    """Pictures side by side, all of one size, each with a caption below."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.views = tuple(ImageView() for _ in names)
        self.captions = tuple(QLabel(name) for name in names)
        self._picture_side = 0
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(_PICTURE_SPACING)
        grid.setVerticalSpacing(2)
        for column, (view, caption) in enumerate(zip(self.views, self.captions, strict=True)):
            view.setMinimumSize(_LEAST_PICTURE_SIDE, _LEAST_PICTURE_SIDE)
            view.setAccessibleName(names[column])
            caption.setTextFormat(Qt.TextFormat.PlainText)
            caption.setProperty("variant", "muted")
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            # Its text changes with every answer: it must never ask for another width.
            caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            grid.addWidget(view, 0, column)
            grid.addWidget(caption, 1, column)
            grid.setColumnStretch(column, 1)

    def show_pictures(self, pictures: Sequence[UInt8 | None]) -> None:
        """One picture for each place; None leaves a place empty."""
        sides = [max(picture.shape[:2]) for picture in pictures if picture is not None]
        if sides and sides[0] != self._picture_side:
            self._picture_side = sides[0]
            self._fit()
        for view, picture in zip(self.views, pictures, strict=True):
            view.show_picture(picture)

    def set_caption(self, place: int, text: str, tip: str = "") -> None:
        """What stands below a picture; the tool tip says it at length."""
        self.captions[place].setText(text)
        self.captions[place].setToolTip(tip)
        self.views[place].setToolTip(tip)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Pictures are as high as they are wide, within reason."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        num = len(self.views)
        side = (self.width() - (num - 1) * _PICTURE_SPACING) // num
        side = min(max(side, _LEAST_PICTURE_SIDE), _MOST_PICTURE_SIDE)
        if self._picture_side:
            # No higher than what is painted, with its hairlines.
            ratio = self.devicePixelRatioF()
            scale = crisp_scale(self._picture_side, (side - 2) * ratio) / ratio
            side = max(round(scale * self._picture_side) + 2, _LEAST_PICTURE_SIDE)
        for view in self.views:
            view.setFixedHeight(side)


class NameField(QLineEdit):
    """A name that is edited in place: F2 or a double click begins, Enter or leaving commits, Escape takes it back.

    renamed(str): the person committed another name, stripped and not empty.
    """

    renamed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.setMaxLength(MOST_NAME_LETTERS)
        self.setReadOnly(True)
        self.setToolTip("F2 or a double click renames.")
        self.setStyleSheet(
            "QLineEdit:read-only { background: transparent; padding-left: 1px; padding-right: 1px; }"
            "QLineEdit:read-only:!focus { border-color: transparent; }"
        )

    def show_name(self, name: str) -> None:
        """Show a name, unless another is being written."""
        if name != self._name or self.isReadOnly():
            self._name = name
            self._end()

    @Slot()
    def begin(self) -> None:
        """Let the person write."""
        self.setReadOnly(False)
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """F2, Enter and Escape."""
        if self.isReadOnly() and event.key() == Qt.Key.Key_F2:
            self.begin()
        elif not self.isReadOnly() and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._commit()
        elif not self.isReadOnly() and event.key() == Qt.Key.Key_Escape:
            self._end()
        else:
            super().keyPressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Begins, or selects a word of what is being written."""
        if self.isReadOnly():
            self.begin()
        else:
            super().mouseDoubleClickEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Going elsewhere commits; opening the context menu does not."""
        super().focusOutEvent(event)
        if not self.isReadOnly() and event.reason() is not Qt.FocusReason.PopupFocusReason:
            self._commit()

    def _commit(self) -> None:
        name = self.text().strip()
        before = self._name
        self._end()
        if name and name != before:
            self.renamed.emit(name)

    @Slot()
    def _end(self) -> None:
        self.setReadOnly(True)
        self.setText(self._name)
        self.setCursorPosition(0)


class ChoiceBox(ChoiceField):
    """A field of choices that keeps what a person chose, and leaves the wheel to the panel it stands in."""

    def __init__(self, accessible_name: str) -> None:
        super().__init__(accessible_name)
        self.setMinimumContentsLength(1)
        self._is_chosen = False
        self.activated.connect(self._keep)

    @Slot()
    def _keep(self) -> None:
        self._is_chosen = True

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolling past must not choose something else."""
        event.ignore()

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters."""
        return QSize(_LEAST_CHOICE_WIDTH, super().minimumSizeHint().height())

    def show_choices(self, names: Sequence[str], data: Sequence[Any], chosen: int = 0) -> None:
        """Other choices. What a person chose stays where there still is one of that name; else `chosen` is shown."""
        if names == [self.itemText(row) for row in range(self.count())]:
            for row, value in enumerate(data):
                self.setItemData(row, value)
            return
        before = self.currentText() if self._is_chosen else ""
        self.blockSignals(True)
        self.clear()
        for name, value in zip(names, data, strict=True):
            self.addItem(name, value)
        row = self.findText(before) if before else -1
        self.setCurrentIndex(row if row >= 0 else min(chosen, self.count() - 1))
        self.blockSignals(False)
        self.currentIndexChanged.emit(self.currentIndex())


class ClassBars(QWidget):
    """How many of the members are of each class: a bar each, in the class's colour."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = np.zeros(0, dtype=np.int64)
        self._names: tuple[str, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_counts(self, counts_K: np.ndarray, names: Sequence[str]) -> None:
        """One count a class, with the classes' names."""
        self._counts, self._names = np.asarray(counts_K), tuple(names)
        self.setAccessibleName("Images of each class")
        self.setAccessibleDescription(", ".join(self.text_of(int(k)) for k in np.flatnonzero(self._counts)))
        self.update()

    def text_of(self, label: int) -> str:
        """What a tool tip says of a class."""
        name = self._names[label] if label < len(self._names) else str(label)
        count = int(self._counts[label])
        share = count / max(int(self._counts.sum()), 1)
        return f"{name}: {count:,} image{'' if count == 1 else 's'}, {share:.0%}".replace("%", " %")

    def sizeHint(self) -> QSize:
        """Bars and a line of names."""
        return QSize(200, 46 + round(QFontMetricsF(self.font()).height()))

    def minimumSizeHint(self) -> QSize:
        """As high as it wants to be, as narrow as need be."""
        return QSize(60, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars on a line, the largest count above, names below where they fit."""
        colours, painter, metrics = theme.current(), QPainter(self), QFontMetricsF(self.font())
        num = len(self._counts)
        if not num:
            return
        height = self.height() - metrics.height() - 3
        slot, most = self.width() / num, max(int(self._counts.max()), 1)
        gap = min(4.0, 0.2 * slot)
        for label, count in enumerate(self._counts):
            left = label * slot + gap / 2
            tall = float(count) / most * height
            ground = QRectF(left, height - tall, slot - gap, tall)
            painter.fillRect(ground, QColor(theme.class_colour(label)))
            name = self._names[label] if label < len(self._names) else str(label)
            painter.setPen(QColor(colours.muted if count else colours.faint))
            if metrics.horizontalAdvance(name) <= slot - 2:
                box = QRectF(label * slot, height + 3, slot, metrics.height())
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
        painter.setPen(QColor(colours.border_strong))
        painter.drawLine(0, round(height) + 1, self.width(), round(height) + 1)

    def event(self, event: QEvent) -> bool:
        """The tool tip of the bar under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip and len(self._counts):
            label = min(max(int(event.pos().x() / max(self.width(), 1) * len(self._counts)), 0), len(self._counts) - 1)
            QToolTip.showText(event.globalPos(), plain_tip(self.text_of(label)), self)
            return True
        return super().event(event)


class RemoveButton(QToolButton):
    """A small cross."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(24, 24)
        self.setIconSize(QSize(12, 12))
        theme.notifier().changed.connect(self._recolour)
        self._recolour()

    def name_after(self, text: str) -> None:
        """What it removes, for the tool tip and for who does not see the cross."""
        self.setToolTip(plain_tip(text))
        self.setAccessibleName(text)

    @Slot()
    def _recolour(self) -> None:
        colours = theme.current()
        self.setIcon(icon("close", colours.muted, colours.faint))


def in_reading_order(layout: QLayout) -> Iterator[QWidget]:
    """What takes the keyboard by Tab, in the order of the layouts; rows made later stand where they are seen."""
    for place in range(layout.count()):
        item = layout.itemAt(place)
        assert item is not None
        widget = item.widget()
        if widget is not None and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget
        inner = item.layout() if widget is None else widget.layout()
        if inner is not None:
            yield from in_reading_order(inner)


def plain_tip(text: str) -> str:
    """A tool tip that says just this: a name in it may look like markup, which tool tips follow."""
    return f"<span>{html.escape(text)}</span>" if "<" in text or "&" in text else text


def wrapped(text: str) -> QLabel:
    """A muted sentence on as many lines as it takes."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("variant", "muted")
    # Asks for no width of its own: what it takes is height.
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label
