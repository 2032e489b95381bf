"""Passes over images beside training: held-out measurements, codes for the map, the mean image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.models.aggregate_posterior import decompose_kl
from vae_explorer.models.codebook import perplexity
from vae_explorer.training.hardware import generator_for

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.training.step import TrainingStep

CHUNK = 1000
MOST_ENCODED = 100_000
"""Items that are encoded for a map before training: what takes seconds on two cores."""

ACTIVE_VARIANCE = 0.01
"""A latent dimension is active where its posterior mean varies more than this over images (Burda et al.,
1509.00519)."""


@dataclass(frozen=True, eq=False)
class HeldoutTerms:
    """Averages over the held-out images, in nats per image."""

    terms: dict[str, float]
    kl_D: Tensor | None  # on the CPU
    active_units: int | None


def measure_heldout(step: TrainingStep, index_N: Tensor, seed: int, *, decomposes: bool) -> HeldoutTerms:
    """The model's terms on the items of these ids, always under the same noise, so that the curve shows the model
    alone; with averaged weights where there are any.

    `decomposes` adds the terms of `record.DECOMPOSITION_TERMS`. Also refreshes these items' codes. Sums are kept in
    float64.
    """
    device = step.device
    noise, data_noise = generator_for(device, seed), generator_for(device, seed + 1)
    sums: dict[str, Tensor] = {}
    kl_sum: Tensor | None = None
    counts_K: Tensor | None = None
    codes, means, log_variances = [], [], []
    with evaluating(step.looked_at) as model, step.autocast():
        for index_B in index_N.split(CHUNK):
            found = model.objective(step.batch_of(index_B, data_noise), step.beta, noise)
            for name in step.term_names:
                total = found.terms[name].double() * len(index_B)
                sums[name] = sums[name] + total if name in sums else total
            if found.kl_D is not None:
                total = found.kl_D.double() * len(index_B)
                kl_sum = total if kl_sum is None else kl_sum + total
            if found.code_counts_K is not None:
                counts_K = found.code_counts_K.double() + (0 if counts_K is None else counts_K)
            if found.codes_BD is not None:
                codes.append(found.codes_BD.float())
            if found.standardised is not None:
                means.append(found.standardised.mean.float())
                log_variances.append(found.standardised.log_variance.float())
    active = None
    if codes:
        codes_ND = torch.cat(codes)
        active = int((codes_ND.var(0) > ACTIVE_VARIANCE).sum()) if len(codes_ND) > 1 else 0
        if step.codes_ND is not None:
            step.codes_ND.index_copy_(0, index_N, codes_ND)
    num = len(index_N)
    kl_D = None if kl_sum is None else (kl_sum / num).float().cpu()
    terms = {name: float(total) / num for name, total in sums.items()}
    if counts_K is not None:
        terms["perplexity"] = float(perplexity(counts_K))
    if decomposes:
        sigma_ND = torch.exp(0.5 * torch.cat(log_variances))
        terms |= decompose_kl(torch.cat(means), sigma_ND, seed=seed).means()
    return HeldoutTerms(terms, kl_D, active)


@contextlib.contextmanager
def evaluating(model: LatentModel) -> Iterator[LatentModel]:
    """The model in evaluation mode and without gradients; afterwards as it was before."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield model
    finally:
        model.train(was_training)


def mean_training_image(dataset: ImageDataset, most: int = 10_000) -> Tensor:
    """The mean of the training images (held-out ones left out), (C, H, W) in [0, 1] on the CPU; of an even part
    of at most `most`. Points of the plane keep their unit.
    """
    num = len(dataset.train_index_N)
    chunks = dataset.train_index_N[:: max(1, num // most)][:most].split(CHUNK)
    stored = [dataset.images.gather(index_B) for index_B in chunks]
    total = torch.stack([images_BCHW.double().sum(0) for images_BCHW in stored]).sum(0)
    unit = 1 if stored[0].is_floating_point() else 255
    return (total / (unit * sum(len(index_B) for index_B in chunks))).float().cpu()


PROBE_BETA = 1000.0
"""Large, because the KL of an untrained net is a thousandth of a nat beside hundreds of nats of reconstruction."""


def effective_beta(step: TrainingStep, beta: float, free_bits: float = 0.0) -> float | None:
    """The weight of the KL against the reconstruction in the loss as the model's code really adds it up.

    Measured on one batch: with both summed over pixels and latents it is the beta asked for; means instead of sums
    multiply it by pixels or divide it by latents, which is how a posterior collapses unseen. With free bits it is the
    weight of what counts beyond them. None where the loss is no reconstruction plus a weighted KL.
    """
    if not step.model.has_effective_beta or not {"reconstruction", "kl"} <= set(step.term_names):
        return None
    device, index_B = step.device, step.dataset.train_index_N[:CHUNK]
    batch = step.batch_of(index_B, generator_for(device, 0))
    with evaluating(step.model) as model:  # in training mode an objective may take up statistics of its batch
        without, with_probe = (
            model.objective(batch, torch.tensor(weight, device=device), generator_for(device, 0))
            for weight in (0.0, PROBE_BETA)
        )
    kl, reconstruction = float(without.terms["kl"]), float(without.terms["reconstruction"])
    if free_bits > 0 and without.kl_D is not None:
        kl = float(without.kl_D.clamp(min=free_bits).sum())
    if kl <= 0 or reconstruction == 0:
        return beta
    of_kl = float(with_probe.loss - without.loss) / (PROBE_BETA * kl)
    of_reconstruction = float(without.loss) / reconstruction
    return float(f"{beta * of_kl / of_reconstruction:.3g}")


def encode_items(step: TrainingStep, seed: int) -> None:
    """Fill `step.codes_ND` with the posterior means of the items of the training source; of a source of more than
    `MOST_ENCODED` those of an even part, the others as training visits them.
    """
    if step.codes_ND is None:
        return
    data_noise = generator_for(step.device, seed)
    with evaluating(step.looked_at) as model, step.autocast():
        stride = -(-len(step.codes_ND) // MOST_ENCODED)
        for index_B in torch.arange(0, len(step.codes_ND), stride, device=step.device).split(CHUNK):
            step.codes_ND[index_B] = mean_codes(step, model, index_B, data_noise)


def mean_codes(step: TrainingStep, model: LatentModel, index_B: Tensor, data_noise: torch.Generator) -> Tensor:
    """The posterior means of the items of these ids, (B, D) float32, by a model in evaluation mode."""
    batch = step.batch_of(index_B, data_noise)
    mean = model.encode(batch.x_BCHW, model.condition_of(batch.x_BCHW, batch.label_B)).mean
    assert isinstance(mean, torch.Tensor)
    return mean.float()
