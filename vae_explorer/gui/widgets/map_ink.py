"""The colours the map's pictures are drawn in, as bytes for the exploring thread."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor

from vae_explorer.gui import theme


def code_palette(has_classes: bool, opacity: float) -> np.ndarray:
    """Colours of the classes, or the accent alone: (K, 4) uint8 blue, green, red, alpha, premultiplied."""
    names = theme.CLASS_COLOURS if has_classes else (theme.current().accent,)
    table = [(colour.blue(), colour.green(), colour.red(), 255) for colour in map(QColor, names)]
    return np.round(np.array(table) * opacity).astype(np.uint8)


def manifold_ink(num_channels: int, opacity: float) -> np.ndarray:
    """Screen colours of decoded values 0..255: (3, 256) uint8, blue, green, red.

    Grey pictures are drawn as ink on the panel's ground, so that the map is light in a light window and dark in a dark
    one; colour pictures keep their colours and are thinned.
    """
    colours = theme.current()
    ground, text = QColor(colours.panel), QColor(colours.text)
    low_3 = np.array([ground.blue(), ground.green(), ground.red()], dtype=np.float64)
    high_3 = np.array([text.blue(), text.green(), text.red()]) if num_channels == 1 else np.full(3, 255.0)
    foot_3 = low_3 if num_channels == 1 else np.zeros(3)
    picture = foot_3[:, None] + (high_3 - foot_3)[:, None] * (np.arange(256) / 255.0)
    return np.round(low_3[:, None] * (1 - opacity) + picture * opacity).astype(np.uint8)
