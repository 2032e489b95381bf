"""The codes of all items as one picture of the map, kept placed and shuffled between two snapshots.

Runs on the exploring thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.code_raster import UInt8, fair_order, raster_codes
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import Floats, View

# Quantiles of so many codes are as good as those of all, and cost a hundredth.
_QUANTILE_SAMPLE = 6_000
_OUTER_QUANTILE = 0.004
_LEAST_EXTENT = 3.0


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What the code layer is asked to draw: the part of the plane, at so many pixels, in these colours."""

    view: View
    rect: MapRect
    width: int
    height: int
    colour_N: UInt8 | None
    palette_K4: UInt8
    pixel_ratio: float


@dataclass(frozen=True, slots=True, eq=False)
class CodePicture:
    """The codes in a part of the plane as premultiplied pixels, and how many of how many these are.

    `extent` holds all but the outermost 0.4 % on each side and never less than the prior's +-3, for fitting
    the map.
    """

    rect: MapRect
    pixels: UInt8
    num_shown: int
    num_codes: int
    extent: MapRect


class CodeLayer:
    """Draws codes; holds their places as of one snapshot and one view, in the order of drawing."""

    def __init__(self) -> None:
        self._placed_for: tuple[int, View] | None = None
        self._xy_N2: Floats = np.zeros((0, 2), dtype=np.float32)
        self._extent = MapRect(-_LEAST_EXTENT, -_LEAST_EXTENT, _LEAST_EXTENT, _LEAST_EXTENT)
        self._order = fair_order(0)
        self._colours: tuple[UInt8, UInt8] | None = None

    def picture(self, explorer: Explorer, request: CodeRequest) -> CodePicture | None:
        """Draw the adopted snapshot's codes; None where the model has none or they do not fit the view."""
        codes_ND = explorer.codes()
        if codes_ND is None or codes_ND.shape[1] != request.view.num_dimensions:
            return None
        if self._placed_for != (explorer.stamp, request.view):
            self._place(codes_ND, request.view)
            self._placed_for = (explorer.stamp, request.view)
        pixels, num_shown = raster_codes(
            self._xy_N2, self._shuffled(request.colour_N), request.rect, request.width, request.height,
            request.palette_K4, request.pixel_ratio,
        )  # fmt: skip
        return CodePicture(request.rect, pixels, num_shown, len(codes_ND), self._extent)

    def _place(self, codes_ND: NDArray[np.float32], view: View) -> None:
        if len(self._order) != len(codes_ND):
            self._order, self._colours = fair_order(len(codes_ND)), None
        self._xy_N2 = view.place(codes_ND)[self._order]
        sample = self._xy_N2[:_QUANTILE_SAMPLE]
        sample = sample[np.isfinite(sample).all(axis=1)]
        extent = MapRect(-_LEAST_EXTENT, -_LEAST_EXTENT, _LEAST_EXTENT, _LEAST_EXTENT)
        if len(sample):
            low, high = np.quantile(sample, [_OUTER_QUANTILE, 1 - _OUTER_QUANTILE], axis=0)
            extent = extent.union(MapRect(float(low[0]), float(low[1]), float(high[0]), float(high[1])))
        self._extent = extent

    def _shuffled(self, colour_N: UInt8 | None) -> UInt8:
        if colour_N is None or len(colour_N) != len(self._order):
            return np.zeros(len(self._order), dtype=np.uint8)
        if self._colours is None or self._colours[0] is not colour_N:
            self._colours = (colour_N, colour_N[self._order])
        return self._colours[1]
