"""What is asked and refused before runs of the library go to the desktop's trash. GUI thread only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from vae_explorer.errors import UserError, plain
from vae_explorer.runs.run_status import RunStatus
from vae_explorer.runs.run_summary import RunSummary

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from vae_explorer.gui.session import Session
    from vae_explorer.gui.tables.runs_table import Entry

_MOST_NAMED = 6


def why_kept(entries: Sequence[Entry], session: Session) -> UserError | None:
    """Why these cannot be deleted from here; None where they can. The thread that moves them looks once more."""
    for entry in entries:
        if not isinstance(entry, RunSummary):
            hint = "Select runs only; other folders are left to a file browser."
            return UserError("Only runs are moved to the trash from here.", hint)
        if entry.status is RunStatus.RUNNING or _is_trained_here(entry, session):
            return UserError(f"{entry.label} is being written.", "Stop its training first, then delete it.")
    return None


def _is_trained_here(run: RunSummary, session: Session) -> bool:
    """Also where the folder is reached by another path, or where the end of the run still waits to be written."""
    ours = session.run_directory
    if ours is None or not (session.is_running or session.unsaved):
        return False
    try:
        return ours.path.samefile(run.path)
    except OSError:
        return False


def ask_to_delete(parent: QWidget, runs: Sequence[RunSummary]) -> bool:
    """Whether a person wants these runs in the trash."""
    what = runs[0].label if len(runs) == 1 else f"{len(runs)} runs"
    names = [plain(run.name) for run in runs[:_MOST_NAMED]]
    if len(runs) > _MOST_NAMED:
        names.append(f"and {len(runs) - _MOST_NAMED} more")
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("VAE Explorer")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText("\n".join([f"Move {what} to the trash?", "", *names]))
    box.setInformativeText("The desktop's trash keeps what is in it until it is emptied.")
    move = box.addButton("Move to trash", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton("Keep", QMessageBox.ButtonRole.RejectRole))
    box.exec()
    answer = box.clickedButton() is move
    box.deleteLater()
    return answer
