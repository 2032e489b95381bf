"""What can be done to the selected runs, as one menu: at a right click, and behind a button."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.run_marks import RunMark
from vae_explorer.gui.tables.run_columns import NOTES, RUN, TAGS
from vae_explorer.gui.tables.run_icons import colour_icon
from vae_explorer.gui.tables.runs_table import Entry
from vae_explorer.runs.run_status import RunStatus
from vae_explorer.runs.run_summary import RunSummary

COLOUR_NAMES = ("Blue", "Ochre", "Rose", "Mint", "Violet", "Plum", "Teal", "Pink", "Brown", "Lime")
"""Of the ten class colours, in their order."""


class RunActions(QMenu):
    """The menu; filled anew whenever it is about to show.

    open_wanted(), delete_wanted(), folder_wanted(), path_wanted(): of the selected runs. edit_wanted(str): a column.
    marked(dict): changes of their marks.
    """

    open_wanted = Signal()
    delete_wanted = Signal()
    folder_wanted = Signal()
    path_wanted = Signal()
    edit_wanted = Signal(str)
    marked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.open = self._action("Open", self.open_wanted, "Return")
        self.addSeparator()
        self.pin = self._mark_action("Pin", "is_pinned")
        self.hide_run = self._mark_action("Hide", "is_hidden")
        self.colours = self.addMenu("Colour")
        self._colour_actions = [self._colour_action(None, "Automatic")]
        self._colour_actions += [self._colour_action(number, name) for number, name in enumerate(COLOUR_NAMES)]
        self.addSeparator()
        self.edits = [
            self._edit_action("Change title…", RUN, "F2"),
            self._edit_action("Change tags…", TAGS),
            self._edit_action("Change notes…", NOTES),
        ]
        self.addSeparator()
        self.show_folder = self._action("Show in the file browser", self.folder_wanted)
        self.copy_path = self._action("Copy path", self.path_wanted)
        self.addSeparator()
        self.delete = self._action("Move to trash…", self.delete_wanted, "Del")

    def show_selection(self, entries: Sequence[Entry], marks: Sequence[RunMark]) -> None:
        """Offer what can be done to these."""
        runs = [entry for entry in entries if isinstance(entry, RunSummary)]
        is_one, are_runs = len(entries) == 1, bool(runs) and len(runs) == len(entries)
        self.open.setEnabled(is_one and are_runs)
        self.pin.setEnabled(are_runs)
        self.pin.setChecked(are_runs and all(mark.is_pinned for mark in marks))
        self.hide_run.setEnabled(bool(entries))
        self.hide_run.setChecked(bool(entries) and all(mark.is_hidden for mark in marks))
        self.colours.setEnabled(are_runs)
        chosen = {mark.colour for mark in marks}
        for number, action in enumerate(self._colour_actions):
            action.setChecked(chosen == {None if number == 0 else number - 1})
        for action in self.edits:
            action.setEnabled(is_one and are_runs)
        self.show_folder.setEnabled(is_one)
        self.copy_path.setEnabled(bool(entries))
        is_written = any(run.status is RunStatus.RUNNING for run in runs)
        self.delete.setEnabled(are_runs and not is_written)
        self.delete.setText(f"Move {len(runs)} runs to trash…" if len(runs) > 1 else "Move to trash…")

    def _action(self, text: str, signal: object, keys: str = "") -> QAction:
        action = self.addAction(text)
        action.triggered.connect(lambda: signal.emit())  # type: ignore[attr-defined]  # a bound signal
        if keys:
            # Told here, carried out by the table: elsewhere the same keys mean something else.
            action.setText(f"{text}\t{QKeySequence.fromString(keys).toString(QKeySequence.SequenceFormat.NativeText)}")
        return action

    def _mark_action(self, text: str, name: str) -> QAction:
        action = self.addAction(text)
        action.setCheckable(True)
        action.triggered.connect(lambda is_checked: self.marked.emit({name: is_checked}))
        return action

    def _edit_action(self, text: str, column: str, keys: str = "") -> QAction:
        action = self.addAction(f"{text}\t{keys}" if keys else text)
        action.triggered.connect(lambda: self.edit_wanted.emit(column))
        return action

    def _colour_action(self, colour: int | None, name: str) -> QAction:
        action = self.colours.addAction(name)
        action.setCheckable(True)
        if colour is not None and colour < len(theme.CLASS_COLOURS):
            action.setIcon(colour_icon(colour))
        # No `partial`: PySide cannot tell whether one takes the flag, and leaves it out.
        action.triggered.connect(lambda: self.marked.emit({"colour": colour}))
        return action
