"""Curves as files: the picture of a graphics scene as PNG or SVG, the numbers as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRectF, QSizeF
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QGraphicsScene

if TYPE_CHECKING:
    from vae_explorer.training.metric_history import MetricHistory


def scene_png(scene: QGraphicsScene, area: QRectF, background: str, scale: float = 2.0) -> bytes:
    """The area of the scene as a PNG with `scale` pixels a scene unit. GUI thread."""
    image = QImage((area.size() * scale).toSize(), QImage.Format.Format_RGB32)
    image.fill(QColor(background))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    scene.render(painter, QRectF(image.rect()), area)
    painter.end()
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs want bytes, the library text
    return bytes(content.data())


def scene_svg(scene: QGraphicsScene, area: QRectF, background: str, title: str) -> bytes:
    """The area of the scene as SVG. GUI thread.

    By Qt's own generator: pyqtgraph's exporter fails on Qt 6.11 and later.
    """
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setTitle(title)
    generator.setSize(area.size().toSize())
    generator.setViewBox(QRectF(area.topLeft() * 0, QSizeF(area.size())))
    painter = QPainter(generator)
    painter.fillRect(QRectF(0, 0, area.width(), area.height()), QColor(background))
    scene.render(painter, QRectF(0, 0, area.width(), area.height()), area)
    painter.end()
    return bytes(content.data())


def history_csv(history: MetricHistory, columns: Sequence[str]) -> Callable[[], bytes]:
    """A function that makes the CSV of all steps and held-out measurements; it may be called in another
    thread.

    The columns are those of a run's metrics file: step, images_seen, seconds, split, then the metrics.
    Numbers are taken now, so that steps which arrive while the text is made do not tear it.
    """
    places = ("step", "images_seen", "seconds")
    train = np.column_stack([history.train(name) for name in (*places, *columns)])
    heldout = np.column_stack([history.heldout(name) for name in (*places, *columns)])

    def content() -> bytes:
        lines = [",".join((*places, "split", *columns))]
        for split, rows in (("train", train), ("heldout", heldout)):
            for row in rows.tolist():
                step, images, seconds, *values = row
                texts = ("" if value != value else f"{value:.7g}" for value in values)
                lines.append(f"{step:.0f},{images:.0f},{seconds:.3f},{split},{','.join(texts)}")
        return ("\n".join(lines) + "\n").encode("ascii")

    return content
