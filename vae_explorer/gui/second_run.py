"""The second of two runs side by side: opened from its folder, frozen, with an exploring thread of its own.

GUI thread only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.gui.threads.asking import Asking
from vae_explorer.gui.threads.exploring import ExplorerThread
from vae_explorer.gui.threads.frozen_opening import FrozenNote, FrozenOpened, FrozenOpening
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.frozen_run import FrozenRun, ImagesAtHand

_POLL_MS = 50


class SecondRun(QObject):
    """At most one run at a time; opening another takes its place once that is there.

    changed(): another run is there, or none, or it is told another class. noted(str): what the opening is doing, empty
    at its end. failed(Failure): why a run could not be opened; the one that was there stays.
    """

    changed = Signal()
    noted = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.run: FrozenRun | None = None
        self.snapshot: Snapshot | None = None
        self._mailbox = Mailbox()
        self._opening: FrozenOpening | None = None
        self._next: tuple[Path, ImagesAtHand | None] | None = None
        self._looking: tuple[ExplorerThread, Asking] | None = None
        self._leaving: list[ExplorerThread] = []
        self._is_closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._drain)

    @property
    def is_opening(self) -> bool:
        """Whether a run is being opened."""
        return self._opening is not None

    def open(self, path: Path, at_hand: ImagesAtHand | None) -> None:
        """Open the run in that folder, in place of whatever is being opened."""
        if self._is_closed:
            return
        self._next = (path, at_hand)
        if self._opening is not None:
            self._opening.cancelled = True  # its end opens what waits
        else:
            self._start()

    def forget(self) -> None:
        """Look at no second run any more, and open none."""
        self._next = None
        if self._opening is not None:
            self._opening.cancelled = True
        if self.run is not None:
            self._put_away()
            self.changed.emit()

    def tell(self, told: int) -> None:
        """Decode under this class from now on, where the model is told one, so that both runs are told the same."""
        if self.snapshot is None or self._looking is None or MODELS[self.snapshot.model_name].condition != "class":
            return
        if told != self.snapshot.told:
            from vae_explorer.models.snapshot import with_told

            self.snapshot = with_told(self.snapshot, told)
            self._looking[0].adopt(self.snapshot)
            self.changed.emit()

    def ask(
        self,
        slot: str,
        work: Work,
        on_answer: Callable[[Any], None],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """As `MapSession.explore`, of this run; nothing where there is none."""
        if self._looking is not None:
            self._looking[1].ask(slot, work, on_answer, on_failure)

    def withdraw(self, slot: str) -> None:
        """The answer on this slot is no longer wanted."""
        if self._looking is not None:
            self._looking[1].withdraw(slot)

    def close(self, deadline: float = 2.0) -> None:
        """End every thread, waiting at most so many seconds; the window goes."""
        self._is_closed = True
        until = time.monotonic() + deadline
        self._next = None
        self._timer.stop()
        if self._opening is not None:
            self._opening.cancelled = True
        self._put_away()
        for thread in self._leaving:
            thread.close(max(0.05, until - time.monotonic()))
        if self._opening is not None:
            self._opening.join(max(0.05, until - time.monotonic()))

    def _start(self) -> None:
        assert self._next is not None
        (path, at_hand), self._next = self._next, None
        self._opening = FrozenOpening(path, at_hand, self._mailbox)
        self._opening.start()
        self._timer.start()

    @Slot()
    def _drain(self) -> None:
        for event in self._mailbox.drain():
            if isinstance(event, FrozenNote):
                self.noted.emit(event.text)
            elif isinstance(event, FrozenOpened):
                self._end(event)

    def _end(self, event: FrozenOpened) -> None:
        thread, self._opening = self._opening, None
        is_wanted = thread is not None and not thread.cancelled
        if thread is not None:
            thread.join()
        if self._next is not None:
            self._start()
            return
        self._timer.stop()
        self.noted.emit("")
        if not is_wanted:
            return
        if event.failure is not None:
            self.failed.emit(event.failure)
        elif event.run is not None:
            self._take(event.run)

    def _take(self, run: FrozenRun) -> None:
        self._put_away()
        self.run, self.snapshot = run, run.snapshot
        thread = ExplorerThread(self)
        self._looking = (thread, Asking(thread))
        thread.show_images(run.dataset)
        thread.adopt(run.snapshot)
        self.changed.emit()

    def _put_away(self) -> None:
        """The network and the codes go with their thread, which nobody waits for: it may be in the middle of a look."""
        self.run = self.snapshot = None
        if self._looking is not None:
            thread, asking = self._looking
            self._looking = None
            asking.close()
            self._leaving.append(thread)
        still = []
        for thread in self._leaving:
            if thread.close(0.0):
                thread.deleteLater()
            else:
                still.append(thread)
        self._leaving = still
