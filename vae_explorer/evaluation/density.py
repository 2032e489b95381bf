"""The likelihood of models that have it in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.bounds import bits
from vae_explorer.evaluation.evaluation import Outcome, blocks

if TYPE_CHECKING:
    from vae_explorer.evaluation.evaluation import Evaluation


def exact_nll(evaluation: Evaluation) -> Outcome:
    """-log p(x), which no bound stands in for."""
    model = evaluation.model
    with torch.inference_mode():
        parts = [
            model.log_density(block.x_BCHW).cpu() for block in blocks(model, evaluation.images, 0, evaluation.advance)
        ]
    nll_N = -torch.cat(parts)
    return Outcome.mean_of(nll_N, bound="closed form", detail=bits(evaluation, nll_N))
