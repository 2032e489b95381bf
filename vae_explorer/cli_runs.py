"""`vae-explorer runs`: what lies in a folder of runs."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vae_explorer.cli_output import say
from vae_explorer.errors import plain
from vae_explorer.runs import files
from vae_explorer.runs.library import Library, LibraryScanner
from vae_explorer.runs.run_directory import default_parent
from vae_explorer.runs.run_summary import RunSummary
from vae_explorer.runs.run_words import created_text, duration_text, score_text, size_text

_HEAD = (
    "run", "status", "model", "data set", "protocol", "bound", "best held out", "at step", "steps", "h:min:s", "MB",
    "created", "child of",
)  # fmt: skip
_RIGHT = frozenset({"best held out", "at step", "steps", "h:min:s", "MB"})
_LONGEST_LABEL = 48


def list_runs(folder: Path | None, *, as_json: bool) -> int:
    """List the runs in a folder, by default that of new runs, and what else lies in it with the reason why it is none.

    Raises FileError where the folder cannot be read; that of new runs need not be there yet.
    """
    named = files.expanded(default_parent()) if folder is None else folder
    is_unmade = folder is None and not files.exists(named)
    library = Library(named) if is_unmade else LibraryScanner(named).scan()
    if as_json:
        say(json.dumps(_library_record(library), ensure_ascii=False))
        return 0
    if not library.runs:
        say(f"There are no runs in {library.folder} yet.")
        say("Train one with vae-explorer train, or name another folder.")
    else:
        _print_table([_HEAD, *map(_cells, library.runs)])
    for bad in library.bad_folders:
        say(f"not a run: {plain(bad.name)}: {plain(bad.reason)}")
    for run in library.runs:
        if run.remark:
            say(f"about {plain(run.name)}: {plain(run.remark)}")
    if library.num_left_out:
        say(f"{library.num_left_out:,} more folders were not looked at; move some to another folder.")
    return 0


def _cells(run: RunSummary) -> tuple[str, ...]:
    label = run.name if run.label == run.name else f"{run.name} ({run.label})"
    label = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    step = "" if run.best_step is None else f"{run.best_step:,}"
    parent = run.ancestry.forks[-1:]
    return (
        plain(label), run.status, run.model, run.dataset, run.protocol, run.bound, score_text(run, run.best), step,
        f"{run.steps:,}", duration_text(run.seconds), size_text(run.size_bytes), created_text(run),
        *(f"{plain(fork.parent)}, step {fork.step:,}" for fork in parent),
    )  # fmt: skip


def _print_table(rows: list[tuple[str, ...]]) -> None:
    """Rows may be shorter than the head; a column that is empty in all of them is left out."""
    columns = [column for column in zip_longest(*rows, fillvalue="") if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        cells = [
            cell.rjust(width) if column[0] in _RIGHT else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        say("  ".join(cells).rstrip())


def _library_record(library: Library) -> dict[str, Any]:
    return {
        "folder": str(library.folder),
        "runs": [_run_record(run) for run in library.runs],
        "bad_folders": [{"name": bad.name, "path": str(bad.path), "reason": bad.reason} for bad in library.bad_folders],
        "left_out": library.num_left_out,
    }


def _run_record(run: RunSummary) -> dict[str, Any]:
    return {
        "name": run.name, "path": str(run.path), "title": run.notes.title, "notes": run.notes.notes,
        "tags": list(run.notes.tags), "status": str(run.status), "status_note": run.judgement.note,
        "model": run.model, "dataset": run.dataset, "protocol": run.protocol, "bound": run.bound,
        "term": run.term.name, "unit": run.term.unit, "better": run.term.better, "best": run.best,
        "best_step": run.best_step, "last": dict(run.last), "last_heldout": dict(run.last_heldout),
        "steps": run.steps, "seconds": run.seconds, "size_bytes": run.size_bytes,
        "parents": [{"name": fork.parent, "step": fork.step} for fork in reversed(run.ancestry.forks)],
        "changes": [{"path": change.path, "step": change.step, "new": change.new} for change in run.changes],
        "created": run.created.isoformat(), "thumbnail": None if run.thumbnail is None else str(run.thumbnail.path),
        "remark": run.remark,
    }  # fmt: skip
