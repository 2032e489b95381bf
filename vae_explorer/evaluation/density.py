"""The likelihood of models that have it in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.bounds import bits
from vae_explorer.evaluation.evaluation import Advance, Outcome, blocks, no_report

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.evaluation import Evaluation
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel


def exact_nll(evaluation: Evaluation) -> Outcome:
    """-log p(x), which no bound stands in for."""
    nll_N = closed_form_nll(evaluation.model, evaluation.images, evaluation.advance)
    return Outcome.mean_of(nll_N, bound="closed form", detail=bits(evaluation, nll_N))


def closed_form_nll(model: LatentModel, images: ScoredImages, advance: Advance = no_report) -> Tensor:
    """-log p(x) of each image, (N,) on the CPU."""
    with torch.inference_mode():
        return -torch.cat([model.log_density(block.x_BCHW).cpu() for block in blocks(model, images, 0, advance)])
