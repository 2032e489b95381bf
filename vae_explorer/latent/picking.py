"""Which items are meant: the one under the mouse, those in a lasso or a rectangle, of a class, or with a value.

Ids come back as sorted int64 arrays; items whose codes are not finite are never among them. On the exploring thread.
Generators yield None after every few milliseconds of work and last the ids, so that they can be submitted as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_values import VALUES, complete_values, distance_values
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.code_layer import CodeLayer, PlacedCodes
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import Floats, View

Ids = NDArray[np.int64]

# Points sorted and tested against a lasso in one step.
_POLYGON_CHUNK = 40_000


def item_near(
    explorer: Explorer, view: View, xy: tuple[float, float], radius: float, layer: CodeLayer | None = None
) -> tuple[int, float] | None:
    """The item whose code stands nearest to the map point, and how far, in map units; None if none within `radius`.

    Of codes at one place the one drawn on top. `layer` keeps the places, where it is not that of the explorer's map.
    """
    placed = (layer or explorer.code_layer).placed(explorer, view)
    if placed is None or not len(placed.xy_N2):
        return None
    x, y = xy
    near_P = np.flatnonzero(_inside(placed, MapRect(x - radius, y - radius, x + radius, y + radius)))
    near_P = _finite(explorer, placed, near_P)
    if not len(near_P):
        return None
    distance_P = np.hypot(placed.xy_N2[near_P, 0] - x, placed.xy_N2[near_P, 1] - y)
    nearest = len(near_P) - 1 - int(np.argmin(distance_P[::-1]))
    distance = float(distance_P[nearest])
    return (int(placed.order_N[near_P[nearest]]), distance) if distance <= radius else None


def items_in_polygon(explorer: Explorer, view: View, polygon_P2: Floats) -> Iterator[Ids | None]:
    """The items whose codes stand inside the closed polygon by the even-odd rule; None between the steps, ids last.

    `polygon_P2` are map points; fewer than three enclose nothing. Source: the crossing-number test, Shimrat 1962. Only
    the points between an edge's two heights can cross it, so the points are sorted by y: the cost is that of the
    crossings, not of points times edges.
    """
    placed = explorer.code_layer.placed(explorer, view)
    polygon = np.asarray(polygon_P2, dtype=np.float64).reshape(-1, 2)
    polygon = polygon[np.isfinite(polygon).all(axis=1)]
    if placed is None or len(polygon) < 3:
        yield np.zeros(0, dtype=np.int64)
        return
    (left, bottom), (right, top) = polygon.min(axis=0), polygon.max(axis=0)
    candidates = np.flatnonzero(_inside(placed, MapRect(left, bottom, right, top)))
    found = []
    for start in range(0, len(candidates), _POLYGON_CHUNK):
        yield None
        chunk = candidates[start : start + _POLYGON_CHUNK]
        found.append(chunk[is_inside(placed.xy_N2[chunk], polygon)])
    yield _sorted_ids(explorer, placed, np.concatenate(found) if found else candidates)


def is_inside(xy_N2: Floats, polygon_P2: Floats) -> NDArray[np.bool_]:
    """Whether each point lies inside the closed polygon by the even-odd rule, (N,); all points finite."""
    by_height = np.argsort(xy_N2[:, 1])
    x_N, y_N = xy_N2[by_height, 0].astype(np.float64), xy_N2[by_height, 1].astype(np.float64)
    ends_P2 = np.roll(polygon_P2, -1, axis=0)
    low_P, high_P = np.minimum(polygon_P2[:, 1], ends_P2[:, 1]), np.maximum(polygon_P2[:, 1], ends_P2[:, 1])
    # Half-open in y: a point at a corner's height crosses one of the two edges that meet there, never both.
    first_P, last_P = np.searchsorted(y_N, low_P), np.searchsorted(y_N, high_P)
    crossed_N = np.zeros(len(x_N), dtype=bool)
    for (x0, y0), (x1, y1), first, last in zip(polygon_P2, ends_P2, first_P, last_P, strict=True):
        if last > first:
            edge_x = x0 + (y_N[first:last] - y0) * ((x1 - x0) / (y1 - y0))
            crossed_N[first:last] ^= x_N[first:last] < edge_x
    inside_N = np.empty(len(x_N), dtype=bool)
    inside_N[by_height] = crossed_N
    return inside_N


def items_of_label(dataset: ImageDataset | None, label: int) -> Ids:
    """The items of one class. Raises UserError for images without labels."""
    if dataset is None or dataset.labels_N is None:
        raise UserError("These images have no labels.", "Select by lasso, rectangle or value instead.")
    ids: Ids = np.flatnonzero(dataset.labels_N.cpu().numpy() == label).astype(np.int64)
    return ids


def items_in_value_range(
    explorer: Explorer, name: str, low: float, high: float, view: View | None = None
) -> Iterator[Ids | None]:
    """The items whose value lies from `low` to `high`; None between the steps, ids last.

    `name` is `elbo`, `reconstruction`, `kl` (nats; values that are not known yet are computed first, those of older
    snapshots are taken as they are) or `distance` from `view`. Raises UserError as `complete_values`.
    """
    if name == "distance":
        if view is None:
            raise ValueError("a distance is from a view")
        value_N = yield from distance_values(explorer, view)
    elif name in VALUES:
        value_N = yield from complete_values(explorer, name)
    else:
        raise ValueError(f"no value {name!r}; there are {', '.join(VALUES)} and distance")
    codes_ND = explorer.codes()
    if codes_ND is None or value_N is None or len(codes_ND) != len(value_N):
        yield np.zeros(0, dtype=np.int64)
        return
    with np.errstate(invalid="ignore"):
        chosen_N = (value_N >= low) & (value_N <= high) & _finite_items(explorer)
    yield np.flatnonzero(chosen_N).astype(np.int64)


def _inside(placed: PlacedCodes, rect: MapRect) -> NDArray[np.bool_]:
    x_N, y_N = placed.xy_N2[:, 0], placed.xy_N2[:, 1]
    with np.errstate(invalid="ignore"):
        inside_N: NDArray[np.bool_] = x_N >= rect.left
        inside_N &= x_N <= rect.right
        inside_N &= y_N >= rect.bottom
        inside_N &= y_N <= rect.top
    return inside_N


def _finite(explorer: Explorer, placed: PlacedCodes, drawn_P: NDArray[np.intp]) -> NDArray[np.intp]:
    # A view that ignores a coordinate gives a place even to a code that is not finite in it.
    finite_N = _finite_items(explorer)
    return drawn_P if finite_N.all() else drawn_P[finite_N[placed.order_N[drawn_P]]]


def _finite_items(explorer: Explorer) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] | None = explorer.cache.get("finite items")
    if known is None:
        codes_ND = explorer.codes()
        assert codes_ND is not None
        # A small multiple of the sum, which finite codes cannot overflow: one product instead of a look at each number.
        with np.errstate(invalid="ignore"):
            known = np.isfinite(codes_ND @ np.full(codes_ND.shape[1], 1e-4, dtype=np.float32))
        explorer.cache["finite items"] = known
    return known


def _sorted_ids(explorer: Explorer, placed: PlacedCodes, drawn_P: NDArray[np.intp]) -> Ids:
    return np.sort(placed.order_N[_finite(explorer, placed, drawn_P)]).astype(np.int64)
