from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.runs.library_folders import config_with, iwae_config
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.comparable import bound_of, difference, drawn_together, score_term
from vae_explorer.training.run_config import RunConfig, default_config, with_value


@dataclass(frozen=True)
class Named:
    label: str
    config: RunConfig


def test_runs_of_one_protocol_data_set_and_bound_are_drawn_together() -> None:
    runs = [Named("a", config_with(training__seed=1)), Named("b", config_with(model__beta=4.0))]
    assert drawn_together(runs, "elbo") == drawn_together(runs, "beta")
    assert drawn_together(runs, "elbo").drawn == (0, 1)
    assert drawn_together(runs, "elbo").refusal == ""
    assert drawn_together([], "elbo").drawn == ()


@pytest.mark.parametrize(
    ("protocol", "values", "reason"),
    [
        ("grey", {"data__protocol": "dynamic"}, "the protocol is dynamic, not grey"),
        (
            "threshold",
            {"data__dataset": "sprites", "data__protocol": "threshold"},
            "the data set is sprites, not mnist",
        ),
    ],
)
def test_runs_of_another_protocol_or_data_set_are_refused_in_a_sentence(
    protocol: str, values: dict[str, str], reason: str
) -> None:
    ours = config_with(data__protocol=protocol)
    runs = [Named("first", ours), Named("odd", config_with(**values)), Named("third", ours)]
    for name in ("elbo", "kl", "learning_rate"):
        found = drawn_together(runs, name)
        assert found.drawn == (0, 2)
        assert found.refusal.startswith(f"odd is not drawn beside first: {reason}")
    assert "odd and 1 more are not drawn beside first" in drawn_together([*runs, runs[1]], "elbo").refusal


def test_a_bound_of_more_samples_is_another_bound() -> None:
    five, fifty = Named("five", iwae_config(5)), Named("fifty", iwae_config(50))
    assert bound_of(five.config, "iwae") == "IWAE-5"
    assert "the bound is IWAE-50, not IWAE-5" in drawn_together([five, fifty], "iwae").refusal
    assert drawn_together([five, fifty], "elbo").refusal == ""
    assert drawn_together([five, Named("vae", default_config())], "elbo").refusal == ""


def test_what_a_model_is_told_is_part_of_its_bound() -> None:
    told = Named("told", config_with(model__name="cvae"))
    assert bound_of(told.config, "elbo") == "ELBO(1), class told"
    assert "class told" in drawn_together([Named("vae", default_config()), told], "elbo").refusal
    parts = [Named(f"{n}", config_with(model__name="cvae-quadrants", model__given_quadrants=n)) for n in (1, 2)]
    assert "2 of 4 quadrants told, not ELBO(1), 1 of 4" in drawn_together(parts, "elbo").refusal


@pytest.mark.parametrize("record", MODELS, ids=lambda record: record.name)
def test_every_model_has_a_score_with_a_better_end(record) -> None:
    config = with_value(default_config(), "model.name", record.name)
    assert score_term(config).better in ("higher", "lower")
    assert not score_term(config).is_heldout_only
    assert all(bound_of(config, term.name) for term in record.terms)


def test_settings_that_differ_are_listed_with_both_values() -> None:
    first, second = default_config(), config_with(training__seed=5, model__beta=4.0)
    found = {item.path: (item.setting.label, item.first, item.second) for item in difference(first, second)}
    assert found == {"model.beta": ("Beta", "1", "4"), "training.seed": ("Seed", "0", "5")}
    assert difference(first, first) == ()


def test_settings_that_only_one_model_has_stand_without_the_other() -> None:
    found = {item.path: item for item in difference(default_config(), config_with(model__name="pca"))}
    assert (found["model.name"].first, found["model.name"].second) == ("vae", "pca")
    assert found["model.beta"].first == "1"
    assert found["model.beta"].second is None
    back = {item.path: item for item in difference(config_with(model__name="pca"), default_config())}
    assert back["model.beta"].first is None
    assert back["model.beta"].setting.label == "Beta"
