"""A run that another process is writing, read as it grows: on this machine or in a shared or synchronised folder.

Nothing in such a folder can be relied on to be whole: the last line of a file may be torn, a checkpoint half copied, a
file gone for a moment. What is not whole is waited for, and looked at again when it has changed. Free of torch until
it looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.errors import FileError, UserError
from vae_explorer.runs import run_status
from vae_explorer.runs.growing_metrics import GrowingMetrics
from vae_explorer.runs.metric_rows import MetricRows
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.stored_run import PLACES, StoredRun, read_stored_run, read_told

if TYPE_CHECKING:
    from vae_explorer.runs.checkpoint import Checkpoint
    from vae_explorer.training.events import SettingChanged, Started

Rows = Mapping[str, np.ndarray]
_State = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunNews:
    """What has come since the last look.

    `course` is the whole of it where the run was taken back or begun anew: what was read before no longer counts.
    Otherwise `train` and `heldout` are the rows that were added, and `changes` all live settings that were changed and
    count. `writer`: the living process that holds the folder, in words, or nothing. `trouble`: what cannot be read now.
    """

    writer: str
    course: StoredRun | None = None
    train: Rows = field(default_factory=dict)
    heldout: Rows = field(default_factory=dict)
    started: Started | None = None
    changes: tuple[SettingChanged, ...] = ()
    trouble: UserError | None = None


class FollowedRun:
    """The run of `stored`, from where that was read to. Used in one thread."""

    def __init__(self, stored: StoredRun, seen_step: int) -> None:
        self._begin(stored, seen_step)

    def _begin(self, stored: StoredRun, seen_step: int) -> None:
        self.run = stored.run
        self._metrics = GrowingMetrics(self.run.metrics_file)
        self._is_begun = False
        self._num_known = {"train": len(stored.history), "heldout": stored.history.num_heldout}
        self._started, self._changes = stored.started, stored.changes
        self._seen_step = seen_step
        self._last: tuple[object, ...] = ()
        self._torn: dict[str, _State] = {}

    def look(self) -> RunNews | None:
        """What is new; None where nothing has changed."""
        living = run_status.living_writer(self.run.path)
        writer = "" if living is None else living.words
        state = (writer, *(_stamp(path) for path in self._watched()))
        if state == self._last:
            return None
        try:
            news = self._read(writer)
        except UserError as error:
            # Not a state that was seen: the next look reads again, whether or not anything has changed.
            return RunNews(writer=writer, trouble=error)
        self._last = state
        return news

    def newer_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that is whole and newer than the last one given; None where there is none."""
        from vae_explorer.runs.checkpoint import read_checkpoint

        try:
            paths = self.run.checkpoints()
        except FileError:
            return None
        for path in reversed(paths):
            step = int(path.name)
            if step <= self._seen_step:
                return None
            state = _state_of(path)
            if self._torn.get(path.name) == state:
                continue
            try:
                found = read_checkpoint(path)
            except FileError:
                self._torn[path.name] = state
                continue
            self._seen_step = step
            self._torn.clear()
            return found
        return None

    def _watched(self) -> tuple[Path, ...]:
        from vae_explorer.runs.frames import frames_folder

        run = self.run
        return run.metrics_file, run.events_file, run.checkpoints_folder, frames_folder(run)

    def _read(self, writer: str) -> RunNews:
        told = read_told(self.run)
        started, changes = told.started, told.changes
        is_other = started is not None and self._started is not None and started.start_step != self._started.start_step
        rows: dict[str, list[Rows]] = {"train": [], "heldout": []}
        for header, content, is_start, _ in self._metrics.new_lines():
            is_other = is_other or (is_start and self._is_begun)
            self._is_begun = True
            found = MetricRows(header, content)
            names = (*header.axes, *header.curves)
            for split, row_index_N in found.splits().items():
                if split in rows:
                    numbers_CN, _ = found.values(names, row_index_N)
                    rows[split].append(dict(zip(names, numbers_CN, strict=True)))
        if is_other:
            return self._anew(writer)
        added: dict[str, Rows] = {}
        for split, parts in rows.items():
            whole = _joined(parts)
            known = min(self._num_known[split], len(whole.get("step", ())))
            self._num_known[split] -= known
            added[split] = {name: values[known:] for name, values in whole.items()}
        if self._is_begun and any(self._num_known.values()):
            return self._anew(writer)  # rows that were read are gone: it was taken back before the first look
        self._started, self._changes = started, changes
        return RunNews(writer=writer, train=added["train"], heldout=added["heldout"], started=started, changes=changes)

    def _anew(self, writer: str) -> RunNews:
        self.run = RunDirectory.open(self.run.path)  # its epochs may be others now
        course = read_stored_run(self.run)
        self._begin(course, -1)
        return RunNews(writer=writer, course=course)


def _joined(parts: list[Rows]) -> dict[str, np.ndarray]:
    if not parts:
        return {}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    is_placed_N = np.isfinite([whole[name] for name in PLACES]).all(axis=0)
    return {name: values[is_placed_N] for name, values in whole.items()}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _state_of(folder: Path) -> _State:
    try:
        return tuple(sorted((path.name, *_stamp(path)) for path in folder.iterdir()))
    except OSError:
        return ()
