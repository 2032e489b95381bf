"""What a run is made of is never written over by what is made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.arrangement_file import FILE as ARRANGEMENT_FILE
from vae_explorer.runs.frames import FRAMES_FOLDER
from vae_explorer.runs.run_directory import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    EVENTS_FILE,
    METRICS_FILE,
    START_WEIGHTS_FILE,
)
from vae_explorer.runs.run_notes import NOTES_FILE
from vae_explorer.runs.writer_lock import LOCK_FILE

if TYPE_CHECKING:
    from pathlib import Path

OWN_NAMES = frozenset(
    {
        CONFIG_FILE, METRICS_FILE, EVENTS_FILE, START_WEIGHTS_FILE, ARRANGEMENT_FILE, NOTES_FILE, LOCK_FILE,
        CHECKPOINTS_FOLDER, FRAMES_FOLDER,
    }
)  # fmt: skip
"""In the folder of a run; a person's own files and the samples may stand beside them."""


def make_way_for(path: Path) -> None:
    """Make the folders on the way to what is made from a run. Raises FileError, also as `require_not_of_a_run`."""
    require_not_of_a_run(path)
    files.make_folder(path.parent)


def require_not_of_a_run(path: Path) -> None:
    """Raise FileError where a file or folder of that name would take the place of what a run is made of."""
    try:
        whole = files.expanded(path).resolve()
    except (OSError, RuntimeError):
        return  # a loop of links: whoever writes there is told
    for folder in whole.parents:
        if whole.relative_to(folder).parts[0] in OWN_NAMES and files.exists(folder / CONFIG_FILE):
            raise FileError(
                path, f"{path} would take the place of what the run {folder.name} is made of.",
                "Choose another name or folder.",
            )  # fmt: skip
