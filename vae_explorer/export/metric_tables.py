"""The metrics of a run for other programs: CSV, and event files of TensorBoard.

In a folder for TensorBoard the splits are runs of their own, `train` and `heldout`, so that it draws both in one plot.
"""

from __future__ import annotations

import csv
import importlib
import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_explorer.errors import MachineError

if TYPE_CHECKING:
    from vae_explorer.runs.history import Metrics

_WHOLE = frozenset({"step", "images_seen"})
_BESIDE = frozenset({"step", "seconds"})  # TensorBoard's own axes
_SPLIT_AFTER = "seconds"
_SPLITS = ("train", "heldout")
_MOST_STEPS = 2.0**53


def metrics_csv(metrics: Metrics) -> str:
    """All rows in the order of the run, with a header; a cell without a value is empty."""
    names = list(metrics.columns)
    names.insert(names.index(_SPLIT_AFTER) + 1 if _SPLIT_AFTER in names else len(names), "split")
    columns = [metrics.split.tolist() if name == "split" else metrics.columns[name].tolist() for name in names]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows(
        [value if name == "split" else _cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in zip(*columns, strict=True)
    )
    return text.getvalue()


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if name in _WHOLE and math.isfinite(value) else f"{value:.9g}"


def event_files(metrics: Metrics, started: float) -> dict[str, bytes]:
    """What a folder for TensorBoard holds: a file a split, by its path in the folder.

    `started` is the time at which the run began, in seconds since 1970. Raises MachineError where the package is
    missing.
    """
    try:
        events: Any = importlib.import_module("tensorboard.compat.proto.event_pb2")
        summaries: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        writer: Any = importlib.import_module("tensorboard.summary.writer.record_writer")
    except ImportError as error:
        raise MachineError(
            "A folder for TensorBoard needs the Python package tensorboard, which is not installed.",
            "Run  pip install 'vae-explorer[tensorboard]',  or write a .csv file.",
        ) from error
    found = {}
    for split in _SPLITS:
        columns = metrics.of(split)
        if not len(columns.get("step", ())):
            continue
        content = io.BytesIO()
        records = writer.RecordWriter(content)
        records.write(events.Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
        for step, seconds, values in _rows(columns):
            summary = summaries.Summary(
                value=[summaries.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            )
            event = events.Event(wall_time=started + seconds, step=step, summary=summary)
            records.write(event.SerializeToString())
        records.flush()
        found[f"{split}/events.out.tfevents.{int(started):010d}.vae-explorer"] = content.getvalue()
    return found


def _rows(columns: dict[str, np.ndarray]) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Step, seconds of training and the values that are there, row by row; rows without a step are left out."""
    names = [name for name in columns if name not in _BESIDE]
    for row, step in enumerate(columns["step"].tolist()):
        if not 0 <= step < _MOST_STEPS:
            continue
        values = {name: float(columns[name][row]) for name in names}
        present = {name: value for name, value in values.items() if not math.isnan(value)}
        seconds = float(columns["seconds"][row]) if "seconds" in columns else 0.0
        yield int(step), seconds if math.isfinite(seconds) else 0.0, present
