"""The linear VAE is probabilistic PCA: its bound must reach that model's likelihood, known in closed form.

Lucas, Tucker, Grosse, Norouzi: Don't blame the ELBO! A linear VAE perspective on posterior collapse, arXiv:1911.02469.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vae_explorer.config import parse_text, settings_of
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch
from vae_explorer.models.vae import VariationalAutoencoder
from vae_explorer.models.vae_config import VAEConfig

NUM, PIXELS, LATENTS = 1500, 12, 3


@pytest.fixture(scope="module")
def x_NP() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(PIXELS, PIXELS, generator=generator)).Q
    scale = torch.tensor([2.0, 1.0, 0.5, *([0.2] * (PIXELS - LATENTS))])
    return 0.5 + (torch.randn(NUM, PIXELS, generator=generator) * scale) @ turn.T


def ppca_nll(x_NP: Tensor, latents: int) -> float:
    """1/2 [D ln 2 pi + ln |C| + tr(C^-1 S)] of the maximum likelihood C, in nats (Tipping & Bishop 1999)."""
    x = x_NP.double()
    eigenvalues = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / len(x)).flip(0)
    rest = eigenvalues[latents:].mean()
    log_det = eigenvalues[:latents].log().sum() + (len(eigenvalues) - latents) * rest.log()
    return float(0.5 * (len(eigenvalues) * (math.log(2 * math.pi) + 1.0) + log_det))


@pytest.mark.parametrize("variance", ["learned", "optimal"])
def test_the_bound_reaches_the_likelihood_of_probabilistic_pca(x_NP: Tensor, variance: str) -> None:
    config = VAEConfig(latent_dimensions=LATENTS, hidden_widths=(), gaussian_mean="linear", gaussian_variance=variance)
    torch.manual_seed(0)
    model = VariationalAutoencoder(config, DataSpace((1, 3, 4), protocol="gaussian"))
    batch = Batch(x_NP.reshape(NUM, 1, 3, 4), torch.arange(NUM))
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 800)
    generator = torch.Generator().manual_seed(1)
    for _ in range(800):
        loss = model.objective(batch, torch.tensor(1.0), generator).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        losses = [model.objective(batch, torch.tensor(1.0), generator).loss.item() for _ in range(50)]
        sigma = model.decode(torch.zeros(1, LATENTS)).sigma.item()
    nll = ppca_nll(x_NP, LATENTS)
    # A bound: below the likelihood but for the noise of 75,000 draws.
    assert nll - 0.02 < sum(losses) / len(losses) < nll + 1.0
    assert sigma == pytest.approx(0.2, rel=0.03)


def test_no_hidden_layer_can_be_written_everywhere() -> None:
    item = next(item for item in settings_of(VAEConfig) if item.name == "hidden_widths")
    for text in ("", "[]"):
        assert parse_text(item, text, "model.hidden_widths") == ()
