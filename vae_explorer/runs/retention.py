"""What of a run stays: of its checkpoints the newest three, the best one, and one an hour; of the frames to look back
at so many, spread evenly over the doublings of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NUM_NEWEST = 3
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """What decides whether a checkpoint stays.

    `written` is in seconds since the epoch. `heldout_loss` is the newest held-out check's number at that time, lower is
    better; None where none was made.
    """

    step: int
    written: float
    heldout_loss: float | None = None


def steps_to_keep(checkpoints: Sequence[KeptCheckpoint]) -> frozenset[int]:
    """The steps whose checkpoints stay.

    Of each hour the first stays, so that what was kept once is kept for good; of equally good ones the earliest.
    """
    ordered = sorted(checkpoints, key=lambda checkpoint: checkpoint.step)
    keep = {checkpoint.step for checkpoint in ordered[-NUM_NEWEST:]}
    judged = [(c.heldout_loss, c.step) for c in ordered if c.heldout_loss is not None]
    if judged:
        keep.add(min(judged)[1])
    first_of_hour: dict[int, int] = {}
    for checkpoint in ordered:
        first_of_hour.setdefault(int(checkpoint.written // _HOUR), checkpoint.step)
    return frozenset(keep | set(first_of_hour.values()))


def spread_steps(steps: Sequence[int], most: int) -> tuple[int, ...]:
    """At most so many of the steps, in rising order, the first and the last among them where there are two or more.

    One after the other goes the step whose neighbours are nearest to each other on a logarithmic scale.
    """
    kept = sorted(set(steps))
    if most < 2:
        return tuple(kept[-most:]) if most else ()
    while len(kept) > most:
        places = [math.log2(step + 1) for step in kept]
        gaps = [later - earlier for earlier, later in zip(places, places[2:], strict=False)]
        kept.pop(1 + gaps.index(min(gaps)))
    return tuple(kept)
