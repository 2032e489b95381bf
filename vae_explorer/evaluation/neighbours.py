"""Nearest neighbours by exact distances, in blocks that bound the memory.

Legend: Q queries, R references, F features, K neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Advance, no_report

if TYPE_CHECKING:
    from torch import Tensor

_QUERIES_AT_ONCE = 512


def distance_blocks(
    query_QF: Tensor, reference_RF: Tensor, advance: Advance = no_report
) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances of a few queries at a time to all references, (B, R), with their place."""
    square_R = reference_RF.square().sum(1)
    for start in range(0, len(query_QF), _QUERIES_AT_ONCE):
        advance(start, len(query_QF))
        part = slice(start, start + _QUERIES_AT_ONCE)
        query_BF = query_QF[part]
        squared_BR = torch.addmm(square_R + query_BF.square().sum(1)[:, None], query_BF, reference_RF.T, alpha=-2)
        yield part, squared_BR.clamp_min_(0.0)
    advance(len(query_QF), len(query_QF))


def nearest(
    query_QF: Tensor, reference_RF: Tensor, num: int, *, are_same: bool = False, advance: Advance = no_report
) -> tuple[Tensor, Tensor]:
    """Distances and numbers of the `num` nearest references of each query, nearest first, both (Q, K).

    `are_same` says that the queries are the references, and leaves each out of its own neighbours. `num` must be
    smaller than R.
    """
    distances, indices = [], []
    for part, squared_BR in distance_blocks(query_QF, reference_RF, advance):
        if are_same:
            rows = torch.arange(len(squared_BR))
            squared_BR[rows, rows + part.start] = torch.inf
        found = squared_BR.topk(num, dim=1, largest=False)
        distances.append(found.values.sqrt())
        indices.append(found.indices)
    return torch.cat(distances), torch.cat(indices)
