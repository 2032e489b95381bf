"""Where the map plane lies on the screen: the arithmetic of panning, zooming, fitting and ticks. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vae_explorer.latent.map_rect import MapRect

_LEAST_SCALE = 0.5
_GREATEST_SCALE = 1e6
_TICK_PIXELS = 90.0


@dataclass(frozen=True, slots=True)
class MapFrame:
    """A plot of `width` x `height` logical pixels around the map point (x, y), `scale` pixels a unit."""

    width: float = 400.0
    height: float = 400.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 50.0

    @property
    def rect(self) -> MapRect:
        """The part of the plane in sight."""
        return MapRect.around(self.x, self.y, self.width / self.scale, self.height / self.scale)

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        """Pixels from the plot's top left corner of a map point."""
        return (x - self.x) * self.scale + self.width / 2, (self.y - y) * self.scale + self.height / 2

    def to_map(self, left: float, top: float) -> tuple[float, float]:
        """The map point at a pixel."""
        return self.x + (left - self.width / 2) / self.scale, self.y - (top - self.height / 2) / self.scale

    def resized(self, width: float, height: float) -> MapFrame:
        """Another plot size around the same point at the same scale."""
        return replace(self, width=max(width, 1.0), height=max(height, 1.0))

    def panned(self, right: float, down: float) -> MapFrame:
        """The plane pushed by so many pixels."""
        return replace(self, x=self.x - right / self.scale, y=self.y + down / self.scale)

    def zoomed(self, factor: float, left: float, top: float) -> MapFrame:
        """Magnified by `factor` with the map point at this pixel staying where it is."""
        scale = min(max(self.scale * factor, _LEAST_SCALE), _GREATEST_SCALE)
        x, y = self.to_map(left, top)
        return replace(self, scale=scale, x=x - (left - self.width / 2) / scale, y=y + (top - self.height / 2) / scale)

    def centred(self, x: float, y: float) -> MapFrame:
        """The map point in the middle."""
        return replace(self, x=x, y=y)

    def fitted(self, rect: MapRect) -> MapFrame:
        """All of `rect` in sight, as large as possible, with a little air around it."""
        x, y = rect.centre
        scale = 0.94 * min(self.width / max(rect.width, 1e-6), self.height / max(rect.height, 1e-6))
        return replace(self, x=x, y=y, scale=min(max(scale, _LEAST_SCALE), _GREATEST_SCALE))

    def is_near(self, other: MapFrame) -> bool:
        """Whether going there would hardly be seen: not worth moving the ground under the person's eyes."""
        ratio = other.scale / self.scale
        shift = math.hypot((other.x - self.x) * self.scale, (other.y - self.y) * self.scale)
        return 0.93 < ratio < 1.08 and shift < 0.04 * min(self.width, self.height)

    def between(self, other: MapFrame, part: float) -> MapFrame:
        """On the way to another frame, from 0 to 1; the scale moves evenly to the eye."""
        return replace(
            self,
            x=self.x + part * (other.x - self.x),
            y=self.y + part * (other.y - self.y),
            scale=self.scale * (other.scale / self.scale) ** part,
        )


def ticks(low: float, high: float, scale: float) -> tuple[list[float], int]:
    """Round values between low and high about 90 pixels apart, and how many decimals they need."""
    raw = _TICK_PIXELS / scale
    magnitude = math.floor(math.log10(raw))
    step = next(factor * 10.0**magnitude for factor in (1, 2, 5, 10) if factor * 10.0**magnitude >= raw * 0.7)
    first, last = math.ceil(low / step), math.floor(high / step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [number * step for number in range(first, last + 1)], decimals


def number_text(value: float, decimals: int) -> str:
    """A number as written on the map, with a true minus sign and no negative zero."""
    text = f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.lstrip("-")
