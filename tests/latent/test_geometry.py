from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.geometry import (
    Metric,
    Surface,
    at_equal_steps,
    curve_energy,
    curve_metric,
    magnification,
    pull_back,
    pull_back_in_steps,
    step_lengths,
    step_lengths_along,
    surface_of,
    tissot_covariance,
)
from vae_explorer.models.continuous_bernoulli import ContinuousBernoulli
from vae_explorer.models.gaussian_pixels import Gaussian, PixelwiseGaussian
from vae_explorer.models.likelihoods import Bernoulli


@dataclass(frozen=True)
class Shown:
    """Pictures without a likelihood."""

    mean_BCHW: Tensor


@dataclass(frozen=True)
class Spread:
    """A likelihood with a sigma of its own."""

    mean_BCHW: Tensor
    sigma_BCHW: Tensor


def as_pictures(x_NP: Tensor) -> Tensor:
    return x_NP[:, None, None, :]


def paraboloid(z_N2: Tensor) -> Shown:
    return Shown(as_pictures(torch.cat([z_N2, z_N2.square().sum(1, keepdim=True)], dim=1)))


def result_of(steps: Any) -> Any:
    while True:
        try:
            assert next(steps) is None
        except StopIteration as end:
            return end.value


def axes(num: int) -> tuple[Tensor, Tensor]:
    return torch.tensor([[1.0, 0.0]]).repeat(num, 1), torch.tensor([[0.0, 1.0]]).repeat(num, 1)


@pytest.mark.parametrize("metric", ["mean", "fisher"])
def test_the_metric_is_that_of_finite_differences_in_double_precision(explorer: Explorer, metric: Metric) -> None:
    z_ND = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    found = pull_back(explorer.network.decode, z_ND, *axes(40), metric)
    assert found.metric == metric
    precise, step = copy.deepcopy(explorer.network).double(), 1e-5
    columns = []
    for axis in torch.eye(2, dtype=torch.float64) * step:
        above, below = precise.decode(z_ND.double() + axis), precise.decode(z_ND.double() - axis)
        if metric == "mean":
            difference = above.mean_BCHW - below.mean_BCHW
        else:
            p = precise.decode(z_ND.double()).mean_BCHW
            difference = (above.logits_BCHW - below.logits_BCHW) * (p * (1 - p)).sqrt()
        columns.append(difference.flatten(1) / (2 * step))
    J_NP2 = torch.stack(columns, dim=2)
    G_N22 = (J_NP2.mT @ J_NP2).numpy()
    error = np.linalg.norm(found.G_NKK - G_N22, axis=(1, 2)) / np.linalg.norm(G_N22, axis=(1, 2))
    assert error.max() < 1e-3


@pytest.mark.parametrize("metric", ["mean", "fisher"])
def test_an_operator_that_cannot_be_differentiated_twice_is_measured_by_differences(
    explorer: Explorer, metric: Metric
) -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, slope: Tensor) -> Tensor:
            return slope

    z_ND = torch.randn(20, 2, generator=torch.Generator().manual_seed(1)) * 0.5
    u_ND, v_ND = axes(20)
    wanted = pull_back(explorer.network.decode, z_ND, u_ND, v_ND, metric)
    found = pull_back(lambda z: explorer.network.decode(Once.apply(z)), z_ND, u_ND, v_ND, metric)
    error = np.abs(found.G_NKK - wanted.G_NKK).max(axis=(1, 2)) / np.abs(wanted.G_NKK).max(axis=(1, 2))
    assert found.metric == metric
    assert np.median(error) < 1e-3
    assert 0.0 < error.max() < 1e-2


def test_a_fisher_step_is_a_kl_of_half_its_square(explorer: Explorer) -> None:
    z_ND = torch.randn(30, 2, generator=torch.Generator().manual_seed(2))
    precise = copy.deepcopy(explorer.network).double()
    change_2 = np.array([6e-4, -8e-4])
    p = precise.decode(z_ND.double()).mean_BCHW.flatten(1)
    q = precise.decode(z_ND.double() + torch.from_numpy(change_2)).mean_BCHW.flatten(1)
    kl_N = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(1).numpy()
    G_N22 = pull_back(explorer.network.decode, z_ND, *axes(30), "fisher").G_NKK
    assert kl_N == pytest.approx(0.5 * np.einsum("i,nij,j->n", change_2, G_N22, change_2), rel=2e-2)


def test_a_fisher_step_is_a_kl_of_half_its_square_also_for_densities() -> None:
    """KL by numerical integration over the values of one pixel, for every likelihood that gives its information."""
    at_z, change = torch.tensor([[0.4, -0.7]]), np.array([3e-3, -4e-3])
    x = torch.linspace(-8.0, 8.0, 40_001, dtype=torch.float64)
    decoders: dict[str, tuple[Any, Tensor]] = {
        "one sigma": (lambda z: Gaussian(as_pictures(z[:, :1] * z[:, 1:]), torch.tensor(-0.5).to(z)), x),
        "sigma a pixel": (lambda z: PixelwiseGaussian(as_pictures(z[:, :1]), as_pictures(z[:, 1:] - 0.2)), x),
        "continuous": (lambda z: ContinuousBernoulli(as_pictures(3 * z[:, :1] + 5 * z[:, 1:])), x[20_000:22_501]),
    }
    for name, (decode, values) in decoders.items():
        log_p, log_q = (
            decode((at_z.double() + shift).expand(len(values), -1)).log_prob(values[:, None, None, None])
            for shift in (torch.zeros(2), torch.from_numpy(change))
        )
        kl = torch.trapezoid(log_p.exp() * (log_p - log_q), values).item()
        found = pull_back(decode, at_z, *axes(1), "fisher")
        assert found.metric == "fisher", name
        assert 0.5 * change @ found.G_NKK[0] @ change == pytest.approx(kl, rel=2e-2), name


def test_curves_are_as_long_as_the_pull_back_says_in_the_metric_they_name() -> None:
    """By the metric tensor: in the Fisher metric where coordinates are known for it, else in mean space."""
    decoders: dict[str, tuple[Any, Metric]] = {
        "Bernoulli": (lambda z: Bernoulli(as_pictures(3 * z[:, :1] - 2 * z[:, 1:].square())), "fisher"),
        "one sigma": (lambda z: Gaussian(as_pictures(z[:, :1] * z[:, 1:]), torch.tensor(-0.5).to(z)), "fisher"),
        "sigma a pixel": (lambda z: PixelwiseGaussian(as_pictures(z[:, :1]), as_pictures(z[:, 1:] - 0.2)), "mean"),
        "continuous": (lambda z: ContinuousBernoulli(as_pictures(3 * z[:, :1] + 5 * z[:, 1:])), "mean"),
    }
    t = np.linspace(0.0, 1.0, 401)
    z_T2 = np.stack([np.cos(t), np.sin(2 * t)], axis=1)
    for name, (decode, metric) in decoders.items():
        surface = Surface(decode, "fisher")
        assert curve_metric(surface, z_T2[0]) == metric, name
        assert curve_metric(Surface(decode, "mean"), z_T2[0]) == "mean"
        length = result_of(step_lengths_along(surface, z_T2)).sum()
        middle_N2, step_N2 = (z_T2[1:] + z_T2[:-1]) / 2, np.diff(z_T2, axis=0)
        G_N22 = pull_back(decode, torch.from_numpy(middle_N2).float(), *axes(400), metric).G_NKK
        assert length == pytest.approx(np.sqrt(np.einsum("ni,nij,nj->n", step_N2, G_N22, step_N2)).sum(), rel=1e-3), (
            name
        )


def test_fisher_survives_logits_of_any_size() -> None:
    def decode(z_N2: Tensor) -> Bernoulli:
        return Bernoulli(as_pictures(z_N2 * torch.tensor([1.0, 400.0])))

    G_N22 = pull_back(decode, torch.tensor([[0.0, 0.0], [0.0, 3.0]]), *axes(2), "fisher").G_NKK
    assert G_N22[0] == pytest.approx(np.diag([0.25, 40000.0]))
    assert G_N22[1] == pytest.approx(np.diag([0.25, 0.0]))
    assert magnification(G_N22) == pytest.approx([100.0, 0.0])


def test_the_result_says_when_it_is_in_mean_space() -> None:
    z_N2 = torch.tensor([[0.3, -0.4]])
    found = pull_back(paraboloid, z_N2, *axes(1), "fisher")
    assert found.metric == "mean"
    gradient = 2 * z_N2.double().numpy()
    assert found.G_NKK[0] == pytest.approx(np.eye(2) + gradient.T @ gradient, rel=1e-5)


def test_a_sigma_of_the_likelihood_adds_its_own_part() -> None:
    def decode(z_N2: Tensor) -> Spread:
        return Spread(paraboloid(z_N2).mean_BCHW, as_pictures(3.0 * z_N2[:, :1]))

    found = pull_back(decode, torch.zeros(1, 2), *axes(1), "mean")
    assert found.G_NKK[0] == pytest.approx(np.diag([10.0, 1.0]))


def test_one_tangent_gives_the_rate_of_change() -> None:
    def decode(z_N1: Tensor) -> Shown:
        return Shown(as_pictures(torch.cat([3.0 * z_N1, z_N1.square()], dim=1)))

    found = pull_back(decode, torch.tensor([[2.0]]), torch.ones(1, 1), None, "mean")
    assert magnification(found.G_NKK) == pytest.approx([5.0])


@pytest.mark.parametrize("metric", ["mean", "fisher"])
def test_a_rotation_of_the_latent_space_leaves_the_magnification(explorer: Explorer, metric: Metric) -> None:
    angle = 0.7
    rotation = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    z_ND = torch.randn(50, 2, generator=torch.Generator().manual_seed(3))
    turned = pull_back(lambda z: explorer.network.decode(z @ rotation.T), z_ND, *axes(50), metric)
    straight = pull_back(explorer.network.decode, z_ND @ rotation.T, *axes(50), metric)
    assert magnification(turned.G_NKK) == pytest.approx(magnification(straight.G_NKK), rel=1e-3)
    assert np.abs(turned.G_NKK - straight.G_NKK).max() > 0.01


def test_steps_give_what_one_call_gives(explorer: Explorer) -> None:
    z_ND = np.random.default_rng(4).normal(size=(700, 2))
    u_ND, v_ND = np.tile([1.0, 0.0], (700, 1)), np.tile([0.0, 1.0], (700, 1))
    surface = surface_of(explorer, "fisher")
    steps = pull_back_in_steps(surface, z_ND, u_ND, v_ND)
    assert next(steps) is None
    found = result_of(steps)
    whole = pull_back(surface.decode, surface.latents(z_ND), *axes(700), "fisher")
    assert np.allclose(found.G_NKK, whole.G_NKK, rtol=1e-3, atol=1e-6)
    assert found.metric == "fisher"


def test_length_and_energy_on_a_paraboloid_are_the_analytic_ones() -> None:
    """(x, 0) for -1 <= x <= 1 is lifted to the parabola (x, x^2)."""
    analytic = np.sqrt(5.0) + 0.5 * np.arcsinh(2.0)
    z_T2 = np.stack([np.linspace(-1.0, 1.0, 101), np.zeros(101)], axis=1)
    surface = Surface(paraboloid)
    with torch.no_grad():
        X_TP = surface.embed(surface.latents(z_T2))
    assert step_lengths(X_TP).sum() == pytest.approx(analytic, rel=5e-3)
    # The integral of c' G c' dt with c = (2t - 1, 0): 4 (1 + 4 x^2) over 0 <= t <= 1.
    assert curve_energy(X_TP) == pytest.approx(4.0 + 16.0 / 3.0, rel=5e-3)
    assert result_of(step_lengths_along(surface, z_T2)).sum() == pytest.approx(analytic, rel=5e-3)


def test_the_ellipse_of_a_known_metric() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    G_22 = turn @ np.diag([9.0, 1.0]) @ turn.T
    G_N22 = np.stack([G_22, np.diag([4.0, 0.0])])
    assert tissot_covariance(G_N22)[0] == pytest.approx(turn @ np.diag([1 / 9, 1.0]) @ turn.T)
    assert np.isnan(tissot_covariance(G_N22)[1]).all()


def test_equal_steps_follow_the_lengths_given() -> None:
    z_T2 = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert at_equal_steps(z_T2, np.array([3.0, 1.0]), 5)[:, 0] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert at_equal_steps(z_T2, np.array([0.0, 0.0]), 3) == pytest.approx(z_T2)
    assert at_equal_steps(z_T2, np.array([np.nan, 1.0]), 3) == pytest.approx(z_T2)


def test_the_first_metric_loads_neither_compiler_nor_algebra() -> None:
    """The forward rules of torch would: a second or two on the thread that answers clicks."""
    program = (
        "import sys, torch\n"
        "from vae_explorer.latent.geometry import pull_back\n"
        "from vae_explorer.models.likelihoods import Bernoulli\n"
        "layer = torch.nn.Linear(2, 6)\n"
        "ones = torch.ones(4, 2)\n"
        "pull_back(lambda z: Bernoulli(layer(z).unflatten(1, (1, 2, 3))), ones, ones, None, 'fisher')\n"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
