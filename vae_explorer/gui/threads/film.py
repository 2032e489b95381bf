"""Draws the map of recorded moments, one after the other, outside the window's thread, for a movie of the training.

With an explorer and a past of its own: the window looks at what it likes meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.drawing import LayerDrawing
    from vae_explorer.latent.layers import LayerRecord, LayerRequest
    from vae_explorer.latent.views import View
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.past import Moment, PastLook
    from vae_explorer.runs.run_directory import RunDirectory

_MOST_WAITING = 2  # drawings that wait to be composed, before drawing rests


@dataclass(frozen=True, slots=True, eq=False)
class FilmJob:
    """What to draw: the moments of these steps, through this view as it is chosen.

    `requests(look)` says through which view a moment is drawn, and which layers.
    """

    run: RunDirectory
    dataset: ImageDataset
    present: Snapshot | None
    steps: tuple[int, ...]
    view: View
    is_aligned: bool
    requests: Callable[[PastLook], tuple[tuple[LayerRecord, LayerRequest], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMoment:
    """The layers of one moment, and what says where they come from."""

    moment: Moment
    facts: Mapping[str, str]
    drawings: tuple[tuple[LayerRecord, LayerDrawing], ...]
    requests: tuple[tuple[LayerRecord, LayerRequest], ...]


class FilmDrawing(QObject):
    """One job; made, started and cancelled in the GUI thread, where its signals arrive.

    drawn(DrawnMoment), in the order of steps: answer each with `take_next`. ended(Exception or None): all are drawn, or
    not; never after `cancel`.
    """

    drawn = Signal(object)
    ended = Signal(object)
    _answered = Signal(object)

    def __init__(self, job: FilmJob, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self._is_cancelled = threading.Event()
        self._room = threading.Semaphore(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="film", daemon=True)
        self._answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def take_next(self) -> None:
        """The last drawing has been used."""
        self._room.release()

    def cancel(self, deadline: float = 2.0) -> None:
        """Draw no more, and wait at most so long for the drawing in hand."""
        self._is_cancelled.set()
        self._room.release()
        if self._thread.is_alive():
            self._thread.join(deadline)

    def _work(self) -> None:
        trouble: Exception | None = None
        try:
            self._draw()
        except Exception as error:  # told in the window, whatever it was
            trouble = error.with_traceback(None)
        if not self._is_cancelled.is_set():
            self._answered.emit((trouble,))

    def _draw(self) -> None:
        import torch

        from vae_explorer.gui.map_picture import drawn_layers
        from vae_explorer.latent.explorer import Explorer
        from vae_explorer.runs.past import Past

        # The cores belong to training, as in the exploring thread.
        torch.set_num_threads(1)
        job, past, explorer = self._job, Past(self._job.run), Explorer()
        past.refresh()
        explorer.show_images(job.dataset)
        for step in job.steps:
            self._room.acquire()
            if self._is_cancelled.is_set():
                return
            look = past.look(
                step, job.dataset, reference=job.steps[-1], present=job.present, is_aligned=job.is_aligned,
                view=job.view,
            )  # fmt: skip
            explorer.adopt(look.snapshot)
            requests = job.requests(look)
            drawings: tuple[tuple[LayerRecord, LayerDrawing], ...] = ()
            for drawn in drawn_layers(explorer, requests):
                if self._is_cancelled.is_set():
                    return
                drawings = drawn or ()
            facts = {"run": look.snapshot.run_name, "model": look.snapshot.model_name, "step": str(look.moment.step)}
            self._answered.emit(DrawnMoment(look.moment, facts, drawings, requests))

    @Slot(object)
    def _deliver(self, answer: object) -> None:
        if self._is_cancelled.is_set():
            return
        if isinstance(answer, DrawnMoment):
            self.drawn.emit(answer)
        elif isinstance(answer, tuple):
            self._thread.join()
            self.ended.emit(answer[0])
