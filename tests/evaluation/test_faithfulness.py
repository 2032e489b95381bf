from __future__ import annotations

import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.faithfulness import trustworthiness


def codes(num: int = 300, dimensions: int = 6) -> torch.Tensor:
    return torch.randn(num, dimensions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_view_that_keeps_all_neighbours_is_faithful() -> None:
    points = codes(dimensions=2)
    turned = points @ torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64) * 3.0
    assert trustworthiness(points, turned, 10) == 1.0
    assert trustworthiness(turned, points, 10) == 1.0


def test_equals_the_reference_implementation() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    points = codes()
    plane = points[:, :2].contiguous()
    for neighbours in (5, 10):
        expected = manifold.trustworthiness(points.numpy(), plane.numpy(), n_neighbors=neighbours)
        assert trustworthiness(points, plane, neighbours) == pytest.approx(expected, abs=1e-12)
        other_way = manifold.trustworthiness(plane.numpy(), points.numpy(), n_neighbors=neighbours)
        assert trustworthiness(plane, points, neighbours) == pytest.approx(other_way, abs=1e-12)


def test_a_view_of_something_else_is_chance() -> None:
    other = torch.randn(300, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    assert trustworthiness(codes(), other, 10) == pytest.approx(0.5, abs=0.05)


def test_too_few_images_are_one_sentence() -> None:
    with pytest.raises(UserError, match="20 images are too few for neighbourhoods of 10"):
        trustworthiness(codes(20), codes(20)[:, :2], 10)
