"""KID against its sums written out, on pictures of one and of two distributions."""

from __future__ import annotations

import itertools

import pytest
import torch

from vae_explorer.evaluation.kernel_distance import by_blocks, features, kernel_distance, random_network


def draws(num: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(num, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_it_is_the_sum_over_pairs_without_a_picture_and_itself() -> None:
    x, y = draws(7, 0), draws(5, 1, 0.5)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 6 + 1) ** 3)

    within = [sum(kernel(a, b) for a, b in itertools.permutations(z, 2)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    between = sum(kernel(a, b) for a in x for b in y) / 35
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * between, rel=1e-12)


def test_one_distribution_is_near_nothing_whatever_the_number_and_another_is_far() -> None:
    small = [kernel_distance(draws(20, seed), draws(20, 100 + seed)) for seed in range(200)]
    mean = sum(small) / len(small)
    error = torch.tensor(small).std().item() / len(small) ** 0.5
    assert abs(mean) < 4 * error  # no bias, although each has but 20
    value, spread = by_blocks(draws(4000, 0), draws(4000, 1))
    assert spread is not None
    assert abs(value) < 4 * spread
    far, spread = by_blocks(draws(4000, 0), draws(4000, 1, 1.0))
    assert spread is not None
    assert far > 10 * spread


def test_the_network_is_the_same_every_time_and_tells_pictures_apart() -> None:
    before = torch.random.get_rng_state()
    (first, digest), (second, again) = random_network(1), random_network(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert digest == again
    pictures = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    found = features(first, pictures)
    assert torch.equal(found, features(second, pictures))
    assert found.shape == (30, 256)
    assert (found.std(0) > 0).all()
    assert features(random_network(3)[0], torch.rand(4, 3, 9, 7)).shape == (4, 256)
