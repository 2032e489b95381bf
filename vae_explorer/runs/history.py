"""Reading back the append-only files of a run, while it is written or after it was killed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_explorer.errors import FileError, UserError, nearest_hint, quoted
from vae_explorer.runs import files
from vae_explorer.runs.growing_metrics import GrowingMetrics
from vae_explorer.runs.metric_rows import SPLIT, MetricHeader, MetricRows
from vae_explorer.runs.run_directory import require_plain_file

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory

SPLITS = ("train", "heldout")
MOST_METRICS_BYTES = 256_000_000
_HINT = "It was altered after it was written; mend or remove that line."


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """The rows of metrics.csv: `split` says `train` or `heldout`; the other columns are float64, nan where empty."""

    split: np.ndarray
    columns: dict[str, np.ndarray]

    def of(self, split: str) -> dict[str, np.ndarray]:
        """The columns of one split's rows, `train` or `heldout`. Raises UserError for another word."""
        if split not in SPLITS:
            raise UserError(f"Curves have no split {quoted(split)}.", nearest_hint(str(split), SPLITS))
        rows = self.split == split
        return {name: values[rows] for name, values in self.columns.items()}


def read_metrics(run: RunDirectory) -> Metrics:
    """All metrics so far; a last line that is not whole is left out. Raises FileError for a damaged one before it.

    For curves that grow, or that may be long, `metric_curves.MetricCurves` is the reader.
    """
    path = run.metrics_file
    header: MetricHeader | None = None
    splits, tables, num_lines = [], [], 1
    for header, content, _, offset in GrowingMetrics(path).new_lines():
        if offset > MOST_METRICS_BYTES:
            raise FileError(
                path, f"{path} is larger than {MOST_METRICS_BYTES:,} bytes.", "It is too long to be read whole."
            )
        rows = MetricRows(header, content)
        numbers_CN, wrong = rows.values([*header.axes, *header.curves])
        for number in (*rows.damaged, *wrong):
            raise FileError(path, f"{path} has a damaged line {num_lines + int(number) + 1}.", _HINT)
        split_N = np.empty(len(rows), dtype="U8")
        for split, row_index_N in rows.splits().items():
            split_N[row_index_N] = split
        splits.append(split_N)
        tables.append(numbers_CN)
        num_lines += len(rows)
    if header is None:
        return Metrics(np.empty(0, dtype="U8"), {})
    table_CN = np.concatenate(tables, axis=1)
    names = (*header.axes, *header.curves)
    columns = {name: table_CN[names.index(name)] for name in header.names if name != SPLIT}
    return Metrics(np.concatenate(splits), columns)


def read_events(run: RunDirectory, kinds: Collection[str] = ()) -> list[dict[str, Any]]:
    """All events so far, or those of these kinds; a last line that is not whole is left out.

    Raises FileError for a damaged one before it.
    """
    path = run.events_file
    words = tuple(f'"{kind}"' for kind in kinds)
    events = []
    for number, line in enumerate(_whole_lines(path), start=1):
        if words and not any(word in line for word in words):
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise FileError(path, f"{path} has a damaged line {number}.", _HINT)
        if not kinds or event.get("event") in kinds:
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
