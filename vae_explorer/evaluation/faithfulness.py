"""How faithfully a plane keeps the neighbourhoods of the latent space; MODELS.md 6.14.

Venna & Kaski, Neighborhood preservation in nonlinear projection methods, ICANN 2001. Legend: M codes, K neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluation import Evaluation, Outcome
from vae_explorer.evaluation.neighbours import nearest

if TYPE_CHECKING:
    from torch import Tensor

NUM_NEIGHBOURS = 10


def plane_trustworthiness(evaluation: Evaluation) -> Outcome:
    """Of the plane of the two largest principal components of mu: are neighbours on it neighbours in R^d?"""
    code_MD, plane_M2, explained = _codes_and_plane(evaluation)
    return _outcome(trustworthiness(code_MD, plane_M2, NUM_NEIGHBOURS), explained)


def plane_continuity(evaluation: Evaluation) -> Outcome:
    """Of the same plane: do neighbours in R^d stay neighbours on it?"""
    code_MD, plane_M2, explained = _codes_and_plane(evaluation)
    return _outcome(trustworthiness(plane_M2, code_MD, NUM_NEIGHBOURS), explained)


def trustworthiness(original_MD: Tensor, view_ME: Tensor, num_neighbours: int) -> float:
    """1 where the `num_neighbours` nearest in the view are those in the original space, about 1/2 by chance.

    With the two changed over it is the continuity. Raises UserError for fewer than 2 K + 2 codes.
    """
    num = len(original_MD)
    if num < 2 * num_neighbours + 2:
        raise UserError(
            f"{num} images are too few for neighbourhoods of {num_neighbours}.",
            f"Take at least {2 * num_neighbours + 2} images.",
        )
    _, neighbour_MK = nearest(view_ME, view_ME, num_neighbours, are_same=True)
    distance_MM = torch.cdist(original_MD, original_MD, compute_mode="donot_use_mm_for_euclid_dist")
    distance_MM.fill_diagonal_(-1.0)
    rank_MM = torch.empty(num, num, dtype=torch.int64)
    rank_MM.scatter_(1, distance_MM.sort(dim=1, stable=True).indices, torch.arange(num).expand(num, num))
    excess = (rank_MM.gather(1, neighbour_MK) - num_neighbours).clamp_min(0).sum()
    return 1.0 - float(excess) * 2.0 / (num * num_neighbours * (2 * num - 3 * num_neighbours - 1))


def _codes_and_plane(evaluation: Evaluation) -> tuple[Tensor, Tensor, float]:
    """Codes (M, D), their places on the plane (M, 2), and the share of their variance that the plane has."""
    code_MD, _ = evaluation.posteriors()
    centred_MD = code_MD - code_MD.mean(0)
    values, vectors_DD = torch.linalg.eigh(centred_MD.T @ centred_MD)
    return code_MD, centred_MD @ vectors_DD[:, -2:], float(values[-2:].sum() / values.sum())


def _outcome(value: float, explained: float) -> Outcome:
    return Outcome(value=value, detail={"neighbours": NUM_NEIGHBOURS, "explained_variance": explained})
