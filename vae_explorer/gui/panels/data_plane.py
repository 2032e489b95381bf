"""The data plane: points, samples and densities of two-dimensional data, beside the map of their latents."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets.map_ink import layer_ink
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.plane_surface import PlaneSurface
from vae_explorer.latent.data_plane_parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vae_explorer.gui.session import Session
    from vae_explorer.latent.data_plane import PlaneRequest
    from vae_explorer.latent.drawing import LayerDrawing, LayerInk
    from vae_explorer.latent.explorer import Explorer

_SLOT = "data_plane"
_SHORTEST_INTERVAL = 0.4
_REST = 2.0  # times what the last drawing took, so that the map is not kept waiting
_OF_PICTURES = (
    "The items of this run are pictures. Choose a two-dimensional data set, such as two-moons, to see data and model "
    "in one plane."
)


class DataPlanePanel(QWidget):
    """The plane, its legend and what may be shown in it; it follows each snapshot and the place looked at."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        # Behind the samples it must not take height from the decoded image above them.
        self.setMinimumSize(96, 64)
        self.session = session
        self.surface = PlaneSurface()
        self.surface.show_note("Warming up…")
        self.legend = MapLegend(self)
        self.readout = QLabel()
        self.readout.setProperty("variant", "muted")
        # Its text changes while training: it must never ask for another width.
        self.readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.parts = {part: QAction(part.title, self.menu) for part in Part}
        for part, action in self.parts.items():
            action.setCheckable(True)
            action.setChecked(part.is_shown)
            action.setToolTip(part.summary)
            action.setVisible(False)
            action.toggled.connect(self.refresh)
            self.menu.addAction(action)
        self.button = QToolButton()
        self.button.setText("Show ▾")
        self.button.setAccessibleName("What the data plane shows")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setMenu(self.menu)
        self.button.setVisible(False)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.button)
        row.addWidget(self.readout, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.surface, 1)
        layout.addWidget(self.legend)
        self._is_active = False
        self._asked_at = self._took = 0.0
        self._readout = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        self._place = session.explorer_thread.place
        self._place.decoded.connect(self._show_place)
        session.explorer_thread.adopted.connect(self.refresh)
        session.dataset_changed.connect(self.refresh)
        theme.notifier().changed.connect(self.refresh)
        self.surface.plot_resized.connect(self.refresh)

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = visible
        self._place.watch(_SLOT, visible)
        if visible:
            self.refresh()
        else:
            self._timer.stop()
            self.session.map.withdraw(_SLOT)

    @Slot()
    def refresh(self, _changed: object = None) -> None:
        """Ask again, at once or as soon as the interval allows."""
        if not self._is_active or self._timer.isActive():
            return
        wait = max(_SHORTEST_INTERVAL, _REST * self._took) - (time.monotonic() - self._asked_at)
        self._timer.start(max(0, int(wait * 1000)))

    @Slot()
    def _ask(self) -> None:
        snapshot = self.session.snapshot
        if not self._is_active or snapshot is None:
            return
        if not snapshot.data_space.is_plane:
            self.session.map.withdraw(_SLOT)
            self._show_note(_OF_PICTURES)
            return
        self._asked_at = time.monotonic()
        ratio, plot = self.surface.devicePixelRatioF(), self.surface.plot
        shown = frozenset(part for part, action in self.parts.items() if action.isChecked())
        width, height = (max(round(side * ratio), 1) for side in (plot.width(), plot.height()))
        work = partial(_draw, shown=shown, width=width, height=height, ratio=ratio, ink=layer_ink(theme.current()))
        self.session.map.explore(_SLOT, work, self._show, self._tell_failure)

    def _show(self, drawing: LayerDrawing) -> None:
        if not self._is_active:
            return
        self._took = time.monotonic() - self._asked_at
        for part, action in self.parts.items():
            action.setVisible(part in drawing.extras["parts"])
        self.button.setVisible(True)
        self.surface.show_drawing(drawing)
        self.legend.show_legend(drawing.legend)
        self._readout = drawing.readout
        self._show_readout()
        self.session.want_snapshot()

    def _show_note(self, note: str) -> None:
        self.surface.show_note(note)
        self.legend.show_legend(None)
        self._readout = ""
        self._show_readout()
        self.button.setVisible(False)

    def _show_readout(self) -> None:
        self.readout.setText(
            self.readout.fontMetrics().elidedText(self._readout, Qt.TextElideMode.ElideRight, self.readout.width())
        )
        self.readout.setToolTip(self._readout)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The line of numbers is cut where the panel ends."""
        super().resizeEvent(event)
        self._show_readout()

    def _tell_failure(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._show_note(error.in_one_line)
        else:
            self.session.post("error", f"The data plane could not be drawn: {error}.", "Hide one of its parts.")

    @Slot(object)
    def _show_place(self, place: object) -> None:
        if self._is_active and isinstance(place, DecodedPlace):
            self.surface.show_point(place.point)


def _draw(
    explorer: Explorer, shown: frozenset[Part], width: int, height: int, ratio: float, ink: LayerInk
) -> Iterator[LayerDrawing | None]:
    from vae_explorer.latent.data_plane import PlaneRequest, draw_plane

    request: PlaneRequest = PlaneRequest(shown, width, height, ratio, ink)
    yield from draw_plane(explorer, request)
