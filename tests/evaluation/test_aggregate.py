"""The parts of the KL against closed forms and against sums over all pairs, one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vae_explorer.evaluation.aggregate import decomposition
from vae_explorer.evaluation.evaluation import Cancelled
from vae_explorer.latent.aggregate import surgery
from vae_explorer.latent.pacing import finished


def posteriors(num: int, dimensions: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.RandomState(seed)
    mean = torch.from_numpy(random.standard_normal((num, dimensions)))
    return mean, torch.from_numpy(random.uniform(0.2, 1.2, (num, dimensions)))


def test_equals_the_sum_over_all_pairs() -> None:
    mean, sigma = posteriors(150, 3)
    found = decomposition(mean, sigma, seed=5)
    noise = torch.randn(150, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    z = mean + sigma * noise
    log_q_NND = torch.distributions.Normal(mean, sigma).log_prob(z[:, None, :])
    joint = torch.logsumexp(log_q_NND.sum(2), 1) - math.log(150)
    marginal = torch.logsumexp(log_q_NND, 1) - math.log(150)
    own = torch.distributions.Normal(mean, sigma).log_prob(z).sum(1)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    torch.testing.assert_close(found.information_N, own - joint)
    torch.testing.assert_close(found.correlation_N, joint - marginal.sum(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.marginal_ND, marginal - prior, atol=1e-5, rtol=0)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, sigma), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(found.kl_N, kl.sum(1))


def test_codes_that_do_not_tell_images_apart_have_no_information() -> None:
    mean = torch.tensor([[0.5, -1.0]], dtype=torch.float64).expand(400, 2)
    sigma = torch.tensor([[0.7, 1.3]], dtype=torch.float64).expand(400, 2)
    found = decomposition(mean, sigma)
    assert float(found.information_N.abs().max()) < 1e-9
    assert float(found.correlation_N.abs().max()) < 1e-5
    error = float(found.marginal_ND.sum(1).std()) / 20
    assert float(found.marginal_ND.sum(1).mean()) == pytest.approx(float(found.kl_N.mean()), abs=4 * error)


def test_codes_far_apart_reach_the_ceiling() -> None:
    mean = 20.0 * torch.arange(64, dtype=torch.float64)[:, None]
    found = decomposition(mean, torch.full_like(mean, 0.5))
    torch.testing.assert_close(found.information_N, torch.full((64,), math.log(64), dtype=torch.float64))
    assert found.is_at_ceiling
    assert float(found.correlation_N.abs().max()) < 1e-3, "one dimension depends on no other"


def test_dependent_dimensions_have_the_total_correlation_of_their_gaussian() -> None:
    """q(z) is near N(0, S), whose total correlation is -1/2 ln(1 - r^2)."""
    random = np.random.RandomState(3)
    r, width = 0.8, 0.3
    cut = np.array([[1.0, r], [r, 1.0]]) - width**2 * np.eye(2)
    mean = torch.from_numpy(random.multivariate_normal([0.0, 0.0], cut, size=4000))
    found = decomposition(mean, torch.full_like(mean, width))
    expected = -0.5 * math.log(1 - r**2)
    error = float(found.correlation_N.std()) / math.sqrt(4000)
    assert float(found.correlation_N.mean()) == pytest.approx(expected, abs=3 * error + 0.02)
    assert float(found.marginal_ND.mean(0).abs().max()) < 0.02, "each dimension alone is standard normal"
    assert not found.is_at_ceiling


def test_is_the_map_layers_number_up_to_the_draw() -> None:
    mean, sigma = posteriors(1500, 4, seed=2)
    found = decomposition(mean, sigma)
    layer = finished(surgery(mean.numpy(), sigma.numpy()))
    error = float(found.information_N.std()) / math.sqrt(1500)
    assert float(found.kl_N.mean()) == pytest.approx(layer.kl, rel=1e-9)
    assert float(found.information_N.mean()) == pytest.approx(layer.mutual_information, abs=4 * error)
    assert found.ceiling == layer.ceiling


def test_a_cancelled_pass_ends_at_once() -> None:
    mean, sigma = posteriors(300, 2)
    calls = []

    def advance(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        decomposition(mean, sigma, 0, advance)
    assert len(calls) == 2
