"""Measuring both runs on images that neither has learnt from, in a thread of its own beside the training."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    import numpy as np

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.evaluation.side_by_side import MeasuredSide
    from vae_explorer.models.snapshot import Snapshot

_POLL_MS = 50


@dataclass(frozen=True, slots=True, eq=False)
class SideToMeasure:
    """The weights of a side, its images, and the ids of those to measure on; `name` is "A" or "B".

    Without any ids the test split is measured on.
    """

    name: str
    snapshot: Snapshot
    dataset: ImageDataset
    ids_N: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class SideMeasured:
    """What was measured of the weights of a snapshot of a side on the items that were asked for."""

    name: str
    snapshot: Snapshot
    ids_N: np.ndarray
    found: MeasuredSide


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    failure: Failure | None


class SideMeasuring(QObject):
    """One measuring at a time. GUI thread, but for `_work`.

    measured(SideMeasured), once a side; ended(Failure or None).
    """

    measured = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._mailbox = Mailbox()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self.seconds = 0.0
        """What the last measuring took."""
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._read)

    @property
    def is_running(self) -> bool:
        """Whether a measuring has not ended yet."""
        return self._thread is not None

    def start(self, sides: tuple[SideToMeasure, ...]) -> None:
        """Begin; nothing happens while one runs."""
        if self._thread is not None or not sides:
            return
        self._cancelled = threading.Event()
        # The thread must not outlive whoever wants to know, whichever way that goes.
        self.destroyed.connect(self._cancelled.set)
        self._began = time.monotonic()
        self._thread = threading.Thread(
            target=self._work, args=(sides, self._cancelled), name="measuring beside", daemon=True
        )
        self._thread.start()
        self._timer.start()

    def cancel(self) -> None:
        """Stop within a block of images."""
        self._cancelled.set()

    def close(self, deadline: float = 2.0) -> None:
        """Stop, and wait at most so many seconds."""
        self.cancel()
        self._timer.stop()
        if self._thread is not None:
            self._thread.join(deadline)
            self._thread = None
        self._mailbox.drain()

    @Slot()
    def _read(self) -> None:
        for news in self._mailbox.drain():
            if isinstance(news, SideMeasured):
                self.measured.emit(news)
            elif isinstance(news, _Ended):
                self._timer.stop()
                if self._thread is not None:
                    self._thread.join()
                    self._thread = None
                self.seconds = time.monotonic() - self._began
                self.ended.emit(news.failure)

    def _work(self, sides: tuple[SideToMeasure, ...], cancelled: threading.Event) -> None:
        import torch

        from vae_explorer.evaluation.evaluation import Cancelled
        from vae_explorer.evaluation.heldout_sides import heldout_images, measured_side
        from vae_explorer.evaluation.images import load_scored_images
        from vae_explorer.models.snapshot import model_of

        # The cores belong to training, as in the exploring threads.
        torch.set_num_threads(1)
        failure = None
        try:
            for side in sides:
                snapshot, dataset = side.snapshot, side.dataset
                if len(side.ids_N):
                    images = heldout_images(dataset, snapshot.protocol, side.ids_N)
                else:
                    images = load_scored_images(dataset.name, 0, snapshot.protocol, "test", dataset.images.device)
                record = MODELS[snapshot.model_name]
                found = measured_side(side.name, model_of(snapshot), record, dataset.name, images, cancelled.is_set)
                self._mailbox.post(SideMeasured(side.name, snapshot, side.ids_N, found))
        except Cancelled:
            pass
        except Exception as error:  # whatever it is, the window tells
            failure = failure_of(error)
        self._mailbox.post(_Ended(failure))
