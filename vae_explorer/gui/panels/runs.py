"""The panel `panel.runs`: the library. Runs of a folder as a table, their curves over one axis, their differences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.file_browser import show_folder
from vae_explorer.gui.panels.runs_curves import CurvesPage
from vae_explorer.gui.panels.runs_deleting import ask_to_delete, why_kept
from vae_explorer.gui.panels.runs_difference import DifferencePage
from vae_explorer.gui.run_marks import marks_of, marks_table
from vae_explorer.gui.tables.runs_table import RunsTable
from vae_explorer.gui.threads.library_reading import LibraryReading
from vae_explorer.gui.widgets.folding_split import FoldingSplit
from vae_explorer.gui.widgets.run_actions import RunActions
from vae_explorer.gui.widgets.runs_tools import RunsTools, ShortenedLabel
from vae_explorer.gui.widgets.runs_view import RunsView
from vae_explorer.runs import files
from vae_explorer.runs.library import BadFolder
from vae_explorer.runs.run_summary import RunSummary

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.failure import Failure
    from vae_explorer.gui.threads.library_reading import HowFarLooked, LibraryRead
    from vae_explorer.gui.threads.trash import Trashed
    from vae_explorer.runs.run_notes import RunNotes

_NEAR = "panel.runs"
LOOK_MS = 2000
_REST_OF_LOOKS = 20.0  # so many times as long as a look took, at least, is rested after it
_SHARES = (3, 2)


class RunsPanel(QWidget):
    """Table at the left or above, curves and differences beside it; behind tabs in a small panel.

    open_asked(Path): a person wants to look at this run in the window.
    """

    open_asked = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.reading = LibraryReading(self)
        self.table = RunsTable(self)
        self.view = RunsView(self.table)
        self.actions_menu = RunActions(self)
        self.tools = RunsTools(self.table, self.view.filter, self.actions_menu)
        self.curves, self.difference = CurvesPage(), DifferencePage()
        self.sentence = ShortenedLabel()
        self._folder: Path | None = None
        self._looked_at: Path | None = None
        self._trouble = ""
        self._left_out = 0
        self._is_active = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)
        # A person who drags over rows selects them one by one.
        self._chosen_timer = QTimer(self)
        self._chosen_timer.setSingleShot(True)
        self._chosen_timer.timeout.connect(self._show_chosen)
        pages = ((self.curves, "Curves"), (self.difference, "Differences"))
        self.parts = FoldingSplit(self._with_tools(), "Runs", pages, _SHARES)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 6, 12, 8)
        column.addWidget(self.parts)
        self._connect()
        self._show_folder()
        self._show_state()

    def _with_tools(self) -> QWidget:
        """The table under its tools, beside the pages: in one row for all they would push the map away."""
        part = QWidget()
        column = QVBoxLayout(part)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.tools)
        column.addWidget(self.view, 1)
        column.addWidget(self.sentence)
        return part

    def _connect(self) -> None:
        self.reading.library_read.connect(self._show_library)
        self.reading.progressed.connect(self._show_progress)
        self.reading.curves_read.connect(self.curves.show_curves)
        self.reading.thumbnails_read.connect(self.table.show_thumbnails)
        self.reading.trashed.connect(self._tell_trashed)
        self.reading.failed.connect(self._tell_failure)
        self.table.thumbnails_wanted.connect(self.reading.read_thumbnails)
        self.table.notes_changed.connect(self._keep_notes)
        self.curves.wanted.connect(self.reading.read_curves)
        self.curves.drawn.connect(self.table.show_colours)
        self.view.chosen_changed.connect(self._chosen_timer.start)
        self.view.moved.connect(self._show_sentence)
        self.view.open_wanted.connect(self.open_selected)
        self.view.delete_wanted.connect(self.delete_selected)
        self.view.customContextMenuRequested.connect(self._show_menu)
        menu = self.actions_menu
        menu.aboutToShow.connect(self._fill_menu)
        menu.open_wanted.connect(self.open_selected)
        menu.delete_wanted.connect(self.delete_selected)
        menu.folder_wanted.connect(self._browse_selected)
        menu.path_wanted.connect(self._copy_paths)
        menu.edit_wanted.connect(self.view.edit_column)
        menu.marked.connect(self.mark_selected)
        self.tools.folder_wanted.connect(self.choose_folder)
        self.tools.default_folder_wanted.connect(self.use_default_folder)
        self.tools.own_folder_wanted.connect(self.use_own_folder)
        self.tools.browse_wanted.connect(self._browse_folder)
        self.tools.filtered.connect(self._show_state)
        theme.notifier().changed.connect(self._recolour)

    # --- which folder

    @property
    def folder(self) -> Path:
        """The folder that is looked at: the one chosen, else that of new runs."""
        return files.expanded(self._folder if self._folder is not None else self.session.runs_folder)

    @Slot()
    def choose_folder(self, folder: Path | None = None) -> None:
        """Look at another folder; None asks for it."""
        if not folder:
            name = QFileDialog.getExistingDirectory(self, "Choose a folder of runs", str(self.folder))
            if not name:
                return
            folder = Path(name)
        self._folder = folder
        self._change_folder()

    @Slot()
    def use_default_folder(self) -> None:
        """Look at the folder of new runs, wherever that will be."""
        self._folder = None
        self._change_folder()

    @Slot()
    def use_own_folder(self) -> None:
        """Look at the folder of the run that the window looks at."""
        run = self.session.run_directory
        if run is not None:
            self.choose_folder(run.path.parent)

    def _change_folder(self) -> None:
        self._show_folder()
        self.look()

    def _show_folder(self) -> None:
        self.tools.show_folder(self.folder, self._folder is None)
        run = self.session.run_directory
        self.tools.own_action.setEnabled(run is not None and files.expanded(run.path.parent) != self.folder)

    # --- looking

    def set_active(self, visible: bool) -> None:
        """Hidden, it neither looks nor draws."""
        self._is_active = visible
        if visible:
            self.look()
        else:
            self._timer.stop()

    @Slot()
    def look(self) -> None:
        """Look at the folder, and at what was added to the curves."""
        self._timer.stop()
        if self._is_active:
            self._show_folder()
            self.reading.look(self.folder)

    def close_job(self) -> None:
        """Keep what a person wrote; the window goes."""
        self._timer.stop()
        self.reading.close()

    @Slot(object)
    def _show_library(self, read: LibraryRead) -> None:
        if read.folder != self.folder:
            return
        self._looked_at = read.folder
        is_new = read.is_missing and self._folder is None  # it will be made with the first run
        self._trouble = "" if read.failure is None or is_new else f"{read.failure.message} {read.failure.hint}"
        library = read.library
        self._left_out = 0 if library is None else library.num_left_out
        if library is None:
            self.table.clear()
        else:
            self.table.show_library(library)
        self._show_state()
        self._chosen_timer.start()
        if self._is_active:
            self._timer.start(max(LOOK_MS, round(1000 * _REST_OF_LOOKS * read.seconds)))

    @Slot(object)
    def _show_progress(self, far: HowFarLooked) -> None:
        if far.folder == self.folder and self._looked_at != far.folder:
            self.tools.say(f"Looked at {far.done:,} of {far.total:,} folders…")

    @Slot()
    def _show_state(self) -> None:
        """How many there are, and what to do where there is nothing to see."""
        num_in_sight = self.view.filter.rowCount()
        self.tools.show_count(self.table.entries, num_in_sight)
        self.view.say("" if num_in_sight else self._why_empty())

    def _why_empty(self) -> str:
        if self._looked_at != self.folder:
            return f"Looking at {self.folder}…"
        if self._trouble:
            return self._trouble
        if self.table.entries:
            if self.view.filter.is_filtering:
                return "No run has these words and values. Clear search and filter above."
            return "All runs here are hidden. Filter > Show hidden runs brings them back."
        return f"There are no runs in {self.folder} yet. Press Train (Ctrl+T), or choose another folder above."

    # --- what is chosen

    def _selected_runs(self) -> list[RunSummary]:
        return [entry for entry in self.view.entries_selected() if isinstance(entry, RunSummary)]

    @Slot()
    def _show_chosen(self) -> None:
        selected = self._selected_runs()
        marks = self.table.mark_of
        are_pinned = any(mark.is_pinned for mark in self.table.marks.values())
        pinned = [run for run in self.table.runs if marks(run.path).is_pinned] if are_pinned else []
        pinned = [run for run in pinned if not marks(run.path).is_hidden]
        paths = {run.path for run in pinned}
        self.curves.show_runs([*pinned, *(run for run in selected if run.path not in paths)], self.table.marks)
        self.difference.show_runs(selected)
        self._show_sentence()

    @Slot()
    def _show_sentence(self) -> None:
        entry = self.view.current_entry() if self.view.entries_selected() else None
        parts = []
        if isinstance(entry, BadFolder):
            parts = [f"{entry.name} is not a run. {entry.reason}"]
        elif isinstance(entry, RunSummary):
            parts = [entry.judgement.note and f"{entry.label}, {entry.status}: {entry.judgement.note}", entry.remark]
        if self._left_out:
            parts.append(f"{self._left_out:,} more folders were not looked at; move some to another folder.")
        text = " ".join(filter(None, parts))
        self.sentence.say(text)
        self.sentence.setVisible(bool(text))

    @Slot()
    def open_selected(self) -> None:
        """Ask to look at the current run in the window."""
        entry = self.view.current_entry()
        if isinstance(entry, RunSummary):
            self.open_asked.emit(entry.path)
        elif isinstance(entry, BadFolder):
            self.session.post("info", f"{entry.name} is not a run.", entry.reason, _NEAR)

    @Slot(object)
    def mark_selected(self, changes: Mapping[str, Any]) -> None:
        """Pin, hide or colour what is selected."""
        chosen = self.view.entries_selected()
        self.table.mark_runs([entry.path for entry in chosen], **changes)
        self.view.filter.look_again()
        self._show_state()
        self._chosen_timer.start()

    @Slot(object, object)
    def _keep_notes(self, run: Path, notes: RunNotes) -> None:
        self.reading.write_notes(run, notes)
        self.look()
        self._chosen_timer.start()

    # --- menus

    @Slot()
    def _fill_menu(self) -> None:
        entries = self.view.entries_selected()
        self.actions_menu.show_selection(entries, [self.table.mark_of(entry.path) for entry in entries])

    @Slot(QPoint)
    def _show_menu(self, place: QPoint) -> None:
        if self.view.entries_selected():
            self.actions_menu.popup(self.view.viewport().mapToGlobal(place))

    @Slot()
    def _copy_paths(self) -> None:
        paths = [str(entry.path) for entry in self.view.entries_selected()]
        QGuiApplication.clipboard().setText("\n".join(paths))

    @Slot()
    def _browse_selected(self) -> None:
        for entry in self.view.entries_selected()[:1]:
            self._browse(entry.path)

    @Slot()
    def _browse_folder(self) -> None:
        self._browse(self.folder)

    def _browse(self, path: Path) -> None:
        show_folder(self.session, path, f"The folder is {path}.", _NEAR)

    # --- deleting

    @Slot()
    def delete_selected(self) -> None:
        """Ask, then move the selected runs to the desktop's trash; a run that is being written is refused."""
        entries = self.view.entries_selected()
        refusal = why_kept(entries, self.session)
        if refusal is not None:
            self.session.post("warning", refusal.message, refusal.hint, _NEAR)
        elif entries and self.ask_to_delete(self._selected_runs()):
            self.reading.move_to_trash(self.folder, [entry.path for entry in entries])

    def ask_to_delete(self, runs: list[RunSummary]) -> bool:
        """Whether these runs shall go to the trash."""
        return ask_to_delete(self, runs)

    @Slot(object)
    def _tell_trashed(self, trashed: Trashed) -> None:
        for error in trashed.errors:
            self.session.post_error(error, near=_NEAR)
        if trashed.runs and not trashed.errors:
            num = len(trashed.runs)
            what = trashed.runs[0].name if num == 1 else f"{num} runs"
            verb = "is" if num == 1 else "are"
            self.session.post(
                "info", f"{what} {verb} in the trash.", "A file browser brings back what is in it.", _NEAR
            )
        self.look()

    @Slot(object)
    def _tell_failure(self, failure: Failure) -> None:
        if failure.report:
            self.session.defect_reported.emit(failure.report)
        self.session.post("error", failure.message, failure.hint, _NEAR, failure.report)
        self.look()

    # --- what is remembered

    def memory(self) -> dict[str, Any]:
        """Folder, columns, order, choices of the plot, and marks; a table of plain values."""
        folder = {} if self._folder is None else {"folder": str(self._folder)}
        split = {} if self.parts.chosen_sizes is None else {"split": self.parts.chosen_sizes}
        there = {str(entry.path) for entry in self.table.entries}
        folder_name = str(self._looked_at)
        # Marks of runs that were seen to be gone are not kept for ever.
        kept = {p: m for p, m in self.table.marks.items() if p in there or str(Path(p).parent) != folder_name}
        marks = marks_table(kept)
        return folder | split | {"table": self.view.memory(), "curves": self.curves.memory(), "marks": marks}

    def restore(self, table: Mapping[str, Any]) -> None:
        """As it was remembered; what is not understood stays as it is."""
        if isinstance(folder := table.get("folder"), str) and folder:
            self._folder = Path(folder)
        self.table.marks = marks_of(table.get("marks"), len(theme.CLASS_COLOURS))
        for part, name in ((self.view, "table"), (self.curves, "curves")):
            kept = table.get(name)
            if isinstance(kept, dict):
                part.restore(kept)
        sizes = table.get("split")
        if isinstance(sizes, list) and len(sizes) == 2 and all(type(size) is int and size > 0 for size in sizes):
            self.parts.choose_sizes(sizes)
        self._show_folder()
        self._show_state()

    @Slot(object)
    def _recolour(self, _theme: object) -> None:
        self.table.recolour()
