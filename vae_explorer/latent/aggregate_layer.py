"""The layer `aggregate`: the density of q(z), of the prior, or the holes between them, in the map plane.

In a plane both densities are marginals: what is not in the plane is summed over, so that all data count. On a curved
view there are none in closed form; there both are those of the latent points shown. Runs on the exploring thread.
Hoffman, Johnson: ELBO surgery, 2016; MODELS.md 5.9.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.aggregate import GaussianMixture, Surgery, finite_posteriors, surgery
from vae_explorer.latent.drawing import LayerDrawing, Legend, Strokes, Word, ellipse_line, strokes_of
from vae_explorer.latent.field_raster import contour_lines, faded, field_raster, lattice_points, lattice_shape, lifted
from vae_explorer.latent.layers import AggregateOptions
from vae_explorer.latent.views import PlaneView

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Anchors, Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.latent.views import View

Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Below this under the peak a density is as good as none: exp(-8) is 0.03 %.
_SPAN_NATS = 8.0
_SIGMAS = (1.0, 2.0, 3.0)
_TITLES = {"holes": "Holes of the prior", "aggregate": "Density of q(z)", "prior": "Density of the prior"}


@dataclass(frozen=True, slots=True, eq=False)
class _Densities:
    """log densities on the lattice, (rows, columns); nan where the view shows no latent point."""

    prior: Float64
    aggregate: Float64
    is_marginal: bool


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """The colours as soon as they are known, then the numbers of the KL.

    Raises UserError for an overview, without images, and where no posterior is finite.
    """
    view, rect = request.view, request.rect
    if explorer.num_dimensions != view.num_dimensions:
        yield LayerDrawing(rect)
        return
    if not view.is_exact:
        raise UserError("An overview has no densities: its places are no latent points.", "Choose another view.")
    options = request.options if isinstance(request.options, AggregateOptions) else AggregateOptions()
    anchors = yield from explorer.prepared_anchors()
    densities = yield from _densities(explorer, view, rect, anchors)
    drawing = _drawing(densities, options.shows, request)
    known = explorer.cache.get("surgery")
    if known is None:
        yield LayerDrawing(
            rect, drawing.rasters, drawing.strokes, drawing.words, drawing.legend, is_whole=False
        )  # fmt: skip
        known = yield from surgery(anchors.mean_MD, anchors.sigma_MD)
        explorer.cache["surgery"] = known
    num_items = len(anchors.ids_M) if explorer.dataset is None else len(explorer.dataset.train_index_N)
    yield LayerDrawing(
        rect, drawing.rasters, drawing.strokes, drawing.words, drawing.legend, surgery_words(known, num_items)
    )  # fmt: skip


def surgery_words(parts: Surgery, num_items: int) -> str:
    """One line: the KL, its two parts, the ceiling, and from how many images."""
    at_least, at_most = ("≥ ", "≤ ") if parts.is_at_ceiling else ("", "")
    return (
        f"KL {parts.kl:.2f} = I {at_least}{parts.mutual_information:.2f} + mismatch {at_most}{parts.mismatch:.2f} nats"
        f" · ceiling ln {parts.num_images:,} = {parts.ceiling:.2f} · from {parts.num_images:,} of {num_items:,} images"
    )


def _densities(explorer: Explorer, view: View, rect: MapRect, anchors: Anchors) -> Generator[None, None, _Densities]:
    """Kept for the last place: another choice of what is shown costs nothing."""
    known: dict[tuple[View, MapRect], _Densities] = explorer.cache.setdefault("densities", {})
    key = (view, rect)
    if key in known:
        return known[key]
    mean_MD, sigma_MD = finite_posteriors(anchors.mean_MD, anchors.sigma_MD)
    dimensions = view.num_dimensions
    rows, columns = lattice_shape(rect) if dimensions > 1 else (1, 512)
    xy_P2 = lattice_points(rect, rows, columns)
    is_marginal = isinstance(view, PlaneView) or dimensions == 1
    if isinstance(view, PlaneView):
        mixture = GaussianMixture.planar(*view.marginal(mean_MD, sigma_MD))
        prior = GaussianMixture.planar(*view.marginal(np.zeros((1, dimensions)), np.ones((1, dimensions))))
        places_PD, held_P = xy_P2, np.ones(len(xy_P2), dtype=np.bool_)
    else:
        mixture = GaussianMixture.diagonal(mean_MD, sigma_MD)
        prior = GaussianMixture.diagonal(np.zeros((1, dimensions)), np.ones((1, dimensions)))
        places_PD, held_P = lifted(view, xy_P2)
    prior_P, aggregate_P = np.full(len(xy_P2), np.nan), np.full(len(xy_P2), np.nan)
    prior_P[held_P] = prior.log_density(places_PD[held_P])
    yield None
    aggregate_P[held_P] = yield from mixture.log_density_in_steps(places_PD[held_P])
    known.clear()
    known[key] = _Densities(prior_P.reshape(rows, columns), aggregate_P.reshape(rows, columns), is_marginal)
    return known[key]


def _drawing(densities: _Densities, shows: str, request: LayerRequest) -> LayerDrawing:
    view, rect, ink = request.view, request.rect, request.ink
    measure = _measure_words(densities, view)
    ticks: tuple[tuple[float, str], ...]
    if shows == "holes":
        difference = np.exp(densities.prior) - np.exp(densities.aggregate)
        peak = _prior_peak(densities, view)
        table = faded(ink.diverging_256, 1.6 * np.abs(np.linspace(-1.0, 1.0, 256)))
        raster = field_raster(difference, rect, request.width, request.height, table, -peak, peak)
        ticks = ((0.0, f"−{peak:.2g}: more data than prior"), (0.5, "0"), (1.0, f"+{peak:.2g}: hole"))
        legend = Legend(_TITLES[shows], f"prior minus q(z), {measure}", "diverging", ticks)
    else:
        field = densities.aggregate if shows == "aggregate" else densities.prior
        finite = field[np.isfinite(field)]
        peak = float(finite.max()) if len(finite) else 0.0
        table = faded(ink.ramp_256, np.minimum(1.5 * np.linspace(0.0, 1.0, 256), 0.95))
        raster = field_raster(field, rect, request.width, request.height, table, peak - _SPAN_NATS, peak)
        ticks = tuple((part, f"{peak - _SPAN_NATS * (1 - part):.1f}") for part in (0.0, 0.5, 1.0))
        legend = Legend(_TITLES[shows], f"nats: log of the {measure}", "sequential", ticks)
    strokes, words = _prior_contours(densities, view, rect)
    return LayerDrawing(rect, (raster,), strokes, words, legend)


def _measure_words(densities: _Densities, view: View) -> str:
    if view.num_dimensions == 1:
        return "density per latent unit"
    if densities.is_marginal:
        return "density per unit² of the plane"
    return f"density at the latent points shown, per unit to the power {view.num_dimensions}"


def _prior_peak(densities: _Densities, view: View) -> float:
    """The prior's largest density anywhere on the map, so that the scale does not change as one moves about."""
    if isinstance(view, PlaneView):
        _, covariance_122 = view.marginal(np.zeros((1, view.num_dimensions)), np.ones((1, view.num_dimensions)))
        return float(1.0 / (2.0 * math.pi * np.sqrt(max(np.linalg.det(covariance_122[0]), 1e-24))))
    if densities.is_marginal:
        return 1.0 / math.sqrt(2.0 * math.pi)
    finite = densities.prior[np.isfinite(densities.prior)]
    return max(math.exp(float(finite.max())), 1e-300) if len(finite) else 1.0


def _prior_contours(densities: _Densities, view: View, rect: MapRect) -> tuple[tuple[Strokes, ...], tuple[Word, ...]]:
    """Where N(0, I) has one, two and three sigma, as broken lines with their names."""
    lines: list[Floats] = []
    words: list[Word] = []
    if isinstance(view, PlaneView):
        dimensions = view.num_dimensions
        xy_12, covariance_122 = view.marginal(np.zeros((1, dimensions)), np.ones((1, dimensions)))
        x, y = float(xy_12[0, 0]), float(xy_12[0, 1])
        for sigmas in _SIGMAS:
            line = ellipse_line(x, y, covariance_122[0], sigmas)
            lines.append(line)
            top = line[line[:, 1].argmax()]
            words.append(Word(float(top[0]), float(top[1]), f"{sigmas:.0f}σ", "muted"))
    elif view.num_dimensions == 1:
        for at in (*(-sigmas for sigmas in reversed(_SIGMAS)), 0.0, *_SIGMAS):
            lines.append(np.array([[at, rect.bottom], [at, rect.top]]))
            words.append(Word(at, rect.top - 0.04 * rect.height, f"{at:.0f}σ".replace("-", "−"), "muted"))
    else:
        # Lines of equal prior density at k sigma from the origin: log p falls by k^2 / 2.
        finite = densities.prior[np.isfinite(densities.prior)]
        if not len(finite) or np.ptp(finite) < 1e-6:
            return (), ()  # on a sphere the prior is the same everywhere
        at_origin = -0.5 * view.num_dimensions * math.log(2.0 * math.pi)
        for sigmas in _SIGMAS:
            for line in contour_lines(densities.prior, rect, [at_origin - sigmas**2 / 2]):
                lines.append(line)
                top = line[line[:, 1].argmax()]
                words.append(Word(float(top[0]), float(top[1]), f"{sigmas:.0f}σ", "muted"))
    return (strokes_of(lines, role="muted", width=1.2, is_dashed=True),), tuple(words)
