"""Perplexity and the prior's saving against what the model says of each image."""

from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import load_scored_images
from vae_explorer.evaluation.needs import Subject, applicable, obstacle
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.vqvae_config import VQVAEConfig

VQVAE = MODELS["vqvae"]


def a_model():
    torch.manual_seed(0)
    config = VQVAEConfig(num_codes=5, body_channels=4, prior_channels=4, prior_layers=1)
    model = build_model("vqvae", config, DataSpace((1, 8, 8), 3, "dynamic")).eval()
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.normal_(std=0.5)
    return model


def test_the_numbers_are_those_of_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_explorer.evaluation.evaluation.BLOCK_IMAGES", 7)
    model, images = a_model(), load_scored_images("tiny", 40, "dynamic", "test")
    by_name = {item.name: item for item in evaluate(
        model, VQVAE, images, measures=("perplexity", "prior_saving", "kl", "elbo", "reconstruction"))}  # fmt: skip
    x_BCHW = images.x(0, 60)
    with torch.no_grad():
        grid = model.encode(x_BCHW).mean
        cost_N = -model.log_prior(grid).double()
        reconstruction = -model.decode(grid).log_prob(x_BCHW).double().mean()
    share_K = torch.bincount(grid.flatten(), minlength=5).double() / grid.numel()
    used_K = share_K[share_K > 0]
    perplexity = by_name["perplexity"]
    assert perplexity.value == pytest.approx(float(torch.exp(-(used_K * used_K.log()).sum())))
    assert perplexity.detail["dead_codes"] == 5 - len(used_K)
    assert perplexity.detail["share_of_codes"] == pytest.approx(perplexity.value / 5, abs=1e-6)
    uniform = 4 * math.log(5)
    saving = by_name["prior_saving"]
    assert saving.value == pytest.approx(100 * (1 - float(cost_N.mean()) / uniform), rel=1e-5)
    assert saving.standard_error == pytest.approx(100 * float(cost_N.std()) / uniform / math.sqrt(60), rel=1e-5)
    assert by_name["kl"].value == pytest.approx(float(cost_N.mean()), rel=1e-6)
    assert by_name["elbo"].value == pytest.approx(float(reconstruction + cost_N.mean()), rel=1e-6)


def test_only_models_with_a_codebook_have_them() -> None:
    images = load_scored_images("tiny", 40, "dynamic", "test")
    offered = {measure.name for measure in applicable(Subject(VQVAE, a_model(), images))}
    assert {"perplexity", "prior_saving", "elbo"} <= offered
    assert not {"active_units", "nll_quadrature"} & offered
    vae = MODELS["vae"]
    subject = Subject(vae, build_model("vae", vae.config_type(), DataSpace((1, 8, 8), 3, "dynamic")), images)
    assert obstacle(MEASURES["perplexity"], subject) == (
        "Perplexity of the codebook cannot be measured here: model 'vae' has no codebook."
    )
