"""Looking again and again at a run that another process writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.opening import look_at
from vae_explorer.runs.followed_run import FollowedRun

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.stored_run import StoredRun
    from vae_explorer.training.events import Validated

POLL_SECONDS = 1.0
_REST = 4.0  # times what the last look at weights took: the cores belong to whoever trains


@dataclass(frozen=True, slots=True, eq=False)
class WeightsCame:
    """The weights of a newer checkpoint, and what they measure (`look_at`)."""

    snapshot: Snapshot
    measured: Validated | None


class FollowingThread(threading.Thread):
    """Tells RunNews, WeightsCame, and a Failure after which it looks at no more weights.

    `tell` is called in this thread. A daemon: it writes nothing, and what it is at can be left where it is.
    """

    def __init__(
        self, stored: StoredRun, seen_step: int, dataset: ImageDataset, tell: Callable[[object], None]
    ) -> None:
        super().__init__(name="following", daemon=True)
        self._followed = FollowedRun(stored, seen_step)
        self._dataset = dataset
        self._tell = tell
        self._ended = threading.Event()

    def end(self) -> None:
        """Look no more; nothing is told after this but what is being told."""
        self._ended.set()

    def run(self) -> None:
        """Look once a second until `end`."""
        rest_until, looks_at_weights = 0.0, True
        while True:
            news = self._followed.look()
            if self._ended.is_set():
                return
            if news is not None:
                self._tell(news)
            if looks_at_weights and time.monotonic() >= rest_until:
                began = time.monotonic()
                try:
                    came = self._weights()
                except Exception as error:  # whatever it is, the window tells; the curves go on
                    came, looks_at_weights = failure_of(error), False
                if came is not None and not self._ended.is_set():
                    self._tell(came)
                rest_until = time.monotonic() + _REST * (time.monotonic() - began)
            if self._ended.wait(POLL_SECONDS):
                return

    def _weights(self) -> WeightsCame | Failure | None:
        checkpoint = self._followed.newer_checkpoint()
        if checkpoint is None:
            return None
        import torch

        torch.set_num_threads(1)
        return WeightsCame(*look_at(self._followed.run, checkpoint.state, self._dataset))
