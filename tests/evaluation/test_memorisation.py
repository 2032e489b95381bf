"""Copies are told from new draws of the same distribution."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.memorisation import cell_centres, copying_score, rank_sum_z


def draws(num: int, seed: int) -> torch.Tensor:
    """Two clouds in 8 dimensions."""
    generator = torch.Generator().manual_seed(seed)
    centres = 6.0 * torch.eye(8, dtype=torch.float64)[torch.randint(0, 2, (num,), generator=generator)]
    return centres + torch.randn(num, 8, dtype=torch.float64, generator=generator)


def test_z_u_of_new_draws_is_small_and_of_copies_far_below() -> None:
    training, other = draws(2000, 0), draws(800, 1)
    z, cells = copying_score(draws(800, 2), training, other)
    assert abs(z) < 3
    assert cells > 1
    copies = training[:800] + 0.05 * torch.randn(800, 8, generator=torch.Generator().manual_seed(3)).double()
    assert copying_score(copies, training, other)[0] < -5
    assert copying_score(3.0 * draws(800, 4), training, other)[0] > 3, "far from the data"


def test_the_rank_sum_counts_pairs() -> None:
    first = torch.tensor([1.0, 2.0, 2.0, 5.0])
    second = torch.tensor([2.0, 3.0, 0.5])
    u = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(first.tolist(), second.tolist()))
    assert rank_sum_z(first, second) == pytest.approx((u - 6.0) / math.sqrt(12 * 8 / 12))


def test_cells_find_the_clouds() -> None:
    points = draws(500, 5)
    centre_CF = cell_centres(points, 2, 0)
    found = centre_CF[centre_CF[:, 0].argsort(descending=True)]
    torch.testing.assert_close(found[:, :2], torch.tensor([[6.0, 0.0], [0.0, 6.0]]).double(), atol=0.4, rtol=0)


def test_too_few_pictures_are_one_sentence() -> None:
    with pytest.raises(UserError, match="No cell holds 20") as caught:
        copying_score(draws(10, 0), draws(300, 1), draws(300, 2))
    assert "more samples" in caught.value.hint
