"""Curves of several runs, read on in a thread and made ready to draw over one axis."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_explorer.errors import FileError
from vae_explorer.runs.curve_smoothing import coarser, exponential_mean, outline
from vae_explorer.runs.metric_curves import MetricCurves
from vae_explorer.runs.metric_rows import Floats
from vae_explorer.runs.own_files import own_file
from vae_explorer.runs.run_directory import METRICS_FILE

MOST_DRAWN = 24
_MOST_KEPT = 48
_STRETCHES_OF_ALL = 4096
_LEAST_STRETCHES = 256
_BYTES_AT_ONCE = 16_000_000

EMPTY = np.empty(0)


@dataclass(frozen=True, slots=True)
class CurvesRequest:
    """Which metric of which runs, over what, and with how much smoothing: half-life as a share of the longest run, 0
    for none.
    """

    runs: tuple[Path, ...]
    name: str
    axis: str
    smoothing: float


@dataclass(frozen=True, slots=True, eq=False)
class RunCurve:
    """One metric of one run: the outline of its training rows, their smoothed course, and its held-out checks."""

    outline_x: Floats
    outline_y: Floats
    trend_x: Floats
    trend_y: Floats
    heldout_x: Floats
    heldout_y: Floats

    def has(self, split: str) -> bool:
        """Whether it has a value to draw on the `train` or the `heldout` images."""
        return bool(np.isfinite(self.heldout_y if split == "heldout" else self.outline_y).any())

    def since(self, x: float) -> RunCurve:
        """The curve from that place on, joined to what was before by one point."""
        parts: list[Floats] = []
        for place_N, value_N in (
            (self.outline_x, self.outline_y), (self.trend_x, self.trend_y), (self.heldout_x, self.heldout_y),
        ):  # fmt: skip
            first = max(0, int(np.searchsorted(place_N, x, side="right")) - 1)
            parts += [place_N[first:], value_N[first:]]
        return RunCurve(*parts)


@dataclass(frozen=True, slots=True, eq=False)
class ReadCurves:
    """The curves that were asked for, by run; all metrics that these runs have; the half-life of the smoothing in units
    of the axis, 0 for none; and a sentence a run that could not be read.
    """

    request: CurvesRequest
    curves: dict[Path, RunCurve]
    names: tuple[str, ...]
    half_life: float
    troubles: tuple[str, ...]


class CurvesReader:
    """Keeps what was read of the runs and metrics last asked for. Used by one thread at a time."""

    def __init__(self, is_overtaken: Callable[[], bool]) -> None:
        self._is_overtaken = is_overtaken
        self._readers: OrderedDict[tuple[Path, str], MetricCurves] = OrderedDict()
        self._last: tuple[object, ...] = ()

    def read(self, request: CurvesRequest) -> ReadCurves | None:
        """The curves as they are now; None where nothing is new since the same was asked for, or on giving up."""
        troubles = []
        for run in request.runs:
            try:
                self._read_on(run, request.name)
            except FileError as error:
                troubles.append(error.message)
            if self._is_overtaken():
                return None
        readers = [self._readers[run, request.name] for run in request.runs]
        state = (request, tuple((reader.num_rows, reader.num_damaged) for reader in readers), tuple(troubles))
        if state == self._last:
            return None
        self._last = state
        while len(self._readers) > _MOST_KEPT:
            self._readers.popitem(last=False)
        names = dict.fromkeys(name for reader in readers for name in reader.columns)
        longest = max((reader.end(request.axis) for reader in readers), default=0.0)
        half_life = _round_number(request.smoothing * longest)
        most = max(_LEAST_STRETCHES, _STRETCHES_OF_ALL // max(1, len(readers)))
        curves = {
            run: _curve(reader, request, half_life, most) for run, reader in zip(request.runs, readers, strict=True)
        }
        return ReadCurves(request, curves, tuple(names), half_life, tuple(troubles))

    def _read_on(self, run: Path, name: str) -> None:
        reader = self._readers.pop((run, name), None) or MetricCurves(run / METRICS_FILE, only=name)
        self._readers[run, name] = reader
        if own_file(reader.path) is None:
            if reader.num_rows:
                raise FileError(reader.path, f"{reader.path} is gone; what was read of it before is shown.")
            return
        while reader.read(_BYTES_AT_ONCE):
            if self._is_overtaken():
                return


def _curve(reader: MetricCurves, request: CurvesRequest, half_life: float, most: int) -> RunCurve:
    train = coarser(reader.curve("train", request.name, request.axis), most)
    heldout = coarser(reader.curve("heldout", request.name, request.axis), most)
    trend_x, trend_y = (train.x_S, exponential_mean(train, half_life)) if half_life > 0 else (EMPTY, EMPTY)
    is_checked = heldout.count_S > 0
    return RunCurve(*outline(train), trend_x, trend_y, heldout.x_S[is_checked], heldout.mean_S[is_checked])


def _round_number(number: float) -> float:
    """1, 2 or 5 times a power of ten, so that a run that grows is not smoothed anew at every look."""
    if not number > 0:
        return 0.0
    decade = 10.0 ** math.floor(math.log10(number))
    return next(digit * decade for digit in (5, 2, 1) if digit * decade <= number * (1 + 1e-9))
