"""Long work in short steps, for layers and tools on the exploring thread. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")

STEP_SECONDS = 0.005
"""About how long a step works before others get their turn."""


def in_steps(
    total: int, work: Callable[[slice], None], first: int = 16, most: int = 4096
) -> Generator[None, None, None]:
    """Call `work` with successive parts of `range(total)`, yielding None after each but the last.

    The first part has `first` rows; later ones as many as take about `STEP_SECONDS`, learnt from how long the last
    took, and never more than `most`.
    """
    rows, start = max(1, min(first, most)), 0
    while start < total:
        part = slice(start, min(start + rows, total))
        began = time.perf_counter()
        work(part)
        seconds = max(time.perf_counter() - began, 1e-7)
        wanted = int((part.stop - part.start) * STEP_SECONDS / seconds)
        # At most doubled: one lucky part must not be followed by one that blocks.
        rows = max(1, min(wanted, 2 * rows, most))
        start = part.stop
        if start < total:
            yield None


def finished(steps: Generator[object, None, Result]) -> Result:
    """The return value of work in steps, done at once; for scripts, and for work that is short anyway."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def timed(steps: Generator[None, None, Result]) -> Generator[None, None, tuple[Result, float]]:
    """Work in steps, with the seconds of processor time it took: what others did between its steps is not counted."""
    seconds = 0.0
    while True:
        began = time.thread_time()
        try:
            next(steps)
        except StopIteration as end:
            return end.value, seconds + time.thread_time() - began
        seconds += time.thread_time() - began
        yield None
