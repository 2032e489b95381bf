"""Anchors: the posteriors of some training items, which stand for those of all.

Legend: M anchors, D latent dimensions, B batch.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer, Float32

MOST_ANCHORS = 4096
_ANCHOR_BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The posteriors of a fixed, evenly chosen part of the training items (at most 4,096), as of one snapshot.

    They stand for all items where every item's sigma is needed: the codes of a snapshot are means alone. The priors are
    those of the same items; None where all have N(0, I).
    """

    ids_M: NDArray[np.int64]
    mean_MD: Float32
    sigma_MD: Float32
    prior_mean_MD: Float32 | None = None
    prior_sigma_MD: Float32 | None = None


def prepared_anchors(explorer: Explorer) -> Generator[None, None, Anchors]:
    """Encode the anchors in short steps; the generator's return value (`yield from`) is `Anchors`.

    They are kept for the snapshot. Raises UserError without images.
    """
    known: Anchors | None = explorer.cache.get("anchors")
    if known is not None:
        return known
    if explorer.dataset is None:
        raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
    ids = explorer.dataset.train_index_N.cpu().numpy()
    chosen_M = ids[np.linspace(0, len(ids) - 1, min(MOST_ANCHORS, len(ids))).astype(np.int64)]
    means, sigmas, priors = [], [], []
    for start in range(0, len(chosen_M), _ANCHOR_BATCH):
        with torch.inference_mode():
            ids_B = chosen_M[start : start + _ANCHOR_BATCH]
            posterior = explorer.posterior(explorer.seen(ids_B), ids_B)
            means.append(posterior.mean.float().cpu().numpy())
            sigmas.append(posterior.standard_deviation.float().cpu().numpy())
            if posterior.prior is not None:
                parts = (posterior.prior.mean, posterior.prior.standard_deviation)
                priors.append(tuple(part.float().cpu().numpy() for part in parts))
        yield None
    own_priors = [np.concatenate(part) for part in zip(*priors, strict=True)]
    anchors = Anchors(chosen_M.astype(np.int64), np.concatenate(means), np.concatenate(sigmas), *own_priors)
    explorer.cache["anchors"] = anchors
    return anchors
