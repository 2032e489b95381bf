from __future__ import annotations

import torch

from vae_explorer.evaluation.neighbours import nearest
from vae_explorer.evaluation.probes import ridge_classes, vote


def test_the_ridge_tells_what_a_line_can_tell() -> None:
    generator = torch.Generator().manual_seed(0)
    label_M = torch.arange(900) % 3
    corner_KD = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    code_MD = corner_KD[label_M] + 0.3 * torch.randn(900, 2, dtype=torch.float64, generator=generator)
    assert torch.equal(ridge_classes(code_MD, label_M, corner_KD, 3), torch.arange(3))
    # Far from the origin and in other units it is the same.
    moved = ridge_classes(1000.0 + 50.0 * code_MD, label_M, 1000.0 + 50.0 * code_MD, 3)
    assert torch.equal(moved, ridge_classes(code_MD, label_M, code_MD, 3))


def test_the_ridge_of_two_classes_is_the_normal_equation() -> None:
    generator = torch.Generator().manual_seed(1)
    code_MD = torch.randn(200, 3, dtype=torch.float64, generator=generator)
    label_M = (code_MD @ torch.tensor([1.0, -2.0, 0.5]).double() + 0.3 > 0).long()
    with_bias = torch.cat([code_MD, torch.ones(200, 1, dtype=torch.float64)], dim=1)
    weight = torch.linalg.lstsq(with_bias, 2.0 * label_M.double() - 1.0).solution
    expected = (with_bias @ weight > 0).long()
    # The penalty of a thousandth moves a label only at the border.
    assert int((ridge_classes(code_MD, label_M, code_MD, 2) != expected).sum()) <= 1


def test_a_constant_code_gives_the_commonest_class() -> None:
    label_M = torch.tensor([0, 1, 1, 2])
    assert ridge_classes(torch.zeros(4, 2).double(), label_M, torch.zeros(1, 2).double(), 3).tolist() == [1]


def test_the_vote_goes_to_the_most_and_then_to_the_nearest() -> None:
    rows = torch.tensor([[2, 1, 1, 0, 2], [0, 0, 1, 1, 1], [3, 0, 0, 3, 1], [1, 2, 3, 0, 4]])
    assert vote(rows, 5).tolist() == [1, 1, 0, 1]


def test_nearest_neighbours_are_those_of_a_sort() -> None:
    generator = torch.Generator().manual_seed(2)
    query, reference = (
        torch.randn(700, 5, generator=generator).double(),
        torch.randn(90, 5, generator=generator).double(),
    )
    distance, index = nearest(query, reference, 4)
    expected = torch.cdist(query, reference, compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1)
    torch.testing.assert_close(distance, expected.values[:, :4])
    assert torch.equal(index, expected.indices[:, :4])
    _, own = nearest(query, query, 1, are_same=True)
    assert not bool((own[:, 0] == torch.arange(700)).any())
