"""Going on with a run from its newest checkpoint, as if it had never stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import Checkpoint, read_checkpoint
from vae_explorer.runs.frames import cut_frames_back
from vae_explorer.runs.history import MOST_METRICS_BYTES
from vae_explorer.runs.run_directory import require_plain_file

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.runs.run_directory import RunDirectory


def newest_good_checkpoint(run: RunDirectory) -> Checkpoint | None:
    """The newest checkpoint that is as it was written; None for a run that has none.

    Raises FileError, that of the newest, where all are damaged.
    """
    return first_good(reversed(run.checkpoints()))


def first_good(paths: Iterable[Path]) -> Checkpoint | None:
    """The first of these checkpoints that is as it was written; None without any.

    Raises FileError, that of the first, where all are damaged.
    """
    first: FileError | None = None
    for path in paths:
        try:
            return read_checkpoint(path)
        except FileError as error:
            first = first or error
    if first is not None:
        raise first
    return None


def cut_back(run: RunDirectory, step: int) -> None:
    """Take the run back to the step it goes on from: later rows, checkpoints and frames would come twice.

    Without a checkpoint of that step the run begins anew, and no row and no frame stays. For the one writer of the
    folder. The lines of events.jsonl stay, since they tell what happened. Raises FileError.
    """
    checkpoints = run.checkpoints()
    last = step if any(int(path.name) == step for path in checkpoints) else -1
    cut_frames_back(run, last)
    if files.exists(run.metrics_file):
        files.cut_after(run.metrics_file, _end_of_rows(run.metrics_file, last))
    for path in checkpoints:
        if int(path.name) > step:
            files.remove_folder(path)


def columns_of(run: RunDirectory, wanted: Sequence[str]) -> tuple[str, ...]:
    """The columns of the run's metrics file, which is given those it lacks: an older version knew fewer of them.

    The wanted ones where there is no file yet. For the one writer of the folder. Raises FileError.
    """
    path = run.metrics_file
    content = files.read_bytes(path, MOST_METRICS_BYTES) if files.exists(path) else b""
    head, _, rows = content.partition(b"\n")
    found = tuple(head.decode("utf-8", errors="replace").split(",")) if rows or content.endswith(b"\n") else ()
    lacking = [name for name in wanted if name not in found]
    if not found or not lacking:
        return found or tuple(wanted)
    empty = b"," * len(lacking)
    lines = [line + empty + b"\n" for line in rows.split(b"\n")[:-1]]
    columns = (*found, *lacking)
    files.write_bytes_atomic(path, ",".join(columns).encode("utf-8") + b"\n" + b"".join(lines))
    return columns


def rows_up_to(path: Path, step: int) -> bytes:
    """The head of a metrics file and its rows up to and with that step; nothing where there is no file."""
    if not files.exists(path):
        return b""
    require_plain_file(path, "Choose a run that training made.")
    return files.read_bytes(path, MOST_METRICS_BYTES)[: _end_of_rows(path, step)]


def _end_of_rows(path: Path, step: int) -> int:
    """Where the rows up to and with that step end; rows are in the order of steps."""
    end = 0
    try:
        with path.open("rb") as file:
            for line in file:
                first = line.partition(b",")[0]
                if not line.endswith(b"\n") or (first.isdigit() and int(first) > step):
                    break
                end += len(line)
    except OSError as error:
        raise files.file_error(path, error, "read") from error
    return end
