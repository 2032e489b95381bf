"""One run of a library in a few words and numbers, read without its checkpoints; free of torch."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vae_explorer.config import read_toml
from vae_explorer.errors import FileError, plain
from vae_explorer.runs.comparable import bound_of, score_term
from vae_explorer.runs.course_events import Ancestry
from vae_explorer.runs.growing_metrics import GrowingMetrics
from vae_explorer.runs.metric_rows import MetricHeader, only_split
from vae_explorer.runs.own_files import own_file, own_files, own_folder
from vae_explorer.runs.run_course import CourseReader
from vae_explorer.runs.run_directory import (
    CONFIG_FILE,
    EVENTS_FILE,
    METRICS_FILE,
    SAMPLES_FOLDER,
    RunDirectory,
    parent_in,
    run_config_from_file_table,
)
from vae_explorer.runs.run_notes import NOTES_FILE, RunNotes, read_notes
from vae_explorer.runs.run_status import Judgement, RunStatus, judge

if TYPE_CHECKING:
    from vae_explorer.models.record import Term
    from vae_explorer.training.events import SettingChanged
    from vae_explorer.training.run_config import RunConfig

_OWN_PARTS = (METRICS_FILE, EVENTS_FILE, NOTES_FILE, SAMPLES_FOLDER)
_WITHOUT_CURVES = frozenset({RunStatus.NOT_BEGUN, RunStatus.RUNNING})
_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the run and when it was last written, in nanoseconds."""

    path: Path
    written_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunSummary:
    """What a library knows of a run.

    `best` is the best value of `term` on the held-out images, at `best_step`; None before the first check. `last` are
    the columns of the last row of the curves, `last_heldout` those of the last held-out check. `remark` is a sentence
    on what could not be read; the rest is right all the same. `ancestry` is what it was forked from, `changes` what was
    changed by hand since.
    """

    path: Path
    config: RunConfig
    created: datetime
    notes: RunNotes
    judgement: Judgement
    best: float | None
    best_step: int | None
    last: Mapping[str, float]
    last_heldout: Mapping[str, float]
    size_bytes: int
    thumbnail: Picture | None
    remark: str = ""
    changes: tuple[SettingChanged, ...] = ()
    ancestry: Ancestry = field(default_factory=Ancestry)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def label(self) -> str:
        """What the run is called, in one line: its title, else its name."""
        return plain(self.notes.title or self.path.name)

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.config.model_name

    @property
    def dataset(self) -> str:
        """The name of its data set."""
        return self.config.data.dataset

    @property
    def protocol(self) -> str:
        """The name of its protocol."""
        return self.config.data.protocol

    @property
    def term(self) -> Term:
        """The term that `best` is of."""
        return score_term(self.config)

    @property
    def bound(self) -> str:
        """What `best` is a bound or a value of."""
        return bound_of(self.config, self.term.name)

    @property
    def status(self) -> RunStatus:
        """What became of it."""
        return self.judgement.status

    @property
    def steps(self) -> int:
        """Steps taken, by the curves."""
        return _whole(self.last.get("step"))

    @property
    def seconds(self) -> float:
        """Seconds of training, pauses left out, by the curves."""
        return self.last.get("seconds", 0.0)


class RunReader:
    """Reads one run folder again and again; of its curves only what was added is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: _Scores | None = None
        self._course = CourseReader()

    def read(self, is_cancelled: Callable[[], bool]) -> RunSummary:
        """The run as it is now. Raises UserError where the folder holds none that this version can read."""
        path = self.path / CONFIG_FILE
        status = own_file(path)
        if status is None:
            raise FileError(path, f"{CONFIG_FILE} is no plain file of this folder.", "Copy the run itself, not links.")
        table = read_toml(path)
        config = run_config_from_file_table(table, path)
        links = [name for name in _OWN_PARTS if (self.path / name).is_symlink()]
        remarks = [f"{name} is a link, which is not followed." for name in links]
        notes = RunNotes()
        try:
            notes = read_notes(self.path)
        except FileError as error:
            remarks.append(error.message)
        if self._scores is None or self._scores.term != score_term(config):
            self._scores = _Scores(self.path / METRICS_FILE, score_term(config))
        scores = self._scores
        try:
            scores.read(is_cancelled)
        except FileError as error:
            remarks.append(error.message)
        judgement = judge(self.path)
        if own_file(scores.path) is None and judgement.status not in _WITHOUT_CURVES and not links:
            remarks.append(f"It has no {METRICS_FILE}, so no curves.")
        if scores.num_damaged:
            remarks.append(f"Damaged lines of {METRICS_FILE} are left out: {scores.num_damaged:,}.")
        changes, ancestry = self._course.read(RunDirectory(self.path, config, parent_in(table)))
        size_bytes = sum(status.st_size for _, status in own_files(self.path))
        return RunSummary(
            path=self.path, config=config, created=_created(table.get("created"), status.st_mtime), notes=notes,
            judgement=judgement, best=scores.best, best_step=scores.best_step, last=scores.last,
            last_heldout=scores.last_heldout, size_bytes=size_bytes, thumbnail=newest_picture(self.path),
            changes=changes, ancestry=ancestry,
            remark=" ".join(remarks).replace(f"{self.path}{os.sep}", ""),
        )  # fmt: skip


def newest_picture(folder: Path) -> Picture | None:
    """The newest PNG in the samples of a run."""
    samples = folder / SAMPLES_FOLDER
    if own_folder(samples) is None:
        return None
    pictures = [(status.st_mtime_ns, path) for path, status in own_files(samples, 0) if path.lower().endswith(".png")]
    if not pictures:
        return None
    written_ns, path = max(pictures)
    return Picture(Path(path), written_ns)


class _Scores:
    """The best and the last values of a metrics.csv that may still grow."""

    def __init__(self, path: Path, term: Term) -> None:
        self.path = path
        self.term = term
        self._file = GrowingMetrics(path)
        self._start_anew()

    def _start_anew(self) -> None:
        self.best: float | None = None
        self.best_step: int | None = None
        self.last = self.last_heldout = _NOTHING
        self.num_damaged = 0

    def read(self, is_cancelled: Callable[[], bool]) -> None:
        """Take in what was added; stops early where that is no longer wanted. Raises FileError."""
        if own_file(self.path) is None:
            self._start_anew()
            return
        for header, content, is_start, _ in self._file.new_lines():
            if is_start:
                self._start_anew()
            self.last = header.row(content[content.rfind(b"\n", 0, -1) + 1 :]) or self.last
            self._take_heldout(header, only_split(content, "heldout"))
            if is_cancelled():
                break

    def _take_heldout(self, header: MetricHeader, lines: bytes) -> None:
        if not lines:
            return
        self.last_heldout = header.row(lines[lines.rfind(b"\n", 0, -1) + 1 :]) or self.last_heldout
        if self.term.name not in header.names or "step" not in header.names:
            return
        sign = 1.0 if self.term.better == "higher" else -1.0
        # A few checks in a run of some minutes: to call numpy for them takes longer.
        for line in lines.splitlines():
            numbers = header.numbers(line, (self.term.name, "step"))
            if numbers is None:
                self.num_damaged += 1
            elif math.isfinite(numbers[0]) and (self.best is None or sign * numbers[0] > sign * self.best):
                self.best, self.best_step = numbers[0], _whole(numbers[1])


def _whole(value: float | None) -> int:
    return int(value) if value is not None and math.isfinite(value) and abs(value) < 2**63 else 0


def _created(text: object, otherwise: float) -> datetime:
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        if isinstance(text, str):
            return datetime.fromisoformat(text).astimezone(UTC)
    return datetime.fromtimestamp(otherwise, UTC)
