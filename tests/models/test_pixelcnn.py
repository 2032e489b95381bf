"""The PixelCNN: exact causality, mass 1, and samples from what it says."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vae_explorer.models.pixelcnn import PixelCNN


def trained_looking(num_codes: int, shape: tuple[int, int], num_layers: int = 3) -> PixelCNN:
    """A prior whose weights are all drawn, also those that start at zero."""
    torch.manual_seed(0)
    prior = PixelCNN(num_codes, shape, channels=6, num_layers=num_layers)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return prior.requires_grad_(False)


@pytest.mark.parametrize("num_layers", [1, 4])
def test_changing_a_cell_changes_no_logit_at_or_before_it(num_layers: int) -> None:
    shape = (4, 5)
    prior = trained_looking(3, shape, num_layers)
    grid_BRW = torch.randint(3, (1, *shape), generator=torch.Generator().manual_seed(1))
    before = prior(grid_BRW)
    for place in range(math.prod(shape)):
        i, j = divmod(place, shape[1])
        other = grid_BRW.clone()
        other[0, i, j] = (other[0, i, j] + 1) % 3
        is_same = (prior(other) == before).all(1).flatten()
        assert is_same[: place + 1].all()
        if place + 1 < math.prod(shape):
            assert not is_same[place + 1 :].all(), "what follows sees the cell"


def test_with_enough_layers_the_last_cell_sees_every_other() -> None:
    shape = (3, 3)
    prior = trained_looking(3, shape, num_layers=3)
    grid_BRW = torch.zeros(1, *shape, dtype=torch.int64)
    before = prior(grid_BRW)[0, :, -1, -1]
    for place in range(8):
        other = grid_BRW.clone()
        other.view(-1)[place] = 1
        assert not torch.equal(prior(other)[0, :, -1, -1], before), place


def test_the_probabilities_of_all_grids_add_up_to_one() -> None:
    prior = trained_looking(3, (2, 2))
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    log_prob = prior.log_prob(grids).double()
    assert float(torch.logsumexp(log_prob, 0)) == pytest.approx(0.0, abs=1e-6)
    assert log_prob.std() > 0.1


def test_log_prob_is_the_sum_of_each_cell_given_those_before() -> None:
    prior = trained_looking(3, (2, 3))
    grid = torch.tensor([[[2, 0, 1], [1, 1, 0]]])
    total = 0.0
    for i, j in itertools.product(range(2), range(3)):
        blind = grid.clone()
        blind[0, i, j:] = 0
        blind[0, i + 1 :] = 0
        total += float(torch.log_softmax(prior(blind)[0, :, i, j].double(), 0)[grid[0, i, j]])
    assert float(prior.log_prob(grid)) == pytest.approx(total, abs=1e-5)


def test_untrained_it_is_the_uniform_distribution() -> None:
    torch.manual_seed(0)
    prior = PixelCNN(5, (3, 4), channels=4, num_layers=2)
    grids = torch.randint(5, (6, 3, 4))
    assert torch.equal(prior(grids), torch.zeros(6, 5, 3, 4))
    assert prior.log_prob(grids).tolist() == pytest.approx([-12 * math.log(5)] * 6, rel=1e-6)


def test_samples_come_as_often_as_their_probability_says() -> None:
    prior = trained_looking(2, (2, 2))
    grids = torch.tensor(list(itertools.product(range(2), repeat=4))).view(-1, 2, 2)
    chance = prior.log_prob(grids).double().exp()
    num = 20_000
    drawn = prior.sample(num, torch.Generator().manual_seed(0))
    place = (drawn.flatten(1) * torch.tensor([8, 4, 2, 1])).sum(1)
    found = torch.bincount(place, minlength=16).double()
    chi_squared = float(((found - num * chance) ** 2 / (num * chance)).sum())
    assert chi_squared < 37.7  # 15 degrees of freedom, p = 0.001


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_cold_samples_are_the_likeliest_cell_by_cell(num_layers: int) -> None:
    """Compares what sampling keeps between cells with whole passes: any difference would choose other codes."""
    prior = trained_looking(7, (4, 5), num_layers)
    drawn = prior.sample(3, torch.Generator().manual_seed(0), temperature=1e-4)
    assert torch.equal(prior(drawn).argmax(1), drawn)
    assert num_layers == 1 or len(drawn.unique()) > 1


def test_samples_depend_on_the_generator_alone() -> None:
    prior = trained_looking(7, (3, 3))
    first = prior.sample(4, torch.Generator().manual_seed(3))
    torch.manual_seed(9)
    assert torch.equal(prior.sample(4, torch.Generator().manual_seed(3)), first)
    assert not torch.equal(prior.sample(4, torch.Generator().manual_seed(4)), first)


def test_a_hot_prior_draws_more_different_codes() -> None:
    prior = trained_looking(16, (4, 4))
    variety = [
        len(prior.sample(8, torch.Generator().manual_seed(0), temperature).unique()) for temperature in (0.05, 50.0)
    ]
    assert variety[0] < variety[1] == 16
