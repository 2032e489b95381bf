"""Looking for runs that were broken off, once at the start, beside everything else."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.runs.broken_off import BrokenOffRun, broken_off_runs

if TYPE_CHECKING:
    from vae_explorer.gui.threads.mailbox import Mailbox


@dataclass(frozen=True)
class BrokenOffFound:
    """The runs of the folder that were broken off, the newest first."""

    runs: tuple[BrokenOffRun, ...]


class RecoveringThread(threading.Thread):
    """Looks through a folder of runs and posts BrokenOffFound. Not a daemon: joined by the session."""

    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        super().__init__(name="recovering", daemon=False)
        self._folder = folder
        self._mailbox = mailbox

    def run(self) -> None:
        """One look; a folder that is not there holds none."""
        found: tuple[BrokenOffRun, ...] = ()
        try:
            found = broken_off_runs(self._folder)
        finally:
            self._mailbox.post(BrokenOffFound(found))
