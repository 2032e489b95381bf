"""Looks for the path between the pins, whenever what it depends on has changed and somebody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.session_words import State

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement, Point
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.path_catalogue import PathChoice
    from vae_explorer.latent.paths import PathResult
    from vae_explorer.latent.views import View

SHORTEST_INTERVAL_MS = 60
TRAINING_INTERVAL_SECONDS = 2.0
"""How often the path follows the weights while they are trained."""
_LONGEST_WAIT_SECONDS = 2.0  # for a path under way, before a pin that has moved on replaces it
PATIENCE_MS = 150
"""How long a path may lag behind its pins, and so under a drag follow them closely, before it is said to be old."""
NO_PINS = "Set two or more pins: click the map, then Shift+click."


@dataclass(frozen=True, slots=True, eq=False)
class FoundPath:
    """A path and the weights it was found with."""

    result: PathResult
    run_name: str
    model_name: str
    step: int

    def text(self) -> dict[str, str]:
        """Where the path comes from, for the files made of it."""
        kind, speed = f"path {self.result.kind}", self.result.speed
        return {"run": self.run_name, "model": self.model_name, "step": str(self.step), "kind": kind, "speed": speed}


@dataclass(frozen=True, slots=True)
class PathQuestion:
    """What a path depends on. `view` is None where the plane does not matter."""

    ends: tuple[Point, ...]
    choice: PathChoice
    stamp: int
    view: View | None

    def is_like(self, other: PathQuestion) -> bool:
        """Whether only places, weights or the plane differ, so that the answer to one still says something."""
        kinds = [replace(question.choice, bends=()) for question in (self, other)]
        sizes = [(len(question.ends), len(question.choice.bends)) for question in (self, other)]
        return kinds[0] == kinds[1] and sizes[0] == sizes[1]


class PathSearch(QObject):
    """Owns the slot "path". Nothing is asked while nobody watches. GUI thread.

    changed(): `found` is another path, or None and `note` is one sentence why. old_changed(bool): `is_old` is this now:
    whether `found` is the path of other pins or of another choice, and the one asked for is still being found.
    """

    changed = Signal()
    old_changed = Signal(bool)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._map = session.map
        self.found: FoundPath | None = None
        self.note = NO_PINS
        self.is_old = False
        self._watchers: set[str] = set()
        self._asked: PathQuestion | None = None
        self._answered: PathQuestion | None = None
        self._asked_at = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._grow_old)
        session.map.arranged.connect(self._arranged)
        session.map.view_changed.connect(self._view_changed)
        session.snapshot_changed.connect(self._snapshot_came)

    def watch(self, watcher: str, is_watching: bool) -> None:
        """Say that somebody shows the path, or no longer does."""
        if is_watching:
            self._watchers.add(watcher)
            self._want()
            return
        self._watchers.discard(watcher)
        if not self._watchers:
            self._timer.stop()
            self._withdraw()

    @Slot(object, object)
    def _arranged(self, before: Arrangement, after: Arrangement) -> None:
        if after.pins == before.pins and after.path == before.path:
            return
        if not self._watchers or len(after.pins) < 2:
            # What was found last is not the path of these pins.
            self._timer.stop()
            self._withdraw()
            self._answered = None
            self._set(None, NO_PINS)
            return
        self._want()
        self._watch_age()

    @Slot(object)
    def _view_changed(self, _view: object) -> None:
        if self._map.arrangement.path.kind == "geodesic":
            self._want(TRAINING_INTERVAL_SECONDS)

    @Slot(object)
    def _snapshot_came(self, _snapshot: object) -> None:
        self._want(self._rest_between_weights())

    def _rest_between_weights(self) -> float:
        return TRAINING_INTERVAL_SECONDS if self._session.state is State.TRAINING else 0.0

    def _want(self, rest: float = 0.0) -> None:
        """Ask soon, at least `rest` seconds after the last question; what is due sooner is not put off."""
        if not self._watchers or len(self._map.arrangement.pins) < 2:
            return
        wait = max(int(1000 * (rest - (time.monotonic() - self._asked_at))), SHORTEST_INTERVAL_MS)
        if not self._timer.isActive() or self._timer.remainingTime() > wait:
            self._timer.start(wait)

    def _question(self) -> PathQuestion:
        arrangement, snapshot = self._map.arrangement, self._session.snapshot
        view = self._map.view if arrangement.path.kind == "geodesic" else None
        ends = tuple(pin.z for pin in arrangement.pins)
        return PathQuestion(ends, arrangement.path, 0 if snapshot is None else snapshot.stamp, view)

    @Slot()
    def _ask(self) -> None:
        question = self._question()
        if self._session.snapshot is None or len(question.ends) < 2 or question == (self._asked or self._answered):
            return
        has_waited = time.monotonic() - self._asked_at >= _LONGEST_WAIT_SECONDS
        if self._asked is not None and not has_waited and self._asked.is_like(question):
            # A long search would never end under a pin that is being dragged; its answer asks for the next.
            return
        if self.found is None:
            self._set(None, "Finding the path…")
        self._asked, self._asked_at = question, time.monotonic()

        def work(explorer: Explorer) -> Iterator[FoundPath | None]:
            return _found(explorer, question)

        self._map.explore("path", work, self._take, self._fail)

    def _withdraw(self) -> None:
        self._asked = None
        self._map.withdraw("path")

    def _take(self, found: FoundPath) -> None:
        answered = self._answered = self._asked
        self._asked = None
        self._patience.stop()
        self._set(found, "")
        question = self._question()
        if answered is not None and question != answered:
            has_moved = (question.ends, question.choice) != (answered.ends, answered.choice)
            self._want(0.0 if has_moved else self._rest_between_weights())
        self._session.want_snapshot()

    def _fail(self, error: Exception) -> None:
        self._answered, self._asked = self._asked, None
        if isinstance(error, UserError):
            self._set(None, error.in_one_line)
            return
        self._set(None, "The path could not be found.")
        self._session.post(
            "error", f"The path could not be found: {error}.", "Choose another kind of path.", near="panel.path"
        )

    def _set(self, found: FoundPath | None, note: str) -> None:
        self.found, self.note = found, note
        self.changed.emit()
        self._watch_age()

    def _watch_age(self) -> None:
        question, answered = self._question(), self._answered
        is_behind = answered is not None and (question.ends, question.choice) != (answered.ends, answered.choice)
        if self.found is None or not is_behind:
            self._patience.stop()
            self._set_old(False)
        elif not self._patience.isActive():
            self._patience.start()

    @Slot()
    def _grow_old(self) -> None:
        self._set_old(True)

    def _set_old(self, is_old: bool) -> None:
        if is_old != self.is_old:
            self.is_old = is_old
            self.old_changed.emit(is_old)


def _found(explorer: Explorer, question: PathQuestion) -> Iterator[FoundPath | None]:
    from vae_explorer.latent.paths import path

    snapshot, ends_KD = explorer.snapshot, np.array(question.ends)
    if snapshot is None or explorer.num_dimensions != ends_KD.shape[1]:
        return  # the pins of another latent space, about to go
    for result in path(explorer, ends_KD, question.choice, question.view):
        if result is None:
            yield None
        else:
            yield FoundPath(result, snapshot.run_name, snapshot.model_name, snapshot.step)
