"""The curves of a run in memory: growing numpy columns that double when full, up to a limit. Free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vae_explorer.training.events import MetricsChunk, Validated

Axis = Literal["images_seen", "step", "seconds"]

MOST_ROWS = 131_072
"""Of the training steps; more than a screen has columns. Days of training must not fill the memory."""
_PLACES = frozenset({"step", "epoch", "images_seen", "seconds", "images_per_second"})


class _Columns:
    """Equally long float64 columns; a column that appears late is NaN before."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._capacity = 1024
        self.length = 0

    def extend(self, rows: dict[str, np.ndarray | float], num: int) -> None:
        while self.length + num > self._capacity:
            self._capacity *= 2
        for name in rows:
            if name not in self._arrays:
                self._arrays[name] = np.full(self._capacity, np.nan)
        for name, array in self._arrays.items():
            if len(array) < self._capacity:
                grown = np.full(self._capacity, np.nan)
                grown[: self.length] = array[: self.length]
                self._arrays[name] = grown
        for name, array in self._arrays.items():
            array[self.length : self.length + num] = rows.get(name, np.nan)
        self.length += num

    def thin(self, most: int) -> None:
        """Where there are more than `most` rows, keep half of that: of each of so many equal stretches of steps the
        rows with the least and the largest value of the first curve, as they are, so that no spike is lost; and the
        newest.

        Halving all rows again and again would leave nothing of the beginning of a long run.
        """
        if self.length <= most:
            return
        by = next((name for name in self._arrays if name not in _PLACES), None)
        step, value = self.column("step"), np.zeros(self.length)
        if by is not None and np.isfinite(self.column(by)).any():
            value = np.nan_to_num(self.column(by), nan=float(np.nanmedian(self.column(by))))
        num_stretches = most // 4
        stretch = np.floor((step - step[0]) / (step[-1] - step[0]) * num_stretches).astype(np.int64)
        order = np.lexsort((value, stretch))
        is_first = np.diff(stretch[order], prepend=-1) > 0
        is_last = np.append(is_first[1:], True)
        kept = np.union1d(order[is_first | is_last], self.length - 1)
        self._capacity = max(1024, len(kept))
        self._arrays = {name: array[kept] for name, array in self._arrays.items()}
        self.length = len(kept)

    def cut_after(self, step: int) -> None:
        self.length = int(np.searchsorted(self.column("step"), step, side="right"))

    def column(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            return np.full(self.length, np.nan)
        return self._arrays[name][: self.length]


class MetricHistory:
    """One row a training step and one a held-out measurement; columns are read as views. Of very many steps the older
    ones are thinned (`MOST_ROWS`).

    A history that was read from a file goes on as that does, with a row a report: otherwise a run that is continued
    would look as if its noise had grown where it goes on.
    """

    def __init__(self) -> None:
        self._train = _Columns()
        self._heldout = _Columns()
        self._last_images = 0
        self._last_seconds = 0.0
        self._is_of_reports = False

    def __len__(self) -> int:
        return self._train.length

    @property
    def num_heldout(self) -> int:
        """How many held-out measurements there are."""
        return self._heldout.length

    def append_chunk(self, chunk: MetricsChunk) -> None:
        """Add the steps of a chunk, images and seconds within it interpolated; or its one row."""
        num = len(chunk.steps)
        if num == 0:
            return
        if self._is_of_reports:
            place = {"step": chunk.step, "images_seen": chunk.images_seen, "seconds": chunk.seconds}
            row = {**place, "images_per_second": chunk.images_per_second, **chunk.in_one_row()}
            self._train.extend(dict(row), 1)
            self._train.thin(MOST_ROWS)
            return
        share = np.arange(1, num + 1) / num
        rows: dict[str, np.ndarray | float] = {
            "step": chunk.steps,
            "images_seen": self._last_images + share * (chunk.images_seen - self._last_images),
            "seconds": self._last_seconds + share * (chunk.seconds - self._last_seconds),
            "images_per_second": chunk.images_per_second,
        }
        rows.update({name: chunk.values[:, i] for i, name in enumerate(chunk.columns)})
        self._train.extend(rows, num)
        self._train.thin(MOST_ROWS)
        self._last_images, self._last_seconds = chunk.images_seen, chunk.seconds

    def append_rows(self, train: Mapping[str, np.ndarray], heldout: Mapping[str, np.ndarray]) -> None:
        """Add rows as a run's metrics file holds them, each with its own step, images and seconds."""
        for columns, rows in ((self._train, train), (self._heldout, heldout)):
            if rows and len(rows["step"]):
                columns.extend(dict(rows), len(rows["step"]))
        self._train.thin(MOST_ROWS)
        if train and len(train["step"]):
            self._is_of_reports = True
            self._last_images, self._last_seconds = int(train["images_seen"][-1]), float(train["seconds"][-1])

    def cut_after(self, step: int) -> None:
        """Forget the rows of later steps."""
        self._train.cut_after(step)
        self._heldout.cut_after(step)
        if self._train.length:
            self._last_images = int(self.train("images_seen")[-1])
            self._last_seconds = float(self.train("seconds")[-1])
        else:
            self._last_images, self._last_seconds, self._is_of_reports = 0, 0.0, False

    def append_validation(self, validated: Validated) -> None:
        """Add a held-out measurement."""
        place = {"step": validated.step, "images_seen": validated.images_seen, "seconds": validated.seconds}
        self._heldout.extend({**place, **validated.terms}, 1)

    def train(self, column: str) -> np.ndarray:
        """A column of the training steps; NaN where it is not known. A view: copy it to keep it."""
        return self._train.column(column)

    def heldout(self, column: str) -> np.ndarray:
        """A column of the held-out measurements. A view: copy it to keep it."""
        return self._heldout.column(column)

    def axis(self, name: Axis, split: Literal["train", "heldout"]) -> np.ndarray:
        """The x-values of a split."""
        return self.train(name) if split == "train" else self.heldout(name)
