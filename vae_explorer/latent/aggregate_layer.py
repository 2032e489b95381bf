"""The layer `aggregate`: the density of q(z), of the prior, or the holes between them, in the map plane.

In a plane both densities are marginals: what is not in the plane is summed over, so that all data count. On a curved
view there are none in closed form; there both are those of the latent points shown. Runs on the exploring thread.
Hoffman, Johnson: ELBO surgery, 2016; MODELS.md 5.9.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.aggregate import (
    Surgery,
    diagonal_mixture,
    finite_posteriors,
    log_density_in_steps,
    planar_mixture,
    surgery,
)
from vae_explorer.latent.all_posteriors import prepared_posteriors
from vae_explorer.latent.anchors import prepared_anchors
from vae_explorer.latent.drawing import Gauge, LayerDrawing, Legend, Strokes, Word, ellipse_line, strokes_of
from vae_explorer.latent.field_raster import contour_lines, faded, field_raster, lattice_points, lattice_shape, lifted
from vae_explorer.latent.layers import AggregateOptions
from vae_explorer.latent.pacing import timed
from vae_explorer.latent.views import PlaneView

if TYPE_CHECKING:
    from vae_explorer.latent.anchors import Anchors
    from vae_explorer.latent.drawing import LayerInk
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.latent.views import View

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Below this under the peak a density is as good as none: exp(-8) is 0.03 %.
_SPAN_NATS = 8.0
_SIGMAS = (1.0, 2.0, 3.0)
_SCALE_PERCENTILE = 99.5
# Of the prior's peak: smaller differences are no holes, and stay faint.
_LEAST_SCALE = 0.02
_SMOOTHING = 0.3
# Of the half width of what is in sight.
_NEAR = 0.4
# Of the scale: up to here nothing is drawn, and from the second on nothing of the ground is left.
_CLEAR, _OPAQUE = 0.05, 0.6
_ROUND_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
DECOMPOSITION_SHARE = 0.04
"""The part of a core that the parts of the KL may take while training, beside what layers may take."""
_TITLES = {"holes": "Holes of the prior", "aggregate": "Density of q(z)", "prior": "Density of the prior"}


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The parts of the KL, of which snapshot they are, what they cost and when they were found."""

    parts: Surgery
    stamp: int
    step: int
    seconds: float
    found_at: float

    @property
    def is_recent(self) -> bool:
        """Whether, while training, it is too early to pay for newer ones."""
        return time.monotonic() < self.found_at + self.seconds / DECOMPOSITION_SHARE


@dataclass(frozen=True, slots=True, eq=False)
class _Densities:
    """log densities on the lattice, (rows, columns); nan where the view shows no latent point.

    `prior` is N(0, I) or, where it depends on a condition (`has_priors`), the mean of the items' own priors.
    """

    prior: Float64
    aggregate: Float64
    is_marginal: bool
    has_priors: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Up to which difference the colours of the holes run, for which snapshot and which part of the latent space.

    `place_3D` are the latent points of the middle, the right and the upper edge of what is in sight.
    """

    stamp: int
    place_3D: Float64
    value: float

    def is_near(self, place_3D: Float64) -> bool:
        """Whether most of what was in sight still is: a plane fitted anew, a frame that follows the codes."""
        if self.place_3D.shape != place_3D.shape:
            return False
        reach = float(np.linalg.norm(place_3D[1:] - place_3D[0], axis=1).max())
        return bool(np.linalg.norm(self.place_3D - place_3D, axis=1).max() < _NEAR * reach)


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
    anchors = yield from prepared_anchors(explorer)
    densities = yield from _densities(explorer, view, rect, anchors)
    drawing, legend = _drawing(explorer, densities, options.shows, request)
    if densities.has_priors:
        said = "The KL is to a prior that depends on what is told, and has no such parts as one to N(0, I) has."
        yield replace(drawing, legend=legend, readout=said)
        return
    known: _Known | None = explorer.lasting.get("surgery")
    if known is None or (known.stamp != explorer.stamp and not (request.is_training and known.is_recent)):
        told = _told(explorer, drawing, legend, known)
        told.extras["is_apart"] = True
        yield replace(told, is_whole=False)
        known = yield from _decomposed(explorer)
        told = _told(explorer, drawing, legend, known)
        told.extras["seconds_apart"] = known.seconds
        yield told
        return
    yield _told(explorer, drawing, legend, known)


def _told(explorer: Explorer, drawing: LayerDrawing, legend: Legend, known: _Known | None) -> LayerDrawing:
    if known is None:
        said = "Finding the parts of the KL from the posteriors of all images…"
        return replace(drawing, legend=legend, readout=said, extras={})
    num_items = known.parts.num_images if explorer.dataset is None else len(explorer.dataset.train_index_N)
    said = surgery_words(known.parts, num_items)
    if known.stamp != explorer.stamp:
        said += f" · as of step {known.step:,}"
    extras = {"is_behind": True} if known.stamp != explorer.stamp else {}
    legend = replace(legend, gauge=surgery_gauge(known.parts))
    return replace(drawing, legend=legend, readout=said, extras=extras)


def _decomposed(explorer: Explorer) -> Generator[None, None, _Known]:
    """The parts of the KL over all posteriors, with what they took: kept until there are newer ones."""
    assert explorer.snapshot is not None
    stamp, step = explorer.stamp, explorer.snapshot.step

    def work() -> Generator[None, None, Surgery]:
        posteriors = yield from prepared_posteriors(explorer)
        return (yield from surgery(posteriors.mean_ND, posteriors.sigma_ND))

    parts, seconds = yield from timed(work())
    # Of no use to anybody else, and 10 MB for 60,000 items in 20 dimensions.
    explorer.cache.pop("posteriors", None)
    known = _Known(parts, stamp, step, seconds, time.monotonic())
    explorer.lasting["surgery"] = known
    return known


def surgery_words(parts: Surgery, num_items: int) -> str:
    """One line: the KL, its two parts, its error, the ceiling, and from how many images."""
    at_least, at_most = ("≥ ", "≤ ") if parts.is_at_ceiling else ("", "")
    return (
        f"KL {parts.kl:.2f} = I {at_least}{parts.mutual_information:.2f} + mismatch {at_most}{parts.mismatch:.2f} nats"
        f" · I ± {parts.error:.2f} from {parts.num_queries:,} draws"
        f" · ceiling ln {parts.num_images:,} = {parts.ceiling:.2f} · from {parts.num_images:,} of {num_items:,} images"
    )


def surgery_gauge(parts: Surgery) -> Gauge:
    """The KL as a bar of its two parts, with the ceiling of the first."""
    at_least, at_most = (", at least", ", at most") if parts.is_at_ceiling else ("", "")
    return Gauge(
        (
            ("accent", parts.mutual_information, f"mutual information I{at_least}"),
            # Below zero is noise of the draw: no bar is shorter than nothing.
            ("warning", max(parts.mismatch, 0.0), f"mismatch{at_most}"),
        ),
        "nats per image",
        (parts.ceiling, f"ceiling ln {parts.num_images:,}"),
    )


def _densities(explorer: Explorer, view: View, rect: MapRect, anchors: Anchors) -> Generator[None, None, _Densities]:
    """Kept for the last place: another choice of what is shown costs nothing."""
    known: dict[tuple[View, MapRect], _Densities] = explorer.cache.setdefault("densities", {})
    key = (view, rect)
    if key in known:
        return known[key]
    mean_MD, sigma_MD = finite_posteriors(anchors.mean_MD, anchors.sigma_MD)
    dimensions = view.num_dimensions
    priors = np.zeros((1, dimensions)), np.ones((1, dimensions))
    has_priors = anchors.prior_mean_MD is not None
    if anchors.prior_mean_MD is not None and anchors.prior_sigma_MD is not None:
        priors = finite_posteriors(anchors.prior_mean_MD, anchors.prior_sigma_MD)
    rows, columns = lattice_shape(rect) if dimensions > 1 else (1, 512)
    xy_P2 = lattice_points(rect, rows, columns)
    is_marginal = isinstance(view, PlaneView) or dimensions == 1
    if isinstance(view, PlaneView):
        mixture = planar_mixture(*view.marginal(mean_MD, sigma_MD))
        prior = planar_mixture(*view.marginal(*priors))
        places_PD, held_P = xy_P2, np.ones(len(xy_P2), dtype=np.bool_)
    else:
        mixture = diagonal_mixture(mean_MD, sigma_MD)
        prior = diagonal_mixture(*priors)
        places_PD, held_P = lifted(view, xy_P2)
    prior_P, aggregate_P = np.full(len(xy_P2), np.nan), np.full(len(xy_P2), np.nan)
    prior_P[held_P] = yield from log_density_in_steps(prior, places_PD[held_P])
    aggregate_P[held_P] = yield from log_density_in_steps(mixture, places_PD[held_P])
    known.clear()
    shape = (rows, columns)
    known[key] = _Densities(prior_P.reshape(shape), aggregate_P.reshape(shape), is_marginal, has_priors)
    return known[key]


def _drawing(
    explorer: Explorer, densities: _Densities, shows: str, request: LayerRequest
) -> tuple[LayerDrawing, Legend]:
    view, rect, ink = request.view, request.rect, request.ink
    measure = _measure_words(densities, view)
    ticks: tuple[tuple[float, str], ...]
    if shows == "holes":
        difference = np.exp(densities.prior) - np.exp(densities.aggregate)
        scale = _scale(explorer, difference, _prior_peak(densities, view), view, rect)
        raster = field_raster(difference, rect, request.width, request.height, _holes_table(ink), -scale, scale)
        rounded = _rounded_down(scale)
        part = 0.5 * rounded / scale
        ticks = ((0.5 - part, f"−{rounded:g}: more data than prior"), (0.5, "0"), (0.5 + part, f"+{rounded:g}: hole"))
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
    return LayerDrawing(rect, (raster,), strokes, words), legend


def _scale(explorer: Explorer, difference: Float64, peak: float, view: View, rect: MapRect) -> float:
    """The difference with the last colour: the 99.5th percentile of those in sight, which follows training smoothly.

    No hole is deeper than the prior's `peak`, however dense the data are elsewhere.
    """
    x, y = rect.centre
    place_3D = view.lift(np.array([[x, y], [rect.right, y], [x, rect.top]]))
    known: _Scale | None = explorer.lasting.get("scale of holes")
    if known is not None and not known.is_near(place_3D):
        known = None
    if known is not None and known.stamp == explorer.stamp and np.array_equal(known.place_3D, place_3D):
        return known.value
    finite = np.abs(difference[np.isfinite(difference)])
    usual = float(np.percentile(finite, _SCALE_PERCENTILE)) if len(finite) else peak
    value = min(max(usual, _LEAST_SCALE * peak), peak)
    if known is not None:
        value = known.value + _SMOOTHING * (value - known.value)
    explorer.lasting["scale of holes"] = _Scale(explorer.stamp, place_3D, value)
    return value


def _holes_table(ink: LayerInk) -> UInt8:
    """The two colours of the ends, the more opaque the larger the difference, (256, 4) premultiplied.

    Laid over the ground this is the legend's ramp, only stronger; over pictures it tints and does not hide them.
    """
    share = np.linspace(-1.0, 1.0, 256)
    ends = np.where(share[:, None] < 0.0, ink.diverging_256[:1], ink.diverging_256[-1:]).astype(np.uint8)
    return faded(ends, (np.abs(share) - _CLEAR) / (_OPAQUE - _CLEAR))


def _rounded_down(value: float) -> float:
    """The largest round number that is not above it."""
    power = 10.0 ** math.floor(math.log10(value))
    steps = [step for step in _ROUND_STEPS if step * power <= value * (1.0 + 1e-9)]
    return float(f"{power * steps[-1]:.2g}")


def _measure_words(densities: _Densities, view: View) -> str:
    if view.num_dimensions == 1:
        return "density per latent unit"
    if densities.is_marginal:
        return "density per unit² of the plane"
    return f"density at the latent points shown, per unit to the power {view.num_dimensions}"


def _prior_peak(densities: _Densities, view: View) -> float:
    """The prior's largest density anywhere on the map, so that the scale does not change as one moves about."""
    if isinstance(view, PlaneView) and not densities.has_priors:
        _, covariance_122 = view.marginal(np.zeros((1, view.num_dimensions)), np.ones((1, view.num_dimensions)))
        return float(1.0 / (2.0 * math.pi * np.sqrt(max(np.linalg.det(covariance_122[0]), 1e-24))))
    if densities.is_marginal and not densities.has_priors:
        return 1.0 / math.sqrt(2.0 * math.pi)
    finite = densities.prior[np.isfinite(densities.prior)]
    return max(math.exp(float(finite.max())), 1e-300) if len(finite) else 1.0


def _prior_contours(densities: _Densities, view: View, rect: MapRect) -> tuple[tuple[Strokes, ...], tuple[Word, ...]]:
    """Where N(0, I) has one, two and three sigma, as broken lines with their names; none where it is not the prior."""
    if densities.has_priors:
        return (), ()
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
