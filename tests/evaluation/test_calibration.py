"""Posteriors that are exact, and such as are wrong by a known amount."""

from __future__ import annotations

import math

import pytest
import torch

from tests.evaluation.known_models import LinearGaussian, evaluation_of, pictures_of
from vae_explorer.evaluation.calibration import ellipse_coverage, posterior_gap
from vae_explorer.evaluation.images import ScoredImages

WEIGHTS = {
    1: torch.tensor([[1.0], [0.5], [-1.0], [0.25]]),
    2: torch.tensor([[1.0, 0.5], [1.0, -0.5], [-1.0, 0.5], [1.0, 0.5]]),
}


def reals(num: int = 60) -> ScoredImages:
    return pictures_of(torch.randn(num, 1, 2, 2, generator=torch.Generator().manual_seed(0)), "gaussian")


def inside(squared_radius: float, width: float, dimensions: int) -> float:
    """The mass of N(0, I) within `width` times that radius."""
    if dimensions == 1:
        return math.erf(width * math.sqrt(squared_radius / 2))
    return 1 - math.exp(-(width**2) * squared_radius / 2)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("width", [1.0, 0.5, 1.6])
def test_the_ellipse_covers_what_it_should(dimensions: int, width: float) -> None:
    weight = WEIGHTS[dimensions]
    assert float((weight.T @ weight - torch.diag(weight.square().sum(0))).abs().max()) == 0, "columns are orthogonal"
    found = ellipse_coverage(evaluation_of(LinearGaussian(weight, width), reals()))
    squared_radius = {1: 2.705543, 2: 4.605170}[dimensions]
    assert found.value == pytest.approx(inside(squared_radius, width, dimensions), abs=0.003)
    if width == 1.0:
        assert found.value == pytest.approx(0.9, abs=0.003)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_the_gap_is_the_kl_to_the_exact_posterior(dimensions: int, width: float) -> None:
    found = posterior_gap(evaluation_of(LinearGaussian(WEIGHTS[dimensions], width), reals(), samples=400))
    expected = dimensions * 0.5 * (width**2 - 2 * math.log(width) - 1)
    assert found.standard_error is not None
    assert found.value == pytest.approx(expected, abs=5 * found.standard_error + 1e-3)
    assert found.bound == "-ELBO(400) less quadrature"
