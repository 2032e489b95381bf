"""Paints a layer's drawing: pictures, strokes and words, laid into the plane as it is in sight at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen, QTransform

from vae_explorer.gui.widgets.map_ink import role_colour
from vae_explorer.gui.widgets.map_painting import PlacedPicture

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme
    from vae_explorer.gui.widgets.map_frame import MapFrame
    from vae_explorer.latent.drawing import LayerDrawing, Legend, Strokes, Word
    from vae_explorer.latent.map_rect import MapRect

_HEAD = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class PlacedStrokes:
    """Strokes with their path in map points, made once and moved by a transform as the map is panned and zoomed."""

    strokes: Strokes
    path: QPainterPath

    @staticmethod
    def of(strokes: Strokes) -> PlacedStrokes:
        """The path of all lines; a line with a point that is not finite is broken there."""
        xy_P2 = np.asarray(strokes.xy_P2, dtype=np.float64)
        joined = np.array(np.isfinite(xy_P2).all(axis=1))
        if len(strokes.starts) > 1:
            joined[np.asarray(strokes.starts[1:]) - 1] = False
        connect = joined.astype(np.int32)
        path = pyqtgraph.arrayToQPath(xy_P2[:, 0], xy_P2[:, 1], connect=connect) if len(xy_P2) else QPainterPath()
        return PlacedStrokes(strokes, path)

    def paint(self, painter: QPainter, frame: MapFrame, colours: Theme) -> None:
        """Lines of constant width on the screen, whatever the zoom."""
        strokes = self.strokes
        colour = role_colour(strokes.role, colours)
        colour.setAlphaF(colour.alphaF() * strokes.opacity)
        pen = QPen(colour, strokes.width, Qt.PenStyle.DashLine if strokes.is_dashed else Qt.PenStyle.SolidLine)
        pen.setCosmetic(True)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen)
        painter.setTransform(map_transform(frame), True)
        painter.drawPath(self.path)
        painter.restore()
        if strokes.has_heads:
            self._paint_heads(painter, frame, colour)

    def _paint_heads(self, painter: QPainter, frame: MapFrame, colour: QColor) -> None:
        xy_P2, starts = np.asarray(self.strokes.xy_P2, dtype=np.float64), np.asarray(self.strokes.starts)
        ends = np.append(starts[1:], len(xy_P2)) - 1
        longer = ends > starts
        tip, before = xy_P2[ends[longer]], xy_P2[ends[longer] - 1]
        step = (tip - before) * np.array([1.0, -1.0])
        length = np.hypot(step[:, 0], step[:, 1])
        fine = np.isfinite(length) & (length > 0)
        along = step[fine] / length[fine, None]
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        at = (tip[fine] - [frame.x, frame.y]) * [frame.scale, -frame.scale] + [frame.width / 2, frame.height / 2]
        size = np.minimum(_HEAD, 0.6 * length[fine] * frame.scale)[:, None]
        foot, half = at - size * along, 0.5 * size * across
        corners = np.stack([at, foot + half, foot - half, at], axis=1)
        flat = corners.reshape(-1, 2)
        connect = np.tile([1, 1, 1, 0], len(corners)).astype(np.int32)
        if not len(flat):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPath(pyqtgraph.arrayToQPath(flat[:, 0], flat[:, 1], connect=connect))
        painter.restore()


@dataclass(frozen=True, slots=True, eq=False)
class PlacedDrawing:
    """A layer's drawing, ready to be painted at any pan and zoom."""

    rect: MapRect
    pictures: tuple[PlacedPicture, ...]
    strokes: tuple[PlacedStrokes, ...]
    words: tuple[Word, ...]
    opacity: float
    legend: Legend | None

    @staticmethod
    def of(drawing: LayerDrawing, opacity: float) -> PlacedDrawing:
        """Images and paths of a drawing; `opacity` is 1 where the pixels carry it already."""
        pictures = tuple(
            PlacedPicture.of(raster.rect, raster.pixels, is_opaque=False, is_smooth=raster.is_smooth)
            for raster in drawing.rasters
        )
        strokes = tuple(PlacedStrokes.of(strokes) for strokes in drawing.strokes if len(strokes.xy_P2))
        return PlacedDrawing(drawing.rect, pictures, strokes, drawing.words, opacity, drawing.legend)

    def paint(
        self, painter: QPainter, frame: MapFrame, pixel_ratio: float, colours: Theme, *, is_cropped: bool = False
    ) -> None:
        """Pictures first, then lines, then words; words are to be read whatever the layer's opacity."""
        painter.setOpacity(self.opacity)
        for picture in self.pictures:
            picture.paint(painter, frame, pixel_ratio, is_cropped=is_cropped)
        for strokes in self.strokes:
            strokes.paint(painter, frame, colours)
        painter.setOpacity(1.0)
        for word in self.words:
            paint_word(painter, frame, colours, word)


def map_transform(frame: MapFrame) -> QTransform:
    """From map points to pixels from the plot's corner."""
    scale = frame.scale
    return QTransform(scale, 0, 0, -scale, frame.width / 2 - frame.x * scale, frame.height / 2 + frame.y * scale)


def paint_word(painter: QPainter, frame: MapFrame, colours: Theme, word: Word) -> None:
    """A text centred on its map point, with a halo that keeps it legible on any ground."""
    left, top = frame.to_screen(word.x, word.y)
    if not (-200 < left < frame.width + 200 and -50 < top < frame.height + 50):
        return
    font = QFont(painter.font())
    if word.is_strong:
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() + 1.5)
    path = QPainterPath()
    path.addText(QPointF(0, 0), font, word.text)
    box: QRectF = path.boundingRect()
    path.translate(left - box.center().x(), top - box.center().y())
    halo = QColor(colours.panel)
    halo.setAlpha(225)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pen = QPen(halo, 3.5)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPath(path)
    # A class colour that is right for an area is too dark or too pale for letters on one ground or the other.
    role = "text" if word.role.startswith("class:") else word.role
    painter.fillPath(path, role_colour(role, colours))
    painter.restore()
