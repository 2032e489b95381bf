"""How well a model that is given a part of a picture predicts the rest: with its latents, and its baseline alone.

Both score the pixels that are not given, and no others (Sohn, Lee & Yan 2015, section 4.2, the conditional NLL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from vae_explorer.evaluation.bounds import importance_weighted
from vae_explorer.evaluation.evaluation import Outcome, blocks

if TYPE_CHECKING:
    from vae_explorer.evaluation.evaluation import Evaluation
    from vae_explorer.models.cvae_quadrants import QuadrantsCVAE


def completion(evaluation: Evaluation) -> Outcome:
    """-log 1/k sum_i p(y|x, z_i) p(z_i|x) / q(z_i|x, y), y the rest of the picture."""
    samples = evaluation.samples
    weighted = importance_weighted(
        evaluation.model, evaluation.images, samples, evaluation.seed, evaluation.rows_at_once, evaluation.advance
    )
    detail = {"effective_samples": float(weighted.effective_samples_N.mean())}
    return Outcome.mean_of(weighted.nll_N, bound=f"IWAE-{samples}", samples=samples, detail=detail)


def completion_baseline(evaluation: Evaluation) -> Outcome:
    """-log p(y|x) of the network that predicts the rest without latents."""
    model = cast("QuadrantsCVAE", evaluation.model)
    with torch.inference_mode():
        scores = [
            -model.predict(block.condition).log_prob(block.x_BCHW).double().cpu()
            for block in blocks(model, evaluation.images, evaluation.seed, evaluation.advance)
        ]
    return Outcome.mean_of(torch.cat(scores), bound="without latents")
