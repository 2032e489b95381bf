"""Lists of items as files: CSV with labels, or plain indices, for use outside of the program.

An item id is the row of the image in the training source, counted from 0; lists are ascending.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import FileError

SUFFIXES = (".csv", ".txt")

Ids = NDArray[np.integer[Any]]


def item_list(
    path: Path,
    ids_N: Ids,
    labels_N: Ids | None = None,
    class_names: Sequence[str] = (),
    file_names: Sequence[str] | None = None,
) -> str:
    """The text for a file of this name: `.csv` as `items_csv`, `.txt` as `items_text`. Raises FileError for others."""
    match path.suffix.lower():
        case ".csv":
            return items_csv(ids_N, labels_N, class_names, file_names)
        case ".txt":
            return items_text(ids_N)
        case _:
            raise FileError(
                path, f"{path.name} is no name for a list of items.", "Choose a name that ends in .csv or .txt."
            )


def items_csv(
    ids_N: Ids,
    labels_N: Ids | None = None,
    class_names: Sequence[str] = (),
    file_names: Sequence[str] | None = None,
) -> str:
    """Comma-separated values with a header: item, then label and class where there are labels, then file where known.

    `labels_N` and `file_names` are by item id, for all items of the data set; ids beyond them are left out.
    """
    header = ["item"]
    if labels_N is not None:
        header += ["label", "class"]
    if file_names is not None:
        header.append("file")
    num_items = min((len(column) for column in (labels_N, file_names) if column is not None), default=None)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(header)
    for item in _ascending(ids_N, num_items):
        row: list[object] = [item]
        if labels_N is not None:
            label = int(labels_N[item])
            row += [label, class_names[label] if 0 <= label < len(class_names) else ""]
        if file_names is not None:
            row.append(file_names[item])
        rows.writerow(row)
    return text.getvalue()


def items_text(ids_N: Ids) -> str:
    """One item id a line."""
    return "".join(f"{item}\n" for item in _ascending(ids_N, None))


def _ascending(ids_N: Ids, num_items: int | None) -> list[int]:
    ids = np.unique(np.asarray(ids_N, dtype=np.int64))
    ids = ids[ids >= 0] if num_items is None else ids[(ids >= 0) & (ids < num_items)]
    found: list[int] = ids.tolist()
    return found
