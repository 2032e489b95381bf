"""An evaluation beside the window: a thread loads the split and takes the measures one by one, a timer reads its news.

It measures the weights of a snapshot, which is never changed, or those of a run folder's newest checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.job import Job
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.evaluation.evaluate import Progress
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig


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
    """One evaluation at a time. GUI thread.

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
        self._job = Job(self, "measuring")
        self._job.posted.connect(self._take)
        self._job.ended.connect(self._end)
        self._ended = Ended(None)

    @property
    def is_running(self) -> bool:
        """Whether an evaluation has not ended yet."""
        return self._job.is_running

    def start(self, request: MeasuringRequest) -> None:
        """Begin; nothing happens while one runs."""
        if not self.is_running:
            self._job.start(partial(_work, request))

    def cancel(self) -> None:
        """Stop within a block of images; what was measured stays."""
        self._job.cancel()

    def close(self, deadline: float = 2.0) -> None:
        """Stop, and wait at most so many seconds."""
        self._job.close(deadline)

    @Slot(object)
    def _take(self, news: object) -> None:
        match news:
            case HowFarMeasured():
                self.progressed.emit(news)
            case Refusal():
                self.refused.emit(news.text)
            case Ended():
                self._ended = news
            case Began():
                self.began.emit(news.run)
            case _:
                self.measured.emit(news)

    @Slot()
    def _end(self) -> None:
        self.ended.emit(self._ended)


def _work(request: MeasuringRequest, mailbox: Mailbox, cancelled: threading.Event) -> None:
    from vae_explorer.evaluation.evaluation import Cancelled

    run: MeasuredRun | None = None
    try:
        model, config, name = _loaded(request.subject)
        run = _unmeasured(name, config)
        mailbox.post(Began(run))
        for item in _measured(request, model, config, mailbox, cancelled):
            mailbox.post(item)
        mailbox.post(Ended(run))
    except Cancelled:
        mailbox.post(Ended(run, is_cancelled=True))
    except UserError as error:
        mailbox.post(Ended(run, error))
    except Exception as error:  # whatever it is, the person must not wait for ever
        # Without its traceback the exception holds no tensors of the frames it came through.
        text = str(error.with_traceback(None)) or type(error).__name__
        mailbox.post(Ended(run, UserError(f"The measures could not be taken: {text}.", "Choose fewer images.")))


def _measured(
    request: MeasuringRequest,
    model: LatentModel,
    config: RunConfig,
    mailbox: Mailbox,
    cancelled: threading.Event,
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
        mailbox.post(Refusal(reason))
    names = [name for name, reason in reasons.items() if not reason]
    if request.names and not names:
        return iter(())
    return measuring(
        model, record, scored, measures=names,
        samples=request.samples or None, limit=request.limit or None, seed=request.seed,
        progress=lambda progress: mailbox.post_newest(clock.how_far(progress)), is_cancelled=cancelled.is_set,
        refused=lambda error: mailbox.post(Refusal(error.in_one_line)), training=lambda: images("train"),
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
