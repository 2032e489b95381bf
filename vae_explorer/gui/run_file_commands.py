"""What the menu File does to runs and their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QFileDialog

from vae_explorer.export.exportables import EXPORTABLES, endings_words
from vae_explorer.gui.actions import WITH_PICTURE, ActionRecord
from vae_explorer.gui.file_browser import show_folder
from vae_explorer.gui.session_words import Offer
from vae_explorer.gui.threads.exporting import Exporting

if TYPE_CHECKING:
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.settings import Settings
    from vae_explorer.gui.threads.failure import Failure


def export_records() -> tuple[ActionRecord, ...]:
    """An action for each thing that a run can be asked for."""
    return tuple(
        ActionRecord(
            f"action.export_{name}", f"{what.title}…", "File/Export",
            f"Save {what.summary}, as {endings_words(what)}", "export_run", enabled_in=WITH_PICTURE, group=1,
            argument=name,
        )
        for name, what in EXPORTABLES.items()
    )  # fmt: skip


class RunFileCommands(QObject):
    """Handlers of actions. `may_lose` asks whether what is not saved may go.

    tried_again(): what could not be written was tried again.
    """

    tried_again = Signal()

    def __init__(self, session: Session, settings: Settings, window: MainWindow, may_lose: Callable[[], bool]) -> None:
        super().__init__(window)
        self._session = session
        self._settings = settings
        self._window = window
        self._may_lose = may_lose
        self.exporting = Exporting(self)
        self._exported_to = Path()
        self.exporting.exported.connect(self._tell_exported)
        self.exporting.failed.connect(self._tell_failure)

    def open_run(self, path: Path | None = None) -> None:
        """Look at a run; None asks for its folder."""
        session = self._session
        if path is None:
            start = session.run_directory.path.parent if session.run_directory is not None else session.runs_folder
            chosen = QFileDialog.getExistingDirectory(self._window, "Open a run", str(start))
            path = Path(chosen) if chosen else None
        if path is not None and self._may_lose():
            session.open_run(path)

    def compare_run(self) -> None:
        """Ask for the folder of a second run and put it beside this one."""
        dock = self._window.docks["beside"]
        dock.show()
        dock.raise_()
        self._window.panel("beside").compare_with()

    def export_run(self, name: str) -> None:
        """Ask for a file and write this of the run's newest checkpoint there."""
        session, run, what = self._session, self._session.run_directory, EXPORTABLES[name]
        if run is None:
            session.post("info", "There is no run to export yet.", "Train one, or open one.")
            return
        if self.exporting.is_busy:
            session.post("info", "Another export is under way.", "Export this when it has ended.")
            return
        folder = self._settings.text("export/folder", str(Path.home()))
        start = Path(folder) / f"{run.name}-{name}{what.endings[0]}"
        kinds = ";;".join(f"*{ending}" for ending in what.endings if ending)
        chosen, _ = QFileDialog.getSaveFileName(self._window, f"Export: {what.title}", str(start), kinds)
        if not chosen:
            return
        self._settings.remember("export/folder", str(Path(chosen).parent))
        self._exported_to = Path(chosen)
        self.exporting.start(name, run.path, self._exported_to)
        session.post("info", f"{what.title}: writing {Path(chosen).name}…")

    @Slot(object)
    def _tell_exported(self, sentences: tuple[str, ...]) -> None:
        first, *others = sentences
        place = self._exported_to.parent
        offers = (Offer("Show its folder", lambda: show_folder(self._session, place, f"It is in {place}.")),)
        self._session.post("info", f"{first}.", ". ".join((*others, "")).strip(), offers=offers)

    @Slot(object)
    def _tell_failure(self, failure: Failure) -> None:
        self._session.tell(failure)

    def save_run_again(self) -> None:
        """Write what could not be written at the end of the run."""
        self._session.save_again()
        self.tried_again.emit()

    def open_run_folder(self) -> None:
        """Show the run's folder in the file browser."""
        run = self._session.run_directory
        if run is not None:
            show_folder(self._session, run.path, f"The run is in {run.path}.")

    def choose_runs_folder(self) -> None:
        """Ask where new runs go."""
        start = str(self._session.runs_folder)
        chosen = QFileDialog.getExistingDirectory(self._window, "Choose a folder for runs", start)
        if not chosen:
            return
        if not os.access(chosen, os.W_OK):
            self._session.post("error", f"{chosen} cannot be written.", "Choose a folder of your own.")
            return
        self._session.runs_folder = Path(chosen)
        self._settings.remember("runs/folder", chosen)
        self._session.post("info", f"New runs are saved in {chosen}.")
