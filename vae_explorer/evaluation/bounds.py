"""Bounds on the likelihood by sampling from the posterior: -ELBO(S) and IWAE-k; and which dimensions they use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from vae_explorer.evaluation.evaluation import (
    Advance,
    Evaluation,
    Outcome,
    blocks,
    no_report,
    part_of,
    posterior_of,
    rounded,
)
from vae_explorer.models.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel, Latents, Likelihood

LOW_SAMPLE_SHARE = 0.01  # an effective sample size below this share of k makes the bound doubtful (MODELS.md 5.5)
ACTIVE_VARIANCE = 0.01
WIDENING = 1.5
"""How much wider the proposal is in the check of IWAE-k: where the bound gets better by it, q(z|x) is too narrow."""
CHECK_IMAGES = 100


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


def elbo(evaluation: Evaluation) -> Outcome:
    """-ELBO(S); MODELS.md 6.1."""
    parts = bound_parts_of(evaluation)
    total_N = parts.reconstruction_N + parts.kl_N
    return Outcome.mean_of(
        total_N, bound=f"-ELBO({evaluation.samples})", samples=evaluation.samples, detail=bits(evaluation, total_N)
    )


def reconstruction(evaluation: Evaluation) -> Outcome:
    """-E_q[log p(x|z)] with S samples."""
    return Outcome.mean_of(
        bound_parts_of(evaluation).reconstruction_N, bound=f"-ELBO({evaluation.samples})", samples=evaluation.samples
    )


def kl(evaluation: Evaluation) -> Outcome:
    """KL(q(z|x) || p(z)), with that of each dimension."""
    parts = bound_parts_of(evaluation)
    detail = {} if parts.kl_D is None else {"per_dimension": rounded(parts.kl_D)}
    return Outcome.mean_of(parts.kl_N, bound="closed form", detail=detail)


def iwae(evaluation: Evaluation) -> Outcome:
    """IWAE-k and how many of its samples count; MODELS.md 5.5 and 6.2."""
    samples = evaluation.samples
    drawing = (samples, evaluation.seed, evaluation.rows_at_once, evaluation.advance)
    weighted = importance_weighted(evaluation.model, evaluation.images, *drawing)
    effective_N = weighted.effective_samples_N
    detail = {
        "effective_samples": float(effective_N.mean()),
        "images_below_1_percent": int((effective_N < LOW_SAMPLE_SHARE * samples).sum()),
        **bits(evaluation, weighted.nll_N),
    }
    checked = evaluation.images.first(CHECK_IMAGES)
    if isinstance(posterior_of(evaluation.model, checked), DiagonalGaussian):
        wide = importance_weighted(evaluation.model, checked, *drawing, widening=WIDENING)
        difference_N = wide.nll_N - weighted.nll_N[: checked.num_images]
        detail |= {
            "widening": WIDENING, "widened_images": checked.num_images,
            "widened_difference": float(difference_N.mean()),
        }  # fmt: skip
    return Outcome.mean_of(weighted.nll_N, bound=f"IWAE-{samples}", samples=samples, detail=detail)


def active_units(evaluation: Evaluation) -> Outcome:
    """Dimensions with Var_x(mu_j(x)) > 0.01 over all images, and the variances; MODELS.md 5.6."""
    mean_ND, _ = evaluation.posteriors()
    variance_D = mean_ND.var(0, correction=0)
    count = int((variance_D > ACTIVE_VARIANCE).sum())
    return Outcome(value=float(count), detail={"variance_per_dimension": rounded(variance_D)})


def bits(evaluation: Evaluation, nats_N: Tensor) -> dict[str, Any]:
    """For `detail`: bits per dimension, NLL / (D ln 2), under the protocol whose score is a probability of levels."""
    images = evaluation.images
    if images.protocol != "discrete":
        return {}
    return {"bits_per_dimension": float(nats_N.mean()) / (images.stored_NCHW[0].numel() * math.log(2))}


def bound_parts_of(evaluation: Evaluation) -> BoundParts:
    """The parts of -ELBO(S), shared by the measures that need them."""
    return evaluation.shared(
        ("bound parts", evaluation.samples),
        lambda: bound_parts(
            evaluation.model, evaluation.images, evaluation.samples, evaluation.seed, evaluation.rows_at_once,
            evaluation.advance,
        ),
    )  # fmt: skip


def bound_parts(
    model: LatentModel, images: ScoredImages, samples: int, seed: int, rows: int, advance: Advance = no_report
) -> BoundParts:
    """-E_q[log p(x|z)] with S samples an image and KL(q(z|x) || p(z)); MODELS.md 6.1."""
    reconstructions, divergences, kl_sum = [], [], None
    with torch.inference_mode():
        for block in blocks(model, images, seed, advance):
            posterior = model.encode(block.x_BCHW, block.condition)
            total_B = torch.zeros(len(block.x_BCHW), dtype=torch.float64)
            for _ in range(samples):
                z = posterior.sample(block.generator)
                total_B -= log_likelihood(model, z, block.x_BCHW, block.condition, rows)
            reconstructions.append(total_B / samples)
            divergences.append(posterior.kl().double().cpu())
            if isinstance(posterior, DiagonalGaussian):
                block_D = posterior.kl_per_dimension().double().sum(0).cpu()
                kl_sum = block_D if kl_sum is None else kl_sum + block_D
    kl_D = None if kl_sum is None else kl_sum / images.num_images
    return BoundParts(torch.cat(reconstructions), torch.cat(divergences), kl_D)


def importance_weighted(
    model: LatentModel,
    images: ScoredImages,
    samples: int,
    seed: int,
    rows: int,
    advance: Advance = no_report,
    widening: float = 1.0,
) -> ImportanceWeighted:
    """-log 1/k sum_i p(x, z_i) / q(z_i|x), a lower bound's negative (Burda et al. 2015, eq. 8); weights in float64.

    With `widening` the proposal is N(m, (widening s)^2) instead of q(z|x) = N(m, s^2).
    """
    bounds, effective = [], []
    with torch.inference_mode():
        for block in blocks(model, images, seed, advance):
            x_BCHW, condition = block.x_BCHW, block.condition
            proposal = model.encode(x_BCHW, condition)
            if widening != 1.0:
                assert isinstance(proposal, DiagonalGaussian), "only a Gaussian can be widened"
                proposal = DiagonalGaussian(proposal.mean, proposal.log_variance + 2 * math.log(widening))
            log_weight_SB = torch.empty(samples, len(x_BCHW), dtype=torch.float64)
            for i in range(samples):
                advance(block.start * samples + i * len(x_BCHW), images.num_images * samples)
                z = proposal.sample(block.generator)
                ratio_B = model.log_prior(z, condition).double() - proposal.log_prob(z).double()
                log_weight_SB[i] = log_likelihood(model, z, x_BCHW, condition, rows) + ratio_B.cpu()
            total_B = torch.logsumexp(log_weight_SB, 0)
            bounds.append(math.log(samples) - total_B)
            effective.append(torch.exp(2 * total_B - torch.logsumexp(2 * log_weight_SB, 0)))
    return ImportanceWeighted(torch.cat(bounds), torch.cat(effective))


def log_likelihood(model: LatentModel, z: Latents, x_BCHW: Tensor, condition: Tensor | None, rows: int) -> Tensor:
    """log p(x|z), (B,) float64 on the CPU, decoding at most `rows` latents at a time."""
    parts = []
    for start in range(0, len(x_BCHW), rows):
        part = slice(start, start + rows)
        z_part = tuple(level[part] for level in z) if isinstance(z, tuple) else z[part]
        likelihood = cast("Likelihood", model.decode(z_part, part_of(condition, part)))
        parts.append(likelihood.log_prob(x_BCHW[part]).double().cpu())
    return torch.cat(parts)
