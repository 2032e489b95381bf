"""PCA and probabilistic PCA against scikit-learn, closed forms, and the measured figures of MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
import torch
from sklearn import decomposition

from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.errors import SettingError
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch
from vae_explorer.models.pca import NOISE_FLOOR, PCA, ProbabilisticPCA
from vae_explorer.models.pca_config import PCAConfig, PPCAConfig
from vae_explorer.models.scatter import MOST_NUMBERS_LIVE, Scatter

SHAPE = (1, 4, 5)
ONE = torch.tensor(1.0)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def x_NCHW() -> torch.Tensor:
    """200 items of 20 numbers that vary by different amounts in random directions about a mean that is not 0."""
    generator = torch.Generator().manual_seed(3)
    scale_P = torch.linspace(2.0, 0.1, 20)
    mixing_PP = torch.linalg.qr(torch.randn(20, 20, generator=generator)).Q
    x_NP = torch.randn(200, 20, generator=generator) * scale_P @ mixing_PP + torch.rand(20, generator=generator)
    return x_NP.unflatten(-1, SHAPE)


def pca(dimensions: int, x_NCHW: torch.Tensor, batch_size: int = 64) -> PCA:
    model = cast("PCA", build_model("pca", PCAConfig(latent_dimensions=dimensions), DataSpace(SHAPE)))
    return fitted(model, x_NCHW, batch_size)


def ppca(dimensions: int, x_NCHW: torch.Tensor, batch_size: int = 64) -> ProbabilisticPCA:
    space = DataSpace(SHAPE, protocol="gaussian")
    model = cast("ProbabilisticPCA", build_model("ppca", PPCAConfig(latent_dimensions=dimensions), space))
    return fitted(model, x_NCHW, batch_size)


def fitted(model, x_NCHW: torch.Tensor, batch_size: int):
    for index_B in torch.arange(len(x_NCHW)).split(batch_size):
        model.learn(Batch(x_NCHW[index_B], index_B))
    assert model.end_epoch()
    return model


def covariance_of(model: ProbabilisticPCA) -> torch.Tensor:
    """C = W W' + s2 I, from what the model decodes."""
    dimensions = model.latent_space.dimensions
    origin_P = model.decode(torch.zeros(1, dimensions)).mean_BCHW.flatten()
    w_DP = (model.decode(torch.eye(dimensions)).mean_BCHW.flatten(1) - origin_P).double()
    return w_DP.T @ w_DP + model.noise_variance.double() * torch.eye(20)


def test_loadings_are_scikit_learns_with_the_largest_entry_positive(x_NCHW: torch.Tensor) -> None:
    model = pca(4, x_NCHW)
    theirs_DP = torch.from_numpy(
        decomposition.PCA(4, svd_solver="full").fit(x_NCHW.flatten(1).double().numpy()).components_
    )
    ours_DP = model.loadings_DP.double()
    signs_D = (ours_DP * theirs_DP).sum(-1).sign()
    torch.testing.assert_close(ours_DP, theirs_DP * signs_D[:, None], atol=1e-5, rtol=0)
    assert (ours_DP.gather(-1, ours_DP.abs().argmax(-1, keepdim=True)) > 0).all()


def test_scores_and_pictures_are_one_affine_map_and_the_mean_stands_at_the_origin(x_NCHW: torch.Tensor) -> None:
    model = pca(3, x_NCHW)
    torch.testing.assert_close(model.decode(torch.zeros(1, 3)).mean_BCHW[0], x_NCHW.mean(0))
    torch.testing.assert_close(model.encode(x_NCHW.mean(0, keepdim=True)).mean, torch.zeros(1, 3), atol=1e-6, rtol=0)
    y_BD = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 40.0]])
    torch.testing.assert_close(model.encode(model.decode(y_BD).mean_BCHW).mean, y_BD, atol=1e-4, rtol=0)
    middle = model.decode(y_BD.mean(0, keepdim=True)).mean_BCHW
    torch.testing.assert_close(middle, model.decode(y_BD).mean_BCHW.mean(0, keepdim=True), atol=1e-4, rtol=0)


def test_the_squared_error_is_the_sum_of_the_discarded_eigenvalues(x_NCHW: torch.Tensor) -> None:
    model = pca(5, x_NCHW)
    eigenvalues_P = torch.linalg.eigvalsh(torch.cov(x_NCHW.flatten(1).double().T, correction=0))
    error = model.objective(Batch(x_NCHW, torch.arange(200)), ONE, None).terms["squared_error"]
    assert float(error) == pytest.approx(float(eigenvalues_P[:-5].sum()), rel=1e-5)


def test_items_count_once_however_many_passes_and_whatever_the_batches(x_NCHW: torch.Tensor) -> None:
    once, often = pca(3, x_NCHW, 200), pca(3, x_NCHW, 7)
    torch.testing.assert_close(once.loadings_DP, often.loadings_DP, atol=1e-5, rtol=0)
    before = {name: value.clone() for name, value in often.state_dict().items()}
    often.learn(Batch(x_NCHW[:50], torch.arange(50)))
    assert not often.end_epoch()
    assert all(torch.equal(before[name], value) for name, value in often.state_dict().items())


def test_weights_follow_at_doubling_numbers_of_batches(x_NCHW: torch.Tensor) -> None:
    scatter = Scatter(20)
    times = [number for number in range(1, 21) if scatter.take_up(x_NCHW[:10].flatten(1))]
    assert times == [1, 2, 4, 8, 16]
    large = Scatter(MOST_NUMBERS_LIVE + 1)
    assert not large.take_up(torch.zeros(2, MOST_NUMBERS_LIVE + 1))


@pytest.mark.parametrize("dimensions", [1, 4, 19])
def test_the_likelihood_is_scikit_learns_score(x_NCHW: torch.Tensor, dimensions: int) -> None:
    model = ppca(dimensions, x_NCHW)
    x_NP = x_NCHW.flatten(1).double().numpy()
    theirs = decomposition.PCA(dimensions, svd_solver="full").fit(x_NP)
    # scikit-learn divides by N - 1, maximum likelihood by N.
    theirs.explained_variance_ *= 199 / 200
    theirs.noise_variance_ *= 199 / 200
    np.testing.assert_allclose(model.log_density(x_NCHW).numpy(), theirs.score_samples(x_NP), rtol=1e-4, atol=1e-3)


def test_the_likelihood_is_that_of_a_gaussian_with_covariance_c(x_NCHW: torch.Tensor) -> None:
    model = ppca(4, x_NCHW)
    gaussian = torch.distributions.MultivariateNormal(x_NCHW.flatten(1).double().mean(0), covariance_of(model))
    torch.testing.assert_close(
        model.log_density(x_NCHW), gaussian.log_prob(x_NCHW.flatten(1).double()), atol=1e-3, rtol=1e-5
    )


def test_the_bound_is_the_likelihood_because_the_posterior_is_exact(x_NCHW: torch.Tensor) -> None:
    model = ppca(4, x_NCHW)
    terms = model.objective(Batch(x_NCHW, torch.arange(200)), ONE, None).terms
    assert float(terms["elbo"]) == pytest.approx(-float(terms["nll"]), abs=1e-4)
    # And for a single z: log p(x|z) + log p(z) - log q(z|x) = log p(x), whatever z is.
    posterior = model.encode(x_NCHW)
    z = posterior.sample(torch.Generator().manual_seed(0))
    log_density = model.decode(z).log_prob(x_NCHW) + model.log_prior(z) - posterior.log_prob(z)
    torch.testing.assert_close(log_density.double(), model.log_density(x_NCHW), atol=1e-3, rtol=1e-4)


def test_the_posterior_is_the_textbooks_and_the_same_everywhere(x_NCHW: torch.Tensor) -> None:
    model = ppca(3, x_NCHW)
    w_PD = (model.loadings_DP * model.scale_D[:, None]).T
    m_DD = w_PD.T @ w_PD + model.noise_variance * torch.eye(3)
    posterior = model.encode(x_NCHW)
    expected = (x_NCHW.flatten(1) - model.mean_P) @ w_PD @ torch.linalg.inv(m_DD)
    torch.testing.assert_close(posterior.mean, expected, atol=1e-4, rtol=1e-4)
    covariance_DD = model.noise_variance * torch.linalg.inv(m_DD)
    torch.testing.assert_close(torch.diag(posterior.log_variance[7].exp()), covariance_DD, atol=1e-5, rtol=1e-4)
    assert torch.equal(posterior.log_variance[0], posterior.log_variance[-1])


def test_samples_of_the_prior_have_the_covariance_of_the_data_in_the_plane(x_NCHW: torch.Tensor) -> None:
    model = ppca(2, x_NCHW)
    generator = torch.Generator().manual_seed(1)
    x_SP = model.decode(model.sample_prior(20_000, generator)).sample(generator).flatten(1).double()
    torch.testing.assert_close(torch.cov(x_SP.T), covariance_of(model), atol=0.15, rtol=0.1)


def test_fewer_items_than_dimensions_leave_no_number_that_is_not_finite() -> None:
    x_NCHW = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    for model in (pca(6, x_NCHW), ppca(6, x_NCHW), ppca(6, x_NCHW[:1].expand(3, -1, -1, -1))):
        objective = model.objective(Batch(x_NCHW, torch.arange(2)), ONE, None)
        assert all(torch.isfinite(term) for term in objective.terms.values())
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert model.noise_variance == pytest.approx(NOISE_FLOOR)


@pytest.mark.parametrize(("name", "config", "space", "words"), [
    ("ppca", PPCAConfig(), DataSpace((1, 28, 28), protocol="grey"), "protocol gaussian"),
    ("ppca", PPCAConfig(latent_dimensions=2), DataSpace((2, 1, 1), protocol="gaussian"), "at most 1"),
    ("pca", PCAConfig(latent_dimensions=21), DataSpace(SHAPE), "at most 20"),
    ("pca", PCAConfig(), DataSpace((3, 64, 64)), "at most 4,096"),
])  # fmt: skip
def test_data_that_cannot_be_fitted_are_named(name: str, config: object, space: DataSpace, words: str) -> None:
    with pytest.raises(SettingError) as told:
        build_model(name, config, space)
    assert words in told.value.hint


@pytest.mark.slow
def test_mnist_gives_the_measured_figures() -> None:
    """MODELS.md 3.1: test MSE a pixel to 1e-5, closed-form test NLL on x / 255 to 0.1, from all 60,000 images."""
    dataset, test = load_dataset("mnist", 0), load_test_split("mnist")
    scatter = Scatter(784)
    for index_B in torch.arange(60_000).split(6_000):
        scatter.take_up(apply_protocol("gaussian", dataset.images.gather(index_B)).flatten(1))
    x_NCHW = apply_protocol("gaussian", test.images.gather(torch.arange(10_000)))
    space = DataSpace((1, 28, 28), 10, "gaussian")
    for dimensions, mse, nll in (
        (2, 0.05567, -14.4),
        (10, 0.03407, -186.0),
        (20, 0.02354, -306.6),
        (50, 0.01149, -517.6),
    ):
        for name, config in (("pca", PCAConfig), ("ppca", PPCAConfig)):
            model = cast("PCA", build_model(name, config(latent_dimensions=dimensions), space))
            model.scatter.load_state_dict(scatter.state_dict())
            model.solve()
            terms = model.objective(Batch(x_NCHW, torch.arange(10_000)), ONE, None).terms
            if name == "pca":
                assert float(terms["squared_error"]) / 784 == pytest.approx(mse, abs=1e-5)
            else:
                assert float(terms["nll"]) == pytest.approx(nll, abs=0.1)
                assert float(terms["elbo"]) == pytest.approx(-float(terms["nll"]), abs=1e-3)
