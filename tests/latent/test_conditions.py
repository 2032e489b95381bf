"""An explorer over models with a condition: places under the chosen one, items under their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.errors import UserError
from vae_explorer.latent.anchors import prepared_anchors
from vae_explorer.latent.code_values import complete_values
from vae_explorer.latent.explorer import Explorer, as_pictures
from vae_explorer.latent.forces_layer import gradients
from vae_explorer.latent.geometry import surface_of
from vae_explorer.latent.manifold import ManifoldRequest
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.own_picture import OwnPicture, look_at
from vae_explorer.latent.pacing import finished
from vae_explorer.latent.posterior_layer import kept_coarse_grid
from vae_explorer.latent.refinement import Refined, refine
from vae_explorer.latent.reliability_layer import round_trip
from vae_explorer.latent.view_catalogue import FitData, build_view, first_choice
from vae_explorer.models.building import build_model
from vae_explorer.models.cvae_config import CVAEConfig
from vae_explorer.models.cvae_quadrants_config import CVAEQuadrantsConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import LatentModel
from vae_explorer.models.snapshot import Snapshot, take_snapshot, with_told

SHAPE = (1, 8, 8)
CONFIGS: dict[str, Any] = {
    "cvae": CVAEConfig(hidden_widths=(16,), prior="learned"),
    "cvae-quadrants": CVAEQuadrantsConfig(hidden_widths=(16,), latent_dimensions=2),
}


def looked_at(name: str) -> tuple[LatentModel, Snapshot]:
    data_space = DataSpace(SHAPE, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(name, CONFIGS[name], data_space).eval()
        for parameter in model.parameters():
            parameter.data.normal_(0.0, 0.4)
    snapshot = take_snapshot(
        model, torch.zeros(300, 2), run_name="r", model_name=name, model_config=CONFIGS[name], data_space=data_space,
        step=3, images_seen=0, beta=1.0,
    )  # fmt: skip
    return model, snapshot


@pytest.fixture(params=list(CONFIGS))
def case(request: pytest.FixtureRequest, tiny_dataset: ImageDataset) -> tuple[LatentModel, Explorer]:
    model, snapshot = looked_at(request.param)
    explorer = Explorer()
    explorer.show_images(tiny_dataset)
    explorer.adopt(with_told(snapshot, 2))
    return model, explorer


def chosen(model: LatentModel, explorer: Explorer, told: int) -> torch.Tensor:
    """The condition of one row, worked out beside the explorer."""
    if explorer.record.condition == "class":
        return torch.tensor([told])
    condition = model.condition_of(explorer.seen(np.array([told])), None)
    assert condition is not None
    return condition


def rows(condition: torch.Tensor, num: int) -> torch.Tensor:
    return condition.expand(num, *condition.shape[1:])


def own(model: LatentModel, explorer: Explorer, ids: np.ndarray) -> torch.Tensor:
    assert explorer.dataset is not None
    assert explorer.dataset.labels_N is not None
    condition = model.condition_of(explorer.seen(ids), explorer.dataset.labels_N[torch.from_numpy(ids)])
    assert condition is not None
    return condition


@torch.no_grad()
def test_places_are_decoded_under_what_is_chosen(case: tuple[LatentModel, Explorer]) -> None:
    model, explorer = case
    z_ND = torch.randn(5, 2)
    for told in (2, 1):
        assert explorer.snapshot is not None
        explorer.adopt(with_told(explorer.snapshot, told))
        condition = rows(chosen(model, explorer, told), 5)
        expected = as_pictures(model.decode(z_ND, condition).mean_BCHW)
        assert np.array_equal(explorer.decode(z_ND.numpy()), expected)
        prior = explorer.log_prior(z_ND.numpy())
        assert prior is not None
        np.testing.assert_allclose(prior, model.log_prior(z_ND, condition).double().numpy(), rtol=1e-5)
        np.testing.assert_allclose(
            surface_of(explorer).decode(z_ND).mean_BCHW.numpy(), model.decode(z_ND, condition).mean_BCHW.numpy(),
            rtol=1e-5,
        )  # fmt: skip
        pictures, drawn_ND = explorer.sample(4, seed=1)
        assert drawn_ND is not None
        assert explorer.noise_sigma(z_ND.numpy()) is None
        told_to = rows(chosen(model, explorer, told), 4)
        again = model.decode(torch.from_numpy(drawn_ND).float(), told_to).mean_BCHW
        assert np.abs(pictures.astype(int) - as_pictures(again)).max() <= 1


@torch.no_grad()
def test_items_are_encoded_and_decoded_under_their_own(case: tuple[LatentModel, Explorer]) -> None:
    model, explorer = case
    assert explorer.dataset is not None
    ids = np.array([0, 1, 2, 7])
    seen, condition = explorer.seen(ids), own(model, explorer, ids)
    posterior: Any = model.encode(seen, condition)
    assert torch.equal(explorer.posterior(seen, ids).mean, posterior.mean)
    _, decoded = explorer.reconstruct(explorer.stored(ids), ids)
    assert np.array_equal(decoded, as_pictures(model.decode(posterior.mean, condition).mean_BCHW))
    anchors = finished(prepared_anchors(explorer))
    of_anchors: Any = model.encode(explorer.seen(anchors.ids_M), own(model, explorer, anchors.ids_M))
    np.testing.assert_allclose(anchors.mean_MD, of_anchors.mean.numpy(), atol=1e-5)
    assert anchors.prior_mean_MD is not None
    np.testing.assert_allclose(anchors.prior_mean_MD, of_anchors.prior.mean.numpy(), atol=1e-5)


@torch.no_grad()
def test_values_of_items_are_bounds_under_their_own(case: tuple[LatentModel, Explorer]) -> None:
    model, explorer = case
    ids = np.arange(300)
    posterior: Any = model.encode(explorer.seen(ids), own(model, explorer, ids))
    kl_N = finished(complete_values(explorer, "kl"))
    np.testing.assert_allclose(kl_N, posterior.kl().numpy(), rtol=1e-4)
    # The reconstruction's draw is the explorer's own; at the mean of q it must lie near.
    reconstruction_N = finished(complete_values(explorer, "reconstruction"))
    likelihood: Any = model.decode(posterior.mean, own(model, explorer, ids))
    at_mean_N = -likelihood.log_prob(explorer.seen(ids)).numpy()
    assert np.corrcoef(reconstruction_N, at_mean_N)[0, 1] > 0.5


def test_forces_pull_under_their_own_and_towards_the_own_prior(case: tuple[LatentModel, Explorer]) -> None:
    model, explorer = case
    ids = np.array([0, 1, 2, 4])
    forces = finished(gradients(explorer, ids))
    posterior: Any = model.encode(explorer.seen(ids), own(model, explorer, ids))
    mean_BD = posterior.mean.detach().clone().requires_grad_()
    kl = type(posterior)(mean_BD, posterior.log_variance.detach(), posterior.prior).kl().sum()
    (gradient_BD,) = torch.autograd.grad(kl, mean_BD)
    np.testing.assert_allclose(forces.kl_ND, -gradient_BD.numpy(), rtol=1e-4, atol=1e-5)
    # With a sigma of nothing the reconstruction's pull is the gradient at the mean.
    likelihood: Any = model.decode(mean_BD, own(model, explorer, ids))
    (pull_BD,) = torch.autograd.grad(likelihood.log_prob(explorer.seen(ids)).sum(), mean_BD)
    cosine = np.sum(forces.reconstruction_ND * pull_BD.numpy()) / (
        np.linalg.norm(forces.reconstruction_ND) * np.linalg.norm(pull_BD.numpy())
    )
    assert cosine > 0.5


@torch.no_grad()
def test_own_pictures_are_seen_under_the_chosen_class_or_with_their_own_part(
    case: tuple[LatentModel, Explorer],
) -> None:
    model, explorer = case
    picture = np.zeros((8, 8), dtype=np.uint8)
    picture[2:6, 1:4] = 200
    look = next(found for found in look_at(explorer, picture, "no", 0.0) if isinstance(found, OwnPicture))
    x_BCHW = torch.from_numpy(look.x_CHW)[None]
    condition = model.condition_of(x_BCHW, torch.tensor([2]))
    posterior: Any = model.encode(x_BCHW, condition)
    np.testing.assert_allclose(look.mean_D, posterior.mean[0].numpy(), atol=1e-5)
    assert np.array_equal(look.reconstruction, as_pictures(model.decode(posterior.mean, condition).mean_BCHW)[0])
    assert look.bound is not None
    assert look.bound.kl == pytest.approx(float(posterior.kl()[0]), rel=1e-4)
    refined = [found for found in refine(explorer, look.x_CHW) if isinstance(found, Refined)][-1]
    assert refined.log_evidence is not None
    assert refined.log_evidence > refined.elbo_before - 0.02
    assert refined.elbo_before == pytest.approx(-look.bound.negative_elbo, abs=1.0)


def test_the_round_trip_is_under_what_is_chosen(case: tuple[LatentModel, Explorer]) -> None:
    model, explorer = case
    z_PD = np.array([[0.3, -0.2], [1.0, 0.5]])
    with torch.no_grad():
        told = rows(chosen(model, explorer, 2), 2)
        z = torch.from_numpy(z_PD).float()
        back: Any = model.encode(model.decode(z, told).mean_BCHW, told)
        expected = ((back.mean - z) / back.standard_deviation).double().square().mean(1).sqrt().numpy()
    np.testing.assert_allclose(finished(round_trip(explorer, z_PD)), expected, rtol=1e-4)


def test_a_grid_of_quadrature_is_kept_for_one_condition_only(case: tuple[LatentModel, Explorer]) -> None:
    _, explorer = case
    networks = [explorer.network_for(explorer.seen(np.array([item])), np.array([item])) for item in (0, 1, 0)]
    grids = [finished(kept_coarse_grid(explorer, network)) for network in networks]
    assert all(grid is not None for grid in grids)
    assert not np.allclose(grids[0].log_prior_N, grids[1].log_prior_N)
    np.testing.assert_allclose(grids[0].log_prior_N, grids[2].log_prior_N, rtol=1e-4)
    assert finished(kept_coarse_grid(explorer, networks[2])) is grids[2]


def test_tiles_of_the_manifold_do_not_outlive_the_choice(case: tuple[LatentModel, Explorer]) -> None:
    _, explorer = case
    choice = first_choice(2)
    assert choice is not None
    view = build_view(choice, FitData(np.zeros((1, 2), np.float32), None))
    ink = np.repeat(np.arange(256, dtype=np.uint8)[None], 3, axis=0)
    request = ManifoldRequest(view, MapRect(-2.0, -2.0, 2.0, 2.0), 0, 16.0, ink)

    def drawn() -> np.ndarray:
        return [picture for picture in explorer.manifold.pictures(explorer, request) if picture is not None][-1].pixels

    first = drawn()
    assert np.array_equal(drawn(), first)
    assert explorer.snapshot is not None
    explorer.adopt(with_told(explorer.snapshot, 1))
    other = drawn()
    assert not np.array_equal(other, first)
    fresh = Explorer()
    fresh.show_images(explorer.dataset)
    fresh.adopt(explorer.snapshot)
    assert np.array_equal([p for p in fresh.manifold.pictures(fresh, request) if p is not None][-1].pixels, other)


def test_each_class_of_one_place(tiny_dataset: ImageDataset) -> None:
    model, snapshot = looked_at("cvae")
    explorer = Explorer()
    explorer.adopt(snapshot)
    z_KD = torch.randn(1, 2).expand(3, 2)
    with torch.no_grad():
        expected = as_pictures(model.decode(z_KD, torch.arange(3)).mean_BCHW)
    assert np.array_equal(explorer.decode_under_each_class(z_KD[0].numpy()), expected)


def test_a_part_needs_the_images_and_says_so() -> None:
    _, snapshot = looked_at("cvae-quadrants")
    explorer = Explorer()
    explorer.adopt(snapshot)
    with pytest.raises(UserError, match="not loaded"):
        explorer.decode(np.zeros((1, 2)))


def test_a_choice_that_is_not_there_is_the_first(tiny_dataset: ImageDataset) -> None:
    for name in CONFIGS:
        _, snapshot = looked_at(name)
        explorer = Explorer()
        explorer.show_images(tiny_dataset)
        explorer.adopt(with_told(snapshot, 0))
        expected = explorer.decode(np.ones((1, 2)))
        explorer.adopt(with_told(snapshot, 100_000))
        assert np.array_equal(explorer.decode(np.ones((1, 2))), expected)
