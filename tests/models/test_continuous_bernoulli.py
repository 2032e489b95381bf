"""The continuous Bernoulli against numerical integration and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from vae_explorer.models.continuous_bernoulli import (
    ContinuousBernoulli,
    ContinuousBernoulliPixels,
    log_sinhc,
    logits_of_mean,
    mean_of_logits,
    variance_of_logits,
)
from vae_explorer.models.likelihoods import pairwise_log_prob

LOGITS = [0.0, 1e-12, -1e-9, 1e-6, -1e-4, 1e-3, 0.02, -0.1, 0.4, 0.4999, 0.5, 0.5001, -0.51, 1.0, -3.0, 12.0, -40.0]


def gauss_legendre(num: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    node, weight = np.polynomial.legendre.leggauss(num)
    return torch.from_numpy(0.5 * node + 0.5), torch.from_numpy(0.5 * weight)


def pixel(logit: float, num: int = 1) -> ContinuousBernoulli:
    return ContinuousBernoulli(torch.full((num, 1, 1, 1), logit, dtype=torch.float64))


@pytest.mark.parametrize("logit", LOGITS)
def test_the_normaliser_equals_numerical_integration_to_a_billionth(logit: float) -> None:
    x, weight = gauss_legendre()
    unnormalised = x * logit - functional.softplus(torch.tensor(logit).double())
    expected = -math.log((unnormalised.exp() * weight).sum().item())
    log_c = pixel(logit, len(x)).log_prob(x[:, None, None, None]) - unnormalised
    assert (log_c - expected).abs().max() < 1e-9


@pytest.mark.parametrize("logit", LOGITS)
def test_the_mean_equals_numerical_integration_to_a_billionth(logit: float) -> None:
    x, weight = gauss_legendre()
    density = pixel(logit, len(x)).log_prob(x[:, None, None, None]).exp()
    assert pixel(logit).mean_BCHW.item() == pytest.approx((x * density * weight).sum().item(), abs=1e-9)


def test_the_mean_is_not_the_sigmoid_of_the_logit() -> None:
    assert pixel(math.log(0.1 / 0.9)).mean_BCHW.item() == pytest.approx(0.330, abs=5e-4)


def test_it_equals_the_density_of_torch() -> None:
    torch.manual_seed(0)
    logits, x = torch.randn(4, 1, 5, 5).double() * 5, torch.rand(4, 1, 5, 5).double()
    expected = torch.distributions.ContinuousBernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(ContinuousBernoulli(logits).log_prob(x), expected, rtol=0, atol=1e-5)
    in_float32 = ContinuousBernoulli(logits.float()).log_prob(x.float())
    torch.testing.assert_close(in_float32.double(), expected, rtol=0, atol=1e-4)


def test_gradients_are_finite_everywhere_and_the_mean_is_the_slope_of_the_log_normaliser() -> None:
    logits = torch.tensor([*LOGITS, 500.0, -1e4]).double().requires_grad_()
    (slope,) = torch.autograd.grad((log_sinhc(0.5 * logits) + 0.5 * logits).sum(), logits)
    torch.testing.assert_close(slope, mean_of_logits(logits.detach()), rtol=0, atol=1e-9)
    (bend,) = torch.autograd.grad(mean_of_logits(logits).sum(), logits)
    assert torch.isfinite(bend).all()
    torch.testing.assert_close(bend, variance_of_logits(logits.detach()), rtol=0, atol=1e-9)


def test_all_pairs_at_once_equal_one_by_one() -> None:
    torch.manual_seed(0)
    likelihood, x = ContinuousBernoulli(torch.randn(6, 1, 4, 4) * 60), torch.rand(3, 1, 4, 4)
    rows = [likelihood.log_prob(x_CHW.expand(6, -1, -1, -1)).double() for x_CHW in x]
    torch.testing.assert_close(pairwise_log_prob(likelihood, x), torch.stack(rows), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("logit", [-60.0, -2.0, 1e-9, 0.0, 0.7, 30.0])
def test_draws_follow_the_distribution_function(logit: float) -> None:
    num = 40_000
    drawn = pixel(logit, num).sample(torch.Generator().manual_seed(0)).flatten().sort().values
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    below = drawn if abs(logit) < 1e-6 else torch.expm1(logit * drawn) / math.expm1(logit)
    # Kolmogorov's statistic; 1.95 / sqrt(n) is exceeded by chance once in a thousand.
    assert (below - torch.arange(num) / num).abs().max() < 1.95 / math.sqrt(num)


def test_the_first_bias_decodes_to_the_mean_image() -> None:
    mean_CHW = torch.tensor([0.0, 0.01, 0.2, 0.5, 0.8, 0.99, 1.0]).reshape(1, 1, 7)
    model = ContinuousBernoulliPixels()
    decoded = model(model.first_bias(mean_CHW)[None]).mean_BCHW[0]
    torch.testing.assert_close(decoded, mean_CHW.clamp(0.01, 0.99), rtol=0, atol=1e-5)
    assert logits_of_mean(torch.tensor(0.5)).item() == pytest.approx(0.0, abs=1e-6)


def test_a_pixel_that_is_always_black_cannot_lift_the_density_without_bound() -> None:
    model, black = ContinuousBernoulliPixels(), torch.zeros(1, 1, 1, 1)
    found = [model(torch.full((1, 1, 1, 1), raw)).log_prob(black).item() for raw in (-500.0, -5000.0, -1e6)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(math.log(510), abs=1e-3)
