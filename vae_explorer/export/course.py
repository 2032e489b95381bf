"""How a run came about, as far as its weights depend on it: what it was planned for from which step on, and what was
changed by hand.

Read from a run's events, which may be a stranger's, or torn: what is not as it was written is left out, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import UserError
from vae_explorer.runs.course_events import changes_in, own_lines
from vae_explorer.training.run_config import setting_at, with_value

if TYPE_CHECKING:
    from vae_explorer.training.events import SettingChanged
    from vae_explorer.training.run_config import RunConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps under one plan: schedules depend on the number of epochs that a run is planned for.

    From after `start` to `end` steps; `is_whole` where these are all that were planned. `changes` are in order.
    """

    start: int
    end: int
    epochs: int
    num_processes: int
    is_whole: bool
    changes: tuple[SettingChanged, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """The stages in order, and how many lines were left out since they were not as they were written."""

    stages: tuple[Stage, ...]
    num_left_out: int


@dataclass(frozen=True, slots=True)
class _Start:
    step: int
    epochs: int
    total_steps: int
    num_processes: int


def course_of(events: Sequence[Mapping[str, Any]], config: RunConfig, end: int | None) -> Course:
    """The course up to the step `end`, that of the weights; None is as far as was planned.

    A start takes back what was done after its step: the run had been broken off, and went on from a checkpoint.
    """
    # What a parent did is in the weights that it left.
    told = [event for event in own_lines(events) if event.get("event") in {"started", "setting_changed"}]
    readable = [event for event in told if _is_as_written(event, config)]
    starts: list[_Start] = []
    for event in readable:
        if event["event"] == "started":
            start = _start_in(event)
            starts = [earlier for earlier in starts if earlier.step < start.step]
            if not starts or replace(starts[-1], step=start.step) != start:
                starts.append(start)
    return Course(_stages(starts, changes_in(readable), end), len(told) - len(readable))


def _stages(starts: Sequence[_Start], changes: Sequence[SettingChanged], end: int | None) -> tuple[Stage, ...]:
    if end is not None:  # what was begun and never saved has left nothing
        starts = [start for number, start in enumerate(starts) if number == 0 or start.step < end]
    stages = []
    for number, start in enumerate(starts):
        if number + 1 < len(starts):
            until = starts[number + 1].step
        else:
            until = start.total_steps if end is None else min(end, start.total_steps)
        within = tuple(change for change in changes if start.step <= change.step < until)
        is_whole = until == start.total_steps
        stages.append(Stage(start.step, until, start.epochs, start.num_processes, is_whole, within))
    return tuple(stages)


def _start_in(event: Mapping[str, Any]) -> _Start:
    total = int(event["total_steps"])
    epochs = int(event["epochs"]) if "epochs" in event else total // int(event["steps_per_epoch"])  # an older run
    found = _Start(int(event["step"]), epochs, total, int(event.get("num_processes", 1)))
    if not 0 <= found.step <= total or found.epochs < 1 or not 1 <= found.num_processes <= 10_000:
        raise ValueError("no start of a training")
    return found


def _is_as_written(event: Mapping[str, Any], config: RunConfig) -> bool:
    try:
        if event["event"] == "started":
            _start_in(event)
            return True
        (change,) = changes_in([event])
        with_value(config, change.path, change.new)
        return change.step >= 0 and math.isfinite(change.new) and setting_at(config, change.path).live
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError, UserError):
        return False
