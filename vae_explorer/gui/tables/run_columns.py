"""What a table of runs shows of each, one record a column; free of Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import plain
from vae_explorer.runs.run_words import created_text, duration_text, score_text, size_text

if TYPE_CHECKING:
    from vae_explorer.runs.run_summary import RunSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunColumn:
    """A column: its header, what it says of a run, and what it is sorted by (None stands at the end).

    `letters` are its first width. `is_ranked` values are only in order among runs whose values may be compared.
    """

    name: str
    title: str
    tip: str
    text: Callable[[RunSummary], str]
    key: Callable[[RunSummary], Any]
    letters: int
    is_number: bool = False
    is_ranked: bool = False
    is_edited: bool = False


def comparable_group(run: RunSummary) -> tuple[str, str, str]:
    """Only runs that agree in this may be ranked."""
    return (run.dataset, run.protocol, run.bound)


def _last_score(run: RunSummary) -> float | None:
    return run.last_heldout.get(run.term.name)


def _parent_text(run: RunSummary) -> str:
    if not run.ancestry.forks:
        return ""
    parent = run.ancestry.forks[-1]
    return f"{plain(parent.parent)}, step {parent.step:,}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


MARK, RUN, STATUS, TAGS, NOTES = "mark", "run", "status", "tags", "notes"

RUN_COLUMNS: tuple[RunColumn, ...] = (
    RunColumn(
        name=MARK, title="", tip="Colour of its curves, and whether it is pinned", text=lambda _: "",
        key=lambda _: None, letters=5,
    ),
    RunColumn(
        name=RUN, title="Run", tip="Its title, else its folder's name; F2 gives it another title",
        text=lambda run: run.label, key=lambda run: run.label.casefold(), letters=16, is_edited=True,
    ),
    RunColumn(
        name=STATUS, title="Status", tip="What became of it", text=lambda run: run.status, key=lambda run: run.status,
        letters=11,
    ),
    RunColumn(
        name="best", title="Best (nats/image)", tip="The best value on the held-out images. Sorted within runs of one "
        "data set, protocol and bound", text=lambda run: score_text(run, run.best), key=lambda run: run.best,
        letters=15, is_number=True, is_ranked=True,
    ),
    RunColumn(
        name="model", title="Model", tip="Which model was trained", text=lambda run: run.model,
        key=lambda run: run.model, letters=9,
    ),
    RunColumn(
        name="dataset", title="Data set", tip="What it was trained on", text=lambda run: run.dataset,
        key=lambda run: run.dataset, letters=9,
    ),
    RunColumn(
        name="protocol", title="Protocol", tip="What a pixel is and how it is scored; values under different protocols "
        "cannot be compared", text=lambda run: run.protocol, key=lambda run: run.protocol, letters=10,
    ),
    RunColumn(
        name="bound", title="Bound", tip="What best and last are a bound or a value of",
        text=lambda run: run.bound, key=lambda run: run.bound, letters=9,
    ),
    RunColumn(
        name="best_step", title="Best at (step)", tip="The step of that value, for a child perhaps before its fork",
        text=lambda run: "" if run.best_step is None else f"{run.best_step:,}", key=lambda run: run.best_step,
        letters=12, is_number=True,
    ),
    RunColumn(
        name="last", title="Last (nats/image)", tip="The value of the last held-out check. Sorted within runs of one "
        "data set, protocol and bound", text=lambda run: score_text(run, _last_score(run)), key=_last_score,
        letters=15, is_number=True, is_ranked=True,
    ),
    RunColumn(
        name="seconds", title="Duration (h:min:s)", tip="Time of training, pauses left out",
        text=lambda run: duration_text(run.seconds), key=lambda run: run.seconds, letters=15, is_number=True,
    ),
    RunColumn(
        name="steps", title="Steps", tip="Optimiser updates", text=lambda run: f"{run.steps:,}",
        key=lambda run: run.steps, letters=9, is_number=True,
    ),
    RunColumn(
        name="size", title="Size (MB)", tip="All files in its folder", text=lambda run: size_text(run.size_bytes),
        key=lambda run: run.size_bytes, letters=9, is_number=True,
    ),
    RunColumn(
        name="created", title="Created", tip="When it was begun, in the time of this machine", text=created_text,
        key=lambda run: run.created, letters=15,
    ),
    RunColumn(
        name="parent", title="Child of", tip="The run that it was forked from, and at which step",
        text=_parent_text, key=lambda run: _parent_text(run).casefold() or None, letters=18,
    ),
    RunColumn(
        name=TAGS, title="Tags", tip="Words to find it by, with commas between; F2 changes them",
        text=lambda run: ", ".join(run.notes.tags), key=lambda run: run.notes.tags or None, letters=14, is_edited=True,
    ),
    RunColumn(
        name=NOTES, title="Notes", tip="Whatever you want to remember of it; F2 changes it",
        text=lambda run: _one_line(run.notes.notes), key=lambda run: run.notes.notes or None, letters=24,
        is_edited=True,
    ),
)  # fmt: skip
