from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.protocols import BINARISATION_SEED, fixed_binarisation
from vae_explorer.errors import UserError
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.evaluate import Progress, evaluate, measuring
from vae_explorer.evaluation.evaluation import Cancelled
from vae_explorer.evaluation.images import ScoredImages, load_scored_images
from vae_explorer.evaluation.needs import Subject, applicable, obstacle
from vae_explorer.evaluation.record import Measurement
from vae_explorer.evaluation.words import notes
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.interface import LatentModel
from vae_explorer.runs.checkpoint import model_from_run

VAE = MODELS["vae"]
KEYS = [
    "name", "value", "unit", "better", "protocol", "bound", "samples", "n", "split", "seed", "standard_error",
]  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> LatentModel:
    run, _ = train_tiny(tmp_path / "run")
    return model_from_run(run.path).model


@pytest.fixture
def images() -> ScoredImages:
    return load_scored_images("tiny", 40, "dynamic", "test")


def by_name(measurements: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {item.name: item for item in measurements}


@pytest.mark.parametrize("measure", list(MEASURES), ids=lambda measure: measure.name)
def test_every_record_says_what_it_is(measure: object) -> None:
    assert measure.title
    assert measure.summary.endswith(".")
    assert measure.reference
    assert measure.better in {"lower", "higher", "neither"}


def test_every_measure_gives_a_finite_number_with_all_it_takes_to_compare_it(
    model: LatentModel, images: ScoredImages
) -> None:
    training = load_scored_images("tiny", 40, "dynamic", "train")
    subject = Subject(VAE, model, images, has_training=True)
    names = [measure.name for measure in applicable(subject)]
    assert {"frechet", "coverage", "linear_probe", "ssim", "marginal_kl", "data_copying"} <= set(names)
    options = {"samples": 60, "seed": 4, "training": lambda: training}
    for item in evaluate(model, VAE, images, measures=names, **options):
        assert math.isfinite(item.value)
        assert all(notes(item)), item.name
        assert list(item.record())[: len(KEYS)] == KEYS
        assert (item.protocol, item.n, item.split, item.seed) == ("dynamic", 60, "test", 4)
        assert item.unit == MEASURES[item.name].unit
        assert item.detail["binarisation_seed"] == BINARISATION_SEED
        assert item.standard_error is None or item.standard_error >= 0
        if MEASURES[item.name].group == "likelihood":
            assert item.standard_error is not None


def test_the_parts_add_up_and_the_bounds_are_named(model: LatentModel, images: ScoredImages) -> None:
    found = by_name(evaluate(model, VAE, images))
    assert list(found) == ["elbo", "reconstruction", "kl", "active_units", "nll_quadrature", "mse"]
    assert found["elbo"].value == pytest.approx(found["reconstruction"].value + found["kl"].value)
    assert found["nll_quadrature"].value < found["elbo"].value
    assert [item.bound for item in found.values()] == ["-ELBO(1)", "-ELBO(1)", "closed form", None, "quadrature", None]
    assert [item.samples for item in found.values()] == [1, 1, None, None, None, None]
    assert sum(found["kl"].detail["per_dimension"]) == pytest.approx(found["kl"].value, abs=1e-4)
    more = by_name(evaluate(model, VAE, images, measures=["iwae", "elbo"], samples=30))
    assert list(more) == ["iwae", "elbo"]
    assert [item.bound for item in more.values()] == ["IWAE-30", "-ELBO(30)"]
    assert 1 <= more["iwae"].detail["effective_samples"] <= 30


def test_a_limit_takes_the_first_images(model: LatentModel, images: ScoredImages) -> None:
    limited = by_name(evaluate(model, VAE, images, limit=10))
    alone = by_name(evaluate(model, VAE, images.first(10)))
    assert limited == alone
    assert limited["elbo"].n == 10
    assert evaluate(model, VAE, images, limit=1, measures=["elbo"])[0].standard_error is None


def test_a_score_gets_no_likelihood_and_says_why(model: LatentModel) -> None:
    grey = load_scored_images("tiny", 40, "grey", "test")
    assert [item.name for item in evaluate(model, VAE, grey)] == ["elbo", "reconstruction", "kl", "active_units", "mse"]
    for name in ("nll_quadrature", "iwae"):
        with pytest.raises(UserError, match="protocol 'grey' gives a score, not a likelihood") as caught:
            evaluate(model, VAE, grey, measures=[name])
        assert "elbo" in caught.value.hint


def test_what_a_model_lacks_is_named(tmp_path: Path, model: LatentModel, images: ScoredImages) -> None:
    plain = dataclasses.replace(VAE, has_likelihood=False, has_prior=False)
    offered = {measure.name for measure in applicable(Subject(plain, model, images))}
    assert offered == {"active_units", "mse", "psnr", "ssim"}
    assert "has no" in obstacle(MEASURES["elbo"], Subject(plain, model, images))
    run, _ = train_tiny(tmp_path / "three", tiny_config(latents=3))
    deep = model_from_run(run.path).model
    assert "nll_quadrature" not in by_name(evaluate(deep, VAE, images))
    with pytest.raises(UserError, match="one or two latent dimensions"):
        evaluate(deep, VAE, images, measures=["nll_quadrature"])


def test_an_unknown_measure_names_the_nearest(model: LatentModel, images: ScoredImages) -> None:
    with pytest.raises(UserError, match="no measure named 'elb0'") as caught:
        evaluate(model, VAE, images, measures=["elb0"])
    assert "'elbo'" in caught.value.hint


def test_the_test_split_is_binarised_once_and_for_ever(images: ScoredImages) -> None:
    stored = torch.from_numpy(DATASETS["tiny"].load("test").images_NCHW)
    assert torch.equal(images.x(0, 60), fixed_binarisation(stored))
    again = load_scored_images("tiny", 40, "dynamic", "test")
    assert torch.equal(images.stored_NCHW, again.stored_NCHW)
    assert set(images.x(0, 60).unique().tolist()) == {0.0, 1.0}
    assert torch.equal(images.first(7).x(0, 7), images.x(0, 7))


@pytest.mark.parametrize(("split", "num"), [("test", 60), ("heldout", 40), ("train", 200)])
def test_each_split_has_its_images(split: str, num: int) -> None:
    images = load_scored_images("tiny", 40, "threshold", split)
    assert images.num_images == num
    assert images.binarisation_seed is None
    assert images.split == split


def test_a_wrong_split_and_an_empty_one_are_one_sentence() -> None:
    with pytest.raises(UserError, match="no split named 'tets'") as caught:
        load_scored_images("tiny", 40, "grey", "tets")
    assert "'test'" in caught.value.hint
    with pytest.raises(UserError, match="held no images out"):
        load_scored_images("tiny", 0, "grey", "heldout")


def test_the_heldout_number_of_training_is_that_of_the_evaluation(tmp_path: Path) -> None:
    """The live curve and the evaluation are two roads to one number, up to their noise."""
    from vae_explorer.training.events import Validated

    run, events = train_tiny(tmp_path / "grey", tiny_config("grey", epochs=6))
    last = [event for event in events if isinstance(event, Validated)][-1]
    heldout = load_scored_images("tiny", 40, "grey", "heldout")
    found = by_name(evaluate(model_from_run(run.path).model, VAE, heldout, samples=200))
    assert found["kl"].value == pytest.approx(last.terms["kl"], rel=1e-4)
    assert found["elbo"].value == pytest.approx(-last.terms["elbo"], abs=1.5)
    assert found["active_units"].value == last.active_units


def test_parts_of_the_kl_need_a_standard_normal_prior(
    model: LatentModel, images: ScoredImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not obstacle(MEASURES["marginal_kl"], Subject(VAE, model, images))
    monkeypatch.setattr(model, "log_prior", lambda z, condition=None: -(z - 1.0).square().sum(1))
    assert "is not N(0, I)" in obstacle(MEASURES["marginal_kl"], Subject(VAE, model, images))


@pytest.mark.parametrize(("option", "words"), [("limit", "leaves no images"), ("samples", "with 0 samples")])
def test_nothing_to_measure_is_one_sentence(model: LatentModel, images: ScoredImages, option: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        evaluate(model, VAE, images, **{option: 0})


def test_progress_is_told_and_cancelling_keeps_what_was_measured(model: LatentModel, images: ScoredImages) -> None:
    told: list[Progress] = []
    found: list[str] = []
    stream = measuring(
        model, VAE, images, measures=["elbo", "iwae"], samples=20, progress=told.append,
        is_cancelled=lambda: len(found) == 1 and told[-1].done > 5,
    )  # fmt: skip
    found.append(next(stream).name)
    with pytest.raises(Cancelled):
        next(stream)
    assert found == ["elbo"]
    assert [(item.number, item.num_measures) for item in told] == sorted((item.number, 2) for item in told)
    assert all(0 <= item.done <= item.total for item in told)
