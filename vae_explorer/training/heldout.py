"""Passes over images beside training: held-out measurements, codes for the map, the mean image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.models.codebook import perplexity
from vae_explorer.training.hardware import generator_for

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageDataset
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


def measure_heldout(step: TrainingStep, index_N: Tensor, seed: int) -> HeldoutTerms:
    """The model's terms on the items of these ids, always under the same noise, so that the curve shows the model
    alone.

    Also refreshes these items' codes. Sums are kept in float64.
    """
    device = step.device
    noise, data_noise = generator_for(device, seed), generator_for(device, seed + 1)
    sums: dict[str, Tensor] = {}
    kl_sum: Tensor | None = None
    counts_K: Tensor | None = None
    codes = []
    step.model.eval()
    with torch.inference_mode(), step.autocast():
        for index_B in index_N.split(CHUNK):
            found = step.model.objective(step.batch_of(index_B, data_noise), step.beta, noise)
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
    step.model.train()
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
    return HeldoutTerms(terms, kl_D, active)


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


def effective_beta(step: TrainingStep, beta: float) -> float:
    """The weight of the KL against the reconstruction in the loss as the model's code really adds it up.

    Measured on one batch: with both summed over pixels and latents it is the beta asked for; means instead of sums
    multiply it by pixels or divide it by latents, which is how a posterior collapses unseen. The beta asked for where
    the model's terms are not a reconstruction and a KL.
    """
    if not {"reconstruction", "kl"} <= set(step.term_names):
        return beta
    device, index_B = step.device, step.dataset.train_index_N[:CHUNK]
    batch = step.batch_of(index_B, generator_for(device, 0))
    step.model.eval()  # in training mode an objective may take up statistics of its batch
    with torch.inference_mode():
        without, with_probe = (
            step.model.objective(batch, torch.tensor(weight, device=device), generator_for(device, 0))
            for weight in (0.0, PROBE_BETA)
        )
    step.model.train()
    kl, reconstruction = float(without.terms["kl"]), float(without.terms["reconstruction"])
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
    step.model.eval()
    with torch.inference_mode(), step.autocast():
        stride = -(-len(step.codes_ND) // MOST_ENCODED)
        for index_B in torch.arange(0, len(step.codes_ND), stride, device=step.device).split(CHUNK):
            batch = step.batch_of(index_B, data_noise)
            condition = step.model.condition_of(batch.x_BCHW, batch.label_B)
            mean = step.model.encode(batch.x_BCHW, condition).mean
            assert isinstance(mean, torch.Tensor)
            step.codes_ND[index_B] = mean.float()
    step.model.train()
