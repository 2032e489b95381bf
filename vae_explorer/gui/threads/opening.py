"""Opening a run from its folder: its curves, its images, and the weights of its newest checkpoint to look at.

Like a preparation, one opening runs at a time and the session joins it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.errors import FileError
from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.preparing import DatasetReady, PreparationNote, device_name_of, load_images
from vae_explorer.runs.arrangement_file import read_arrangement
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_status import is_being_written
from vae_explorer.runs.stored_run import StoredRun, read_stored_run
from vae_explorer.training.events import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.threads.mailbox import Mailbox
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.beginning import Beginning
    from vae_explorer.training.events import Validated
    from vae_explorer.training.run_config import RunConfig


@dataclass(frozen=True, eq=False)
class RunOpened:
    """The course of the run, and its weights as they stand in the newest good checkpoint, or as it began without one.

    `measured` is None where there is no checkpoint yet. `arrangement` is what a person had arranged on its map, None
    where nothing was kept or `arrangement_problem` says why it cannot be read.
    """

    stored: StoredRun
    snapshot: Snapshot
    measured: Validated | None
    arrangement: Arrangement | None = None
    arrangement_problem: FileError | None = None


@dataclass(frozen=True)
class OpeningEnded:
    """The thread is about to end; `failure` says why nothing was opened."""

    failure: Failure | None


class OpeningThread(threading.Thread):
    """Opens the run in `path`; `matching` gives images that are loaded already, where they are those of the run."""

    def __init__(self, path: Path, matching: Callable[[RunConfig], ImageDataset | None], mailbox: Mailbox) -> None:
        super().__init__(name="opening", daemon=False)
        self._path = path
        self._matching = matching
        self._mailbox = mailbox
        self.cancelled = False

    def run(self) -> None:
        """Read, load and look; OpeningEnded is the last event."""
        failure = None
        try:
            self._open()
        except Exception as error:
            failure = failure_of(error)
        self._mailbox.post(OpeningEnded(failure))

    def _open(self) -> None:
        self._mailbox.post(PreparationNote(f"Opening {self._path.name}: reading its curves…"))
        run = RunDirectory.open(self._path)
        stored = read_stored_run(run)
        from vae_explorer.runs.beginning import beginning_of

        try:
            beginning = beginning_of(run)
        except FileError:
            if not is_being_written(run.path):
                raise
            beginning = None  # on its way: whoever follows the run sees it when it is whole
        if self.cancelled:
            return
        dataset = self._matching(run.config)
        if dataset is None:
            self._mailbox.post(PreparationNote(f"Opening {run.name}: reading the images…"))
            dataset = load_images(run.config)
        self._mailbox.post(DatasetReady(run.config, dataset, device_name_of(dataset)))
        if self.cancelled:
            return
        self._mailbox.post(PreparationNote(f"Opening {run.name}: placing the images on the map…"))
        snapshot, measured = look_at(run, beginning, dataset)
        arrangement, problem = None, None
        try:
            arrangement = read_arrangement(run)
        except FileError as error:
            problem = error
        self._mailbox.post(RunOpened(stored, snapshot, measured, arrangement, problem))


def look_at(run: RunDirectory, beginning: Beginning, dataset: ImageDataset) -> tuple[Snapshot, Validated | None]:
    """The weights there, with the codes of all images, and what they measure on the held-out images or, where none are,
    on the first of the training images; None for what was not trained yet.
    """
    from vae_explorer.runs.beginning import take_up
    from vae_explorer.training.heldout import CHUNK
    from vae_explorer.training.trainer import Trainer

    trainer = Trainer(run.config, dataset, run.name)
    take_up(beginning, trainer)
    trainer.fill_schedules()
    snapshot = trainer.encoded_snapshot()
    if not isinstance(beginning, TrainingState):
        return snapshot, None
    measured = dataset.heldout_index_N if len(dataset.heldout_index_N) else dataset.train_index_N[:CHUNK]
    return snapshot, trainer.validate(measured)
