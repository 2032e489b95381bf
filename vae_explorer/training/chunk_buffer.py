"""Rows of step numbers that stay on the device and cross to the CPU in chunks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vae_explorer.training.step import OWN_COLUMNS

if TYPE_CHECKING:
    from torch import Tensor

CAPACITY = 4096


@dataclass(frozen=True, eq=False)
class Chunk:
    """The rows since the last chunk, as numpy."""

    columns: tuple[str, ...]  # without `skipped`
    values: np.ndarray  # (steps, columns) float32
    steps: np.ndarray  # (steps,) int64
    skipped: np.ndarray  # (steps,) bool
    kl_D: np.ndarray | None
    images_per_second: float


class ChunkBuffer:
    """Collects rows without waiting for the device; `take` waits once for all of them."""

    def __init__(self, columns: tuple[str, ...], device: torch.device, images_seen: int, seconds: float) -> None:
        assert columns[-1] == OWN_COLUMNS[-1]
        self.columns = columns
        self._rows = torch.zeros(CAPACITY, len(columns), device=device)
        self._steps = np.zeros(CAPACITY, dtype=np.int64)
        self._length = 0
        self._kl_D: Tensor | None = None
        self._images_before = images_seen
        self._seconds_before = seconds
        self._last_take = time.monotonic()

    def append(self, row: Tensor, step: int, kl_D: Tensor | None) -> None:
        """Keep a row; `kl_D` of the last step is kept with it."""
        self._rows[self._length].copy_(row)
        self._steps[self._length] = step
        self._length += 1
        self._kl_D = kl_D

    def is_due(self, interval_seconds: float) -> bool:
        """Whether it is time to take."""
        return self._length == CAPACITY or time.monotonic() - self._last_take >= interval_seconds

    def take(self, images_seen: int, seconds: float) -> Chunk | None:
        """The rows collected, or None where there are none; the arguments say where training stands after the last of
        them.
        """
        self._last_take = time.monotonic()
        if self._length == 0:
            return None
        rows = self._rows[: self._length].cpu().numpy().copy()
        kl_D = None if self._kl_D is None else self._kl_D.float().cpu().numpy().copy()
        elapsed = seconds - self._seconds_before
        chunk = Chunk(
            self.columns[:-1],
            np.ascontiguousarray(rows[:, :-1]),
            self._steps[: self._length].copy(),
            rows[:, -1] > 0,
            kl_D,
            (images_seen - self._images_before) / elapsed if elapsed > 0 else 0.0,
        )
        self._length = 0
        self._images_before, self._seconds_before = images_seen, seconds
        return chunk
