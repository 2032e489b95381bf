"""Measures against closed forms on pictures small enough to sum over all of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from vae_explorer.evaluation.bounds import active_units, bound_parts, importance_weighted
from vae_explorer.evaluation.evaluation import BLOCK_IMAGES, Evaluation, posteriors
from vae_explorer.evaluation.images import ScoredImages
from vae_explorer.evaluation.quadrature import log_marginal, negative_log_likelihood
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import LatentModel, LatentSpace
from vae_explorer.models.likelihoods import Bernoulli, pairwise_log_prob
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig


def toy(latents: int = 2, seed: int = 0, scale: float = 1.0, size: int = 3) -> VariationalAutoencoder:
    """A random net on (1, size, size) pictures; `scale` makes its pictures depend more on z."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = VAEConfig(latent_dimensions=latents, hidden_widths=(8,), activation="tanh")
        model = VariationalAutoencoder(config, DataSpace((1, size, size))).eval()
        with torch.no_grad():
            for parameter in model.decoder.parameters():
                parameter.mul_(scale)
    return model


def pictures(num: int, size: int = 3, seed: int = 0) -> ScoredImages:
    bits = np.random.RandomState(seed).randint(0, 2, size=(num, 1, size, size)).astype(np.uint8)
    return ScoredImages(split="test", protocol="dynamic", stored_NCHW=torch.from_numpy(bits), binarised=True)


def all_pictures(size: int = 2) -> ScoredImages:
    bits = np.array(list(itertools.product([0, 1], repeat=size * size)), dtype=np.uint8).reshape(-1, 1, size, size)
    return ScoredImages(split="test", protocol="dynamic", stored_NCHW=torch.from_numpy(bits), binarised=True)


def brute_force(model: VariationalAutoencoder, images: ScoredImages, side: int = 241, reach: float = 7.0) -> np.ndarray:
    """log p(x) by an own sum in float64 over an own grid."""
    dimensions = model.latent_space.dimensions
    line = np.linspace(-reach, reach, side)
    points = np.stack(np.meshgrid(*[line] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    decoder = [(np.asarray(layer.weight.detach(), dtype=np.float64), np.asarray(layer.bias.detach(), dtype=np.float64))
               for layer in model.decoder if isinstance(layer, torch.nn.Linear)]  # fmt: skip
    hidden = np.tanh(points @ decoder[0][0].T + decoder[0][1])
    chance = 1 / (1 + np.exp(-(hidden @ decoder[1][0].T + decoder[1][1])))
    prior = np.exp(-0.5 * (points**2).sum(1)) / (2 * np.pi) ** (dimensions / 2)
    x = images.stored_NCHW.flatten(1).numpy().astype(bool)
    given = np.stack([np.where(row, chance, 1 - chance).prod(1) for row in x])
    return np.log((given * prior).sum(1) * (line[1] - line[0]) ** dimensions)


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_quadrature_equals_brute_force(latents: int, scale: float) -> None:
    model, images = toy(latents, scale=scale), pictures(40)
    result = negative_log_likelihood(model, images)
    np.testing.assert_allclose(result.nll_N.numpy(), -brute_force(model, images), atol=2e-5)
    assert result.check_images == 40
    assert abs(result.check_difference) < 1e-5


@pytest.mark.parametrize("latents", [1, 2])
def test_the_exact_likelihood_sums_to_one_over_all_pictures(latents: int) -> None:
    model = toy(latents, scale=5.0, size=2)
    total = log_marginal(model, all_pictures(), 128).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-6)


def test_a_coarse_grid_is_told_by_its_check() -> None:
    model, images = toy(scale=40.0), pictures(30)
    fine = negative_log_likelihood(model, images)
    coarse = -log_marginal(model, images, 8)
    assert abs(float((coarse - fine.nll_N).mean())) > 10 * abs(fine.check_difference)


def blind(model: VariationalAutoencoder) -> VariationalAutoencoder:
    """Encoder gives the prior and decoder does not look at z, so every bound is the exact likelihood."""
    with torch.no_grad():
        for layer in (model.encoder[-1], model.decoder[-1]):
            assert isinstance(layer, torch.nn.Linear)
            layer.weight.zero_()
        model.encoder[-1].bias.zero_()  # type: ignore[operator]
    return model


def test_without_information_in_z_every_bound_is_the_bernoulli_likelihood() -> None:
    model, images = blind(toy(scale=3.0)), pictures(50)
    chance = torch.sigmoid(model.decoder[-1].bias).double()  # type: ignore[arg-type]
    x = images.stored_NCHW.flatten(1).double()
    exact = -(x * chance.log() + (1 - x) * (1 - chance).log()).sum(1)
    parts = bound_parts(model, images, 3, 0, 1000)
    torch.testing.assert_close(parts.reconstruction_N, exact, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.kl_N, torch.zeros_like(exact))
    weighted = importance_weighted(model, images, 7, 0, 1000)
    torch.testing.assert_close(weighted.nll_N, exact, atol=1e-5, rtol=0)
    torch.testing.assert_close(weighted.effective_samples_N, torch.full_like(exact, 7.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(negative_log_likelihood(model, images).nll_N, exact, atol=1e-5, rtol=0)
    assert float(posteriors(model, images)[0].var(0).max()) == 0


def test_the_bounds_order_themselves_around_the_truth() -> None:
    model, images = toy(scale=6.0), pictures(400)
    exact = float(negative_log_likelihood(model, images).nll_N.mean())
    parts = bound_parts(model, images, 50, 0, 1000)
    elbo = float((parts.reconstruction_N + parts.kl_N).mean())
    means = {k: float(importance_weighted(model, images, k, 0, 1000).nll_N.mean()) for k in (1, 5, 25, 125, 600)}
    one = importance_weighted(model, images, 1, 0, 1000).nll_N
    error = float(one.std()) / math.sqrt(len(one))
    assert means[1] == pytest.approx(elbo, abs=4 * error), "the same expectation, by different draws"
    ordered = list(means.values())
    assert all(later <= earlier + 0.005 for earlier, later in itertools.pairwise(ordered))
    assert exact <= ordered[-1] + 0.005
    assert elbo - exact > 0.05, "the encoder is untrained, so the bound is loose"
    assert ordered[-1] - exact < 0.3 * (elbo - exact)


def test_iwae_converges_to_quadrature_and_tells_its_sample_size() -> None:
    model, images = toy(scale=2.0), pictures(20)
    weighted = importance_weighted(model, images, 20_000, 1, 1000)
    exact = negative_log_likelihood(model, images).nll_N
    torch.testing.assert_close(weighted.nll_N, exact, atol=0.05, rtol=0)
    assert bool((weighted.effective_samples_N > 1).all())
    assert bool((weighted.effective_samples_N <= 20_000).all())


def test_the_closed_kl_is_the_mean_of_its_samples() -> None:
    model, images = toy(), pictures(1)
    with torch.inference_mode():
        posterior = model.encode(images.x(0, 1).expand(100_000, -1, -1, -1))
        z = posterior.sample(torch.Generator().manual_seed(0))
        sampled = (posterior.log_prob(z) - model.log_prior(z)).double()
    exact = float(bound_parts(model, images, 1, 0, 1000).kl_N[0])
    error = float(sampled.std()) / math.sqrt(len(sampled))
    assert float(sampled.mean()) == pytest.approx(exact, abs=4 * error)


@pytest.mark.parametrize("rows", [1, 7, 333])
def test_numbers_do_not_depend_on_how_many_are_decoded_at_once(rows: int) -> None:
    model, images = toy(scale=4.0), pictures(BLOCK_IMAGES + 50)
    few, many = bound_parts(model, images, 2, 5, rows), bound_parts(model, images, 2, 5, 1000)
    torch.testing.assert_close(few.reconstruction_N, many.reconstruction_N, atol=1e-5, rtol=0)
    assert torch.equal(few.kl_N, many.kl_N)
    images = images.first(30)
    few_weighted = importance_weighted(model, images, 20, 5, rows)
    torch.testing.assert_close(few_weighted.nll_N, importance_weighted(model, images, 20, 5, 1000).nll_N)


def test_the_seed_decides_the_draws_and_no_global_generator_is_touched() -> None:
    model, images = toy(scale=4.0), pictures(60)
    before = torch.random.get_rng_state()
    first, again, other = (bound_parts(model, images, 1, seed, 1000).reconstruction_N for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_active_units_are_those_whose_mean_moves() -> None:
    model, images = toy(latents=3), pictures(500)
    with torch.no_grad():
        final = model.encoder[-1]
        assert isinstance(final, torch.nn.Linear)
        final.weight[1].zero_()
        final.weight[0].mul_(5)
        final.weight[2].mul_(5)
    found = active_units(Evaluation(model=model, record=MODELS["vae"], images=images))
    variance_D = torch.tensor(found.detail["variance_per_dimension"], dtype=torch.float64)
    with torch.inference_mode():
        mean = model.encode(images.x(0, 500)).mean
    assert isinstance(mean, torch.Tensor)
    torch.testing.assert_close(variance_D, mean.double().var(0, correction=0), atol=1e-6, rtol=0)
    assert found.value == 2
    assert float(variance_D[1]) < 1e-9


class GreyPicture:
    """A likelihood of another kind, as a later model may bring: a unit Gaussian around the mean."""

    def __init__(self, mean_BCHW: torch.Tensor) -> None:
        self.mean_BCHW = mean_BCHW

    def log_prob(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return -0.5 * ((x_BCHW - self.mean_BCHW) ** 2 + math.log(2 * math.pi)).flatten(1).sum(1)

    def sample(self, generator: torch.Generator | None) -> torch.Tensor:
        return self.mean_BCHW


class LinearGaussian(LatentModel):
    """x = W z + b + unit noise, whose likelihood is the Gaussian N(b, W W' + I)."""

    def __init__(self, weight_PD: torch.Tensor, bias_P: torch.Tensor) -> None:
        super().__init__()
        self.weight_PD, self.bias_P = weight_PD, bias_P
        self.latent_space = LatentSpace("euclidean", (weight_PD.shape[1],))

    def objective(self, batch: Any, beta: Any, generator: Any) -> Any:
        raise NotImplementedError

    def encode(self, x_BCHW: torch.Tensor, condition: Any = None) -> DiagonalGaussian:
        zero = torch.zeros(len(x_BCHW), self.weight_PD.shape[1])
        return DiagonalGaussian(zero, zero)

    def decode(self, z: Any, condition: Any = None) -> GreyPicture:
        return GreyPicture((z @ self.weight_PD.T + self.bias_P).unflatten(1, (1, 2, 2)))

    def log_prior(self, z: Any, condition: Any = None) -> torch.Tensor:
        return -0.5 * (z**2 + math.log(2 * math.pi)).sum(1)


@pytest.mark.parametrize("latents", [1, 2])
def test_quadrature_of_a_linear_gaussian_model_is_its_closed_form(latents: int) -> None:
    generator = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(4, latents, generator=generator), torch.randn(4, generator=generator)
    model, images = LinearGaussian(weight, bias), all_pictures()
    covariance = (weight @ weight.T + torch.eye(4)).double()
    normal = torch.distributions.MultivariateNormal(bias.double(), covariance)
    exact = normal.log_prob(images.stored_NCHW.flatten(1).double())
    torch.testing.assert_close(log_marginal(model, images, 128), exact, atol=1e-4, rtol=0)
    weighted = importance_weighted(model, images, 20_000, 0, 1000)
    torch.testing.assert_close(weighted.nll_N, -exact, atol=0.1, rtol=0)


def test_all_pairs_by_one_product_equal_them_one_by_one() -> None:
    logits = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * 5
    images = pictures(4)
    x = images.x(0, 4)
    found = pairwise_log_prob(Bernoulli(logits), x)
    for b in range(4):
        expected = Bernoulli(logits).log_prob(x[b].expand(6, -1, -1, -1))
        torch.testing.assert_close(found[b], expected.double(), atol=1e-4, rtol=0)
