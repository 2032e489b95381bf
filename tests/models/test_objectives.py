"""IWAE, beta-VAE, its capacity form, beta-TC-VAE and free bits against their formulas and against quadrature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vae_explorer.models.aggregate_posterior import decompose_kl
from vae_explorer.models.beta_tcvae import BetaTCVAE, minibatch_kl_parts
from vae_explorer.models.beta_tcvae_config import BetaTCVAEConfig
from vae_explorer.models.beta_vae import CapacityVAE
from vae_explorer.models.beta_vae_config import BetaVAEConfig
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import Batch
from vae_explorer.models.iwae import ImportanceWeightedAutoencoder
from vae_explorer.models.iwae_config import IWAEConfig
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig

SPACE = DataSpace((1, 4, 4), protocol="dynamic", num_items=500)
SMALL = {"hidden_widths": (12,), "activation": "tanh"}
ONE = torch.tensor(1.0)


def stripes(num: int) -> Tensor:
    """Bits with structure, so that codes tell something: rows that are on together, with one bit in ten turned."""
    generator = torch.Generator().manual_seed(0)
    rows = (torch.rand(num, 4, 1, generator=generator) > 0.5).double().expand(num, 4, 4)
    turned = (torch.rand(num, 4, 4, generator=generator) < 0.1).double()
    return (rows + turned - 2 * rows * turned)[:, None]


def batch_of(x: Tensor) -> Batch:
    return Batch(x, torch.arange(len(x)))


def draws(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vae_of(config, space: DataSpace = SPACE) -> VariationalAutoencoder:
    torch.manual_seed(0)
    name = {"VAEConfig": "vae", "IWAEConfig": "iwae", "BetaVAEConfig": "beta-vae", "BetaTCVAEConfig": "beta-tcvae"}
    return build_model(name[type(config).__name__], config, space).double()


def trained(model: VariationalAutoencoder, x: Tensor, steps: int = 150) -> VariationalAutoencoder:
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    generator = draws()
    for _ in range(steps):
        loss = model.objective(batch_of(x), ONE, generator).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def log_likelihood_by_quadrature(model: VariationalAutoencoder, x: Tensor) -> Tensor:
    line = torch.linspace(-7, 7, 281, dtype=torch.float64)
    z = torch.cartesian_prod(line, line)
    with torch.no_grad():
        decoded = model.decode(z).logits_BCHW.flatten(1)
        joint = x.flatten(1) @ decoded.T - torch.nn.functional.softplus(decoded).sum(1) + model.log_prior(z)
    return torch.logsumexp(joint, 1) + 2 * math.log(14 / 280)


@pytest.fixture(scope="module")
def trained_iwae() -> tuple[VariationalAutoencoder, Tensor]:
    x = stripes(64)
    return trained(vae_of(IWAEConfig(importance_samples=5, **SMALL)), x), x


def test_iwae_never_falls_with_k_and_stays_below_quadrature(
    trained_iwae: tuple[ImportanceWeightedAutoencoder, Tensor],
) -> None:
    model, x = trained_iwae
    exact = float(log_likelihood_by_quadrature(model, x).mean())
    bounds, errors = [], []
    for k in (1, 2, 5, 20, 100, 1000):
        model.importance_samples = k
        with torch.no_grad():
            repeats = [float(model.objective(batch_of(x), ONE, draws(seed)).terms["iwae"]) for seed in range(8)]
        bounds.append(torch.tensor(repeats).mean().item())
        errors.append(torch.tensor(repeats).std().item() / math.sqrt(8))
    for lower, higher, error in zip(bounds, bounds[1:], errors, strict=False):
        assert higher > lower - 2 * error
    assert bounds[-1] > bounds[0] + 0.05, "a posterior that is exact already would show nothing"
    assert all(bound < exact + 2 * error for bound, error in zip(bounds, errors, strict=True))
    assert bounds[-1] == pytest.approx(exact, abs=0.02)


def test_iwae_with_one_sample_is_the_elbo() -> None:
    x = stripes(40)
    model = vae_of(IWAEConfig(importance_samples=1, **SMALL))
    plain = vae_of(VAEConfig(**SMALL))
    found = model.objective(batch_of(x), ONE, draws())
    posterior = model.encode(x)
    z = posterior.sample(draws())
    one_sample = model.decode(z).log_prob(x) + model.log_prior(z) - posterior.log_prob(z)
    torch.testing.assert_close(found.loss, -one_sample.mean())
    torch.testing.assert_close(found.terms["iwae"], one_sample.mean().detach())
    expected = plain.objective(batch_of(x), ONE, draws()).terms
    for name, value in expected.items():
        torch.testing.assert_close(found.terms[name], value)
    with torch.no_grad():
        many = torch.stack([model.objective(batch_of(x), ONE, draws(seed)).terms["iwae"] for seed in range(400)])
        elbo = torch.stack([plain.objective(batch_of(x), ONE, draws(seed)).terms["elbo"] for seed in range(400)])
    assert float(many.mean()) == pytest.approx(float(elbo.mean()), abs=3 * float(many.std()) / 20)


def test_iwaes_loss_is_the_log_of_the_mean_weight_and_reports_beta_1() -> None:
    x = stripes(6)
    model = vae_of(IWAEConfig(importance_samples=7, **SMALL))
    found = model.objective(batch_of(x), torch.tensor(0.5), draws())
    posterior = model.encode(x)
    noise = torch.randn(7, 6, 2, generator=draws(), dtype=torch.float64)
    likelihood, ratio = torch.zeros(7, 6).double(), torch.zeros(7, 6).double()
    for i in range(7):
        z = posterior.mean + posterior.standard_deviation * noise[i]
        likelihood[i] = model.decode(z).log_prob(x)
        ratio[i] = model.log_prior(z) - posterior.log_prob(z)
    torch.testing.assert_close(found.loss, -(likelihood + 0.5 * ratio).exp().mean(0).log().mean())
    torch.testing.assert_close(found.terms["iwae"], (likelihood + ratio).exp().mean(0).log().mean().detach())
    torch.testing.assert_close(found.terms["reconstruction"], -likelihood.mean().detach())


def test_iwae_decodes_all_samples_of_a_batch_and_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = stripes(6)
    model = vae_of(IWAEConfig(importance_samples=7, **SMALL))
    with torch.no_grad():
        whole = model.objective(batch_of(x), ONE, draws()).terms["iwae"]
        monkeypatch.setattr("vae_explorer.models.iwae._ROWS_AT_ONCE", 12)
        assert torch.equal(whole, model.objective(batch_of(x), ONE, draws()).terms["iwae"])


def test_beta_weighs_the_kl_and_is_4_unless_asked() -> None:
    x = stripes(10)
    config = BetaVAEConfig(**SMALL)
    assert config.beta == 4.0
    found = vae_of(config).objective(batch_of(x), torch.tensor(4.0), draws())
    torch.testing.assert_close(found.loss.detach(), found.terms["reconstruction"] + 4 * found.terms["kl"])
    torch.testing.assert_close(found.terms["elbo"], -(found.terms["reconstruction"] + found.terms["kl"]))


def test_the_capacity_form_holds_the_kl_at_a_capacity_that_rises_with_the_images_seen() -> None:
    x = stripes(10)
    model = vae_of(BetaVAEConfig(kl_form="capacity", capacity=8.0, capacity_ramp_images=40, **SMALL))
    assert isinstance(model, CapacityVAE)
    gamma = torch.tensor(30.0)
    for step in range(6):
        found = model.objective(batch_of(x), gamma, draws())
        capacity = 8.0 * min(1.0, step * 10 / 40)
        expected = found.terms["reconstruction"] + 30 * (found.terms["kl"] - capacity).abs()
        torch.testing.assert_close(found.loss.detach(), expected)
    model.eval()
    model.objective(batch_of(x), gamma, draws())
    assert int(model.state_dict()["images_seen"]) == 60, "a held-out check is no training"


def test_a_trained_capacity_vae_has_the_kl_asked_for() -> None:
    x = stripes(64)
    model = vae_of(BetaVAEConfig(kl_form="capacity", capacity=1.5, capacity_ramp_images=64 * 40, **SMALL))
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(120):
        found = model.objective(batch_of(x), torch.tensor(50.0), draws())
        optimiser.zero_grad()
        found.loss.backward()
        optimiser.step()
    assert float(found.terms["kl"]) == pytest.approx(1.5, abs=0.2)


def test_the_total_correlation_objective_is_the_papers_by_hand() -> None:
    x = stripes(5)
    model = vae_of(BetaTCVAEConfig(alpha=0.7, gamma=1.3, **SMALL))
    assert isinstance(model, BetaTCVAE)
    with torch.no_grad():
        found = model.objective(batch_of(x), torch.tensor(6.0), draws())
        posterior = model.encode(x)
        z = posterior.sample(draws())
        reconstruction = float(-model.decode(z).log_prob(x).mean())
    num, log_norm = 5, math.log(500 * 5)
    information = correlation = dimension_wise = 0.0
    for i in range(num):
        each = [
            torch.distributions.Normal(posterior.mean[j], posterior.standard_deviation[j]).log_prob(z[i])
            for j in range(num)
        ]
        log_qz = math.log(sum(math.exp(float(e.sum())) for e in each)) - log_norm
        log_marginals = sum(math.log(sum(math.exp(float(e[d])) for e in each)) - log_norm for d in range(2))
        information += (float(each[i].sum()) - log_qz) / num
        correlation += (log_qz - log_marginals) / num
        dimension_wise += (log_marginals - float(model.log_prior(z[i : i + 1]))) / num
    expected = reconstruction + 0.7 * information + 6.0 * correlation + 1.3 * dimension_wise
    assert float(found.loss) == pytest.approx(expected, rel=1e-9)
    assert float(found.terms["elbo"]) == pytest.approx(-(reconstruction + float(posterior.kl().mean())))


def test_minibatch_parts_of_the_whole_data_set_are_those_of_all_pairs_and_all_weights_at_1_are_the_vae() -> None:
    """With the batch as the data set the estimator differs from all pairs by its known constants alone."""
    x = stripes(60)
    with torch.no_grad():
        posterior = vae_of(VAEConfig(**SMALL)).encode(x)
    noise = torch.randn(60, 2, generator=draws(0), dtype=torch.float64)
    z = posterior.mean + posterior.standard_deviation * noise
    parts = minibatch_kl_parts(posterior, z, 60)
    exact = decompose_kl(posterior.mean, posterior.standard_deviation, num_queries=60, seed=0).means()
    shift = math.log(60)  # 1/(N B) where all pairs have 1/N, once for z and once for each of two dimensions
    assert float(parts.mutual_information) == pytest.approx(exact["mutual_information"] + shift, abs=1e-4)
    assert float(parts.total_correlation) == pytest.approx(exact["total_correlation"] + shift, abs=1e-4)
    assert float(parts.dimension_wise_kl) == pytest.approx(exact["dimension_wise_kl"] - 2 * shift, abs=1e-4)
    assert float(sum(parts)) == pytest.approx(float((posterior.log_prob(z) - _log_prior(z)).mean()))


def _log_prior(z: Tensor) -> Tensor:
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)


def test_free_bits_spare_dimensions_below_them_and_leave_the_reported_bound_alone() -> None:
    x = stripes(20)
    model = vae_of(VAEConfig(free_bits=0.4, latent_dimensions=3, **SMALL))
    plain = vae_of(VAEConfig(latent_dimensions=3, **SMALL))
    with torch.no_grad():
        for each in (model, plain):
            each.encoder[-1].weight[0] *= 30  # one dimension that tells more than its free bits
    found, expected = (each.objective(batch_of(x), torch.tensor(2.0), draws()) for each in (model, plain))
    kl_D = found.kl_D
    assert (kl_D > 0.4).any()
    assert (kl_D < 0.4).any()
    counted = torch.maximum(kl_D, torch.tensor(0.4).double()).sum()
    torch.testing.assert_close(found.loss.detach(), found.terms["reconstruction"] + 2 * counted)
    for name, value in expected.terms.items():
        torch.testing.assert_close(found.terms[name], value)


def test_free_bits_keep_a_dimension_alive_that_collapses_without_them() -> None:
    x = stripes(64)
    kl = {}
    for free_bits in (0.0, 0.5):
        model = vae_of(VAEConfig(free_bits=free_bits, latent_dimensions=4, **SMALL))
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        generator = draws()
        for _ in range(250):
            found = model.objective(batch_of(x), torch.tensor(4.0), generator)
            optimiser.zero_grad()
            found.loss.backward()
            optimiser.step()
        kl[free_bits] = found.kl_D.min()
    assert kl[0.0] < 0.05
    assert kl[0.5] > 0.3


def test_kl_of_ten_thousand_posteriors_is_never_negative() -> None:
    generator = torch.Generator().manual_seed(8)
    posterior = DiagonalGaussian(
        3 * torch.randn(10_000, 4, generator=generator), 4 * torch.randn(10_000, 4, generator=generator)
    )
    assert (posterior.kl() >= 0).all()
    assert DiagonalGaussian(torch.zeros(1, 4), torch.zeros(1, 4)).kl().item() == 0.0
