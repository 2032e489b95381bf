"""The map as a picture to keep: every layer that is shown, drawn anew at the wanted scale, with its legend below.

Drawn on the second exploring thread, composed in the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPoint, QRect, QSize
from PySide6.QtGui import QColor, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgGenerator

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_ink import layer_ink
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.map_overlay import MapOverlay
from vae_explorer.gui.widgets.map_painting import PlacedPicture
from vae_explorer.gui.widgets.map_surface import MapSurface
from vae_explorer.latent.drawing import LayerDrawing, Legend
from vae_explorer.latent.layers import LAYERS, CodesOptions, LayerRecord, LayerRequest

if TYPE_CHECKING:
    from vae_explorer.gui.map_session import MapSession
    from vae_explorer.gui.widgets.map_canvas import MapCanvas
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View

MOST_PIXELS = 64_000_000
_MARGIN = 12


@dataclass(frozen=True, slots=True)
class MapPicture:
    """The drawings of all layers at one scale, what they are drawn for, and the run, model and step they saw."""

    facts: Mapping[str, str]
    drawings: tuple[tuple[LayerRecord, LayerDrawing], ...]
    size: QSize
    frame: MapFrame
    scale: float
    axis_labels: tuple[str, str]
    overlay: MapOverlay
    opacities: Mapping[str, float]


def ask_for_picture(
    map_session: MapSession,
    canvas: MapCanvas,
    code_style: str,
    scale: float,
    on_answer: Callable[[MapPicture], None],
    on_failure: Callable[[Exception], None],
) -> None:
    """Have the map drawn at so many pixels a logical one, the codes in the style in which they are seen.

    Raises UserError where that is too large, or where there is no map.
    """
    view = map_session.view
    if view is None or canvas.note:
        raise UserError("There is no map to save yet.", "Wait until the codes are on it.")
    frame = canvas.frame
    if frame.width * frame.height * scale * scale > MOST_PIXELS:
        raise UserError("A map of this scale is too large.", f"Choose at most {MOST_PIXELS // 1_000_000} megapixels.")
    requests = layer_requests(map_session, view, frame, scale, code_style)
    opacities = layer_opacities(map_session)
    size, labels, overlay = canvas.size(), canvas.axis_labels, canvas.overlay

    def show(drawn: tuple[Mapping[str, str], tuple[tuple[LayerRecord, LayerDrawing], ...]]) -> None:
        on_answer(MapPicture(*drawn, size, frame, scale, labels, overlay, opacities))

    map_session.explore("picture", partial(_drawn, requests=requests), show, on_failure)


def layer_requests(
    map_session: MapSession, view: View, frame: MapFrame, scale: float, code_style: str = ""
) -> tuple[tuple[LayerRecord, LayerRequest], ...]:
    """A request for each layer that is shown, at so many pixels a logical one; codes in this style, if one is given."""
    requests = []
    for record in LAYERS:
        state = map_session.layers[record.name]
        if not state.is_shown:
            continue
        ink = layer_ink(theme.current(), state.opacity if record.bakes_opacity else 1.0)
        width, height = round(frame.width * scale), round(frame.height * scale)
        options = state.options
        if isinstance(options, CodesOptions) and code_style:
            # At more pixels there is more room for points; but the picture is to be what was seen.
            options = replace(options, style=code_style)
        request = LayerRequest(
            view, frame.rect, width, height, scale, ink, state.opacity, options, map_session.focus()
        )  # fmt: skip
        requests.append((record, request))
    return tuple(requests)


def layer_opacities(map_session: MapSession) -> dict[str, float]:
    """How strongly each layer is laid down; one that is drawn in its opacity wholly."""
    return {record.name: 1.0 if record.bakes_opacity else map_session.layers[record.name].opacity for record in LAYERS}


def drawn_layers(
    explorer: Explorer, requests: tuple[tuple[LayerRecord, LayerRequest], ...]
) -> Iterator[tuple[tuple[LayerRecord, LayerDrawing], ...] | None]:
    """The last drawing of each layer, as the explorer sees it; None between the steps."""
    drawings = []
    for record, request in requests:
        last = None
        try:
            for drawing in record.draw(explorer, request):
                last = drawing or last
                yield None
        except UserError:
            continue  # a layer that this model does not have is not on the screen either
        if last is not None:
            drawings.append((record, last))
    yield tuple(drawings)


def _drawn(explorer: Explorer, requests: tuple[tuple[LayerRecord, LayerRequest], ...]) -> Iterator[object]:
    snapshot = explorer.snapshot
    assert snapshot is not None
    for drawings in drawn_layers(explorer, requests):
        if drawings is not None:
            facts = {"run": snapshot.run_name, "model": snapshot.model_name, "step": str(snapshot.step)}
            yield facts, drawings
        else:
            yield None


def png_of(image: QImage, text: Mapping[str, str]) -> bytes:
    """An image as PNG with these text chunks; on any thread."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, QByteArray(b"png"))
    for key, value in text.items():
        writer.setText(key, value)
    writer.write(image)
    return bytes(buffer.data().data())


def image_of(picture: MapPicture, *, has_legend: bool) -> QImage:
    """The picture as an image."""
    surface, legends, size = _composed(picture, has_legend)
    image = QImage(size * picture.scale, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(picture.scale)
    image.fill(QColor(theme.current().panel))
    painter = QPainter(image)
    _paint(painter, surface, legends, picture.scale)
    painter.end()
    return image


def svg_of(picture: MapPicture, title: str, *, has_legend: bool) -> bytes:
    """The picture as SVG: lines and words as such, codes and cells as embedded images."""
    surface, legends, size = _composed(picture, has_legend)
    buffer = QBuffer()
    generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRect(QPoint(0, 0), size))
    generator.setTitle(title)
    painter = QPainter(generator)
    painter.fillRect(QRect(QPoint(0, 0), size), QColor(theme.current().panel))
    _paint(painter, surface, legends, picture.scale, is_cropped=True)
    painter.end()
    return bytes(buffer.data().data())


def _composed(picture: MapPicture, has_legend: bool) -> tuple[MapSurface, list[MapLegend], QSize]:
    surface = MapSurface()
    surface.resize(picture.size)
    surface.axis_labels = picture.axis_labels
    surface.frame = picture.frame
    surface.overlay = picture.overlay
    legends: list[MapLegend] = []
    height = picture.size.height()
    for record, drawing in picture.drawings:
        if record.name == "manifold":
            raster = drawing.rasters[0]
            surface.set_manifold(PlacedPicture.of(raster.rect, raster.pixels, is_opaque=drawing.extras["is_opaque"]))
        else:
            surface.set_drawing(record.name, drawing, picture.opacities[record.name])
        told = (drawing.legend, Legend(f"{record.title}: {drawing.readout}") if drawing.readout else None)
        for legend in told if has_legend else ():
            if legend is not None:
                legends.append(_laid_out(legend, picture.size.width() - 2 * _MARGIN))
                height += legends[-1].height() + 4
    return surface, legends, QSize(picture.size.width(), height + (_MARGIN if legends else 0))


def _laid_out(legend: Legend, width: int) -> MapLegend:
    shown = MapLegend(has_title=True)
    shown.resize(width, 20)
    shown.show_legend(legend)
    shown.resize(width, shown.maximumHeight())
    return shown


def _paint(
    painter: QPainter, surface: MapSurface, legends: list[MapLegend], scale: float, *, is_cropped: bool = False
) -> None:
    painter.setFont(surface.font())
    surface.paint_picture(painter, scale, is_cropped=is_cropped)
    top = surface.height()
    for legend in legends:
        painter.save()
        painter.translate(_MARGIN, top)
        legend.paint_into(painter)
        painter.restore()
        top += legend.height() + 4
