"""Runs go to the desktop's trash, from where a person can take them back; nothing is ever deleted for good."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QFile, QStandardPaths

from vae_explorer.errors import FileError
from vae_explorer.runs.own_files import own_file, own_folder
from vae_explorer.runs.run_directory import CONFIG_FILE
from vae_explorer.runs.run_status import is_being_written


@dataclass(frozen=True, slots=True)
class Trashed:
    """The runs that are in the trash now, and why others are not."""

    runs: tuple[Path, ...]
    errors: tuple[FileError, ...] = ()


def move_runs_to_trash(folder: Path, runs: Sequence[Path]) -> Trashed:
    """Move runs of the library in that folder to the trash, one after the other; each is looked at once more before."""
    moved, errors = [], []
    for run in runs:
        try:
            _move(folder, run)
        except FileError as error:
            errors.append(error)
        else:
            moved.append(run)
    return Trashed(tuple(moved), tuple(errors))


def _move(folder: Path, run: Path) -> None:
    if run.parent != folder or own_folder(run) is None or own_file(run / CONFIG_FILE) is None:
        raise FileError(run, f"{run} is no run of this library any more.", "Look at the folder in a file browser.")
    if is_being_written(run):
        raise FileError(run, f"{run.name} is being written.", "Stop its training first, then delete it.")
    _make_home_of_trash()
    if not QFile(str(run)).moveToTrash():
        raise FileError(
            run, f"{run.name} could not be moved to the trash.",
            "This disk may have none, or the folder may not be yours; a file browser can tell.",
        )  # fmt: skip


def _make_home_of_trash() -> None:
    """Qt makes the trash in the desktop's folder of data, but not that folder itself, as a fresh account has none."""
    home = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation))
    # Where it cannot be made, the disk may have a trash of its own, and the move tells where it has none.
    with contextlib.suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
