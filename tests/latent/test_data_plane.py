from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.layer_requests import make_ink
from vae_explorer.datasets.image_dataset import ImageDataset, load_dataset
from vae_explorer.errors import UserError
from vae_explorer.latent.data_plane import MOST_POINTS, PlaneRequest, draw_plane, plane_point
from vae_explorer.latent.data_plane_parts import Part
from vae_explorer.latent.drawing import LayerDrawing
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.plane_density import CELLS, GaussianCells, latent_cells, places
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import default_config, with_value
from vae_explorer.training.trainer import Trainer

PLANE = DataSpace((2, 1, 1), protocol="gaussian")


@pytest.fixture(scope="module")
def points() -> ImageDataset:
    return load_dataset("eight-gaussians", 1000)


def explorer_of(points: ImageDataset, model: str, *, is_trained: bool = False, **settings: Any) -> Explorer:
    config = with_value(with_value(default_config(), "model.name", model), "data.dataset", "eight-gaussians")
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **settings),
        training=dataclasses.replace(
            config.training, device="cpu", precision="float32", num_threads=1, epochs=60, batch_size=19000
        ),
    )
    trainer = Trainer(config, points, "r")
    if is_trained:
        for event in trainer.run(Control()):
            del event
    explorer = Explorer()
    explorer.show_images(points)
    explorer.adopt(trainer.encoded_snapshot())
    return explorer


@pytest.fixture(scope="module")
def vae(points: ImageDataset) -> Explorer:
    return explorer_of(points, "vae", hidden_widths=(16,))


@pytest.fixture(scope="module")
def mixture(points: ImageDataset) -> Explorer:
    return explorer_of(points, "gaussian-mixture", is_trained=True)


def drawing(explorer: Explorer, *parts: Part) -> LayerDrawing:
    request = PlaneRequest(frozenset(parts), 200, 160, 1.0, make_ink())
    steps = list(draw_plane(explorer, request))
    assert steps[-1] is not None
    assert all(step is None for step in steps[:-1])
    return steps[-1]


@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_density_of_a_linear_decoder_is_the_gaussian_that_it_is(dimensions: int) -> None:
    """p(x) = N(b, W W' + sigma^2 I), with a decoder that stretches cells by far more than sigma."""
    torch.manual_seed(3)
    model = build_model("vae", VAEConfig(latent_dimensions=dimensions, hidden_widths=()), PLANE).eval()
    with torch.no_grad():
        w_2D = torch.tensor([[1.5, 0.6], [0.2, 0.9]])[:, :dimensions]
        b_2 = torch.tensor([0.3, -0.4])
        model.decoder[-1].weight.copy_(w_2D)
        model.decoder[-1].bias.copy_(b_2)
        model.observation.log_sigma.fill_(np.log(0.05))
    cells = latent_cells(model, dimensions)
    sigma = float(model.decode(torch.zeros(1, dimensions)).sigma.detach())
    covariance_22 = (w_2D @ w_2D.T + sigma**2 * torch.eye(2)).double().detach()
    exact = torch.distributions.MultivariateNormal(b_2.double(), covariance_22)
    x_Q2 = exact.sample((200,))
    away_Q = (cells.log_density(x_Q2) - exact.log_prob(x_Q2)).abs()
    assert away_Q.mean() < 0.01
    # Far from the middle the prior that is wider by s^2 shows: r^2 / 2 times that.
    assert away_Q.max() < 0.05


def test_a_sum_of_gaussians_is_what_torch_says_it_is() -> None:
    torch.manual_seed(0)
    mean_G2, root_G22 = torch.randn(7, 2).double(), torch.randn(7, 2, 2).double()
    covariance_G22 = root_G22 @ root_G22.mT + 0.1 * torch.eye(2)
    weights_G = torch.softmax(torch.randn(7).double(), 0)
    x_Q2 = torch.randn(50, 2).double() * 2
    parts = torch.distributions.MultivariateNormal(mean_G2, covariance_G22)
    expected = torch.logsumexp(parts.log_prob(x_Q2[:, None]) + weights_G.log(), 1)
    found = GaussianCells(weights_G.log(), mean_G2, covariance_G22).log_density(x_Q2)
    torch.testing.assert_close(found, expected)


def test_a_vae_has_these_parts_and_each_is_drawn(vae: Explorer) -> None:
    whole = drawing(vae, *Part)
    assert whole.extras["parts"] == {Part.DATA, Part.SAMPLES, Part.GRID, Part.DENSITY, Part.TRUTH}
    assert f"showing {MOST_POINTS:,} of 19,000 points" in whole.readout
    assert "H = 1.698 nats" in whole.readout
    assert whole.legend is not None
    names = [name for _, name in whole.legend.entries]
    assert names[:2] == ["right", "upper right"]
    assert {"400 samples", "latent grid", "density", "true density"} <= set(names)
    assert len(whole.rasters) == 2
    assert whole.rasters[0].pixels.shape == (160, 200, 4)
    assert whole.rasters[0].pixels.any()
    # What is not asked for is neither drawn nor named.
    alone = drawing(vae, Part.GRID)
    assert not alone.rasters
    assert alone.legend is not None
    assert [name for _, name in alone.legend.entries] == ["latent grid"]


def test_the_plane_shown_holds_all_points_in_equal_scales(vae: Explorer, points: ImageDataset) -> None:
    rect = drawing(vae, Part.DATA).rect
    assert rect.width / rect.height == pytest.approx(200 / 160)
    at = points.images.gather(points.train_index_N[:MOST_POINTS]).flatten(1)
    assert at[:, 0].min() > rect.left
    assert at[:, 0].max() < rect.right
    assert at[:, 1].min() > rect.bottom
    assert at[:, 1].max() < rect.top


def test_the_latent_grid_is_the_decoded_one(vae: Explorer) -> None:
    (mesh,) = drawing(vae, Part.GRID).strokes
    assert len(mesh.starts) == 22
    corner = vae.decode_mean(np.array([[-2.5, -2.5]])).ravel()
    assert mesh.xy_P2[0] == pytest.approx(corner, abs=1e-6)


def test_the_true_density_holds_the_mass_that_it_says(vae: Explorer) -> None:
    """The outermost line encloses 95 % of the points drawn."""
    (lines,) = drawing(vae, Part.TRUTH).strokes
    assert lines.is_dashed
    x, y = np.abs(lines.xy_P2).max(0)
    assert 2.0 < x < 2.9
    assert 2.0 < y < 2.9


def test_a_mixture_shows_components_and_responsibilities(mixture: Explorer) -> None:
    whole = drawing(mixture, *Part)
    assert whole.extras["parts"] == {Part.DATA, Part.SAMPLES, Part.DENSITY, Part.TRUTH, Part.COMPONENTS}
    ellipses = [strokes for strokes in whole.strokes if strokes.role.startswith("class:")]
    assert len(ellipses) == 8
    assert "−log p(x) 1.7" in whole.readout
    # The fitted density is the true one, so both have the same lines.
    truth = next(strokes for strokes in whole.strokes if strokes.role == "good")
    model = next(strokes for strokes in whole.strokes if strokes.role == "text")
    assert np.abs(model.xy_P2).max(0) == pytest.approx(np.abs(truth.xy_P2).max(0), abs=0.1)


def test_the_vector_field_goes_where_the_model_moves_a_place(points: ImageDataset) -> None:
    explorer = explorer_of(points, "denoising-autoencoder")
    whole = drawing(explorer, Part.FIELD)
    assert Part.FIELD in whole.extras["parts"]
    assert Part.DENSITY not in whole.extras["parts"]
    (arrows,) = whole.strokes
    assert arrows.has_heads
    base_N2, tip_N2 = arrows.xy_P2[0::2], arrows.xy_P2[1::2]
    x_NCHW = torch.from_numpy(base_N2).float()[:, :, None, None]
    with torch.no_grad():
        moved_N2 = explorer.network.vector_field(x_NCHW).flatten(1).numpy()
    factors = (tip_N2 - base_N2)[:, 0] / moved_N2[:, 0]
    factor = np.median(factors)
    assert tip_N2 == pytest.approx(base_N2 + factor * moved_N2, abs=1e-5)
    assert 0 < factor <= 1
    assert whole.legend is not None
    assert f"{factor:.2g} of its length" in str(whole.legend.entries) or factor == 1


def test_a_latent_point_has_its_place_and_spread(vae: Explorer) -> None:
    z_D = np.array([0.4, -1.1])
    point = plane_point(vae, z_D)
    assert point is not None
    assert point.mean_2 == pytest.approx(vae.decode_mean(z_D[None]).ravel(), abs=1e-6)
    assert point.sigma_2 is not None
    with torch.no_grad():
        sigma = float(vae.network.decode(torch.zeros(1, 2)).sigma)
    assert point.sigma_2 == pytest.approx([sigma, sigma])


def test_pictures_have_no_such_plane(make_snapshot) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    assert plane_point(explorer, np.zeros(2)) is None
    with pytest.raises(UserError, match="are pictures") as caught:
        drawing(explorer, Part.DATA)
    assert "two-moons" in caught.value.hint


def test_places_run_row_by_row_from_the_top() -> None:
    at = places(MapRect(0.0, 0.0, float(CELLS), float(CELLS)))
    assert at[0].tolist() == [0.5, CELLS - 0.5]
    assert at[1].tolist() == [1.5, CELLS - 0.5]
    assert at[-1].tolist() == [CELLS - 0.5, 0.5]


def test_of_a_conditional_model_it_is_the_density_of_the_class_that_is_chosen(points: ImageDataset) -> None:
    explorer = explorer_of(points, "cvae", hidden_widths=(16,))
    whole = drawing(explorer, Part.DENSITY)
    assert whole.legend is not None
    assert whole.legend.entries == (("text", "density, given what is chosen"),)
    (before,) = whole.strokes
    assert explorer.snapshot is not None
    explorer.adopt(dataclasses.replace(explorer.snapshot, told=5, stamp=explorer.stamp + 1))
    (after,) = drawing(explorer, Part.DENSITY).strokes
    assert before.xy_P2.shape != after.xy_P2.shape or not np.allclose(before.xy_P2, after.xy_P2)
