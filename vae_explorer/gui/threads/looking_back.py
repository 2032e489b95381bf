"""Reads the past of a run outside the window's thread; of several moments asked for the newest wins."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.views import View
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.past import Past
    from vae_explorer.runs.run_directory import RunDirectory


@dataclass(frozen=True, slots=True, eq=False)
class WantedMoment:
    """A recorded moment by its step, and what is needed to look at it (`runs.past.Past.look`)."""

    step: int
    dataset: ImageDataset
    reference: int
    present: Snapshot | None
    is_aligned: bool
    view: View | None


class PastReading(QObject):
    """Owns a thread that begins with the first request. Made, called and closed in the GUI thread.

    Delivered in the GUI thread, never for a run that is no longer looked at: read(steps), the steps of all frames so
    far; looked(PastLook), the newest moment asked for; failed(Exception, bool): a reading went wrong, and whether it
    was that of a moment.
    """

    read = Signal(object)
    looked = Signal(object)
    failed = Signal(object, bool)
    _answered = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._run: RunDirectory | None = None
        self._of_run = self._of_moment = 0  # what was asked under a smaller number is not answered any more
        self._is_to_read = False
        self._wanted: WantedMoment | None = None
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def run(self) -> RunDirectory | None:
        """The run that is read of."""
        return self._run

    def follow(self, run: RunDirectory | None) -> None:
        """Read of this run from now on; what was read of it before is read again."""
        with self._condition:
            self._of_run += 1
            self._run, self._wanted, self._is_to_read = run, None, False

    def refresh(self) -> None:
        """Read what has come since."""
        with self._condition:
            self._is_to_read = self._run is not None
            self._go_on()

    def look(self, wanted: WantedMoment) -> None:
        """Ask for a moment; one that still waits is forgotten."""
        with self._condition:
            self._wanted = wanted
            self._go_on()

    def withdraw(self) -> None:
        """No moment is wanted any more."""
        with self._condition:
            self._wanted = None
            self._of_moment += 1

    def close(self, deadline: float = 2.0) -> None:
        """Take no more requests and wait at most `deadline` seconds for the one in hand."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(deadline)

    def _go_on(self) -> None:
        if self._is_closing:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="looking back", daemon=True)
            self._thread.start()
        self._condition.notify()

    def _work(self) -> None:
        from vae_explorer.runs.past import Past

        past: Past | None = None
        read_under = 0
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._is_closing or self._is_to_read or self._wanted is not None)
                if self._is_closing:
                    return
                run, asked_under = self._run, (self._of_run, self._of_moment)
                is_to_read, self._is_to_read = self._is_to_read, False
                wanted = None
                if not is_to_read:
                    wanted, self._wanted = self._wanted, None
            if run is None:
                continue
            if past is None or asked_under[0] != read_under:
                past, read_under = Past(run), asked_under[0]
            answer = _answer(past, wanted)
            with self._condition:
                if self._is_closing:
                    return
            self._answered.emit(asked_under, (answer, wanted is not None))

    @Slot(object, object)
    def _deliver(self, asked_under: tuple[int, int], answered: tuple[object, bool]) -> None:
        answer, is_moment = answered
        if asked_under[0] != self._of_run or (is_moment and asked_under[1] != self._of_moment):
            return
        if isinstance(answer, Exception):
            self.failed.emit(answer, is_moment)
        elif is_moment:
            self.looked.emit(answer)
        else:
            self.read.emit(answer)


def _answer(past: Past, wanted: WantedMoment | None) -> object:
    try:
        if wanted is None:
            recorded = past.refresh()
            return () if recorded is None else recorded.steps
        return past.look(
            wanted.step, wanted.dataset, reference=wanted.reference, present=wanted.present,
            is_aligned=wanted.is_aligned, view=wanted.view,
        )  # fmt: skip
    except Exception as error:  # told in the window, whatever it was; the thread goes on
        return error.with_traceback(None)
