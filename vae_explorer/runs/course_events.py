"""What the events of a run tell of its course: what was changed by hand, and where a child left its parents.

A child's events begin with those lines of its parent that tell what made the weights it began with, and a line that it
left there; so its inherited curves can be read without the parent. Free of torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import plain
from vae_explorer.training.events import SettingChanged

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import Parent

FORKED = "forked"
COURSE_EVENTS = ("started", "setting_changed", FORKED)
"""What the functions of this module read; they pass over all others."""

Lines = Sequence[Mapping[str, Any]]
_MOST_PARENTS_SAID = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A run left its parent here; `changed` are the settings that it went on with otherwise: path, old, new, as text.

    `images_seen` and `seconds` are nan where an older version did not write them.
    """

    parent: str
    step: int
    images_seen: float
    seconds: float
    changed: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Where a run comes from, oldest first: its forks, and what was changed by hand in its parents before it left."""

    forks: tuple[Forked, ...] = ()
    changes: tuple[SettingChanged, ...] = ()

    @property
    def words(self) -> str:
        """As in `child of a, from its step 5, itself a child of b, from its step 3`; empty for a run without parent."""
        said = [f"{plain(fork.parent)}, from its step {fork.step:,}" for fork in reversed(self.forks)]
        if not said:
            return ""
        more = f", and so on ({len(said):,} in all)" if len(said) > _MOST_PARENTS_SAID else ""
        return "child of " + ", itself a child of ".join(said[:_MOST_PARENTS_SAID]) + more

    @property
    def sentence(self) -> str:
        """The same as a sentence."""
        return f"{self.words[0].upper()}{self.words[1:]}." if self.forks else ""


def changes_in(lines: Lines) -> tuple[SettingChanged, ...]:
    """The changes by hand of the run itself, in their order; a start at an earlier step takes back those after it.

    Raises KeyError, TypeError, ValueError or OverflowError for a line that is not as it was written.
    """
    return tuple(_change(line) for line in _counting(own_lines(lines)))


def ancestry_in(lines: Lines, parent: Parent | None) -> Ancestry:
    """Where the run comes from; all that an older version kept of it is the `parent` of its run.toml. Raises as
    `changes_in`.
    """
    inherited = lines[: len(lines) - len(own_lines(lines))]
    if not inherited and parent is not None:
        fork = Forked(parent=parent.name, step=parent.step, images_seen=math.nan, seconds=math.nan, changed=())
        return Ancestry((fork,))
    return Ancestry(
        tuple(_fork(line) for line in inherited if line.get("event") == FORKED),
        tuple(_change(line) for line in inherited if line.get("event") == "setting_changed"),
    )


def own_lines(lines: Lines) -> Lines:
    """What the run itself did: all after it left its last parent."""
    return lines[max((number + 1 for number, line in enumerate(lines) if line.get("event") == FORKED), default=0) :]


def inherited_lines(lines: Lines, step: int) -> list[Mapping[str, Any]]:
    """The lines of a parent that its child begins with: what led to the weights after `step` steps. Raises as
    `changes_in`.
    """
    return [line for line in _counting(lines) if line["event"] == FORKED or int(line["step"]) < step]


def _counting(lines: Lines) -> list[Mapping[str, Any]]:
    """The lines of forks, and of the changes that no later start took back."""
    found: list[Mapping[str, Any]] = []
    for line in lines:
        kind = line.get("event")
        if kind == "started":
            start = int(line["step"])
            found = [kept for kept in found if kept["event"] == FORKED or int(kept["step"]) <= start]
        elif kind in COURSE_EVENTS:
            found.append(line)
    return found


def _change(line: Mapping[str, Any]) -> SettingChanged:
    return SettingChanged(
        path=str(line["path"]), old=float(line["old"]), new=float(line["new"]), step=int(line["step"]),
        images_seen=int(line["images_seen"]), seconds=float(line["seconds"]),
    )  # fmt: skip


def _fork(line: Mapping[str, Any]) -> Forked:
    changed = tuple((str(item["path"]), str(item["old"]), str(item["new"])) for item in line["changed"])
    return Forked(
        parent=str(line["parent"]), step=int(line["step"]), images_seen=float(line["images_seen"]),
        seconds=float(line["seconds"]), changed=changed,
    )  # fmt: skip
