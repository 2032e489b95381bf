"""An overview being computed: a thread feeds and watches the child process, a timer reads how far it is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.latent.overview import OverviewProgress, OverviewResult, OverviewView, start_overview

if TYPE_CHECKING:
    from vae_explorer.models.snapshot import Snapshot

POLL_MS = 100
_LEAST_SHARE_FOR_ETA = 0.05


@dataclass(frozen=True, slots=True)
class HowFar:
    """What the child does, the share that is done (0 to 1), and the seconds left, None while nobody knows."""

    stage: str
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, eq=False)
class FoundOverview:
    """The items laid out, the step of the weights whose codes they were, and how many codes were not finite."""

    view: OverviewView
    step: int
    num_left_out: int


class OverviewJob(QObject):
    """One computation. GUI thread, but for what `_watch` does: to copy codes and start a process takes too long there.

    progressed(HowFar); found(FoundOverview); failed(UserError). After `cancel` nothing more is emitted.
    """

    progressed = Signal(object)
    found = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject, snapshot: Snapshot, method: str) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._news: HowFar | FoundOverview | UserError = HowFar("Starting", 0.0, None)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._read)
        self._timer.start()
        # The thread must not outlive the widget whose job this is, whichever way that goes.
        self.destroyed.connect(self._cancelled.set)
        threading.Thread(target=self._watch, args=(snapshot, method), name="overview", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether there is neither a result nor an error yet."""
        return self._timer.isActive()

    def cancel(self) -> None:
        """End the child process; nothing more is told."""
        self._timer.stop()
        self._cancelled.set()

    @Slot()
    def _read(self) -> None:
        with self._lock:
            news = self._news
        if isinstance(news, HowFar):
            self.progressed.emit(news)
            return
        self._timer.stop()
        if isinstance(news, FoundOverview):
            self.found.emit(news)
        else:
            self.failed.emit(news)

    def _tell(self, news: HowFar | FoundOverview | UserError) -> None:
        with self._lock:
            self._news = news

    def _watch(self, snapshot: Snapshot, method: str) -> None:
        assert snapshot.codes_ND is not None
        try:
            codes_ND = snapshot.codes_ND.detach().cpu().numpy()
            num_left_out = int(np.count_nonzero(~np.isfinite(codes_ND).all(axis=1)))
            run = start_overview(codes_ND, method, seed=0)
            how_far = _HowFarSoFar()
            while not self._cancelled.wait(POLL_MS / 1000):
                news = run.poll()
                if isinstance(news, OverviewResult):
                    self._tell(FoundOverview(news.view, snapshot.step, num_left_out))
                    return
                self._tell(how_far(news))
            run.cancel()
        except UserError as error:
            self._tell(error)
        except Exception as error:  # whatever it is, the person must not wait for ever
            self._tell(UserError(f"The overview failed: {error}.", "Try again, or choose the PCA plane."))


class _HowFarSoFar:
    """From progress to the time left, by the clock of the last progress made: it counts down in between, and where a
    step takes longer than what is left would, nothing is promised.
    """

    def __init__(self) -> None:
        self._began = self._moved_at = time.monotonic()
        self._share = 0.0

    def __call__(self, progress: OverviewProgress) -> HowFar:
        now, share = time.monotonic(), progress.fraction
        if share > self._share:
            self._share, self._moved_at = share, now
        if share < _LEAST_SHARE_FOR_ETA:
            return HowFar(progress.stage, share, None)
        left = (self._moved_at - self._began) * (1.0 - share) / share - (now - self._moved_at)
        return HowFar(progress.stage, share, left if left > 0.0 else None)
