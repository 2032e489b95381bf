"""What a run on disk tells of its course: its curves, its changes, how it was started and how it ended.

Read from metrics.csv and events.jsonl, whole or as far as they are written. Free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_explorer.errors import FileError, UserError
from vae_explorer.runs.course_events import Ancestry, ancestry_in, changes_in
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.training.events import SettingChanged, Started
from vae_explorer.training.metric_history import MetricHistory
from vae_explorer.training.run_config import with_value

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.run_config import RunConfig

PLACES = ("step", "images_seen", "seconds")
"""Columns that say where a row stands."""
_HINT = "It was altered after it was written; use another copy of the run."


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """A run's course. `started` is None before its first event; `seconds` and `images_seen` are those of its last row.

    `changes` are the live settings that were changed in it and still count: what a kill undid is left out. `ancestry`
    is what it has from its parents.
    """

    run: RunDirectory
    started: Started | None
    history: MetricHistory
    changes: tuple[SettingChanged, ...]
    step: int
    images_seen: int
    seconds: float
    ancestry: Ancestry = field(default_factory=Ancestry)


@dataclass(frozen=True, slots=True)
class Told:
    """What the events tell: the newest start, the changes that count, and what came from parents."""

    started: Started | None
    changes: tuple[SettingChanged, ...]
    ancestry: Ancestry


def read_stored_run(run: RunDirectory) -> StoredRun:
    """The course of the run in that folder. Raises FileError for files that are not as they were written."""
    metrics = read_metrics(run)
    history, columns = MetricHistory(), metrics.columns
    is_empty = not columns or len(metrics.split) == 0
    if not is_empty:
        _require_places(run, columns)
        history.append_rows(metrics.of("train"), metrics.of("heldout"))
    last = {name: 0.0 if is_empty else float(columns[name][-1]) for name in PLACES}
    told = read_told(run)
    return StoredRun(
        run, told.started, history, told.changes, int(last["step"]), int(last["images_seen"]), last["seconds"],
        told.ancestry,
    )  # fmt: skip


def read_told(run: RunDirectory) -> Told:
    """What the events of that run tell. Raises FileError as `read_stored_run`."""
    lines = read_events(run)
    try:
        told = Told(_started(lines, run.config, run.name), changes_in(lines), ancestry_in(lines, run.parent))
        for change in told.changes:
            with_value(run.config, change.path, change.new)
    except (KeyError, TypeError, ValueError, OverflowError, UserError) as error:
        raise FileError(run.events_file, f"{run.events_file} is not as VAE Explorer wrote it.", _HINT) from error
    return told


def _require_places(run: RunDirectory, columns: Mapping[str, np.ndarray]) -> None:
    """Raise FileError unless every row says where it stands, and none stands before the one above it."""
    for name in PLACES:
        values = columns.get(name)
        if values is None or not np.isfinite(values).all() or values[0] < 0 or (np.diff(values) < 0).any():
            path = run.metrics_file
            raise FileError(path, f"{path} does not say in its column '{name}' where its rows stand.", _HINT)


def _started(lines: Sequence[Mapping[str, Any]], config: RunConfig, name: str) -> Started | None:
    """The newest start, as the trainer told it."""
    line = next((line for line in reversed(lines) if line.get("event") == "started"), None)
    if line is None:
        return None
    if int(line["num_train"]) < 1:
        raise ValueError("a run trains on something")
    beta = line["effective_beta"]
    return Started(
        config=config, run_name=name, device=str(line["device"]), device_name=str(line["device_name"]),
        precision=str(line["precision"]), num_threads=int(line["num_threads"]),
        num_processes=int(line.get("num_processes", 1)),
        num_parameters=int(line["num_parameters"]), effective_beta=None if beta is None else float(beta),
        num_train=int(line["num_train"]), num_heldout=int(line["num_heldout"]),
        steps_per_epoch=int(line["steps_per_epoch"]), total_steps=int(line["total_steps"]),
        start_step=int(line["step"]),
    )  # fmt: skip
