"""Events as plain records: the lines of events.jsonl, of `train --json`, and the rows of metrics.csv."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vae_explorer.runs.course_events import FORKED, Forked
from vae_explorer.training.events import (
    Event,
    Finished,
    MetricsChunk,
    Paused,
    Resumed,
    SettingChanged,
    Started,
    StepsSkipped,
    Validated,
    WeightsTaken,
)

if TYPE_CHECKING:
    from vae_explorer.errors import FileError


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint is on the disk; the recorder gives it in place of the trainer's `CheckpointDue`."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class FramesWritten:
    """Frames of these steps are on the disk; given in place of the trainer's `FrameTaken`."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """Something could not be written. Training goes on and the recorder tries again.

    At the end of a run nobody tries any more: `save_again`, called after the recording is closed, from any one thread,
    writes what still waits and returns what is in the way, None once all is written.
    """

    step: int
    message: str
    hint: str
    save_again: Callable[[], FileError | None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RecordingRecovered:
    """What could not be written before is on the disk now."""

    step: int


RecordedEvent: TypeAlias = Event | CheckpointWritten | FramesWritten | RecordingFailed | RecordingRecovered

METRICS_AFTER_TERMS = ("beta", "learning_rate", "images_per_second", "active_units", "gradient_norm")
METRICS_BEFORE_TERMS = ("step", "epoch", "images_seen", "seconds", "split")


def metrics_row(event: MetricsChunk | Validated) -> dict[str, float | int | str]:
    """The row of metrics.csv for a report on the training or the held-out images."""
    row: dict[str, float | int | str] = {
        "step": event.step, "epoch": event.epoch, "images_seen": event.images_seen, "seconds": event.seconds,
    }  # fmt: skip
    if isinstance(event, MetricsChunk):
        return row | {"split": "train", "images_per_second": event.images_per_second} | event.in_one_row()
    active = {} if event.active_units is None else {"active_units": event.active_units}
    return row | {"split": "heldout"} | dict(event.terms) | active


def event_record(event: RecordedEvent | Forked) -> dict[str, Any] | None:
    """The event as one JSON-able object with `event` and `step` first; None for what only a window can use.

    Numbers that are not finite become null, since JSON has no word for them.
    """
    match event:
        case Started():
            record = {
                "event": "started", "step": event.start_step, "run": event.run_name, "model": event.config.model_name,
                "dataset": event.config.data.dataset, "protocol": event.config.data.protocol, "device": event.device,
                "device_name": event.device_name, "precision": event.precision, "num_threads": event.num_threads,
                "num_processes": event.num_processes,
                "num_parameters": event.num_parameters, "effective_beta": event.effective_beta,
                "num_train": event.num_train, "num_heldout": event.num_heldout,
                "epochs": event.config.training.epochs, "steps_per_epoch": event.steps_per_epoch,
                "total_steps": event.total_steps,
            }  # fmt: skip
        case WeightsTaken():
            record = {
                "event": "weights_taken", "step": event.step, "file": event.file, "sha256": event.sha256,
                "num_tensors": event.num_tensors,
            }  # fmt: skip
        case MetricsChunk():
            record = {"event": "metrics", **metrics_row(event)}
        case Validated():
            record = {"event": "validated", **metrics_row(event), "num_images": event.num_images}
        case SettingChanged():
            record = {
                "event": "setting_changed", "step": event.step, "images_seen": event.images_seen,
                "seconds": event.seconds, "path": event.path, "old": event.old, "new": event.new,
            }  # fmt: skip
        case Forked():
            changed = [{"path": path, "old": old, "new": new} for path, old, new in event.changed]
            record = {
                "event": FORKED, "step": event.step, "images_seen": event.images_seen, "seconds": event.seconds,
                "parent": event.parent, "changed": changed,
            }  # fmt: skip
        case StepsSkipped():
            record = {
                "event": "steps_skipped", "step": event.step, "skipped": event.skipped,
                "skipped_in_all": event.skipped_in_all,
            }  # fmt: skip
        case Paused():
            record = {"event": "paused", "step": event.step, "reason": event.reason, "hint": event.hint}
        case Resumed():
            record = {"event": "resumed", "step": event.step}
        case CheckpointWritten():
            record = {"event": "checkpoint_written", "step": event.step, "checkpoint": event.path.name}
        case RecordingFailed():
            record = {"event": "warning", "step": event.step, "message": event.message, "hint": event.hint}
        case RecordingRecovered():
            record = {"event": "recording_recovered", "step": event.step}
        case Finished():
            record = {
                "event": "finished", "step": event.step, "epoch": event.epoch, "images_seen": event.images_seen,
                "seconds": event.seconds, "images_per_second": event.images_per_second,
                "validation": dict(event.validation), "reason": event.reason,
            }  # fmt: skip
        case _:
            return None
    return _finite(record)


def event_line(record: Mapping[str, Any]) -> str:
    """A line of events.jsonl, with the time of now where the record has none."""
    now = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return json.dumps({**record, "time": record.get("time", now)}, ensure_ascii=False) + "\n"


def _finite(record: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            plain[name] = _finite(value)
        else:
            plain[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return plain
