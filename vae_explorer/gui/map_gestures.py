"""What mouse and keys on the map do: pins, the selection, the image under the mouse, the menu. GUI thread only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QPoint, Signal, Slot

from vae_explorer.latent.arrangement import ItemSet
from vae_explorer.latent.views import shown_by

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.widgets.map_canvas import MapCanvas
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View

ITEM_REACH = 7.0
"""How near, in screen pixels, the mouse must be to a code to mean its image."""


class MapGestures(QObject):
    """Connects a canvas to `session.map`.

    hovered_place((x, y) or None): where the code under the mouse stands. curve_bent(part, z, merge): the person drags
    the path. menu_wanted(QPoint on the screen, z): the menu is asked for at this latent point.
    """

    hovered_place = Signal(object)
    curve_bent = Signal(float, object, str)
    menu_wanted = Signal(QPoint, object)

    def __init__(self, session: Session, canvas: MapCanvas) -> None:
        super().__init__()
        self._session = session
        self._map = session.map
        self._canvas = canvas
        self._place = session.explorer_thread.place
        self._gesture = ""
        self._steps_before = 0
        canvas.gesture_began.connect(self._begin)
        canvas.double_clicked.connect(self._take_back)
        canvas.hovered.connect(self._hover)
        canvas.left.connect(self._leave)
        canvas.pin_placed.connect(self._place_pin)
        canvas.pin_added.connect(self._add_pin)
        canvas.pin_moved.connect(self._move_pin)
        canvas.pin_turned.connect(self._turn_pin)
        canvas.pin_removed.connect(self._remove_pin)
        canvas.curve_bent.connect(self._bend)
        canvas.item_picked.connect(self._pick)
        canvas.enclosed.connect(self._enclose)
        canvas.escaped.connect(self._escape)
        canvas.menu_requested.connect(self._open_menu)
        self._map.view_changed.connect(self._follow_view)
        self._map.layer_drawn.connect(self._follow_codes)

    def latent(self, x: float, y: float) -> np.ndarray | None:
        """The latent point at a map point of the current view; None where the view shows none there."""
        view = self._map.view
        if view is None:
            return None
        xy_12 = np.array([[x, y]])
        z_1D = view.lift(xy_12)
        return z_1D[0] if shown_by(view, xy_12, z_1D)[0] else None

    @Slot()
    def _begin(self) -> None:
        self._gesture = self._map.new_gesture()
        self._steps_before = self._session.undo_stack.index()

    @Slot()
    def _take_back(self) -> None:
        """A double click is no pin: what its first click set is taken back."""
        if self._session.undo_stack.index() > self._steps_before:
            self._session.undo_stack.undo()

    # --- pins

    @Slot(float, float, float)
    def _place_pin(self, x: float, y: float, moment: float) -> None:
        z_D = self.latent(x, y)
        if z_D is not None:
            # Asked for before anything is repainted, as for the hover.
            self._place.pin(z_D, moment)
            self._map.place_active_pin(z_D, self._gesture)

    @Slot(float, float, float)
    def _add_pin(self, x: float, y: float, moment: float) -> None:
        z_D = self.latent(x, y)
        if z_D is not None:
            self._place.pin(z_D, moment)
            self._map.add_pin(z_D, self._gesture)

    @Slot(int, float, float, float)
    def _move_pin(self, number: int, x: float, y: float, moment: float) -> None:
        pins = self._map.arrangement.pins
        view = self._map.view
        if view is None or number >= len(pins):
            return
        if (number != self._map.arrangement.active_pin) and self._is_at(number, x, y):
            self._map.activate_pin(number, self._gesture)
        elif not self._is_at(number, x, y):
            z_D = self.latent(x, y)
            if z_D is not None:
                self._place.pin(z_D, moment)
                self._map.move_pin(number, z_D, self._gesture)

    def _is_at(self, number: int, x: float, y: float) -> bool:
        mark = self._canvas.overlay.pins[number]
        return (mark.x, mark.y) == (x, y)

    @Slot(int)
    def _turn_pin(self, step: int) -> None:
        arrangement = self._map.arrangement
        if len(arrangement.pins) > 1:
            self._map.activate_pin((arrangement.active_pin + step) % len(arrangement.pins))

    @Slot()
    def _remove_pin(self) -> None:
        if self._map.arrangement.active is not None:
            self._map.remove_pin(self._map.arrangement.active_pin)

    @Slot(float, float, float)
    def _bend(self, part: float, x: float, y: float) -> None:
        z_D = self.latent(x, y)
        if z_D is not None:
            self.curve_bent.emit(part, z_D, self._gesture)

    @Slot()
    def _escape(self) -> None:
        if self._map.arrangement.pins:
            self._map.clear_pins()
        elif self._map.arrangement.selection is not None:
            self._map.select(None, "clear the selection")

    # --- the image under the mouse

    @Slot(float, float, float)
    def _hover(self, x: float, y: float, moment: float) -> None:
        view = self._map.view
        z_D = self.latent(x, y)
        if view is None or z_D is None:
            self._leave()
            return
        self._place.hover(z_D, moment)
        self._look_for_item(view, (x, y))

    def _look_for_item(self, view: View, xy: tuple[float, float]) -> None:
        if self._map.layers["codes"].is_shown or self._map.layers["posterior"].is_shown:
            reach = ITEM_REACH / self._canvas.frame.scale
            self._map.explore("hovered", partial(_item_near, view=view, xy=xy, reach=reach), self._show_item)

    def _show_item(self, found: _Near) -> None:
        item, place = found
        self._map.hover_item(item)
        self.hovered_place.emit(place)

    @Slot(object)
    def _follow_view(self, view: View | None) -> None:
        """What was found in another plane stands elsewhere in this one."""
        self._map.withdraw("hovered")
        self.hovered_place.emit(None)
        xy = self._canvas.hovered_place
        if view is not None and xy is not None:
            self._look_for_item(view, xy)

    @Slot(str, object)
    def _follow_codes(self, name: str, _drawing: object) -> None:
        """Under a resting mouse the codes move on while training."""
        view, xy = self._map.view, self._canvas.hovered_place
        if name == "codes" and view is not None and xy is not None:
            self._look_for_item(view, xy)

    @Slot()
    def _leave(self) -> None:
        self._place.leave()
        self._map.withdraw("hovered")
        self._map.hover_item(None)
        self.hovered_place.emit(None)

    # --- selecting

    @Slot(float, float)
    def _pick(self, x: float, y: float) -> None:
        view = self._map.view
        if view is None:
            return
        reach = ITEM_REACH / self._canvas.frame.scale
        self._map.explore("selection", partial(_item_near, view=view, xy=(x, y), reach=reach), self._toggle)

    def _toggle(self, found: _Near) -> None:
        item, _ = found
        if item is None:
            return
        before = self._map.arrangement.selection
        chosen = set() if before is None else set(before.ids.tolist())
        chosen ^= {item}
        self._map.select(ItemSet(chosen), "pick an image")

    @Slot(object, str)
    def _enclose(self, polygon_P2: np.ndarray, mode: str) -> None:
        view = self._map.view
        if view is not None:
            self._map.explore(
                "selection", partial(_items_inside, view=view, polygon_P2=polygon_P2), partial(self._select, mode)
            )

    def _select(self, mode: str, ids_N: np.ndarray) -> None:
        before = self._map.arrangement.selection
        known_N = np.zeros(0, dtype=np.int64) if before is None else before.ids
        if mode == "add":
            ids_N = np.union1d(known_N, ids_N)
        elif mode == "subtract":
            ids_N = np.setdiff1d(known_N, ids_N)
        self._map.select(ItemSet(ids_N), "select")
        if not len(ids_N):
            self._session.post("info", "There is no code inside.", "Draw around some points of the map.")

    @Slot(QPoint, float, float)
    def _open_menu(self, at: QPoint, x: float, y: float) -> None:
        z_D = self.latent(x, y)
        if z_D is not None:
            self.menu_wanted.emit(at, z_D)


_Near = tuple[int | None, tuple[float, float] | None]


def _item_near(explorer: Explorer, view: View, xy: tuple[float, float], reach: float) -> _Near:
    from vae_explorer.latent.picking import item_near

    found = item_near(explorer, view, xy, reach)
    placed = explorer.code_layer.placed(explorer, view)
    if found is None or placed is None:
        return None, None
    x, y = placed.xy_N2[int(np.flatnonzero(placed.order_N == found[0])[0])]
    return found[0], (float(x), float(y))


def _items_inside(explorer: Explorer, view: View, polygon_P2: np.ndarray) -> Iterator[np.ndarray | None]:
    from vae_explorer.latent.picking import items_in_polygon

    yield from items_in_polygon(explorer, view, polygon_P2)
