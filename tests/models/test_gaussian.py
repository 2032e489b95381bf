from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.models.gaussian import (
    LOG_VARIANCE_BOUND,
    DiagonalGaussian,
    bounded_log_variance,
    kl_from_standard_normal,
    standard_normal_log_prob,
)


def test_kl_is_the_papers_formula() -> None:
    mean, log_variance = torch.randn(1000, dtype=torch.float64), torch.randn(1000, dtype=torch.float64) * 3
    by_formula = -0.5 * (1 + log_variance - mean**2 - log_variance.exp())
    torch.testing.assert_close(kl_from_standard_normal(mean, log_variance), by_formula, rtol=1e-12, atol=1e-12)


def test_kl_is_never_negative_and_zero_at_the_prior() -> None:
    mean, log_variance = torch.randn(10_000) * 3, torch.randn(10_000) * 4
    assert (kl_from_standard_normal(mean, log_variance) >= 0).all()
    near = torch.linspace(-1e-3, 1e-3, 2001)
    assert (kl_from_standard_normal(torch.zeros(2001), near) >= 0).all()
    assert kl_from_standard_normal(torch.zeros(1), torch.zeros(1)).item() == 0.0


def test_kl_equals_monte_carlo_within_three_standard_errors() -> None:
    generator = torch.Generator().manual_seed(4)
    posterior = DiagonalGaussian(torch.tensor([[0.7, -1.2]]), torch.tensor([[-1.5, 0.4]]))
    many = DiagonalGaussian(posterior.mean.expand(200_000, 2), posterior.log_variance.expand(200_000, 2))
    z_SD = many.sample(generator)
    draws = many.log_prob(z_SD) - standard_normal_log_prob(z_SD)
    standard_error = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - posterior.kl()[0]) < 3 * standard_error


def test_log_prob_is_that_of_torch_distributions() -> None:
    posterior = DiagonalGaussian(torch.randn(5, 3), torch.randn(5, 3))
    z_BD = torch.randn(5, 3)
    expected = torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp()).log_prob(z_BD).sum(-1)
    torch.testing.assert_close(posterior.log_prob(z_BD), expected)


def test_sampling_is_reproducible_and_has_the_stated_moments() -> None:
    mean, log_variance = torch.full((100_000, 1), 2.0), torch.full((100_000, 1), math.log(0.25))
    posterior = DiagonalGaussian(mean, log_variance)
    first = posterior.sample(torch.Generator().manual_seed(1))
    assert torch.equal(first, posterior.sample(torch.Generator().manual_seed(1)))
    assert first.mean().item() == pytest.approx(2.0, abs=0.01)
    assert first.std().item() == pytest.approx(0.5, abs=0.01)


def test_the_log_variance_bound_is_smooth_and_keeps_a_gradient() -> None:
    raw = torch.tensor([-1e4, -30.0, 0.0, 0.5, 30.0, 1e4], requires_grad=True)
    bounded = bounded_log_variance(raw)
    assert (bounded.abs() <= LOG_VARIANCE_BOUND).all()
    assert bounded[3].item() == pytest.approx(0.5, rel=1e-3)
    bounded.sum().backward()
    assert raw.grad is not None
    assert (raw.grad[1:5] > 0).all()


def test_in_standardised_coordinates_the_prior_is_standard_normal_and_the_kl_the_same() -> None:
    generator = torch.Generator().manual_seed(8)
    mean, log_variance, to_mean, to_log_variance = (torch.randn(50, 3, generator=generator) for _ in range(4))
    posterior = DiagonalGaussian(mean, log_variance, DiagonalGaussian(to_mean, to_log_variance))
    found = posterior.standardised()
    assert found.prior is None
    torch.testing.assert_close(found.kl_per_dimension(), posterior.kl_per_dimension())
    z_BD = posterior.sample(generator)
    there = (z_BD - to_mean) * torch.exp(-0.5 * to_log_variance)
    ratio = posterior.log_prob(z_BD) - posterior.prior.log_prob(z_BD)  # type: ignore[union-attr]
    torch.testing.assert_close(found.log_prob(there) - standard_normal_log_prob(there), ratio, rtol=1e-4, atol=1e-4)
    plain = DiagonalGaussian(mean, log_variance).standardised()
    assert torch.equal(plain.mean, mean)
