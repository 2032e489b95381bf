"""Measures of models with a codebook: how evenly its codes are used, and what a learned prior saves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch

from vae_explorer.evaluation.evaluation import Outcome, blocks
from vae_explorer.models.codebook import DEAD_SHARE, code_counts
from vae_explorer.models.codebook import perplexity as perplexity_of

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.evaluation import Evaluation


def perplexity(evaluation: Evaluation) -> Outcome:
    """exp(-sum p_k ln p_k), p over all cells of all images: the mean over batches would be too low (MODELS.md 4.11)."""
    num_codes = evaluation.model.latent_space.num_codes
    counts_K = torch.zeros(num_codes, dtype=torch.float64)
    for grid_BRW, _ in _grids(evaluation):
        counts_K += code_counts(grid_BRW, num_codes).double().cpu()
    value = float(perplexity_of(counts_K))
    detail = {
        "codes": num_codes,
        "share_of_codes": round(value / num_codes, 6),
        "dead_codes": int((counts_K <= DEAD_SHARE * counts_K.sum()).sum()),
    }
    return Outcome(value=value, detail=detail)


def prior_saving(evaluation: Evaluation) -> Outcome:
    """100 (1 - mean of -log p(k) / H'W' ln K)."""
    space = evaluation.model.latent_space
    uniform_cost = math.prod(space.shape) * math.log(space.num_codes)
    with torch.inference_mode():
        parts = [
            -evaluation.model.log_prior(grid_BRW, condition).double().cpu()
            for grid_BRW, condition in _grids(evaluation)
        ]
    cost_N = torch.cat(parts)
    detail = {"code_cost": float(cost_N.mean()), "uniform_cost": uniform_cost}
    return Outcome.mean_of(100 * (1 - cost_N / uniform_cost), detail=detail)


def _grids(evaluation: Evaluation) -> list[tuple[Tensor, Tensor | None]]:
    """The code grids of all images, block by block, with the conditions."""

    def encoded() -> list[tuple[Tensor, Tensor | None]]:
        with torch.inference_mode():
            return [
                (cast("Tensor", evaluation.model.encode(block.x_BCHW, block.condition).mean), block.condition)
                for block in blocks(evaluation.model, evaluation.images, advance=evaluation.advance)
            ]

    return evaluation.shared("code grids", encoded)
