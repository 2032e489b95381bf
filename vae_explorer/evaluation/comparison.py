"""Which measured values may stand in one table or on one axis, and why others may not; free of torch.

A number is comparable only with numbers of the same data, protocol and bound; MODELS.md 0 and 5.11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vae_explorer.errors import UserError
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.record import Measure, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A run and what was measured of it; `name` tells it from the others."""

    name: str
    dataset: str
    protocol: str
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure over runs. `groups` hold run names and values that may be compared with one another, best first.

    Where the measure has no better end they are in the order of the runs. `refusal` says why there is more than one
    group, `difference` the same as half a sentence, and `hint` what to do; all empty where there is one.
    """

    measure: Measure
    groups: tuple[tuple[tuple[str, Measurement], ...], ...]
    refusal: str = ""
    hint: str = ""
    difference: str = ""


def comparison(runs: Sequence[MeasuredRun]) -> tuple[ComparedMeasure, ...]:
    """Every measure that was taken of any run, in the registry's order, with its values in groups."""
    compared = []
    for measure in MEASURES:
        found = [(run, item) for run in runs for item in run.measurements if item.name == measure.name]
        if found:
            compared.append(_compared(measure, found))
    return tuple(compared)


def require_comparable(runs: Sequence[MeasuredRun]) -> None:
    """Raise UserError where the runs' data or protocols differ, which no measure can mend."""
    for run in runs[1:]:
        for fact in _FACTS_OF_RUNS:
            if fact.of_run(runs[0]) != fact.of_run(run):
                first = f"{runs[0].name} has {fact.title} {fact.of_run(runs[0])}"
                message = f"{first} and {run.name} has {fact.of_run(run)}: their numbers cannot be compared."
                raise UserError(message, fact.hint)


@dataclass(frozen=True, slots=True)
class _RunFact:
    title: str
    of_run: Callable[[MeasuredRun], str]
    hint: str


_FACTS_OF_RUNS = (
    _RunFact("the data set", lambda run: run.dataset, "Evaluate them one by one, or train both on one data set."),
    _RunFact("the protocol", lambda run: run.protocol, "Evaluate them one by one, or train both under one protocol."),
)


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing that must be the same in numbers that are compared."""

    title: str
    value: Callable[[MeasuredRun, Measurement], Any]
    hint: str
    verb: str = "differs"


_FACTS = (
    _Fact("the data set", lambda run, _: run.dataset, "Train both on one data set."),
    _Fact("the protocol", lambda _, item: item.protocol, "Train both under one protocol."),
    _Fact("the bound", lambda _, item: item.bound, "Compare by a measure that both have under one bound."),
    _Fact("the split", lambda _, item: item.split, "Measure both on one split."),
    _Fact("the number of images", lambda _, item: item.n, "Measure both with the same limit."),
    _Fact("the number of samples", lambda _, item: item.samples, "Measure both with as many samples."),
    _Fact(
        "the binarisation seed", lambda _, item: item.detail.get("binarisation_seed"),
        "Measure both with this version of the program.",
    ),
    _Fact(
        "the features", lambda _, item: item.detail.get("feature_digest"),
        "Measure both on one machine, where the feature network is trained once.", "differ",
    ),
)  # fmt: skip


def _compared(measure: Measure, found: Sequence[tuple[MeasuredRun, Measurement]]) -> ComparedMeasure:
    groups: dict[tuple[Any, ...], list[tuple[str, Measurement]]] = {}
    for run, item in found:
        groups.setdefault(tuple(fact.value(run, item) for fact in _FACTS), []).append((run.name, item))
    keys = list(groups)
    refusal, hint, difference = "", "", ""
    if len(keys) > 1:
        number = next(i for i, (first, second) in enumerate(zip(keys[0], keys[1], strict=True)) if first != second)
        fact = _FACTS[number]
        values = " and ".join(str(value) for value in dict.fromkeys(key[number] for key in keys))
        difference = f"{fact.title} {fact.verb}: {values}"
        refusal, hint = f"{measure.title} is not ranked, because {difference}.", fact.hint
    ordered = tuple(_ordered(measure, group) for group in groups.values())
    return ComparedMeasure(measure, ordered, refusal, hint, difference)


def _ordered(measure: Measure, group: list[tuple[str, Measurement]]) -> tuple[tuple[str, Measurement], ...]:
    if measure.better == "neither":
        return tuple(group)
    return tuple(sorted(group, key=lambda entry: entry[1].value, reverse=measure.better == "higher"))
