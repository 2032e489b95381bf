"""How many codes lie near a latent point, in short steps on the exploring thread.

Legend: F points, N codes, D latent dimensions, Q probes, K neighbours.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.geometry import Float64

_PROBES = 200
_USUAL_NEIGHBOURS = 20
_CHUNK_DISTANCES = 400_000


def near_radius(explorer: Explorer) -> Generator[None, None, float | None]:
    """The median distance from a code to the 20th nearest other, over 200 evenly chosen codes; once a snapshot.

    A fixed multiple of the nearest distance would shrink with the number of codes until nothing were near anything.
    """
    known: float | None = explorer.cache.get("near radius")
    codes_ND = explorer.codes()
    if known is not None or codes_ND is None:
        return known
    finite = np.flatnonzero(np.isfinite(codes_ND).all(axis=1))
    yield None
    if len(finite) < 2:
        return None
    probes = finite[np.linspace(0, len(finite) - 1, min(_PROBES, len(finite))).astype(np.int64)]
    probes_QD = torch.from_numpy(codes_ND[probes])
    num = min(_USUAL_NEIGHBOURS, len(finite) - 1)
    nearest_QK = torch.full((len(probes), num), torch.inf)
    rows = max(_CHUNK_DISTANCES // len(probes), 1)
    for start in range(0, len(codes_ND), rows):
        distances = torch.cdist(
            probes_QD, torch.from_numpy(codes_ND[start : start + rows]), compute_mode="donot_use_mm_for_euclid_dist"
        )
        is_here = (probes >= start) & (probes < start + rows)
        distances[np.flatnonzero(is_here), probes[is_here] - start] = torch.inf
        known_Q = torch.cat([nearest_QK, distances.nan_to_num(nan=torch.inf)], dim=1)
        nearest_QK = known_Q.topk(num, dim=1, largest=False).values
        yield None
    radius = float(nearest_QK[:, -1].median())
    explorer.cache["near radius"] = radius
    return radius


def num_near(explorer: Explorer, z_FD: Float64, radius: float) -> Generator[None, None, NDArray[np.int64]]:
    """How many codes lie within the radius of each frame."""
    codes_ND = explorer.codes()
    counts: NDArray[Any] = np.zeros(len(z_FD), dtype=np.int64)
    if codes_ND is None:
        return counts
    frames = torch.from_numpy(z_FD.astype(np.float32))
    rows = max(_CHUNK_DISTANCES // len(frames), 1)
    for start in range(0, len(codes_ND), rows):
        distances = torch.cdist(
            frames, torch.from_numpy(codes_ND[start : start + rows]), compute_mode="donot_use_mm_for_euclid_dist"
        )
        counts += (distances <= radius).sum(dim=1).numpy()
        yield None
    return counts
