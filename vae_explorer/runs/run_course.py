"""What made a run beside its settings: where it began, and what was changed on the way. Free of torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vae_explorer.errors import UserError
from vae_explorer.runs.history import read_events
from vae_explorer.runs.own_files import own_file
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_words import plain
from vae_explorer.runs.stored_run import changes_in
from vae_explorer.training.run_config import setting_at

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.runs.run_summary import RunSummary
    from vae_explorer.training.events import SettingChanged
    from vae_explorer.training.run_config import RunConfig

_MOST_SAID = 3
_MOST_BYTES = 20_000_000  # of events; ten times what a day of training leaves


class ChangeReader:
    """Reads the changes of one run again and again, and its events only when they are others than before."""

    def __init__(self) -> None:
        self._read: tuple[object, ...] = ()
        self._changes: tuple[SettingChanged, ...] = ()

    def read(self, path: Path, config: RunConfig) -> tuple[SettingChanged, ...]:
        """The changes that still count, in their order; none where the events cannot be read."""
        run = RunDirectory(path, config)
        status = own_file(run.events_file)
        is_as = (None, None) if status is None else (status.st_size, status.st_mtime_ns)
        if self._read != (*is_as, config):
            self._read = (*is_as, config)
            is_short = status is not None and status.st_size <= _MOST_BYTES
            self._changes = _changes(run) if is_short else ()
        return self._changes


def course_words(run: RunSummary) -> str:
    """In sentences; empty for a run that was trained from the start as its settings say."""
    sentences = []
    if run.parent is not None:
        sentences.append(f"{run.label} is a child of {plain(run.parent.name)}, from its step {run.parent.step:,}.")
    if run.changes:
        said = [
            f"{setting_at(run.config, change.path).label} became {change.new:g} after step {change.step:,}"
            for change in run.changes
        ]
        more = f", and {len(said) - _MOST_SAID} more changes" if len(said) > _MOST_SAID else ""
        sentences.append(f"In {run.label} {', '.join(said[:_MOST_SAID])}{more}.")
    return " ".join(sentences)


def _changes(run: RunDirectory) -> tuple[SettingChanged, ...]:
    try:
        changes = changes_in(read_events(run, ("started", "setting_changed")))
        for change in changes:
            setting_at(run.config, change.path)
    except (UserError, KeyError, TypeError, ValueError, OverflowError):
        return ()
    return changes if all(math.isfinite(change.new) for change in changes) else ()
