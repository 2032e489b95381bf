"""Mixtures by EM: every step raises the likelihood, and scikit-learn takes the same steps from the same start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
import torch
from sklearn import mixture as sklearn_mixture

from vae_explorer.errors import SettingError
from vae_explorer.models.bernoulli_mixture import BernoulliMixture
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian_mixture import VARIANCE_FLOOR, GaussianMixture, lower_root
from vae_explorer.models.interface import Batch
from vae_explorer.models.mixture import Mixture
from vae_explorer.models.mixture_config import COVARIANCES, BernoulliMixtureConfig, GaussianMixtureConfig

ONE = torch.tensor(1.0)
PLANE = DataSpace((2, 1, 1), protocol="gaussian")
BITS = DataSpace((1, 3, 4), protocol="threshold")


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def points() -> torch.Tensor:
    """400 points of the plane about five centres, each with a shape of its own, (400, 2, 1, 1)."""
    generator = torch.Generator().manual_seed(2)
    centre_K2 = torch.tensor([[0.0, 0.0], [4.0, 1.0], [-3.0, 3.0], [1.0, -5.0], [5.0, 6.0]])
    shape_K22 = torch.randn(5, 2, 2, generator=generator) * 0.7
    kind_N = torch.arange(400) % 5
    noise_N2 = torch.randn(400, 2, generator=generator)
    return (centre_K2[kind_N] + (shape_K22[kind_N] @ noise_N2[:, :, None])[:, :, 0])[:, :, None, None]


@pytest.fixture
def bits() -> torch.Tensor:
    """300 binary pictures of 12 pixels from three pictures of probabilities; one pixel is never on."""
    generator = torch.Generator().manual_seed(4)
    probability_K12 = torch.rand(3, 12, generator=generator)
    probability_K12[:, 5] = 0
    return torch.bernoulli(probability_K12[torch.arange(300) % 3], generator=generator).unflatten(-1, (1, 3, 4))


def gaussians(num: int = 5, covariance: str = "full", space: DataSpace = PLANE) -> GaussianMixture:
    torch.manual_seed(0)
    config = GaussianMixtureConfig(num_components=num, covariance=covariance)
    return cast("GaussianMixture", build_model("gaussian-mixture", config, space))


def bernoullis(num: int = 3, smoothing: float = 0.1) -> BernoulliMixture:
    torch.manual_seed(0)
    config = BernoulliMixtureConfig(num_components=num, smoothing=smoothing)
    return cast("BernoulliMixture", build_model("bernoulli-mixture", config, BITS))


def em_step(model: Mixture, x_NCHW: torch.Tensor, batch_size: int = 1000) -> float:
    """One pass; the mean log-likelihood of the items before the M step at its end."""
    before = float(model.log_density(x_NCHW).mean())
    for index_B in torch.arange(len(x_NCHW)).split(batch_size):
        model.learn(Batch(x_NCHW[index_B], index_B))
    model.end_epoch()
    return before


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_no_step_lowers_the_likelihood(points: torch.Tensor, covariance: str) -> None:
    model = gaussians(5, covariance)
    em_step(model, points)
    climb = np.array([em_step(model, points) for _ in range(60)])
    assert np.diff(climb).min() >= -1e-9
    assert climb[-1] > climb[0] + 0.005


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_no_step_lowers_the_likelihood_at_the_floor_of_the_covariance(covariance: str) -> None:
    few = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1e-4], [3.0, 3.0], [3.0, 3.0]])[:, :, None, None]
    model = gaussians(4, covariance)
    em_step(model, few)
    climb = np.array([em_step(model, few) for _ in range(40)])
    assert np.diff(climb).min() >= -1e-9


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_scikit_learn_takes_the_same_steps_from_the_same_start(points: torch.Tensor, covariance: str) -> None:
    model = gaussians(5, covariance)
    em_step(model, points)  # the first components stand, and have taken one step
    precisions_KPP = torch.linalg.inv(model.covariances_KPP)
    theirs_of = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}
    start = {
        "full": precisions_KPP,
        "tied": precisions_KPP[0],
        "diagonal": precisions_KPP.diagonal(dim1=-2, dim2=-1),
        "spherical": precisions_KPP[:, 0, 0],
    }[covariance]
    theirs = sklearn_mixture.GaussianMixture(
        5, covariance_type=theirs_of[covariance], reg_covar=0.0, max_iter=15, tol=0.0,
        weights_init=model.weight_K.numpy(), means_init=model.mean_KP.numpy(), precisions_init=start.numpy(),
    )  # fmt: skip
    x_NP = points.flatten(1).double().numpy()
    with pytest.warns(match="did not converge"):  # it was told to take exactly so many steps
        theirs.fit(x_NP)
    for _ in range(15):
        em_step(model, points, 64)
    np.testing.assert_allclose(model.log_density(points).numpy(), theirs.score_samples(x_NP), atol=1e-3)
    np.testing.assert_allclose(model.responsibilities(points).numpy(), theirs.predict_proba(x_NP), atol=1e-3)


def test_the_density_is_that_of_torchs_mixture(points: torch.Tensor) -> None:
    for covariance in COVARIANCES:
        model = gaussians(5, covariance)
        for _ in range(3):
            em_step(model, points)
        theirs = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(model.weight_K),
            torch.distributions.MultivariateNormal(model.mean_KP, model.covariances_KPP),
        )
        torch.testing.assert_close(model.log_density(points), theirs.log_prob(points.flatten(1).double()))


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli"])
def test_the_bound_with_responsibilities_as_q_is_the_likelihood(
    kind: str, points: torch.Tensor, bits: torch.Tensor
) -> None:
    model: Mixture = gaussians() if kind == "gaussian" else bernoullis()
    x_NCHW = points if kind == "gaussian" else bits
    for _ in range(4):
        em_step(model, x_NCHW)
        terms = model.objective(Batch(x_NCHW, torch.arange(len(x_NCHW))), ONE, None).terms
        assert abs(float(terms["elbo"] - terms["log_likelihood"])) < 1e-10
        assert float(terms["kl"]) >= 0
        # As the measures take it, for one draw of the component: log p(x|k) + log pi_k - log r_k = log p(x).
        posterior = model.encode(x_NCHW)
        z = posterior.sample(torch.Generator().manual_seed(0))
        log_density = model.decode(z).log_prob(x_NCHW) + model.log_prior(z) - posterior.log_prob(z)
        torch.testing.assert_close(log_density, model.log_density(x_NCHW), atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(posterior.kl().mean(), terms["kl"])


def test_batches_of_an_epoch_make_the_same_step_as_all_at_once(points: torch.Tensor, bits: torch.Tensor) -> None:
    for whole, parts, x_NCHW in ((gaussians(), gaussians(), points), (bernoullis(), bernoullis(), bits)):
        em_step(whole, x_NCHW)
        parts.load_state_dict(whole.state_dict())
        em_step(whole, x_NCHW)
        em_step(parts, x_NCHW, 37)
        torch.testing.assert_close(whole.mean_KP, parts.mean_KP)
        torch.testing.assert_close(whole.weight_K, parts.weight_K)


def test_bernoulli_steps_raise_the_likelihood_or_with_smoothing_its_sum_with_the_prior(bits: torch.Tensor) -> None:
    for smoothing in (0.0, 0.1, 2.0):
        model = bernoullis(4, smoothing)
        em_step(model, bits)
        climb = []
        for _ in range(50):
            log_prior = smoothing * (model.mean_KP.log() + torch.log1p(-model.mean_KP)).sum() / len(bits)
            climb.append(em_step(model, bits) + float(log_prior))
        assert np.diff(climb).min() >= -1e-9
        assert climb[-1] > climb[0]


def test_a_bernoulli_step_is_the_textbooks(bits: torch.Tensor) -> None:
    model = bernoullis(3, 0.1)
    em_step(model, bits)
    r_NK, x_NP = model.responsibilities(bits), bits.flatten(1).double()
    mean_KP, weight_K = model.mean_KP.clone(), model.weight_K.clone()
    likelihood_NK = torch.stack([(mean**x_NP * (1 - mean) ** (1 - x_NP)).prod(-1) for mean in mean_KP], -1) * weight_K
    torch.testing.assert_close(r_NK, likelihood_NK / likelihood_NK.sum(-1, keepdim=True))
    em_step(model, bits)
    torch.testing.assert_close(model.mean_KP, (r_NK.T @ x_NP + 0.1) / (r_NK.sum(0)[:, None] + 0.2))
    torch.testing.assert_close(model.weight_K, r_NK.mean(0))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_more_components_than_distinct_points_give_no_number_that_is_not_finite(covariance: str) -> None:
    same = torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, 0.0], [1.0, 2.0], [-1.0, 0.0], [1.0, 2.0]])[:, :, None, None]
    model = gaussians(6, covariance)
    for _ in range(20):
        em_step(model, same)
        objective = model.objective(Batch(same, torch.arange(6)), ONE, None)
        assert all(torch.isfinite(term) for term in objective.terms.values())
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert torch.linalg.eigvalsh(model.covariances_KPP).min() >= VARIANCE_FLOOR * 0.999


def test_a_component_that_no_item_needs_keeps_its_shape_and_loses_its_weight(points: torch.Tensor) -> None:
    for covariance in COVARIANCES:
        model = gaussians(3, covariance)
        em_step(model, points)
        model.mean_KP[1] = 1e4
        before = model.covariances_KPP[1].clone()
        em_step(model, points)
        assert model.weight_K[1] == 0
        assert torch.equal(model.mean_KP[1], torch.tensor([1e4, 1e4], dtype=torch.float64))
        if covariance != "tied":
            torch.testing.assert_close(model.covariances_KPP[1], before)
        terms = model.objective(Batch(points, torch.arange(400)), ONE, None).terms
        assert all(torch.isfinite(term) for term in terms.values())
        assert (model.sample_prior(200, torch.Generator().manual_seed(0)) != 1).all()


def test_the_floor_raises_small_eigenvalues_and_leaves_the_rest() -> None:
    vectors = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()).Q
    found = lower_root((vectors * torch.tensor([4.0, 1e-9, -1e-12])) @ vectors.T[None])
    assert torch.equal(found, found.tril())
    eigenvalues = torch.linalg.eigvalsh(found @ found.mT)[0]
    torch.testing.assert_close(eigenvalues, torch.tensor([VARIANCE_FLOOR, VARIANCE_FLOOR, 4.0]).double())


def test_first_components_stand_far_apart_on_items_and_follow_the_seed(points: torch.Tensor) -> None:
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = build_model("gaussian-mixture", GaussianMixtureConfig(num_components=5), PLANE)
        model.learn(Batch(points, torch.arange(400)))
        found.append(cast("GaussianMixture", model).seed_KP.clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.cdist(found[0], points.flatten(1).double()).amin(1).max() == 0
    assert torch.nn.functional.pdist(found[0]).min() > 1


def test_small_batches_place_their_components_one_after_the_other(points: torch.Tensor) -> None:
    model = gaussians(10)
    for start in (0, 4, 8):
        index_B = torch.arange(start, start + 4)
        objective = model.learn(Batch(points[index_B], index_B))
        assert all(torch.isfinite(term) for term in objective.terms.values())
        assert float(model.weight_K.sum()) == pytest.approx(1)
        assert float(model.r_sum_K.sum()) == (4 if start == 8 else 0)
    assert torch.equal(model.seed_KP, points[:10].flatten(1).double())
    assert model.end_epoch()
    assert not gaussians(10).end_epoch(), "without items there is no step"


def test_samples_have_the_moments_of_the_mixture(points: torch.Tensor) -> None:
    for covariance in COVARIANCES:
        model = gaussians(5, covariance)
        for _ in range(10):
            em_step(model, points)
        generator = torch.Generator().manual_seed(0)
        x_SP = model.decode(model.sample_prior(40_000, generator)).sample(generator).flatten(1).double()
        torch.testing.assert_close(x_SP.mean(0), model.weight_K @ model.mean_KP, atol=0.1, rtol=0)
        offset_KP = model.mean_KP - model.weight_K @ model.mean_KP
        covariance_PP = (model.weight_K[:, None, None] * model.covariances_KPP).sum(0)
        covariance_PP += offset_KP.T @ (model.weight_K[:, None] * offset_KP)
        torch.testing.assert_close(torch.cov(x_SP.T), covariance_PP, atol=0.3, rtol=0.05)


def test_what_it_needs_is_said() -> None:
    gaussian, bernoulli = GaussianMixtureConfig(num_components=8), BernoulliMixtureConfig(num_components=8)
    for config, space, words in (
        (gaussian, DataSpace((2, 1, 1), 0, "gaussian", 7), "at most 7"),
        (bernoulli, DataSpace((1, 3, 4), 0, "threshold", 7), "at most 7"),
        (gaussian, DataSpace((1, 8, 8), 0, "grey"), "protocol gaussian"),
        (bernoulli, DataSpace((1, 8, 8), 0, "grey"), "dynamic, static or threshold"),
        (gaussian, DataSpace((3, 64, 64), 0, "gaussian"), "diagonal"),
    ):
        with pytest.raises(SettingError) as told:
            build_model("gaussian-mixture" if config is gaussian else "bernoulli-mixture", config, space)
        assert words in told.value.hint
