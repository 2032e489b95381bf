"""Scores of representations whose disentanglement is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vae_explorer.evaluation.disentanglement import (
    concentration,
    dci_scores,
    highest_gap,
    information_gaps,
    single_scores,
    tree_importances,
)
from vae_explorer.evaluation.evaluation import Evaluation

SIZES = (3, 6, 10)


def factors(num: int = 10_000, seed: int = 0) -> torch.Tensor:
    random = np.random.RandomState(seed)
    return torch.from_numpy(np.stack([random.randint(0, size, num) for size in SIZES], axis=1))


def noise(num: int = 10_000, dimensions: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(1).standard_normal((num, dimensions)))


def test_mig_of_the_identity_is_one_and_of_noise_nothing() -> None:
    values = factors()
    # Independent draws still share a little by chance: (R - 1)(V - 1) / 2N nats.
    torch.testing.assert_close(information_gaps(values.double(), values), torch.ones(3).double(), atol=0.006, rtol=0)
    assert float(information_gaps(noise(), values).mean()) <= 0.01
    doubled = torch.cat([values, values], dim=1).double()
    assert float(information_gaps(doubled, values).abs().max()) < 1e-9, "two dimensions tell the same"


def test_mig_of_every_combination_once_is_exactly_one() -> None:
    grid = torch.cartesian_prod(*[torch.arange(size) for size in SIZES]).repeat(3, 1)
    torch.testing.assert_close(information_gaps(grid.double(), grid), torch.ones(3).double())


def test_the_highest_mig_is_what_twenty_bins_can_tell() -> None:
    few, many = torch.arange(6000) % 6, torch.arange(6000) % 40
    assert highest_gap(few[:, None]) == 1.0
    assert highest_gap(many[:, None]) == pytest.approx(math.log(20) / math.log(40))
    assert highest_gap(torch.stack([few, many], 1)) == pytest.approx((1 + math.log(20) / math.log(40)) / 2)
    code_ND = torch.stack([many, torch.arange(6000) // 40 % 5], 1).double()
    found = information_gaps(code_ND, many[:, None])
    assert float(found) == pytest.approx(highest_gap(many[:, None]), abs=1e-6)


def test_mig_does_not_care_for_order_scale_or_sign() -> None:
    values = factors()
    other = torch.stack([-3.0 * values[:, 2], 0.01 * values[:, 0], values[:, 1] + 7.0], dim=1).double()
    torch.testing.assert_close(information_gaps(other, values), information_gaps(values.double(), values))


def test_sap_is_the_gap_of_the_two_best_linear_scores() -> None:
    values = factors()
    score_DF = single_scores(values.double(), values)
    torch.testing.assert_close(score_DF.diagonal(), torch.ones(3).double())
    for d, f in ((0, 1), (1, 2), (2, 0)):
        assert float(score_DF[d, f]) == pytest.approx(1 / SIZES[f], abs=0.03), "by chance"


def test_a_scale_and_a_shift_do_not_change_single_scores() -> None:
    values = factors(2000)
    codes = values.double() + 0.4 * noise(2000, 3)
    torch.testing.assert_close(single_scores(codes, values), single_scores(-5.0 * codes + 2.0, values))


def test_concentration_is_between_alike_and_alone() -> None:
    found = concentration(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(
        found, torch.tensor([1.0, 0.0, 1 - np.log(2) / np.log(3)], dtype=torch.float64), atol=1e-12, rtol=0
    )


def test_dci_of_a_hand_made_importance() -> None:
    assert dci_scores(torch.eye(3, dtype=torch.float64)) == pytest.approx((1.0, 1.0))
    assert dci_scores(torch.ones(3, 3, dtype=torch.float64)) == pytest.approx((0.0, 0.0), abs=1e-12)
    # One dimension tells of both factors, each factor is told by that one alone.
    disentangled, complete = dci_scores(torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64))
    assert disentangled == pytest.approx(0.0, abs=1e-12)
    assert complete == pytest.approx(1.0)


def test_trees_find_the_dimension_of_each_factor() -> None:
    pytest.importorskip("sklearn")
    values = factors(2000)
    evaluation = Evaluation(model=None, record=None, images=None)  # type: ignore[arg-type]
    importance_DF, accuracy_F = tree_importances(values.double(), values, evaluation)
    assert importance_DF.argmax(0).tolist() == [0, 1, 2]
    disentangled, complete = dci_scores(importance_DF)
    assert min(disentangled, complete, float(accuracy_F.min())) > 0.95
    importance_DF, accuracy_F = tree_importances(noise(2000), values, evaluation)
    assert max(dci_scores(importance_DF)) < 0.1
    assert float(accuracy_F[2]) < 0.2
