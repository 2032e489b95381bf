"""Distances between sets whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_explorer.evaluation.sample_quality import frechet_distance, overlap


def with_moments(num: int, mean: np.ndarray, covariance: np.ndarray, seed: int) -> torch.Tensor:
    """Points whose mean and unbiased covariance are exactly these."""
    points = np.random.RandomState(seed).standard_normal((num, len(mean)))
    points -= points.mean(0)
    points = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    return torch.from_numpy(points @ np.linalg.cholesky(covariance).T + mean)


def test_frechet_of_gaussians_with_one_axis_system_is_its_closed_form() -> None:
    first = with_moments(200, np.array([1.0, -2.0]), np.diag([4.0, 0.25]), 0)
    second = with_moments(300, np.array([0.0, 1.0]), np.diag([1.0, 9.0]), 1)
    expected = (1 + 9) + (2 - 1) ** 2 + (0.5 - 3) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


def test_frechet_of_any_gaussians_is_that_by_the_eigenvalues_of_the_product() -> None:
    random = np.random.RandomState(2)
    cut_1, cut_2 = random.standard_normal((2, 6, 6))
    covariance_1, covariance_2 = cut_1 @ cut_1.T, cut_2 @ cut_2.T
    mean_1, mean_2 = random.standard_normal((2, 6))
    trace = np.sqrt(np.linalg.eigvals(covariance_1 @ covariance_2).real).sum()
    expected = ((mean_1 - mean_2) ** 2).sum() + np.trace(covariance_1) + np.trace(covariance_2) - 2 * trace
    found = frechet_distance(with_moments(50, mean_1, covariance_1, 3), with_moments(60, mean_2, covariance_2, 4))
    assert found == pytest.approx(expected, rel=1e-8)


def test_frechet_bears_features_that_never_vary() -> None:
    points = torch.cat([torch.randn(100, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(100, 2)], dim=1)
    assert frechet_distance(points.double(), points.double()) == pytest.approx(0.0, abs=1e-6)


def test_balls_on_a_line_by_hand() -> None:
    """One neighbour: real 0, 1, 3 have balls of radius 1, 1, 2, generated 1.5, 1.75 and 9 of 0.25, 0.25 and 7.25."""
    real, made = torch.tensor([[0.0], [1.0], [3.0]]).double(), torch.tensor([[1.5], [1.75], [9.0]]).double()
    found = overlap(real, made, 1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.density == pytest.approx(4 / 3), "1.5 and 1.75 are each in the balls of 1 and 3"
    assert found.coverage == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(1 / 3), "only 3 is within 7.25 of 9"


def test_sets_far_apart_share_nothing() -> None:
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = overlap(points, points + 100.0)
    assert (found.precision, found.recall, found.density, found.coverage) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.slow
def test_the_published_toy_of_a_gaussian_against_itself() -> None:
    """clovaai/generative-evaluation-prdc, README: 10,000 draws of N(0, I_1000) twice, five neighbours."""
    generator = torch.Generator().manual_seed(0)
    real, made = (torch.randn(10_000, 1000, generator=generator) for _ in range(2))
    found = overlap(real, made)
    assert found.precision == pytest.approx(0.477, abs=0.02)
    assert found.recall == pytest.approx(0.471, abs=0.02)
    assert found.density == pytest.approx(1.056, abs=0.03)
    assert found.coverage == pytest.approx(0.974, abs=0.01)
