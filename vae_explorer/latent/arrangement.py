"""What a person has arranged on the map: the view, the pins, the path between them, selection, groups, bookmarks.

One frozen record, so that a change is a new record and taking it back is the old one. Latent points are tuples, by
which equal arrangements are equal. Torch-free.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.path_catalogue import PathChoice
from vae_explorer.latent.view_catalogue import ViewChoice

Point = tuple[float, ...]


def as_point(z_D: NDArray[np.floating[Any]]) -> Point:
    """A latent point as a tuple of floats."""
    return tuple(np.asarray(z_D, dtype=np.float64).tolist())


@dataclass(frozen=True, slots=True)
class Pin:
    """A latent point that stays, with the letter it has on the map."""

    name: str
    z: Point

    @property
    def z_D(self) -> NDArray[np.float64]:
        """The point as an array, read-only."""
        z_D = np.array(self.z)
        z_D.setflags(write=False)
        return z_D


class ItemSet:
    """Ids of items, sorted and each once; equal where they hold the same items. Never changed."""

    __slots__ = ("ids",)

    def __init__(self, ids: Iterable[int] | NDArray[np.integer[Any]]) -> None:
        array = ids if isinstance(ids, np.ndarray) else np.fromiter(ids, dtype=np.int64)
        self.ids: NDArray[np.int64] = np.unique(array.astype(np.int64))
        self.ids.setflags(write=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ItemSet) and np.array_equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash(self.ids.tobytes())

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, int | np.integer):
            return False
        at = int(np.searchsorted(self.ids, item))
        return at < len(self.ids) and bool(self.ids[at] == item)

    def __repr__(self) -> str:
        return f"ItemSet({len(self)} items)"

    def mask(self, num_items: int) -> NDArray[np.bool_]:
        """True at the ids, (num_items,); ids beyond are left out."""
        mask_N = np.zeros(num_items, dtype=bool)
        mask_N[self.ids[(self.ids >= 0) & (self.ids < num_items)]] = True
        return mask_N


@dataclass(frozen=True, slots=True)
class Group:
    """Items under a name; `colour` is the number of a class colour."""

    name: str
    items: ItemSet
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Direction:
    """An attribute as a direction of the latent space, such as the mean code of one group minus that of another.

    A point moved by `amount` is z + amount * vector; `summary` says where the direction comes from.
    """

    name: str
    vector: Point
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the plane in sight: its middle, and logical pixels a unit."""

    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A place to come back to: view, part of the plane, pins, and what it was decoded under."""

    name: str
    view: ViewChoice | None
    frame: Frame | None
    pins: tuple[Pin, ...] = ()
    told: int = 0


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All of it. `frame` is None while the map follows the codes; `active_pin` is -1 where there is no pin.

    `amounts` are the attribute sliders: how much of each direction, by name, is added to the active pin's picture.
    `told` is what a model with a condition is told (`Snapshot.told`): the number of a class, or an item's id.
    """

    view: ViewChoice | None = None
    frame: Frame | None = None
    pins: tuple[Pin, ...] = ()
    active_pin: int = -1
    path: PathChoice = field(default_factory=PathChoice)
    selection: ItemSet | None = None
    groups: tuple[Group, ...] = ()
    directions: tuple[Direction, ...] = ()
    bookmarks: tuple[Bookmark, ...] = ()
    amounts: tuple[tuple[str, float], ...] = ()
    told: int = 0

    @property
    def active(self) -> Pin | None:
        """The pin that keys and sliders move."""
        return self.pins[self.active_pin] if 0 <= self.active_pin < len(self.pins) else None

    def with_pin(self, z_D: NDArray[np.floating[Any]]) -> Self:
        """One pin more, with the first free letter, which is then the active one."""
        pins = (*self.pins, Pin(free_name(self.pins), as_point(z_D)))
        return replace(self, pins=pins, active_pin=len(pins) - 1)

    def with_moved_pin(self, index: int, z_D: NDArray[np.floating[Any]]) -> Self:
        """Pin `index` at another place, and active; bends of the path beside it stay."""
        pins = list(self.pins)
        pins[index] = Pin(pins[index].name, as_point(z_D))
        return replace(self, pins=tuple(pins), active_pin=index)

    def without_pin(self, index: int) -> Self:
        """One pin less; the path loses its bends, which belonged to segments that are no more."""
        pins = self.pins[:index] + self.pins[index + 1 :]
        path = replace(self.path, bends=())
        return replace(self, pins=pins, active_pin=min(max(index - 1, 0), len(pins) - 1), path=path)

    def fits(self, num_dimensions: int) -> bool:
        """Whether its points and directions are of a latent space of so many dimensions."""
        points = [pin.z for pin in self.pins] + [known.vector for known in self.directions]
        points += [bend.z for bend in self.path.bends]
        points += [pin.z for bookmark in self.bookmarks for pin in bookmark.pins]
        return all(len(point) == num_dimensions for point in points)

    @property
    def latents_in_words(self) -> str:
        """How many pins, directions and bookmarks there are, such as `2 pins, 1 bookmark`; empty without any."""
        counts = {"pin": len(self.pins), "direction": len(self.directions), "bookmark": len(self.bookmarks)}
        return ", ".join(f"{num} {name}{'s' if num > 1 else ''}" for name, num in counts.items() if num)

    def without_latents(self) -> Self:
        """What remains when the latent space is another one: sets of items, but no point, plane or direction."""
        return replace(
            self, view=None, frame=None, pins=(), active_pin=-1, path=replace(self.path, bends=()), directions=(),
            bookmarks=(), amounts=(),
        )  # fmt: skip

    def without_items(self) -> Self:
        """What remains when the images are others."""
        return replace(self, selection=None, groups=())


def free_name(pins: Iterable[Pin]) -> str:
    """The first letter that no pin has: A to Z, then A2, B2 and so on."""
    taken = {pin.name for pin in pins}
    names = (letter + suffix for suffix in ("", *map(str, range(2, 1000))) for letter in string.ascii_uppercase)
    return next(name for name in names if name not in taken)


def edit_vector(arrangement: Arrangement, num_dimensions: int) -> NDArray[np.float64]:
    """What the sliders add to a latent point: the sum of amount times vector, (D,) float64.

    Directions of another latent space, and amounts of directions that are gone, add nothing.
    """
    vectors = {known.name: known.vector for known in arrangement.directions}
    moved_D = np.zeros(num_dimensions)
    for name, amount in arrangement.amounts:
        vector = vectors.get(name, ())
        if len(vector) == num_dimensions:
            moved_D += amount * np.array(vector)
    return moved_D


def edited_point(arrangement: Arrangement, z_D: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point with the attribute sliders applied: z plus the sum of amount times vector, (D,) float64."""
    edited_D: NDArray[np.float64] = np.asarray(z_D, dtype=np.float64) + edit_vector(arrangement, len(z_D))
    return edited_D
