"""What the window does: training, pausing, editing, looking; over what it knows (`session_facts`).

The session owns the worker threads and the mailbox. Panels read its attributes, call its methods and listen to its
signals; they never touch a thread. GUI thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtGui import QUndoStack

from vae_explorer.gui.map_session import MapSession
from vae_explorer.gui.session_facts import SessionFacts
from vae_explorer.gui.session_words import CAN_TRAIN, RUNNING, Message, Progress, State
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.gui.threads.preparing import (
    DatasetReady,
    PreparationEnded,
    PreparationNote,
    PreparingThread,
)
from vae_explorer.gui.threads.training import RunCreated, TrainingEnded, TrainingThread
from vae_explorer.gui.undo import Arrange, EditSetting, ReplaceConfig
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.event_records import CheckpointWritten, RecordingFailed, RecordingRecovered
from vae_explorer.training import events
from vae_explorer.training.run_config import setting_at, with_value

if TYPE_CHECKING:
    from vae_explorer.config import Value
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.errors import FileError
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig

__all__ = ["CAN_TRAIN", "RUNNING", "Message", "Progress", "Session", "State"]

_DRAIN_MS = 33
_PREPARE_AFTER_MS = 300
_LOOKING_SHARES = ((1.0, 0.05), (4.0, 0.10), (float("inf"), 0.30))
_UNTRAINED = frozenset({State.STARTING, State.READY, State.FAILED})


class Session(SessionFacts):
    """What a person can do to what the window is looking at; the signals are those of `SessionFacts`."""

    def __init__(self, config: RunConfig | None = None, parent: QObject | None = None) -> None:
        super().__init__(config, parent)
        self.looking_rate = 4.0
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)
        self._mailbox = Mailbox()
        self._training: TrainingThread | None = None
        self._preparing: PreparingThread | None = None
        self._dataset_config: RunConfig | None = None
        self._run_config: RunConfig | None = None
        self._save_again: Callable[[], FileError | None] | None = None
        self._snapshot_asked_at = 0.0
        self._snapshot_pending = False
        self._closed = False
        self._drain_timer = QTimer(self)
        self._drain_timer.setInterval(_DRAIN_MS)
        self._drain_timer.timeout.connect(self._drain)
        self._prepare_timer = self._single_shot(self.prepare)
        self._snapshot_timer = self._single_shot(self._ask_for_snapshot)
        self.map = MapSession(self)

    def _single_shot(self, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(slot)
        return timer

    # --- what a person does to a run

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Look at these weights from now on, under the condition that the map has chosen where they have one."""
        told = self.map.arrangement.told
        if MODELS[snapshot.model_name].condition and snapshot.told != told:
            from vae_explorer.models.snapshot import with_told

            snapshot = with_told(snapshot, told)
        super().show_snapshot(snapshot)

    @property
    def training_share(self) -> float | None:
        """The part of a core that training had lately (0..1), None where nothing trains."""
        training = self._training
        return training.running_share if training is not None and self.state is State.TRAINING else None

    def train(self, paused: bool = False) -> None:
        """Start a new run with the configuration in the form; `paused` waits for single steps.

        What could not be saved of the last run is lost with it.
        """
        if self.state not in CAN_TRAIN or self._training is not None:
            return
        self._prepare_timer.stop()
        self._save_again = None
        self.forget_run()
        self._run_config = self.config
        training = TrainingThread(self.config, self._matching_dataset(), self.runs_folder, self._mailbox)
        if paused:
            training.control.pause()
        self._training = training
        self._snapshot_pending = False
        self.enter(State.PAUSED if paused else State.TRAINING)
        training.start()
        self._drain_timer.start()

    def pause(self) -> None:
        """Rest after the step in hand."""
        if self.state is State.TRAINING and self._training is not None:
            self._training.control.pause()
            self._training.control.want_snapshot()

    def resume(self) -> None:
        """Go on after a pause."""
        if self.state is State.PAUSED and self._training is not None:
            self._training.control.resume()
            self.want_snapshot()

    def step_once(self) -> None:
        """One step, then rest; starts a run if there is none."""
        if self._training is None:
            self.train(paused=True)
        if self._training is not None and self.state in {State.TRAINING, State.PAUSED}:
            self._training.control.want_snapshot()
            self._training.control.step_once()

    def stop(self) -> None:
        """End the run after the step in hand; its last checkpoint is written."""
        if self.state in {State.TRAINING, State.PAUSED} and self._training is not None:
            self.enter(State.STOPPING)
            self._training.control.want_snapshot()
            self._training.control.stop()

    @property
    def can_save_again(self) -> bool:
        """Whether the run ended with something unwritten that can still be written."""
        return self._save_again is not None

    def save_again(self) -> bool:
        """Write what the end of the run left unwritten; False, and a message, if that fails again."""
        if self._save_again is None:
            return not self.unsaved
        error = self._save_again()
        if error is not None:
            self._tell_unsaved(error.message, error.hint)
            return False
        self._save_again = None
        self.unsaved = False
        self.post("info", "The run is saved now; nothing of it was lost.")
        return True

    # --- what a person arranges

    def edit(self, path: str, value: Value) -> None:
        """Change one setting; can be undone. A live one reaches the run in training. Raises SettingError."""
        changed = with_value(self.config, path, value)
        if changed != self.config:
            self.undo_stack.push(EditSetting(self, path, value))

    def change_live(self, path: str, value: Value) -> None:
        """Change a setting while the run goes on. Raises SettingError."""
        self.edit(path, value)

    def replace_config(self, config: RunConfig, label: str) -> None:
        """Take a whole configuration, such as a preset; can be undone."""
        if config != self.config:
            self.undo_stack.push(ReplaceConfig(self, config, label))

    @property
    def can_undo(self) -> bool:
        """Whether the last arrangement can be taken back now; what a run cannot follow waits for its end."""
        return self._may_apply(self.undo_stack.index() - 1)

    @property
    def can_redo(self) -> bool:
        """Whether the arrangement last taken back can be done again now."""
        return self._may_apply(self.undo_stack.index())

    def _may_apply(self, index: int) -> bool:
        if not 0 <= index < self.undo_stack.count():
            return False
        command = self.undo_stack.command(index)
        if not self.is_running or isinstance(command, Arrange):
            return True
        return isinstance(command, EditSetting) and setting_at(self.config, command.path).live

    def want_snapshot(self) -> None:
        """Ask for the next look at the weights; called by a visible panel that has shown the last one.

        Requests of several panels are one, and no more go out than the person's looking rate allows.
        """
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

    # --- the thread behind the window

    @Slot()
    def prepare(self) -> None:
        """Load what the configuration asks for and show its untrained net; at the start and after edits."""
        if self.is_running or self._preparing is not None or self._closed:
            return
        self._preparing = PreparingThread(self.config, self._matching_dataset(), self._mailbox)
        self._preparing.start()
        self._drain_timer.start()

    def close(self, deadline: float = 3.0) -> bool:
        """Stop, save and join the threads; False if the run was not saved within `deadline` seconds.

        Signals of the last events are still emitted. Once is enough; the session does nothing afterwards.
        """
        if self._closed:
            return True
        until = time.monotonic() + deadline
        self._closed = True
        self._prepare_timer.stop()
        self._snapshot_timer.stop()
        self.undo_stack.clear()  # its destructor would still emit signals
        if self._preparing is not None:
            self._preparing.cancelled = True
        if self._training is not None:
            self._training.control.stop()
        for thread in (self._training, self._preparing):
            if thread is not None:
                thread.join(max(0.05, until - time.monotonic()))
        # A preparation that is still importing torch has nothing to save.
        ended = self._training is None or not self._training.is_alive()
        self._drain()
        self._drain_timer.stop()
        self.map.close()
        for looking in (self.explorer_thread, self.survey_thread):
            looking.close(max(0.05, until - time.monotonic()))
        return ended

    # --- used by the undo commands

    def place_value(self, path: str, value: Value) -> None:
        """Set a value without a new undo step; tell a running training if it can change on the way."""
        config = with_value(self.config, path, value)
        if self._training is not None and setting_at(config, path).live and isinstance(value, int | float):
            self._training.control.change(path, float(value))
        self._show_config(config)

    def place_config(self, config: RunConfig) -> None:
        """Set the configuration without a new undo step."""
        self._show_config(config)

    def _show_config(self, config: RunConfig) -> None:
        before, self.config = self.config, config
        self.config_changed.emit(config)
        untrained = self.start is None and self.state in _UNTRAINED
        if untrained and _decides_net(before) != _decides_net(config):
            self._prepare_timer.start(_PREPARE_AFTER_MS)

    def _matching_dataset(self) -> ImageDataset | None:
        loaded = self._dataset_config
        if loaded is None or _decides_images(loaded) != _decides_images(self.config):
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

    # --- news from the threads

    @Slot()
    def _drain(self) -> None:
        posted = self._mailbox.drain()
        for event in posted:
            self._receive(event)
        if any(isinstance(event, events.MetricsChunk) for event in posted):
            self.history_changed.emit()
            if self.progress is not None:
                self.progress_changed.emit(self.progress)
        if self._training is None and self._preparing is None:
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
            case RecordingFailed():
                self.unsaved = True
                self._save_again = event.save_again
                self._tell_unsaved(event.message, event.hint)
            case RecordingRecovered():
                self.unsaved = False
                self.post("info", "The run is being saved again; nothing of it was lost.")
            case CheckpointWritten():
                self.unsaved = False
            case TrainingEnded():
                self._end_training(event)
            case events.SnapshotTaken():
                self._snapshot_pending = False
                if not self._closed:
                    self.show_snapshot(event.snapshot)
            case _:
                self.learn(event)  # type: ignore[arg-type]  # all that is left comes from the trainer
                if isinstance(event, events.Started):
                    self.want_snapshot()

    def _tell_unsaved(self, message: str, hint: str) -> None:
        if self._save_again is not None:
            hint = f"{hint} Then choose File > Save the run again; closing the window tries it too.".strip()
        self.post("warning", message, hint)

    def _show_dataset(self, event: DatasetReady) -> None:
        # A preparation that was overtaken by a run on other images comes too late.
        run = self._run_config
        if self.is_running and run is not None and _decides_images(run) != _decides_images(event.config):
            return
        self._dataset_config, self.dataset = event.config, event.dataset
        self.device_name = event.device_name
        self.dataset_changed.emit(event.dataset)

    def _end_preparation(self, event: PreparationEnded) -> None:
        thread, self._preparing = self._preparing, None
        if thread is not None:
            thread.join()
        self.preparation_noted.emit("")
        if self.is_running or self._closed:
            return
        if _decides_net(event.config) != _decides_net(self.config):
            self.prepare()
            return
        if event.snapshot is not None:
            self.show_snapshot(event.snapshot)
            self.enter(State.READY)
        elif event.failure is not None:
            self.tell(event.failure)
            self.enter(State.FAILED)

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


def _decides_images(config: RunConfig) -> tuple[object, ...]:
    # Only under this protocol are the images other ones.
    is_static = config.data.protocol == "static"
    data = config.data
    return (data.dataset, data.heldout_images, data.heldout_part, is_static, config.training.device)


def _decides_net(config: RunConfig) -> tuple[object, ...]:
    return (config.data, config.model_name, config.model, config.training.seed, config.training.device)
