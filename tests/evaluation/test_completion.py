"""The score of the pixels that are not given, against a sum over a fine grid of latents."""

from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import ScoredImages
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.cvae_quadrants import QuadrantsCVAE
from vae_explorer.models.cvae_quadrants_config import CVAEQuadrantsConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.vae_config import VAEConfig

SHAPE = (1, 6, 6)


def scored(num: int) -> ScoredImages:
    generator = torch.Generator().manual_seed(1)
    stored = torch.randint(0, 256, (num, *SHAPE), generator=generator, dtype=torch.uint8)
    return ScoredImages(split="test", protocol="grey", stored_NCHW=stored)


def built() -> QuadrantsCVAE:
    torch.manual_seed(0)
    config = CVAEQuadrantsConfig(given_quadrants=2, hidden_widths=(16,), latent_dimensions=2)
    model = build_model("cvae-quadrants", config, DataSpace(SHAPE)).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.2)
    assert isinstance(model, QuadrantsCVAE)
    # q a little beside p, and as wide: weights of which a few thousand tell enough.
    for last, mean in ((model.recognition[-1], 0.0), (model.prior[-1], 0.3)):
        last.weight.data.zero_()
        last.bias.data.copy_(torch.tensor([mean, mean, 0.0, 0.0]))
    return model


def by_quadrature(model: QuadrantsCVAE, x_1CHW: torch.Tensor) -> float:
    condition = model.condition_of(x_1CHW, None)
    prior = model.prior_of(condition)
    line = torch.linspace(-7, 7, 281)
    grid_GD = prior.mean + prior.standard_deviation * torch.cartesian_prod(line, line)
    told, x = (part.expand(len(grid_GD), -1, -1, -1) for part in (condition, x_1CHW))
    log_joint_G = (model.decode(grid_GD, told).log_prob(x) + model.log_prior(grid_GD, told)).double()
    cell = float(prior.standard_deviation.prod()) * 0.05**2
    return -float(torch.logsumexp(log_joint_G, 0)) - math.log(cell)


@torch.no_grad()
def test_it_meets_the_sum_over_a_grid_and_the_baseline_is_the_cross_entropy() -> None:
    model, images = built(), scored(4)
    measures = ["completion", "completion_baseline"]
    found, baseline = evaluate(model, MODELS["cvae-quadrants"], images, measures=measures, samples=4000)
    x_BCHW = images.x(0, 4)
    exact = sum(by_quadrature(model, x_BCHW[item : item + 1]) for item in range(4)) / 4
    assert found.value == pytest.approx(exact, abs=0.02)
    assert found.bound == "IWAE-4000, given the part"
    mean_BCHW = model.predict(model.condition_of(x_BCHW, None)).mean_BCHW
    by_hand = torch.nn.functional.binary_cross_entropy(mean_BCHW, x_BCHW, reduction="none")[..., 3:].sum() / 4
    assert baseline.value == pytest.approx(float(by_hand), rel=1e-4)


def test_a_model_that_is_given_no_part_is_refused() -> None:
    model = build_model("vae", VAEConfig(hidden_widths=(8,)), DataSpace(SHAPE))
    with pytest.raises(UserError, match="not given a part"):
        evaluate(model, MODELS["vae"], scored(2), measures=["completion"])
