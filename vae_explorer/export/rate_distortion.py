"""The rate-distortion curve of a sweep over beta, as a table any program reads and as a drawing.

Rate is the KL and distortion the reconstruction, both in nats per image, so that -ELBO = R + D is a line of slope -1.
Alemi et al., Fixing a Broken ELBO, arXiv:1711.00464; MODELS.md 6.13.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from xml.sax.saxutils import escape

from vae_explorer.errors import FileError, UserError
from vae_explorer.export.plot_axis import PlotAxis

_WIDTH, _HEIGHT = 720, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 28, 64, 60
_INK, _MUTED, _GRID, _ACCENT = "#1f2328", "#6b7280", "#e5e7eb", "#2563eb"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint:
    """One run of the sweep, measured."""

    beta: float
    rate: float
    rate_error: float
    distortion: float
    distortion_error: float
    elbo: float  # -ELBO at beta 1: rate + distortion
    protocol: str
    bound: str
    n: int
    split: str
    seed: int
    step: int
    run: str


def to_csv(points: Sequence[RatePoint]) -> str:
    """A line a run, in the order of beta, with a header."""
    text = io.StringIO()
    table = csv.DictWriter(text, [item.name for item in fields(RatePoint)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(point) for point in sorted(points, key=lambda point: point.beta))
    return text.getvalue()


def from_csv(text: str, where: str) -> tuple[RatePoint, ...]:
    """The points of such a table; raises FileError where it is none."""
    kinds = {"float": float, "int": int, "str": str}
    try:
        return tuple(
            RatePoint(**{item.name: kinds[str(item.type)](row[item.name]) for item in fields(RatePoint)})
            for row in csv.DictReader(io.StringIO(text))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            where, f"{where} is no table of a sweep.", "Choose the rate-distortion.csv that vae-explorer sweep wrote."
        ) from error


def to_svg(points: Sequence[RatePoint], title: str) -> str:
    """The curve with each beta beside its point, and the line R + D through the best bound. Raises UserError."""
    if not points:
        raise UserError("There is nothing to draw: no run of the sweep is finished.", "Let one beta finish first.")
    ordered = sorted(points, key=lambda point: point.beta)
    x_axis = PlotAxis.around([point.rate for point in ordered], _LEFT, _WIDTH - _RIGHT)
    y_axis = PlotAxis.around([point.distortion for point in ordered], _HEIGHT - _BOTTOM, _TOP)
    first = ordered[0]
    subtitle = f"protocol {first.protocol}, {first.bound}, {first.n:,} images of the {first.split} split"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 28, title, size=17, fill=_INK),
        _text(_LEFT, 47, subtitle, fill=_MUTED),
        *_frame(x_axis, y_axis),
        *_best_line(min(ordered, key=lambda point: point.elbo), x_axis, y_axis),
    ]
    places = [(x_axis.place(point.rate), y_axis.place(point.distortion)) for point in ordered]
    if len(places) > 1:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{_ACCENT}" stroke-width="2"/>')
    for point, (x, y) in zip(ordered, places, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_ACCENT}" stroke="#ffffff" stroke-width="1.5"/>')
        parts.append(_text(x + 9, y - 8, f"β {point.beta:g}", fill=_INK))
    return "\n".join([*parts, "</svg>", ""])


def _frame(x_axis: PlotAxis, y_axis: PlotAxis) -> list[str]:
    left, right, top, bottom = x_axis.start, x_axis.end, y_axis.end, y_axis.start
    parts = []
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(x, bottom + 18, f"{tick:g}", anchor="middle", fill=_MUTED))
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(left - 8, y + 4, f"{tick:g}", anchor="end", fill=_MUTED))
    middle = (top + bottom) / 2
    parts.append(_text((left + right) / 2, bottom + 42, "rate R = KL, nats per image", anchor="middle", fill=_INK))
    parts.append(
        f'<text x="20" y="{middle}" transform="rotate(-90 20 {middle})" font-size="13" text-anchor="middle" '
        f'fill="{_INK}">'
        "distortion D = −E[log p(x|z)], nats per image</text>"
    )
    return parts


def _best_line(best: RatePoint, x_axis: PlotAxis, y_axis: PlotAxis) -> list[str]:
    """Where R + D is that of the best bound, as far as it lies inside."""
    total = best.elbo
    low, high = max(x_axis.low, total - y_axis.high), min(x_axis.high, total - y_axis.low)
    if low >= high:
        return []
    (x1, y1), (x2, y2) = ((x_axis.place(rate), y_axis.place(total - rate)) for rate in (low, high))
    words = f"R + D = {total:.2f} at β {best.beta:g}"
    return [
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_MUTED}" stroke-dasharray="5 4"/>',
        # The line falls to the right, so words that end at its middle lie below it.
        _text((x1 + x2) / 2 - 8, (y1 + y2) / 2 + 14, words, anchor="end", fill=_MUTED),
    ]


def _text(x: float, y: float, words: str, *, fill: str, size: int = 13, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'
    )
