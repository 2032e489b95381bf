"""What a layer of the map hands to whoever paints it: pictures, strokes, words and a legend, in map points.

Colours are named by role and looked up in the theme by the painter, so that a drawing is right in light and in dark;
pixels are already coloured with the ink of the request. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.map_rect import MapRect

UInt8 = NDArray[np.uint8]
Role = str
"""`text`, `muted`, `accent`, `positive`, `negative`, `warning`, or `class:K` for the K-th class colour."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerInk:
    """The colours of the screen, as bytes blue, green, red, alpha for premultiplied pixels.

    `ramp_256` runs from low to high, `diverging_256` from negative over the ground to positive; both are safe for
    colour-blind eyes. `classes_K4` has one row a class and `accent_4` stands for "no classes".
    """

    ground_3: UInt8
    text_3: UInt8
    accent_4: UInt8
    classes_K4: UInt8
    ramp_256: UInt8
    diverging_256: UInt8
    is_dark: bool


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """A picture of a part of the plane: (height, width, 4) uint8, premultiplied; row 0 is its top.

    `is_smooth` says that it may be magnified smoothly, as a field of few pixels is.
    """

    rect: MapRect
    pixels: UInt8
    is_smooth: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Lines of one look: `xy_P2` are the points of all of them, and `starts` says at which point each line begins.

    `width` is in screen pixels, `opacity` from 0 to 1; `has_heads` puts an arrow head at the last point of each.
    """

    xy_P2: NDArray[np.floating[Any]]
    starts: NDArray[np.integer[Any]]
    role: Role = "text"
    width: float = 1.0
    opacity: float = 1.0
    is_dashed: bool = False
    has_heads: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A short text at a map point, painted with a halo of the ground's colour."""

    x: float
    y: float
    text: str
    role: Role = "text"
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Gauge:
    """A bar of parts that add up, from zero, such as KL = mutual information + mismatch, and a mark on its scale.

    `parts` are of a role, a value in `unit` and a name; `mark` is a value that a part cannot pass, and its name.
    """

    parts: tuple[tuple[Role, float, str], ...]
    unit: str
    mark: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Legend:
    """How to read a layer: a ramp with ticks at fractions of it, or swatches with names, and the unit.

    `ramp` is "" where there is none; `entries` are pairs of a role and a name.
    """

    title: str
    unit: str = ""
    ramp: Literal["", "sequential", "diverging"] = ""
    ticks: tuple[tuple[float, str], ...] = ()
    entries: tuple[tuple[Role, str], ...] = ()
    gauge: Gauge | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LayerDrawing:
    """One layer, finished for one view and one snapshot.

    `rect` is the part of the plane for which it is complete; `readout` is one line of numbers with units, painted
    nowhere but shown beside the layer's name. `is_whole` is False for a drawing that a better one follows.
    """

    rect: MapRect
    rasters: tuple[Raster, ...] = ()
    strokes: tuple[Strokes, ...] = ()
    words: tuple[Word, ...] = ()
    legend: Legend | None = None
    readout: str = ""
    is_whole: bool = True
    extras: dict[str, Any] = field(default_factory=dict)


def strokes_of(lines: list[NDArray[np.floating[Any]]], **look: Any) -> Strokes:
    """Strokes from a list of lines, each (P, 2)."""
    lines = [line for line in lines if len(line)]
    if not lines:
        return Strokes(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), **look)
    lengths = np.array([len(line) for line in lines])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Strokes(np.concatenate(lines), starts, **look)


def ellipse_line(
    x: float, y: float, covariance_22: NDArray[np.floating[Any]], sigmas: float = 1.0
) -> NDArray[np.float64]:
    """The curve of so many sigma around (x, y), closed by its first point, (65, 2)."""
    values, vectors = np.linalg.eigh(np.asarray(covariance_22, dtype=np.float64))
    angle = np.linspace(0.0, 2.0 * np.pi, 65)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.sqrt(np.maximum(values, 0.0)) * sigmas
    line: NDArray[np.float64] = circle @ vectors.T + np.array([x, y])
    return line
