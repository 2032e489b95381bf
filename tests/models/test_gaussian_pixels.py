"""Gaussian pixels against torch's own densities and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.errors import SettingError
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian_pixels import (
    LOG_SIGMA_FLOOR,
    LOG_VARIANCE_RANGE,
    Gaussian,
    PixelwiseGaussian,
    floored_log_sigma,
    log_root,
)
from vae_explorer.models.interface import Batch
from vae_explorer.models.likelihoods import pairwise_log_prob
from vae_explorer.models.observation import observation_model
from vae_explorer.models.observation_base import smoothly_confined
from vae_explorer.models.observation_config import VARIANCES, ObservationConfig
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig

PICTURES = DataSpace((1, 3, 4), protocol="gaussian")
PLANE = DataSpace((2, 1, 1), protocol="gaussian")


def model_of(variance: str, data_space: DataSpace = PICTURES, **settings) -> torch.nn.Module:
    return observation_model(data_space, ObservationConfig(gaussian_variance=variance, **settings))


@pytest.mark.parametrize("log_sigma", [torch.tensor(-1.3), torch.randn(5, 1, 3, 4) - 1.0])
def test_log_prob_is_the_normal_density_summed_over_pixels(log_sigma: torch.Tensor) -> None:
    mean, x = torch.rand(5, 1, 3, 4), torch.rand(5, 1, 3, 4)
    expected = torch.distributions.Normal(mean, log_sigma.exp()).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Gaussian(mean, log_sigma).log_prob(x), expected)


@pytest.mark.parametrize("log_sigma", [torch.tensor(-5.9), torch.randn(6, 1, 9, 9) - 4.0])
def test_all_pairs_at_once_equal_one_by_one_also_with_a_small_sigma(log_sigma: torch.Tensor) -> None:
    mean, x = torch.rand(6, 1, 9, 9), torch.rand(4, 1, 9, 9)
    pairs = pairwise_log_prob(Gaussian(mean, log_sigma), x)
    exact = Gaussian(mean.double(), log_sigma.double())
    rows = [exact.log_prob(x_CHW.double().expand(6, -1, -1, -1)) for x_CHW in x]
    torch.testing.assert_close(pairs, torch.stack(rows), rtol=1e-11, atol=1e-8)


def test_a_sigma_of_the_root_of_one_half_is_the_plain_sum_of_squared_errors() -> None:
    mean, x = torch.rand(3, 1, 3, 4), torch.rand(3, 1, 3, 4)
    model = model_of("fixed", gaussian_mean="linear")
    expected = -(x - mean).square().flatten(1).sum(1) - 6 * math.log(math.pi)
    torch.testing.assert_close(model(mean).log_prob(x), expected)


def test_pictures_pass_a_sigmoid_and_points_of_the_plane_never_do() -> None:
    raw = torch.randn(4, 1, 3, 4) * 3
    torch.testing.assert_close(model_of("fixed")(raw).mean_BCHW, torch.sigmoid(raw))
    assert torch.equal(model_of("fixed", gaussian_mean="linear")(raw).mean_BCHW, raw)
    points = torch.randn(4, 2, 1, 1) * 3
    assert torch.equal(model_of("fixed", PLANE)(points).mean_BCHW, points)


def test_points_of_the_plane_have_no_other_protocol() -> None:
    with pytest.raises(SettingError, match="plane"):
        observation_model(DataSpace((2, 1, 1), protocol="grey"))


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("mean_kind", ["sigmoid", "linear"])
def test_the_first_bias_decodes_to_the_mean_image(variance: str, mean_kind: str) -> None:
    mean_CHW = torch.rand(3, 4, 5) * 0.9 + 0.05
    model = model_of(variance, DataSpace((3, 4, 5), protocol="gaussian"), gaussian_mean=mean_kind)
    decoded = model(model.first_bias(mean_CHW)[None])
    torch.testing.assert_close(decoded.mean_BCHW[0], mean_CHW)


def test_floors_are_smooth_and_the_identity_away_from_them() -> None:
    torch.testing.assert_close(floored_log_sigma(torch.tensor(1.0)), torch.tensor(1.0), atol=1e-3, rtol=0)
    low = torch.tensor(-50.0, requires_grad=True)
    assert floored_log_sigma(low).item() == pytest.approx(LOG_SIGMA_FLOOR)
    raw = torch.linspace(-40, 40, 801, requires_grad=True)
    bounded = smoothly_confined(raw, *LOG_VARIANCE_RANGE)
    # The upper bend lies below the identity and the lower one above it, by less than a rounding at the ends.
    assert bounded.min() >= LOG_VARIANCE_RANGE[0]
    assert bounded.max() <= LOG_VARIANCE_RANGE[1] + 1e-4
    (slope,) = torch.autograd.grad(bounded.sum(), raw)
    assert (slope[200:601] > 0).all()
    middle = torch.tensor(-2.5)
    torch.testing.assert_close(smoothly_confined(middle, *LOG_VARIANCE_RANGE), middle, atol=1e-2, rtol=0)


def test_the_optimal_sigma_is_the_best_there_is_for_the_batch_and_carries_a_gradient() -> None:
    model = model_of("optimal", gaussian_mean="linear").double().train()
    torch.manual_seed(0)
    x = torch.rand(6, 1, 3, 4, dtype=torch.float64)
    raw = torch.rand(6, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    best = model(raw).log_prob(x).mean()
    for log_sigma in torch.linspace(-3, 1, 41, dtype=torch.float64):
        assert Gaussian(raw, log_sigma).log_prob(x).mean() <= best + 1e-4
    assert torch.autograd.gradcheck(lambda mean: model(mean).log_prob(x).mean(), raw)


def test_a_perfect_picture_leaves_the_optimal_sigma_at_its_floor_with_a_finite_gradient() -> None:
    mean = torch.zeros(2, 1, 3, 4, requires_grad=True)
    log_sigma = log_root((mean - 0.0).square().mean())
    assert log_sigma.item() == pytest.approx(LOG_SIGMA_FLOOR, abs=1e-2)
    log_sigma.backward()
    assert torch.isfinite(mean.grad).all()


def vae(variance: str, data_space: DataSpace = PICTURES) -> VariationalAutoencoder:
    torch.manual_seed(0)
    return VariationalAutoencoder(VAEConfig(hidden_widths=(8,), gaussian_variance=variance), data_space)


def objective(model: VariationalAutoencoder, x: torch.Tensor):
    return model.objective(Batch(x, torch.arange(len(x))), torch.tensor(1.0), torch.Generator().manual_seed(1))


def test_the_running_variance_is_taken_up_in_training_only_and_travels_in_the_weights() -> None:
    x = torch.rand(50, 1, 3, 4)
    model = vae("optimal")
    z = torch.zeros(1, 2)
    before = model.decode(z).sigma.item()
    assert before == pytest.approx(0.5**0.5, rel=1e-2)
    model.eval()
    objective(model, x)
    assert model.decode(z).sigma.item() == before
    model.train()
    errors = []
    for _ in range(3):
        decoded = model.decode(model.encode(x).sample(torch.Generator().manual_seed(1)))
        errors.append((x - decoded.mean_BCHW).square().mean().item())
        objective(model, x)
    model.eval()
    assert model.decode(z).sigma.item() == pytest.approx(math.sqrt(sum(errors) / 3), rel=1e-2)
    other = vae("optimal").eval()
    other.load_state_dict(model.state_dict())
    assert other.decode(z).sigma.item() == model.decode(z).sigma.item()


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("data_space", [PICTURES, PLANE], ids=["pictures", "points"])
def test_every_variance_trains_and_a_draw_adds_noise_of_sigma(variance: str, data_space: DataSpace) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(64, *data_space.image_shape, generator=generator)
    model = vae(variance, data_space)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        found = objective(model, x)
        optimiser.zero_grad()
        found.loss.backward()
        optimiser.step()
        losses.append(found.loss.item())
    assert losses[-1] < losses[0]
    model.eval()
    with torch.no_grad():
        decoded = model.decode(torch.zeros(4000, 2))
        noise = decoded.sample(generator) - decoded.mean_BCHW
        torch.testing.assert_close(noise.std(0), decoded.sigma.expand_as(noise)[0], rtol=0.06, atol=0)
    assert isinstance(decoded, PixelwiseGaussian) == (variance == "per-pixel")


def test_a_learned_sigma_finds_the_noise_of_the_data() -> None:
    torch.manual_seed(0)
    x = 0.5 + 0.1 * torch.randn(2000, 1, 3, 4)
    model = model_of("learned")
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(200):
        loss = -model(torch.zeros_like(x)).log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert model(torch.zeros(1, 1, 3, 4)).sigma.item() == pytest.approx(0.1, rel=0.02)
