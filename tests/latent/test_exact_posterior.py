from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vae_explorer.errors import UserError
from vae_explorer.latent.exact_posterior import ExactPosterior, exact_posterior, prepared_coarse_grid
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.pacing import finished
from vae_explorer.models.gaussian import DiagonalGaussian, standard_normal_log_prob
from vae_explorer.models.interface import LatentSpace


@dataclass(frozen=True)
class GaussianPixels:
    mean_BCHW: Tensor
    sigma: float

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        standardised = ((x_BCHW - self.mean_BCHW) / self.sigma).double()
        constant = math.log(self.sigma) + 0.5 * math.log(2 * math.pi)
        return -(0.5 * standardised.square() + constant).flatten(1).sum(1)


class LinearGaussian(nn.Module):
    """x = W z + b + sigma * noise, z ~ N(0, I): its posterior is known in closed form."""

    def __init__(self, weight_PD: np.ndarray, sigma: float) -> None:
        super().__init__()
        self.latent_space = LatentSpace("euclidean", (weight_PD.shape[1],))
        self.weight_PD = nn.Parameter(torch.from_numpy(weight_PD).float(), requires_grad=False)
        self.sigma = sigma

    def decode(self, z: Tensor) -> GaussianPixels:
        return GaussianPixels((z @ self.weight_PD.T).view(len(z), 1, 1, -1), self.sigma)

    def log_prior(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def truth(self, x_P: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean and covariance of p(z|x), and log p(x)."""
        weight = self.weight_PD.double().numpy()
        covariance = np.linalg.inv(np.eye(weight.shape[1]) + weight.T @ weight / self.sigma**2)
        mean = covariance @ weight.T @ x_P / self.sigma**2
        marginal = weight @ weight.T + self.sigma**2 * np.eye(len(x_P))
        log_evidence = -0.5 * (x_P @ np.linalg.solve(marginal, x_P) + np.linalg.slogdet(2 * np.pi * marginal)[1])
        return mean, covariance, float(log_evidence)


def gaussian_kl(mean: np.ndarray, sigma: np.ndarray, to_mean: np.ndarray, to_covariance: np.ndarray) -> float:
    inverse = np.linalg.inv(to_covariance)
    offset = to_mean - mean
    log_ratio = np.linalg.slogdet(to_covariance)[1] - 2 * np.log(sigma).sum()
    return float(0.5 * (np.trace(inverse @ np.diag(sigma**2)) + offset @ inverse @ offset - len(mean) + log_ratio))


def picture(x_P: np.ndarray) -> Tensor:
    return torch.from_numpy(x_P).float().view(1, 1, -1)


@pytest.mark.parametrize(
    ("weight", "sigma", "x"),
    [
        ([[1.0], [0.5], [-0.3]], 0.6, [0.5, 0.1, 0.2]),
        ([[1.0], [0.0], [0.0]], 0.01, [1.2345, 0.0, 0.0]),
        ([[1.0, 0.2], [0.1, 0.8], [0.4, -0.5]], 0.5, [0.4, -0.8, 0.3]),
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 0.01, [1.2345, -0.731, 0.0]),
        # Thirty times as long as wide, at an angle to the cells.
        ([[1.0, 1.0], [0.03, -0.03], [0.0, 0.0]], 0.03, [0.7, 0.02, 0.0]),
        ([[3.0, 1.0], [1.0, 2.0], [0.5, -1.5]], 0.1, [6.0, 4.0, -1.0]),
    ],
)
@pytest.mark.parametrize("is_q_right", [True, False])
def test_a_linear_gaussian_model_has_its_closed_form(
    weight: list[list[float]], sigma: float, x: list[float], is_q_right: bool
) -> None:
    model, x_P = LinearGaussian(np.array(weight), sigma), np.array(x)
    mean, covariance, log_evidence = model.truth(x_P)
    q_mean, q_sigma = mean, np.sqrt(np.diag(covariance))
    if not is_q_right:
        q_mean, q_sigma = mean + 1.5 * q_sigma, 1.4 * q_sigma
    exact = finished(exact_posterior(model, picture(x_P), q_mean, q_sigma))
    assert np.exp(exact.log_weight_N).sum() == pytest.approx(1.0, abs=1e-12)
    width = np.sqrt(np.diag(covariance))
    assert np.abs(exact.mean_D - mean).max() < 0.01 * width.min()
    assert exact.sigma_D == pytest.approx(width, rel=0.01)
    assert exact.log_evidence == pytest.approx(log_evidence, abs=2e-3)
    assert exact.kl_from_q == pytest.approx(gaussian_kl(q_mean, q_sigma, mean, covariance), abs=5e-3)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("has_grid", [True, False])
def test_of_a_decoder_that_says_nothing_the_posterior_is_the_prior(dimensions: int, has_grid: bool) -> None:
    """So wide that the coarse cells themselves are what is summed."""
    model, x_P = LinearGaussian(np.zeros((3, dimensions)), 0.7), np.array([0.5, -0.2, 0.9])
    q_mean, q_sigma = np.array([0.6, -0.3])[:dimensions], np.array([0.4, 0.7])[:dimensions]
    coarse = finished(prepared_coarse_grid(model, (1, 1, 3))) if has_grid else None
    exact = finished(exact_posterior(model, picture(x_P), q_mean, q_sigma, coarse))
    log_evidence = float((-0.5 * (x_P / 0.7) ** 2 - math.log(0.7) - 0.5 * math.log(2 * math.pi)).sum())
    assert exact.log_evidence == pytest.approx(log_evidence, abs=1e-5)
    assert exact.mean_D == pytest.approx(np.zeros(dimensions), abs=1e-6)
    assert exact.sigma_D == pytest.approx(np.ones(dimensions), rel=1e-5)
    kl = 0.5 * (q_sigma**2 + q_mean**2 - 1.0 - 2.0 * np.log(q_sigma)).sum()
    assert exact.kl_from_q == pytest.approx(kl, abs=1e-5)
    assert len(np.unique(exact.size_N)) == 1, "the coarse cells were divided"


def test_a_narrow_posterior_is_found_where_q_does_not_look() -> None:
    model, x_P = LinearGaussian(np.eye(2), 0.01), np.array([0.37, 2.11])
    exact = finished(exact_posterior(model, picture(x_P), np.array([-2.0, -2.0]), np.array([0.5, 0.5])))
    assert np.abs(exact.mean_D - model.truth(x_P)[0]).max() < 1e-4
    assert exact.sigma_D == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_posterior_beyond_the_priors_box_is_found_around_q(side: float) -> None:
    model, x_P = LinearGaussian(np.eye(2), 0.05), np.array([9.0 * side, 0.5])
    mean, covariance, _ = model.truth(x_P)
    exact = finished(exact_posterior(model, picture(x_P), mean, np.sqrt(np.diag(covariance))))
    assert np.abs(exact.mean_D - mean).max() < 1e-3
    assert exact.kl_from_q == pytest.approx(0.0, abs=5e-3)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("has_grid", [True, False])
def test_an_outliers_mass_beyond_the_box_is_found_where_q_stops_short(dimensions: int, has_grid: bool) -> None:
    model = LinearGaussian(np.eye(dimensions), 0.4)
    x_P = np.array([6.9, -7.4])[:dimensions]
    _, covariance, log_evidence = model.truth(x_P)
    q_mean, q_sigma = np.array([5.2, -5.0])[:dimensions], np.full(dimensions, 0.05)
    coarse = finished(prepared_coarse_grid(model, (1, 1, dimensions))) if has_grid else None
    exact = finished(exact_posterior(model, picture(x_P), q_mean, q_sigma, coarse))
    assert exact.log_evidence == pytest.approx(log_evidence, abs=1e-4)
    assert exact.sigma_D == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


def of_network(explorer: Explorer, x_CHW: Tensor) -> tuple[ExactPosterior, DiagonalGaussian]:
    with torch.no_grad():
        posterior = explorer.posterior(x_CHW[None])
    mean, sigma = posterior.mean[0].numpy(), posterior.standard_deviation[0].numpy()
    coarse = finished(prepared_coarse_grid(explorer.network, tuple(x_CHW.shape)))
    return finished(exact_posterior(explorer.network, x_CHW, mean, sigma, coarse)), posterior


@pytest.mark.parametrize("dimensions", [1, 2])
def test_it_agrees_with_importance_sampling(make_snapshot: object, dimensions: int) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=dimensions))
    x_CHW = (torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3)) < 0.4).float()
    exact, posterior = of_network(explorer, x_CHW)
    assert np.exp(exact.log_weight_N).sum() == pytest.approx(1.0, abs=1e-12)
    # Draws from a Gaussian around the quadrature's result, twice as wide: what it would miss they may find.
    random = np.random.default_rng(0)
    num = 100_000
    noise = random.normal(size=(num, dimensions))
    z = exact.mean_D + 2 * exact.sigma_D * noise
    log_proposal = -0.5 * (noise**2).sum(1) - np.log(2 * exact.sigma_D).sum() - 0.5 * dimensions * math.log(2 * math.pi)
    z_ND = torch.from_numpy(z).float()
    with torch.no_grad():
        log_joint = explorer.network.decode(z_ND).log_prob(x_CHW[None]) + explorer.network.log_prior(z_ND)
    log_ratio = log_joint.double().numpy() - log_proposal
    ratio = np.exp(log_ratio - log_ratio.max())
    log_evidence = math.log(ratio.mean()) + log_ratio.max()
    assert exact.log_evidence == pytest.approx(log_evidence, abs=3 * ratio.std() / ratio.mean() / math.sqrt(num))
    weight = ratio / ratio.sum()
    mean = weight @ z
    error = np.sqrt((weight**2) @ (z - mean) ** 2)
    assert (np.abs(exact.mean_D - mean) < 3 * error).all()
    # KL(q || exact) = log p(x) - ELBO, with the ELBO from draws.
    draws = torch.from_numpy(random.normal(size=(20_000, dimensions))).float()
    with torch.no_grad():
        z_SD = posterior.mean + posterior.standard_deviation * draws
        bound = explorer.network.decode(z_SD).log_prob(x_CHW[None]) + explorer.network.log_prior(z_SD)
        bound = bound - posterior.log_prob(z_SD)
    assert exact.kl_from_q == pytest.approx(
        exact.log_evidence - float(bound.mean()), abs=3.5 * float(bound.std()) / math.sqrt(20_000) + 0.02
    )


def test_a_kept_grid_gives_the_same_and_steps_are_many(explorer: Explorer) -> None:
    x_CHW = (torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    with_grid, posterior = of_network(explorer, x_CHW)
    mean, sigma = posterior.mean[0].numpy(), posterior.standard_deviation[0].numpy()
    steps = exact_posterior(explorer.network, x_CHW, mean, sigma)
    num_steps = 0
    while True:
        try:
            assert next(steps) is None
            num_steps += 1
        except StopIteration as end:
            alone = end.value
            break
    assert num_steps >= 3
    assert alone.log_evidence == pytest.approx(with_grid.log_evidence, abs=1e-4)


def test_the_density_is_one_at_the_peak_and_falls_like_the_gaussian() -> None:
    model, x_P = LinearGaussian(np.eye(2), 0.1), np.array([0.4, -0.7])
    mean, covariance, _ = model.truth(x_P)
    width = math.sqrt(covariance[0, 0])
    exact = finished(exact_posterior(model, picture(x_P), mean, np.array([width, width])))
    places = mean + width * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, -2.0], [50.0, 0.0]])
    wanted = [1.0, math.exp(-0.5), math.exp(-2.0), 0.0]
    assert exact.density_at(places) == pytest.approx(wanted, abs=0.12)
    low, high = exact.extent()
    assert (low < mean - 3 * width).all()
    assert (high > mean + 3 * width).all()
    assert (high - low < 12 * width).all()


def test_bad_input_is_told_in_a_sentence(make_snapshot: object) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=3))
    x_CHW = torch.zeros(1, 8, 8)
    with pytest.raises(UserError, match="one or two"):
        finished(exact_posterior(explorer.network, x_CHW, np.zeros(3), np.ones(3)))
    explorer.adopt(make_snapshot(dimensions=2))
    with pytest.raises(UserError, match="not finite"):
        finished(exact_posterior(explorer.network, x_CHW, np.array([np.nan, 0.0]), np.ones(2)))
