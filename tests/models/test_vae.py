"""The VAE against closed forms and second methods."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import Batch
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig


def small_vae(latents: int = 2) -> VariationalAutoencoder:
    torch.manual_seed(0)
    config = VAEConfig(latent_dimensions=latents, hidden_widths=(12,), activation="tanh")
    return VariationalAutoencoder(config, DataSpace((1, 3, 3))).double()


def test_the_terms_are_sums_over_pixels_and_latents_averaged_over_images() -> None:
    model = small_vae()
    x = torch.rand(5, 1, 3, 3, dtype=torch.float64)
    objective = model.objective(Batch(x, torch.arange(5)), torch.tensor(3.0), torch.Generator().manual_seed(7))
    posterior = model.encode(x)
    assert isinstance(posterior, DiagonalGaussian)
    decoded = model.decode(posterior.sample(torch.Generator().manual_seed(7)))
    reconstruction, kl = -decoded.log_prob(x).mean(), posterior.kl().mean()
    torch.testing.assert_close(objective.terms["reconstruction"].double(), reconstruction.double())
    torch.testing.assert_close(objective.terms["kl"].double(), kl.double())
    torch.testing.assert_close(objective.terms["elbo"].double(), -(reconstruction + kl).double())
    torch.testing.assert_close(objective.loss.double(), (reconstruction + 3 * kl).double())
    torch.testing.assert_close(objective.kl_D.sum().double(), kl.double())


def test_gradient_of_the_reparameterised_bound_equals_finite_differences() -> None:
    model = small_vae()
    x = torch.rand(4, 1, 3, 3, dtype=torch.float64)

    def loss() -> Tensor:
        batch = Batch(x, torch.arange(4))
        return model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(3)).loss

    loss().backward()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        assert parameter.grad is not None
        analytic = (parameter.grad * direction).sum().item()
        epsilon = 1e-6
        with torch.no_grad():
            parameter.add_(epsilon * direction)
            above = loss().item()
            parameter.add_(-2 * epsilon * direction)
            below = loss().item()
            parameter.add_(epsilon * direction)
        assert analytic == pytest.approx((above - below) / (2 * epsilon), rel=1e-5, abs=1e-7)


def test_the_bound_lies_below_the_exact_likelihood_by_quadrature() -> None:
    model = small_vae(latents=1)
    x = (torch.rand(6, 1, 3, 3, dtype=torch.float64) > 0.5).double()
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        log_joint = model.decode(z).logits_BCHW.flatten(1).double() @ x.flatten(1).T
        log_joint -= torch.nn.functional.softplus(model.decode(z).logits_BCHW.flatten(1).double()).sum(1, keepdim=True)
        exact = torch.logsumexp(log_joint + model.log_prior(z)[:, None], 0) + math.log(18 / 4000)
        posterior = model.encode(x)
        generator = torch.Generator().manual_seed(0)
        draws = [model.decode(posterior.sample(generator)).log_prob(x) - posterior.kl() for _ in range(4000)]
        bound = torch.stack(draws).double().mean(0)
    assert (bound < exact).all()


@dataclass
class LinearGaussian:
    """x = W z + b + sigma e: the model whose likelihood is known in closed form (probabilistic PCA)."""

    weight_PD: Tensor
    sigma: float

    def log_likelihood(self, x_BP: Tensor) -> Tensor:
        covariance = self.weight_PD @ self.weight_PD.T + self.sigma**2 * torch.eye(len(self.weight_PD)).double()
        return torch.distributions.MultivariateNormal(torch.zeros(len(covariance)).double(), covariance).log_prob(x_BP)

    def bound(self, posterior: DiagonalGaussian, x_BP: Tensor) -> Tensor:
        """E_q[log p(x|z)] - KL in closed form."""
        residual = (x_BP - posterior.mean @ self.weight_PD.T).square().sum(-1)
        spread = (posterior.log_variance.exp() * self.weight_PD.square().sum(0)).sum(-1)
        num = len(self.weight_PD)
        log_likelihood = -0.5 * (num * math.log(2 * math.pi * self.sigma**2) + (residual + spread) / self.sigma**2)
        return log_likelihood - posterior.kl()


def test_a_linear_vaes_bound_lies_below_the_ppca_likelihood_and_touches_it_at_the_true_posterior() -> None:
    torch.manual_seed(1)
    # Orthogonal columns make the true posterior diagonal, so that the bound can be tight.
    orthogonal = torch.linalg.qr(torch.randn(7, 2, dtype=torch.float64)).Q * torch.tensor([2.0, 0.7]).double()
    model = LinearGaussian(orthogonal, sigma=0.5)
    x_BP = torch.randn(50, 2, dtype=torch.float64) @ orthogonal.T + 0.5 * torch.randn(50, 7, dtype=torch.float64)
    exact = model.log_likelihood(x_BP)
    precision = orthogonal.square().sum(0) / 0.25 + 1
    mean = x_BP @ orthogonal / 0.25 / precision
    true_posterior = DiagonalGaussian(mean, -precision.log().expand(50, 2))
    torch.testing.assert_close(model.bound(true_posterior, x_BP), exact)
    for shift, scale in ((0.3, 0.0), (0.0, 0.8), (-0.2, -1.0)):
        other = DiagonalGaussian(mean + shift, true_posterior.log_variance + scale)
        assert (model.bound(other, x_BP) < exact).all()


def test_starting_at_the_mean_image_sets_the_decoders_bias_and_is_off_by_default() -> None:
    mean_CHW = torch.rand(1, 3, 3)
    mean_CHW[0, 0, 0] = 0.0
    for wanted in (False, True):
        torch.manual_seed(0)
        config = VAEConfig(hidden_widths=(12,), start_at_mean_image=wanted)
        model = VariationalAutoencoder(config, DataSpace((1, 3, 3)))
        before = model.decoder[-1].bias.detach().clone()
        model.start_from(mean_CHW)
        if wanted:
            found = torch.sigmoid(model.decoder[-1].bias).reshape(1, 3, 3)
            torch.testing.assert_close(found, mean_CHW.clamp(1e-3, 1 - 1e-3))
        else:
            assert torch.equal(model.decoder[-1].bias, before)
