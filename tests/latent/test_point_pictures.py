"""Points of the plane are shown as small pictures wherever pictures are shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vae_explorer.datasets.image_dataset import ImageDataset, load_dataset
from vae_explorer.datasets.points import REACH
from vae_explorer.errors import UserError
from vae_explorer.export.images import GRID_KINDS, GridSpec, render_grid
from vae_explorer.latent.explorer import Explorer, as_pictures
from vae_explorer.latent.group_statistics import group_statistics
from vae_explorer.latent.novelty import novelty
from vae_explorer.latent.own_picture import look_at
from vae_explorer.latent.point_pictures import drawn, shown_levels
from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.training.run_config import default_config, with_value
from vae_explorer.training.trainer import Trainer


@pytest.fixture(scope="module")
def points() -> ImageDataset:
    return load_dataset("eight-gaussians", 1000)


@pytest.fixture(scope="module")
def trainer(points: ImageDataset) -> Trainer:
    config = with_value(default_config(), "data.dataset", "eight-gaussians")
    training = dataclasses.replace(config.training, device="cpu", precision="float32", num_threads=1)
    return Trainer(dataclasses.replace(config, model=VAEConfig(hidden_widths=(16,)), training=training), points, "r")


@pytest.fixture(scope="module")
def explorer(trainer: Trainer, points: ImageDataset) -> Explorer:
    explorer = Explorer()
    explorer.show_images(points)
    explorer.adopt(trainer.encoded_snapshot())
    return explorer


def points_at(*places: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(places).view(-1, 2, 1, 1)


def test_a_point_is_a_bright_dot_where_it_lies() -> None:
    pictures = drawn(points_at((0.0, 0.0), (2.0, 1.0), (-2.0, -3.0)))
    assert pictures.shape == (3, 1, 28, 28)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    for picture, (x, y) in zip(pictures[:, 0], ((0.0, 0.0), (2.0, 1.0), (-2.0, -3.0)), strict=True):
        weight = torch.where(picture > 0.3, picture, 0.0)
        columns = torch.arange(28) + 0.5
        column, row = (weight.sum(0) * columns).sum() / weight.sum(), (weight.sum(1) * columns).sum() / weight.sum()
        assert float(column) == pytest.approx(14 + x * 14 / REACH, abs=0.3)
        assert float(row) == pytest.approx(14 - y * 14 / REACH, abs=0.3)


def test_points_outside_are_at_the_edge_and_broken_ones_are_not_drawn() -> None:
    far, broken = drawn(points_at((100.0, 0.0), (float("nan"), 0.0)))[:, 0]
    assert far[14, -1] > 0.9
    assert torch.isfinite(broken).all()
    assert broken.max() < 0.3


def test_pictures_are_shown_as_they_are() -> None:
    pictures = torch.rand(3, 1, 4, 5)
    assert drawn(pictures) is pictures
    stored = torch.randint(0, 256, (3, 2, 1, 1), dtype=torch.uint8)
    assert shown_levels(stored) is stored


def test_everything_that_shows_a_picture_shows_a_point(explorer: Explorer, points: ImageDataset) -> None:
    assert explorer.decode(np.zeros((3, 2))).shape == (3, 28, 28)
    assert explorer.sample(5, 0)[0].shape == (5, 28, 28)
    originals, reconstructions = explorer.reconstruct(points.images.gather(torch.arange(4)))
    assert originals.shape == reconstructions.shape == (4, 28, 28)
    assert np.array_equal(originals, as_pictures(points.images.gather(torch.arange(4))))
    statistics = [found for found in group_statistics(explorer, np.arange(50)) if found is not None][-1]
    assert statistics.pictures.shape == (50, 28, 28)
    assert statistics.mean_picture.shape == statistics.variance_picture.shape == (28, 28)
    item = int(points.train_index_N[7])
    found = [found for found in novelty(explorer, points.images.gather(torch.tensor([item]))[0].numpy()) if found][-1]
    assert found.train_ids[0] == item
    assert found.train_distances[0] == 0
    assert found.train_distances[1] < 0.2  # in units of the plane
    assert found.train_pictures.shape == (4, 28, 28)


@pytest.mark.parametrize("kind", GRID_KINDS)
def test_grids_of_points_are_saved(trainer: Trainer, points: ImageDataset, kind: str) -> None:
    images = points.images.gather(points.heldout_index_N[:20])
    grid = render_grid(kind, trainer.model.eval(), GridSpec(rows=2, columns=3, scale=1, spacing=0), images)
    trainer.model.train()
    assert grid.dtype == np.uint8
    assert grid.shape[1] == 3 * 28
    assert grid.max() > 200


def test_a_picture_of_ones_own_is_refused_with_a_sentence(explorer: Explorer) -> None:
    with pytest.raises(UserError, match="points of the plane"):
        list(look_at(explorer, np.zeros((20, 20), dtype=np.uint8), "auto", 0.0))
