"""Numbers of two runs stand side by side where protocol and bound agree, and nowhere else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.evaluation.test_comparison import measured, run
from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.evaluation import Cancelled
from vae_explorer.evaluation.heldout_sides import heldout_images, measured_side
from vae_explorer.evaluation.images import scored_images
from vae_explorer.evaluation.side_by_side import (
    HELDOUT_MEASURES,
    ITEM_MEASURES,
    measured_item,
    paired,
    refusal_of,
)
from vae_explorer.models.catalogue import MODELS


def test_values_of_one_protocol_and_bound_are_paired_and_the_better_is_named() -> None:
    first = run("same name", measured("elbo", 100.0), measured("kl", 20.0), measured("active_units", 5.0, bound=None))
    second = run("same name", measured("elbo", 95.0), measured("kl", 25.0), measured("active_units", 7.0, bound=None))
    pairs = {pair.measure.name: pair for pair in paired(first, second, HELDOUT_MEASURES)}
    assert list(pairs) == ["elbo", "kl", "active_units"]
    assert [(pair.first.value, pair.second.value) for pair in pairs.values() if pair.first and pair.second] == [
        (100.0, 95.0), (20.0, 25.0), (5.0, 7.0),
    ]  # fmt: skip
    assert [pair.better for pair in pairs.values()] == ["B", "", ""]
    assert refusal_of(tuple(pairs.values())) == ""


def test_equal_values_have_no_better() -> None:
    (pair,) = paired(run("a", measured("elbo", 90.0)), run("b", measured("elbo", 90.0)), ("elbo",))
    assert pair.better == ""


def test_numbers_of_two_protocols_are_not_given_and_one_sentence_says_why() -> None:
    first = run("a", measured("elbo", 100.0), measured("kl", 20.0))
    second = run(
        "b", measured("elbo", 95.0, protocol="grey"), measured("kl", 25.0, protocol="grey"), protocol="grey"
    )  # fmt: skip
    pairs = paired(first, second, HELDOUT_MEASURES)
    assert all(pair.first is None and pair.second is None and pair.better == "" for pair in pairs)
    assert refusal_of(pairs) == (
        "No numbers stand side by side, because the protocol differs: dynamic and grey. Train both under one protocol."
    )


def test_another_bound_of_one_measure_takes_that_measure_alone() -> None:
    first = run("a", measured("elbo", 100.0), measured("active_units", 3.0, bound=None))
    second = run(
        "b", measured("elbo", 95.0, bound="-ELBO(1), given the class"), measured("active_units", 4.0, bound=None)
    )
    elbo, active = paired(first, second, HELDOUT_MEASURES)
    assert elbo.first is None
    assert active.first is not None
    assert refusal_of((elbo, active)).startswith(
        "-ELBO of A and of B do not stand side by side, because the bound differs: -ELBO(1) and -ELBO(1), given the "
        "class."
    )


def test_what_only_one_run_has_stands_alone() -> None:
    (pair,) = paired(run("a"), run("b", measured("elbo", 95.0)), HELDOUT_MEASURES)
    assert (pair.first, pair.better) == (None, "")
    assert pair.second is not None


def test_both_are_measured_on_the_same_items_with_the_same_draws(
    monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]
) -> None:
    register_tiny(monkeypatch, tiny_images)
    trainer = make_trainer(tiny_config("dynamic"))
    dataset, ids = trainer.dataset, trainer.dataset.heldout_index_N.numpy()[3:30]
    model = trainer.model.eval()
    side = measured_side("A", model, MODELS["vae"], "tiny", heldout_images(dataset, "dynamic", ids))
    images = scored_images(dataset.images, dataset.heldout_index_N[3:30], "dynamic", "heldout")
    expected = evaluate(model, MODELS["vae"], images, measures=HELDOUT_MEASURES)
    assert side.run.measurements == expected
    assert {item.n for item in side.run.measurements} == {27}
    assert side.obstacles == {}
    assert refusal_of(paired(side.run, side.run, HELDOUT_MEASURES)) == ""
    with pytest.raises(Cancelled):
        measured_side("A", model, MODELS["vae"], "tiny", images, lambda: True)
    with pytest.raises(UserError, match="no images"):
        measured_side("A", model, MODELS["vae"], "tiny", heldout_images(dataset, "dynamic", ids[:0]))


def test_a_model_without_a_bound_says_so(tiny_dataset: ImageDataset) -> None:
    from vae_explorer.models.building import build_model
    from vae_explorer.models.data_space import DataSpace

    record = MODELS["autoencoder"]
    model = build_model("autoencoder", record.config_type(), DataSpace((1, 8, 8), 3, "grey")).eval()
    images = heldout_images(tiny_dataset, "grey", tiny_dataset.heldout_index_N.numpy())
    side = measured_side("B", model, record, "tiny", images)
    assert [item.name for item in side.run.measurements] == ["active_units"]
    assert side.obstacles["elbo"] == "-ELBO cannot be measured here: model 'autoencoder' has no likelihood."


def test_terms_of_one_item_are_paired_as_measures_are() -> None:
    vae, cvae = MODELS["vae"], MODELS["cvae"]
    first = measured_item("A", vae, "mnist", "dynamic", 80.0, 12.0, 16)
    pairs = paired(first, measured_item("B", vae, "mnist", "dynamic", 70.0, 30.0, 16), ITEM_MEASURES)
    assert [(pair.measure.name, pair.better) for pair in pairs] == [("reconstruction", "B"), ("kl", ""), ("elbo", "A")]
    assert [pair.second.value for pair in pairs if pair.second is not None] == [70.0, 30.0, 100.0]
    for other in (
        measured_item("B", vae, "mnist", "grey", 70.0, 30.0, 16),
        measured_item("B", cvae, "mnist", "dynamic", 70.0, 30.0, 16),
    ):
        refused = paired(first, other, ITEM_MEASURES)
        assert all(pair.first is None and pair.second is None for pair in refused)
    assert "the protocol differs" in refusal_of(
        paired(first, measured_item("B", vae, "mnist", "grey", 1.0, 2.0, 16), ITEM_MEASURES)
    )
    none = measured_item("B", MODELS["autoencoder"], "mnist", "dynamic", None, None, 16)
    assert none.measurements == ()
    assert dataclasses.replace(none, name="A").dataset == "mnist"
