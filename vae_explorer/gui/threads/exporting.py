"""Exports of a run's folder, one after the other, outside the window's thread."""

from __future__ import annotations

import threading
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vae_explorer.gui.threads.failure import Failure, failure_of


class Exporting(QObject):
    """Made, asked and closed in the GUI thread, where its signals arrive.

    exported(name, sentences): the file is there. failed(name, Failure): it is not.
    """

    exported = Signal(str, object)
    failed = Signal(str, object)
    _answered = Signal(str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None
        self._answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether an export is under way."""
        return self._thread is not None

    def start(self, name: str, run: Path, out: Path) -> None:
        """Write this of the run in that folder; only while not busy."""
        assert self._thread is None
        # A daemon: its file gets its name when it is whole, so that nothing is lost with the window but the wait.
        self._thread = threading.Thread(target=self._work, args=(name, run, out), name="exporting", daemon=True)
        self._thread.start()

    def _work(self, name: str, run: Path, out: Path) -> None:
        import torch

        from vae_explorer.export.exportables import export

        torch.set_num_threads(1)  # the cores belong to training
        answer: object
        try:
            answer = export(name, run, out)
        except Exception as error:  # whatever it is, the window tells
            answer = failure_of(error)
        self._answered.emit(name, answer)

    @Slot(str, object)
    def _deliver(self, name: str, answer: object) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if isinstance(answer, Failure):
            self.failed.emit(name, answer)
        else:
            self.exported.emit(name, answer)
