"""How much better a model scores an image because it was trained on it; MODELS.md 6.9 (c).

van den Burg & Williams, On Memorization in Probabilistic Deep Generative Models, arXiv:2106.03216, equation 4: with
L parts of the training images of which each model has not seen one,

    M(x) = log p(x | trained with x) - log p(x | trained without x)

Legend: P parts and as many models, N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.bounds import importance_weighted
from vae_explorer.evaluation.density import closed_form_nll
from vae_explorer.evaluation.evaluation import ROWS_AT_ONCE, Advance, no_report

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord

QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, eq=False)
class LeaveOut:
    """What every model says of every image, in nats per image.

    `nll_PN` is -log p(x), float64, by the model that has not seen part p; `part_N` the part of each image.
    """

    nll_PN: Tensor
    part_N: Tensor

    @property
    def left_out_N(self) -> Tensor:
        """-log p(x) by the one model that was trained without the image."""
        return self.nll_PN.gather(0, self.part_N[None])[0]

    @property
    def kept_N(self) -> Tensor:
        """-log p(x), mean over the models that were trained with the image."""
        return (self.nll_PN.sum(0) - self.left_out_N) / (len(self.nll_PN) - 1)

    @property
    def memorisation_N(self) -> Tensor:
        """M(x): what the image gains by having been trained on, above 0 where it is remembered."""
        return self.left_out_N - self.kept_N


def require_scores(record: ModelRecord) -> None:
    """Raise UserError for a model without likelihood, whose images have no log p(x)."""
    if not (record.has_density or (record.has_likelihood and record.has_prior)):
        raise UserError(
            f"Model '{record.name}' gives no log-likelihood, so nothing can be said of what it loses without an image.",
            "Choose a variational autoencoder, a mixture or ppca.",
        )


def nll_of_images(
    model: LatentModel,
    record: ModelRecord,
    images: ScoredImages,
    samples: int,
    seed: int = 0,
    advance: Advance = no_report,
) -> tuple[Tensor, str]:
    """-log p(x) of each image, (N,) float64, and its bound: the closed form where there is one, else IWAE-k."""
    if record.has_density:
        return closed_form_nll(model, images, advance), "closed form"
    weighted = importance_weighted(model, images, samples, seed, ROWS_AT_ONCE, advance)
    return weighted.nll_N, f"IWAE-{samples}"


def spread_over_parts(parts: list[Tensor], num_images: int) -> tuple[Tensor, Tensor]:
    """About `num_images` item ids, evenly from all parts and evenly within each, and the part of each of them."""
    each = -(-num_images // len(parts))
    chosen = [part[torch.linspace(0, len(part) - 1, min(each, len(part))).long()] for part in parts]
    numbers = [torch.full((len(items),), number) for number, items in enumerate(chosen)]
    return torch.cat(chosen), torch.cat(numbers)
