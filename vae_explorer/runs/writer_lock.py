"""Who writes in a run's folder, and whether it is still alive. Free of torch.

`writer.lock` names host, process and the process's start; the writer touches it every few seconds while it lives. A
folder whose lock is there and whose writer is not was broken off, by a kill, a crash or a power cut.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vae_explorer.errors import FileError
from vae_explorer.runs import files

LOCK_FILE = "writer.lock"
BEAT_SECONDS = 5.0
"""How often a living writer touches its lock."""
SILENT_SECONDS = 120.0
"""After which a writer on another machine counts as gone: clocks differ and shared folders lag."""

_MAXIMUM_LOCK_BYTES = 4096
_held: set[Path] = set()  # folders that this process writes in


@dataclass(frozen=True, slots=True)
class Writer:
    """The process that a lock names. `start` is when it began, in ticks of the system since its boot, 0 if unknown."""

    host: str
    pid: int
    start: int = 0

    @property
    def is_local(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def words(self) -> str:
        """Which process that is, in a sentence."""
        if not self.host:
            return "an unknown process"
        return f"process {self.pid} on {'this machine' if self.is_local else self.host}"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the one writer of this folder inside the `with`; raises FileError where another process is."""
    lock = folder / LOCK_FILE
    content = json.dumps(asdict(Writer(socket.gethostname(), os.getpid(), _start_of(os.getpid()))))
    # The second attempt follows the removal of a lock whose process is gone.
    if not files.create_exclusive(lock, content):
        _remove_if_gone(folder)
        if not files.create_exclusive(lock, content):
            raise _locked(folder, "another process")
    _held.add(folder)
    try:
        yield
    finally:
        _held.discard(folder)
        files.remove_file(lock)


def beat(folder: Path) -> None:
    """Show that the writer is alive; what cannot be touched is tried again at the next beat."""
    with suppress(FileError):
        files.touch(folder / LOCK_FILE)


def this_process() -> dict[str, int]:
    """What tells this process from every other one of this machine: its number and when it began."""
    return {"pid": os.getpid(), "start": _start_of(os.getpid())}


def is_gone(pid: int, start: int) -> bool:
    """Whether the process of that number and beginning has ended."""
    return not _is_running(pid) or _start_of(pid) != start


def is_being_written(folder: Path) -> bool:
    """Whether a living writer holds the folder, as far as can be told."""
    return living_writer(folder) is not None


def living_writer(folder: Path) -> Writer | None:
    """Who holds the folder, as far as can be told; None where nobody does, or whoever did is gone."""
    writer = _writer_of(folder)
    return writer if writer is not None and _is_alive(folder, writer) else None


def is_broken_off(folder: Path) -> bool:
    """Whether a writer left its lock behind: it was writing and is no more."""
    writer = _writer_of(folder)
    return writer is not None and not _is_alive(folder, writer)


def _writer_of(folder: Path) -> Writer | None:
    """Who the lock names, nobody known (host "") where that cannot be read; None without a lock."""
    try:
        found = json.loads(files.read_bytes(folder / LOCK_FILE, _MAXIMUM_LOCK_BYTES))
        return Writer(str(found["host"]), int(found["pid"]), int(found.get("start", 0)))
    except FileError:
        return None  # none, or it went away in between
    except (ValueError, KeyError, TypeError, AttributeError):
        return Writer("", 0)


def _remove_if_gone(folder: Path) -> None:
    writer = _writer_of(folder)
    if writer is not None:
        if _is_alive(folder, writer):
            raise _locked(folder, writer.words)
        files.remove_file(folder / LOCK_FILE)


def _is_alive(folder: Path, writer: Writer) -> bool:
    if not writer.is_local:
        with suppress(OSError):
            return time.time() - (folder / LOCK_FILE).stat().st_mtime < SILENT_SECONDS
        return False
    if writer.pid == os.getpid():
        return folder in _held
    # Numbers of processes are given out again: the one that has it now may have begun later.
    return _is_running(writer.pid) and writer.start in (0, _start_of(writer.pid))


def _locked(folder: Path, by: str) -> FileError:
    return FileError(
        folder,
        f"{folder} is being written by {by}.",
        f"Wait until that run ends, choose another folder, or delete {LOCK_FILE} if the process is gone.",
    )


def _start_of(pid: int) -> int:
    """When the process began, field 22 of /proc/PID/stat; 0 where the system has no such file."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # signal 0 would end the process there; a person may delete the file
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
