"""Measuring both runs on images that neither has learnt from, in a thread of its own beside the training."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.job import Job
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    import numpy as np

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.evaluation.side_by_side import MeasuredSide
    from vae_explorer.models.snapshot import Snapshot


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


class SideMeasuring(QObject):
    """One measuring at a time. GUI thread.

    measured(SideMeasured), once a side; ended(Failure or None).
    """

    measured = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job = Job(self, "measuring beside")
        self._job.posted.connect(self._take)
        self._job.ended.connect(self._end)
        self._failure: Failure | None = None
        self._began = 0.0
        self.seconds = 0.0
        """What the last measuring took."""

    @property
    def is_running(self) -> bool:
        """Whether a measuring has not ended yet."""
        return self._job.is_running

    def start(self, sides: tuple[SideToMeasure, ...]) -> None:
        """Begin; nothing happens while one runs."""
        if sides and not self.is_running:
            self._failure, self._began = None, time.monotonic()
            self._job.start(partial(_work, sides))

    def cancel(self) -> None:
        """Stop within a block of images."""
        self._job.cancel()

    def close(self, deadline: float = 2.0) -> None:
        """Stop, and wait at most so many seconds."""
        self._job.close(deadline)

    @Slot(object)
    def _take(self, news: object) -> None:
        if isinstance(news, Failure):
            self._failure = news
        else:
            self.measured.emit(news)

    @Slot()
    def _end(self) -> None:
        self.seconds = time.monotonic() - self._began
        self.ended.emit(self._failure)


def _work(sides: tuple[SideToMeasure, ...], mailbox: Mailbox, cancelled: threading.Event) -> None:
    from vae_explorer.evaluation.evaluation import Cancelled
    from vae_explorer.evaluation.heldout_sides import heldout_images, measured_side
    from vae_explorer.evaluation.images import load_scored_images
    from vae_explorer.models.snapshot import model_of

    try:
        for side in sides:
            snapshot, dataset = side.snapshot, side.dataset
            if len(side.ids_N):
                images = heldout_images(dataset, snapshot.protocol, side.ids_N)
            else:
                images = load_scored_images(dataset.name, 0, snapshot.protocol, "test", dataset.images.device)
            record = MODELS[snapshot.model_name]
            found = measured_side(side.name, model_of(snapshot), record, dataset.name, images, cancelled.is_set)
            mailbox.post(SideMeasured(side.name, snapshot, side.ids_N, found))
    except Cancelled:
        return
    except Exception as error:  # whatever it is, the window tells
        mailbox.post(failure_of(error))
