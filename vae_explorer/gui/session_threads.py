"""The threads behind the session: what is started, what they say, what becomes of it when they end.

The session owns the worker threads and the mailbox; one timer drains it. GUI thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from vae_explorer.gui.session_facts import SessionFacts
from vae_explorer.gui.session_words import State
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.gui.threads.opening import OpeningEnded, OpeningThread, RunOpened
from vae_explorer.gui.threads.preparing import DatasetReady, PreparationEnded, PreparationNote, PreparingThread
from vae_explorer.gui.threads.recovering import BrokenOffFound, RecoveringThread
from vae_explorer.gui.threads.training import RunContinued, RunCreated, TrainingEnded, TrainingThread
from vae_explorer.runs.event_records import CheckpointWritten, FramesWritten, RecordingFailed, RecordingRecovered
from vae_explorer.runs.run_words import TRAINED_AGAIN
from vae_explorer.training import events

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.errors import FileError
    from vae_explorer.gui.following import Following
    from vae_explorer.gui.map_session import MapSession
    from vae_explorer.gui.timeline import Timeline
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig

_DRAIN_MS = 33
_LOOKING_SHARES = ((1.0, 0.05), (4.0, 0.10), (float("inf"), 0.30))


class SessionThreads(SessionFacts):
    """Worker threads and what their news means; signals as those of `SessionFacts`."""

    map: MapSession
    timeline: Timeline
    following: Following

    def __init__(self, config: RunConfig | None, parent: QObject | None) -> None:
        super().__init__(config, parent)
        self.looking_rate = 4.0
        self._mailbox = Mailbox()
        self._training: TrainingThread | None = None
        self._preparing: PreparingThread | OpeningThread | None = None
        self._to_open: Path | None = None
        self._recovering: RecoveringThread | None = None
        self._is_recovering = False
        self._dataset_config: RunConfig | None = None
        self._run_config: RunConfig | None = None
        self._save_again: Callable[[], FileError | None] | None = None
        self._snapshot_asked_at = 0.0
        self._snapshot_pending = False
        self.is_closed = False
        self._drain_timer = QTimer(self)
        self._drain_timer.setInterval(_DRAIN_MS)
        self._drain_timer.timeout.connect(self._drain)
        self._prepare_timer = self._single_shot(self.prepare)
        self._snapshot_timer = self._single_shot(self._ask_for_snapshot)

    def _single_shot(self, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(slot)
        return timer

    @property
    def training_share(self) -> float | None:
        """The part of a core that training had lately (0..1), None where nothing trains."""
        training = self._training
        return training.running_share if training is not None and self.state is State.TRAINING else None

    @property
    def dataset_config(self) -> RunConfig | None:
        """The configuration that the images were loaded for, None before there are some."""
        return self._dataset_config

    def _start_training(self, training: TrainingThread, config: RunConfig, paused: bool = False) -> None:
        self._prepare_timer.stop()
        if self._preparing is not None:
            self._preparing.cancelled = True  # its end must not hide what became of the run
        self._run_config = config
        if paused:
            training.control.pause()
        self._training = training
        self._snapshot_pending = False
        self.enter(State.PAUSED if paused else State.TRAINING)
        training.start()
        self._drain_timer.start()

    def _start_opening(self) -> None:
        path, self._to_open = self._to_open, None
        assert path is not None
        self._preparing = OpeningThread(path, self._matching_dataset_for, self._mailbox)
        self._preparing.start()
        self._drain_timer.start()

    def want_snapshot(self) -> None:
        """Ask for the next look at the weights; called by a visible panel that has shown the last one.

        Requests of several panels are one, and no more go out than the person's looking rate allows. While the past is
        looked at none goes out.
        """
        if self.timeline.is_past:
            self.timeline.has_been_seen()
            return
        if self._training is None or self._snapshot_pending or self._snapshot_timer.isActive():
            return
        if self.looking_rate <= 0 and self.state is State.TRAINING:
            return
        interval = 1.0 / self.looking_rate if self.looking_rate > 0 else 0.0
        wait = interval - (time.monotonic() - self._snapshot_asked_at)
        if wait <= 0:
            self._ask_for_snapshot()
        else:
            self._snapshot_timer.start(int(wait * 1000) + 1)

    def _shows_last_step(self) -> bool:
        if self.snapshot is None or self.progress is None or self.run_directory is None:
            return False
        return self.snapshot.run_name == self.run_directory.name and self.snapshot.step >= self.progress.step

    def set_looking_rate(self, rate: float) -> None:
        """How often the map is renewed while training, in Hz; 0 leaves all the time to training.

        The part of the time that looking may take grows with it.
        """
        self.looking_rate = rate
        self.explorer_thread.share_limit = next(share for most, share in _LOOKING_SHARES if rate <= most)
        self._snapshot_timer.stop()
        self.want_snapshot()

    @Slot()
    def prepare(self) -> None:
        """Load what the configuration asks for and show its untrained net; at the start and after edits."""
        if self.is_running or self.is_closed:
            return
        if self._preparing is not None:
            if self._preparing.cancelled and self._to_open is None:
                self._prepare_timer.start(_DRAIN_MS)  # a run has overtaken it; it is about to end
            return
        self._prepare_timer.stop()
        self._preparing = PreparingThread(self.config, self._matching_dataset(), self._mailbox)
        self._preparing.start()
        self._drain_timer.start()

    def look_for_broken_off_runs(self) -> None:
        """Offer the runs of the runs folder that were broken off, if there are any; once, after the warm-up."""
        if self._recovering is None and not self.is_closed:
            self._recovering = RecoveringThread(self.runs_folder, self._mailbox)
            self._is_recovering = True
            self._recovering.start()
            self._drain_timer.start()

    def close(self, deadline: float = 3.0) -> bool:
        """Stop, save and join the threads; False if the run was not saved within `deadline` seconds.

        Signals of the last events are still emitted. Once is enough; the session does nothing afterwards.
        """
        if self.is_closed:
            return True
        until = time.monotonic() + deadline
        self.is_closed = True
        self._prepare_timer.stop()
        self._snapshot_timer.stop()
        if self._preparing is not None:
            self._preparing.cancelled = True
        if self._training is not None:
            self._training.control.stop()
        for thread in (self._training, self._preparing, self._recovering):
            if thread is not None:
                thread.join(max(0.05, until - time.monotonic()))
        # A preparation that is still importing torch has nothing to save.
        ended = self._training is None or not self._training.is_alive()
        self._drain()
        self._drain_timer.stop()
        self.map.close()
        self.following.close(max(0.05, until - time.monotonic()))
        self.timeline.close(max(0.05, until - time.monotonic()))
        for looking in (self.explorer_thread, self.survey_thread):
            looking.close(max(0.05, until - time.monotonic()))
        return ended

    def _matching_dataset(self) -> ImageDataset | None:
        return self._matching_dataset_for(self.config)

    def _matching_dataset_for(self, config: RunConfig) -> ImageDataset | None:
        loaded = self._dataset_config
        if loaded is None or decides_images(loaded) != decides_images(config):
            return None
        return self.dataset

    @Slot()
    def _ask_for_snapshot(self) -> None:
        # Looking again at the weights of a run that rests would show the same picture for ever.
        if self._training is None or (self.state is State.PAUSED and self._shows_last_step()):
            return
        # Looking may cost training no more than its share: an expensive look is paid for with a longer rest.
        rest = self.explorer_thread.rest_seconds if self.state is State.TRAINING else 0.0
        if rest > 0.005:
            self._snapshot_timer.start(int(rest * 1000) + 1)
            return
        self._snapshot_pending = True
        self._snapshot_asked_at = time.monotonic()
        self._training.control.want_snapshot()

    @Slot()
    def _drain(self) -> None:
        posted = self._mailbox.drain()
        for event in posted:
            self._receive(event)
        if any(isinstance(event, events.MetricsChunk) for event in posted):
            self.history_changed.emit()
            if self.progress is not None:
                self.progress_changed.emit(self.progress)
        if self._training is None and self._preparing is None and not self._is_recovering:
            self._drain_timer.stop()

    def _receive(self, event: object) -> None:
        match event:
            case RunCreated():
                self.run_directory = event.run_directory
            case DatasetReady():
                self._show_dataset(event)
            case PreparationNote():
                self.preparation_noted.emit(event.text)
            case PreparationEnded():
                self._end_preparation(event)
            case BrokenOffFound():
                self._is_recovering = False
                if event.runs and not self.is_closed:
                    self.broken_off_found.emit(event.runs)
            case RunOpened():
                self.run_opened.emit(event)
            case OpeningEnded():
                self._end_opening(event)
            case RunContinued():
                self.show_course(event.stored)
                if event.remark:
                    self.post("warning", event.remark, TRAINED_AGAIN)
            case RecordingFailed():
                self.unsaved = True
                self._save_again = event.save_again
                self._tell_unsaved(event.message, event.hint)
            case RecordingRecovered():
                self.unsaved = False
                self.post("info", "The run is being saved again; nothing of it was lost.")
            case CheckpointWritten():
                self.unsaved = False
            case FramesWritten():
                self.timeline.frames_written()
            case TrainingEnded():
                self._end_training(event)
            case events.SnapshotTaken():
                self._snapshot_pending = False
                self.show_newer(event.snapshot)
            case _:
                self.learn(event)  # type: ignore[arg-type]  # all that is left comes from the trainer
                if isinstance(event, events.Started):
                    self.want_snapshot()

    def show_newer(self, snapshot: Snapshot) -> None:
        """Look at the present, now or when the window comes back from the past."""
        if self.timeline.is_past:
            self.timeline.keep_present(snapshot)
        elif not self.is_closed:
            self.show_snapshot(snapshot)

    def _tell_unsaved(self, message: str, hint: str) -> None:
        if self._save_again is not None:
            hint = f"{hint} Then choose File > Save the run again; closing the window tries it too.".strip()
        self.post("warning", message, hint)

    def _show_dataset(self, event: DatasetReady) -> None:
        # A preparation that was overtaken by a run on other images comes too late.
        run = self._run_config
        if self.is_running and run is not None and decides_images(run) != decides_images(event.config):
            return
        self._dataset_config, self.dataset = event.config, event.dataset
        self.device_name = event.device_name
        self.dataset_changed.emit(event.dataset)

    def _end_preparation(self, event: PreparationEnded) -> None:
        thread, self._preparing = self._preparing, None
        if thread is not None:
            thread.join()
        self.preparation_noted.emit("")
        if self.is_running or self.is_closed:
            return
        if self._to_open is not None:
            self._start_opening()
            return
        if thread is not None and thread.cancelled:
            return  # a run has been trained meanwhile, or has failed: that stays in sight
        if decides_net(event.config) != decides_net(self.config):
            self.prepare()
            return
        self._prepare_timer.stop()  # what it would load is here
        if event.snapshot is not None:
            self.show_snapshot(event.snapshot)
            self.enter(State.READY)
        elif event.failure is not None:
            self.tell(event.failure)
            self.enter(State.FAILED)

    def _end_opening(self, event: OpeningEnded) -> None:
        thread, self._preparing = self._preparing, None
        if thread is not None:
            thread.join()
        self.preparation_noted.emit("")
        if self.is_closed:
            return
        if event.failure is None:
            self.enter(State.FINISHED)
            return
        self.tell(event.failure)
        self.prepare()

    def _end_training(self, event: TrainingEnded) -> None:
        thread, self._training = self._training, None
        if thread is not None:
            thread.join()
        self._snapshot_pending = False
        self._snapshot_timer.stop()
        self.unsaved = not event.saved
        if event.failure is not None:
            self.tell(event.failure)
        self.enter(State.FAILED if event.failure is not None else State.FINISHED)


def decides_images(config: RunConfig) -> tuple[object, ...]:
    """What of a configuration decides which images are loaded."""
    # Only under this protocol are the images other ones.
    is_static = config.data.protocol == "static"
    data = config.data
    return (data.dataset, data.heldout_images, data.heldout_part, is_static, config.training.device)


def decides_net(config: RunConfig) -> tuple[object, ...]:
    """What of a configuration decides the untrained net and its codes."""
    return (config.data, config.model_name, config.model, config.training.seed, config.training.device)
