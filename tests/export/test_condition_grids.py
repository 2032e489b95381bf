"""Grids of models with a condition: a row a class, all of one class, images under their own, given parts kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.export.images import GRID_KINDS, GridSpec, compose, grid_conditions, render_grid
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.cvae_config import CVAEConfig
from vae_explorer.models.cvae_quadrants import is_given
from vae_explorer.models.cvae_quadrants_config import CVAEQuadrantsConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import LatentModel

SPEC = GridSpec(rows=3, columns=2, spacing=0, scale=1, seed=4)
CONFIGS: dict[str, Any] = {
    "cvae": CVAEConfig(hidden_widths=(16,)),
    "cvae-quadrants": CVAEQuadrantsConfig(hidden_widths=(16,), latent_dimensions=2, given_quadrants=2),
}


def built(name: str) -> LatentModel:
    torch.manual_seed(0)
    model = build_model(name, CONFIGS[name], DataSpace((1, 8, 8), 3)).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.5)
    return model


def images_and_labels() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3


@pytest.mark.parametrize("kind", GRID_KINDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_is_rendered(name: str, kind: str) -> None:
    model, (images, labels) = built(name), images_and_labels()
    conditions = grid_conditions(MODELS[name], model, 3, images, labels)
    pixels = render_grid(kind, model, SPEC, images, conditions)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 5


def test_samples_are_a_row_a_class_or_all_of_the_chosen_one() -> None:
    model = built("cvae")
    z_ND = model.sample_prior(6, torch.Generator().manual_seed(4), torch.zeros(6, dtype=torch.int64))
    for told, classes in ((None, [0, 0, 1, 1, 2, 2]), (2, [2] * 6)):
        conditions = grid_conditions(MODELS["cvae"], model, 3, told=told)
        with torch.no_grad():
            expected = model.decode(z_ND, torch.tensor(classes)).mean_BCHW.reshape(3, 2, 1, 8, 8)
        assert np.array_equal(render_grid("prior", model, SPEC, None, conditions), compose(expected, SPEC))


def test_reconstructions_are_under_their_own_labels() -> None:
    model, (images, labels) = built("cvae"), images_and_labels()
    spec = GridSpec(rows=1, columns=12, spacing=0, scale=1)
    conditions = grid_conditions(MODELS["cvae"], model, 3, images, labels, told=1)
    grid = render_grid("reconstructions", model, spec, images, conditions)
    with torch.no_grad():
        decoded = model.decode(model.encode(images, labels).mean, labels).mean_BCHW
    order = [int(np.abs(cell[None] - np.round(images[:, 0].numpy() * 255)).sum((1, 2)).argmin())
             for cell in np.split(grid[:8].astype(float), 12, axis=1)]  # fmt: skip
    assert sorted(order) == list(range(12))
    for column, item in enumerate(order):
        cell = grid[8:, 8 * column : 8 * column + 8].astype(float)
        assert np.abs(cell - decoded[item, 0].numpy() * 255).max() <= 0.51


def test_the_given_part_of_a_row_stays() -> None:
    model, (images, _) = built("cvae-quadrants"), images_and_labels()
    conditions = grid_conditions(MODELS["cvae-quadrants"], model, 3, images)
    grid = render_grid("prior", model, SPEC, images, conditions)
    mask = np.array(is_given(2, 8, 8))
    for row in range(3):
        for column in range(2):
            cell = grid[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].astype(float)
            assert np.abs(cell - images[row, 0].numpy() * 255)[mask].max() <= 0.51


def test_a_class_that_is_not_there_is_an_error_of_the_persons() -> None:
    with pytest.raises(UserError, match="no class 3") as caught:
        grid_conditions(MODELS["cvae"], built("cvae"), 3, told=3)
    assert "0 to 2" in caught.value.hint
    with pytest.raises(UserError, match="not told a class"):
        grid_conditions(MODELS["vae"], built("cvae"), 3, told=1)
    with pytest.raises(UserError, match="of an image"):
        grid_conditions(MODELS["cvae-quadrants"], built("cvae-quadrants"), 3)
