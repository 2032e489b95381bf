"""The layer "Stretch": how fast the decoded picture changes at each place, as colour, ellipses and mesh.

The colour is the logarithm of the magnification factor sqrt(det G) (Bishop, Svensen, Williams 1997; Arvanitidis,
Hansen, Hauberg, arXiv 1710.11379) between its 1st and 99th percentile; a Tissot ellipse holds the steps that change the
picture by the same amount; a mesh has cells across which it changes by the same amount. For a one-dimensional latent
space the colour is the length of df/dz.

Legend: R rows from the top, C columns, K tangents (1 or 2).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.latent.drawing import LayerDrawing, Legend, Strokes, Word, ellipse_line, strokes_of
from vae_explorer.latent.field_raster import field_raster, lattice_points, lattice_shape
from vae_explorer.latent.geometry import (
    Float64,
    Floats,
    Metric,
    curve_metric,
    magnification,
    pull_back_in_steps,
    surface_of,
    tissot_covariance,
)
from vae_explorer.latent.isochrones import Isochrones, isochrones
from vae_explorer.latent.layers import StretchOptions
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest

_ACROSS, _COARSE_ACROSS, _LINE_ACROSS = 64, 16, 256
_MARGIN = 1.15
_ELLIPSE_SPACING, _ELLIPSE_RADIUS = 90.0, 14.0
# Of the spacing: an ellipse that would reach further is drawn smaller, and dashed.
_LARGEST_ELLIPSE = 0.48
_MESH_CELLS = 24
_SMOOTHING = 0.3
# Of the half width of what is in sight.
_NEAR = 0.4
_MOST_FIELDS = 8
# Of a legend in the narrowest panel, in pixels.
_MOST_TICKS, _RAMP_WIDTH, _DIGIT_WIDTH = 4, 220.0, 7.0
_FLOOR = 1e-12

_METRIC_TITLES: dict[Metric, str] = {"fisher": "Fisher metric", "mean": "mean pictures"}


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The metric on a lattice over `rect`: G_RCKK in map coordinates, factor_RC per latent area or length."""

    rect: MapRect
    G_RCKK: Float64
    factor_RC: Float64
    metric: Metric

    @property
    def is_line(self) -> bool:
        return int(self.G_RCKK.shape[-1]) == 1


@dataclass(frozen=True, slots=True, eq=False)
class _Range:
    """Between which logarithms (base 10) the colours run, for which snapshot and for which part of the latent space.

    `place_3D` are the latent points of the middle, the right and the upper edge of what is in sight.
    """

    stamp: int
    place_3D: Float64
    low: float
    high: float

    def is_near(self, place_3D: Float64) -> bool:
        """Whether most of what was in sight still is: a plane fitted anew, a frame that follows the codes."""
        if self.place_3D.shape != place_3D.shape:
            return False
        reach = float(np.linalg.norm(place_3D[1:] - place_3D[0], axis=1).max())
        return bool(np.linalg.norm(self.place_3D - place_3D, axis=1).max() < _NEAR * reach)


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The renderer of the layer "stretch"; coarse first where this part of the plane was not drawn before."""
    options = request.options if isinstance(request.options, StretchOptions) else StretchOptions()
    view, rect = request.view, request.rect
    if view.num_dimensions != explorer.num_dimensions:
        return
    metric: Metric = "fisher" if options.metric == "fisher" else "mean"
    is_line = view.num_dimensions == 1
    fields = explorer.cache.setdefault("stretch fields", {})
    key = (explorer.stamp, view, rect, metric)
    x, y = rect.centre
    place_3D = view.lift(np.array([[x, y], [rect.right, y], [x, rect.top]]))
    known: _Range | None = explorer.lasting.get(("stretch range", metric))
    if known is not None and not known.is_near(place_3D):
        known = None
    if key not in fields:
        if known is None and not is_line:
            coarse = yield from _measured(explorer, request, metric, _COARSE_ACROSS)
            yield _drawing(coarse, _percentiles(explorer.stamp, place_3D, coarse), request, options, is_whole=False)
        field = yield from _measured(explorer, request, metric, _LINE_ACROSS if is_line else _ACROSS)
        while len(fields) >= _MOST_FIELDS:
            del fields[next(iter(fields))]
        fields[key] = field
    field = fields[key]
    if known is None or known.stamp != explorer.stamp or not np.array_equal(known.place_3D, place_3D):
        fresh = _percentiles(explorer.stamp, place_3D, field)
        if known is not None:
            # A training step changes the percentiles a little; the colours follow without flicker.
            low = known.low + _SMOOTHING * (fresh.low - known.low)
            high = known.high + _SMOOTHING * (fresh.high - known.high)
            fresh = _Range(fresh.stamp, fresh.place_3D, low, high)
        known = fresh
        explorer.lasting["stretch range", metric] = known
        yield None
    drawing = _drawing(field, known, request, options, is_whole=True)
    if options.shows_isochrones and not is_line:
        drawing = yield from _with_isochrones(explorer, request, field, drawing)
    yield drawing


def _with_isochrones(
    explorer: Explorer, request: LayerRequest, field: _Field, drawing: LayerDrawing
) -> Generator[None, None, LayerDrawing]:
    """The drawing with lines of equal path length from the selected pin; kept for the last place."""
    view, rect, pin_D = request.view, field.rect, request.focus.pin_D
    if pin_D is None or len(pin_D) != view.num_dimensions or drawing.legend is None:
        return replace(drawing, readout=f"{drawing.readout} · isochrones start at the selected pin: set one")
    surface = surface_of(explorer, field.metric)
    key = (view, rect, field.metric, pin_D.tobytes())
    kept: tuple[object, Isochrones] | None = explorer.cache.get("isochrones")
    if kept is None or kept[0] != key:
        source_2 = np.asarray(view.project(pin_D[None]), dtype=np.float64)[0]
        if not rect.contains(MapRect(source_2[0], source_2[1], source_2[0], source_2[1])):
            return replace(drawing, readout=f"{drawing.readout} · isochrones: the selected pin is out of sight")
        found = yield from isochrones(surface, view, rect, source_2)
        kept = explorer.cache["isochrones"] = (key, found)
    found = kept[1]
    if not found.lines:
        return drawing
    longest = {level: max(range(len(found.lines)), key=lambda n: (found.levels[n] == level, len(found.lines[n])))
               for level in found.levels}  # fmt: skip
    words = []
    for level, number in longest.items():
        x, y = found.lines[number][len(found.lines[number]) // 2].tolist()
        words.append(Word(x, y, _plain(level), "accent"))
    metric = _METRIC_TITLES[curve_metric(surface, pin_D)]
    entry = f"Isochrones, {metric}: path length {_plain(found.step)} from line to line"
    if not view.holds(pin_D, 1e-3):
        entry += ", from where the pin projects"
    return replace(
        drawing,
        strokes=(*drawing.strokes, strokes_of(list(found.lines), role="accent", width=1.6, opacity=0.9)),
        words=(*drawing.words, *words),
        legend=replace(drawing.legend, entries=(*drawing.legend.entries, ("accent", entry))),
    )


def _measured(explorer: Explorer, request: LayerRequest, metric: Metric, across: int) -> Generator[None, None, _Field]:
    """The metric at the centres of a lattice with `across` cells along the longer side."""
    view, rect = request.view, request.rect.grown(_MARGIN)
    rows, columns = (1, across) if view.num_dimensions == 1 else lattice_shape(rect, across)
    xy_N2 = lattice_points(rect, rows, columns)
    u_ND, v_ND = view.tangents(xy_N2)
    pulled = yield from pull_back_in_steps(
        surface_of(explorer, metric), view.lift(xy_N2), u_ND, None if view.num_dimensions == 1 else v_ND
    )
    # Map units need not be latent units: divided by the latent area of a map unit squared.
    tangents = [u_ND] if view.num_dimensions == 1 else [u_ND, v_ND]
    latent_NKK = np.stack([np.stack([(a * b).sum(axis=1) for b in tangents], 1) for a in tangents], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor_N = magnification(pulled.G_NKK) / magnification(latent_NKK)
    factor_N[~np.isfinite(factor_N)] = np.nan
    num_tangents = len(tangents)
    return _Field(
        rect,
        pulled.G_NKK.reshape(rows, columns, num_tangents, num_tangents),
        factor_N.reshape(rows, columns),
        pulled.metric,
    )


def _percentiles(stamp: int, place_3D: Float64, field: _Field) -> _Range:
    """Where the 1st and the 99th percentile of log10 of the factor are; 0.1 decades at least."""
    factors = field.factor_RC[np.isfinite(field.factor_RC)]
    low, high = 0.0, 1.0
    if len(factors):
        low, high = np.percentile(np.log10(np.maximum(factors, _FLOOR)), [1.0, 99.0]).tolist()
    if high - low < 0.1:
        middle = 0.5 * (low + high)
        low, high = middle - 0.05, middle + 0.05
    return _Range(stamp, place_3D, low, high)


def _drawing(
    field: _Field, colours: _Range, request: LayerRequest, options: StretchOptions, *, is_whole: bool
) -> LayerDrawing:
    strokes: list[Strokes] = []
    entries: list[tuple[str, str]] = []
    if options.shows_mesh:
        lines, change = _mesh(field)
        if lines:
            strokes.append(strokes_of(lines, role="text", width=0.8, opacity=0.6))
            entries.append(("text", f"Mesh: {_change(change, field.metric)} from line to line"))
    if options.shows_ellipses and not field.is_line:
        ellipses, step = _ellipses(field, request)
        strokes += ellipses
        if ellipses:
            entries.append(("text", f"Ellipse: steps with {_change(step, field.metric)}"))
        if any(each.is_dashed for each in ellipses):
            entries.append(("muted", "Dashed: larger than drawn"))
    unit = "per unit of latent length" if field.is_line else "per unit² of latent area"
    if field.metric == "fisher":
        unit += "; length 1 is a KL of ½ nat"
    else:
        unit += "; pixels from 0 to 1"
    name = "Rate of change" if field.is_line else "Magnification"
    legend = Legend(
        f"{name}, {_METRIC_TITLES[field.metric]}", unit, "sequential", _ticks(colours.low, colours.high), tuple(entries)
    )
    width, height = round(request.width * _MARGIN), round(request.height * _MARGIN)
    log_RC = np.log10(np.maximum(field.factor_RC, _FLOOR))
    raster = field_raster(log_RC, field.rect, width, height, request.ink.ramp_256, colours.low, colours.high)
    return LayerDrawing(
        field.rect,
        rasters=(raster,),
        strokes=tuple(strokes),
        legend=legend,
        readout=_readout(field, options),
        is_whole=is_whole,
    )


def _readout(field: _Field, options: StretchOptions) -> str:
    factors = field.factor_RC[np.isfinite(field.factor_RC)]
    if not len(factors):
        return "The decoder gives nothing finite here"
    low, middle, high = np.percentile(factors, [1.0, 50.0, 99.0]).tolist()
    text = f"median {_plain(middle)} · 1–99 %: {_plain(low)}–{_plain(high)}"
    return text if field.metric == options.metric else f"{text} · mean pictures, as this model has no Fisher metric"


def _plain(value: float) -> str:
    """Three significant digits without an exponent, where that is short."""
    return f"{float(f'{value:.3g}'):,.10g}" if 1e-4 <= abs(value) < 1e7 or value == 0.0 else f"{value:.2g}"


def _change(length: float, metric: Metric) -> str:
    """What a step of this length changes, in words."""
    if metric == "fisher":
        return f"a KL of {_plain(0.5 * length * length)} nats"
    return f"a change of {_plain(length)} (root of summed squares)"


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Round numbers between two logarithms, at fractions of the way: as many as fit in one line, at most four."""
    scales: list[tuple[tuple[int, ...], int]] = [((1, 2, 5), 1), ((1, 3), 1)]
    scales += [((1,), stride) for stride in range(1, math.ceil(high - low) + 1)]
    choices = [
        [
            digit * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if power % stride == 0
        ]
        for digits, stride in scales
    ]
    # Where no round number lies between them.
    choices += [
        [float(f"{10.0 ** (low + share * (high - low)):.{precision}g}") for share in shares]
        for precision, shares in ((2, (0.05, 0.5, 0.95)), (3, (0.05, 0.5, 0.95)), (3, (0.05, 0.95)))
    ]
    ticks: tuple[tuple[float, str], ...] = ()
    for values in choices:
        placed = [((math.log10(value) - low) / (high - low), _plain(value)) for value in values]
        ticks = tuple((share, text) for share, text in placed if 0.0 <= share <= 1.0)
        if 2 <= len(ticks) <= _MOST_TICKS and _fit_in_a_line(ticks):
            break
    return ticks


def _fit_in_a_line(ticks: tuple[tuple[float, str], ...]) -> bool:
    """Whether no tick meets the next one under a ramp of the least width, each as near to its place as the ends let."""
    end = -math.inf
    for share, text in ticks:
        wide = _DIGIT_WIDTH * len(text)
        left = min(max(share * _RAMP_WIDTH - wide / 2.0, 0.0), _RAMP_WIDTH - wide)
        if left < end + _DIGIT_WIDTH:
            return False
        end = left + wide
    return True


def _at(field: _Field, xy_N2: Float64) -> Float64:
    """G at map points inside the lattice, interpolated between the cells' centres, (N, K, K)."""
    rows, columns = field.factor_RC.shape
    column = np.clip((xy_N2[:, 0] - field.rect.left) / field.rect.width * columns - 0.5, 0.0, columns - 1.000001)
    row = np.clip((field.rect.top - xy_N2[:, 1]) / field.rect.height * rows - 0.5, 0.0, rows - 1.000001)
    r, c = row.astype(np.int64), column.astype(np.int64)
    down, right = (row - r)[:, None, None], (column - c)[:, None, None]
    above = field.G_RCKK[r, c] * (1.0 - right) + field.G_RCKK[r, c + 1] * right
    below = field.G_RCKK[r + 1, c] * (1.0 - right) + field.G_RCKK[r + 1, c + 1] * right
    G_NKK: Float64 = above * (1.0 - down) + below * down
    return G_NKK


def _ellipses(field: _Field, request: LayerRequest) -> tuple[list[Strokes], float]:
    """Tissot ellipses on places that stay while one pans, the median one of 14 pixels, and the step they stand for."""
    pixel = request.units_per_pixel * request.pixel_ratio
    # A power of two, so that the places are those of the map and not of what is in sight.
    spacing = 2.0 ** round(math.log2(_ELLIPSE_SPACING * pixel))
    x = np.arange(math.ceil(field.rect.left / spacing), math.floor(field.rect.right / spacing) + 1) * spacing
    y = np.arange(math.ceil(field.rect.bottom / spacing), math.floor(field.rect.top / spacing) + 1) * spacing
    xy_N2 = np.stack([np.tile(x, len(y)), np.repeat(y, len(x))], axis=1)
    covariance_N22 = tissot_covariance(_at(field, xy_N2))
    with np.errstate(invalid="ignore"):
        radius_N = np.sqrt(magnification(covariance_N22))
    good = np.isfinite(covariance_N22).all(axis=(1, 2)) & (radius_N > 0.0)
    if not good.any():
        return [], 0.0
    step = float(f"{_ELLIPSE_RADIUS * pixel / float(np.median(radius_N[good])):.2g}")
    whole: list[Floats] = []
    cut: list[Floats] = []
    for xy_2, covariance_22 in zip(xy_N2[good], covariance_N22[good], strict=True):
        reach = step * math.sqrt(float(np.linalg.eigvalsh(covariance_22)[-1]))
        share = min(_LARGEST_ELLIPSE * spacing / reach, 1.0)
        line = ellipse_line(float(xy_2[0]), float(xy_2[1]), covariance_22, step * share)
        (whole if share == 1.0 else cut).append(line)
    strokes = [strokes_of(whole, role="text", width=1.2, opacity=0.85)] if whole else []
    if cut:
        strokes.append(strokes_of(cut, role="text", width=1.0, opacity=0.6, is_dashed=True))
    return strokes, step


def _mesh(field: _Field) -> tuple[list[Floats], float]:
    """Lines that cut every row (and every column) at equal steps of visual length from the middle, and that step."""
    rows, columns = field.factor_RC.shape
    x = field.rect.left + (np.arange(columns) + 0.5) * field.rect.width / columns
    y = field.rect.top - (np.arange(rows) + 0.5) * field.rect.height / rows
    along_x = _cumulative(np.sqrt(np.maximum(field.G_RCKK[..., 0, 0], 0.0)), field.rect.width / columns)
    totals = [along_x[:, -1] - along_x[:, 0]]
    along_y: Float64 | None = None
    if not field.is_line:
        along_y = _cumulative(np.sqrt(np.maximum(field.G_RCKK[..., 1, 1], 0.0)).T, field.rect.height / rows)
        totals.append(along_y[:, -1] - along_y[:, 0])
    finite = np.concatenate(totals)
    finite = finite[np.isfinite(finite)]
    if not len(finite) or float(np.median(finite)) <= 0.0:
        return [], 0.0
    step = float(f"{float(np.median(finite)) / _MESH_CELLS:.2g}")
    lines: list[Floats] = []
    if along_y is None:
        cuts = _cuts(along_x, x, step)[0]
        ends = np.array([field.rect.bottom, field.rect.top])
        lines += [np.stack([np.full(2, cut), ends], axis=1) for cut in cuts if np.isfinite(cut)]
        return lines, step
    for cuts_of_rows in _cuts(along_x, x, step).T:
        lines += _runs(np.stack([cuts_of_rows, y], axis=1))
    for cuts_of_columns in _cuts(along_y, y, step).T:
        lines += _runs(np.stack([x, cuts_of_columns], axis=1))
    return lines, step


def _cumulative(rate_RC: Float64, spacing: float) -> Float64:
    """The integral of the rate along each row, zero in its middle (trapezoids)."""
    middle = rate_RC.shape[1] // 2
    steps = 0.5 * (rate_RC[:, 1:] + rate_RC[:, :-1]) * spacing
    along = np.concatenate([np.zeros((len(rate_RC), 1)), np.cumsum(steps, axis=1)], axis=1)
    centred: Float64 = along - along[:, [middle]]
    return centred


def _cuts(along_RC: Float64, at_C: Float64, step: float) -> Float64:
    """Where each row reaches the whole multiples of `step`, (R, lines); NaN where it does not."""
    finite = along_RC[np.isfinite(along_RC)]
    # A row that changes hundreds of times faster than the others would make the mesh a solid area.
    most = 4 * _MESH_CELLS
    first, last = max(math.ceil(finite.min() / step), -most), min(math.floor(finite.max() / step), most)
    wanted = np.arange(first, last + 1) * step
    cuts = np.full((len(along_RC), len(wanted)), np.nan)
    for row, along_C in enumerate(along_RC):
        if np.isfinite(along_C).all():
            cuts[row] = np.interp(wanted, along_C, at_C, left=np.nan, right=np.nan)
    return cuts


def _runs(line_P2: Float64) -> list[Floats]:
    """The pieces of a line between its points that are missing."""
    is_there = np.isfinite(line_P2).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_there, [False]])))
    return [line_P2[start:stop] for start, stop in edges.reshape(-1, 2) if stop - start > 1]
