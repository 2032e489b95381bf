"""Writes a file without holding up the window: content is made and written in a thread, the answer arrives as
a signal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vae_explorer.errors import UserError


class FileWriting(QObject):
    """One file at a time for the widget that owns it.

    written(Path): the file is on the disk. failed(UserError): it is not, and what was there before is
    unharmed. Both are emitted in the thread where this object lives.
    """

    written = Signal(object)
    failed = Signal(object)
    _ended = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None
        self._ended.connect(self._report, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether a file is being written."""
        return self._thread is not None

    def start(self, path: Path, content: Callable[[], bytes]) -> None:
        """Call `content` in a thread and write what it returns; while busy a second request is refused by an
        assertion.
        """
        assert self._thread is None, "one file at a time"
        # Not a daemon: a program that ends waits the moment the file needs.
        self._thread = threading.Thread(target=self._write, args=(path, content), name="file writing")
        self._thread.start()

    def _write(self, path: Path, content: Callable[[], bytes]) -> None:
        from vae_explorer.runs.files import write_bytes_atomic

        error: UserError | None = None
        try:
            write_bytes_atomic(path, content())
        except UserError as trouble:
            error = trouble
        except MemoryError:
            error = UserError("There is not enough memory to make this file.", "Choose a smaller picture.")
        try:
            self._ended.emit(path, error)
        except RuntimeError:
            # The widget was closed meanwhile and took this object along; the file is written all the same.
            return

    @Slot(object, object)
    def _report(self, path: Path, error: UserError | None) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if error is None:
            self.written.emit(path)
        else:
            self.failed.emit(error)
