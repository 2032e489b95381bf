"""The outline that a selecting tool draws on the map: a lasso or a rectangle, in map points. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Place = tuple[float, float]
Mode = Literal["replace", "add", "subtract"]


@dataclass
class Outline:
    """`mode` is what becomes of the selection: the items inside replace it, are added to it, or taken away."""

    is_rectangle: bool
    mode: Mode
    _places: list[Place] = field(default_factory=list)

    def reach(self, place: Place) -> None:
        """The mouse has come here: the rectangle's other corner, or the lasso's next point."""
        if self.is_rectangle:
            del self._places[1:]
        self._places.append(place)

    @property
    def corners(self) -> tuple[Place, ...]:
        """Of the polygon."""
        if not self.is_rectangle or len(self._places) < 2:
            return tuple(self._places)
        (left, top), (right, bottom) = self._places
        return (left, top), (right, top), (right, bottom), (left, bottom)

    @property
    def polygon_P2(self) -> np.ndarray:
        """The corners as an array."""
        return np.array(self.corners)
