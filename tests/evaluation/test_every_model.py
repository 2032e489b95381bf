"""Every measure that a model offers gives a finite number of it; points of the plane too."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.tiny_runs import make_trainer
from tests.workflows.test_every_model import config_for
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import ScoredImages, load_scored_images
from vae_explorer.evaluation.needs import Subject, applicable
from vae_explorer.evaluation.record import Measurement
from vae_explorer.evaluation.words import notes
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.interface import LatentModel
from vae_explorer.models.record import ModelRecord
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import RunConfig, default_config, with_value


def trained(config: RunConfig) -> LatentModel:
    trainer = make_trainer(config)
    for _ in trainer.run(Control()):
        pass
    return trainer.model.eval().requires_grad_(False)


def with_factors(images: ScoredImages) -> ScoredImages:
    assert images.labels_N is not None
    factors_NF = torch.stack([images.labels_N, torch.arange(images.num_images) % 4], dim=1)
    return dataclasses.replace(images, factors_NF=factors_NF, factor_names=("class", "place"))


def every_measurement(record: ModelRecord, config: RunConfig, images: ScoredImages) -> dict[str, Measurement]:
    model, data = trained(config), config.data
    training = load_scored_images(data.dataset, data.heldout_images, data.protocol, "train").first(200)
    offered = [item.name for item in applicable(Subject(record, model, images, has_training=True))]
    found = evaluate(model, record, images, measures=offered, samples=60, limit=60, seed=1, training=lambda: training)
    for item in found:
        assert math.isfinite(item.value), item.name
        assert item.standard_error is None or math.isfinite(item.standard_error), item.name
        assert all(notes(item)), item.name
    assert [item.name for item in found] == offered
    return {item.name: item for item in found}


@pytest.mark.slow
@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_all_that_is_offered_can_be_measured(record: ModelRecord) -> None:
    config = config_for(record)
    images = with_factors(load_scored_images("tiny", 40, config.data.protocol, "test"))
    found = every_measurement(record, config, images)
    assert {"mse", "psnr", "ssim"} <= set(found)
    if record.has_codes:
        assert {"active_units", "linear_probe", "nearest_neighbours", "mig", "sap"} <= set(found)
    if record.has_prior:
        assert {"frechet", "precision", "coverage", "neighbour_ratio"} <= set(found)
    if record.has_likelihood and record.has_prior:
        bound = found["elbo"].bound
        assert bound is not None
        assert ("given the" in bound) == bool(record.condition)
        assert found["elbo"].value == pytest.approx(found["reconstruction"].value + found["kl"].value, rel=1e-5)


@pytest.mark.parametrize("name", ["vae", "gaussian-mixture"])
def test_points_of_the_plane_are_measured_too(name: str) -> None:
    config = with_value(with_value(default_config(), "data.dataset", "two-moons"), "data.protocol", "gaussian")
    config = with_value(with_value(config, "model.name", name), "training.epochs", 1)
    config = with_value(with_value(config, "training.num_threads", 1), "training.device", "cpu")
    found = every_measurement(MODELS[name], config, load_scored_images("two-moons", 5000, "gaussian", "test"))
    assert "frechet" in found
    assert "ssim" not in found
