"""The map as a painted surface: the layers' drawings laid into the plane, and what a person has put over them.

The surface knows nothing of models. It is handed drawings with their place in the plane and paints pictures pixel on
pixel. While the person pans or zooms, what is at hand is moved and stretched until better drawings come.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEasingCurve, QRect, QRectF, QSize, Qt, QVariantAnimation, Signal, Slot
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets import map_painting
from vae_explorer.gui.widgets.layer_painting import PlacedDrawing
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_overlay import MapOverlay, paint_overlay
from vae_explorer.gui.widgets.map_painting import BOTTOM_GUTTER, LEFT_GUTTER, MARGIN, PlacedPicture, plot_within
from vae_explorer.gui.widgets.map_ramps import paint_ramps
from vae_explorer.latent.lattice import CellRange
from vae_explorer.latent.layers import LAYERS
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.latent.drawing import LayerDrawing, Legend

_GLIDE_MS = 260


class MapSurface(QWidget):
    """Paints the latent map.

    Signals (GUI thread): frame_changed(), the part of the plane in sight or the size of the plot changed.
    """

    frame_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 120)
        self.frame = MapFrame()
        self.note = ""
        self.axis_labels = ("", "")
        self.cell_level: int | None = None
        self.painted_ms = 0.0
        self.overlay = MapOverlay()
        self._below: PlacedPicture | None = None
        self._manifold: PlacedPicture | None = None
        self._drawings: dict[str, PlacedDrawing] = {}
        self._composed: QPixmap | None = None
        self._composed_key: tuple[object, ...] = ()
        self._composed_layers: tuple[object, ...] = (None,) * (2 + len(LAYERS))
        self._hover: tuple[float, float] | None = None
        self._goal: MapFrame | None = None
        self._origin = self.frame
        self._glide = QVariantAnimation(self)
        self._glide.setStartValue(0.0)
        self._glide.setEndValue(1.0)
        self._glide.setDuration(_GLIDE_MS)
        self._glide.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._glide.valueChanged.connect(self._glide_on)
        self._glide.finished.connect(self._glide_ended)
        theme.notifier().changed.connect(self._repaint_all)

    # --- what it is handed

    @property
    def is_gliding(self) -> bool:
        """Whether the frame is moving by itself; pictures asked for now would come too late."""
        return self._goal is not None

    @property
    def hovered_place(self) -> tuple[float, float] | None:
        """The map point under the mouse, None where it is elsewhere."""
        return self._hover

    @property
    def plot(self) -> QRect:
        """The plot inside the axes, in the widget's logical pixels."""
        return plot_within(self.size())

    def set_manifold(
        self, picture: PlacedPicture | None, *, is_backdrop: bool = False, keeps_last: bool = False
    ) -> None:
        """Lay down the decoded manifold.

        `is_backdrop`: a coarse picture to be seen wherever there is no sharp one. `keeps_last`: the picture
        so far stays under the new one, which covers another part or is not whole.
        """
        if is_backdrop:
            self._below, self._manifold = picture, None
        else:
            if keeps_last:
                self._below = self._manifold or self._below
            elif picture is None or picture.rect.contains(self.frame.rect):
                self._below = None
            self._manifold = picture
        self.update(self.plot)

    def set_drawing(self, name: str, drawing: LayerDrawing | None, opacity: float = 1.0) -> None:
        """Lay down a layer other than the manifold, or take it off."""
        if drawing is None:
            if self._drawings.pop(name, None) is None:
                return
        else:
            self._drawings[name] = PlacedDrawing.of(drawing, opacity)
        self.update(self.plot)

    @Slot(str, float)
    def set_opacity(self, name: str, opacity: float) -> None:
        """Lay a layer down more or less strongly."""
        if name in self._drawings:
            self._drawings[name] = replace(self._drawings[name], opacity=opacity)
            self.update(self.plot)

    def set_overlay(self, **changes: Any) -> None:
        """Show other pins, another path, or a gesture in progress."""
        overlay = replace(self.overlay, **changes)
        if overlay != self.overlay:
            self.overlay = overlay
            self.update(self.plot)

    def set_note(self, note: str) -> None:
        """A sentence in place of the map; empty when there is a map."""
        if note != self.note:
            self.note = note
            self._repaint_all()

    def set_frame(self, frame: MapFrame) -> None:
        """Show another part of the plane at once."""
        self._glide.stop()
        self._goal = None
        if frame != self.frame:
            self.frame = frame
            self._repaint_all()
            self.frame_changed.emit()

    def glide_to(self, frame: MapFrame) -> None:
        """Move smoothly to another part of the plane; `frame_changed` comes once, on arrival."""
        if not self.isVisible():
            self.set_frame(frame)
            return
        self._glide.stop()
        self._origin, self._goal = self.frame, frame
        self._glide.start()

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """All layers, clipped to what needs it."""
        start = time.perf_counter()
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(theme.current().panel))
        self.paint_picture(painter, self.devicePixelRatioF())
        painter.end()
        self.painted_ms = (time.perf_counter() - start) * 1e3

    def paint_picture(self, painter: QPainter, pixel_ratio: float, *, is_cropped: bool = False) -> None:
        """Everything but the ground, on any paint device with so many pixels a logical one.

        `is_cropped`: for devices that do not clip.
        """
        colours = theme.current()
        plot = self.plot
        painter.save()
        painter.translate(plot.topLeft())
        if self.note:
            painter.setPen(QColor(colours.muted))
            box = QRectF(0, 0, plot.width(), plot.height()).adjusted(24, 24, -24, -24)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.note)
        else:
            self._paint_map(painter, colours, pixel_ratio, is_cropped)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRect(-1, -1, plot.width() + 1, plot.height() + 1))
        painter.restore()

    def _paint_map(self, painter: QPainter, colours: theme.Theme, ratio: float, is_cropped: bool) -> None:
        frame = self.frame
        is_line = not self.axis_labels[1]
        small = painter.font()
        small.setPointSizeF(max(small.pointSizeF() - 1.0, 7.0))
        painter.setFont(small)
        painter.save()
        painter.setClipRect(QRectF(0, 0, frame.width, frame.height), Qt.ClipOperation.IntersectClip)
        if is_cropped or not self._paint_composed(painter, colours, ratio):
            self._paint_layers(painter, colours, ratio, is_cropped)
        if self._hover is not None and (cell := self._cell_at(self._hover)) is not None:
            map_painting.paint_cell(painter, frame, colours, cell)
        paint_overlay(painter, frame, colours, self.overlay, is_line)
        paint_ramps(painter, frame, colours, self._ramps())
        painter.restore()
        map_painting.paint_axes(painter, frame, colours, self.axis_labels)
        if self._hover is not None:
            map_painting.paint_place_on_axes(painter, frame, colours, self._hover, not is_line)

    def _paint_layers(self, painter: QPainter, colours: theme.Theme, ratio: float, is_cropped: bool) -> None:
        if self._below is not None and not self._manifold_covers():
            self._below.paint(painter, self.frame, ratio, is_cropped=is_cropped)
        if self._manifold is not None:
            self._manifold.paint(painter, self.frame, ratio, is_cropped=is_cropped)
        for name in LAYERS.names():
            if name in self._drawings:
                self._drawings[name].paint(painter, self.frame, ratio, colours, is_cropped=is_cropped)

    def _paint_composed(self, painter: QPainter, colours: theme.Theme, ratio: float) -> bool:
        """All layers as one pixmap; False where they are painted for the first time as they are now.

        A mouse on its way repaints what lies over the layers many times a second; to blend them anew each time would
        take the cores from training. Composed at the second painting alone, a pan or a zoom pays nothing for it.
        """
        layers = (self._below, self._manifold, *(self._drawings.get(name) for name in LAYERS.names()))
        key = (self.frame, ratio, colours, painter.font().key())
        if key != self._composed_key or any(a is not b for a, b in zip(layers, self._composed_layers, strict=True)):
            self._composed_key, self._composed_layers, self._composed = key, layers, None
            return False
        if self._composed is None:
            size = QSize(math.ceil(self.frame.width * ratio), math.ceil(self.frame.height * ratio))
            self._composed = QPixmap(size)
            self._composed.setDevicePixelRatio(ratio)
            self._composed.fill(QColor(colours.panel))
            inner = QPainter(self._composed)
            inner.setFont(painter.font())
            self._paint_layers(inner, colours, ratio, False)
            inner.end()
        painter.drawPixmap(0, 0, self._composed)
        return True

    def _ramps(self) -> list[Legend]:
        """What colours mean that are no class colours, of the layers on the map now."""
        placed = (self._drawings[name] for name in LAYERS.names() if name in self._drawings)
        return [one.legend for one in placed if one.legend is not None and one.legend.ramp and one.pictures]

    def _manifold_covers(self) -> bool:
        manifold = self._manifold
        if manifold is None or manifold.image.format() != QImage.Format.Format_RGB32:
            return False
        return manifold.rect.contains(self.frame.rect)

    def _cell_at(self, place: tuple[float, float]) -> MapRect | None:
        if self.cell_level is None:
            return None
        cells = CellRange.covering(MapRect(place[0], place[1], place[0], place[1]), self.cell_level)
        return CellRange(self.cell_level, cells.row, cells.column, 1, 1).rect

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another size shows more or less of the plane at the same scale."""
        super().resizeEvent(event)
        plot = self.plot
        if self._goal is not None:
            self._goal = self._goal.resized(plot.width(), plot.height())
            self._origin = self._origin.resized(plot.width(), plot.height())
        self.frame = self.frame.resized(plot.width(), plot.height())
        self.frame_changed.emit()

    def sizeHint(self) -> QSize:
        """Room for a map."""
        return QSize(640, 560)

    # --- inner workings

    def _set_hover(self, place: tuple[float, float] | None) -> None:
        self._update_around_hover()
        self._hover = place
        self._update_around_hover()

    def _update_around_hover(self) -> None:
        # A moving mouse repaints a cell and two tags, not the whole map.
        if self._hover is None:
            return
        plot, line = self.plot, self.fontMetrics().height() + 12
        left, top = self.frame.to_screen(*self._hover)
        self.update(0, round(plot.top() + top - line), 2 * LEFT_GUTTER, 2 * line)
        self.update(round(plot.left() + left - 60), plot.bottom() - 1, 120, BOTTOM_GUTTER + MARGIN)
        if (cell := self._cell_at(self._hover)) is not None:
            left, top = self.frame.to_screen(cell.left, cell.top)
            side = round(cell.width * self.frame.scale) + 4
            self.update(round(plot.left() + left) - 2, round(plot.top() + top) - 2, side, side)

    @Slot(object)
    def _glide_on(self, part: object) -> None:
        if self._goal is not None and isinstance(part, float):
            self.frame = self._origin.between(self._goal, part)
            self._repaint_all()

    @Slot()
    def _glide_ended(self) -> None:
        if self._goal is not None:
            self.frame, self._goal = self._goal, None
            self._repaint_all()
            self.frame_changed.emit()

    @Slot()
    def _repaint_all(self) -> None:
        self.update()
