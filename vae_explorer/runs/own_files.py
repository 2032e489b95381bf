"""Looking into a stranger's folder without leaving it: only plain files that lie in it, never what a link leads to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_ENTRIES = 20_000
_MOST_DEPTH = 4


def own_file(path: Path) -> os.stat_result | None:
    """What is known of a plain file; None for a link, for anything else, and where nothing is."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def own_folder(path: Path) -> os.stat_result | None:
    """What is known of a folder; None for a link, for anything else, and where nothing is."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISDIR(status.st_mode) else None


def read_end(path: Path, most_bytes: int) -> bytes:
    """The last bytes of a file. Raises OSError."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - most_bytes))
        return file.read(most_bytes)


def own_files(folder: Path, depth: int = _MOST_DEPTH) -> Iterator[tuple[str, os.stat_result]]:
    """The plain files in a folder and the folders in it, as far as they can be read, and not without end."""
    num_left = _MOST_ENTRIES
    waiting = [(str(folder), depth)]
    while waiting:
        current, levels = waiting.pop()
        try:
            entries = os.scandir(current)
        except OSError:
            continue
        with entries:
            for entry in entries:
                num_left -= 1
                if num_left < 0:
                    return
                try:
                    if entry.is_file(follow_symlinks=False):
                        yield entry.path, entry.stat(follow_symlinks=False)
                    elif levels and entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, levels - 1))
                except OSError:
                    continue
