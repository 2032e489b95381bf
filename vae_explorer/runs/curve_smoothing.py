"""Curves made ready to be compared: an outline that keeps every spike, and a trend that does not know the future."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.runs.metric_curves import Curve

if TYPE_CHECKING:
    from vae_explorer.runs.metric_rows import Floats


def coarser(curve: Curve, most_stretches: int) -> Curve:
    """The same curve over fewer, longer stretches, with the extremes of each; for many curves in one plot."""
    width = -(-len(curve) // max(1, most_stretches))
    if width <= 1:
        return curve
    starts_S = np.arange(0, len(curve), width)
    last_S = np.minimum(starts_S + width, len(curve)) - 1
    count_S = np.add.reduceat(curve.count_S, starts_S)
    with np.errstate(over="ignore", invalid="ignore"):
        total_S = np.add.reduceat(np.where(curve.count_S > 0, curve.mean_S * curve.count_S, 0.0), starts_S)
        mean_S = total_S / np.where(count_S > 0, count_S, np.nan)
    return Curve(
        curve.x_S[last_S], np.fmin.reduceat(curve.low_S, starts_S), np.fmax.reduceat(curve.high_S, starts_S),
        mean_S, count_S,
    )  # fmt: skip


def outline(curve: Curve) -> tuple[Floats, Floats]:
    """x and y (P,) of the line through the lowest and the highest value of every stretch; one point where they agree.

    Stretches without a value are gaps: nan.
    """
    is_single_S = (curve.low_S == curve.high_S) | (curve.count_S == 0)
    x_P, y_P = np.repeat(curve.x_S, 2), np.column_stack((curve.low_S, curve.high_S)).ravel()
    kept_P = np.ones(len(x_P), dtype=np.bool_)
    kept_P[1::2] = ~is_single_S
    return x_P[kept_P], y_P[kept_P]


def exponential_mean(curve: Curve, half_life: float) -> Floats:
    """The mean of all rows up to each stretch, (S,), in which a row counts half as much every `half_life` of x.

    Weights are of what was seen so far and sum to one, which corrects the bias of the first values (Kingma & Ba,
    arXiv:1412.6980, 3). Nothing looks ahead: the right end stands on the same rule as the middle, and what is drawn
    does not change when the run goes on. Stretches without a value keep the mean before; nan before the first.
    """
    assert half_life > 0
    num = len(curve)
    if not num:
        return np.empty(0)
    is_counted_S = (curve.count_S > 0) & np.isfinite(curve.mean_S)
    weight_S = np.where(is_counted_S, curve.count_S, 0.0)
    total_S = np.where(is_counted_S, curve.mean_S, 0.0) * weight_S
    # A run that was continued from a checkpoint may step back; that makes nothing younger.
    gap_S = np.maximum(np.diff(curve.x_S, prepend=curve.x_S[:1]), 0.0)
    keep_S = np.exp2(-gap_S / half_life)
    keep_S[0] = 0.0
    # Each place takes in all before it by doubling: 1, 2, 4 ... neighbours at a time.
    reach = 1
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        while reach < num:
            total_S[reach:] += keep_S[reach:] * total_S[:-reach].copy()
            weight_S[reach:] += keep_S[reach:] * weight_S[:-reach].copy()
            keep_S[reach:] *= keep_S[:-reach].copy()
            reach *= 2
        return total_S / np.where(weight_S > 0, weight_S, np.nan)
