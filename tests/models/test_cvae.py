"""The conditional VAE that is told the class, and Gaussians with a prior of their own."""

from __future__ import annotations

import math

import pytest
import torch

from vae_explorer.errors import SettingError
from vae_explorer.models.building import build_model
from vae_explorer.models.conditioned import Conditioned, under
from vae_explorer.models.cvae import ConditionalVAE
from vae_explorer.models.cvae_config import CVAEConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import Batch

SHAPE = (1, 6, 5)


def built(**changes: object) -> ConditionalVAE:
    torch.manual_seed(0)
    config = CVAEConfig(hidden_widths=(16,), channels=(4,), latent_dimensions=3, **changes)
    model = build_model("cvae", config, DataSpace(SHAPE, 4, "dynamic"))
    assert isinstance(model, ConditionalVAE)
    if model.prior_2DK is not None:
        model.prior_2DK.data.normal_()
    return model


def a_batch(num: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x_BCHW = torch.rand(num, *SHAPE, generator=generator).round()
    return Batch(x_BCHW, torch.arange(num), torch.arange(num) % 4)


def test_the_kl_to_another_gaussian_is_that_of_a_million_draws() -> None:
    prior = DiagonalGaussian(torch.tensor([[0.7, -1.0]]), torch.tensor([[0.5, -0.8]]))
    posterior = DiagonalGaussian(torch.tensor([[-0.2, 0.4]]), torch.tensor([[-1.0, 0.3]]), prior)
    noise_SD = torch.randn(1_000_000, 2, generator=torch.Generator().manual_seed(0))
    z_SD = posterior.mean + posterior.standard_deviation * noise_SD
    term_S = (posterior.log_prob(z_SD) - prior.log_prob(z_SD)).double()
    error = float(term_S.std()) / 1000
    assert float(posterior.kl()) == pytest.approx(float(term_S.mean()), abs=4 * error)
    # By hand, of the first coordinate: 1/2 (0.9^2 / e^0.5 + e^-1.5 + 1.5 - 1).
    by_hand = 0.5 * (0.81 / math.exp(0.5) + math.exp(-1.5) + 1.5 - 1)
    assert float(posterior.kl_per_dimension()[0, 0]) == pytest.approx(by_hand, abs=1e-6)


def test_the_kl_to_itself_is_exactly_zero_and_to_n01_that_without_a_prior() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    itself = DiagonalGaussian(mean, log_variance, DiagonalGaussian(mean, log_variance))
    assert torch.equal(itself.kl(), torch.zeros(5))
    zeros = torch.zeros(5, 3)
    standard = DiagonalGaussian(mean, log_variance, DiagonalGaussian(zeros, zeros))
    assert torch.equal(standard.kl(), DiagonalGaussian(mean, log_variance).kl())


@pytest.mark.parametrize("body", ["mlp", "convolutional"])
@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_the_objective_is_the_bound_on_log_p_of_x_given_y(prior: str, body: str) -> None:
    model, batch = built(prior=prior, body=body), a_batch()
    objective = model.objective(batch, torch.tensor(2.0), torch.Generator().manual_seed(3))
    posterior = model.encode(batch.x_BCHW, batch.label_B)
    z_BD = posterior.sample(torch.Generator().manual_seed(3))
    log_prob_B = model.decode(z_BD, batch.label_B).log_prob(batch.x_BCHW)
    if model.prior_2DK is None:
        kl_B = DiagonalGaussian(posterior.mean, posterior.log_variance).kl()
    else:
        mean_BD, raw_BD = model.prior_2DK[:, batch.label_B].T.chunk(2, 1)
        log_variance_BD = 10 * torch.tanh(raw_BD / 10)
        kl_B = torch.distributions.kl_divergence(
            torch.distributions.Normal(posterior.mean, posterior.standard_deviation),
            torch.distributions.Normal(mean_BD, torch.exp(log_variance_BD / 2)),
        ).sum(1)
    assert objective.loss.item() == pytest.approx((2 * kl_B - log_prob_B).mean().item(), rel=1e-5)
    assert float(objective.terms["elbo"]) == pytest.approx((log_prob_B - kl_B).mean().item(), rel=1e-5)


def test_the_class_reaches_encoder_and_decoder() -> None:
    model, batch = built(), a_batch()
    other_B = (batch.label_B + 1) % 4
    z_BD = torch.zeros(8, 3)
    assert not torch.allclose(model.decode(z_BD, batch.label_B).mean_BCHW, model.decode(z_BD, other_B).mean_BCHW)
    assert not torch.allclose(model.encode(batch.x_BCHW, batch.label_B).mean, model.encode(batch.x_BCHW, other_B).mean)


def test_draws_of_a_learned_prior_are_of_their_own_class() -> None:
    model = built(prior="learned")
    num = 20_000
    label_N = torch.arange(num) % 4
    z_ND = model.sample_prior(num, torch.Generator().manual_seed(0), label_N)
    for label in range(4):
        mean_D, raw_D = model.prior_2DK[:, label].detach().chunk(2)
        sigma_D = torch.exp(5 * torch.tanh(raw_D / 10))
        found_MD = z_ND[label_N == label].detach()
        assert torch.allclose(found_MD.mean(0), mean_D, atol=5 * float(sigma_D.max()) / math.sqrt(num / 4))
        expected = torch.distributions.Normal(mean_D, sigma_D).log_prob(found_MD).sum(1)
        told = torch.full((len(found_MD),), label)
        assert torch.allclose(model.log_prior(found_MD, told), expected, atol=1e-4)


def test_who_is_told_nothing_says_so() -> None:
    model, batch = built(), a_batch()
    for ask in (
        lambda: model.encode(batch.x_BCHW),
        lambda: model.decode(torch.zeros(8, 3)),
        lambda: model.log_prior(torch.zeros(8, 3)),
        lambda: model.condition_of(batch.x_BCHW, None),
    ):
        with pytest.raises(TypeError, match="told the class"):
            ask()


def test_data_without_labels_are_refused_with_what_to_do() -> None:
    with pytest.raises(SettingError, match="needs labels") as caught:
        build_model("cvae", CVAEConfig(), DataSpace(SHAPE, 0))
    assert caught.value.hint


def test_a_model_under_a_condition_needs_to_be_told_nothing_more() -> None:
    model, batch = built(prior="learned"), a_batch()
    sevens = Conditioned(model, torch.tensor([3]))
    told_B = torch.full((8,), 3)
    z_BD = torch.randn(8, 3)
    assert torch.equal(sevens.decode(z_BD).mean_BCHW, model.decode(z_BD, told_B).mean_BCHW)
    assert torch.equal(sevens.log_prior(z_BD), model.log_prior(z_BD, told_B))
    assert torch.equal(sevens.encode(batch.x_BCHW).mean, model.encode(batch.x_BCHW, told_B).mean)
    drawn_BD = sevens.sample_prior(8, torch.Generator().manual_seed(0))
    assert torch.equal(drawn_BD, model.sample_prior(8, torch.Generator().manual_seed(0), told_B))
    rows = under(model, batch.label_B)
    assert torch.equal(rows.decode(z_BD).mean_BCHW, model.decode(z_BD, batch.label_B).mean_BCHW)
    assert under(model, None) is model
