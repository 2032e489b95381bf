from __future__ import annotations

import torch
from torch.nn import functional

from vae_explorer.models.likelihoods import Bernoulli


def test_log_prob_is_minus_the_cross_entropy_summed_over_pixels() -> None:
    logits, x = torch.randn(4, 1, 5, 5) * 3, torch.rand(4, 1, 5, 5)
    expected = -functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(-1)
    torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected)


def test_it_stays_finite_for_extreme_logits() -> None:
    logits = torch.tensor([-1e4, 1e4]).reshape(1, 1, 1, 2)
    assert torch.isfinite(Bernoulli(logits).log_prob(torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2))).all()


def test_binary_probabilities_sum_to_one() -> None:
    logits = torch.randn(1, 1, 2, 2)
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).reshape(16, 1, 2, 2)
    total = Bernoulli(logits.expand(16, 1, 2, 2)).log_prob(pictures).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0))


def test_samples_are_binary_and_follow_the_mean() -> None:
    decoded = Bernoulli(torch.full((20_000, 1, 1, 1), 0.8))
    sample = decoded.sample(torch.Generator().manual_seed(0))
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(sample.mean(), decoded.mean_BCHW.mean(), atol=0.01, rtol=0)
