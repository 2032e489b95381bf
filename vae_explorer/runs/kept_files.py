"""Files that are costly to make again, in the user's cache folder; losing them costs time and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import platformdirs

from vae_explorer.errors import FileError
from vae_explorer.runs import files

_MAXIMUM_BYTES = 64_000_000


class KeptFiles:
    """A folder of such files by name. What cannot be read counts as not there, what cannot be written is not kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(platformdirs.user_cache_dir("vae-explorer", appauthor=False)) if folder is None else folder

    def read(self, name: str) -> bytes | None:
        """The content, or None."""
        if not files.exists(self.folder / name):
            return None
        try:
            return files.read_bytes(self.folder / name, _MAXIMUM_BYTES)
        except FileError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep the content, whole or not at all."""
        with contextlib.suppress(FileError):
            files.make_folder(self.folder)
            files.write_bytes_atomic(self.folder / name, content)
