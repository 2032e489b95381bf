from __future__ import annotations

import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.leave_out import LeaveOut, require_scores, spread_over_parts
from vae_explorer.models.catalogue import MODELS


def gaussian_nll(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    return 0.5 * (x - mean).square() + 0.5 * torch.log(torch.tensor(2 * torch.pi))


def test_the_score_is_that_of_the_means_that_were_fitted_with_and_without_the_image():
    """Of N(mean, 1) fitted to numbers, what leaving a part out costs is known by hand."""
    x_N = torch.tensor([0.0, 1.0, 2.0, 9.0], dtype=torch.float64)
    part_N = torch.tensor([0, 1, 2, 0])
    means = [x_N[part_N != part].mean() for part in range(3)]
    found = LeaveOut(torch.stack([gaussian_nll(x_N, mean) for mean in means]), part_N)

    # The 9 is left out of the first fit, whose mean is 1.5, and kept in the others with means 11/3 and 10/3.
    kept = 0.5 * (0.5 * (9 - 11 / 3) ** 2 + 0.5 * (9 - 10 / 3) ** 2)
    assert found.memorisation_N[3].item() == pytest.approx(0.5 * 7.5**2 - kept)
    assert found.memorisation_N.argmax().item() == 3
    assert torch.allclose(found.memorisation_N, found.left_out_N - found.kept_N)


def test_models_that_say_the_same_remember_nothing():
    found = LeaveOut(torch.arange(5.0).expand(4, 5), torch.tensor([0, 1, 2, 3, 0]))
    assert found.memorisation_N.abs().max() == 0


def test_images_are_taken_evenly_from_all_parts():
    item_N, part_N = spread_over_parts([torch.arange(100), torch.arange(100, 200), torch.arange(200, 203)], 30)
    assert torch.bincount(part_N).tolist() == [10, 10, 3]
    assert item_N[:10].tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert item_N[-3:].tolist() == [200, 201, 202]


def test_a_model_without_likelihood_is_refused():
    with pytest.raises(UserError, match="gives no log-likelihood"):
        require_scores(MODELS["autoencoder"])
    require_scores(MODELS["ppca"])
    require_scores(MODELS["vae"])
