"""Attribute directions: what two groups of items differ in, as a direction of latent space. Torch-free.

Legend: N items, D latent dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeDirection:
    """The difference of two groups' mean codes, from minus to plus: one unit of it goes from the one mean to the other.

    `separation` is d' along it: the distance of the means in units of the groups' pooled standard deviation, infinite
    where neither group spreads. `accuracy` is the share of codes on their own side of the threshold halfway, averaged
    over the two groups, 0.5 where they cannot be told apart.
    """

    vector_D: Float64
    separation: float
    accuracy: float
    num_plus: int
    num_minus: int


def attribute_direction(codes_ND: Floats, ids_plus: Ids, ids_minus: Ids) -> AttributeDirection:
    """The direction from the mean code of `ids_minus` to that of `ids_plus`; codes that are not finite are left out.

    Raises UserError where a group has no code, or where both have the same mean. Source: attribute vectors, Larsen et
    al. 2016, arXiv 1512.09300, section 3.3; d' as in signal detection, Green & Swets 1966.
    """
    plus_ND, minus_ND = _finite(codes_ND, ids_plus), _finite(codes_ND, ids_minus)
    if not len(plus_ND) or not len(minus_ND):
        raise UserError("One of the two groups has no codes.", "Choose two groups with at least one image each.")
    vector_D = plus_ND.mean(axis=0) - minus_ND.mean(axis=0)
    length = float(np.linalg.norm(vector_D))
    scale = max(float(np.abs(plus_ND).max()), float(np.abs(minus_ND).max()))
    if length <= 1e-9 * scale:
        raise UserError("Both groups have the same mean code.", "Choose two groups that differ.")
    plus_N, minus_N = plus_ND @ (vector_D / length), minus_ND @ (vector_D / length)
    spread = float(np.sqrt((plus_N.var() + minus_N.var()) / 2))
    halfway = (plus_N.mean() + minus_N.mean()) / 2
    accuracy = (np.mean(plus_N > halfway) + np.mean(minus_N < halfway)) / 2
    separation = length / spread if spread > 1e-9 * scale else float("inf")
    return AttributeDirection(vector_D, separation, float(accuracy), len(plus_ND), len(minus_ND))


def applied(z: Floats, vector: Floats, amount: float) -> Float64:
    """z + amount * vector, for one point (D,) or many (N, D)."""
    moved: Float64 = np.asarray(z, dtype=np.float64) + amount * np.asarray(vector, dtype=np.float64)
    return moved


def _finite(codes_ND: Floats, ids: Ids) -> Float64:
    codes = np.asarray(codes_ND)[np.asarray(ids, dtype=np.int64)].astype(np.float64)
    return codes[np.isfinite(codes).all(axis=1)]
