"""What the session knows: the images, the curves, the newest snapshot and where the run is, and who is told of news.

Every event of a worker thread ends here. GUI thread only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal

from vae_explorer.errors import UserError
from vae_explorer.gui.session_words import RUNNING, Message, Offer, Progress, State
from vae_explorer.gui.threads.exploring import ExplorerThread
from vae_explorer.runs.course_events import Ancestry
from vae_explorer.runs.run_directory import default_parent
from vae_explorer.training import events
from vae_explorer.training.metric_history import MetricHistory
from vae_explorer.training.run_config import default_config

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.threads.failure import Failure
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.followed_run import RunNews
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.stored_run import StoredRun
    from vae_explorer.training.run_config import RunConfig


class SessionFacts(QObject):
    """What is known of the session, as attributes that panels read.

    Signals, all emitted by the session itself in the GUI thread:
    state_changed(State), dataset_changed(ImageDataset), config_changed(RunConfig), history_changed(),
    history_cleared(), snapshot_changed(Snapshot), validated(Validated), setting_marked(SettingChanged),
    message_posted(Message), message_settled(place, whose trouble is mended: its message can go), started(Started),
    progress_changed(Progress), preparation_noted(str, empty when there is nothing to say), defect_reported(str, the
    text of a report), run_opened(RunOpened),
    broken_off_found(tuple of BrokenOffRun, the newest first).
    """

    state_changed = Signal(object)
    dataset_changed = Signal(object)
    config_changed = Signal(object)
    history_changed = Signal()
    history_cleared = Signal()
    snapshot_changed = Signal(object)
    validated = Signal(object)
    setting_marked = Signal(object)
    message_posted = Signal(object)
    message_settled = Signal(str)
    started = Signal(object)
    progress_changed = Signal(object)
    preparation_noted = Signal(str)
    defect_reported = Signal(str)
    run_opened = Signal(object)
    broken_off_found = Signal(object)

    def __init__(self, config: RunConfig | None, parent: QObject | None) -> None:
        super().__init__(parent)
        self.state = State.STARTING
        self.config: RunConfig = config if config is not None else default_config()
        self.dataset: ImageDataset | None = None
        self.snapshot: Snapshot | None = None
        self.device_name = ""
        self.run_directory: RunDirectory | None = None
        self.unsaved = False
        self.explorer_thread = ExplorerThread()
        self.survey_thread = ExplorerThread()
        self.runs_folder: Path = default_parent()
        self.forget_run()

    @property
    def is_running(self) -> bool:
        """Whether a run is in training, paused or saving its end."""
        return self.state in RUNNING

    def forget_run(self) -> None:
        """Empty curves for a new run; the picture on the map stays until the new run sends one."""
        self.history = MetricHistory()
        self.marks: list[events.SettingChanged] = []
        self.ancestry = Ancestry()
        self.kl_D: np.ndarray | None = None
        self.active_units: int | None = None
        self.images_per_second = 0.0
        self.start: events.Started | None = None
        self.progress: Progress | None = None
        self.run_directory = None
        self.unsaved = False
        self._skips_told = 0
        self.history_cleared.emit()

    def show_course(self, stored: StoredRun) -> None:
        """Look at the curves of a run as they are stored, up to where they go."""
        self.run_directory = stored.run
        self.history = stored.history
        self.marks = list(stored.changes)
        self.ancestry = stored.ancestry
        self.start = stored.started
        if stored.started is not None:
            self._show_progress(stored.step, stored.images_seen, stored.seconds)
        self.history_cleared.emit()
        self.history_changed.emit()
        if self.start is not None:
            self.started.emit(self.start)
        for mark in self.marks:
            self.setting_marked.emit(mark)
        if self.progress is not None:
            self.progress_changed.emit(self.progress)

    def grow(self, news: RunNews) -> None:
        """Take in what another process has added to the run that is looked at."""
        if news.course is not None:
            self.show_course(news.course)
            return
        if news.started is not None and self.start is None:
            self.start = news.started
            self.started.emit(self.start)
        self.history.append_rows(news.train, news.heldout)
        for change in news.changes[len(self.marks) :]:
            self.marks.append(change)
            self.setting_marked.emit(change)
        rows = [values for values in (news.train, news.heldout) if len(values.get("step", ()))]
        if not rows:
            return
        last = max(rows, key=lambda values: float(values["step"][-1]))
        if self.start is not None:
            self._show_progress(int(last["step"][-1]), int(last["images_seen"][-1]), float(last["seconds"][-1]))
        self.history_changed.emit()
        if self.progress is not None:
            self.progress_changed.emit(self.progress)

    def learn(self, event: events.Event) -> None:
        """Take in one event of the trainer; snapshots take `show_snapshot`."""
        match event:
            case events.MetricsChunk():
                self._append(event)
            case events.Validated():
                self.history.append_validation(event)
                self.kl_D = event.kl_D if event.kl_D is not None else self.kl_D
                self.active_units = event.active_units
                self.validated.emit(event)
            case events.SettingChanged():
                self.marks.append(event)
                self.setting_marked.emit(event)
            case events.Started():
                self.start = event
                self.device_name = event.device_name
                self.started.emit(event)
            case events.WeightsTaken():
                self.post("info", f"The run starts from the {event.num_tensors} tensors in {event.file}.")
            case events.Paused():
                self._rest(event)
            case events.Resumed():
                if self.state is State.PAUSED:
                    self.enter(State.TRAINING)
            case events.StepsSkipped():
                self._tell_skipped(event)
            case events.Finished():
                self._finish(event)

    def enter(self, state: State) -> None:
        """Be in a state from now on."""
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Look at these weights from now on."""
        self.snapshot = snapshot
        self.explorer_thread.adopt(snapshot)
        self.snapshot_changed.emit(snapshot)

    def post(
        self,
        kind: Literal["info", "warning", "error"],
        text: str,
        hint: str = "",
        near: str | None = None,
        details: str = "",
        offers: tuple[Offer, ...] = (),
    ) -> None:
        """Tell the person something."""
        self.message_posted.emit(Message(kind, text, hint, near, details, offers))

    def post_error(self, error: UserError, near: str | None = None) -> None:
        """Show expected trouble, such as a file that cannot be written."""
        self.post("error", error.message, error.hint, near)

    def tell(self, failure: Failure) -> None:
        """Show why a thread ended; a defect also gets its report."""
        hint = failure.hint
        if failure.out_of_memory and (half := self.config.training.batch_size // 2):
            hint = f"Try batch size {half}, or a smaller network, then train again."
        if self.run_directory is None and str(self.runs_folder) in failure.message:
            hint = f"{hint} File > Choose folder for runs… says where.".strip()
        if failure.report:
            if self.start is not None:
                hint = f"The run was ended and its last checkpoint is kept. {hint}"
            self.defect_reported.emit(failure.report)
        self.post("error", failure.message, hint, failure.near, failure.report)

    def _append(self, chunk: events.MetricsChunk) -> None:
        self.history.append_chunk(chunk)
        self.images_per_second = chunk.images_per_second
        if chunk.kl_D is not None:
            self.kl_D = chunk.kl_D
        if self.start is None:
            return
        self._show_progress(chunk.step, chunk.images_seen, chunk.seconds)

    def _show_progress(self, step: int, images_seen: int, seconds: float) -> None:
        assert self.start is not None
        left = self.start.total_steps - step
        eta = seconds / step * left if step > 0 and seconds > 0 else None
        epoch = images_seen / self.start.num_train
        self.progress = Progress(
            step, self.start.total_steps, epoch, self.start.config.training.epochs, images_seen, seconds, eta
        )

    def _rest(self, event: events.Paused) -> None:
        if self.state is State.TRAINING:
            self.enter(State.PAUSED)
        if event.reason:
            self.post("warning", event.reason, event.hint, near="training.learning_rate")

    def _tell_skipped(self, event: events.StepsSkipped) -> None:
        # Told when the count has doubled: a run can skip in every chunk.
        if event.skipped_in_all >= 2 * self._skips_told:
            self._skips_told = event.skipped_in_all
            text = f"{event.skipped_in_all:,} training steps were skipped: a number in them was not finite."
            self.post("warning", text, "Lower the learning rate if this goes on.", near="training.learning_rate")

    def _finish(self, event: events.Finished) -> None:
        if event.reason == "non-finite":
            self.post(
                "error",
                "The run ended because its weights were not finite any more; the last good checkpoint is kept.",
                "Lower the learning rate or switch gradient clipping on, then train again.",
                near="training.learning_rate",
            )
