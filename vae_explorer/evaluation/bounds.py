"""Bounds on the likelihood by sampling from the posterior: -ELBO(S) and IWAE-k."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from vae_explorer.models.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel, Latents, Likelihood

BLOCK_IMAGES = 1000
"""Images that share a generator. The blocks are fixed, so that memory limits never change which noise an image gets."""

LOW_SAMPLE_SHARE = 0.01  # an effective sample size below this share of k makes the bound doubtful (MODELS.md 5.5)
ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class BoundParts:
    """Parts of -ELBO(S), float64 on the CPU, in nats; both are (N,). `kl_D` is the mean KL of each latent dimension."""

    reconstruction_N: Tensor
    kl_N: Tensor
    kl_D: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceWeighted:
    """IWAE-k: the estimate of -log p(x) and the effective sample size of the weights, both (N,) float64 on the CPU."""

    nll_N: Tensor
    effective_samples_N: Tensor


def _blocks(images: ScoredImages, seed: int) -> Iterator[tuple[Tensor, torch.Generator]]:
    """Blocks of pictures, each with a generator of its own on the pictures' device."""
    for number, start in enumerate(range(0, images.num_images, BLOCK_IMAGES)):
        x_BCHW = images.x(start, start + BLOCK_IMAGES)
        generator = torch.Generator(device=x_BCHW.device)
        generator.manual_seed((seed << 24) + number)
        yield x_BCHW, generator


def bound_parts(model: LatentModel, images: ScoredImages, samples: int, seed: int, rows: int) -> BoundParts:
    """-E_q[log p(x|z)] with S samples an image and KL(q(z|x) || p(z)); MODELS.md 6.1."""
    reconstructions, divergences, kl_sum = [], [], None
    with torch.inference_mode():
        for x_BCHW, generator in _blocks(images, seed):
            posterior = model.encode(x_BCHW)
            total_B = torch.zeros(len(x_BCHW), dtype=torch.float64)
            for _ in range(samples):
                total_B -= _log_likelihood(model, posterior.sample(generator), x_BCHW, rows)
            reconstructions.append(total_B / samples)
            divergences.append(posterior.kl().double().cpu())
            if isinstance(posterior, DiagonalGaussian):
                block_D = posterior.kl_per_dimension().double().sum(0).cpu()
                kl_sum = block_D if kl_sum is None else kl_sum + block_D
    kl_D = None if kl_sum is None else kl_sum / images.num_images
    return BoundParts(torch.cat(reconstructions), torch.cat(divergences), kl_D)


def importance_weighted(
    model: LatentModel, images: ScoredImages, samples: int, seed: int, rows: int
) -> ImportanceWeighted:
    """-log 1/k sum_i p(x, z_i) / q(z_i|x), a lower bound's negative (Burda et al. 2015, eq. 8); weights in float64."""
    bounds, effective = [], []
    with torch.inference_mode():
        for x_BCHW, generator in _blocks(images, seed):
            posterior = model.encode(x_BCHW)
            log_weight_SB = torch.empty(samples, len(x_BCHW), dtype=torch.float64)
            for i in range(samples):
                z = posterior.sample(generator)
                ratio_B = model.log_prior(z).double() - posterior.log_prob(z).double()
                log_weight_SB[i] = _log_likelihood(model, z, x_BCHW, rows) + ratio_B.cpu()
            total_B = torch.logsumexp(log_weight_SB, 0)
            bounds.append(math.log(samples) - total_B)
            effective.append(torch.exp(2 * total_B - torch.logsumexp(2 * log_weight_SB, 0)))
    return ImportanceWeighted(torch.cat(bounds), torch.cat(effective))


def active_units(model: LatentModel, images: ScoredImages) -> tuple[int, Tensor]:
    """Dimensions with Var_x(mu_j(x)) > 0.01 over all images, and the variances (D,) float64 on the CPU."""
    with torch.inference_mode():
        means = [cast("Tensor", model.encode(x_BCHW).mean).double().cpu() for x_BCHW, _ in _blocks(images, 0)]
    variance_D = torch.cat(means).var(0, correction=0)
    return int((variance_D > ACTIVE_VARIANCE).sum()), variance_D


def _log_likelihood(model: LatentModel, z: Latents, x_BCHW: Tensor, rows: int) -> Tensor:
    """log p(x|z), (B,) float64 on the CPU, decoding at most `rows` latents at a time."""
    parts = []
    for start in range(0, len(x_BCHW), rows):
        part = slice(start, start + rows)
        z_part = tuple(level[part] for level in z) if isinstance(z, tuple) else z[part]
        likelihood = cast("Likelihood", model.decode(z_part))
        parts.append(likelihood.log_prob(x_BCHW[part]).double().cpu())
    return torch.cat(parts)
