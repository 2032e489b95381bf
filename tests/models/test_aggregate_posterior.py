from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.models.aggregate_posterior import PosteriorMixture, decompose_kl
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.record import DECOMPOSITION_TERMS


def posteriors(num: int, dimensions: int, seed: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = 1.2 * torch.randn(num, dimensions, generator=generator, dtype=torch.float64)
    return mean, 0.2 + 0.6 * torch.rand(num, dimensions, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("num_queries", [1, 63, 64, 65, 200])
def test_log_density_is_that_of_torchs_mixture(num_queries: int) -> None:
    mean, sigma = posteriors(50, 3)
    z = torch.randn(num_queries, 3, dtype=torch.float64)
    parts = torch.distributions.Independent(torch.distributions.Normal(mean, sigma), 1)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(50)), parts)
    found = PosteriorMixture.diagonal(mean.float(), sigma.float()).log_density(z)
    torch.testing.assert_close(found, mixture.log_prob(z), rtol=1e-5, atol=1e-5)


def test_the_parts_add_up_to_the_kl_on_every_draw_and_to_its_closed_form_in_the_mean() -> None:
    mean, sigma = posteriors(3000, 3)
    parts = decompose_kl(mean, sigma, num_queries=3000)
    total_Q = parts.mutual_information_Q + parts.total_correlation_Q + parts.marginal_kl_QD.sum(1)
    noise = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = mean + sigma * noise
    posterior = DiagonalGaussian(mean, 2 * sigma.log())
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(total_Q, posterior.log_prob(z) - prior)
    error = float(total_Q.std()) / math.sqrt(3000)
    assert float(total_Q.mean()) == pytest.approx(float(posterior.kl().mean()), abs=3 * error)
    assert sum(parts.means().values()) == pytest.approx(float(total_Q.mean()))
    assert set(parts.means()) == {term.name for term in DECOMPOSITION_TERMS}


def test_parts_of_a_gaussian_aggregate_are_those_in_closed_form() -> None:
    """Means on a correlated Gaussian and equal sigmas make q(z) a Gaussian whose divergences are known."""
    generator = torch.Generator().manual_seed(1)
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    root = torch.linalg.cholesky(covariance)
    mean = torch.randn(4000, 2, generator=generator, dtype=torch.float64) @ root.T
    parts = decompose_kl(mean, torch.full_like(mean, 0.5), num_queries=4000).means()
    aggregate = covariance + 0.25 * torch.eye(2, dtype=torch.float64)
    information = 0.5 * math.log(float(aggregate.det()) / 0.25**2)
    correlation = 0.5 * math.log(1.25**2 / float(aggregate.det()))
    dimension_wise = 2 * 0.5 * (1.25 - 1 - math.log(1.25))
    assert parts["mutual_information"] == pytest.approx(information, abs=0.05)
    assert parts["total_correlation"] == pytest.approx(correlation, abs=0.05)
    assert parts["dimension_wise_kl"] == pytest.approx(dimension_wise, abs=0.05)


def test_far_apart_posteriors_reach_the_ceiling_and_equal_ones_tell_nothing() -> None:
    apart = decompose_kl(torch.arange(100.0)[:, None], torch.full((100, 1), 1e-3))
    assert apart.means()["mutual_information"] == pytest.approx(apart.ceiling)
    equal = decompose_kl(torch.zeros(100, 2), torch.ones(100, 2))
    assert all(value == pytest.approx(0.0, abs=1e-5) for value in equal.means().values())


def test_draws_depend_on_the_seed_alone_and_the_mixture_is_always_whole() -> None:
    mean, sigma = posteriors(500, 2)
    first, again = (decompose_kl(mean, sigma, num_queries=40, seed=3) for _ in range(2))
    assert torch.equal(first.mutual_information_Q, again.mutual_information_Q)
    assert not torch.equal(
        first.mutual_information_Q, decompose_kl(mean, sigma, num_queries=40, seed=4).mutual_information_Q
    )
    assert first.num_images == 500
    assert len(first.mutual_information_Q) == 40


def test_by_default_the_cost_is_bounded() -> None:
    mean, sigma = posteriors(5000, 20)
    num_queries = len(decompose_kl(mean, sigma).mutual_information_Q)
    assert 32 <= num_queries <= 10_000_000 / (5000 * 21)
    assert len(decompose_kl(*posteriors(60, 2)).mutual_information_Q) == 60
