"""The places of the codes of all items on the map, kept from one drawing to the next.

Runs on the exploring thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.code_raster import fair_order
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PRIOR_RECT

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import Floats, View

# Quantiles of so many codes are as good as those of all, and cost a hundredth.
_QUANTILE_SAMPLE = 6_000
_OUTER_QUANTILE = 0.004
_BULK_QUANTILE = 0.01
_AIR = 0.2
_FARTHEST = 3.0
_LEAST_SPREAD = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class PlacedCodes:
    """Where the codes of one snapshot stand in one view, in the order of drawing.

    `xy_N2[i]` is the place of item `order_N[i]`; codes that are not finite stay in and stand nowhere. `extent` is what
    a map that shows all codes should show (`extent_of`).
    """

    xy_N2: Floats
    order_N: NDArray[np.intp]
    extent: MapRect


class CodeLayer:
    """Holds the places of all codes as of one snapshot and one view."""

    def __init__(self) -> None:
        self._placed_for: tuple[int, View] | None = None
        self._placed = PlacedCodes(np.zeros((0, 2), dtype=np.float32), fair_order(0), PRIOR_RECT)

    def placed(self, explorer: Explorer, view: View) -> PlacedCodes | None:
        """The adopted snapshot's codes in this view; None where the model has none or they do not fit the view."""
        codes_ND = explorer.codes()
        if codes_ND is None or explorer.snapshot is None or codes_ND.shape[1] != view.num_dimensions:
            return None
        if self._placed_for != (explorer.stamp, view):
            order_N = self._placed.order_N
            if len(order_N) != len(codes_ND):
                order_N = fair_order(len(codes_ND))
            with np.errstate(invalid="ignore", over="ignore"):
                xy_N2 = view.place(codes_ND)[order_N]
            extent = extent_of(xy_N2[:_QUANTILE_SAMPLE], view.home, is_trained=explorer.snapshot.step > 0)
            self._placed = PlacedCodes(xy_N2, order_N, extent)
            self._placed_for = (explorer.stamp, view)
        return self._placed


def extent_of(xy_N2: Floats, home: MapRect, *, is_trained: bool) -> MapRect:
    """What a map that shows these codes should show; non-finite places are left out.

    All but the outermost 0.4 % on each side, and never less than the view's `home`. The codes of an untrained net are a
    dot inside it: then it is where most of them are, from the 1st to the 99th percentile of each axis with a
    fifth more on either side, so that the dot is shown large.
    """
    finite = xy_N2[np.isfinite(xy_N2).all(axis=1)].astype(np.float64)
    if not len(finite):
        return home
    if is_trained:
        (left, bottom), (right, top) = np.quantile(finite, [_OUTER_QUANTILE, 1 - _OUTER_QUANTILE], axis=0)
        return home.union(MapRect(float(left), float(bottom), float(right), float(top)))
    (left, bottom), (right, top) = np.quantile(finite, [_BULK_QUANTILE, 1 - _BULK_QUANTILE], axis=0)
    air_x, air_y = max(_AIR * (right - left), _LEAST_SPREAD), max(_AIR * (top - bottom), _LEAST_SPREAD)
    return MapRect(float(left - air_x), float(bottom - air_y), float(right + air_x), float(top + air_y))


def whole_extent(placed: PlacedCodes) -> MapRect:
    """As `extent`, grown until it holds every code; those beyond three times its size are left out.

    A few codes that are thrown far away would leave a dot of all others.
    """
    x_N, y_N = placed.xy_N2.T
    far = placed.extent.grown(_FARTHEST)
    is_inside_N = (x_N >= far.left) & (x_N <= far.right) & (y_N >= far.bottom) & (y_N <= far.top)
    if not is_inside_N.any():
        return placed.extent
    (left, bottom), (right, top) = (f(placed.xy_N2[is_inside_N], axis=0).tolist() for f in (np.min, np.max))
    return placed.extent.union(MapRect(left, bottom, right, top))
