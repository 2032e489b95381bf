"""Exports of a run's folder, one after the other, outside the window's thread."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.job import Job
from vae_explorer.gui.threads.mailbox import Mailbox


class Exporting(QObject):
    """Made, asked and closed in the GUI thread, where its signals arrive.

    exported(sentences): the file is there. failed(Failure): it is not. A file gets its name when it is whole, so a
    window that closes meanwhile loses nothing but the wait.
    """

    exported = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job = Job(self, "exporting")
        self._job.posted.connect(self._take)

    @property
    def is_busy(self) -> bool:
        """Whether an export is under way."""
        return self._job.is_running

    def start(self, name: str, run: Path, out: Path) -> None:
        """Write this of the run in that folder; only while not busy."""
        self._job.start(partial(_work, name, run, out))

    @Slot(object)
    def _take(self, news: object) -> None:
        if isinstance(news, Failure):
            self.failed.emit(news)
        else:
            self.exported.emit(news)


def _work(name: str, run: Path, out: Path, mailbox: Mailbox, _cancelled: threading.Event) -> None:
    from vae_explorer.export.exportables import export

    try:
        mailbox.post(export(name, run, out))
    except Exception as error:  # whatever it is, the window tells
        mailbox.post(failure_of(error))
