"""What made a run beside its settings: where it began, and what was changed on the way. Free of torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vae_explorer.errors import UserError
from vae_explorer.runs.course_events import COURSE_EVENTS, Ancestry, ancestry_in, changes_in
from vae_explorer.runs.history import read_events
from vae_explorer.runs.own_files import own_file
from vae_explorer.training.run_config import setting_at

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.run_summary import RunSummary
    from vae_explorer.training.events import SettingChanged

_MOST_SAID = 3
_NOTHING: tuple[tuple[SettingChanged, ...], Ancestry] = ((), Ancestry())
_MOST_BYTES = 20_000_000  # of events; ten times what a day of training leaves


class CourseReader:
    """Reads the course of one run again and again, and its events only when they are others than before."""

    def __init__(self) -> None:
        self._read: tuple[object, ...] = ()
        self._told = _NOTHING

    def read(self, run: RunDirectory) -> tuple[tuple[SettingChanged, ...], Ancestry]:
        """The changes that still count, in their order, and where the run comes from; what run.toml tells where the
        events cannot be read.
        """
        status = own_file(run.events_file)
        is_as = (None, None) if status is None else (status.st_size, status.st_mtime_ns)
        if self._read != (*is_as, run):
            self._read = (*is_as, run)
            is_short = status is not None and status.st_size <= _MOST_BYTES
            self._told = told_course(run) if is_short else ((), ancestry_in((), run.parent))
        return self._told


def course_words(run: RunSummary) -> str:
    """In sentences; empty for a run that was trained from the start as its settings say."""
    sentences = []
    if run.ancestry.forks:
        sentences.append(f"{run.label} is a {run.ancestry.words}.")
    if run.changes:
        said = [
            f"{setting_at(run.config, change.path).label} became {change.new:g} after step {change.step:,}"
            for change in run.changes
        ]
        more = f", and {len(said) - _MOST_SAID} more changes" if len(said) > _MOST_SAID else ""
        sentences.append(f"In {run.label} {', '.join(said[:_MOST_SAID])}{more}.")
    return " ".join(sentences)


def told_course(run: RunDirectory) -> tuple[tuple[SettingChanged, ...], Ancestry]:
    """The changes that still count and where the run comes from; raises nothing for what cannot be read."""
    try:
        lines = read_events(run, COURSE_EVENTS)
        changes, ancestry = changes_in(lines), ancestry_in(lines, run.parent)
        for change in changes:
            setting_at(run.config, change.path)
    except (UserError, KeyError, TypeError, ValueError, OverflowError):
        return (), ancestry_in((), run.parent)
    return (changes if all(math.isfinite(change.new) for change in changes) else (), ancestry)
