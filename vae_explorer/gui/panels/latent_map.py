"""The latent map: layers over the plane of the current view, live while it trains, with what a person puts on it.

A snapshot comes, the exploring threads draw the layers that are shown, the canvas lays them down, and only then is the
next snapshot asked for. Mouse and keys are turned into acts on `session.map` by `map_gestures`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.layer_asking import LayerAsking
from vae_explorer.gui.map_gestures import MapGestures
from vae_explorer.gui.session_words import no_plane_text
from vae_explorer.gui.widgets.map_canvas import MapCanvas
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.map_overlay import PinMark, Place
from vae_explorer.gui.widgets.map_painting import PlacedPicture
from vae_explorer.gui.widgets.map_toolbar import MapToolbar
from vae_explorer.gui.widgets.past_badge import PastBadge
from vae_explorer.gui.widgets.time_strip import TimeStrip
from vae_explorer.latent.arrangement import Frame
from vae_explorer.latent.layers import LAYERS
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PRIOR_RECT
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.widgets.map_frame import MapFrame
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.drawing import LayerDrawing, Legend
    from vae_explorer.latent.paths import PathResult
    from vae_explorer.latent.view_catalogue import ViewChoice
    from vae_explorer.latent.views import View
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.past import Moment

_SETTLED_MS = 350


class LatentMapPanel(QWidget):
    """The panel `panel.latent_map`.

    activity_changed(bool): it has come into sight, or gone.
    """

    activity_changed = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._map = session.map
        self._is_active = False
        self._has_fitted = False
        self._extent = PRIOR_RECT
        self._looked_at: tuple[object, ...] = ()
        self._told = 0
        self.code_style = ""
        self._shown_choice: ViewChoice | None = None
        self._drawn_manifold: MapRect | None = None
        self._path: PathResult | None = None
        self._classes: Legend | None = None
        self.canvas = MapCanvas()
        self.canvas.set_note("Warming up…")
        self.toolbar = MapToolbar(session)
        self.time_strip = TimeStrip(session)
        self.badge = PastBadge(self.canvas)
        self.legend = MapLegend(least_lines=2)
        self.readout = QLabel()
        self.readout.setProperty("variant", "muted")
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self.readout.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.asking = LayerAsking(session, self._frame_to_draw)
        self.asking.setParent(self)
        self.gestures = MapGestures(session, self.canvas)
        self.gestures.setParent(self)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLED_MS)
        foot = QHBoxLayout()
        foot.setContentsMargins(12, 2, 12, 8)
        foot.setSpacing(16)
        foot.addWidget(self.legend, 1)
        foot.addWidget(self.readout)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.toolbar)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.time_strip)
        layout.addLayout(foot)
        self._connect()

    def _connect(self) -> None:
        session, canvas = self.session, self.canvas
        session.snapshot_changed.connect(self._look)
        session.dataset_changed.connect(self._redraw)
        session.preparation_noted.connect(self._show_preparation)
        session.timeline.moved.connect(self._show_moment)
        self._map.view_changed.connect(self._show_view)
        self._map.arranged.connect(self._show_arrangement)
        self._map.layer_drawn.connect(self._show_layer)
        self._map.layer_told.connect(self._tell_layer)
        self._map.layer_faded.connect(self.canvas.set_opacity)
        self.asking.looked.connect(session.want_snapshot)
        self.asking.failed.connect(self._tell_failure)
        self._settled.timeout.connect(self._keep_frame)
        canvas.frame_changed.connect(self._frame_changed)
        canvas.taken_over.connect(self._taken_over)
        canvas.gesture_began.connect(self._keep_frame_first)
        canvas.fit_requested.connect(self.fit)
        self.gestures.hovered_place.connect(self._show_item)
        self.toolbar.fit_clicked.connect(self.fit)
        self.toolbar.tool_chosen.connect(canvas.set_tool)
        canvas.tool_changed.connect(self.toolbar.show_tool)
        theme.notifier().changed.connect(self._redraw)

    # --- for the window and for tests

    @property
    def view(self) -> View | None:
        """The view the map shows, None before the first snapshot."""
        return self._map.view

    @property
    def last_latency_ms(self) -> float:
        """From the last mouse or key event on the map to its decoded image painted, in milliseconds."""
        return self.session.explorer_thread.place.latency_ms

    @property
    def is_following(self) -> bool:
        """Whether the map keeps all codes in sight by itself."""
        return self._map.arrangement.frame is None and not self._settled.isActive()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing and draws nothing."""
        if visible == self._is_active:
            return
        self._is_active = visible
        if visible and self.session.snapshot is not None:
            self._look(self.session.snapshot)
        elif not visible:
            self.asking.forget()
        self.activity_changed.emit(visible)

    @Slot()
    def fit(self) -> None:
        """Show all codes, and keep them in sight from now on."""
        self._settled.stop()
        self._map.set_frame(None)
        self.toolbar.show_following(True)
        self.canvas.glide_to(self.canvas.frame.fitted(self._extent))

    @Slot(object)
    def show_path(self, path: PathResult | None) -> None:
        """Draw this path between the pins, or none."""
        self._path = path
        self._show_curve()

    @Slot(int)
    def show_path_frame(self, number: int) -> None:
        """Mark the frame of the path that is looked at."""
        self.canvas.set_overlay(current_stop=number)

    @Slot(bool)
    def show_path_search(self, is_old: bool) -> None:
        """Paint the path as that of other pins while the one asked for is being found."""
        self.canvas.set_overlay(is_curve_old=is_old)

    # --- snapshots and views

    @Slot(object)
    def _look(self, snapshot: Snapshot) -> None:
        if not self._is_active:
            return
        if snapshot.codes_ND is None:
            self.canvas.set_note(no_plane_text(MODELS[snapshot.model_name]))
            self.readout.setText("")
            return
        looked_at = (snapshot.run_name, snapshot.model_name, snapshot.model_config)
        if looked_at != self._looked_at:
            # The codes of another network say nothing about this one, and stretched to its scale they are blots.
            self._looked_at = looked_at
            for name in LAYERS.names():
                if name != "manifold":
                    self.canvas.set_drawing(name, None)
        if snapshot.told != self._told:
            # Another class is no newer look at the same places: nothing of the last one stays under it.
            self._told, self._drawn_manifold = snapshot.told, None
            self.canvas.set_manifold(None)
        self.canvas.set_note("")
        self.asking.look()

    @Slot(object)
    def _show_view(self, view: View | None) -> None:
        self.canvas.axis_labels = ("", "") if view is None else view.axis_labels
        choice, before = self._map.arrangement.view, self._shown_choice
        self._shown_choice = choice
        self._show_pins()
        self._show_curve()
        if view is None or choice is None or choice != before:
            self._has_fitted, self._extent = False, PRIOR_RECT if view is None else view.home
            self.asking.forget()
            self._drawn_manifold = None
            self.canvas.set_manifold(None)
            self.asking.ask_all()
        elif choice.name == "tour":
            self.asking.plane_turned()
        else:
            self.asking.plane_fitted()

    @Slot(object)
    def _show_moment(self, moment: Moment | None) -> None:
        self.badge.show_moment(moment)

    @Slot()
    def _redraw(self) -> None:
        if self._is_active:
            self.asking.ask_all()

    @Slot(str)
    def _show_preparation(self, text: str) -> None:
        if self.session.snapshot is None and text:
            self.canvas.set_note(text)

    # --- layers

    def _frame_to_draw(self) -> tuple[MapFrame, float] | None:
        # While the frame is gliding drawings of where it was would come too late; it ends with `frame_changed`.
        if not self._is_active or self.canvas.is_gliding:
            return None
        return self.canvas.frame, self.canvas.devicePixelRatioF()

    @Slot(str, object)
    def _show_layer(self, name: str, drawing: LayerDrawing | None) -> None:
        record = LAYERS[name]
        if name == "manifold":
            self._show_manifold(drawing)
            return
        opacity = 1.0 if record.bakes_opacity else self._map.layers[name].opacity
        self.canvas.set_drawing(name, drawing, opacity)
        if name == "codes":
            self._show_codes(drawing)

    def _show_codes(self, drawing: LayerDrawing | None) -> None:
        if drawing is None:
            if not self._map.layers["codes"].is_shown:
                dataset = self.session.dataset
                num_codes = 0 if dataset is None else dataset.images.num_images
                self._read_out(f"showing 0 of {num_codes:,} codes · the layer is hidden")
            self.legend.show_legend(None)
            return
        legend = _of_classes(drawing.legend)
        if legend != self._classes:
            self._classes = legend
            self.readout.setMinimumWidth(0)
        self._read_out(drawing.readout)
        self.legend.show_legend(legend)
        self.code_style = drawing.extras.get("style", "")
        extent = drawing.extras.get("extent", self._extent)
        # From one moment of the past to the next the ground stands still, unless the codes lie far out.
        room = self.session.timeline.extent
        self._extent = extent if room is None else room.union(extent)
        if not self.is_following or self.canvas.is_gliding:
            return
        goal = self.canvas.frame.fitted(self._extent)
        if not self._has_fitted:
            self._has_fitted = True
            self.canvas.set_frame(goal)
        elif not self.canvas.frame.is_near(goal):
            self.canvas.glide_to(goal)

    def _show_manifold(self, drawing: LayerDrawing | None) -> None:
        if drawing is None or not drawing.rasters:
            self._drawn_manifold = None
            self.canvas.cell_level = None
            self.canvas.set_manifold(None)
            return
        raster = drawing.rasters[0]
        placed = PlacedPicture.of(raster.rect, raster.pixels, is_opaque=drawing.extras["is_opaque"])
        if drawing.extras["is_coarse"]:
            self.canvas.set_manifold(placed, is_backdrop=True)
            return
        self.canvas.cell_level = drawing.extras["level"]
        is_other = self._drawn_manifold is not None and not raster.rect.contains(self._drawn_manifold)
        self.canvas.set_manifold(placed, keeps_last=is_other or not drawing.is_whole)
        if drawing.is_whole:
            self._drawn_manifold = raster.rect

    def _read_out(self, text: str) -> None:
        # Its width only grows: a number more must not break the legend beside it into another line.
        self.readout.setText(text)
        self.readout.setMinimumWidth(min(max(self.readout.minimumWidth(), self.readout.sizeHint().width()), 420))

    @Slot(str, str)
    def _tell_layer(self, name: str, text: str) -> None:
        if name == "codes":
            self.readout.setText(text)

    @Slot(str, object)
    def _tell_failure(self, title: str, error: Exception) -> None:
        if self._is_active:
            text = f"The layer “{title}” could not be drawn: {error}."
            self.session.post("error", text, "Hide the layer, or choose another model.", near="panel.latent_map")

    # --- what the person arranges

    @Slot()
    def _frame_changed(self) -> None:
        self.badge.place_at(self.canvas.plot.topRight())
        if self.is_following and self._has_fitted and not self.canvas.is_gliding:
            goal = self.canvas.frame.fitted(self._extent)
            if not self.canvas.frame.is_near(goal):
                self.canvas.set_frame(goal)
                return
        if self._is_active:
            self.asking.frame_changed()

    @Slot()
    def _taken_over(self) -> None:
        self.toolbar.show_following(False)
        self._settled.start()

    @Slot()
    def _keep_frame_first(self) -> None:
        """What was panned before a drag is a step of its own before it, never one in the middle of the drag."""
        if self._settled.isActive():
            self._settled.stop()
            self._keep_frame()

    @Slot()
    def _keep_frame(self) -> None:
        """Panning and zooming have come to rest: one step to undo."""
        if self.canvas.is_gliding:
            self._settled.start()
            return
        frame = self.canvas.frame
        self._map.set_frame(Frame(frame.x, frame.y, frame.scale))

    @Slot(object, object)
    def _show_arrangement(self, before: Arrangement, after: Arrangement) -> None:
        if (before.pins, before.active_pin, before.amounts) != (after.pins, after.active_pin, after.amounts):
            self._show_pins()
            self.canvas.hover_again()
            if before.active != after.active:
                self.asking.pin_changed()
        if before.selection is not after.selection:
            self.asking.selection_changed()
        if before.frame != after.frame:
            self.toolbar.show_following(after.frame is None)
            frame = self.canvas.frame
            if after.frame is not None and after.frame != Frame(frame.x, frame.y, frame.scale):
                goal = frame.centred(after.frame.x, after.frame.y)
                self.canvas.glide_to(goal.zoomed(after.frame.scale / goal.scale, goal.width / 2, goal.height / 2))
            elif after.frame is None and before.view == after.view:
                self.canvas.glide_to(frame.fitted(self._extent))

    def _show_pins(self) -> None:
        arrangement, view = self._map.arrangement, self._map.view
        marks = []
        for number, pin in enumerate(arrangement.pins):
            if view is not None and len(pin.z) == view.num_dimensions:
                x, y = view.project(pin.z_D[None])[0]
                is_active = number == arrangement.active_pin
                marks.append(PinMark(pin.name, float(x), float(y), is_active, view.holds(pin.z_D, 1e-3)))
        self.canvas.set_overlay(pins=tuple(marks))
        self.session.explorer_thread.place.pin(self._map.active_pin_z())

    def _show_curve(self) -> None:
        path, view = self._path, self._map.view
        if path is None or view is None or path.z_FD.shape[1] != view.num_dimensions:
            self.canvas.set_overlay(curve=(), stops=(), current_stop=-1)
            return
        self.canvas.set_overlay(curve=_places(view, path.curve_PD), stops=_places(view, path.z_FD))

    @Slot(object)
    def _show_item(self, place: Place | None) -> None:
        self.canvas.set_overlay(item=place)


def _of_classes(legend: Legend | None) -> Legend | None:
    """What the map says below the plot: the classes. How to read lines and ramps is said on the map or in the panel."""
    if legend is None:
        return None
    classes = tuple(entry for entry in legend.entries if entry[0].startswith("class:"))
    return replace(legend, entries=classes or legend.entries, ramp="", ticks=())


def _places(view: View, z_PD: np.ndarray) -> tuple[Place, ...]:
    return tuple((float(x), float(y)) for x, y in view.project(np.asarray(z_PD, dtype=np.float64)))
