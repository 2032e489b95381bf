"""A rectangle of the map plane, in latent units, with y pointing up. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MapRect:
    """The part of the map plane between `left` and `right` and between `bottom` and `top`."""

    left: float
    bottom: float
    right: float
    top: float

    @staticmethod
    def around(x: float, y: float, width: float, height: float) -> MapRect:
        """The rectangle of this width and height whose centre is the map point (x, y)."""
        return MapRect(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def width(self) -> float:
        """Extent along x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent along y."""
        return self.top - self.bottom

    @property
    def centre(self) -> tuple[float, float]:
        """The map point in the middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def grown(self, factor: float) -> MapRect:
        """The same centre, both sides multiplied by `factor`."""
        x, y = self.centre
        return MapRect.around(x, y, self.width * factor, self.height * factor)

    def contains(self, other: MapRect) -> bool:
        """Whether all of `other` lies inside."""
        return (
            self.left <= other.left
            and self.right >= other.right
            and self.bottom <= other.bottom
            and self.top >= other.top
        )

    def union(self, other: MapRect) -> MapRect:
        """The smallest rectangle that holds both."""
        return MapRect(
            min(self.left, other.left),
            min(self.bottom, other.bottom),
            max(self.right, other.right),
            max(self.top, other.top),
        )
