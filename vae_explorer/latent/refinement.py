"""Refining q for one picture: what the encoder's answer loses against the best Gaussian, the amortisation gap.

    gap = max_{m, s} ELBO(x; m, s) - ELBO(x; encoder's m, s)          (Cremer, Li, Duvenaud 2018, arXiv 1801.03558)

Runs on the exploring thread, one step of the optimiser at a time.

Legend: S draws, P pairs of a draw and its mirror image, D latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.exact_posterior import MOST_DIMENSIONS, exact_posterior
from vae_explorer.latent.pacing import in_steps
from vae_explorer.latent.posterior_layer import kept_coarse_grid
from vae_explorer.models.gaussian import LOG_TWO_PI

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.models.interface import LatentModel, Likelihood

Float64 = NDArray[np.float64]

MOST_STEPS = 300
_LEAST_STEPS = 80
# It ends when so many steps have gained less than this many nats.
_PATIENCE_STEPS, _PATIENCE_NATS = 40, 1e-3
_REPORT_EVERY = 10
_LEAST_DRAWS = 32
NUM_EVALUATION_DRAWS = 512
_GRADIENT_SEED, _EVALUATION_SEED = 1, 2
# In units of the encoder's own sigma, so that narrow and wide posteriors are walked at the same pace.
_LEARNING_RATE, _LAST_LEARNING_RATE = 0.1, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class RefinementStep:
    """How far it has come: `elbo` is that of the draws it climbs on, in nats."""

    step: int
    elbo: float
    mean_D: Float64
    sigma_D: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """q for this picture alone, and what it gains.

    Both bounds are over the same 512 draws, which the optimiser has not seen; `standard_error` is that of `gap` over
    their pairs, and rather too large than too small.
    `log_evidence` is log p(x) where it can be computed (one or two dimensions), the ceiling of both. All in nats.
    """

    elbo_before: float
    elbo_after: float
    gap: float
    standard_error: float
    mean_D: Float64
    sigma_D: Float64
    log_evidence: float | None
    num_steps: int


def refine(explorer: Explorer, x_CHW: NDArray[np.float32] | Tensor) -> Iterator[RefinementStep | Refined | None]:
    """Climb the ELBO in the mean and the sigma of q from where the encoder puts them; the last value is `Refined`.

    A model with a condition is told what belongs to a picture of a person's own (`Explorer.network_for`).

    Args:
        explorer: its network is not changed, and no generator but ones of its own is drawn from.
        x_CHW: the picture as the network sees it, in [0, 1].

    Raises:
        UserError: the model has no likelihood, prior or Gaussian posterior, the picture has another shape, or the
            encoder's posterior is not finite.
    """
    record = explorer.record
    if not (record.has_likelihood and record.has_prior):
        raise UserError(f"The model “{record.title}” has no bound to refine.", "Choose a variational autoencoder.")
    assert explorer.snapshot is not None
    if tuple(x_CHW.shape) != tuple(explorer.snapshot.image_shape):
        wanted = " × ".join(str(side) for side in explorer.snapshot.image_shape)
        raise UserError(f"The picture does not have the model's shape, {wanted}.", "Put it in again.")
    x_BCHW = torch.as_tensor(x_CHW).detach().clone().float().to(explorer.device)[None]
    model = explorer.network_for(x_BCHW)
    with torch.no_grad():
        posterior = explorer.posterior(x_BCHW)
        start_mean_D = posterior.mean[0].float().clone()
        start_log_sigma_D = 0.5 * posterior.log_variance[0].float().clone()
    if not bool(torch.isfinite(start_mean_D).all() and torch.isfinite(start_log_sigma_D).all()):
        raise UserError("The posterior of this picture is not finite.", "Look at an earlier state of the run.")
    yield None

    noise_SD = balanced_noise(len(start_mean_D)).to(explorer.device)
    climb = _Climb(start_mean_D, start_log_sigma_D)
    history: list[float] = []
    best = (-math.inf, start_mean_D, start_log_sigma_D)
    for step in range(MOST_STEPS):
        mean_D, log_sigma_D = climb.place()
        elbo, gradient = _elbo_and_gradient(model, x_BCHW, mean_D, log_sigma_D, noise_SD)
        if not (math.isfinite(elbo) and all(bool(torch.isfinite(part).all()) for part in gradient)):
            break
        history.append(elbo)
        if elbo > best[0]:
            best = (elbo, mean_D, log_sigma_D)
        gained = best[0] - max(history[:-_PATIENCE_STEPS], default=-math.inf)
        if step >= _LEAST_STEPS and gained < _PATIENCE_NATS:
            break
        climb.follow(*gradient, progress=step / MOST_STEPS)
        yield RefinementStep(step, elbo, *_as_numpy(mean_D, log_sigma_D)) if step % _REPORT_EVERY == 0 else None

    _, end_mean_D, end_log_sigma_D = best
    before_P = yield from _evaluated(model, x_BCHW, start_mean_D, start_log_sigma_D)
    after_P = yield from _evaluated(model, x_BCHW, end_mean_D, end_log_sigma_D)
    if after_P.mean() < before_P.mean():
        # Nothing better was found: what the encoder says is the best q known.
        after_P, end_mean_D, end_log_sigma_D = before_P, start_mean_D, start_log_sigma_D
    found_mean_D, found_sigma_D = _as_numpy(end_mean_D, end_log_sigma_D)
    log_evidence = None
    if len(found_mean_D) <= MOST_DIMENSIONS:
        coarse = yield from kept_coarse_grid(explorer, model)
        exact = yield from exact_posterior(model, x_BCHW[0], found_mean_D, found_sigma_D, coarse)
        log_evidence = exact.log_evidence
    gain_P = after_P - before_P
    error = float(gain_P.std(ddof=1) / math.sqrt(len(gain_P)))
    yield Refined(
        float(before_P.mean()), float(after_P.mean()), float(gain_P.mean()), error, found_mean_D, found_sigma_D,
        log_evidence, len(history),
    )  # fmt: skip


def balanced_noise(dimensions: int, num: int = _LEAST_DRAWS, seed: int = _GRADIENT_SEED) -> Tensor:
    """Fixed draws (S, D) of N(0, I) whose mean is exactly 0 and whose covariance is exactly I; S is at least `num`.

    The second half are the mirror images of the first, which is made white: a log p(x|z) of second order is then
    averaged without error, and climbing on few draws does not lead astray.
    """
    half = max(num // 2, 2 * dimensions)
    generator = torch.Generator().manual_seed(seed)
    noise_SD = torch.randn(half, dimensions, generator=generator, dtype=torch.float64)
    white_SD = torch.linalg.qr(noise_SD).Q * math.sqrt(half)
    return torch.cat([white_SD, -white_SD]).float()


class _Climb:
    """Adam (Kingma, Ba 2015, arXiv 1412.6980) on the mean in units of the first sigma and on log sigma."""

    def __init__(self, mean_D: Tensor, log_sigma_D: Tensor) -> None:
        self._mean_D, self._log_sigma_D = mean_D, log_sigma_D
        self._scale_D = log_sigma_D.exp()
        self._moved_2D = torch.zeros(2, len(mean_D), device=mean_D.device)
        self._first_2D, self._second_2D = torch.zeros_like(self._moved_2D), torch.zeros_like(self._moved_2D)
        self._num_steps = 0

    def place(self) -> tuple[Tensor, Tensor]:
        """The mean and log sigma it stands at."""
        return self._mean_D + self._scale_D * self._moved_2D[0], self._log_sigma_D + self._moved_2D[1]

    def follow(self, mean_gradient_D: Tensor, log_sigma_gradient_D: Tensor, progress: float) -> None:
        """One step uphill; steps grow shorter as `progress` goes from 0 to 1."""
        self._num_steps += 1
        gradient_2D = torch.stack([self._scale_D * mean_gradient_D, log_sigma_gradient_D])
        self._first_2D = 0.9 * self._first_2D + 0.1 * gradient_2D
        self._second_2D = 0.99 * self._second_2D + 0.01 * gradient_2D.square()
        first = self._first_2D / (1.0 - 0.9**self._num_steps)
        second = self._second_2D / (1.0 - 0.99**self._num_steps)
        fall = 0.5 * (1.0 + math.cos(math.pi * progress))
        rate = _LAST_LEARNING_RATE + (_LEARNING_RATE - _LAST_LEARNING_RATE) * fall
        self._moved_2D = self._moved_2D + rate * first / (second.sqrt() + 1e-8)


def _bound(model: LatentModel, x_BCHW: Tensor, mean_D: Tensor, log_sigma_D: Tensor, noise_SD: Tensor) -> Tensor:
    """log p(x|z) + log p(z) + entropy of q for every draw, (S,), whose mean is the ELBO."""
    z_SD = mean_D + log_sigma_D.exp() * noise_SD
    x_SCHW = x_BCHW.expand(len(z_SD), -1, -1, -1)
    log_joint_S = cast("Likelihood", model.decode(z_SD)).log_prob(x_SCHW) + model.log_prior(z_SD)
    return log_joint_S + log_sigma_D.sum() + 0.5 * len(mean_D) * (1.0 + LOG_TWO_PI)


def _elbo_and_gradient(
    model: LatentModel, x_BCHW: Tensor, mean_D: Tensor, log_sigma_D: Tensor, noise_SD: Tensor
) -> tuple[float, tuple[Tensor, Tensor]]:
    with torch.inference_mode(False), torch.enable_grad():
        mean_D = mean_D.detach().clone().requires_grad_()
        log_sigma_D = log_sigma_D.detach().clone().requires_grad_()
        elbo = _bound(model, x_BCHW, mean_D, log_sigma_D, noise_SD).mean()
        mean_gradient_D, log_sigma_gradient_D = torch.autograd.grad(elbo, (mean_D, log_sigma_D))
    return float(elbo.detach()), (mean_gradient_D, log_sigma_gradient_D)


def _evaluated(
    model: LatentModel, x_BCHW: Tensor, mean_D: Tensor, log_sigma_D: Tensor
) -> Generator[None, None, Float64]:
    """The bound of every pair of an evaluation draw and its mirror image, (S / 2,) float64."""
    noise_SD = balanced_noise(len(mean_D), NUM_EVALUATION_DRAWS, _EVALUATION_SEED).to(mean_D.device)
    values_S = np.empty(len(noise_SD))

    @torch.no_grad()
    def evaluate(part: slice) -> None:
        values_S[part] = _bound(model, x_BCHW, mean_D, log_sigma_D, noise_SD[part]).double().cpu().numpy()

    yield from in_steps(len(noise_SD), evaluate, first=32, most=128)
    yield None
    values_P: Float64 = values_S.reshape(2, -1).mean(axis=0)
    return values_P


def _as_numpy(mean_D: Tensor, log_sigma_D: Tensor) -> tuple[Float64, Float64]:
    return mean_D.detach().double().cpu().numpy(), log_sigma_D.detach().double().exp().cpu().numpy()
