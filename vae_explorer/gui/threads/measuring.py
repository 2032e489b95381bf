"""An evaluation beside the window: a thread loads the split and takes the measures one by one, a timer reads its news.

It measures the weights of a snapshot, which is never changed, or those of a run folder's newest checkpoint.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.evaluation.evaluate import Progress
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig

POLL_MS = 100


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotToMeasure:
    """The weights of this moment under the configuration they were trained with."""

    snapshot: Snapshot
    config: RunConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuringRequest:
    """What to measure: weights or a run folder, on which split, and how; 0 samples or images mean each measure's own.

    Without names all measures are taken that apply and are taken by default.
    """

    subject: SnapshotToMeasure | Path
    split: str
    names: tuple[str, ...] = ()
    samples: int = 0
    limit: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class HowFarMeasured:
    """Which measure is being taken, the share of all that is done, and the seconds left of this one."""

    title: str
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Began:
    """The weights are loaded; `run` has no measurements yet."""

    run: MeasuredRun


@dataclass(frozen=True, slots=True)
class Refusal:
    """A measure that could not be taken, in a sentence; the others go on."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes; `error` says why it ended early."""

    run: MeasuredRun | None
    error: UserError | None = None
    is_cancelled: bool = False


class Measuring(QObject):
    """One evaluation at a time. GUI thread, but for `_work`.

    began(MeasuredRun without measurements); progressed(HowFarMeasured); measured(Measurement); refused(str);
    ended(Ended).
    """

    began = Signal(object)
    progressed = Signal(object)
    measured = Signal(object)
    refused = Signal(str)
    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._news: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._read)

    @property
    def is_running(self) -> bool:
        """Whether an evaluation has not ended yet."""
        return self._thread is not None

    def start(self, request: MeasuringRequest) -> None:
        """Begin; nothing happens while one runs."""
        if self._thread is not None:
            return
        self._cancelled = threading.Event()
        # The thread must not outlive the widget whose work this is, whichever way that goes.
        self.destroyed.connect(self._cancelled.set)
        self._thread = threading.Thread(
            target=self._work, args=(request, self._cancelled), name="measuring", daemon=True
        )
        self._thread.start()
        self._timer.start()

    def cancel(self) -> None:
        """Stop within a block of images; what was measured stays."""
        self._cancelled.set()

    def close(self, deadline: float = 2.0) -> None:
        """Stop, and wait at most so many seconds."""
        self.cancel()
        self._timer.stop()
        if self._thread is not None:
            self._thread.join(deadline)
            self._thread = None

    @Slot()
    def _read(self) -> None:
        latest: HowFarMeasured | None = None
        while not self._news.empty():
            news = self._news.get()
            match news:
                case HowFarMeasured():
                    latest = news
                case Refusal():
                    self.refused.emit(news.text)
                case Ended():
                    self._timer.stop()
                    if self._thread is not None:
                        self._thread.join()
                        self._thread = None
                    self.ended.emit(news)
                    return
                case Began():
                    self.began.emit(news.run)
                case _:
                    self.measured.emit(news)
        if latest is not None:
            self.progressed.emit(latest)

    def _work(self, request: MeasuringRequest, cancelled: threading.Event) -> None:
        import torch

        from vae_explorer.evaluation.evaluation import Cancelled

        # The cores belong to training, as in the exploring threads.
        torch.set_num_threads(1)
        run: MeasuredRun | None = None
        try:
            model, config, name = _loaded(request.subject)
            run = _unmeasured(name, config)
            self._news.put(Began(run))
            for item in self._measuring(request, model, config, cancelled):
                self._news.put(item)
            self._news.put(Ended(run))
        except Cancelled:
            self._news.put(Ended(run, is_cancelled=True))
        except UserError as error:
            self._news.put(Ended(run, error))
        except Exception as error:  # whatever it is, the person must not wait for ever
            # Without its traceback the exception holds no tensors of the frames it came through.
            text = str(error.with_traceback(None)) or type(error).__name__
            self._news.put(Ended(run, UserError(f"The measures could not be taken: {text}.", "Choose fewer images.")))

    def _measuring(
        self, request: MeasuringRequest, model: LatentModel, config: RunConfig, cancelled: threading.Event
    ) -> Iterator[Measurement]:
        from vae_explorer.evaluation.catalogue import MEASURES
        from vae_explorer.evaluation.evaluate import measuring
        from vae_explorer.evaluation.needs import Subject, obstacle
        from vae_explorer.runs.kept_files import KeptFiles
        from vae_explorer.runs.run_images import load_run_images

        device = next(model.parameters()).device

        def images(split: str) -> ScoredImages:
            return load_run_images(config, split, device)

        clock, record, scored = _Clock(), MODELS[config.model_name], images(request.split)
        subject = Subject(record, model, scored, has_training=True)
        reasons = {name: obstacle(MEASURES[name], subject) for name in request.names}
        for reason in filter(None, reasons.values()):
            self._news.put(Refusal(reason))
        names = [name for name, reason in reasons.items() if not reason]
        if request.names and not names:
            return iter(())
        return measuring(
            model, record, scored, measures=names,
            samples=request.samples or None, limit=request.limit or None, seed=request.seed,
            progress=lambda progress: self._news.put(clock.how_far(progress)), is_cancelled=cancelled.is_set,
            refused=lambda error: self._news.put(Refusal(error.in_one_line)), training=lambda: images("train"),
            store=KeptFiles(),
        )  # fmt: skip


class _Clock:
    """How far a measure is, by the time it has taken so far."""

    def __init__(self) -> None:
        self._number, self._began = 0, 0.0

    def how_far(self, progress: Progress) -> HowFarMeasured:
        now = time.monotonic()
        if progress.number != self._number:
            self._number, self._began = progress.number, now
        share = progress.done / max(1, progress.total)
        left = (now - self._began) * (1 - share) / share if 0 < share < 1 else None
        return HowFarMeasured(progress.measure.title, (progress.number - 1 + share) / progress.num_measures, left)


def _loaded(subject: SnapshotToMeasure | Path) -> tuple[LatentModel, RunConfig, str]:
    if isinstance(subject, Path):
        from vae_explorer.runs.checkpoint import model_from_run

        found = model_from_run(subject)
        return found.model, found.config, f"{subject.name}, step {found.step:,}"
    from vae_explorer.models.snapshot import model_of

    snapshot = subject.snapshot
    name = f"{snapshot.run_name or 'untrained'}, step {snapshot.step:,}"
    return model_of(snapshot), subject.config, name


def _unmeasured(name: str, config: RunConfig) -> MeasuredRun:
    from vae_explorer.evaluation.comparison import MeasuredRun

    return MeasuredRun(name=name, dataset=config.data.dataset, protocol=config.data.protocol)
