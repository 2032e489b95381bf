"""What the window does: training, pausing, editing, looking; over what it knows (`session_facts`).

The session owns the worker threads and the mailbox. Panels read its attributes, call its methods and listen to its
signals; they never touch a thread. GUI thread only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QUndoStack

from vae_explorer.gui.following import Following
from vae_explorer.gui.map_session import MapSession
from vae_explorer.gui.session_threads import SessionThreads, decides_net
from vae_explorer.gui.session_words import CAN_TRAIN, RUNNING, Message, Offer, Progress, State
from vae_explorer.gui.threads.opening import OpeningEnded, OpeningThread, RunOpened
from vae_explorer.gui.threads.training import Fork, FromWeights, GoOn, Origin, TrainingThread
from vae_explorer.gui.timeline import Timeline
from vae_explorer.gui.undo import Arrange, EditSetting, ReplaceConfig
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.broken_off import BrokenOffRun, forget
from vae_explorer.runs.run_words import epochs_words
from vae_explorer.training.run_config import changes_that_need_another_run, live_values, setting_at, with_value

if TYPE_CHECKING:
    from vae_explorer.config import Value
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig

__all__ = ["CAN_TRAIN", "RUNNING", "Message", "Progress", "Session", "State"]

_PREPARE_AFTER_MS = 300
_UNTRAINED = frozenset({State.STARTING, State.READY, State.FAILED})


class Session(SessionThreads):
    """What a person can do to what the window is looking at; the signals are those of `SessionFacts`."""

    def __init__(self, config: RunConfig | None = None, parent: QObject | None = None) -> None:
        super().__init__(config, parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)
        self.map = MapSession(self)
        self._continues_opened = False
        self.timeline = Timeline(self)
        self.following = Following(self)
        self.run_opened.connect(self._take_up)
        self.broken_off_found.connect(self._offer_broken_off)

    # --- what a person does to a run

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Look at these weights from now on, under the condition that the map has chosen where they have one."""
        told = self.map.arrangement.told
        if MODELS[snapshot.model_name].condition and snapshot.told != told:
            from vae_explorer.models.snapshot import with_told

            snapshot = with_told(snapshot, told)
        super().show_snapshot(snapshot)

    def train(self, paused: bool = False) -> None:
        """Start a new run with the configuration in the form; `paused` waits for single steps.

        What could not be saved of the last run is lost with it.
        """
        if self.state not in CAN_TRAIN or self._training is not None:
            return
        self._save_again = None
        self.following.leave()
        self.forget_run()
        training = TrainingThread(self.config, self._matching_dataset(), self.runs_folder, self._mailbox)
        self._start_training(training, self.config, paused)

    def open_run(self, path: Path, *, then_continue: bool = False) -> None:
        """Look at the run in that folder: its curves, its settings, its newest weights; and train it on, if asked."""
        if self.is_running or self.is_closed or self._training is not None:
            self.post("info", "A run is in training.", "Stop it, then open another.")
            return
        if isinstance(self._preparing, OpeningThread):
            return
        if self._preparing is not None:
            self._preparing.cancelled = True  # its end opens what waits
        self._to_open, self._continues_opened = path, then_continue
        self._prepare_timer.stop()
        self.enter(State.STARTING)
        if self._preparing is None:
            self._start_opening()

    @property
    def continuation_problem(self) -> str:
        """Why the run that is looked at cannot be trained on as it stands; empty where it can."""
        run, progress = self.run_directory, self.progress
        if run is None or self._training is not None or self.state not in CAN_TRAIN:
            return "There is no run to continue."
        if self.following.writer:
            return f"{run.name} is being trained by {self.following.writer}: it can be continued when that ends."
        if changed := changes_that_need_another_run(run.config, self.config):
            return f"{changed} differs from the run's: train a new run, or fork this one."
        if progress is not None and progress.epoch >= self.config.training.epochs:
            words = epochs_words(self.config.training.epochs)
            return f"This is the end of {words}: raise Epochs in the form to train on."
        return ""

    def continue_run(self) -> None:
        """Train the run that is looked at on from its newest checkpoint, with the live settings of the form."""
        run = self.run_directory
        if run is None or self.continuation_problem:
            return
        config = with_value(run.config, "training.epochs", self.config.training.epochs)
        asked = live_values(self.config)
        now = live_values(run.config) | {mark.path: mark.new for mark in self.marks}
        self._train_from(GoOn(run), config, {path: value for path, value in asked.items() if value != now[path]})

    def fork_run(self) -> None:
        """Train a child of the run that is looked at with the settings of the form, from its checkpoint nearest to the
        moment that the time slider shows.
        """
        if self.run_directory is None or self.state not in CAN_TRAIN or self._training is not None:
            return
        moment = self.timeline.moment if self.timeline.is_past else None
        progress = self.progress
        if moment is None and progress is not None and progress.epoch >= self.config.training.epochs:
            words = epochs_words(self.config.training.epochs)
            self.post("info", f"A fork would have nothing to train: this is the end of {words}.", "Raise Epochs first.")
            return
        self._train_from(Fork(self.run_directory, None if moment is None else moment.step), self.config, {})

    def train_from_weights(self, path: Path) -> None:
        """Train a new run with the settings of the form from the weights in a safetensors file."""
        if self.state in CAN_TRAIN and self._training is None:
            self._train_from(FromWeights(path), self.config, {})

    def _train_from(self, origin: Origin, config: RunConfig, changes: dict[str, float]) -> None:
        dataset = self._matching_dataset_for(config)
        self.following.leave()
        self.forget_run()
        self._save_again = None
        self._start_training(TrainingThread(config, dataset, self.runs_folder, self._mailbox, origin), config)
        assert self._training is not None
        for path, value in changes.items():
            self._training.control.change(path, value)

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

    # --- used by the undo commands

    def place_value(self, path: str, value: Value) -> None:
        """Set a value without a new undo step; tell a running training if it can change on the way."""
        config = with_value(self.config, path, value)
        if self._training is not None and setting_at(config, path).live and isinstance(value, int | float):
            self._training.control.change(path, float(value))
        self.message_settled.emit(path)  # what was wrong with the value before is no longer so
        self._show_config(config)

    def place_config(self, config: RunConfig) -> None:
        """Set the configuration without a new undo step."""
        self._show_config(config)

    def _show_config(self, config: RunConfig) -> None:
        before, self.config = self.config, config
        self.config_changed.emit(config)
        untrained = self.start is None and self.state in _UNTRAINED
        if untrained and decides_net(before) != decides_net(config):
            self._prepare_timer.start(_PREPARE_AFTER_MS)

    def _end_opening(self, event: OpeningEnded) -> None:
        super()._end_opening(event)
        if self._continues_opened and self.state is State.FINISHED:
            if self.continuation_problem:
                self.post("info", self.continuation_problem)
            self.continue_run()
        self._continues_opened = False

    @Slot(object)
    def _offer_broken_off(self, runs: tuple[BrokenOffRun, ...]) -> None:
        """Tell of the newest run that was broken off, and what going on with it would cost."""
        if self.is_running or self.run_directory is not None:
            return
        newest = runs[0]
        others = f" {len(runs) - 1} more were broken off too; the Runs panel lists them." if len(runs) > 1 else ""
        self.post(
            "warning", f"The run {newest.path.name} was broken off at step {newest.step:,}.",
            f"{newest.loss_words}{others}",
            offers=(
                Offer("Continue it", lambda: self.open_run(newest.path, then_continue=True)),
                Offer("Look at it", lambda: self.open_run(newest.path)),
                Offer("Do not offer it again", lambda: forget(newest.path)),
            ),
        )  # fmt: skip

    @Slot(object)
    def _take_up(self, event: RunOpened) -> None:
        """What is looked at from now on; its settings fill the form, and can be undone as a preset's."""
        stored = event.stored
        self.forget_run()
        self.run_directory = stored.run
        self.show_course(stored)
        config = stored.run.config
        for change in stored.changes:
            config = with_value(config, change.path, change.new)
        self.show_snapshot(event.snapshot)
        if event.snapshot.step == 0 < stored.step:
            self.post("info", f"{stored.run.name} has no checkpoint.", "The map shows it as it began.")
        if event.measured is not None:
            self.kl_D, self.active_units = event.measured.kl_D, event.measured.active_units
            self.validated.emit(event.measured)
        if event.arrangement is not None:
            self.map.restore(event.arrangement)
        if event.arrangement_problem is not None:
            self.post("info", event.arrangement_problem.message, event.arrangement_problem.hint)
        self.replace_config(config, f"settings of {stored.run.name}")
        self.following.follow(stored)

    def close(self, deadline: float = 3.0) -> bool:
        """Stop, save and join the threads; False if the run was not saved within `deadline` seconds.

        Signals of the last events are still emitted. Once is enough; the session does nothing afterwards.
        """
        if not self.is_closed:
            self.undo_stack.clear()  # its destructor would still emit signals
        return super().close(deadline)
