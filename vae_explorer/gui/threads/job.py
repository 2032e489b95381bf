"""Work in a thread of its own that can be cancelled, and whose news a timer brings to the window.

By a timer and not by signals of the thread: one that outlives its owner would emit through an object that is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.gui.threads.mailbox import Mailbox

JobWork: TypeAlias = Callable[[Mailbox, threading.Event], None]
"""Posts its news and returns; it looks at the event, which says that nobody waits for it any more."""

_POLL_MS = 50


@dataclass(frozen=True)
class _End:
    """The work has returned or raised."""


class Job(QObject):
    """One work at a time. Made, started and closed in the GUI thread, where its signals arrive.

    posted(object): news of the work, in order. ended(): nothing more comes, and another may begin.
    """

    posted = Signal(object)
    ended = Signal()

    def __init__(self, parent: QObject, name: str) -> None:
        super().__init__(parent)
        self._name = name
        self._mailbox = Mailbox()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._read)

    @property
    def is_running(self) -> bool:
        """Whether a work has not ended yet."""
        return self._thread is not None

    def start(self, work: JobWork) -> None:
        """Begin; only while nothing runs."""
        assert self._thread is None, "one at a time"
        self._cancelled = threading.Event()
        # The thread must not outlive the widget whose work this is, whichever way that goes.
        self.destroyed.connect(self._cancelled.set)
        arguments = (work, self._mailbox, self._cancelled)
        self._thread = threading.Thread(target=_run, args=arguments, name=self._name, daemon=True)
        self._thread.start()
        self._timer.start()

    def cancel(self) -> None:
        """Let the work end early."""
        self._cancelled.set()

    def close(self, deadline: float = 2.0) -> None:
        """Cancel, and wait at most so many seconds; nothing is told any more."""
        self.cancel()
        self._timer.stop()
        if self._thread is not None:
            self._thread.join(deadline)
            self._thread = None
        self._mailbox = Mailbox()

    @Slot()
    def _read(self) -> None:
        for news in self._mailbox.drain():
            if not isinstance(news, _End):
                self.posted.emit(news)
                continue
            self._timer.stop()
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            self.ended.emit()


def _run(work: JobWork, mailbox: Mailbox, cancelled: threading.Event) -> None:
    import torch

    torch.set_num_threads(1)  # of this thread: the cores belong to training
    try:
        work(mailbox, cancelled)
    finally:
        mailbox.post(_End())
