"""The curves of a run while it is written: read on from where the last look ended, and small however long they grow.

A curve of a million rows is kept as some thousand stretches of equally many rows. Of every stretch the lowest value,
the highest and the mean are known, so that no spike is lost and a trend can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vae_explorer.runs.growing_metrics import GrowingMetrics
from vae_explorer.runs.metric_rows import Floats, MetricHeader, MetricRows, Whole

MOST_STRETCHES = 2048
"""A power of two. Once there are more, neighbours are joined in pairs."""

_MOST_SPLITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One metric of one split over its stretches of rows, in the order of the file; (S,) each.

    `x_S` is where the last row of the stretch stands. `low_S`, `high_S` and `mean_S` are of its finite rows, nan where
    it has none; `count_S` is how many those are.
    """

    x_S: Floats
    low_S: Floats
    high_S: Floats
    mean_S: Floats
    count_S: Floats

    def __len__(self) -> int:
        return len(self.x_S)


class MetricCurves:
    """The curves of a metrics.csv: all of them, or `only` the one of that name, which is several times as fast.

    `num_rows` have been read; `num_damaged` lines or parts of them were left out. A file that was rewritten or cut
    starts anew.
    """

    def __init__(self, path: Path, only: str | None = None, most_stretches: int = MOST_STRETCHES) -> None:
        assert most_stretches % 2 == 0
        self.path = path
        self._only = only
        self._most = most_stretches
        self._file = GrowingMetrics(path)
        self._start_anew()

    def _start_anew(self) -> None:
        self.num_rows = 0
        self.num_damaged = 0
        self._header: MetricHeader | None = None
        self._names: tuple[str, ...] = ()
        self._splits: dict[str, _Stretches] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have rows."""
        return tuple(self._splits)

    @property
    def columns(self) -> tuple[str, ...]:
        """All curves that the file has, also those that are not read."""
        return () if self._header is None else self._header.curves

    def names(self, split: str) -> tuple[str, ...]:
        """The curves read that have a value in some row of that split."""
        stretches = self._splits.get(split)
        if stretches is None:
            return ()
        has_values_C = stretches.count_CS[:, : stretches.num].any(axis=1)
        return tuple(self._names[at] for at in np.flatnonzero(has_values_C))

    def end(self, axis: str) -> float:
        """The largest value of an axis; 0 without rows."""
        if self._header is None or axis not in self._header.axes:
            return 0.0
        at = self._header.axes.index(axis)
        lasts = [stretches.last_AS[at, : stretches.num] for stretches in self._splits.values()]
        values = np.concatenate([np.zeros(1), *lasts])
        return float(values[np.isfinite(values)].max())

    def read(self, most_bytes: int = 2**62) -> bool:
        """Take in what was added since, about so many bytes of it at most; whether more is there.

        Raises FileError where the file is gone or is none of ours; what was read before stays.
        """
        taken = 0
        for header, content, is_start, _ in self._file.new_lines():
            taken += len(content)
            if is_start:
                self._start_anew()
                self._header = header
                wanted = header.curves if self._only is None else (self._only,)
                self._names = tuple(name for name in wanted if name in header.curves)
            self._take(MetricRows(header, content))
            if taken >= most_bytes:
                return True
        if self._file.is_unread:
            self._start_anew()  # cut down to nothing
        return False

    def _take(self, rows: MetricRows) -> None:
        header = rows.header
        self.num_rows += len(rows)
        self.num_damaged += len(rows.damaged)
        for split, row_index_N in rows.splits().items():
            if split not in self._splits:
                if len(self._splits) == _MOST_SPLITS:
                    self.num_damaged += len(row_index_N)
                    continue
                self._splits[split] = _Stretches(len(self._names), len(header.axes), self._most)
            values_CN, wrong = rows.values(self._names, row_index_N)
            self.num_damaged += len(wrong)
            self._splits[split].add(values_CN, partial(_axes, rows, row_index_N))

    def curve(self, split: str, name: str, axis: str) -> Curve:
        """A metric over `images_seen`, `step`, `seconds` or `epoch`; empty where there is none."""
        header, stretches = self._header, self._splits.get(split)
        if header is None or stretches is None or name not in self._names or axis not in header.axes:
            return Curve(*(np.empty(0),) * 5)
        at, in_use = self._names.index(name), slice(0, stretches.num)
        count_S = stretches.count_CS[at, in_use].copy()
        mean_S = stretches.total_CS[at, in_use] / np.where(count_S > 0, count_S, np.nan)
        x_S = stretches.last_AS[header.axes.index(axis), in_use].copy()
        return Curve(x_S, stretches.low_CS[at, in_use].copy(), stretches.high_CS[at, in_use].copy(), mean_S, count_S)


def _axes(rows: MetricRows, row_index_N: Whole, place_S: Whole) -> Floats:
    return rows.values(rows.header.axes, row_index_N[place_S])[0]


class _Stretches:
    """Lowest, highest, total and count of every column over stretches of `width` rows, and the axes of the last row.

    The first `num` of them are in use.
    """

    def __init__(self, num_columns: int, num_axes: int, most: int) -> None:
        self.width = 1
        self.num = 0
        self.num_rows = 0
        self.low_CS, self.high_CS, self.total_CS, self.count_CS = np.empty((4, num_columns, most))
        self.last_AS = np.empty((num_axes, most))
        self._most = most

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values_CN: Floats, axes_of: Callable[[Whole], Floats]) -> None:
        """More rows; `axes_of` gives the axes (A, S) of those at the places asked for, so that no others are read."""
        num_new = values_CN.shape[1]
        while self.num_rows + num_new > self._most * self.width:
            self._join_pairs()
        begun = self.num_rows % self.width
        starts_S = np.arange(-begun, num_new, self.width)
        starts_S[0] = 0
        last_S = np.append(starts_S[1:], num_new) - 1
        is_finite = np.isfinite(values_CN)
        gaps = np.flatnonzero(~is_finite.all(axis=1))
        values_CN[gaps] = np.where(is_finite[gaps], values_CN[gaps], np.nan)
        low, high = (extreme.reduceat(values_CN, starts_S, axis=1) for extreme in (np.fmin, np.fmax))
        total = np.add.reduceat(values_CN, starts_S, axis=1)
        total[gaps] = np.add.reduceat(np.nan_to_num(values_CN[gaps]), starts_S, axis=1)
        count = np.add.reduceat(is_finite, starts_S, axis=1, dtype=np.float64)
        first = self.num - (begun > 0)
        if begun:
            low[:, 0] = np.fmin(low[:, 0], self.low_CS[:, first])
            high[:, 0] = np.fmax(high[:, 0], self.high_CS[:, first])
            total[:, 0] += self.total_CS[:, first]
            count[:, 0] += self.count_CS[:, first]
        self.num = first + len(starts_S)
        for kept, new in zip(self._parts(), (low, high, total, count, axes_of(last_S)), strict=True):
            kept[:, first : self.num] = new
        self.num_rows += num_new

    @np.errstate(over="ignore", invalid="ignore")
    def _join_pairs(self) -> None:
        self.width *= 2
        starts = np.arange(0, self.num, 2)
        second = np.minimum(starts + 1, self.num - 1)
        for kept, join in zip(self._parts(), (np.fmin, np.fmax, np.add, np.add, None), strict=True):
            if join is None:
                kept[:, : len(starts)] = kept[:, second]
            elif self.num:
                kept[:, : len(starts)] = join.reduceat(kept[:, : self.num], starts, axis=1)
        self.num = len(starts)

    def _parts(self) -> tuple[Floats, ...]:
        return (self.low_CS, self.high_CS, self.total_CS, self.count_CS, self.last_AS)
