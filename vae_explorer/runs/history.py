"""Reading back the append-only files of a run, while it is written or after it was killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import require_plain_file

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory

MOST_METRICS_BYTES = 256_000_000
_HINT = "It was altered after it was written; mend or remove that line."


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """The rows of metrics.csv: `split` says `train` or `heldout`; the other columns are float64, nan where empty."""

    split: np.ndarray
    columns: dict[str, np.ndarray]

    def of(self, split: str) -> dict[str, np.ndarray]:
        """The columns of one split's rows."""
        rows = self.split == split
        return {name: values[rows] for name, values in self.columns.items()}


def read_metrics(run: RunDirectory) -> Metrics:
    """All metrics so far; a last line that is not whole is left out. Raises FileError for a damaged one before it."""
    path = run.metrics_file
    lines = _whole_lines(path)
    if not lines:
        return Metrics(np.empty(0, dtype="U8"), {})
    names = lines[0].split(",")
    if "split" not in names:
        raise FileError(path, f"{path} has no column 'split'.", "It was not written by VAE Explorer.")
    split_at = names.index("split")
    splits, rows = [], []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        try:
            splits.append(cells.pop(split_at))
            rows.append([float(cell) if cell else np.nan for cell in cells])
        except (ValueError, IndexError):
            raise FileError(path, f"{path} has a damaged line {number}.", _HINT) from None
        if len(cells) != len(names) - 1:
            raise FileError(path, f"{path} has a damaged line {number}.", _HINT)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names) - 1)
    numeric = [name for name in names if name != "split"]
    return Metrics(np.array(splits, dtype="U8"), {name: table[:, i] for i, name in enumerate(numeric)})


def read_events(run: RunDirectory) -> list[dict[str, Any]]:
    """All events so far; a last line that is not whole is left out. Raises FileError for a damaged one before it."""
    path = run.events_file
    events = []
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise FileError(path, f"{path} has a damaged line {number}.", _HINT)
        events.append(event)
    return events


def _whole_lines(path: Path) -> list[str]:
    """Lines that end in a newline: what a kill cut short does not count."""
    if not files.exists(path):
        return []
    require_plain_file(path, "Choose a folder that training made.")
    content = files.read_bytes(path, MOST_METRICS_BYTES)
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return whole.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(
            path, f"{path} is not text in UTF-8.", "It was altered or damaged after it was written."
        ) from error
