"""Paints the plane of two-dimensional data: what was drawn for it, and over it the place looked at. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.layer_painting import PlacedDrawing
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_painting import paint_axes, plot_within

if TYPE_CHECKING:
    from vae_explorer.latent.data_plane import PlanePoint
    from vae_explorer.latent.drawing import LayerDrawing
    from vae_explorer.latent.map_rect import MapRect

_DOT = 5.0


class PlaneSurface(QWidget):
    """The part of the plane that was drawn, in axes, always fitted to the widget.

    plot_resized(): another size was given to the plot, for which pictures are to be drawn anew.
    """

    plot_resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Data plane")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 140)
        self.note = ""
        self.point: PlanePoint | None = None
        self._drawing: PlacedDrawing | None = None
        self._rect: MapRect | None = None
        theme.notifier().changed.connect(self._repaint)

    @property
    def plot(self) -> QRect:
        """The plot inside the axes, in the widget's logical pixels."""
        return plot_within(self.size())

    @property
    def frame(self) -> MapFrame | None:
        """Where the plane lies on the plot; None before anything was drawn."""
        if self._rect is None:
            return None
        plot, rect = self.plot, self._rect
        scale = min(plot.width() / rect.width, plot.height() / rect.height)
        return MapFrame(plot.width(), plot.height(), *rect.centre, scale)

    def show_drawing(self, drawing: LayerDrawing) -> None:
        """Paint this from now on."""
        self._drawing, self._rect, self.note = PlacedDrawing.of(drawing, 1.0), drawing.rect, ""
        self.update()

    def show_note(self, note: str) -> None:
        """A sentence in place of the plane."""
        self._drawing, self._rect, self.note, self.point = None, None, note, None
        self.update()

    def show_point(self, point: PlanePoint | None) -> None:
        """Mark the place that is looked at, with one and two sigma of p(x|z) around it."""
        self.point = point
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The drawing, the place looked at, and the axes."""
        del event
        colours, painter = theme.current(), QPainter(self)
        painter.fillRect(self.rect(), QColor(colours.panel))
        frame = self.frame
        if frame is None or self._drawing is None:
            painter.setPen(QColor(colours.muted))
            box = QRectF(self.rect()).adjusted(24, 24, -24, -24)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.note)
            return
        painter.translate(self.plot.topLeft())
        small = painter.font()
        small.setPointSizeF(max(small.pointSizeF() - 1.0, 7.0))
        painter.setFont(small)
        painter.save()
        painter.setClipRect(QRectF(0, 0, frame.width, frame.height), Qt.ClipOperation.IntersectClip)
        self._drawing.paint(painter, frame, self.devicePixelRatioF(), colours)
        if self.point is not None:
            _paint_point(painter, frame, colours, self.point)
        painter.restore()
        paint_axes(painter, frame, colours, ("x₁", "x₂"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Pictures of the new size are wanted."""
        super().resizeEvent(event)
        self.plot_resized.emit()

    def sizeHint(self) -> QSize:
        """As large as the picture beside the map."""
        return QSize(320, 320)

    @Slot(object)
    def _repaint(self, _colours: object) -> None:
        self.update()


def _paint_point(painter: QPainter, frame: MapFrame, colours: theme.Theme, point: PlanePoint) -> None:
    left, top = frame.to_screen(*np.clip(point.mean_2, -1e6, 1e6).tolist())
    at = QPointF(left, top)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if point.sigma_2 is not None:
        across, down = (np.clip(point.sigma_2, 0.0, 1e6) * frame.scale).tolist()
        for sigmas in (1.0, 2.0):
            for colour, width in ((colours.panel, 3.0), (colours.accent, 1.5)):
                painter.setPen(QPen(QColor(colour), width))
                painter.drawEllipse(at, sigmas * across, sigmas * down)
    painter.setPen(QPen(QColor(colours.panel), 1.5))
    painter.setBrush(QColor(colours.accent))
    painter.drawEllipse(at, _DOT, _DOT)
