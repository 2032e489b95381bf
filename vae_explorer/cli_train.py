"""`vae-explorer train`: the trainer's events as a progress line, as text or as JSON, and signals that stop and save."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from vae_explorer.errors import UserError
from vae_explorer.training.control import Control

if TYPE_CHECKING:
    from vae_explorer.models.catalogue import Term
    from vae_explorer.runs.event_records import RecordedEvent
    from vae_explorer.training.events import Finished, MetricsChunk, Started, Validated
    from vae_explorer.training.run_config import RunConfig

STOPPED = 130


def train(config: RunConfig, path: Path | None, *, as_json: bool) -> int:
    """Train to the end or to a signal and return the exit status.

    Raises UserError where the folder, the data or the device cannot be used, where the numbers ran away, or where the
    last checkpoint could not be written.
    """
    control = Control()
    with _stopping_on_signals(control) as signalled:
        # Imported under the handlers: a signal during these seconds stops the run before its first step.
        import torch

        from vae_explorer.datasets.image_dataset import load_dataset
        from vae_explorer.runs.recorder import record
        from vae_explorer.runs.run_directory import RunDirectory
        from vae_explorer.training.hardware import choose_device
        from vae_explorer.training.trainer import Trainer

        device = choose_device(config.training.device)
        dataset = load_dataset(config.data.dataset, config.data.heldout_images, device)
        run = RunDirectory.create(config, path)
        output = _JsonLines(run.path) if as_json else _Text(run.path)
        ending = _Ending()
        reader_left: BrokenPipeError | None = None
        try:
            trainer = Trainer(config, dataset, run.name)
            with contextlib.closing(record(trainer.run(control), run)) as events:
                for event in events:
                    ending.look(event, control)
                    if reader_left is not None:
                        continue
                    try:
                        output.show(event)
                    except BrokenPipeError as error:
                        # Nobody reads on: stop, but save first.
                        reader_left = error
                        control.stop()
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"The memory of {device} is too small for this run.",
                f"Try --batch-size {max(1, config.training.batch_size // 2)} or smaller hidden widths.",
            ) from error
        if reader_left is not None:
            raise reader_left
        ending.raise_if_bad(run.path)
        return STOPPED if signalled else 0


@contextlib.contextmanager
def _stopping_on_signals(control: Control) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks the trainer to stop, the second leaves at once; gives the signals so far."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        seen.append(number)
        if len(seen) > 1:
            os._exit(STOPPED)
        control.stop()
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nStopping after this step and saving; a second signal leaves at once.\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Ending:
    """Watches for what turns the exit status into a person's error."""

    def __init__(self) -> None:
        self.pause: tuple[str, str] | None = None
        self.failure: tuple[str, str] | None = None
        self.saved_step = -1
        self.finished: Finished | None = None

    def look(self, event: RecordedEvent, control: Control) -> None:
        from vae_explorer.runs.event_records import CheckpointWritten, RecordingFailed
        from vae_explorer.training.events import Finished, Paused

        match event:
            case Paused():
                # Without a window nobody can continue: the trainer paused itself, so the run ends here.
                self.pause = (event.reason, event.hint)
                control.stop()
            case RecordingFailed():
                self.failure = (event.message, event.hint)
            case CheckpointWritten():
                self.saved_step = event.step
            case Finished():
                self.finished = event

    def raise_if_bad(self, path: Path) -> None:
        """Raise UserError where training broke off or its last state is not on the disk."""
        finished = self.finished
        if finished is None:
            return
        if finished.reason == "non-finite":
            reason = self.pause[0] if self.pause else "Loss or gradient was not finite."
            raise UserError(reason, f"Lower --learning-rate and train again; {path} keeps the last good checkpoint.")
        if self.saved_step != finished.step and self.failure is not None:
            message, hint = self.failure
            raise UserError(f"The last checkpoint is missing: {message}", hint.removeprefix("Training goes on. "))


class _JsonLines:
    """One object a line and event, at once; the first also says where the run is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def show(self, event: RecordedEvent) -> None:
        from vae_explorer.runs.event_records import event_record

        line = event_record(event)
        if line is not None:
            if line["event"] == "started":
                line["run_folder"] = str(self.path)
            print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)


class _Text:
    """Lines for a person, one an epoch; on a terminal also a progress line that is painted over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_terminal = sys.stderr.isatty()
        self.terms: tuple[Term, ...] = ()
        self.started: Started | None = None
        self.validated: Validated | None = None
        self.epochs_told = 0

    def show(self, event: RecordedEvent) -> None:
        from vae_explorer.runs.event_records import RecordingFailed, RecordingRecovered
        from vae_explorer.training.events import (
            Finished,
            MetricsChunk,
            Paused,
            Started,
            StepsSkipped,
            Validated,
        )

        match event:
            case Started():
                self._show_start(event)
            case MetricsChunk():
                self._show_progress(event)
            case Validated():
                self.validated = event
            case StepsSkipped():
                self._line(f"Skipped {event.skipped} steps that were not finite ({event.skipped_in_all} in all).")
            case Paused():
                self._line(event.reason)
            case RecordingFailed():
                self._line(f"{event.message}\n{event.hint}", error=True)
            case RecordingRecovered():
                self._line("Writing works again; nothing was lost.", error=True)
            case Finished():
                self._show_end(event)

    def _show_start(self, event: Started) -> None:
        from vae_explorer.models.catalogue import MODELS

        self.started = event
        record = MODELS[event.config.model_name]
        self.terms = record.terms
        self._line(
            f"{record.title}, {event.num_parameters:,} parameters, on {event.device} ({event.device_name}), "
            f"{event.precision}, {event.num_threads} threads, effective beta {event.effective_beta:g}"
        )
        self._line(
            f"{event.num_train:,} images of {event.config.data.dataset} ({event.config.data.protocol}), "
            f"{event.num_heldout:,} held out; epochs {event.config.training.epochs} of {event.steps_per_epoch:,} steps"
        )
        self._line(f"Run folder: {self.path}")

    def _show_progress(self, event: MetricsChunk) -> None:
        from vae_explorer.runs.event_records import chunk_values

        assert self.started is not None
        values = chunk_values(event)
        epochs = self.started.config.training.epochs
        now = "  ".join(f"{term.title} {values[term.name]:.2f}" for term in self.terms)
        # Rounded down with a little slack: the last step of an epoch counts as its end.
        if (done := int(event.epoch + 1e-6)) > self.epochs_told:
            self.epochs_told = done
            heldout = "".join(
                f"  held-out {term.title} {self.validated.terms[term.name]:.2f}"
                for term in self.terms[:1]
                if self.validated is not None
            )
            self._line(f"epoch {done}/{epochs}  {now}{heldout}  {event.images_per_second:,.0f} images/s")
        if self.on_terminal:
            total = epochs * self.started.num_train
            left = (total - event.images_seen) * event.seconds / max(1, event.images_seen)
            text = (
                f"epoch {event.epoch:.2f}/{epochs}  {now}  {event.images_per_second:,.0f} images/s  ETA {_clock(left)}"
            )
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)

    def _show_end(self, event: Finished) -> None:
        word = {"completed": "Done", "stopped": "Stopped", "non-finite": "Broken off"}[event.reason]
        self._line(
            f"{word} at step {event.step:,}: {event.epoch:.2f} epochs, {event.images_seen:,} images in "
            f"{event.seconds:.1f} s ({event.images_per_second:,.0f} images/s)"
        )
        if event.validation:
            values = ", ".join(f"{term.title} {event.validation[term.name]:.2f}" for term in self.terms)
            self._line(f"Held out: {values} nats per image")
        self._line(f"Next: vae-explorer evaluate {_quoted(self.path)}")

    def _line(self, text: str, error: bool = False) -> None:
        if self.on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
