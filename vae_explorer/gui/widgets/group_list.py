"""The groups: named sets of items, and how one is made of the selection. GUI thread only."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.group_parts import (
    MOST_NAME_LETTERS,
    NameField,
    RemoveButton,
    Section,
    plain_tip,
    wrapped,
)

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement, Group

_NOTHING_SELECTED = "Nothing is selected; select images first, on the map or above."


class Swatch(QWidget):
    """A square in a group's colour."""

    def __init__(self) -> None:
        super().__init__()
        self._colour = 0
        self.setFixedSize(QSize(12, 12))

    def show_colour(self, number: int) -> None:
        """The number of a class colour."""
        self._colour = number
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """With rounded corners, so that it is no check box."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.class_colour(self._colour)))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)


class GroupRow(QWidget):
    """One group: colour, name, number of members, show, delete.

    shown(str), removed(str): of the group of that name. renamed(str, str): from, to.
    """

    shown = Signal(str)
    removed = Signal(str)
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.swatch = Swatch()
        self.name = NameField()
        self.name.setMinimumWidth(60)
        self.count = QLabel()
        self.count.setProperty("variant", "muted")
        self.show_button = QPushButton("Show")
        self.show_button.setProperty("variant", "quiet")
        self.show_button.setAutoDefault(False)
        self.remove = RemoveButton()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.swatch)
        row.addWidget(self.name, 1)
        row.addWidget(self.count)
        row.addWidget(self.show_button)
        row.addWidget(self.remove)
        self.show_button.clicked.connect(self._show)
        self.remove.clicked.connect(self._remove)
        self.name.renamed.connect(self._rename)

    def show_group(self, group: Group, num_items: int) -> None:
        """Another group, or the same changed; one of other images is greyed and says so."""
        self._name = group.name
        self.swatch.show_colour(group.colour)
        self.name.show_name(group.name)
        self.name.setAccessibleName(f"Name of the group {group.name}")
        self.count.setText(f"{len(group.items):,}")
        is_ours = not len(group.items) or int(group.items.ids[-1]) < num_items
        is_usable = is_ours and len(group.items) > 0
        reason = "It has no images." if is_ours else "It belongs to other images."
        self.count.setToolTip(
            f"{len(group.items):,} image{'' if len(group.items) == 1 else 's'}" if is_usable else reason
        )
        self.show_button.setEnabled(is_usable)
        self.show_button.setToolTip(plain_tip(f"Select the images of {group.name}") if is_usable else reason)
        self.show_button.setAccessibleName(f"Show the group {group.name}")
        self.count.setEnabled(is_usable)
        self.remove.name_after(f"Delete the group {group.name}; its images stay")

    @Slot()
    def _show(self) -> None:
        self.shown.emit(self._name)

    @Slot()
    def _remove(self) -> None:
        self.removed.emit(self._name)

    @Slot(str)
    def _rename(self, name: str) -> None:
        self.renamed.emit(self._name, name)


class GroupsSection(Section):
    """The list of groups, and the field that makes one of the selection."""

    def __init__(self, session: Session) -> None:
        super().__init__("Groups")
        self.session = session
        self.hint = wrapped("A group keeps a selection under a name. Two groups make an attribute direction.")
        self.rows: list[GroupRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(2)
        self.name = QLineEdit()
        self.name.setMaxLength(MOST_NAME_LETTERS)
        self.name.setAccessibleName("Name of the new group")
        self.name.setToolTip("The new group's name; Enter makes the group of the selection")
        self.name.setMinimumWidth(60)
        self.make = QPushButton("Make a group")
        self.make.setAutoDefault(False)
        self.make.setToolTip("Keep the selected images under this name")
        self.make.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.name, 1)
        line.addWidget(self.make)
        self.column.addWidget(self.hint)
        self.column.addLayout(self._list)
        self.column.addLayout(line)
        self.finish()
        self.name.returnPressed.connect(self._commit)
        self.make.clicked.connect(self._commit)
        session.map.arranged.connect(self._follow)
        session.dataset_changed.connect(self._show)
        self._show()

    @Slot()
    def make_group(self) -> None:
        """Ask for the name in the field; Enter then makes the group of the selection."""
        if self.session.map.arrangement.selection is None:
            self.say(_NOTHING_SELECTED)
            return
        self.say("")
        self.name.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.name.selectAll()

    @Slot()
    def _commit(self) -> None:
        selection = self.session.map.arrangement.selection
        if selection is None:
            self.say(_NOTHING_SELECTED)
            return
        name = self.name.text().strip() or self._free_name()
        if any(group.name == name for group in self.session.map.arrangement.groups):
            self.say(f"There is a group named {name} already; choose another name.")
            return
        self.say("")
        self.name.setModified(False)
        self.session.map.add_group(name, selection)

    @Slot(object, object)
    def _follow(self, before: Arrangement, after: Arrangement) -> None:
        if before.groups is not after.groups or (before.selection is None) != (after.selection is None):
            self._show()

    @Slot()
    def _show(self) -> None:
        arrangement = self.session.map.arrangement
        dataset = self.session.dataset
        num_items = 0 if dataset is None else dataset.images.num_images
        while len(self.rows) < len(arrangement.groups):
            row = GroupRow()
            row.shown.connect(self._select)
            row.removed.connect(self._remove)
            row.renamed.connect(self._rename)
            self.rows.append(row)
            self._list.addWidget(row)
        for row in self.rows[len(arrangement.groups) :]:
            row.hide()
            self._list.removeWidget(row)
            row.deleteLater()
        del self.rows[len(arrangement.groups) :]
        for row, group in zip(self.rows, arrangement.groups, strict=True):
            row.show_group(group, num_items)
        self.hint.setVisible(not self.rows)
        has_selection = arrangement.selection is not None
        self.name.setEnabled(has_selection)
        self.make.setEnabled(has_selection)
        if has_selection:
            self.say("")
        if not self.name.isModified():
            self.name.setText(self._free_name())

    def _free_name(self) -> str:
        taken = {group.name for group in self.session.map.arrangement.groups}
        return next(name for number in itertools.count(1) if (name := f"group {number}") not in taken)

    def _group(self, name: str) -> Group | None:
        return next((group for group in self.session.map.arrangement.groups if group.name == name), None)

    @Slot(str)
    def _select(self, name: str) -> None:
        group = self._group(name)
        if group is not None:
            self.session.map.select(group.items, f"show group {name}")

    @Slot(str)
    def _remove(self, name: str) -> None:
        kept = tuple(group for group in self.session.map.arrangement.groups if group.name != name)
        self.session.map.arrange(f"delete group {name}", groups=kept)

    @Slot(str, str)
    def _rename(self, before: str, after: str) -> None:
        if self._group(after) is not None:
            self.say(f"There is a group named {after} already; choose another name.")
            return
        self.say("")
        groups = tuple(
            replace(group, name=after) if group.name == before else group
            for group in self.session.map.arrangement.groups
        )
        self.session.map.arrange(f"rename group {before}", groups=groups)
