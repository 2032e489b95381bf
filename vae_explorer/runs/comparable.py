"""Which runs' curves may stand on one axis, and how their settings differ; free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vae_explorer.config import Setting, text_of
from vae_explorer.models.catalogue import MODELS
from vae_explorer.training.run_config import sections, value_of

if TYPE_CHECKING:
    from vae_explorer.models.record import Term
    from vae_explorer.training.run_config import RunConfig


class _NamedRun(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def config(self) -> RunConfig: ...


def score_term(config: RunConfig) -> Term:
    """The term that says how good a run is: what its model climbs, on the held-out images."""
    return MODELS[config.model_name].terms[0]


def bound_of(config: RunConfig, name: str) -> str:
    """What a column of the curves is a bound or a value of, as in `ELBO(1)` or `IWAE-5`; curves are measured with one
    posterior sample an image.
    """
    record = MODELS[config.model_name]
    title = next((term.title for term in record.terms if term.name == name), name)
    if name == "elbo":
        title = "ELBO(1)"
    elif name == "iwae":
        title = f"IWAE-{config.model.importance_samples}"
    if record.condition == "class":
        return f"{title}, class told"
    if record.condition == "part":
        return f"{title}, {config.model.given_quadrants} of 4 quadrants told"
    return title


@dataclass(frozen=True, slots=True)
class Together:
    """The places of the runs that may be drawn on one axis, and a sentence on those that may not; empty without."""

    drawn: tuple[int, ...]
    refusal: str = ""


def drawn_together(runs: Sequence[_NamedRun], name: str) -> Together:
    """Which of the runs share an axis with the first: those of its protocol, its data set and its bound."""
    drawn: list[int] = []
    refused: list[tuple[str, str]] = []
    for place, run in enumerate(runs):
        reason = _difference(runs[0].config, run.config, name)
        if reason:
            refused.append((run.label, reason))
        else:
            drawn.append(place)
    if not refused:
        return Together(tuple(drawn))
    label, reason = refused[0]
    who = f"{label} is" if len(refused) == 1 else f"{label} and {len(refused) - 1} more are"
    return Together(tuple(drawn), f"{who} not drawn beside {runs[0].label}: {reason}.")


def _difference(first: RunConfig, other: RunConfig, name: str) -> str:
    facts = (
        ("the protocol", first.data.protocol, other.data.protocol),
        ("the data set", first.data.dataset, other.data.dataset),
        ("the bound", bound_of(first, name), bound_of(other, name)),
    )
    return next((f"{what} is {b}, not {a}" for what, a, b in facts if a != b), "")


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting that is not the same in two runs; None where a run's model has no such setting."""

    path: str
    setting: Setting
    first: str | None
    second: str | None


def difference(config_a: RunConfig, config_b: RunConfig) -> tuple[SettingDifference, ...]:
    """The settings that differ, in the order of the form, as text."""
    found = []
    texts_a, texts_b = _texts(config_a), _texts(config_b)
    for path in dict.fromkeys((*texts_a, *texts_b)):
        (setting, first), (_, second) = (texts.get(path, (None, None)) for texts in (texts_a, texts_b))
        setting = setting or texts_b[path][0]
        if first != second:
            found.append(SettingDifference(path, setting, first, second))
    return tuple(found)


def _texts(config: RunConfig) -> dict[str, tuple[Setting, str]]:
    return {
        f"{section.name}.{item.name}": (item, text_of(item, value_of(config, f"{section.name}.{item.name}")))
        for section in sections(config)
        for item in section.settings
    }
