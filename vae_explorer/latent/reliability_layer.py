"""The layer `reliability`: places far from anything the network was trained on are shaded, so that nobody trusts them.

    distance      d(z) = min_n |(z - m_n) / s_n| / sqrt(D)
    round trip    r(z) = |(m(decode(z)) - z) / s(decode(z))| / sqrt(D)

Both are in sigma: a draw from q(z|x_n) is at about 1 from its own image. After Arvanitidis, Hansen, Hauberg: Latent
Space Oddity, arXiv 1710.11379, section 4. Runs on the exploring thread.

Legend: M anchors, D latent dimensions, P points.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.aggregate import finite_posteriors
from vae_explorer.latent.anchors import prepared_anchors
from vae_explorer.latent.drawing import LayerDrawing, LayerInk, Legend, Raster, strokes_of
from vae_explorer.latent.field_raster import contour_lines, lattice_points, lattice_shape, levels_of, lifted
from vae_explorer.latent.layers import ReliabilityOptions
from vae_explorer.latent.pacing import in_steps

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.views import View

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]

THRESHOLD = 2.0
"""From so many sigma on a place counts as extrapolation and is shaded."""
_FULL_SHADE = 6.0
# The shade begins at once, so that what is extrapolation is told from what is not, and becomes thicker.
_LEAST_ALPHA, _MOST_ALPHA = 0.35, 0.85
# Light lines on a dark ground look thinner than dark ones on a light ground.
_HATCH_ALPHA = {"light": 0.38, "dark": 0.5}
_HATCH_PERIOD = 8.0
_HATCH_WIDTH = 1.4

# Every point of a round trip is decoded and encoded.
_CELLS_ACROSS = {"distance": 96, "round-trip": 56}
_LINE_CELLS = 512
_MOST_ROWS = 64
_BAND_ROWS = 128


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The shade, its edge, and which part of the view is extrapolation.

    Raises UserError for an overview, without images, and where no posterior is finite.
    """
    view, rect = request.view, request.rect
    if explorer.num_dimensions != view.num_dimensions:
        yield LayerDrawing(rect)
        return
    if not view.is_exact:
        raise UserError("An overview shows no place between the codes.", "Choose another view to see what is reliable.")
    options = request.options if isinstance(request.options, ReliabilityOptions) else ReliabilityOptions()
    across = _CELLS_ACROSS[options.measure]
    rows, columns = lattice_shape(rect, across) if view.num_dimensions > 1 else (1, _LINE_CELLS)
    known: dict[tuple[View, Any, str], Float64] = explorer.cache.setdefault("reliability", {})
    key = (view, rect, options.measure)
    if key not in known:
        z_PD, held_P = lifted(view, lattice_points(rect, rows, columns))
        values_P = np.full(len(z_PD), np.nan)
        if options.measure == "distance":
            codes = yield from _codes(explorer)
            values_P[held_P] = yield from codes.distance(z_PD[held_P])
        else:
            values_P[held_P] = yield from round_trip(explorer, z_PD[held_P])
        known.clear()
        known[key] = values_P.reshape(rows, columns)
    field = known[key]
    raster = yield from _shade(field, request)
    lines = _edges(field, request)
    edge = strokes_of(list(lines), role="text", width=1.2, opacity=0.8)
    yield LayerDrawing(rect, (raster,), (edge,), (), _legend(options.measure), _readout(field, options.measure))


class NearestInSigma:
    """Distance of latent points to the nearest of M posteriors, in units of its sigma and per dimension.

    A sigma counts as at least `floor`, the median distance of a mean to its nearest neighbour divided by sqrt(D), so
    that between two neighbours of a dense cloud of tiny posteriors it is not as if nothing were near.
    """

    def __init__(self, mean_MD: Float64, sigma_MD: Float64, floor: float) -> None:
        mean = torch.from_numpy(mean_MD)
        precision = torch.from_numpy(np.maximum(sigma_MD, max(floor, 1e-9))).pow(-2)
        # All pairs are one product: |(z - m) / s|^2 = z^2 . 1/s^2 - 2 z . m/s^2 + m^2 . 1/s^2.
        self._coefficient_FM = torch.cat([precision, -2.0 * mean * precision], dim=1).T.contiguous()
        self._constant_M = (mean.square() * precision).sum(1)
        self._num_dimensions = mean_MD.shape[1]
        self.floor = floor

    def distance(self, z_PD: Float64) -> Generator[None, None, Float64]:
        """d(z) of every point, (P,), in short steps; the generator's return value."""
        values_P = np.empty(len(z_PD))
        # One block for all steps: fresh memory for each would cost more than the products.
        block_BM = torch.empty(min(len(z_PD), _MOST_ROWS), len(self._constant_M), dtype=torch.float64)

        @torch.no_grad()
        def evaluate(part: slice) -> None:
            z = torch.from_numpy(np.ascontiguousarray(z_PD[part], dtype=np.float64))
            square_BM = block_BM[: len(z)]
            torch.addmm(self._constant_M, torch.cat([z.square(), z], dim=1), self._coefficient_FM, out=square_BM)
            values_P[part] = (square_BM.amin(1).clamp_min(0.0) / self._num_dimensions).sqrt().numpy()

        yield from in_steps(len(z_PD), evaluate, most=_MOST_ROWS)
        return values_P


def median_spacing(mean_MD: Float64) -> Generator[None, None, float]:
    """The median distance of a mean to its nearest other one, in latent units; 0 where there is one mean alone."""
    nearest_M = np.zeros(len(mean_MD))
    if len(mean_MD) < 2:
        return 0.0
    mean = torch.from_numpy(np.ascontiguousarray(mean_MD))
    square_M = mean.square().sum(1)
    block_BM = torch.empty(min(len(mean), _MOST_ROWS), len(mean), dtype=torch.float64)

    @torch.no_grad()
    def evaluate(part: slice) -> None:
        square_BM = block_BM[: part.stop - part.start]
        torch.addmm(square_M, mean[part], mean.T, alpha=-2.0, out=square_BM)
        rows = torch.arange(len(square_BM))
        square_BM[rows, rows + part.start] = math.inf
        nearest_M[part] = (square_BM.amin(1) + square_M[part]).clamp_min(0.0).sqrt().numpy()

    yield from in_steps(len(mean_MD), evaluate, most=_MOST_ROWS)
    return float(np.median(nearest_M))


def round_trip(explorer: Explorer, z_PD: Float64) -> Generator[None, None, Float64]:
    """r(z) of every point, (P,), in short steps: how far encode(decode(z)) comes back from z, in its sigma."""
    values_P = np.empty(len(z_PD))

    @torch.no_grad()
    def evaluate(part: slice) -> None:
        z = torch.from_numpy(np.ascontiguousarray(z_PD[part], dtype=np.float32)).to(explorer.device)
        posterior = explorer.posterior(explorer.network.decode(z).mean_BCHW)
        offset: Tensor = (posterior.mean - z) / posterior.standard_deviation
        values_P[part] = offset.double().square().mean(1).sqrt().cpu().numpy()

    yield from in_steps(len(z_PD), evaluate, most=256)
    return values_P


def _codes(explorer: Explorer) -> Generator[None, None, NearestInSigma]:
    if "nearest in sigma" not in explorer.cache:
        anchors = yield from prepared_anchors(explorer)
        mean_MD, sigma_MD = finite_posteriors(anchors.mean_MD, anchors.sigma_MD)
        spacing = yield from median_spacing(mean_MD)
        floor = spacing / math.sqrt(mean_MD.shape[1])
        explorer.cache["nearest in sigma"] = NearestInSigma(mean_MD, sigma_MD, floor)
    codes: NearestInSigma = explorer.cache["nearest in sigma"]
    return codes


def _shade(field: Float64, request: LayerRequest) -> Generator[None, None, Raster]:
    """The ground's colour over what is far, hatched in the text's colour, so that it shows on any ground."""
    width, height = max(request.width, 1), max(request.height, 1)
    table = _shade_table(request.ink)
    pixels = np.zeros((height, width, 4), dtype=np.uint8)
    levels = levels_of(field, THRESHOLD, _FULL_SHADE, width, height)
    yield None
    # Counted in pixels of the plane, not of the picture: the hatch stays where it is when the map is moved.
    units = request.units_per_pixel
    column = np.arange(width) + round(request.rect.left / units)
    period, thickness = _HATCH_PERIOD * request.pixel_ratio, _HATCH_WIDTH * request.pixel_ratio
    for top in range(0, height, _BAND_ROWS):
        row = np.arange(top, min(top + _BAND_ROWS, height)) - round(request.rect.top / units)
        is_hatched = (row[:, None] + column[None]) % period < thickness
        index = levels[top : top + _BAND_ROWS].astype(np.uint16)
        index += is_hatched.astype(np.uint16) * np.uint16(256)
        pixels[top : top + _BAND_ROWS] = np.take(table, index).view(np.uint8).reshape(len(row), width, 4)
        yield None
    return Raster(request.rect, pixels)


def _shade_table(ink: LayerInk) -> NDArray[np.uint32]:
    """512 colours: of the shade from nothing to full, and the same with the hatch over it."""
    share = np.linspace(0.0, 1.0, 256)
    # All there within a twentieth of the way, so that the edge of what is reliable is seen and yet has no steps.
    begun = np.minimum(share * 20.0, 1.0)
    alpha = begun * (_LEAST_ALPHA + (_MOST_ALPHA - _LEAST_ALPHA) * share)
    shade = np.concatenate(
        [alpha[:, None] * np.asarray(ink.ground_3, dtype=np.float64), 255.0 * alpha[:, None]], axis=1
    )
    over = begun * _HATCH_ALPHA["dark" if ink.is_dark else "light"]
    text = np.append(np.asarray(ink.text_3, dtype=np.float64), 255.0)
    hatched = over[:, None] * text + (1.0 - over[:, None]) * shade
    table = np.rint(np.concatenate([shade, hatched])).astype(np.uint8)
    return np.ascontiguousarray(table).view(np.uint32).reshape(-1)


def _edges(field: Float64, request: LayerRequest) -> list[NDArray[np.floating[Any]]]:
    if field.shape[0] > 1:
        return list(contour_lines(field, request.rect, [THRESHOLD]))
    # In one dimension the edges are upright lines where the threshold is crossed.
    rect, values = request.rect, field[0]
    with np.errstate(invalid="ignore"):
        crossed = np.flatnonzero((values[:-1] > THRESHOLD) != (values[1:] > THRESHOLD))
    part = (THRESHOLD - values[crossed]) / (values[crossed + 1] - values[crossed])
    x = rect.left + (crossed + part + 0.5) * rect.width / len(values)
    return [np.array([[at, rect.bottom], [at, rect.top]]) for at in x[np.isfinite(x)]]


def _legend(measure: str) -> Legend:
    title = "Distance to the nearest codes" if measure == "distance" else "Round trip encode(decode(z))"
    unit = "σ of the nearest q(z|x), per dimension" if measure == "distance" else "σ of the encoding, per dimension"
    shade = f"hatched: extrapolation; the map fades from {THRESHOLD:.0f}σ to {_FULL_SHADE:.0f}σ"
    entries = (("text", f"line: {THRESHOLD:.0f}σ"), ("muted", shade))
    return Legend(title, unit, entries=entries)


def _readout(field: Float64, measure: str) -> str:
    known = field[np.isfinite(field)]
    if not len(known):
        return "No place in sight is a latent point."
    share = float((known > THRESHOLD).mean())
    name = "distance" if measure == "distance" else "round trip"
    return f"{share:.0%} of the view is extrapolation · median {name} {np.median(known):.2g}σ".replace("%", " %")
