"""A metrics.csv that may still grow: its names once, and the lines that were added since the last look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vae_explorer.errors import FileError
from vae_explorer.runs.growing_file import GrowingFile
from vae_explorer.runs.metric_rows import MetricHeader


class MetricLines(NamedTuple):
    """Whole lines of rows and the names of their cells; `is_start` where they are the first of a file, perhaps of
    another file than before. `offset` is where their block begins.
    """

    header: MetricHeader
    content: bytes
    is_start: bool
    offset: int


class GrowingMetrics:
    """The file and how far it has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = GrowingFile(path)
        self._header: MetricHeader | None = None

    @property
    def is_unread(self) -> bool:
        """Whether nothing of the file as it is now was read."""
        return self._file.offset == 0

    def new_lines(self) -> Iterator[MetricLines]:
        """What was added. Raises FileError as `GrowingFile.new_blocks`, and where the first line has no names."""
        for offset, content in self._file.new_blocks():
            rows = content
            if offset == 0:
                head, _, rows = content.partition(b"\n")
                try:
                    self._header = MetricHeader(head, self.path)
                except FileError:
                    self._file = GrowingFile(self.path)  # what follows is nothing without its names
                    raise
            assert self._header is not None
            yield MetricLines(self._header, rows, offset == 0, offset)
