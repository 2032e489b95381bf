"""Asks which images are nearest to the decoded picture, once the place rests, and seldom while training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.neighbour_words import StripCell, item_title, strip_cells
from vae_explorer.gui.session_words import State
from vae_explorer.latent.arrangement import ItemSet

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.place import DecodedPlace
    from vae_explorer.gui.widgets.neighbour_strip import NeighbourStrip
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.novelty import Novelty

SLOT = "neighbours"
REST_MS = 250
"""How long a place must stay the same before its picture is compared."""

REFRESH_SECONDS = 2.0
_LARGEST_SHARE = 0.02  # of the time, that comparing anew may take while the weights change


class NeighbourSearch(QObject):
    """Fills a strip for the place looked at; owned by the panel around it. Inactive, it asks for nothing."""

    def __init__(self, session: Session, strip: NeighbourStrip, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._strip = strip
        self._is_active = False
        self._place: DecodedPlace | None = None
        self._asked: DecodedPlace | None = None
        self._asked_at = 0.0
        self._work_seconds = 0.0
        self._is_open = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        strip.picture_clicked.connect(self._select)
        session.map.hovered_item_changed.connect(self._hover)
        session.dataset_changed.connect(self._start_anew)
        session.state_changed.connect(self._catch_up)

    def set_active(self, is_active: bool) -> None:
        """Whether the strip is in sight."""
        if is_active == self._is_active:
            return
        self._is_active = is_active
        if is_active:
            self._hover(self._session.map.hovered_item)
            if self._place is not None and self._place is not self._asked:
                self._strip.set_pale()
                self._timer.start(REST_MS)
            return
        self._timer.stop()
        self._is_open = False
        self._session.map.withdraw(SLOT)
        self._session.map.withdraw("original")

    def follow(self, place: DecodedPlace) -> None:
        """The place that is decoded now."""
        before, self._place = self._place, place
        if not self._is_active:
            return
        # Another place, or the same through newer weights: what is shown belongs to another picture.
        self._strip.set_pale()
        if before is None or not np.array_equal(before.z_D, place.z_D):
            self._withdraw()
            self._timer.start(REST_MS)
        elif not self._is_open and not self._timer.isActive():
            wait = max(REFRESH_SECONDS, self._work_seconds / _LARGEST_SHARE) - (time.monotonic() - self._asked_at)
            self._timer.start(max(round(wait * 1000), REST_MS) if self._session.state is State.TRAINING else REST_MS)

    @Slot(object)
    def _catch_up(self, state: State) -> None:
        """The weights rest now: there is nothing to spare."""
        if state is not State.TRAINING and self._timer.isActive():
            self._timer.start(REST_MS)

    def forget(self) -> None:
        """There is no decoded picture."""
        self._place = self._asked = None
        self._timer.stop()
        self._withdraw()
        self._strip.rest()

    # --- the nearest images

    @Slot()
    def _ask(self) -> None:
        place, dataset = self._place, self._session.dataset
        if not self._is_active or place is None or self._session.snapshot is None:
            return
        if dataset is None or dataset.image_shape != self._session.snapshot.image_shape:
            self._strip.say("The images that this model was trained on are not loaded.")
            return
        self._asked, self._asked_at, self._is_open = place, time.monotonic(), True
        self._session.map.explore(SLOT, partial(_nearest, z_D=place.z_D), self._show, self._tell)

    def _show(self, found: tuple[Novelty, float]) -> None:
        novelty, self._work_seconds = found
        self._is_open = False
        if not self._is_active:
            return
        self._strip.show_nearest(strip_cells(novelty, self._session.dataset), novelty)
        if self._place is not None and self._place is not self._asked:
            self._strip.set_pale()
            self.follow(self._place)

    def _tell(self, error: Exception) -> None:
        self._is_open = False
        if isinstance(error, UserError):
            self._strip.say(error.in_one_line)
        else:
            self._strip.say(f"It cannot be compared: {error}.")

    def _withdraw(self) -> None:
        if self._is_open:
            self._is_open = False
            self._session.map.withdraw(SLOT)

    @Slot()
    def _start_anew(self) -> None:
        self._strip.show_original(None)
        self._strip.rest()
        self._withdraw()
        self._asked = None
        if self._is_active and self._place is not None:
            self._timer.start(REST_MS)

    # --- the image under the mouse

    @Slot(object)
    def _hover(self, item: int | None) -> None:
        if not self._is_active:
            return
        if item is None:
            self._session.map.withdraw("original")
            self._strip.show_original(None)
        else:
            self._session.map.explore("original", partial(_stored, item=item), self._show_original)

    def _show_original(self, found: tuple[int, np.ndarray]) -> None:
        item, picture = found
        if self._is_active and item == self._session.map.hovered_item:
            title = item_title(self._session.dataset, item)
            self._strip.show_original(StripCell("original", item, picture, None, title))

    @Slot(int)
    def _select(self, item: int) -> None:
        self._session.map.select(ItemSet([item]), "pick an image")


def _nearest(explorer: Explorer, z_D: np.ndarray) -> Iterator[tuple[Novelty, float] | None]:
    """The answer, and the seconds of work in it: other work of this thread between its steps does not count."""
    from vae_explorer.latent.novelty import novelty

    if explorer.num_dimensions != len(z_D):
        return  # the question is older than the model
    seconds, begun = 0.0, time.thread_time()
    for found in novelty(explorer, explorer.decode_mean(z_D[None])[0]):
        seconds += time.thread_time() - begun
        yield None if found is None else (found, seconds)
        begun = time.thread_time()


def _stored(explorer: Explorer, item: int) -> tuple[int, np.ndarray]:
    from vae_explorer.latent.code_pictures import channels_last

    return item, channels_last(explorer.pictures(np.array([item])))[0]
