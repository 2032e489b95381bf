"""The latent map and the data plane of a run as drawings for a page: an embedded picture, lines and a frame.

The picture is a PNG with transparent ground, and lines are classes of the page's style, so that both can be read in
light and in dark. Legend: M codes, D latent dimensions, N cells.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.export.plot_axis import PlotAxis
from vae_explorer.export.report_style import CLASS_COLOURS, role_class
from vae_explorer.latent.code_layer import extent_of
from vae_explorer.latent.code_raster import fair_order, raster_codes
from vae_explorer.latent.data_plane import PlaneRequest, draw_plane
from vae_explorer.latent.data_plane_parts import Part
from vae_explorer.latent.drawing import LayerInk
from vae_explorer.latent.manifold import resampled, tiled
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.view_catalogue import FitData, ViewChoice, build_view, first_choice
from vae_explorer.latent.views import PlaneView
from vae_explorer.runs.png import png_bytes

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import Strokes
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View

UInt8 = NDArray[np.uint8]

MOST_CODES = 10_000
"""Codes on a map, evenly chosen."""

_WIDTH, _HEIGHT = 640, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 42
_PIXEL_RATIO = 2
_CELLS = 22
"""Decoded cells along the longer side."""
_AIR = 1.06
_GREY, _STRENGTH = (128, 134, 146), 0.62  # of decoded pictures: seen on white and on black
_MOST_ENTRIES = 12
_ENCODE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class PageDrawing:
    """A drawing for a page: SVG, a sentence under it, and its key, pairs of a style class and a name."""

    svg: str
    caption: str
    key: tuple[tuple[str, str], ...] = ()


def shown_items(explorer: Explorer) -> NDArray[np.int64]:
    """Ids of the items whose codes a map shows, evenly chosen from the images of the explorer."""
    assert explorer.dataset is not None
    num = explorer.dataset.images.num_images
    return np.unique(np.linspace(0, num - 1, min(num, MOST_CODES)).astype(np.int64))


@torch.inference_mode()
def codes_of(explorer: Explorer, ids_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Posterior means of these items, each told its own condition, (M, D)."""
    parts = []
    for start in range(0, len(ids_M), _ENCODE_BATCH):
        ids_B = ids_M[start : start + _ENCODE_BATCH]
        x_BCHW = explorer.seen(ids_B)
        mean = explorer.network_for(x_BCHW, ids_B).encode(x_BCHW).mean
        assert isinstance(mean, torch.Tensor)
        parts.append(mean.float().cpu().numpy())
    return np.concatenate(parts)


def latent_map(explorer: Explorer, ids_M: NDArray[np.int64], codes_MD: NDArray[np.float32]) -> PageDrawing:
    """The codes of these items by class over what each place decodes to.

    One and two dimensions are shown as they are, more in the PCA plane of the codes. The explorer has a snapshot and
    the images.
    """
    dataset = explorer.dataset
    assert dataset is not None
    labels_M = None if dataset.labels_N is None else dataset.labels_N.cpu().numpy()[ids_M]
    view = _view(codes_MD, labels_M)
    xy_M2 = np.asarray(view.place(codes_MD))
    extent = extent_of(xy_M2, view.home, is_trained=True).grown(_AIR)
    rect = _in_proportion(extent)
    order_M = fair_order(len(xy_M2))
    row_M = np.zeros(len(xy_M2), np.uint16) if labels_M is None else (labels_M % len(CLASS_COLOURS)).astype(np.uint16)
    ink = _ink()
    palette = ink.accent_4[None] if labels_M is None else ink.classes_K4
    width, height = _pixels()
    points, num_shown = raster_codes(xy_M2[order_M], row_M[order_M], rect, width, height, palette, _PIXEL_RATIO)
    picture = _over(_rgba(points), _decoded_cells(explorer, view, rect, width, height))
    names = () if labels_M is None else tuple(dataset.class_names[:_MOST_ENTRIES])
    key = tuple((role_class(f"class:{number}"), name) for number, name in enumerate(names))
    shown = f"{num_shown:,} of {len(xy_M2):,}" if num_shown < len(xy_M2) else f"{num_shown:,}"
    caption = f"{shown} codes of training images, over what each place decodes to{_told(explorer)}."
    if isinstance(view, PlaneView) and view.explained is not None:
        x_share, y_share = view.explained
        caption += f" The plane has {x_share + y_share:.0%} of the variance of the codes."
    return PageDrawing(_svg(rect, picture, (), view.axis_labels, "Latent map"), caption, key)


def data_plane(explorer: Explorer) -> PageDrawing:
    """The plane of two-dimensional data with the parts that are shown first. Raises UserError for pictures."""
    width, height = _pixels()
    parts = frozenset(part for part in Part if part.is_shown)
    drawing = None
    for step in draw_plane(explorer, PlaneRequest(parts, width, height, _PIXEL_RATIO, _ink())):
        drawing = step or drawing
    if drawing is None:
        raise UserError("The data plane of this run cannot be drawn.", "Look at it in the window.")
    picture = np.zeros((height, width, 4), dtype=np.uint8)
    for raster in drawing.rasters:
        picture = _over(_rgba(raster.pixels), picture)
    entries = () if drawing.legend is None else drawing.legend.entries
    key = tuple((role_class(role), name) for role, name in entries)
    svg = _svg(drawing.rect, picture, drawing.strokes, ("x₁", "x₂"), "Data plane")
    return PageDrawing(svg, f"The data and what the model makes of their plane: {drawing.readout}.", key)


def _view(codes_MD: NDArray[np.float32], labels_M: NDArray[Any] | None) -> View:
    dimensions = codes_MD.shape[1]
    choice = ViewChoice("pca") if dimensions > 2 else first_choice(dimensions)
    assert choice is not None
    try:
        return build_view(choice, FitData(codes_MD, labels_M))
    except UserError:  # codes that are no numbers have no plane of their own
        return build_view(replace(choice, name="dimensions"), FitData(codes_MD, labels_M))


def _told(explorer: Explorer) -> str:
    match explorer.record.condition:
        case "class":
            assert explorer.dataset is not None
            return f" as class “{explorer.dataset.class_name(0)}”"
        case "part":
            return " beside the given part of the first image"
        case _:
            return ""


def _decoded_cells(explorer: Explorer, view: View, rect: MapRect, width: int, height: int) -> UInt8:
    """What a lattice of places decodes to, RGBA: grey pictures as ink of one tone, colours as they are, both pale."""
    across = max(1, round(_CELLS * min(1.0, rect.width / rect.height)))
    down = max(1, round(across * rect.height / rect.width))
    x = rect.left + (np.arange(across) + 0.5) / across * rect.width
    y = rect.top - (np.arange(down) + 0.5) / down * rect.height
    xy_N2 = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    pictures = explorer.decode(view.lift(xy_N2))
    image = resampled(tiled(pictures.reshape(down, across, *pictures.shape[1:])), width, height)
    picture = np.empty((height, width, 4), dtype=np.uint8)
    if image.ndim == 2:
        picture[..., :3] = _GREY
        picture[..., 3] = np.rint(image * _STRENGTH)
    else:
        picture[..., :3] = image
        picture[..., 3] = round(255 * _STRENGTH)
    return picture


def _in_proportion(rect: MapRect) -> MapRect:
    """The rectangle widened so that a unit is as long upwards as to the right."""
    proportion = (_WIDTH - _LEFT - _RIGHT) / (_HEIGHT - _TOP - _BOTTOM)
    width, height = max(rect.width, rect.height * proportion), max(rect.height, rect.width / proportion)
    return MapRect.around(*rect.centre, width, height)


def _pixels() -> tuple[int, int]:
    return _PIXEL_RATIO * (_WIDTH - _LEFT - _RIGHT), _PIXEL_RATIO * (_HEIGHT - _TOP - _BOTTOM)


def _ink() -> LayerInk:
    classes = np.array([_bytes(colour) for colour in CLASS_COLOURS], dtype=np.uint8)
    grey_256 = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    return LayerInk(
        ground_3=np.full(3, 255, np.uint8), text_3=np.zeros(3, np.uint8), accent_4=_bytes("#5b7cf0"),
        classes_K4=classes, ramp_256=grey_256, diverging_256=grey_256, is_dark=False,
    )  # fmt: skip


def _bytes(colour: str) -> UInt8:
    """Blue, green, red, alpha."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return np.array([blue, green, red, 255], dtype=np.uint8)


def _rgba(premultiplied: UInt8) -> UInt8:
    """Red, green, blue and alpha, not premultiplied, from the pixels of a raster."""
    alpha = premultiplied[..., 3:].astype(np.float64)
    straight = premultiplied[..., 2::-1] * 255.0 / np.maximum(alpha, 1.0)
    return np.concatenate([np.rint(np.minimum(straight, 255.0)), alpha], axis=-1).astype(np.uint8)


def _over(upper: UInt8, lower: UInt8) -> UInt8:
    """One RGBA picture laid over another."""
    upper_alpha, lower_alpha = (picture[..., 3:] / 255.0 for picture in (upper, lower))
    alpha = upper_alpha + lower_alpha * (1 - upper_alpha)
    colour = upper[..., :3] * upper_alpha + lower[..., :3] * lower_alpha * (1 - upper_alpha)
    colour = colour / np.maximum(alpha, 1e-9)
    picture: UInt8 = np.rint(np.concatenate([colour, 255.0 * alpha], axis=-1)).astype(np.uint8)
    return picture


def _svg(rect: MapRect, picture: UInt8, strokes: Sequence[Strokes], axis_labels: tuple[str, str], title: str) -> str:
    x_axis = PlotAxis(rect.left, rect.right, _LEFT, _WIDTH - _RIGHT)
    y_axis = PlotAxis(rect.bottom, rect.top, _HEIGHT - _BOTTOM, _TOP)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    frame = f'x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"'
    clip = f"clip-{title.replace(' ', '-').lower()}"
    x_label, y_label = (escape(label) for label in axis_labels)
    middle = _TOP + height / 2
    return "\n".join(
        [
            f'<svg class="map" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">',
            f'<clipPath id="{clip}"><rect {frame}/></clipPath>',
            f'<image {frame} preserveAspectRatio="none" href="{data_address(picture)}"/>',
            f'<g clip-path="url(#{clip})">',
            *(_stroke_path(stroke, x_axis, y_axis) for stroke in strokes),
            "</g>",
            f'<rect class="frame" {frame}/>',
            *(_tick(x_axis.place(tick), _HEIGHT - _BOTTOM + 16, "middle", tick) for tick in x_axis.ticks()),
            *(_tick(_LEFT - 6, y_axis.place(tick) + 4, "end", tick) for tick in (y_axis.ticks() if y_label else ())),
            f'<text class="middle" x="{_LEFT + width / 2}" y="{_HEIGHT - 6}">{x_label}</text>',
            f'<text class="middle" x="14" y="{middle}" transform="rotate(-90 14 {middle})">{y_label}</text>',
            "</svg>",
        ]
    )  # fmt: skip


def _tick(x: float, y: float, anchor: str, value: float) -> str:
    text = f"{value:.4g}".replace("-", "−")
    return f'<text class="muted {anchor}" x="{x:.1f}" y="{y:.1f}">{text}</text>'


def _stroke_path(stroke: Strokes, x_axis: PlotAxis, y_axis: PlotAxis) -> str:
    lines = np.split(np.asarray(stroke.xy_P2, dtype=np.float64), stroke.starts[1:]) if len(stroke.starts) else []
    pieces = [_line([(x_axis.place(x), y_axis.place(y)) for x, y in line.tolist()], stroke.has_heads) for line in lines]
    dashes = ' stroke-dasharray="5 4"' if stroke.is_dashed else ""
    return (
        f'<path class="{role_class(stroke.role)}" stroke-width="{stroke.width:g}" opacity="{stroke.opacity:.2f}"'
        f'{dashes} d="{"".join(pieces)}"/>'
    )


def _line(places: Iterable[tuple[float, float]], has_head: bool) -> str:
    points = [(x, y) for x, y in places if np.isfinite(x) and np.isfinite(y)]
    if not points:
        return ""
    path = f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in points)}"
    if has_head and len(points) > 1:
        (x0, y0), (x1, y1) = points[-2:]
        along = np.array([x1 - x0, y1 - y0])
        length = float(np.hypot(*along))
        if length > 1.0:
            along = along * (min(4.0, 0.6 * length) / length)
            across = np.array([-along[1], along[0]]) * 0.6
            for side in (across, -across):
                back = np.array([x1, y1]) - along + side
                path += f"M{back[0]:.1f} {back[1]:.1f}L{x1:.1f} {y1:.1f}"
    return path


def data_address(picture: UInt8) -> str:
    """The picture as a PNG inside an address, so that a page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(picture, {})).decode('ascii')}"
