"""Training in a plain Python thread.

A `QThread` that still runs when its last reference goes aborts the process; a Python thread owned by the session is
stopped by a flag that the trainer reads between two steps, and joined with a deadline.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.preparing import DatasetReady, device_name_of, load_images
from vae_explorer.runs.run_directory import RunDirectory, new_run_path
from vae_explorer.runs.stored_run import StoredRun, read_stored_run
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, MetricsChunk, Paused, SnapshotTaken, TrainingState

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.threads.mailbox import Mailbox
    from vae_explorer.runs.beginning import GoingOn
    from vae_explorer.training.run_config import RunConfig


@dataclass(frozen=True)
class RunCreated:
    """The folder of the run exists."""

    run_directory: RunDirectory


@dataclass(frozen=True)
class TrainingEnded:
    """The thread is about to end; `failure` says why if it was not the trainer's own doing.

    `saved`: nothing of the run waits to be written; its newest checkpoint is its last state.
    """

    failure: Failure | None
    saved: bool


@dataclass(frozen=True)
class GoOn:
    """Train this run on from its newest checkpoint."""

    run_directory: RunDirectory


@dataclass(frozen=True)
class Fork:
    """Train a child of this run from its checkpoint nearest to `step`, the newest without one."""

    parent: RunDirectory
    step: int | None = None


@dataclass(frozen=True)
class FromWeights:
    """Train a new run from the weights in this file."""

    path: Path


Origin: TypeAlias = GoOn | Fork | FromWeights


@dataclass(frozen=True, eq=False)
class RunContinued:
    """The course of the run up to where it goes on, and a sentence where that is not its last checkpoint."""

    stored: StoredRun
    remark: str


class TrainingThread(threading.Thread):
    """One run, from its configuration (or from what it goes on from) to its last checkpoint.

    Posts the trainer's events as they are, and RunCreated, RunContinued, DatasetReady, TrainingEnded of its own.
    `control` may be used from any thread, before the start too. `running_share` is the part of the last second in which
    this thread had a core (0..1): what remains is what looking took.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: ImageDataset | None,
        runs_folder: Path,
        mailbox: Mailbox,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(name="training", daemon=False)
        self.control = Control()
        self.running_share = 1.0
        self._config = config
        self._dataset = dataset
        self._runs_folder = runs_folder
        self._mailbox = mailbox
        self._origin = origin
        self._run_directory: RunDirectory | None = None
        self._step_to_save = 0
        self._waits_to_be_saved = False
        self._clock = (0.0, 0.0)

    def run(self) -> None:
        """Train until done, stopped or failed; whatever happens, TrainingEnded is the last event."""
        failure = None
        try:
            self._train()
        except Exception as error:
            failure = failure_of(error)
        # The handler is left, so no frame holds a tensor any more.
        self._dataset = None
        if failure is not None:
            _give_memory_back()
            if self._run_directory is not None and not self._waits_to_be_saved:
                self._run_directory.discard_unused()
                if isinstance(self._origin, Fork):
                    from vae_explorer.runs.forking import discard_unbegun

                    discard_unbegun(self._run_directory)
        self._mailbox.post(TrainingEnded(failure, self._is_saved()))

    def _train(self) -> None:
        from vae_explorer.runs.beginning import run_from
        from vae_explorer.runs.event_records import RecordingFailed
        from vae_explorer.runs.recorder import record
        from vae_explorer.training.trainer import Trainer

        run_directory, found = self._begin()
        beginning = found.beginning
        self._run_directory = run_directory
        self._mailbox.post(RunCreated(run_directory))
        if isinstance(beginning, TrainingState):
            course = _course_up_to(run_directory, int(beginning.progress["step"]))
            self._mailbox.post(RunContinued(course, found.remark))
        if self._dataset is None:
            self._dataset = load_images(self._config)
            self._mailbox.post(DatasetReady(self._config, self._dataset, device_name_of(self._dataset)))
        trainer = Trainer(self._config, self._dataset, run_directory.name, spare_cores=1)
        begun = run_from(beginning, trainer, self.control, run_directory)
        if isinstance(beginning, TrainingState):
            trainer.encoded_snapshot()  # so that the map of all items is there from the first look
        self._clock = (time.perf_counter(), time.thread_time())
        self.control.want_snapshot()  # a run that was looked at once is also looked at in its last weights
        with contextlib.closing(record(begun, run_directory)) as events:
            for event in events:
                if isinstance(event, SnapshotTaken):
                    self._mailbox.post_newest(event)
                    continue
                if isinstance(event, MetricsChunk):
                    self._measure_share()
                elif isinstance(event, Paused):
                    self._clock = (0.0, 0.0)
                elif isinstance(event, Finished) and event.state is not None:
                    self._step_to_save = event.step
                elif isinstance(event, RecordingFailed) and event.save_again is not None:
                    self._waits_to_be_saved = True
                self._mailbox.post(event)

    def _begin(self) -> tuple[RunDirectory, GoingOn]:
        from vae_explorer.runs.beginning import GoingOn, going_on
        from vae_explorer.runs.forking import checkpoint_near, fork
        from vae_explorer.runs.start_weights import read_start_weights

        match self._origin:
            case GoOn(run):
                run_directory = RunDirectory(run.path, self._config, run.parent)
            case Fork(parent, step):
                path = new_run_path(self._runs_folder, self._config)
                run_directory = fork(parent, checkpoint_near(parent, step), self._config, path)
            case FromWeights(path):
                weights = read_start_weights(path, self._config)
                return self._new_run(), GoingOn(weights)
            case None:
                return self._new_run(), GoingOn(None)
        return run_directory, going_on(run_directory)

    def _new_run(self) -> RunDirectory:
        return RunDirectory.create(self._config, new_run_path(self._runs_folder, self._config))

    def _is_saved(self) -> bool:
        if self._waits_to_be_saved:
            return False
        if self._run_directory is None or self._step_to_save == 0:
            return True
        try:
            newest = self._run_directory.newest_checkpoint()
        except UserError:
            return False
        return newest is not None and int(newest.name) >= self._step_to_save

    def _measure_share(self) -> None:
        wall, busy = time.perf_counter(), time.thread_time()
        since_wall, since_busy = self._clock
        if since_wall == 0.0:
            self._clock = (wall, busy)
        elif wall - since_wall >= 0.5:
            self.running_share = min(1.0, (busy - since_busy) / (wall - since_wall))
            self._clock = (wall, busy)


def _course_up_to(run: RunDirectory, step: int) -> StoredRun:
    stored = read_stored_run(run)
    stored.history.cut_after(step)
    changes = tuple(change for change in stored.changes if change.step <= step)
    return dataclasses.replace(stored, changes=changes, step=step)


def _give_memory_back() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
