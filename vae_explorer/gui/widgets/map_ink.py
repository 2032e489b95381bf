"""The colours the map's layers are drawn in, as bytes for the exploring threads."""

from __future__ import annotations

import functools

import numpy as np
import pyqtgraph
from PySide6.QtGui import QColor

from vae_explorer.gui import theme
from vae_explorer.latent.drawing import LayerInk

# Cividis is read alike with and without colour vision (Nuñez, Anderton, Renslow 2018); blue and orange are the pair
# that every common kind of colour blindness tells apart.
_SEQUENTIAL = "cividis"
_NEGATIVE, _POSITIVE = "#2f6fd6", "#d9730a"


@functools.cache
def layer_ink(colours: theme.Theme, opacity: float = 1.0) -> LayerInk:
    """The ink of one look; `opacity` thins class colours and accent for layers that carry their opacity themselves."""
    classes = np.array([_bytes(colour) for colour in theme.CLASS_COLOURS])
    return LayerInk(
        ground_3=_bytes(colours.panel)[:3].astype(np.uint8),
        text_3=_bytes(colours.text)[:3].astype(np.uint8),
        accent_4=np.round(_bytes(colours.accent) * opacity).astype(np.uint8),
        classes_K4=np.round(classes * opacity).astype(np.uint8),
        ramp_256=sequential_ramp(),
        diverging_256=_between(_NEGATIVE, colours.panel, _POSITIVE),
        is_dark=colours.is_dark,
    )


@functools.cache
def sequential_ramp() -> np.ndarray:
    """256 colours from low to high, (256, 4) uint8 blue, green, red, alpha."""
    rgb = pyqtgraph.colormap.get(_SEQUENTIAL).getLookupTable(nPts=256, mode="byte")[:, :3]
    return np.concatenate([rgb[:, ::-1], np.full((256, 1), 255)], axis=1).astype(np.uint8)


def role_colour(role: str, colours: theme.Theme) -> QColor:
    """The colour of a role of `latent.drawing` in this look."""
    if role.startswith("class:"):
        return QColor(theme.class_colour(int(role[6:])))
    named = {"positive": _POSITIVE, "negative": _NEGATIVE}
    return QColor(named[role] if role in named else getattr(colours, role))


def _bytes(colour: str) -> np.ndarray:
    c = QColor(colour)
    return np.array([c.blue(), c.green(), c.red(), 255.0])


def _between(low: str, middle: str, high: str) -> np.ndarray:
    anchors = np.array([_bytes(low), _bytes(middle), _bytes(high)])
    place = np.linspace(0, 2, 256)
    bytes_256 = [np.interp(place, [0, 1, 2], anchors[:, byte]) for byte in range(4)]
    return np.stack(bytes_256, axis=1).round().astype(np.uint8)
