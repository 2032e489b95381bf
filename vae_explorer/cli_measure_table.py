"""What `vae-explorer evaluate` prints: one run's measures, or several runs side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from vae_explorer.cli_output import say
from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.comparison import MeasuredRun, comparison
from vae_explorer.evaluation.words import error_text, notes, value_text
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.training.run_config import RunConfig

_BEST = {"lower": "lower", "higher": "higher", "neither": ""}


def print_run(run: MeasuredRun, step: int, config: RunConfig) -> None:
    """A line a measure, with its standard error, unit, bound, number of images and what has to be said beside it."""
    _say_heads([run], [(step, config)])
    header = ("measure", "value", "± s.e.", "unit", "bound", "n", "split", "seed")
    rows = [
        (
            MEASURES[item.name].title, value_text(item), error_text(item), item.unit, item.bound or "", f"{item.n}",
            item.split, f"{item.seed}",
        )
        for item in run.measurements
    ]  # fmt: skip
    lines = aligned([header, *rows], right=(1, 2, 5))
    say(lines[0])
    indent = " " * (max(len(row[0]) for row in (header, *rows)) + 2)
    said: set[str] = set()
    for line, item in zip(lines[1:], run.measurements, strict=True):
        say(line)
        for note in notes(item):
            if note not in said:  # measures that share a pass would say the same
                say(indent + note)
            said.add(note)


def print_comparison(runs: Sequence[MeasuredRun], heads: Sequence[tuple[int, RunConfig]]) -> None:
    """A line a measure and a column a run, * at the best; a measure that must not be ranked says why instead."""
    _say_heads(runs, heads)
    header = ("measure", "unit", "better", "bound", "n", *(run.name for run in runs))
    rows, refusals = [], []
    for compared in comparison(runs):
        measure = compared.measure
        if compared.refusal:
            refusals.append(f"{compared.refusal} {compared.hint}")
            continue
        entries = dict(compared.groups[0])
        ranked = measure.better != "neither" and len(entries) > 1
        first = compared.groups[0][0]
        cells = [_cell(entries.get(run.name), is_best=ranked and run.name == first[0]) for run in runs]
        rows.append((measure.title, measure.unit, _BEST[measure.better], first[1].bound or "", f"{first[1].n}", *cells))
    for line in aligned([header, *rows], right=(4, *range(5, len(header)))):
        say(line)
    for refusal in refusals:
        say(refusal)


def comparison_records(runs: Sequence[MeasuredRun]) -> list[dict[str, Any]]:
    """The comparison for `--json`: groups of runs that may be compared, best first, and why there is more than one."""
    return [
        {
            "name": compared.measure.name, "better": compared.measure.better,
            "groups": [[name for name, _ in group] for group in compared.groups],
            "refusal": compared.refusal, "hint": compared.hint,
        }
        for compared in comparison(runs)
    ]  # fmt: skip


def _say_heads(runs: Sequence[MeasuredRun], heads: Sequence[tuple[int, RunConfig]]) -> None:
    for run, (step, config) in zip(runs, heads, strict=True):
        say(f"{run.name}, step {step:,}, {MODELS[config.model_name].title}")
    protocol = PROTOCOLS[runs[0].protocol]
    say(f"Protocol {protocol.name}: {protocol.bound_note}")


def _cell(item: Measurement | None, *, is_best: bool) -> str:
    if item is None:
        return "-"
    error = error_text(item)
    return f"{'*' if is_best else ''}{value_text(item)}{f' ± {error}' if error else ''}"


def aligned(rows: Sequence[Sequence[str]], right: Collection[int]) -> list[str]:
    """The rows as lines with columns of one width; those of these numbers stand to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
