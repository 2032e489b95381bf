"""Which checkpoints of a run stay: the newest three, the best one, and one an hour."""

from __future__ import annotations

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
