"""Numbers of two runs side by side: those that may stand beside one another, and a sentence for those that may not.

What may is decided by `comparison`, as everywhere: one data set, protocol, bound, split, number of images and draws.
Free of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.comparison import MeasuredRun, comparison
from vae_explorer.evaluation.record import Measure, Measurement
from vae_explorer.evaluation.words import given_words

if TYPE_CHECKING:
    from vae_explorer.models.record import ModelRecord

HELDOUT_MEASURES = ("elbo", "reconstruction", "kl", "active_units")
"""What is measured of both runs on the images that both hold out."""

ITEM_MEASURES = ("reconstruction", "kl", "elbo")


@dataclass(frozen=True, slots=True)
class PairedMeasure:
    """One measure of the runs A and B. A value is None where the run does not have it, and both are where `refusal`
    says why they may not stand side by side; `hint` what to do. `better` is "A" or "B" where one of them is.
    """

    measure: Measure
    first: Measurement | None
    second: Measurement | None
    better: str = ""
    refusal: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSide:
    """What was measured of one run, and by name of a measure why it could not be."""

    run: MeasuredRun
    obstacles: dict[str, str]


def paired(first: MeasuredRun, second: MeasuredRun, names: Sequence[str]) -> tuple[PairedMeasure, ...]:
    """These measures of both runs, in this order; a measure that neither run has is left out."""
    runs = replace(first, name="A"), replace(second, name="B")
    compared = {item.measure.name: item for item in comparison(runs)}
    pairs = []
    for name in names:
        if name not in compared:
            continue
        found = compared[name]
        if found.refusal:
            words = f"{found.measure.title} of A and of B do not stand side by side, because {found.difference}."
            pairs.append(PairedMeasure(found.measure, None, None, refusal=words, hint=found.hint))
            continue
        values = dict(found.groups[0])
        is_ranked = found.measure.better != "neither" and len(values) == 2
        best = found.groups[0][0][0] if is_ranked and values["A"].value != values["B"].value else ""
        pairs.append(PairedMeasure(found.measure, values.get("A"), values.get("B"), best))
    return tuple(pairs)


def refusal_of(pairs: Sequence[PairedMeasure]) -> str:
    """Why values are missing from a table of pairs, in as few sentences as say it; empty where none are."""
    refused = [pair for pair in pairs if pair.refusal]
    if not refused:
        return ""
    reason = refused[0].refusal.partition(", because ")[2]
    if len(refused) == len(pairs) and all(pair.refusal.endswith(reason) for pair in refused):
        return f"No numbers stand side by side, because {reason} {refused[0].hint}"
    return " ".join(f"{pair.refusal} {pair.hint}" for pair in refused)


def measured_item(
    name: str,
    record: ModelRecord,
    dataset: str,
    protocol: str,
    reconstruction: float | None,
    kl: float | None,
    draws: int,
) -> MeasuredRun:
    """What a run says of one item, in nats, as measurements; None for what it does not have."""
    given = given_words(record)
    bound = f"-ELBO({draws}){given}"
    values: dict[str, tuple[float | None, str, int | None]] = {
        "reconstruction": (reconstruction, bound, draws),
        "kl": (kl, f"closed form{given}", None),
        "elbo": (None if reconstruction is None or kl is None else reconstruction + kl, bound, draws),
    }
    items = tuple(
        Measurement(
            name=measure, value=value, unit="nats", better=MEASURES[measure].better, protocol=protocol, bound=bound,
            samples=samples, n=1, split="one image", seed=0, standard_error=None,
        )
        for measure, (value, bound, samples) in values.items()
        if value is not None
    )  # fmt: skip
    return MeasuredRun(name=name, dataset=dataset, protocol=protocol, measurements=items)
