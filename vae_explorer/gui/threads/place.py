"""The place looked at: whose picture is shown large, asked for the moment it changes. GUI thread only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal, Slot

if TYPE_CHECKING:
    from vae_explorer.gui.threads.exploring import ExplorerThread
    from vae_explorer.latent.data_plane import PlanePoint
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.models.snapshot import Snapshot

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPlace:
    """A latent point and what it decodes to.

    kind: "pinned", "hover", or "origin" before anything was pointed at. picture: uint8 (H, W) or (H, W, C).
    log_prior: log p(z) in nats, None for a model without a prior. asked_at: `time.perf_counter` of the mouse
    or key event that asked, None when a new snapshot did. step: of the snapshot it was decoded with.
    is_exact: False where the point is a guess of what lies at the place that was pointed at. is_edited: z_D is the
    pin moved by the attribute sliders. name: what a hovered place is, where it is not just under the mouse.
    noise_sigma: of the white noise that a draw adds to the picture, None where it adds none. point: where in the plane
    of two-dimensional data it lies, None where the data are pictures. told: the class,
    or the item, that a model with a condition was told; None for most.
    """

    z_D: Floats
    kind: str
    picture: np.ndarray[Any, np.dtype[np.uint8]]
    log_prior: float | None
    step: int
    decode_ms: float
    asked_at: float | None
    is_exact: bool = True
    is_edited: bool = False
    name: str = ""
    noise_sigma: float | None = None
    point: PlanePoint | None = None
    told: int | None = None


class PlaceLookedAt(QObject):
    """The one place whose picture is shown: under the mouse, else the pin, else the last one under the mouse,
    else z = 0.

    GUI thread. It numbers its requests on the slot "point" and repeats the current one when a snapshot is
    adopted. Nothing is asked for while nobody watches.

    decoded(DecodedPlace): the current place has a new picture. failed(Exception): it has none, or the weights could not
    be taken over at all.
    """

    decoded = Signal(object)
    failed = Signal(object)

    def __init__(self, thread: ExplorerThread) -> None:
        super().__init__(thread)
        self._thread = thread
        self._number = 0
        self._oldest_wanted = 1
        self._watchers: set[str] = set()
        self._pin_D: Floats | None = None
        self._edit_D: Floats | None = None
        self._hover_D: Floats | None = None
        self._is_hovering = False
        self._is_hover_exact = True
        self._hover_name = ""
        self._pointed_at: tuple[Floats | None, bool] = (None, True)  # by the mouse, before a place with a name
        self._num_dimensions = 0
        self._told = 0
        self.latency_ms = 0.0
        """From the last mouse or key event on the map to its picture painted, in milliseconds."""
        thread.answered.connect(self._show, Qt.ConnectionType.QueuedConnection)
        thread.failed.connect(self._fail, Qt.ConnectionType.QueuedConnection)
        thread.adopted.connect(self._follow)

    def watch(self, watcher: str, is_watching: bool) -> None:
        """Say that a panel shows the place, or no longer does."""
        if is_watching:
            self._watchers.add(watcher)
            self.ask()
        else:
            self._watchers.discard(watcher)

    def hover(self, z_D: Floats, asked_at: float | None = None, *, is_exact: bool = True, name: str = "") -> None:
        """The mouse is over this place; `is_exact` is False where the view can only guess its latent point.

        A place with a `name`, such as a frame of a path, is shown as if it were under the mouse.
        """
        if name and not self._hover_name:
            self._pointed_at = (self._hover_D, self._is_hover_exact)
        self._hover_D, self._is_hovering, self._is_hover_exact, self._hover_name = z_D, True, is_exact, name
        self.ask(asked_at)

    def is_hovered(self, z_D: Floats) -> bool:
        """Whether the place shown is the very array that was given to `hover`, and nothing has been shown since."""
        return self._is_hovering and self._hover_D is z_D

    def leave(self) -> None:
        """The mouse has left: back to the pin, if there is one; a place with a name leaves nothing behind."""
        if not self._is_hovering:
            return
        had_name = bool(self._hover_name)
        if had_name:
            self._hover_D, self._is_hover_exact = self._pointed_at
        self._is_hovering, self._hover_name = False, ""
        if self._pin_D is not None:
            self._hover_D = None
        if had_name or self._pin_D is not None:
            self._oldest_wanted = self._number + 1
            self.ask()

    def pin(self, z_D: Floats | None, asked_at: float | None = None) -> None:
        """The pin stands here now, or nowhere. Saying the same again asks for nothing."""
        if _are_same(z_D, self._pin_D):
            return
        if z_D is None or self._pin_D is None:
            self._oldest_wanted = self._number + 1
        self._pin_D = z_D
        # Where the pin was set, not where the mouse rests, is what the person asked to see.
        if z_D is not None:
            self._forget_hover()
        self.ask(asked_at)

    def edit(self, vector_D: Floats | None) -> None:
        """The pin's picture is that of the pin plus this vector; None is the pin itself. The same asks nothing."""
        if vector_D is not None and not vector_D.any():
            vector_D = None
        if _are_same(vector_D, self._edit_D):
            return
        if vector_D is None or self._edit_D is None:
            self._oldest_wanted = self._number + 1
        self._edit_D = vector_D
        if self._pin_D is not None:
            self.ask()

    def ask(self, asked_at: float | None = None) -> None:
        """Ask for the current place's picture."""
        if not self._watchers or not self._num_dimensions:
            return
        kind, z_D = self._current()
        if z_D.size != self._num_dimensions or not np.isfinite(z_D).all():
            return
        self._number += 1
        is_exact = kind != "hover" or self._is_hover_exact
        is_edited = kind == "pinned" and self._edit_D is not None
        name = self._hover_name if kind == "hover" else ""

        def work(explorer: Explorer) -> DecodedPlace:
            from vae_explorer.latent.data_plane import plane_point

            start = time.perf_counter()
            picture = explorer.decode(z_D[None])[0]
            decode_ms = (time.perf_counter() - start) * 1e3
            log_prior = explorer.log_prior(z_D[None])
            sigma = explorer.noise_sigma(z_D[None])
            step = 0 if explorer.snapshot is None else explorer.snapshot.step
            told = explorer.snapshot.told if explorer.snapshot is not None and explorer.record.condition else None
            return DecodedPlace(
                z_D, kind, picture, None if log_prior is None else float(log_prior[0]), step, decode_ms, asked_at,
                is_exact, is_edited, name, None if sigma is None else float(sigma[0]), plane_point(explorer, z_D),
                told,
            )  # fmt: skip

        self._thread.submit("point", self._number, work)

    def painted(self, place: DecodedPlace) -> None:
        """A panel has painted this answer; called at the end of the paint event."""
        if place.asked_at is not None:
            self.latency_ms = (time.perf_counter() - place.asked_at) * 1e3

    @Slot(object)
    def _follow(self, snapshot: Snapshot) -> None:
        codes_ND = snapshot.codes_ND
        num_dimensions = 0 if codes_ND is None else int(codes_ND.shape[1])
        if num_dimensions != self._num_dimensions:
            self._num_dimensions, self._edit_D = num_dimensions, None
            self._forget_hover()
            self._oldest_wanted = self._number + 1
        if snapshot.told != self._told:
            self._told, self._oldest_wanted = snapshot.told, self._number + 1
        self.ask()

    @Slot(str, int, object, int)
    def _show(self, slot: str, number: int, result: object, stamp: int) -> None:
        del stamp
        if slot == "point" and number >= self._oldest_wanted and isinstance(result, DecodedPlace):
            self.decoded.emit(result)

    @Slot(str, int, object)
    def _fail(self, slot: str, number: int, error: Exception) -> None:
        if slot == "point" and number in (0, self._number):
            self.failed.emit(error)

    def _forget_hover(self) -> None:
        self._hover_D, self._is_hovering, self._hover_name = None, False, ""
        self._pointed_at = (None, True)

    def _current(self) -> tuple[str, Floats]:
        if self._hover_D is not None and (self._is_hovering or self._pin_D is None):
            return "hover", self._hover_D
        if self._pin_D is None:
            return "origin", np.zeros(self._num_dimensions)
        if self._edit_D is not None and self._edit_D.shape == self._pin_D.shape:
            return "pinned", self._pin_D + self._edit_D
        return "pinned", self._pin_D


def _are_same(first: Floats | None, second: Floats | None) -> bool:
    if first is None or second is None:
        return first is second
    return first is second or np.array_equal(first, second)
