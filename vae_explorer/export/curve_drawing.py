"""Curves of a run as SVG for a page: a metric over images seen, with the places where a setting was changed.

Colours are classes of the page's style (`report_style`), so that a drawing is right in light, in dark and on paper.
Legend: N points, X places across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.export.plot_axis import PlotAxis

Floats = NDArray[np.floating[Any]]

_WIDTH, _HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 34
_AIR = 0.06
_START_SHARE = 0.05
"""The first steps of a training are far from all others; the axis is chosen without this share of the images."""
_FURTHEST = 1e150
"""Values beyond are drawn here: their range would not be a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One line: a name, a class of the style, and its points, of which those that are no numbers break it."""

    name: str
    style: str
    x_N: Floats
    y_N: Floats


def curves_svg(title: str, unit: str, curves: Sequence[Curve], changes: Sequence[tuple[float, str]] = ()) -> str:
    """A drawing of curves over images seen; "" where they have no finite point. `changes` are marks across them."""
    shown = [(curve, *_drawn(curve)) for curve in curves]
    shown = [(curve, x_N, y_N) for curve, x_N, y_N in shown if np.isfinite(y_N).any()]
    if not shown:
        return ""
    last = max(float(x_N[-1]) for _, x_N, _ in shown)
    x_axis = PlotAxis.around((0.0, max(last, 1.0)), _LEFT, _WIDTH - _RIGHT, air=0.0)
    settled = [value for _, x_N, y_N in shown for value in _settled(x_N, y_N, last)]
    y_axis = PlotAxis.around((min(settled), max(settled)), _HEIGHT - _BOTTOM, _TOP, _AIR)
    clip = escape(f"clip-{title}".replace(" ", "-"))
    inside = f'x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}"'
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)} over images seen">',
        f'<clipPath id="{clip}"><rect {inside}/></clipPath>',
        f'<text class="title" x="{_LEFT}" y="16">{escape(title)}</text>',
        f'<text class="muted end" x="{_WIDTH - _RIGHT}" y="16">{escape(unit)}</text>',
        *_frame(x_axis, y_axis),
        f'<g clip-path="url(#{clip})">',
        *(_mark(x_axis.place(images), words) for images, words in changes),
        *(_line(curve, x_N, y_N, x_axis, y_axis) for curve, x_N, y_N in shown),
        "</g></svg>",
    ]
    return "\n".join(parts)


def _drawn(curve: Curve) -> tuple[Floats, Floats]:
    """The points that are drawn: of each of a few hundred places across, the lowest and the highest value.

    So no spike is lost, however many rows a run has.
    """
    x_N = np.asarray(curve.x_N, dtype=np.float64)
    y_N = np.clip(np.where(np.isinf(curve.y_N), np.nan, curve.y_N), -_FURTHEST, _FURTHEST)
    known_N = np.isfinite(x_N)
    x_N, y_N = x_N[known_N], y_N[known_N]
    places = 2 * (_WIDTH - _LEFT - _RIGHT)
    if len(x_N) <= 2 * places:
        return x_N, y_N
    part_N = np.minimum((x_N - x_N[0]) / max(x_N[-1] - x_N[0], 1e-9) * places, places - 1).astype(np.int64)
    starts_X = np.flatnonzero(np.diff(part_N, prepend=-1))
    kept: set[int] = set()
    for start, end in zip(starts_X.tolist(), [*starts_X[1:].tolist(), len(x_N)], strict=True):
        known = np.flatnonzero(np.isfinite(y_N[start:end]))
        if len(known):
            values = y_N[start:end][known]
            kept |= {start + int(known[values.argmin()]), start + int(known[values.argmax()])}
        else:
            kept.add(start)  # a place without any value keeps its gap
    index = np.array(sorted(kept))
    return x_N[index], y_N[index]


def _settled(x_N: Floats, y_N: Floats, last: float) -> list[float]:
    """The extremes after the start, or of all where there is nothing after it."""
    finite_N = np.isfinite(y_N)
    later_N = finite_N & (x_N >= _START_SHARE * last)
    values = y_N[later_N if later_N.any() else finite_N]
    return [float(values.min()), float(values.max())]


def _frame(x_axis: PlotAxis, y_axis: PlotAxis) -> list[str]:
    left, right, top, bottom = x_axis.start, x_axis.end, y_axis.end, y_axis.start
    parts = []
    for tick in x_axis.ticks(4):
        x = x_axis.place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="muted middle" x="{x:.1f}" y="{bottom + 16}">{_count(tick)}</text>')
    for tick in y_axis.ticks(5):
        y = y_axis.place(tick)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text class="muted end" x="{left - 6}" y="{y + 4:.1f}">{_number(tick)}</text>')
    return parts


def _line(curve: Curve, x_N: Floats, y_N: Floats, x_axis: PlotAxis, y_axis: PlotAxis) -> str:
    pieces, is_on = [], False
    for x, y in zip(x_N.tolist(), y_N.tolist(), strict=True):
        if not np.isfinite(y):
            is_on = False
            continue
        pieces.append(f"{'L' if is_on else 'M'}{x_axis.place(x):.1f} {y_axis.place(y):.1f}")
        is_on = True
    # A path of one point is seen as the dot that its round caps make.
    return f'<path class="{curve.style}" d="{"".join(pieces)}h0"><title>{escape(curve.name)}</title></path>'


def _mark(x: float, words: str) -> str:
    place = f'x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"'
    return f'<line class="change" {place}><title>{escape(words)}</title></line>'


def _count(images: float) -> str:
    if images >= 1e6:
        return f"{images / 1e6:g}M"
    return f"{images / 1e3:g}k" if images >= 1e3 else f"{images:g}"


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
