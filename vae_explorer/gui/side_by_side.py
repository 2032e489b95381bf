"""Two runs side by side: A, which the window looks at, and B, the second run; joined by the ids of their items.

Whatever is under the mouse on one map is looked up by its id in the other run; a look is told when both runs have
answered for the same item. GUI thread only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.second_run import SecondRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.side_by_side import ItemLook
    from vae_explorer.models.snapshot import Snapshot

Side = Literal["A", "B"]
SIDES: tuple[Side, Side] = ("A", "B")

_NEAR, _ITEM = "beside_near", "beside_item"


class SideBySide(QObject):
    """What is known of both runs, and of the item that is looked at.

    `looks` are what the runs make of `item`, by side; one alone where the runs cannot be joined. `pinned` is the item
    that stays when the mouse leaves the maps.

    joined(): there is another second run, or none, or other images. looked(): another item is looked at, or the same
    with newer weights, or none. told(str): why an item cannot be looked at.
    """

    joined = Signal()
    looked = Signal()
    told = Signal(str)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.second = SecondRun(self)
        self.problem = ""
        """Why the items of both runs cannot be joined, in a sentence; empty where they can or where there is no B."""
        self.item: int | None = None
        self.pinned: int | None = None
        self.looks: dict[Side, ItemLook] = {}
        self._wanted: int | None = None
        self._coming: dict[Side, ItemLook] = {}
        self._awaited: tuple[Side, ...] = ()
        self._asked: dict[Side, int] = {}
        self._is_active = False
        session.dataset_changed.connect(self._join)
        session.snapshot_changed.connect(self._follow)
        session.map.hovered_item_changed.connect(self._follow_map)
        self.second.changed.connect(self._join)

    # --- the sides

    def snapshot_of(self, side: Side) -> Snapshot | None:
        """The weights that a side looks at, None before there are any."""
        return self._session.snapshot if side == "A" else self.second.snapshot

    def dataset_of(self, side: Side) -> ImageDataset | None:
        """The images of a side; None before they are loaded, or where they are not those of its weights."""
        if side == "B":
            return None if self.second.run is None else self.second.run.dataset
        dataset, snapshot = self._session.dataset, self._session.snapshot
        return None if snapshot is None or dataset is None or dataset.image_shape != snapshot.image_shape else dataset

    @property
    def is_joined(self) -> bool:
        """Whether there are two runs and an id names the same picture in both."""
        return self.second.run is not None and not self.problem and all(self.dataset_of(side) for side in SIDES)

    def ask(
        self,
        side: Side,
        slot: str,
        work: Work,
        on_answer: Callable[[Any], None],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """Have work done with the weights of a side; both callbacks run in the GUI thread."""
        if side == "A":
            self._session.map.explore(slot, work, on_answer, on_failure)
        else:
            self.second.ask(slot, work, on_answer, on_failure)

    def withdraw(self, side: Side, slot: str) -> None:
        """The answer is no longer wanted."""
        (self._session.map if side == "A" else self.second).withdraw(slot)

    # --- the item that is looked at

    def hover(self, side: Side, x: float, y: float, reach: float) -> None:
        """The mouse is at a place of a side's map: look at the item near it, or at the pinned one where none is."""
        work = partial(_look_near, xy=(x, y), reach=reach)
        self.ask(side, _NEAR, work, partial(self._found, side), self._fail)

    def leave(self) -> None:
        """The mouse has left the maps."""
        self._withdraw(_NEAR)
        self.show(self.pinned)

    def pick(self, side: Side, x: float, y: float, reach: float) -> None:
        """Pin the item near a place of a side's map; where none is, pin none."""
        work = partial(_look_near, xy=(x, y), reach=reach)
        self.ask(side, _NEAR, work, partial(self._picked, side), self._fail)

    def pin(self, item: int | None) -> None:
        """Look at this item from now on, or at none."""
        self.pinned = item
        self.show(item)

    def show(self, item: int | None, known: tuple[Side, ItemLook] | None = None) -> None:
        """Look at an item in both runs; `known` is a look that a side has given already."""
        awaited = SIDES if self.is_joined else (known[0] if known else "A",)
        if item is None or item != self._wanted or awaited != self._awaited:
            self._withdraw(_ITEM)
            self._wanted, self._coming, self._awaited = item, {}, awaited
        if item is None:
            self._show_nothing()
            return
        if known is not None:
            self._coming[known[0]] = known[1]
        for side in awaited:
            if side not in self._coming and self._asked.get(side) != item:
                self._look(side, item)
        self._show_if_complete()

    def set_active(self, is_active: bool) -> None:
        """Hidden, nothing is asked for."""
        self._is_active = is_active
        if is_active:
            self._join()
        else:
            self._withdraw(_NEAR)
            self._withdraw(_ITEM)

    def _withdraw(self, slot: str) -> None:
        for side in SIDES:
            self.withdraw(side, slot)
        if slot == _ITEM:
            self._asked.clear()

    def _look(self, side: Side, item: int) -> None:
        self._asked[side] = item
        self.ask(side, _ITEM, partial(_look_at, item=item), partial(self._take, side, item), self._fail)

    def _found(self, side: Side, look: ItemLook | None) -> None:
        if look is not None:
            self.show(look.item, (side, look))
        elif self.item != self.pinned:
            self.show(self.pinned)

    def _picked(self, side: Side, look: ItemLook | None) -> None:
        self.pinned = None if look is None else look.item
        self.show(self.pinned, None if look is None else (side, look))

    def _take(self, side: Side, item: int, look: ItemLook) -> None:
        if item == self._wanted:
            self._asked.pop(side, None)
            self._coming[side] = look
            self._show_if_complete()

    def _show_if_complete(self) -> None:
        if self._wanted is not None and all(side in self._coming for side in self._awaited):
            self.item, self.looks = self._wanted, dict(self._coming)
            self.looked.emit()

    def _show_nothing(self) -> None:
        self.item, self.looks = None, {}
        self.looked.emit()

    def _fail(self, error: Exception) -> None:
        self._wanted = None
        self._asked.clear()
        self._show_nothing()
        text = error.in_one_line if isinstance(error, UserError) else f"The image could not be looked at: {error}."
        self.told.emit(text)

    # --- following

    @Slot()
    def _join(self, _news: object = None) -> None:
        """Hidden it waits: images are compared when somebody looks."""
        if not self._is_active:
            return
        before, self.problem = self.problem, self._problem()
        if self.problem != before or not self.is_joined:
            self.pinned = None
        self.second.tell(0 if self._session.snapshot is None else self._session.snapshot.told)
        self._wanted = None  # what the other weights make of it is wanted anew
        self.joined.emit()
        self.show(self.pinned)

    def _problem(self) -> str:
        from vae_explorer.datasets.same_items import join_problem

        config, second = self._session.dataset_config, self.second.run
        first = self._session.dataset
        if second is None or first is None or config is None:
            return ""
        are_bits = config.data.protocol == "static", second.snapshot.protocol == "static"
        return join_problem(first, second.dataset, are_bits=are_bits)

    @Slot(object)
    def _follow(self, snapshot: Snapshot) -> None:
        """A has newer weights: the same item is looked at with them."""
        if not self._is_active:
            return
        self.second.tell(snapshot.told)
        if self._wanted is not None and "A" in self._awaited:
            self._look("A", self._wanted)

    @Slot(object)
    def _follow_map(self, item: int | None) -> None:
        """What is under the mouse on the large map is looked at here as well."""
        if self._is_active and self.second.run is not None:
            self.show(self.pinned if item is None else item)


def _look_near(explorer: Explorer, xy: tuple[float, float], reach: float) -> ItemLook | None:
    from vae_explorer.latent.side_by_side import look_near

    return look_near(explorer, xy, reach)


def _look_at(explorer: Explorer, item: int) -> ItemLook:
    from vae_explorer.latent.side_by_side import look_at

    return look_at(explorer, item)
