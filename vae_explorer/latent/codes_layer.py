"""The layer of the codes: all of them, as points, as density or as pictures, coloured by class or by value.

Runs on the exploring thread, step by step. Legend: N items in the order of drawing, B colours.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.code_colours import CodeLook, prepared_look
from vae_explorer.latent.code_pictures import (
    MOST_PICTURES,
    SHARE_WITH_ROOM,
    SIDES,
    most_with_room,
    paste,
    prepared_tiles,
)
from vae_explorer.latent.code_raster import raster_codes
from vae_explorer.latent.code_values import UNKNOWN_ROW, distance_values
from vae_explorer.latent.density import CELL_PIXELS, crowding, density_contours, density_field, density_raster
from vae_explorer.latent.drawing import LayerDrawing, Legend, Raster, Strokes
from vae_explorer.latent.layers import CodesOptions

if TYPE_CHECKING:
    from vae_explorer.latent.code_layer import PlacedCodes
    from vae_explorer.latent.drawing import UInt8
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.views import Floats, View

UInt16 = NDArray[np.uint16]
Indices = NDArray[np.intp]

DIMMED = 0.18
"""Opacity of what is not selected."""

# Above the first share of shared pixels points give way to density, below the second they come back: between the two
# the map stays as it is instead of flickering.
_CROWDED, _ROOMY = 0.4, 0.3
_MOST_POINTS = 200_000
_MOST_SELECTED_POINTS = 20_000

# Opacities of codes off the plane, and last of codes that are not selected: with few of them each is a row of the
# palette and drawing stays one assignment.
_OPACITIES = np.array([0.25, 0.5, 0.75, 1.0, DIMMED])
_FULL, _DIM = 3, 4
_RAMP_PLANES = 8
_MEDIAN_SAMPLE = 20_000
_LINES_ENTRY = ("text", "lines hold 50, 80 and 95 % of the codes in sight")


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """The codes in sight, in the order of drawing: where, whose, in which row of the palette, how opaque, selected.

    `num` are in sight. Where they are very many those outside stay among them: leaving them out costs more than letting
    the raster pass over them. `opacity_N` is None where all are full.
    """

    num: int
    xy_N2: Floats
    id_N: Indices
    row_N: UInt16
    opacity_N: UInt8 | None
    selected_N: NDArray[np.bool_] | None

    def part(self, which: Indices) -> _Sight:
        """Those alone."""
        opacity_N = None if self.opacity_N is None else self.opacity_N[which]
        selected_N = None if self.selected_N is None else self.selected_N[which]
        return _Sight(len(which), self.xy_N2[which], self.id_N[which], self.row_N[which], opacity_N, selected_N)


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The codes in the part of the plane in sight; None between the steps, one drawing last.

    `extras` holds `extent` (what a map that shows all codes should show), `num_shown`, `num_codes`, `style` (as drawn)
    and `is_unfinished`: values are still missing or old, and another request would compute more. Raises UserError for a
    model without codes or without the value asked for.
    """
    if explorer.codes() is None:
        raise UserError(
            f"The model “{explorer.record.title}” has no codes in a space that a plane could show.",
            "Hide the layer, or choose another model.",
        )
    placed = explorer.code_layer.placed(explorer, request.view)
    if placed is None:
        return
    yield None
    options = request.options if isinstance(request.options, CodesOptions) else CodesOptions()
    look = yield from prepared_look(explorer, request, placed, options.colour_by)
    opacity_N = yield from _opacities(explorer, request, placed)
    sight = _in_sight(explorer, request, placed, look, opacity_N, options.style)
    yield None
    style, side, shown = yield from _style(explorer, request, sight, options.style)
    legend = look.legend
    strokes: tuple[Strokes, ...] = ()
    if style == "density":
        rasters, strokes = yield from _density(request, sight, look)
        legend = Legend(legend.title, legend.unit, legend.ramp, legend.ticks, (*legend.entries, _LINES_ENTRY))
    else:
        rasters = (_points(request, sight, look),)
        if style == "pictures":
            yield None
            yield from _lay_pictures(explorer, request, sight, look, shown, side, rasters[0].pixels)
    num_shown, num_codes = sight.num, len(placed.xy_N2)
    yield LayerDrawing(
        request.rect, rasters, strokes, legend=legend,
        readout=_readout(num_shown, num_codes, request, look),
        extras={
            "extent": placed.extent, "num_shown": num_shown, "num_codes": num_codes, "style": style,
            "is_unfinished": look.is_unfinished,
        },
    )  # fmt: skip


def _readout(num_shown: int, num_codes: int, request: LayerRequest, look: CodeLook) -> str:
    text = f"showing {num_shown:,} of {num_codes:,} codes"
    selected_N = request.focus.selected_N
    if selected_N is not None and len(selected_N) == num_codes:
        text += f" · {np.count_nonzero(selected_N):,} selected"
    return " · ".join((text, *look.notes))


def _opacities(explorer: Explorer, request: LayerRequest, placed: PlacedCodes) -> Generator[None, None, UInt8 | None]:
    """A row of `_OPACITIES` for each code in the order of drawing: exp(-r^2 / 2) of its distance r off the plane in
    units of the codes' median distance, at least a quarter; None where all are full.
    """
    view = request.view
    if view.num_dimensions <= 2 or not view.is_exact:
        return None
    known: tuple[View, UInt8] | None = explorer.cache.get("opacities")
    if known is None or known[0] != view:
        distance_N = yield from distance_values(explorer, view)
        assert distance_N is not None
        known = (view, off_plane_steps(distance_N)[placed.order_N])
        explorer.cache["opacities"] = known
        yield None
    return known[1]


def off_plane_steps(distance_N: Floats) -> UInt8:
    """exp(-r^2 / 2) in quarters, 0 (a quarter) to 3 (whole), r being the distance in units of its median, (N,)."""
    sample = distance_N[:: len(distance_N) // _MEDIAN_SAMPLE + 1]
    finite = sample[np.isfinite(sample)]
    typical = float(np.median(finite)) if len(finite) else 0.0
    if typical <= 0.0:
        return np.full(len(distance_N), _FULL, dtype=np.uint8)
    steps = np.zeros(len(distance_N), dtype=np.uint8)
    for quarters in (1.5, 2.5, 3.5):
        with np.errstate(invalid="ignore"):
            steps += distance_N < typical * np.sqrt(-2.0 * np.log(quarters / 4))
    return steps


def _in_sight(
    explorer: Explorer, request: LayerRequest, placed: PlacedCodes, look: CodeLook, opacity_N: UInt8 | None, wanted: str
) -> _Sight:
    rect, xy_N2 = request.rect, placed.xy_N2
    x_N, y_N = xy_N2[:, 0], xy_N2[:, 1]
    with np.errstate(invalid="ignore"):
        inside_N = x_N >= rect.left
        inside_N &= x_N < rect.right
        inside_N &= y_N > rect.bottom
        inside_N &= y_N <= rect.top
    num = int(np.count_nonzero(inside_N))
    selected_N = _selected(explorer, request, placed)
    sight = _Sight(num, xy_N2, placed.order_N, look.row_N, opacity_N, selected_N)
    if num == len(xy_N2) or (num > _MOST_POINTS and wanted != "pictures"):
        return sight
    return sight.part(np.flatnonzero(inside_N))


def _selected(explorer: Explorer, request: LayerRequest, placed: PlacedCodes) -> NDArray[np.bool_] | None:
    selected_N = request.focus.selected_N
    if selected_N is None or len(selected_N) != len(placed.order_N):
        return None
    kept = explorer.lasting.get("selected")
    if kept is None or kept[0] is not selected_N or len(kept[1]) != len(placed.order_N):
        kept = (selected_N, np.asarray(selected_N, dtype=bool)[placed.order_N])
        explorer.lasting["selected"] = kept
    in_order_N: NDArray[np.bool_] = kept[1]
    return in_order_N


def _style(
    explorer: Explorer, request: LayerRequest, sight: _Sight, wanted: str
) -> Generator[None, None, tuple[str, float, Indices]]:
    """How to draw; for pictures also their side in device pixels and which of the codes in sight have one.

    Selected codes get their room first.
    """
    nowhere = np.zeros(0, dtype=np.intp)
    sides = tuple(side * request.pixel_ratio for side in SIDES)
    num, dataset = sight.num, explorer.dataset
    has_pictures = dataset is not None and (num == 0 or int(sight.id_N.max()) < dataset.images.num_images)
    if wanted == "pictures":
        if not has_pictures:
            raise UserError(
                "The images behind these codes are not loaded.",
                "Wait until the data set has been read, or draw points.",
            )
        order = _first_served(sight)
        tried = sides if num <= MOST_PICTURES else sides[-1:]
        side, shown = yield from most_with_room(_pixels(request, sight.xy_N2[order]), tried)
        return "pictures", side, order[shown]
    if wanted != "automatic":
        return wanted, 0.0, nowhere
    if has_pictures and 0 < num * SHARE_WITH_ROOM <= MOST_PICTURES:
        order = _first_served(sight)
        side, shown = yield from most_with_room(_pixels(request, sight.xy_N2[order]), sides)
        if len(shown) >= SHARE_WITH_ROOM * num:
            return "pictures", side, order[shown]
    is_dense = num > _MOST_POINTS
    if not is_dense:
        rows, columns = (max(1, round(side / request.pixel_ratio)) for side in (request.height, request.width))
        share = crowding(sight.xy_N2, request.rect, rows, columns)
        is_dense = share > (_ROOMY if explorer.lasting.get("codes are dense") else _CROWDED)
    explorer.lasting["codes are dense"] = is_dense
    return ("density" if is_dense else "points"), 0.0, nowhere


def _first_served(sight: _Sight) -> Indices:
    if sight.selected_N is None:
        return np.arange(len(sight.xy_N2))
    return np.concatenate([np.flatnonzero(sight.selected_N), np.flatnonzero(~sight.selected_N)])


def _points(request: LayerRequest, sight: _Sight, look: CodeLook) -> Raster:
    xy_N2, opacity_N = sight.xy_N2, sight.opacity_N
    if sight.selected_N is None:
        row_N = look_rows(sight.row_N, np.uint8(_FULL) if opacity_N is None else opacity_N)
    else:
        full_N = np.uint8(_FULL) if opacity_N is None else opacity_N
        row_N = look_rows(sight.row_N, np.where(sight.selected_N, full_N, np.uint8(_DIM)))
        # The rest first, so that no selected code is covered by one that is not.
        order = np.concatenate([np.flatnonzero(~sight.selected_N), np.flatnonzero(sight.selected_N)])
        xy_N2, row_N = xy_N2[order], row_N[order]
    palette = faded_palette(look.palette_B4, request.opacity)
    pixels, _ = raster_codes(xy_N2, row_N, request.rect, request.width, request.height, palette, request.pixel_ratio)
    return Raster(request.rect, pixels)


def look_rows(row_N: UInt16, opacity_N: UInt8 | np.uint8) -> UInt16:
    """Rows of `faded_palette` for colours and opacities."""
    rows: UInt16 = row_N * np.uint16(len(_OPACITIES))
    rows += opacity_N
    return rows


def faded_palette(palette_B4: UInt8, opacity: float = 1.0) -> UInt8:
    """Each colour in each opacity, times that of the layer, premultiplied: (B * 5, 4)."""
    table: UInt8 = (
        np.rint(palette_B4[:, None, :] * (opacity * _OPACITIES)[None, :, None]).astype(np.uint8).reshape(-1, 4)
    )
    return table


def _density(
    request: LayerRequest, sight: _Sight, look: CodeLook
) -> Generator[None, None, tuple[tuple[Raster, ...], tuple[Strokes, ...]]]:
    cell = CELL_PIXELS * request.pixel_ratio
    rows, columns = max(2, round(request.height / cell)), max(2, round(request.width / cell))
    plane_N, palette_B4 = sight.row_N, look.palette_B4
    if look.is_ramp:
        width = UNKNOWN_ROW // _RAMP_PLANES
        plane_N = plane_N // np.uint16(width)
        palette_B4 = palette_B4[np.append(np.arange(width // 2, UNKNOWN_ROW, width), UNKNOWN_ROW)]
    weight_N = None if sight.opacity_N is None else _OPACITIES[sight.opacity_N]
    yield None
    field = density_field(sight.xy_N2, plane_N, len(palette_B4), request.rect, rows, columns, weight_N)
    yield None
    lines = density_contours(field, request.opacity)
    yield None
    is_sharp, selected_N = not look.is_ramp, sight.selected_N
    if selected_N is None:
        return (density_raster(field, palette_B4, request.opacity, is_sharp=is_sharp),), (lines,)
    rasters = (density_raster(field, palette_B4, DIMMED * request.opacity, is_sharp=is_sharp),)
    yield None
    chosen = replace(sight.part(np.flatnonzero(selected_N)), selected_N=None)
    if chosen.num <= _MOST_SELECTED_POINTS:
        return (*rasters, _points(request, chosen, look)), (lines,)
    part = None if weight_N is None else weight_N[selected_N]
    field = density_field(chosen.xy_N2, plane_N[selected_N], len(palette_B4), request.rect, rows, columns, part)
    yield None
    return (*rasters, density_raster(field, palette_B4, request.opacity, is_sharp=is_sharp)), (lines,)


def _lay_pictures(
    explorer: Explorer, request: LayerRequest, sight: _Sight, look: CodeLook, shown: Indices, side: float, pixels: UInt8
) -> Generator[None, None, None]:
    tiles = yield from prepared_tiles(explorer, sight.id_N[shown], round(side), request.ink)
    palette = faded_palette(look.palette_B4, request.opacity).reshape(-1, len(_OPACITIES), 4)
    pixel_P2 = _pixels(request, sight.xy_N2[shown])
    frame_width = max(1, round(request.pixel_ratio))
    for number, (tile, (x, y)) in enumerate(zip(tiles, pixel_P2.tolist(), strict=True)):
        code = shown[number]
        is_dim = sight.selected_N is not None and not sight.selected_N[code]
        level = _DIM if is_dim else _FULL if sight.opacity_N is None else int(sight.opacity_N[code])
        opacity = request.opacity * _OPACITIES[level]
        if opacity < 1.0:
            tile = np.rint(tile * opacity).astype(np.uint8)
        paste(pixels, tile, x, y, palette[sight.row_N[code], level], frame_width)


def _pixels(request: LayerRequest, xy_N2: Floats) -> Floats:
    x_N = (xy_N2[:, 0] - request.rect.left) * (request.width / request.rect.width)
    y_N = (request.rect.top - xy_N2[:, 1]) * (request.height / request.rect.height)
    return np.stack([x_N, y_N], axis=1)
