"""An axis of a drawing: from values to places, with round values to mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_AIR = 0.12
_WANTED_TICKS = 6


@dataclass(frozen=True, slots=True)
class PlotAxis:
    """Values from `low` to `high` stand at places from `start` to `end`, which may run down as the page's y does."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, air: float = _AIR) -> PlotAxis:
        """An axis that holds these values with some air (a share of their range) on both sides."""
        low, high = min(values), max(values)
        margin = air * (high - low) if high > low else 0.1 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def place(self, value: float) -> float:
        """Where the value stands."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, wanted: int = _WANTED_TICKS) -> list[float]:
        """About so many round values within the axis."""
        rough = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
