"""The posteriors of all training items as of one snapshot, encoded in short steps that can be taken up again.

Where q(z) is a mixture of them, a part of the items is another mixture: its ceiling ln M on I(x;z) is lower
(MODELS.md 6.5). Runs on the exploring thread.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.pacing import in_steps

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer

MOST_POSTERIORS = 200_000
"""Of larger sets an even choice of so many: their sums are 80 MB for 20 latent dimensions."""

_FIRST_BATCH, _MOST_BATCH = 32, 512


@dataclass(slots=True, eq=False)
class Posteriors:
    """Means and sigmas (N, D) of q(z|x) of the items `ids_N`; the first `num_done` are there."""

    ids_N: NDArray[np.int64]
    mean_ND: NDArray[np.float32]
    sigma_ND: NDArray[np.float32]
    num_done: int = 0


def prepared_posteriors(explorer: Explorer) -> Generator[None, None, Posteriors]:
    """All of them; the generator's return value. Abandoned and asked for anew, it goes on where it was.

    Raises UserError without images and for a model without a Gaussian posterior.
    """
    found: Posteriors | None = explorer.cache.get("posteriors")
    if found is None:
        if explorer.dataset is None:
            raise UserError("The images behind these codes are not loaded.", "Wait until the data set has been read.")
        ids = explorer.dataset.train_index_N.cpu().numpy().astype(np.int64)
        if len(ids) > MOST_POSTERIORS:
            ids = ids[np.linspace(0, len(ids) - 1, MOST_POSTERIORS).astype(np.int64)]
        empty: NDArray[Any] = np.empty((len(ids), explorer.num_dimensions), dtype=np.float32)
        found = explorer.cache["posteriors"] = Posteriors(ids, empty, empty.copy())
    posteriors, start = found, found.num_done

    @torch.inference_mode()
    def encode(part: slice) -> None:
        rows = slice(start + part.start, start + part.stop)
        ids_B = posteriors.ids_N[rows]
        posterior = explorer.posterior(explorer.seen(ids_B), ids_B)
        posteriors.mean_ND[rows] = posterior.mean.float().cpu().numpy()
        posteriors.sigma_ND[rows] = posterior.standard_deviation.float().cpu().numpy()
        posteriors.num_done = rows.stop

    yield from in_steps(len(posteriors.ids_N) - start, encode, _FIRST_BATCH, _MOST_BATCH)
    return posteriors
