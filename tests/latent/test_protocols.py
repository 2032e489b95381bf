"""What stands on the likelihood, under every protocol: layers, one's own picture and its refinement, item values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.item_scenes import last_of, make_images, make_scene, returned_by
from tests.latent.layer_requests import drawings, first_view, make_request
from vae_explorer.latent import own_picture
from vae_explorer.latent.code_values import complete_values
from vae_explorer.latent.exact_posterior import exact_posterior
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import Focus, LayerRequest
from vae_explorer.latent.path_catalogue import PathChoice
from vae_explorer.latent.paths import path
from vae_explorer.latent.refinement import refine
from vae_explorer.models.likelihoods import pairwise_log_prob
from vae_explorer.models.observation_config import VARIANCES

CASES = [
    *((name, "learned") for name in ("grey", "dynamic", "continuous-bernoulli", "discrete")),
    *(("gaussian", variance) for variance in VARIANCES),
]
"""Every likelihood; the other protocols share that of `dynamic`."""
HAS_FISHER = {"grey", "dynamic", "continuous-bernoulli", "gaussian"}


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def scene(request: pytest.FixtureRequest, make_snapshot: Any) -> Explorer:
    protocol, variance = request.param
    snapshot = make_snapshot(protocol=protocol, num_codes=60, settings={"gaussian_variance": variance})
    return make_scene(snapshot, dataset=make_images(num=60, num_heldout=10))


def asked(explorer: Explorer) -> LayerRequest:
    return make_request(explorer, focus=Focus(hovered_item=3, items=(3, 7)), view=first_view(2))


@pytest.mark.parametrize("name", ["posterior", "forces", "reliability", "manifold"])
def test_layers_that_decode_are_drawn(scene: Explorer, name: str) -> None:
    last = drawings(name, scene, asked(scene))[-1]
    assert last.strokes or last.rasters
    assert "finite" not in last.readout


def test_the_exact_posterior_is_the_sum_over_a_fine_grid(scene: Explorer) -> None:
    x_CHW = scene.seen(np.array([5]))[0]
    with torch.no_grad():
        q = scene.posterior(x_CHW[None])
    mean_D, sigma_D = q.mean[0].numpy(), q.standard_deviation[0].numpy()
    found = returned_by(exact_posterior(scene.network, x_CHW, mean_D, sigma_D))
    assert found.kl_from_q >= -1e-3
    # A second sum, around the place of the mass: a lattice 24 sigma wide.
    line = torch.linspace(-12, 12, 201, dtype=torch.float64)
    offsets = torch.cartesian_prod(line, line).numpy() * found.sigma_D
    z_ND = torch.from_numpy(found.mean_D + offsets).float()
    with torch.no_grad():
        log_joint_N = torch.cat([
            pairwise_log_prob(scene.network.decode(z_BD), x_CHW[None])[0] + scene.network.log_prior(z_BD)
            for z_BD in z_ND.split(4000)
        ])  # fmt: skip
    step = float(line[1] - line[0])
    evidence = torch.logsumexp(log_joint_N.double(), 0).item() + math.log(step**2 * found.sigma_D.prod())
    assert found.log_evidence == pytest.approx(evidence, abs=0.05)


def test_refining_never_loses_and_stays_below_the_evidence(scene: Explorer) -> None:
    refined = last_of(refine(scene, scene.seen(np.array([2]))[0]))
    assert refined.gap >= 0
    assert refined.log_evidence is not None
    assert refined.elbo_after <= refined.log_evidence + 5 * refined.standard_error + 0.05


def test_ones_own_picture_has_a_bound(scene: Explorer) -> None:
    look = last_of(own_picture.look_at(scene, np.full((8, 8), 200, np.uint8), False, 0.0))
    assert look.bound is not None
    assert math.isfinite(look.bound.negative_elbo)
    assert look.bound.kl >= 0


def test_item_values_are_those_of_the_likelihood(scene: Explorer) -> None:
    elbo_N = returned_by(complete_values(scene, "elbo"))
    parts_N = returned_by(complete_values(scene, "reconstruction")) + returned_by(complete_values(scene, "kl"))
    assert np.isfinite(elbo_N).all()
    assert -elbo_N == pytest.approx(parts_N, rel=1e-4, abs=1e-2)


def test_stretch_says_which_metric_it_could_have(scene: Explorer) -> None:
    last = drawings("stretch", scene, asked(scene))[-1]
    assert scene.snapshot is not None
    has_fisher = scene.snapshot.protocol in HAS_FISHER
    assert ("Fisher" in last.legend.title) == has_fisher
    assert ("Fisher" in last.readout) != has_fisher


def test_a_geodesic_is_found(scene: Explorer) -> None:
    found = last_of(path(scene, np.array([[-1.0, 0.0], [1.0, 0.5]]), PathChoice(kind="geodesic")))
    assert found.length > 0
    assert math.isfinite(found.length)


def test_the_noise_of_a_draw_is_told_where_there_is_any(scene: Explorer) -> None:
    z_ND = np.array([[0.0, 0.0], [1.0, -1.0]])
    found = scene.noise_sigma(z_ND)
    assert scene.snapshot is not None
    if scene.snapshot.protocol != "gaussian":
        assert found is None
        return
    decoded: Any = scene.network.decode(torch.from_numpy(z_ND).float())
    with torch.no_grad():
        many = torch.stack([decoded.sample(torch.Generator().manual_seed(seed)) for seed in range(300)])
        spread_N = (many - decoded.mean_BCHW).square().flatten(2).mean((0, 2)).sqrt()
    assert found == pytest.approx(spread_N.numpy(), rel=0.03)
