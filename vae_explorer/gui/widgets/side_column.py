"""One side of two runs: its name, its map, and which plane that is; drawn anew with each newer look at its weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.paced_timer import PacedTimer
from vae_explorer.gui.session_words import no_plane_text
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.map_ink import layer_ink
from vae_explorer.gui.widgets.side_map import SideMap
from vae_explorer.latent.views import PRIOR_RECT
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.side_by_side import Side, SideBySide
    from vae_explorer.gui.widgets.map_frame import MapFrame
    from vae_explorer.latent.drawing import LayerInk
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.latent.side_by_side import SidePicture
    from vae_explorer.models.snapshot import Snapshot

_SLOT = "beside_map"
_SHORTEST_INTERVAL = 0.1
_AIR = 4.0  # logical pixels between the outermost codes and the edge, as a code itself has a size


class SideColumn(QWidget):
    """Follows its side of the pair; the map fits all codes until the person pans or zooms.

    drawn(SidePicture): the map is of the newest weights.
    """

    drawn = Signal(object)

    def __init__(self, pair: SideBySide, side: Side) -> None:
        super().__init__()
        self._pair, self._side = pair, side
        self.title = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self.map = SideMap(side)
        self.plane = ElidedLabel(is_muted=True)
        self.is_following = True
        self._extent = PRIOR_RECT
        self._of: tuple[object, ...] = ()
        self._is_active = self._has_fitted = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.title)
        column.addWidget(self.map, 1)
        column.addWidget(self.plane)
        self._timer = PacedTimer(self, _SHORTEST_INTERVAL, self._ask)
        self.map.frame_changed.connect(self._frame_changed)
        self.map.taken_over.connect(self._take_over)
        self.map.fit_requested.connect(self.fit)
        self.map.hovered.connect(self._hover)
        self.map.left.connect(pair.leave)
        self.map.picked.connect(self._pick)
        self.map.cleared.connect(self._clear)
        theme.notifier().changed.connect(self.refresh)

    def set_active(self, is_active: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = is_active
        if is_active:
            self.refresh()
        else:
            self._timer.stop()
            self._pair.withdraw(self._side, _SLOT)

    @Slot()
    def forget(self) -> None:
        """Its side is another run now: nothing of the last one stays in sight."""
        self._of, self._has_fitted, self.is_following = (), False, True
        self.map.set_drawing("codes", None)
        self.map.show_mark(None)
        self.title.show_text(self._side)
        self.plane.show_text("")
        self.refresh()

    @Slot()
    def refresh(self, _news: object = None) -> None:
        """Ask again, at once or as soon as the interval allows."""
        if self._is_active:
            self._timer.want()

    @Slot()
    def fit(self) -> None:
        """Show all codes, and keep them in sight from now on."""
        self.is_following = True
        self.map.glide_to(self._goal())

    def _goal(self) -> MapFrame:
        """Where the map shows all codes."""
        frame = self.map.frame
        side = max(min(frame.width, frame.height), 4 * _AIR)
        return frame.fitted(self._extent.grown(side / (side - 2 * _AIR)))

    def _is_fitting(self, goal: MapFrame) -> bool:
        return self.map.frame.is_near(goal) and self.map.frame.rect.contains(self._extent)

    @Slot()
    def _ask(self) -> None:
        snapshot = self._pair.snapshot_of(self._side)
        if not self._is_active or snapshot is None:
            return
        self.title.show_text(f"{self._side} · {name_of(snapshot)} · step {snapshot.step:,}")
        if snapshot.codes_ND is None:
            self._show_note(no_plane_text(MODELS[snapshot.model_name]))
            return
        looked_at = (snapshot.run_name, snapshot.model_name, snapshot.model_config, snapshot.protocol)
        if looked_at != self._of:
            # The codes of another network say nothing about this one.
            self._of, self._has_fitted, self.is_following = looked_at, False, True
            self.map.set_drawing("codes", None)
        if self.map.is_gliding:
            return  # it ends with another frame, which asks again
        self._timer.note()
        frame, ratio = self.map.frame, self.map.devicePixelRatioF()
        width, height = (max(1, round(side * ratio)) for side in (frame.width, frame.height))
        ink = layer_ink(theme.current())
        work = partial(_draw, rect=frame.rect, width=width, height=height, pixel_ratio=ratio, ink=ink)
        self._pair.ask(self._side, _SLOT, work, self._show, self._tell_failure)

    def _show(self, picture: SidePicture) -> None:
        if not self._is_active:
            return
        self.map.set_note("")
        self.map.axis_labels = picture.axis_labels
        self.map.set_drawing("codes", picture.drawing)
        self.plane.show_text(f"{picture.plane} · {picture.drawing.readout}")
        self._extent = picture.extent
        if self.is_following and not self.map.is_gliding:
            goal = self._goal()
            if not self._has_fitted:
                self._has_fitted = True
                self.map.set_frame(goal)
            elif not self._is_fitting(goal):
                self.map.glide_to(goal)
        self.drawn.emit(picture)

    def _show_note(self, note: str) -> None:
        self._pair.withdraw(self._side, _SLOT)
        self._of = ()
        self.map.set_note(note)
        self.plane.show_text("")
        self.drawn.emit(None)

    def _tell_failure(self, error: Exception) -> None:
        self._show_note(error.in_one_line if isinstance(error, UserError) else f"The map could not be drawn: {error}.")

    @Slot()
    def _frame_changed(self) -> None:
        if self.is_following and self._has_fitted and not self.map.is_gliding:
            goal = self._goal()
            if not self._is_fitting(goal):
                self.map.set_frame(goal)
                return
        self.refresh()

    @Slot()
    def _take_over(self) -> None:
        self.is_following = False

    @Slot(float, float)
    def _hover(self, x: float, y: float) -> None:
        self._pair.hover(self._side, x, y, self.map.reach)

    @Slot(float, float)
    def _pick(self, x: float, y: float) -> None:
        self._pair.pick(self._side, x, y, self.map.reach)

    @Slot()
    def _clear(self) -> None:
        self._pair.pin(None)


def name_of(snapshot: Snapshot) -> str:
    """The name of the run that weights are of."""
    return snapshot.run_name or "untrained"


def _draw(explorer: Explorer, rect: MapRect, width: int, height: int, pixel_ratio: float, ink: LayerInk) -> SidePicture:
    from vae_explorer.latent.side_by_side import draw_side

    return draw_side(explorer, rect, width, height, pixel_ratio, ink)
