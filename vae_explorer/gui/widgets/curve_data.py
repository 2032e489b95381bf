"""Numbers of a curve made ready to draw: thinned, smoothed, and with a range that shows what matters.

All functions take one-dimensional arrays over steps and know nothing of Qt. Values that are not finite, or
that are so large that a plot could not place them, are left out of every range and never reach the screen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_DRAWN = 1e30  # beyond it screen coordinates overflow
MAXIMUM_POINTS = 4000
_SMOOTHING_BINS = 480


def visible_slice(x: NDArray[np.floating], low: float, high: float) -> slice:
    """The steps whose x lies in [low, high], with one neighbour on each side so that lines reach
    the edges.
    """
    first = int(np.searchsorted(x, low, side="left"))
    last = int(np.searchsorted(x, high, side="right"))
    return slice(max(first - 1, 0), min(last + 1, len(x)))


def drawable(y: NDArray[np.floating]) -> Floats:
    """A float64 copy in which what cannot be drawn (NaN, infinite, beyond 1e30) is NaN."""
    values = y.astype(np.float64)
    with np.errstate(invalid="ignore"):
        values[~(np.abs(values) <= LARGEST_DRAWN)] = np.nan
    return values


def thinned(
    x: NDArray[np.floating], y: NDArray[np.floating], maximum_points: int = MAXIMUM_POINTS
) -> tuple[Floats, Floats]:
    """At most about `maximum_points` drawable points that keep the lowest and the highest value of every stretch.

    A stretch is drawn as a vertical from its minimum to its maximum, so no spike is lost; NaN stays only where a whole
    stretch is NaN. Works on the few points that are left rather than on all: a run has millions of steps.
    """
    width = -(-2 * len(x) // maximum_points)
    if width <= 2:
        return np.asarray(x, dtype=np.float64), drawable(y)
    starts = np.arange(0, len(x), width)
    thin_x = np.repeat(np.asarray(x[starts], dtype=np.float64), 2)
    thin_y = np.empty(2 * len(starts))
    thin_y[0::2] = np.fmin.reduceat(y, starts)
    thin_y[1::2] = np.fmax.reduceat(y, starts)
    # The last point is the newest one, so that the curve ends where training is.
    thin_x[-1] = x[-1]
    return thin_x, drawable(thin_y)


def every_nth(x: NDArray[np.floating], y: Floats, maximum_points: int) -> tuple[Floats, Floats]:
    """Evenly chosen points, the newest always among them: for measurements that carry little noise."""
    stride = max(1, -(-len(x) // max(maximum_points, 1)))
    chosen = slice((len(x) - 1) % stride if len(x) else 0, None, stride)
    return np.asarray(x[chosen], dtype=np.float64), y[chosen]


def smoothed(x: NDArray[np.floating], y: NDArray[np.floating], bins: int = _SMOOTHING_BINS) -> tuple[Floats, Floats]:
    """The local trend of a noisy curve: means of short stretches, then a straight line fitted around each.

    A running mean lags behind the curve at its right edge, and a centred one pulls towards the past there; a local
    line does neither, so the end of the smoothed curve can be read as the present value. Windows are a thirtieth of
    the curve each side.
    """
    if len(x) < 8:
        return np.asarray(x, dtype=np.float64), drawable(y)
    width = max(1, -(-len(x) // bins))
    starts = np.arange(0, len(x), width)
    sizes = np.diff(np.append(starts, len(x))).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.add.reduceat(y, starts, dtype=np.float64)
        is_clean = bool((np.abs(total) <= LARGEST_DRAWN).all())
    count = sizes
    if not is_clean:
        values = drawable(y)
        finite = np.isfinite(values)
        count = np.add.reduceat(finite, starts, dtype=np.float64)
        total = np.add.reduceat(np.where(finite, values, 0.0), starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_y = total / count
    mean_x = np.add.reduceat(x, starts, dtype=np.float64) / sizes
    return mean_x, _local_line(mean_x, mean_y, count, max(2, len(starts) // 30))


def _local_line(x: Floats, y: Floats, weight: Floats, half: int) -> Floats:
    """Value at each x of the line fitted by weighted least squares to the neighbours within `half` places."""
    n = len(x)
    padded_y = np.pad(np.where(np.isfinite(y), y, 0.0), half)
    padded_x = np.pad(x, half)
    padded_weight = np.pad(np.where(np.isfinite(y), weight, 0.0), half)
    window = np.lib.stride_tricks.sliding_window_view
    size = 2 * half + 1
    w, around_x, around_y = window(padded_weight, size), window(padded_x, size), window(padded_y, size)
    offset = around_x - x[:, None]  # measured from the point itself: the fitted value is the intercept
    total = w.sum(axis=1)
    first = (w * offset).sum(axis=1)
    second = (w * offset * offset).sum(axis=1)
    sum_y = (w * around_y).sum(axis=1)
    sum_xy = (w * offset * around_y).sum(axis=1)
    determinant = total * second - first * first
    with np.errstate(invalid="ignore", divide="ignore"):
        line = (second * sum_y - first * sum_xy) / determinant
        flat = sum_y / total
    fitted = np.where(determinant > 1e-9 * np.maximum(total * second, 1e-300), line, flat)
    assert len(fitted) == n
    return np.where(total > 0, fitted, np.nan)


def value_range(
    series: list[tuple[Floats, Floats]],
    low: float,
    high: float,
    skipped_fraction: float,
    latest: tuple[float, ...] = (),
) -> tuple[float, float] | None:
    """The y range that fills a plot with what is interesting between x = low and x = high; None without
    finite values.

    The first `skipped_fraction` of the x range is left out, since the fall of the first steps would flatten
    everything after it, and so are the rarest hundredth of spikes on either side. The `latest` values are
    always inside.
    """
    start = low + skipped_fraction * (high - low)
    kept = []
    for x, y in series:
        inside = y[(x >= start) & (x <= high) & np.isfinite(y)]
        kept.append(inside)
    values = np.concatenate(kept) if kept else np.empty(0)
    always = [value for value in latest if np.isfinite(value) and abs(value) <= LARGEST_DRAWN]
    if len(values) == 0 and not always:
        return None
    if len(values):
        bottom, top = np.percentile(values, (1.0, 99.0)) if len(values) > 50 else (values.min(), values.max())
        always += [float(bottom), float(top)]
    bottom, top = min(always), max(always)
    margin = 0.06 * (top - bottom) or 0.02 * abs(top) or 0.5
    return bottom - margin, top + margin


def shown_value(value: float) -> str:
    """A number as a read-out shows it: five significant digits at most, and words for what is not
    a number.
    """
    if np.isnan(value):
        return "not a number"
    if np.isinf(value):
        return "infinite"
    size = abs(value)
    if size != 0 and (size >= 1e6 or size < 1e-3):
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if size >= 10 else f"{value:.4g}"


def shown_count(value: float) -> str:
    """A count in few characters: 950, 12.4 k, 3.02 M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {letter}"
    return f"{value:.3g}"
