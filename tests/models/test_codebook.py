"""The codebook against its formulas."""

from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.models.codebook import (
    BIRTH_SHARE,
    DEAD_SHARE,
    SMOOTHING,
    Codebook,
    code_counts,
    perplexity,
    straight_through,
)


def averaged(num_codes: int = 3, decay: float = 0.9) -> Codebook:
    torch.manual_seed(0)
    return Codebook(num_codes, 2, is_averaged=True, decay=decay)


def give_birth(codebook: Codebook, z_ND: torch.Tensor, seed: int = 0) -> None:
    codebook.revive(z_ND, codebook.nearest(z_ND), torch.Generator().manual_seed(seed))


def test_nearest_is_the_code_of_least_distance() -> None:
    codebook = averaged(num_codes=17)
    z_ND = torch.randn(200, 2)
    assert torch.equal(codebook.nearest(z_ND), torch.cdist(z_ND, codebook.codes_KD).argmin(1))


def test_the_straight_through_value_is_the_code_and_its_gradient_is_that_of_the_vector() -> None:
    z, rounded = torch.tensor([1e-8, 0.3, -7.1], requires_grad=True), torch.tensor([1000.0, 0.1, -0.7])
    result = straight_through(z, rounded)
    assert torch.equal(result, rounded)
    (result * torch.tensor([2.0, -3.0, 5.0])).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [2.0, -3.0, 5.0]


def test_moving_averages_follow_the_formula_of_the_paper() -> None:
    codebook = averaged(decay=0.9)
    counts_K, sums_KD = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([[4.0, 8.0], [1.0, 1.0], [0.5, 0.0]])
    codebook.counts_K.copy_(counts_K)
    codebook.sums_KD.copy_(sums_KD)
    z_ND, index_N = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([0, 2, 0])
    codebook.follow(z_ND, index_N)
    expected_N = [0.9 * 4 + 0.1 * 2, 0.9 * 2, 0.9 * 1 + 0.1 * 1]
    expected_m = [[0.9 * 4 + 0.1 * 6, 0.9 * 8 + 0.1 * 8], [0.9, 0.9], [0.45 + 0.3, 0.4]]
    total = sum(expected_N)
    for k in range(3):
        smooth = (expected_N[k] + SMOOTHING) / (total + 3 * SMOOTHING) * total
        assert codebook.codes_KD[k].tolist() == pytest.approx([value / smooth for value in expected_m[k]], rel=1e-6)
    assert codebook.counts_K.tolist() == pytest.approx(expected_N)


def test_a_batch_that_is_not_finite_changes_nothing() -> None:
    codebook = averaged()
    give_birth(codebook, torch.randn(20, 2))
    before = {name: value.clone() for name, value in codebook.state_dict().items()}
    broken_ND = torch.full((20, 2), float("nan"))
    codebook.counts_K[1] = before["counts_K"][1] = 0.0  # dead, and still not born from a broken vector
    give_birth(codebook, broken_ND)
    codebook.follow(broken_ND, torch.zeros(20, dtype=torch.int64))
    for name, value in codebook.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_first_batch_gives_every_code_an_encoder_output_of_its_own() -> None:
    codebook = averaged(num_codes=8)
    z_ND = torch.randn(30, 2)
    give_birth(codebook, z_ND)
    rows = {tuple(row) for row in z_ND.tolist()}
    born = [tuple(row) for row in codebook.codes_KD.tolist()]
    assert set(born) <= rows
    assert len(set(born)) == 8
    assert codebook.counts_K.tolist() == pytest.approx([30 * BIRTH_SHARE] * 8)


def test_only_a_dead_code_is_revived_and_by_the_generator_alone() -> None:
    z_ND = torch.randn(50, 2)
    outcomes = []
    for _ in range(2):
        codebook = averaged(num_codes=4)
        codebook.counts_K.copy_(torch.tensor([10.0, 10.0, 20 * DEAD_SHARE / 2, 10.0]))
        before_KD = codebook.codes_KD.clone()
        give_birth(codebook, z_ND, seed=5)
        assert torch.equal(codebook.codes_KD[[0, 1, 3]], before_KD[[0, 1, 3]])
        assert codebook.codes_KD[2].tolist() in z_ND.tolist()
        assert float(codebook.counts_K[2]) == pytest.approx(50 * BIRTH_SHARE)
        torch.testing.assert_close(codebook.sums_KD[2], codebook.codes_KD[2] * 50 * BIRTH_SHARE)
        outcomes.append(codebook.codes_KD.clone())
    assert torch.equal(*outcomes)


def test_a_code_is_born_where_the_codebook_serves_worst() -> None:
    z_ND = torch.cat([torch.zeros(999, 2), torch.tensor([[5.0, 5.0]])])
    for seed in range(5):
        codebook = averaged(num_codes=3)
        codebook.codes_KD.copy_(torch.tensor([[0.0, 0.0], [-9.0, 0.0], [0.0, -9.0]]))
        codebook.counts_K.copy_(torch.tensor([9.0, 9.0, 0.0]))
        give_birth(codebook, z_ND, seed)
        assert codebook.codes_KD[2].tolist() == [5.0, 5.0]


def test_a_newborn_that_nobody_chooses_dies_within_its_window() -> None:
    codebook = averaged(num_codes=2, decay=0.99)
    codebook.counts_K.copy_(torch.tensor([1000.0, 0.0]))
    codebook.codes_KD.zero_()
    z_ND, index_N = torch.randn(1000, 2), torch.zeros(1000, dtype=torch.int64)
    generator, births, last_D = torch.Generator().manual_seed(0), [], None
    for step in range(500):
        codebook.follow(z_ND, index_N)
        codebook.revive(z_ND, index_N, generator)
        count = float(codebook.counts_K[1])
        if last_D is None or count > last_D:
            births.append(step)
        last_D = count
    assert births == [0, 230, 460]


def test_more_codes_than_vectors_share_them() -> None:
    codebook = averaged(num_codes=10)
    z_ND = torch.randn(3, 2)
    give_birth(codebook, z_ND)
    assert {tuple(row) for row in codebook.codes_KD.tolist()} == {tuple(row) for row in z_ND.tolist()}


def test_codes_learned_by_a_loss_are_not_moved_by_what_chose_them() -> None:
    codebook = Codebook(3, 2, is_averaged=False, decay=0.5)
    codebook.counts_K.fill_(1.0)
    before_KD = codebook.codes_KD.detach().clone()
    codebook.follow(torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert torch.equal(codebook.codes_KD, before_KD)
    assert codebook.counts_K.tolist() == [2.0, 2.0, 0.5]
    assert codebook.codes_KD.requires_grad
    assert "sums_KD" not in codebook.state_dict()


def test_perplexity_of_even_single_and_uneven_use() -> None:
    assert float(perplexity(torch.full((7,), 3.0))) == pytest.approx(7.0, rel=1e-6)
    assert float(perplexity(torch.tensor([0.0, 9.0, 0.0]))) == pytest.approx(1.0)
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert float(perplexity(torch.tensor([3.0, 1.0, 0.0]))) == pytest.approx(expected, rel=1e-6)


def test_counts_of_codes() -> None:
    assert code_counts(torch.tensor([[[0, 2], [2, 2]]]), 4).tolist() == [1.0, 0.0, 3.0, 0.0]
