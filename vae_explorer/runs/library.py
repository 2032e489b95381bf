"""A library: a folder of runs, looked at again and again.

Every folder in it is listed, as a run or with the reason why it is none. Links are listed and not followed. A second
look reads only what changed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vae_explorer.errors import FileError, UserError, plain
from vae_explorer.runs import files
from vae_explorer.runs.own_files import own_file
from vae_explorer.runs.run_directory import CONFIG_FILE, EVENTS_FILE, METRICS_FILE, SAMPLES_FOLDER
from vae_explorer.runs.run_notes import NOTES_FILE
from vae_explorer.runs.run_status import RunStatus
from vae_explorer.runs.run_summary import RunReader, RunSummary
from vae_explorer.runs.writer_lock import LOCK_FILE

MOST_FOLDERS = 20_000
_MOST_LOOKED_INTO = 1000

_WATCHED = (CONFIG_FILE, METRICS_FILE, EVENTS_FILE, NOTES_FILE, LOCK_FILE, SAMPLES_FOLDER)


@dataclass(frozen=True, slots=True)
class BadFolder:
    """A folder of the library that cannot be looked at as a run; `reason` is one sentence."""

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """The folder's name, in one line."""
        return plain(self.path.name)


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """What lies in the folder, by name. `num_left_out` folders beyond the first many thousand were not looked at."""

    folder: Path
    runs: tuple[RunSummary, ...] = ()
    bad_folders: tuple[BadFolder, ...] = ()
    num_left_out: int = 0


@dataclass(slots=True)
class _Known:
    """What is known of an entry, and how its files stood when that was read."""

    key: tuple[object, ...]
    entry: RunSummary | BadFolder
    reader: RunReader


class LibraryScanner:
    """Looks at one folder; a second `scan` looks again only at what changed since.

    An entry that did not change is the same object as before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = files.expanded(folder)
        self._known: dict[str, _Known] = {}

    def scan(
        self,
        is_cancelled: Callable[[], bool] = lambda: False,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Library:
        """All entries as they are now; when cancelled, those that were reached. `progress` is told how many are done
        of how many. Raises FileError where the folder itself cannot be read.
        """
        entries = self._entries()
        found: dict[str, _Known] = {}
        for number, entry in enumerate(entries[:MOST_FOLDERS]):
            if is_cancelled():
                break
            known = self._look(entry, is_cancelled)
            if known is not None:
                found[entry.name] = known
            progress(number + 1, len(entries))
        if not is_cancelled():
            self._known = found
        return Library(
            self.folder,
            tuple(known.entry for known in found.values() if isinstance(known.entry, RunSummary)),
            tuple(known.entry for known in found.values() if isinstance(known.entry, BadFolder)),
            max(0, len(entries) - MOST_FOLDERS),
        )

    def _entries(self) -> list[Path]:
        """What may be a folder, by name; of a folder that is itself a run, that run."""
        if own_file(self.folder / CONFIG_FILE) is not None:
            return [self.folder]
        try:
            with os.scandir(self.folder) as entries:
                kept = [entry.name for entry in entries if not entry.is_file(follow_symlinks=False)]
        except OSError as error:
            if error.errno == errno.ENOENT:
                hint = "Train a run first, or choose another folder."
                raise FileError(self.folder, f"There is no folder {self.folder}.", hint) from error
            raise files.file_error(self.folder, error, "read") from error
        return [self.folder / name for name in sorted(kept) if not name.startswith(files.TEMPORARY_PREFIX)]

    def _look(self, path: Path, is_cancelled: Callable[[], bool]) -> _Known | None:
        known = self._known.get(path.name)
        try:
            key = _key(path)
        except FileNotFoundError:
            return None  # it went away in between
        except OSError as error:
            return _Known((), BadFolder(path, files.file_error(path, error, "read").message), RunReader(path))
        if known is not None and known.key == key and not _may_end_unseen(known.entry):
            return known
        reader = known.reader if known is not None else RunReader(path)
        entry = _entry(path, reader, is_cancelled)
        return None if entry is None else _Known(key, entry, reader)


def _may_end_unseen(entry: RunSummary | BadFolder) -> bool:
    """A process that is killed changes no file."""
    return isinstance(entry, RunSummary) and entry.status is RunStatus.RUNNING


def _key(path: Path) -> tuple[object, ...]:
    """How the files stand that a summary is made of. Raises OSError where the entry itself is gone."""
    found: list[object] = [os.lstat(path).st_mtime_ns]
    for name in _WATCHED:
        try:
            status = os.lstat(f"{path}{os.sep}{name}")  # a Path for each would take longer than the look itself
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mode, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _entry(path: Path, reader: RunReader, is_cancelled: Callable[[], bool]) -> RunSummary | BadFolder | None:
    """A run or the reason why it is none; None for what is no folder."""
    if path.is_symlink():
        return _link(path)
    if not files.is_folder(path):
        return None
    try:
        return reader.read(is_cancelled) if os.path.lexists(path / CONFIG_FILE) else _foreign(path)
    except UserError as error:
        # The folder is named beside the reason.
        return BadFolder(path, error.message.replace(f"{path}{os.sep}", ""))
    except OSError as error:
        return BadFolder(path, files.file_error(path, error, "read").message)


def _link(path: Path) -> BadFolder | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            return BadFolder(path, "It is a link that leads nowhere.")
        return BadFolder(path, "It is a link that leads in a circle.")
    if not target.is_dir():
        return None
    folder = path.parent.resolve()
    if target == folder or target in folder.parents:
        return BadFolder(path, f"It is a link that leads in a circle, to {target}.")
    if target.parent == folder:
        return BadFolder(path, f"It is a link to {target.name}, which is listed itself.")
    return BadFolder(path, f"It is a link that leads out of this folder, to {target}; choose that folder to see it.")


def _foreign(path: Path) -> BadFolder:
    with os.scandir(path) as entries:
        names = [entry.name for entry in islice(entries, _MOST_LOOKED_INTO)]
    if not names:
        return BadFolder(path, "It is empty.")
    num_runs = sum(own_file(path / name / CONFIG_FILE) is not None for name in names)
    if num_runs:
        runs = "a run" if num_runs == 1 else f"{num_runs} runs"
        return BadFolder(path, f"It is not a run itself but holds {runs}; choose it as the folder to see them.")
    return BadFolder(path, f"It holds no {CONFIG_FILE}, so it is not a run.")
