from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.latent.test_exact_posterior import LinearGaussian, gaussian_kl, picture
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.refinement import NUM_EVALUATION_DRAWS, Refined, RefinementStep, balanced_noise, refine
from vae_explorer.models.gaussian import DiagonalGaussian


def run(explorer: Explorer, x_CHW: Any) -> tuple[list[RefinementStep], Refined]:
    shown = [step for step in refine(explorer, x_CHW) if step is not None]
    assert isinstance(shown[-1], Refined)
    steps = [step for step in shown[:-1] if isinstance(step, RefinementStep)]
    assert len(steps) == len(shown) - 1
    return steps, shown[-1]


class _Toy(LinearGaussian):
    """Encodes every picture to the same wrong posterior."""

    def encode(self, x: torch.Tensor, condition: None = None) -> DiagonalGaussian:
        num = self.weight_PD.shape[1]
        return DiagonalGaussian(torch.full((len(x), num), -0.8), torch.full((len(x), num), 0.5))


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_on_a_linear_gaussian_model_it_reaches_the_best_q(
    make_snapshot: Any, monkeypatch: pytest.MonkeyPatch, dimensions: int
) -> None:
    random = np.random.default_rng(dimensions)
    weight, x_P = random.normal(size=(8, dimensions)), random.normal(size=8)
    toy = _Toy(weight, 0.7)
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=dimensions, image_shape=(1, 1, 8)))
    monkeypatch.setattr(explorer, "_model", toy)
    steps, refined = run(explorer, picture(x_P))
    mean, covariance, log_evidence = toy.truth(x_P)
    # The best diagonal Gaussian under KL(q || p): the mean itself, and the inverse of the precision's diagonal.
    best_sigma = np.diag(np.linalg.inv(covariance)) ** -0.5
    assert np.abs(refined.mean_D - mean).max() < 0.02 * best_sigma.min()
    assert refined.sigma_D == pytest.approx(best_sigma, rel=0.02)
    best = log_evidence - gaussian_kl(mean, best_sigma, mean, covariance)
    start = log_evidence - gaussian_kl(
        np.full(dimensions, -0.8), np.full(dimensions, np.exp(0.25)), mean, covariance
    )  # fmt: skip
    assert steps[0].elbo == pytest.approx(start, rel=1e-4)
    assert steps[-1].elbo == pytest.approx(best, abs=0.01)
    assert refined.gap == pytest.approx(best - start, abs=4 * refined.standard_error)
    if dimensions <= 2:
        assert refined.log_evidence == pytest.approx(log_evidence, abs=5e-3)
    else:
        assert refined.log_evidence is None


@pytest.mark.parametrize("dimensions", [2, 6])
def test_the_gap_is_never_negative_and_nothing_else_changes(make_snapshot: Any, dimensions: int) -> None:
    explorer = Explorer()
    explorer.adopt(make_snapshot(dimensions=dimensions))
    kept = {name: value.clone() for name, value in explorer.network.state_dict().items()}
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    x_CHW = (torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(4)) < 0.4).float()
    steps, refined = run(explorer, x_CHW)
    assert refined.gap >= 0
    assert refined.gap == pytest.approx(refined.elbo_after - refined.elbo_before, abs=1e-6)
    assert refined.elbo_after > refined.elbo_before + 3 * refined.standard_error
    assert [step.step for step in steps] == list(range(0, 10 * len(steps), 10))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert all(torch.equal(kept[name], value) for name, value in explorer.network.state_dict().items())
    assert all(parameter.grad is None for parameter in explorer.network.parameters())
    if refined.log_evidence is not None:
        assert refined.elbo_after < refined.log_evidence + 0.2
    # The bound before is that of the encoder's q, by draws of its own.
    with torch.no_grad():
        q = explorer.posterior(x_CHW[None])
        z = q.mean + q.standard_deviation * torch.randn(4000, dimensions, generator=torch.Generator().manual_seed(9))
        terms = explorer.network.decode(z).log_prob(x_CHW[None])
        bound = terms.mean() - q.kl()[0]
    tolerance = 5 * float(terms.std()) / NUM_EVALUATION_DRAWS**0.5
    assert refined.elbo_before == pytest.approx(float(bound), abs=tolerance)


def test_it_can_start_in_inference_mode_and_be_abandoned(explorer: Explorer) -> None:
    with torch.inference_mode():
        x_CHW = torch.zeros(1, 8, 8)
    steps = refine(explorer, x_CHW)
    for _ in range(15):
        next(steps)
    steps.close()
    assert not any(parameter.requires_grad for parameter in explorer.network.parameters())


@pytest.mark.parametrize("dimensions", [1, 2, 20])
def test_the_draws_are_balanced(dimensions: int) -> None:
    noise = balanced_noise(dimensions).double()
    assert noise.mean(0).abs().max() < 1e-6
    assert (noise.T @ noise / len(noise) - torch.eye(dimensions)).abs().max() < 1e-5
    assert len(noise) >= 32


def test_bad_input_is_told_in_a_sentence(explorer: Explorer, make_snapshot: Any) -> None:
    with pytest.raises(UserError, match="1 × 8 × 8"):
        next(refine(explorer, torch.zeros(1, 9, 8)))
    with pytest.raises(UserError, match="not finite"):
        next(refine(explorer, torch.full((1, 8, 8), float("nan"))))
    with pytest.raises(UserError, match="no model"):
        next(refine(Explorer(), torch.zeros(1, 8, 8)))
