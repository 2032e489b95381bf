"""How a person marked runs in the window: pinned, hidden, coloured; kept by the window, not in the runs. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMark:
    """A pinned run stands first and its curves stay; a hidden one is left out; `colour` is the number of a class
    colour, None for one that is free.
    """

    is_pinned: bool = False
    is_hidden: bool = False
    colour: int | None = None


NO_MARK = RunMark()


def marks_table(marks: Mapping[str, RunMark]) -> dict[str, dict[str, Any]]:
    """Marks by the paths of runs, as plain values; what is not marked is left out."""
    return {
        path: {"is_pinned": mark.is_pinned, "is_hidden": mark.is_hidden}
        | ({} if mark.colour is None else {"colour": mark.colour})
        for path, mark in marks.items()
        if mark != NO_MARK
    }


def marks_of(table: object, num_colours: int) -> dict[str, RunMark]:
    """Marks as they were remembered; what is not understood is no mark."""
    found: dict[str, RunMark] = {}
    for path, kept in table.items() if isinstance(table, dict) else ():
        if isinstance(path, str) and isinstance(kept, dict):
            colour = kept.get("colour")
            is_colour = type(colour) is int and 0 <= colour < num_colours
            found[path] = RunMark(
                is_pinned=kept.get("is_pinned") is True,
                is_hidden=kept.get("is_hidden") is True,
                colour=colour if is_colour else None,
            )
    return found


class CurveColours:
    """Gives each drawn run a colour: the one a person chose, else the one it had, else that which the fewest have."""

    def __init__(self, num_colours: int) -> None:
        self._num = num_colours
        self._given: dict[str, int] = {}

    def colours_of(self, paths: Iterable[str], marks: Mapping[str, RunMark]) -> dict[str, int]:
        """Colour numbers of the runs that are drawn now, in their order."""
        found: dict[str, int] = {}
        free: list[str] = []
        for path in paths:
            chosen = marks.get(path, NO_MARK).colour
            if chosen is not None:
                found[path] = chosen
            else:
                free.append(path)
        for path in free:
            before = self._given.get(path)
            taken = [list(found.values()).count(number) for number in range(self._num)]
            if before is None or taken[before] > min(taken):
                before = taken.index(min(taken))
            found[path] = before
        self._given.update(found)
        return found
