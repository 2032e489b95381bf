"""The recorder: wraps the trainer's events and writes the run folder, lines inside the pull, checkpoints and frames
beside it.

A write that fails never ends a training: the recorder says so once, keeps what it could not write, and tries again.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import FileError, UserError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs import files, writer_lock
from vae_explorer.runs.checkpoint import is_finite, write_checkpoint
from vae_explorer.runs.event_records import (
    METRICS_AFTER_TERMS,
    METRICS_BEFORE_TERMS,
    CheckpointWritten,
    FramesWritten,
    RecordedEvent,
    RecordingFailed,
    RecordingRecovered,
    event_line,
    event_record,
    metrics_row,
)
from vae_explorer.runs.frames import frames_folder, write_frames
from vae_explorer.runs.resuming import columns_of, cut_back
from vae_explorer.runs.saver import Saver
from vae_explorer.training.events import (
    CheckpointDue,
    Event,
    Finished,
    FrameTaken,
    MetricsChunk,
    SnapshotTaken,
    Started,
    Validated,
)
from vae_explorer.training.frames import MOST_FRAMES

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.events import TrainingState

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0


def record(
    events: Iterator[Event], run: RunDirectory, clock: Callable[[], float] = time.monotonic
) -> Generator[RecordedEvent, None, None]:
    """The same events, recorded as they pass; `CheckpointDue` comes out as `CheckpointWritten` or `RecordingFailed`,
    `FrameTaken` as `FramesWritten`.

    Runs in whichever thread pulls. Close it (`contextlib.closing`) to end the training and release the folder; an
    exception of the trainer is noted in events.jsonl and passes through. Raises FileError at the first pull where
    another process writes in the folder.
    """
    recorder = _Recorder(run, clock)
    with contextlib.ExitStack() as ending:
        if isinstance(events, Generator):
            ending.callback(events.close)
        ending.enter_context(run.writing())
        for folder in (run.checkpoints_folder, frames_folder(run)):
            files.remove_leftovers(folder)
        ending.enter_context(recorder.saving())
        try:
            for event in events:
                yield from recorder.take(event)
        except Exception as error:
            if recorder.has_begun:  # a run that never was leaves nothing but its run.toml
                recorder.has_ended = True
                outcome = recorder.write(at_once=True)
                what = error.in_one_line if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                recorder.note({"event": "error", "step": recorder.step, "message": what})
                yield from recorder.with_what_waits(outcome + recorder.write(at_once=True))
            raise


class _Recorder:
    """What waits to be written, and when to try again."""

    def __init__(self, run: RunDirectory, clock: Callable[[], float]) -> None:
        self.run = run
        self.clock = clock
        self.step = 0
        self.has_begun = False
        self.has_ended = False
        self._pending: dict[Path, list[str]] = {run.metrics_file: [], run.events_file: []}
        self._pending_state: TrainingState | None = None
        self._held: dict[str, object] = {}
        self._pending_frames: deque[FrameTaken] = deque(maxlen=MOST_FRAMES)
        self._environment: dict[str, object] | None = None
        self._retry_at = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._failing = False
        self._trouble = FileError(run.path, "")
        terms = tuple(term.name for term in MODELS[run.config.model_name].terms)
        self._columns = (*METRICS_BEFORE_TERMS, *terms, *METRICS_AFTER_TERMS)
        if not files.exists(run.metrics_file):
            self._pending[run.metrics_file].append(",".join(self._columns) + "\n")

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Inside, checkpoints and frames can be written."""
        with (
            Saver(partial(write_checkpoint, self.run), partial(writer_lock.beat, self.run.path)) as self._saver,
            Saver(partial(write_frames, self.run), name="frame saver") as self._frame_saver,
        ):
            yield

    def take(self, event: Event) -> Generator[RecordedEvent, None, None]:
        """Record one event; gives it and what became of the writing, `Finished` always last."""
        self.has_begun = True
        match event:
            case SnapshotTaken():
                yield event
                return
            case CheckpointDue():
                yield from self._hold(event.state)
            case FrameTaken():
                self._pending_frames.append(event)
            case MetricsChunk() | Validated():
                self.step = event.step
                self._add_row(event)
            case Started():
                self.step = event.start_step
                cut_back(self.run, event.start_step)
                self._columns = columns_of(self.run, self._columns)
                self._environment = {
                    "device": event.device, "device_name": event.device_name, "precision": event.precision,
                    "num_threads": event.num_threads, "num_processes": event.num_processes,
                }  # fmt: skip
                self.note(event_record(event))
            case Finished():
                self.step = event.step
                yield from self._finish(event)
                return
            case _:
                self.note(event_record(event))
        outcome = self.write()
        if not isinstance(event, CheckpointDue | FrameTaken):
            yield event
        yield from outcome

    def _finish(self, event: Finished) -> Generator[RecordedEvent, None, None]:
        if event.state is not None:
            yield from self._hold(event.state)
        self.has_ended = True
        outcome = self._write_twice()
        self.note(event_record(event))  # after the line of its checkpoint
        outcome += self._write_twice()
        yield from self.with_what_waits(outcome)
        yield event

    def with_what_waits(self, outcome: list[RecordedEvent]) -> list[RecordedEvent]:
        """The outcome at the end of a run: one failure that can be mended later, where something is not written."""
        if not self._failing:
            return outcome
        kept = [item for item in outcome if not isinstance(item, RecordingFailed)]
        return [*kept, RecordingFailed(self.step, self._trouble.message, self._trouble.hint, self.save_again)]

    def save_again(self) -> FileError | None:
        """Write what the end of the run left unwritten; what is in the way, or None."""
        try:
            with self.run.writing(), self.saving():
                self.write(at_once=True)
                if not self._failing:
                    self.write(at_once=True)  # the lines that tell of the first
        except FileError as error:
            return error
        return self._trouble if self._failing else None

    def _write_twice(self) -> list[RecordedEvent]:
        """The last chance: what fails once may work the next moment."""
        outcome = self.write(at_once=True)
        return outcome + self.write(at_once=True) if self._failing else outcome

    def note(self, line: dict[str, Any] | None) -> None:
        """Add a line to events.jsonl at the next write."""
        if line is not None:
            self._pending[self.run.events_file].append(event_line(line))

    def write(self, at_once: bool = False) -> list[RecordedEvent]:
        """Write what waits, unless the last failure is too fresh; says what came of it."""
        if self._failing and not at_once and self.clock() < self._retry_at:
            return []
        outcome: list[RecordedEvent] = []
        results = [_failure_of(attempt) for attempt in self._attempts(outcome, at_once)]
        failures = [error for error in results if error is not None]
        if failures:
            self._trouble = failures[0]
            self._retry_at = self.clock() + self._retry_seconds
            self._retry_seconds = min(2 * self._retry_seconds, LONGEST_RETRY_SECONDS)
            if not self._failing:
                goes_on = "" if self.has_ended else "Training goes on. "
                failed = RecordingFailed(self.step, self._trouble.message, f"{goes_on}{self._trouble.hint}")
                outcome.append(failed)
                self.note(event_record(failed))
        elif self._failing and not self._saver.is_busy and not self._frame_saver.is_busy:
            outcome.append(RecordingRecovered(self.step))
            self.note(event_record(outcome[-1]))
            self._retry_seconds = FIRST_RETRY_SECONDS
            self._failing = False
        self._failing = self._failing or bool(failures)
        return outcome

    def _attempts(self, outcome: list[RecordedEvent], at_once: bool) -> Iterator[Callable[[], None]]:
        """What waits, one write each, so that one file in trouble does not hold up the others."""

        def write_environment() -> None:
            if self._environment is not None:
                self.run.write_environment(self._environment)
                self._environment = None

        def write_state() -> None:
            # At once there may be two: the one in hand and the one that waits.
            while self._saver.is_busy or self._pending_state is not None:
                if not self._saver.is_busy and self._pending_state is not None:
                    self._saver.offer(self._pending_state)
                    self._pending_state = None
                saved = self._saver.take(wait=at_once)
                if saved is None:
                    return
                if saved.error is not None:
                    self._pending_state = self._pending_state or saved.given  # a newer one takes its place
                    raise saved.error
                assert saved.written is not None
                outcome.append(CheckpointWritten(int(saved.written.name), saved.written))
                self.note(event_record(outcome[-1]))

        def write_waiting_frames() -> None:
            waiting = self._pending_frames
            while self._frame_saver.is_busy or waiting:
                if not self._frame_saver.is_busy:
                    self._frame_saver.offer(tuple(waiting))
                    waiting.clear()
                saved = self._frame_saver.take(wait=at_once)
                if saved is None:
                    return
                if saved.error is not None:
                    waiting.extendleft(reversed(saved.given[: MOST_FRAMES - len(waiting)]))
                    raise saved.error
                outcome.append(FramesWritten(saved.written or ()))

        def append_lines(path: Path, lines: list[str]) -> None:
            if lines:
                files.append_text(path, "".join(lines))
                lines.clear()

        yield write_environment
        yield write_waiting_frames
        yield write_state
        for path, lines in self._pending.items():
            yield partial(append_lines, path, lines)

    def _hold(self, state: TrainingState) -> list[RecordedEvent]:
        """Keep the newest state until it is written; one that is not finite never replaces a good one."""
        if is_finite(state):
            # At the end of a run the state is often the one that was just written, or is being written.
            if _continues_alike(state) != self._held:
                self._pending_state, self._held = state, _continues_alike(state)
            return []
        failed = RecordingFailed(
            self.step,
            f"The weights of step {state.progress['step']} are not finite, so no checkpoint was written.",
            "The last good checkpoint is kept; start again from it with a lower learning rate.",
        )
        self.note(event_record(failed))
        return [failed]

    def _add_row(self, event: MetricsChunk | Validated) -> None:
        row = metrics_row(event)
        cells = [_cell(row.get(name, "")) for name in self._columns]
        self._pending[self.run.metrics_file].append(",".join(cells) + "\n")


def _continues_alike(state: TrainingState) -> dict[str, object]:
    """What two states share that a run would continue from in the same way."""
    return {name: value for name, value in state.progress.items() if name != "seconds"}


def _failure_of(attempt: Callable[[], None]) -> FileError | None:
    try:
        attempt()
    except FileError as error:
        return error
    return None


def _cell(value: float | int | str) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
