"""The layer `posterior`: q(z|x) of the images a person looks at, at true scale, and the exact p(z|x) under it.

Runs on the exploring thread. Kingma, Welling, arXiv 1312.6114; calibration of q: MODELS.md 6.12.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.latent.drawing import LayerDrawing, Legend, Raster, Role, Strokes, Word, ellipse_line, strokes_of
from vae_explorer.latent.exact_posterior import (
    MOST_DIMENSIONS,
    CoarseGrid,
    ExactPosterior,
    exact_posterior,
    prepared_coarse_grid,
)
from vae_explorer.latent.field_raster import faded, field_raster, lattice_points, lifted
from vae_explorer.latent.layers import PosteriorOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.models.conditioned import Conditioned

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.layers import LayerRequest
    from vae_explorer.latent.views import View
    from vae_explorer.models.interface import LatentModel

Float64 = NDArray[np.float64]

MOST_ITEMS = 24
_HEAT_CELLS = 96
_MOST_KEPT = 48
# A line has no second dimension to draw an ellipse in: its heat is a band of this part of the height.
_BAND = 0.03
_MOST_SIGMAS_IN_WORDS = 3

_NAME_PIXELS = 12.0
_SEEN_DENSITY = 0.25  # of the maximum
_PEAK_ALPHA, _LEAST_ALPHA = 0.9, 0.35
_SPREAD = np.linspace(0.0, 1.0, 256)


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """One posterior to draw."""

    key: tuple[object, ...]
    title: str
    role: Role
    mean_D: Float64
    sigma_D: Float64
    height: float
    is_hovered: bool = False
    name: str = ""
    x_CHW: Tensor | None = None
    item: int | None = None


def draw(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
    """Ellipses of one and two sigma at once, then the heat of the exact posterior of the image in focus.

    Raises UserError where the model has no Gaussian posterior or the images are not there.
    """
    view, rect = request.view, request.rect
    if explorer.num_dimensions != view.num_dimensions:
        yield LayerDrawing(rect)
        return
    if not view.is_exact:
        yield LayerDrawing(rect, readout="An overview has no scale: choose another view to see posteriors.")
        return
    shown = _shown(explorer, request)
    finite = [one for one in shown if np.isfinite(one.mean_D).all() and np.isfinite(one.sigma_D).all()]
    if not finite:
        said = "The posterior is not finite." if shown else "Point at a code to see its posterior."
        yield LayerDrawing(rect, legend=_legend(finite, False), readout=said)
        return
    strokes, words = _outlines(view, rect, finite, request.units_per_pixel * request.pixel_ratio)
    main = _main(finite)
    readout = _readout(main) if main is not None else _joint_readout(finite)
    options = request.options if isinstance(request.options, PosteriorOptions) else PosteriorOptions()
    if options.shows_exact and view.num_dimensions > MOST_DIMENSIONS:
        readout += (
            f"\nThe exact posterior takes {MOST_DIMENSIONS} dimensions or fewer; this model has {view.num_dimensions}."
        )
    wants_exact = (
        options.shows_exact and not request.is_draft and explorer.record.has_likelihood and explorer.record.has_prior
        and view.num_dimensions <= MOST_DIMENSIONS and main is not None and main.x_CHW is not None
    )  # fmt: skip
    if main is None or not wants_exact:
        yield LayerDrawing(rect, (), strokes, words, _legend(finite, False), readout)
        return
    known = explorer.cache.setdefault("exact posteriors", {})
    if main.key not in known:
        yield LayerDrawing(rect, (), strokes, words, _legend(finite, False), readout, is_whole=False)
    exact = yield from _exact(explorer, main)
    yield None
    rasters = _heat(exact, main, request)
    yield LayerDrawing(rect, rasters, strokes, words, _legend(finite, True), _readout(main, exact))


def item_heights(view: View, ids_B: NDArray[np.integer[Any]]) -> Float64:
    """The y at which a line shows these items, which means nothing; 0 in every other view."""
    if view.num_dimensions != 1 or not len(ids_B):
        return np.zeros(len(ids_B))
    return np.asarray(view.place(np.zeros((int(ids_B.max()) + 1, 1)))[ids_B, 1], dtype=np.float64)


def item_title(explorer: Explorer, item: int) -> str:
    """`item 1,234 (seven)`: number and, where it is known, the class."""
    name = None if explorer.dataset is None else explorer.dataset.class_of(item)
    return f"item {item:,} ({name})" if name else f"item {item:,}"


def sigma_words(sigma_D: Float64) -> str:
    """`σ = (0.12, 0.31)`, or the range where there are many dimensions."""
    if len(sigma_D) == 1:
        return f"σ = {sigma_D[0]:.2g}"
    if len(sigma_D) <= _MOST_SIGMAS_IN_WORDS:
        return f"σ = ({', '.join(f'{sigma:.2g}' for sigma in sigma_D)})"
    return f"σ = {sigma_D.min():.2g} to {sigma_D.max():.2g} in {len(sigma_D)} dimensions"


def _shown(explorer: Explorer, request: LayerRequest) -> list[_Shown]:
    """The hovered item first, then the selected ones, then what was given."""
    focus = request.focus
    ids = list(dict.fromkeys(([] if focus.hovered_item is None else [focus.hovered_item]) + list(focus.items)))
    if explorer.dataset is not None:
        ids = [item for item in ids if 0 <= item < explorer.dataset.images.num_images]
    ids = ids[:MOST_ITEMS]
    shown: list[_Shown] = []
    if ids:
        ids_B = np.array(ids, dtype=np.int64)
        with torch.no_grad():
            x_BCHW = explorer.seen(ids_B)
            posterior = explorer.posterior(x_BCHW, ids_B)
            mean_BD = posterior.mean.double().cpu().numpy()
            sigma_BD = posterior.standard_deviation.double().cpu().numpy()
        heights = item_heights(request.view, ids_B)
        for row, item in enumerate(ids):
            is_hovered = item == focus.hovered_item
            role = "accent" if is_hovered else _class_role(explorer, item)
            shown.append(
                _Shown(
                    ("item", item), item_title(explorer, item), role, mean_BD[row], sigma_BD[row],
                    float(heights[row]), is_hovered, x_CHW=x_BCHW[row], item=item,
                )
            )  # fmt: skip
    for given in focus.given:
        if len(given.mean_D) != request.view.num_dimensions:
            continue
        key = ("given", given.name, given.mean_D.tobytes(), given.sigma_D.tobytes())
        x_CHW = None if given.x_CHW is None else torch.from_numpy(given.x_CHW).to(explorer.device)
        shown.append(_Shown(key, given.name, "warning", given.mean_D, given.sigma_D, 0.0, name=given.name, x_CHW=x_CHW))
    return shown


def _main(shown: list[_Shown]) -> _Shown | None:
    """The one whose exact posterior is drawn: the hovered, else the only selected, else the first that was given."""
    hovered = next((one for one in shown if one.is_hovered), None)
    selected = [one for one in shown if not one.is_hovered and not one.name]
    if hovered is not None or len(selected) == 1:
        return hovered or selected[0]
    return next((one for one in shown if one.name), None)


def _outlines(
    view: View, rect: MapRect, shown: list[_Shown], units_per_pixel: float
) -> tuple[tuple[Strokes, ...], tuple[Word, ...]]:
    mean_ND = np.stack([one.mean_D for one in shown])
    xy_N2, covariance_N22 = view.marginal(mean_ND, np.stack([one.sigma_D for one in shown]))
    if view.num_dimensions == 1:
        xy_N2 = np.stack([xy_N2[:, 0], [one.height for one in shown]], axis=1)
    strokes: list[Strokes] = []
    words: list[Word] = []
    # What is looked at last of all lies on top.
    for one, (x, y), covariance_22 in reversed(list(zip(shown, xy_N2, covariance_N22, strict=True))):
        if not (np.isfinite([x, y]).all() and np.isfinite(covariance_22).all()):
            continue
        width = 2.0 if one.is_hovered or one.name else 1.5
        for sigmas, opacity in ((1.0, 1.0), (2.0, 0.6)):
            line = _outline(view, float(x), float(y), covariance_22, sigmas, rect)
            strokes.append(strokes_of([line], role=one.role, width=width, opacity=opacity))
        if one.name:
            # Beside the ellipse, the first above and the next below: a picture and its refinement lie close together.
            reach = float(ellipse_line(0.0, 0.0, covariance_22, 2.0)[:, 1].max()) + _NAME_PIXELS * units_per_pixel
            is_first = one.name == next(other.name for other in shown if other.name)
            top = float(y) + (reach if is_first else -reach)
            words.append(Word(float(x), top, one.name, "warning", is_strong=True))
    return tuple(strokes), tuple(words)


def _outline(view: View, x: float, y: float, covariance_22: Float64, sigmas: float, rect: MapRect) -> Float64:
    if view.num_dimensions > 1:
        return ellipse_line(x, y, covariance_22, sigmas)
    # On a line: a box from -sigmas to +sigmas, so that one and two sigma are told apart.
    half, height = float(np.sqrt(covariance_22[0, 0])) * sigmas, rect.height * _BAND / 2 / sigmas
    corners = np.array([[-half, -height], [half, -height], [half, height], [-half, height], [-half, -height]])
    line: Float64 = corners + np.array([x, y])
    return line


def _exact(explorer: Explorer, main: _Shown) -> Generator[None, None, ExactPosterior]:
    known: dict[object, ExactPosterior] = explorer.cache.setdefault("exact posteriors", {})
    if main.key in known:
        return known[main.key]
    assert main.x_CHW is not None
    ids_B = None if main.item is None else np.array([main.item])
    network = explorer.network_for(main.x_CHW[None], ids_B)
    coarse = yield from kept_coarse_grid(explorer, network)
    exact = yield from exact_posterior(network, main.x_CHW, main.mean_D, main.sigma_D, coarse)
    while len(known) >= _MOST_KEPT:
        known.pop(next(iter(known)))
    known[main.key] = exact
    return exact


def kept_coarse_grid(explorer: Explorer, network: LatentModel) -> Generator[None, None, CoarseGrid | None]:
    """The first cells of the quadrature, decoded once a snapshot, and again where `network` is told something else."""
    condition = network.condition.cpu().numpy().tobytes() if isinstance(network, Conditioned) else b""
    known: tuple[bytes, CoarseGrid | None] | None = explorer.cache.get("coarse grid")
    if known is None or known[0] != condition:
        assert explorer.snapshot is not None
        coarse = yield from prepared_coarse_grid(network, explorer.snapshot.image_shape)
        explorer.cache["coarse grid"] = known = (condition, coarse)
    return known[1]


def _heat(exact: ExactPosterior, main: _Shown, request: LayerRequest) -> tuple[Raster, ...]:
    view, rect = request.view, request.rect
    low_D, high_D = exact.extent()
    if view.num_dimensions == 1:
        half = rect.height * _BAND / 2
        box = MapRect(float(low_D[0]), main.height - half, float(high_D[0]), main.height + half)
        rows, columns = 1, _HEAT_CELLS
    else:
        inside_N = ((exact.points_ND >= low_D) & (exact.points_ND <= high_D)).all(axis=1)
        corners = np.stack([axis.reshape(-1) for axis in np.meshgrid(*zip(low_D, high_D, strict=True))], axis=1)
        xy_P2 = np.asarray(view.project(np.concatenate([exact.points_ND[inside_N], corners])))
        xy_P2 = xy_P2[np.isfinite(xy_P2).all(axis=1)]
        if not len(xy_P2):
            return ()
        (left, bottom), (right, top) = xy_P2.min(axis=0), xy_P2.max(axis=0)
        box = MapRect(float(left), float(bottom), float(right), float(top))
        rows = columns = _HEAT_CELLS
    box = MapRect(
        max(box.left, rect.left), max(box.bottom, rect.bottom), min(box.right, rect.right), min(box.top, rect.top)
    )
    if box.width <= 0 or box.height <= 0:
        return ()
    z_PD, known_P = lifted(view, lattice_points(box, rows, columns))
    density_P = np.zeros(len(z_PD))
    density_P[known_P] = exact.density_at(z_PD[known_P])
    pixels_per_unit = request.width / rect.width
    width, height = (max(1, round(side * pixels_per_unit)) for side in (box.width, box.height))
    # One that fills the view, as that of an untrained network, must not hide the codes under it.
    covered = float((density_P > _SEEN_DENSITY).mean()) * box.width * box.height / (rect.width * rect.height)
    peak = _PEAK_ALPHA - (_PEAK_ALPHA - _LEAST_ALPHA) * min(covered / 0.5, 1.0)
    # The square root shows two sigma, where the density is an eighth, as clearly as the peak deserves.
    table = faded(request.ink.ramp_256, peak * np.sqrt(_SPREAD))
    return (field_raster(density_P.reshape(rows, columns), box, width, height, table, 0.0, 1.0),)


def _legend(shown: list[_Shown], has_heat: bool) -> Legend:
    entries: list[tuple[Role, str]] = []
    if any(one.is_hovered for one in shown):
        entries.append(("accent", "q(z|x) of the hovered image, 1σ and 2σ"))
    if any(one.name for one in shown):
        entries.append(("warning", "q(z|x) of a picture put in, 1σ and 2σ"))
    if any(not one.is_hovered and not one.name for one in shown):
        entries.append(("text", "q(z|x) of the selected images, by class, 1σ and 2σ"))
    if has_heat:
        ticks = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))
        return Legend("Posterior", "exact p(z|x), share of its maximum", "sequential", ticks, tuple(entries))
    return Legend("Posterior", "sigma of q(z|x), in latent units", entries=tuple(entries))


def _readout(main: _Shown, exact: ExactPosterior | None = None) -> str:
    said = f"{main.title[:1].upper()}{main.title[1:]} · {sigma_words(main.sigma_D)}"
    if exact is None:
        return said
    # Below zero is rounding of the quadrature.
    return f"KL(q ‖ exact) = {max(exact.kl_from_q, 0.0):.2f} nats · {said}"


def _joint_readout(shown: list[_Shown]) -> str:
    median_D = np.median(np.stack([one.sigma_D for one in shown]), axis=0)
    return f"{len(shown)} posteriors · median {sigma_words(median_D)}"


def _class_role(explorer: Explorer, item: int) -> Role:
    dataset = explorer.dataset
    return "text" if dataset is None or dataset.labels_N is None else f"class:{int(dataset.labels_N[item])}"
