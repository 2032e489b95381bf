"""The plane of two-dimensional data: points, samples, the latent grid as the decoder bends it, and densities.

Where items are points of the plane, the data space can be looked at itself, beside the map of the latents. A drawing is
made of parts, each of which only some models have; everything is in the units of the data, x to the right and y
upwards. Runs on the exploring thread.

Legend: N points, K components, P numbers of an item (2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.points import REACH
from vae_explorer.errors import UserError
from vae_explorer.latent.code_raster import fair_order, raster_codes
from vae_explorer.latent.data_plane_parts import Part
from vae_explorer.latent.density import mass_levels
from vae_explorer.latent.drawing import LayerDrawing, LayerInk, Legend, Raster, Strokes, ellipse_line, strokes_of
from vae_explorer.latent.field_raster import contour_lines
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.plane_density import LATENT_CELLS, known_distribution, model_field, true_field

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer

Float64 = NDArray[np.float64]

_AIR = 1.3  # the part of the plane that is shown is by this larger than the box around the points
MOST_POINTS = 4_000
NUM_SAMPLES = 400
SAMPLE_SEED = 0
_MESH_LINES, _MESH_POINTS, _MESH_REACH = 11, 41, 2.5
_ARROWS = 19  # a side
_ARROW_CELLS = 1.5  # how long most arrows are at most, in distances between them
_MOST_ELLIPSES = 200
_POINT_ALPHA, _SAMPLE_ALPHA = 0.55, 0.9
_MOST_CLASSES = 10


@runtime_checkable
class HasComponents(Protocol):
    """A mixture of Gaussians."""

    @property
    def mean_KP(self) -> Tensor: ...

    @property
    def weight_K(self) -> Tensor: ...

    @property
    def covariances_KPP(self) -> Tensor: ...

    def responsibilities(self, x_BCHW: Tensor) -> Tensor:
        """p(k|x), (B, K)."""


@runtime_checkable
class HasVectorField(Protocol):
    """A model that moves points: a denoising autoencoder's r(x) - x."""

    def vector_field(self, x_BCHW: Tensor) -> Tensor:
        """Where to, (B, C, H, W)."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRequest:
    """What is to be drawn: these parts, for a plot of so many device pixels, in these colours."""

    parts: frozenset[Part]
    width: int
    height: int
    pixel_ratio: float
    ink: LayerInk


@dataclass(frozen=True, slots=True, eq=False)
class PlanePoint:
    """What a latent point decodes to: the mean of p(x|z), and its sigma in x and y where the model has a likelihood."""

    mean_2: Float64
    sigma_2: Float64 | None


def draw_plane(explorer: Explorer, request: PlaneRequest) -> Iterator[LayerDrawing | None]:
    """The parts that are asked for and that the model has: None between the steps, one drawing last.

    `extras["parts"]` are all parts that this model has. Raises UserError for items that are no points of the plane.
    """
    snapshot, dataset = explorer.snapshot, explorer.dataset
    assert snapshot is not None
    if not snapshot.data_space.is_plane:
        raise UserError("The items of this run are pictures.", "Choose a two-dimensional data set, such as two-moons.")
    has = parts_of(explorer)
    parts = request.parts & has
    rect = plane_rect(explorer, request.width / request.height)
    rasters: list[Raster] = []
    strokes: list[Strokes] = []
    entries: list[tuple[str, str]] = []
    words = [f"step {snapshot.step:,}"]
    if Part.DATA in parts and dataset is not None:
        raster, names, num_shown, num = _data(explorer, request, rect, by_component=Part.COMPONENTS in parts)
        rasters.append(raster)
        entries += names
        words.append(f"showing {num_shown:,} of {num:,} points")
        yield None
    if Part.SAMPLES in parts:
        xy_N2 = _samples(explorer)
        rasters.append(_raster(xy_N2, np.zeros(len(xy_N2), np.uint16), request, rect, _orange(), _SAMPLE_ALPHA))
        is_ex_post = explorer.record.samples_ex_post
        entries.append(("positive", f"{len(xy_N2)} samples{', ex-post' if is_ex_post else ''}"))
        yield None
    if Part.GRID in parts:
        strokes.append(strokes_of(_mesh(explorer), role="muted", width=1.0, opacity=0.8))
        entries.append(("muted", "latent grid"))
        yield None
    if Part.TRUTH in parts:
        truth_RC = yield from true_field(explorer, rect)
        lines = contour_lines(truth_RC, rect, mass_levels(truth_RC))
        strokes.append(strokes_of([*lines], role="good", width=1.2, opacity=0.9, is_dashed=True))
        entries.append(("good", "true density"))
    if Part.DENSITY in parts:
        field_RC = yield from model_field(explorer, rect)
        lines = contour_lines(field_RC, rect, mass_levels(field_RC))
        strokes.append(strokes_of([*lines], role="text", width=1.2, opacity=0.85))
        entries.append(("text", "density, given what is chosen" if explorer.record.condition else "density"))
    if Part.COMPONENTS in parts:
        strokes += _ellipses(explorer)
        yield None
    if Part.FIELD in parts:
        arrows, factor = _arrows(explorer, rect)
        strokes.append(arrows)
        entries.append(("text", "r(x) − x" if factor == 1.0 else f"r(x) − x, {factor:.2g} of its length"))
        yield None
    words += _numbers(explorer)
    yield LayerDrawing(
        rect, tuple(rasters), tuple(strokes), legend=Legend("Data plane", entries=tuple(entries)),
        readout=" · ".join(words), extras={"parts": has},
    )  # fmt: skip


def plane_rect(explorer: Explorer, proportion: float) -> MapRect:
    """The part of the plane that is shown: the box around the points with some air, widened to width / height."""
    dataset = explorer.dataset
    box = MapRect(-REACH, -REACH, REACH, REACH)
    if dataset is not None and dataset.image_shape == (2, 1, 1):
        xy_N2 = dataset.images.gather(dataset.train_index_N[:MOST_POINTS]).flatten(1).cpu().numpy()
        (left, bottom), (right, top) = xy_N2.min(0).tolist(), xy_N2.max(0).tolist()
        box = MapRect(left, bottom, right, top).grown(_AIR)
    width, height = max(box.width, box.height * proportion), max(box.height, box.width / proportion)
    return MapRect.around(*box.centre, width, height)


def parts_of(explorer: Explorer) -> frozenset[Part]:
    """The parts that the adopted model on these images has."""
    record, network, dataset = explorer.record, explorer.network, explorer.dataset
    has_cells = record.has_likelihood and record.has_prior and explorer.num_dimensions in LATENT_CELLS
    found = {
        Part.DATA: dataset is not None and dataset.image_shape == (2, 1, 1),
        Part.SAMPLES: record.can_be_sampled,
        Part.GRID: explorer.num_dimensions in LATENT_CELLS,
        Part.DENSITY: record.has_density or has_cells,
        Part.TRUTH: known_distribution(explorer) is not None,
        Part.COMPONENTS: isinstance(network, HasComponents),
        Part.FIELD: isinstance(network, HasVectorField),
    }
    return frozenset(part for part, is_there in found.items() if is_there)


@torch.inference_mode()
def plane_point(explorer: Explorer, z_D: NDArray[np.floating[Any]]) -> PlanePoint | None:
    """What z decodes to; None where items are no points of the plane or the place is not finite."""
    snapshot = explorer.snapshot
    if snapshot is None or not snapshot.data_space.is_plane:
        return None
    decoded = explorer.network.decode(torch.as_tensor(z_D, dtype=torch.float32, device=explorer.device)[None])
    mean_2 = decoded.mean_BCHW.flatten().double().cpu().numpy()
    sigma = getattr(decoded, "sigma", None)
    sigma_2 = None if sigma is None else sigma.expand(decoded.mean_BCHW.shape).flatten().double().cpu().numpy()
    return PlanePoint(mean_2, sigma_2) if np.isfinite(mean_2).all() else None


@torch.inference_mode()
def _data(
    explorer: Explorer, request: PlaneRequest, rect: MapRect, *, by_component: bool
) -> tuple[Raster, list[tuple[str, str]], int, int]:
    """The points, the legend's entries, how many are drawn, and of how many."""
    dataset = explorer.dataset
    assert dataset is not None
    index_N = dataset.train_index_N
    order = torch.from_numpy(fair_order(len(index_N))[:MOST_POINTS]).to(index_N.device)
    chosen_N = index_N[order]
    x_NCHW = dataset.images.gather(chosen_N).to(explorer.device)
    palette_K4 = request.ink.classes_K4
    row_N: NDArray[np.integer[Any]]
    entries: list[tuple[str, str]] = []
    if by_component and isinstance(explorer.network, HasComponents):
        # The colour of a point is the mean of the components' colours under its responsibilities.
        r_NK = explorer.network.responsibilities(x_NCHW).float().cpu().numpy()
        palette_K4 = np.rint(r_NK @ _cycled(palette_K4, r_NK.shape[1])).astype(np.uint8)
        row_N = np.arange(len(r_NK))
        entries.append(("class:0", "components, and points by responsibility"))
    elif dataset.labels_N is not None:
        row_N = dataset.labels_N[chosen_N].cpu().numpy() % len(palette_K4)
        entries += [(f"class:{k}", dataset.class_name(k)) for k in range(min(dataset.num_classes, _MOST_CLASSES))]
    else:
        palette_K4, row_N = request.ink.accent_4[None], np.zeros(len(x_NCHW), dtype=np.int64)
        entries.append(("accent", "data"))
    raster = _raster(x_NCHW.flatten(1).cpu().numpy(), row_N.astype(np.uint16), request, rect, palette_K4, _POINT_ALPHA)
    return raster, entries, len(chosen_N), len(index_N)


def _raster(
    xy_N2: NDArray[np.floating[Any]],
    row_N: NDArray[np.uint16],
    request: PlaneRequest,
    rect: MapRect,
    palette_K4: NDArray[np.uint8],
    alpha: float,
) -> Raster:
    palette = np.rint(palette_K4 * alpha).astype(np.uint8)
    diameter = max(2, round(3 * request.pixel_ratio))
    pixels, _ = raster_codes(xy_N2, row_N, rect, request.width, request.height, palette, request.pixel_ratio, diameter)
    return Raster(rect, pixels)


def _cycled(palette_K4: NDArray[np.uint8], num: int) -> Float64:
    return palette_K4[np.arange(num) % len(palette_K4)].astype(np.float64)


def _orange() -> NDArray[np.uint8]:
    # Blue, green, red, alpha of the role `positive`, by which the legend names samples.
    return np.array([[0x0A, 0x73, 0xD9, 0xFF]], dtype=np.uint8)


@torch.inference_mode()
def _samples(explorer: Explorer) -> NDArray[np.float32]:
    """Draws x ~ p(x|z), z ~ p(z); for a model without likelihood the decoded points themselves."""
    network = explorer.network
    decoded: Any = network.decode(explorer.drawn_latents(NUM_SAMPLES, SAMPLE_SEED))
    x_NCHW = decoded.mean_BCHW
    if explorer.record.has_likelihood:
        x_NCHW = decoded.sample(torch.Generator(x_NCHW.device).manual_seed(SAMPLE_SEED))
    xy_N2: NDArray[np.float32] = x_NCHW.flatten(1).float().cpu().numpy()
    return xy_N2


def _mesh(explorer: Explorer) -> list[NDArray[np.floating[Any]]]:
    """Lines of equal latent coordinates as the decoder bends them; of a line of latents the line itself."""
    low_D, high_D = _mesh_box(explorer)
    along = np.linspace(0.0, 1.0, _MESH_POINTS)
    if explorer.num_dimensions == 1:
        z_ND = low_D + (high_D - low_D) * np.linspace(0.0, 1.0, 8 * _MESH_POINTS)[:, None]
        return [explorer.decode_mean(z_ND).reshape(-1, 2)]
    lines = []
    for fixed in (0, 1):
        for share in np.linspace(0.0, 1.0, _MESH_LINES):
            shares_P2 = np.empty((_MESH_POINTS, 2))
            shares_P2[:, fixed], shares_P2[:, 1 - fixed] = share, along
            lines.append(low_D + (high_D - low_D) * shares_P2)
    points = explorer.decode_mean(np.concatenate(lines)).reshape(len(lines), _MESH_POINTS, 2)
    return [line for line in points if np.isfinite(line).all()]


def _mesh_box(explorer: Explorer) -> tuple[Float64, Float64]:
    """Where the prior has its mass; without a prior where the codes are, from the 1st to the 99th percentile."""
    dimensions = explorer.num_dimensions
    codes_ND = explorer.codes()
    if explorer.record.has_prior or codes_ND is None:
        return np.full(dimensions, -_MESH_REACH), np.full(dimensions, _MESH_REACH)
    finite = codes_ND[np.isfinite(codes_ND).all(axis=1)].astype(np.float64)
    if not len(finite):
        return np.full(dimensions, -_MESH_REACH), np.full(dimensions, _MESH_REACH)
    low_D, high_D = np.quantile(finite, [0.01, 0.99], axis=0)
    return low_D, high_D


@torch.inference_mode()
def _ellipses(explorer: Explorer) -> list[Strokes]:
    """One and two sigma of the heaviest components, as strong as they are heavy."""
    network = explorer.network
    assert isinstance(network, HasComponents)
    weight_K = network.weight_K.double().cpu().numpy()
    mean_K2, covariance_K22 = (value.double().cpu().numpy() for value in (network.mean_KP, network.covariances_KPP))
    found = []
    for k in np.argsort(-weight_K)[:_MOST_ELLIPSES]:
        x, y = mean_K2[k].tolist()
        lines = [ellipse_line(x, y, covariance_K22[k], sigmas) for sigmas in (1.0, 2.0)]
        share = float(weight_K[k] / weight_K.max())
        found.append(strokes_of([*lines], role=f"class:{k % _MOST_CLASSES}", width=2.0, opacity=0.25 + 0.75 * share))
    return found


@torch.inference_mode()
def _arrows(explorer: Explorer, rect: MapRect) -> tuple[Strokes, float]:
    """The field on a lattice, all arrows shortened by the factor that keeps most of them out of one another's way."""
    network = explorer.network
    assert isinstance(network, HasVectorField)
    side = (np.arange(_ARROWS) + 0.5) / _ARROWS
    x, y = np.meshgrid(rect.left + side * rect.width, rect.bottom + side * rect.height)
    base_N2 = np.stack([x.ravel(), y.ravel()], axis=1)
    x_NCHW = torch.from_numpy(base_N2).float().to(explorer.device)[:, :, None, None]
    moved_N2 = network.vector_field(x_NCHW).flatten(1).double().cpu().numpy()
    lengths = np.linalg.norm(moved_N2, axis=1)
    typical = float(np.quantile(lengths[np.isfinite(lengths)], 0.9)) if np.isfinite(lengths).any() else 0.0
    room = _ARROW_CELLS * min(rect.width, rect.height) / _ARROWS
    factor = min(1.0, room / typical) if typical > 0 else 1.0
    tip_N2 = base_N2 + factor * moved_N2
    lines = [np.stack(pair) for pair in zip(base_N2, tip_N2, strict=True) if np.isfinite(pair[1]).all()]
    return strokes_of([*lines], role="text", width=1.0, opacity=0.7, has_heads=True), factor


@torch.inference_mode()
def _numbers(explorer: Explorer) -> list[str]:
    """What the legend cannot say: the sigma of p(x|z), and for a density in closed form -log p(x) against H."""
    words = []
    snapshot, dataset = explorer.snapshot, explorer.dataset
    assert snapshot is not None
    if explorer.num_dimensions and explorer.record.has_likelihood:
        point = plane_point(explorer, np.zeros(explorer.num_dimensions))
        if point is not None and point.sigma_2 is not None:
            words.append(f"σ {point.sigma_2.mean():.3f}")
    if explorer.record.has_density and dataset is not None:
        index_N = dataset.heldout_index_N if len(dataset.heldout_index_N) else dataset.train_index_N
        x_NCHW = dataset.images.gather(index_N[:MOST_POINTS]).to(explorer.device)
        kind = "held-out" if len(dataset.heldout_index_N) else "training"
        nll = -float(explorer.network.log_density(x_NCHW).mean())
        words.append(f"−log p(x) {nll:.3f} nats on {len(x_NCHW):,} {kind} points")
    distribution = known_distribution(explorer)
    if distribution is not None:
        words.append(f"entropy of the data H = {distribution.entropy:.3f} nats")
    return words
