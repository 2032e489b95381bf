"""The map's pictures laid into the plane, and around them: axes, the place and the cell under the mouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter

from vae_explorer.gui.widgets.map_frame import MapFrame, number_text, ticks
from vae_explorer.latent.map_rect import MapRect

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme

LEFT_GUTTER = 46
MARGIN = 8
BOTTOM_GUTTER = 26
_NO_BRUSH = Qt.BrushStyle.NoBrush


def plot_within(size: QSize) -> QRect:
    """Where the plot lies inside the axes, in logical pixels, for a widget of this size."""
    width, height = size.width() - LEFT_GUTTER - MARGIN, size.height() - BOTTOM_GUTTER - MARGIN
    return QRect(LEFT_GUTTER, MARGIN, max(width, 1), max(height, 1))


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPicture:
    """A picture that belongs to a part of the plane. Holds the array whose memory the image shows."""

    rect: MapRect
    image: QImage
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    is_smooth: bool = False

    @staticmethod
    def of(
        rect: MapRect, pixels: np.ndarray[Any, np.dtype[np.uint8]], *, is_opaque: bool, is_smooth: bool = False
    ) -> PlacedPicture:
        """From premultiplied pixels (height, width, 4) in the byte order blue, green, red, alpha."""
        height, width = pixels.shape[:2]
        kind = QImage.Format.Format_RGB32 if is_opaque else QImage.Format.Format_ARGB32_Premultiplied
        return PlacedPicture(rect, QImage(pixels.data, width, height, 4 * width, kind), pixels, is_smooth)

    def paint(self, painter: QPainter, frame: MapFrame, pixel_ratio: float, *, is_cropped: bool = False) -> None:
        """Lay it down where it belongs: pixel on pixel at its own scale, else stretched for the moment.

        `is_cropped` puts no more of it into the plot than the plot shows, for devices that do not clip.
        """
        left, top = frame.to_screen(self.rect.left, self.rect.top)
        width, height = self.rect.width * frame.scale, self.rect.height * frame.scale
        if (
            not is_cropped
            and abs(width * pixel_ratio - self.image.width()) < 1.0
            and abs(height * pixel_ratio - self.image.height()) < 1.0
        ):
            self.image.setDevicePixelRatio(pixel_ratio)
            place = QPointF(round(left * pixel_ratio) / pixel_ratio, round(top * pixel_ratio) / pixel_ratio)
            painter.drawImage(place, self.image)
            return
        self.image.setDevicePixelRatio(1.0)
        # Only the part in sight: stretching all of a picture far larger than the plot would take long.
        seen_left, seen_top = max(left, 0.0), max(top, 0.0)
        seen_right, seen_bottom = min(left + width, frame.width), min(top + height, frame.height)
        if seen_right <= seen_left or seen_bottom <= seen_top:
            return
        across, down = self.image.width() / width, self.image.height() / height
        source = QRectF(
            (seen_left - left) * across, (seen_top - top) * down,
            (seen_right - seen_left) * across, (seen_bottom - seen_top) * down,
        )  # fmt: skip
        if is_cropped:
            # An SVG takes an image whole, whatever part of it is asked for.
            part = source.toAlignedRect().intersected(self.image.rect())
            corner = QPointF(left + part.left() / across, top + part.top() / down)
            target = QRectF(corner, QSizeF(part.width() / across, part.height() / down))
            painter.drawImage(target, self.image.copy(part))
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.is_smooth)
        painter.drawImage(QRectF(QPointF(seen_left, seen_top), QPointF(seen_right, seen_bottom)), self.image, source)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)


def paint_axes(painter: QPainter, frame: MapFrame, theme: Theme, labels: tuple[str, str]) -> None:
    """Ticks and their values left of and below the plot; the painter's origin is the plot's corner."""
    metrics = QFontMetricsF(painter.font())
    rect = frame.rect
    painter.setPen(QColor(theme.border_strong))
    painter.drawLine(QPointF(0, frame.height), QPointF(frame.width, frame.height))
    painter.drawLine(QPointF(-1, 0), QPointF(-1, frame.height))
    values, decimals = ticks(rect.left, rect.right, frame.scale)
    name_width = metrics.horizontalAdvance(labels[0]) + 8
    for value in values:
        x, _ = frame.to_screen(value, 0.0)
        painter.setPen(QColor(theme.border_strong))
        painter.drawLine(QPointF(x, frame.height), QPointF(x, frame.height + 4))
        text = number_text(value, decimals)
        half = metrics.horizontalAdvance(text) / 2
        if x + half < frame.width - name_width and x - half > 0:
            painter.setPen(QColor(theme.muted))
            painter.drawText(QPointF(x - half, frame.height + 6 + metrics.ascent()), text)
    painter.setPen(QColor(theme.text))
    painter.drawText(QPointF(frame.width - name_width + 4, frame.height + 6 + metrics.ascent()), labels[0])
    if not labels[1]:
        return
    _paint_upper_name(painter, theme, labels[1])
    values, decimals = ticks(rect.bottom, rect.top, frame.scale)
    for value in values:
        _, y = frame.to_screen(0.0, value)
        painter.setPen(QColor(theme.border_strong))
        painter.drawLine(QPointF(-5, y), QPointF(-1, y))
        text = number_text(value, decimals)
        if metrics.height() * 1.6 < y < frame.height - metrics.ascent() / 2:
            painter.setPen(QColor(theme.muted))
            painter.drawText(QPointF(-8 - metrics.horizontalAdvance(text), y + metrics.ascent() / 2 - 1.5), text)


def _paint_upper_name(painter: QPainter, theme: Theme, name: str) -> None:
    """The name of the y axis: left of the plot where it fits there, else on a ground of its own into the plot."""
    metrics = QFontMetricsF(painter.font())
    width = metrics.horizontalAdvance(name)
    if width <= LEFT_GUTTER - 10:
        painter.drawText(QPointF(-6 - width, metrics.ascent()), name)
        return
    ground = QColor(theme.panel)
    ground.setAlpha(225)
    painter.fillRect(QRectF(0, 0, width + 12, metrics.height() + 2), ground)
    painter.drawText(QPointF(6, metrics.ascent() + 1), name)


def paint_place_on_axes(
    painter: QPainter, frame: MapFrame, theme: Theme, place: tuple[float, float], has_y: bool
) -> None:
    """The coordinates of the place under the mouse as tags on both axes."""
    metrics = QFontMetricsF(painter.font())
    left, top = frame.to_screen(*place)
    decimals = max(2, int(np.ceil(np.log10(max(frame.scale, 1.0)))))
    height = metrics.height() + 2
    boxes = [(number_text(place[0], decimals), left, frame.height + 4.0, True)]
    if has_y:
        boxes.append((number_text(place[1], decimals), -4.0, top - height / 2, False))
    for text, x, y, is_below in boxes:
        width = metrics.horizontalAdvance(text) + 8
        # Where the gutter is too narrow for all digits, the tag reaches into the plot rather than out of the window.
        edge = max(x - width, 2.0 - LEFT_GUTTER)
        box = QRectF(x - width / 2 if is_below else edge, y, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.text))
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QColor(theme.panel))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.setBrush(_NO_BRUSH)


def paint_cell(painter: QPainter, frame: MapFrame, theme: Theme, cell: MapRect) -> None:
    """The outline of the lattice cell under the mouse."""
    left, top = frame.to_screen(cell.left, cell.top)
    colour = QColor(theme.accent)
    colour.setAlpha(190)
    painter.setPen(colour)
    painter.setBrush(_NO_BRUSH)
    painter.drawRect(QRectF(round(left), round(top), round(cell.width * frame.scale), round(cell.height * frame.scale)))
