"""What `vae-explorer train` shows of the events: JSON lines, or text with a progress line on a terminal."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.cli_output import complain, paint, say
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.event_records import (
    CheckpointWritten,
    RecordingFailed,
    RecordingRecovered,
    event_record,
)
from vae_explorer.training.events import Finished, MetricsChunk, Paused, Started, StepsSkipped, Validated, WeightsTaken

if TYPE_CHECKING:
    from vae_explorer.models.record import Term
    from vae_explorer.runs.event_records import RecordedEvent


class JsonReport:
    """One object a line and event, at once; the first also says where the run is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def show(self, event: RecordedEvent) -> None:
        line = event_record(event)
        if line is not None:
            if line["event"] == "started":
                line["run_folder"] = str(self.path)
            say(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)


class TextReport:
    """Lines for a person, one an epoch; on a terminal also a progress line that is painted over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_terminal = sys.stderr.isatty()
        self.terms: tuple[Term, ...] = ()
        self.started: Started | None = None
        self.validated: Validated | None = None
        self.means = _EpochMeans(1, 0)
        self.has_checkpoint = False

    def show(self, event: RecordedEvent) -> None:
        match event:
            case Started():
                self._show_start(event)
            case WeightsTaken():
                self._line(f"Starts from {_count(event.num_tensors, 'tensor')} in {event.file}")
            case MetricsChunk():
                self._show_progress(event)
            case Validated():
                self.validated = event
            case CheckpointWritten():
                self.has_checkpoint = True
            case StepsSkipped():
                steps = _count(event.skipped, "step")
                self._line(f"Skipped {steps} with numbers that were not finite ({event.skipped_in_all} in all).")
            case Paused():
                self._line(event.reason)
            case RecordingFailed():
                self._line(f"{event.message}\n{event.hint}", error=True)
            case RecordingRecovered():
                self._line("Writing works again; nothing was lost.", error=True)
            case Finished():
                self._show_end(event)

    def _show_start(self, event: Started) -> None:
        self.started = event
        # A child may have other batches than its parent: its epochs are counted back from its end.
        planned = event.config.training.epochs * event.steps_per_epoch
        self.means = _EpochMeans(event.steps_per_epoch, event.total_steps - planned)
        record = MODELS[event.config.model_name]
        self.terms = record.terms
        beta = "" if event.effective_beta is None else f", effective beta {event.effective_beta:g}"
        processes = f"{event.num_processes} processes of " if event.num_processes > 1 else ""
        self._line(
            f"{record.title}, {event.num_parameters:,} parameters, on {event.device} ({event.device_name}), "
            f"{event.precision}, {processes}{_count(event.num_threads, 'thread')}{beta}"
        )
        self._line(
            f"{event.num_train:,} images of {event.config.data.dataset} ({event.config.data.protocol}), "
            f"{event.num_heldout:,} held out; epochs {event.config.training.epochs} of {event.steps_per_epoch:,} steps"
        )
        self._line(f"Run folder: {self.path}")

    def _show_progress(self, event: MetricsChunk) -> None:
        assert self.started is not None
        epochs = self.started.config.training.epochs
        speed = f"{event.images_per_second:,.0f} images/s"
        for epoch, means in self.means.ended_in(event):
            heldout = "".join(
                f"  held-out {term.title} {self.validated.terms[term.name]:.2f}"
                for term in self.terms[:1]
                if self.validated is not None
            )
            self._line(f"epoch {epoch}/{epochs}  {self._term_text(means)}{heldout}  {speed}")
        if self.on_terminal:
            total = epochs * self.started.num_train
            left = (total - event.images_seen) * event.seconds / max(1, event.images_seen)
            now = self._term_text(event.in_one_row())
            text = f"epoch {event.epoch:.2f}/{epochs}  {now}  {speed}  ETA {_clock(left)}"
            paint(text[: shutil.get_terminal_size().columns - 1])

    def _term_text(self, values: dict[str, float]) -> str:
        return "  ".join(f"{term.title} {values[term.name]:.2f}" for term in self.terms if not term.is_heldout_only)

    def _show_end(self, event: Finished) -> None:
        word = {"completed": "Done", "stopped": "Stopped", "non-finite": "Broken off"}[event.reason]
        speed = f" ({event.images_per_second:,.0f} images/s)" if event.images_per_second > 0 else ""
        self._line(
            f"{word} at step {event.step:,}: {event.epoch:.2f} epochs, {event.images_seen:,} images in "
            f"{event.seconds:.1f} s{speed}"
        )
        if event.validation:
            by_unit: dict[str, list[str]] = {}
            for term in self.terms:
                by_unit.setdefault(term.unit, []).append(f"{term.title} {event.validation[term.name]:.2f}")
            values = "; ".join(f"{', '.join(texts)} {unit}" for unit, texts in by_unit.items())
            self._line(f"Held out: {values}")
        if self.has_checkpoint:
            self._line(f"Next: vae-explorer evaluate {shlex.quote(str(self.path))}")

    def _line(self, text: str, error: bool = False) -> None:
        if self.on_terminal:
            paint("")
        if error:
            complain(text)
        else:
            say(text, flush=True)


class _EpochMeans:
    """Means of each epoch over its finite steps, those of an epoch that was begun elsewhere over the steps seen."""

    def __init__(self, steps_per_epoch: int, step_before: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.step_before = step_before  # that at which the first epoch would have begun
        self._sums = self._counts = np.zeros(())

    def ended_in(self, chunk: MetricsChunk) -> Iterator[tuple[int, dict[str, float]]]:
        """Number, from 1, and column means of each epoch whose last step is in the chunk; takes all its steps in."""
        steps = chunk.steps - self.step_before
        epochs = (steps - 1) // self.steps_per_epoch
        for epoch in np.unique(epochs):
            rows = chunk.values[epochs == epoch].astype(np.float64)
            finite = np.isfinite(rows)
            self._sums = self._sums + np.where(finite, rows, 0.0).sum(axis=0)
            self._counts = self._counts + finite.sum(axis=0)
            if steps[-1] >= (epoch + 1) * self.steps_per_epoch:
                with np.errstate(invalid="ignore"):  # an epoch without a finite step has no mean
                    means = self._sums / self._counts
                yield int(epoch) + 1, dict(zip(chunk.columns, means.tolist(), strict=True))
                self._sums = self._counts = np.zeros(())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
