"""The latent map: the codes of all images over what the decoder makes of each place, live while it trains.

A snapshot comes, the exploring thread draws codes and manifold as finished pictures, the canvas lays them
down, and only then is the next snapshot asked for. Mouse and keys become latent points by the view and go to
the place looked at, whose picture the panel of the decoded image paints.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.threads.map_drawing import draw_codes, draw_manifold
from vae_explorer.gui.widgets.map_canvas import MapCanvas
from vae_explorer.gui.widgets.map_frame import dimension_name
from vae_explorer.gui.widgets.map_ink import code_palette, manifold_ink
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.map_painting import PlacedPicture
from vae_explorer.gui.widgets.map_toolbar import MapToolbar
from vae_explorer.latent.lattice import level_for
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PlaneView, View, first_view
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.code_layer import CodePicture
    from vae_explorer.latent.manifold import ManifoldPicture
    from vae_explorer.models.snapshot import Snapshot

_LEAST_EXTENT = MapRect(-3.0, -3.0, 3.0, 3.0)


class LatentMapPanel(QWidget):
    """The panel `panel.latent_map`."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._thread = session.explorer_thread
        self._place = session.explorer_thread.place
        self._view: View | None = None
        self._is_active = False
        self._is_following = True
        self._has_fitted = False
        self._has_chosen = False
        self._extent = _LEAST_EXTENT
        self._colour_N: np.ndarray | None = None
        self._looked_at: tuple[object, ...] = ()
        self._numbers = {"codes": 0, "tiles": 0}
        self._oldest_wanted = {"codes": 1, "tiles": 1}
        self._owed: set[str] = set()
        self._drawn_tiles: tuple[object, MapRect] | None = None
        self._asked_tiles: object = None
        self.canvas = MapCanvas()
        self.canvas.set_note("Warming up…")
        self.toolbar = MapToolbar()
        self.legend = MapLegend()
        self.readout = QLabel()
        self.readout.setProperty("variant", "muted")
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
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
        layout.addLayout(foot)
        self._connect()

    def _connect(self) -> None:
        session, canvas, toolbar = self.session, self.canvas, self.toolbar
        session.snapshot_changed.connect(self._look)
        session.dataset_changed.connect(self._take_labels)
        session.pin_changed.connect(self._show_pin)
        session.preparation_noted.connect(self._show_preparation)
        session.validated.connect(self._prefer_dimensions)
        self._thread.answered.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._thread.failed.connect(self._tell_failure, Qt.ConnectionType.QueuedConnection)
        canvas.frame_changed.connect(self._frame_changed)
        canvas.taken_over.connect(self._stop_following)
        canvas.fit_requested.connect(self.fit)
        canvas.hovered.connect(self._hover)
        canvas.left.connect(self._place.leave)
        canvas.pin_placed.connect(self._pin)
        canvas.pin_cleared.connect(self._clear_pin)
        toolbar.fit_clicked.connect(self.fit)
        toolbar.manifold_changed.connect(self._manifold_switched)
        toolbar.codes_changed.connect(self._codes_switched)
        toolbar.dimensions_chosen.connect(self._choose_dimensions)
        theme.notifier().changed.connect(self._recolour)

    # --- for the window and for tests

    @property
    def view(self) -> View | None:
        """The view the map shows, None before the first snapshot."""
        return self._view

    @property
    def last_latency_ms(self) -> float:
        """From the last mouse or key event on the map to its decoded image painted, in milliseconds."""
        return self._place.latency_ms

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing and draws nothing."""
        if visible == self._is_active:
            return
        self._is_active = visible
        if visible:
            self._take_labels(self.session.dataset)
            if self.session.snapshot is not None:
                self._look(self.session.snapshot)
        else:
            for slot in self._numbers:
                self._forget(slot)

    @Slot()
    def fit(self) -> None:
        """Show all codes, and keep them in sight from now on."""
        self._is_following = True
        self.toolbar.show_following(True)
        self.canvas.glide_to(self.canvas.frame.fitted(self._extent))

    # --- snapshots, images, labels

    @Slot(object)
    def _look(self, snapshot: Snapshot) -> None:
        if not self._is_active:
            return
        codes_ND = snapshot.codes_ND
        if codes_ND is None:
            title = MODELS[snapshot.model_name].title
            self._view = None
            self.canvas.set_note(
                f"The model “{title}” has no codes in a space that a plane could show. "
                "Its samples and reconstructions are in their own panels."
            )
            self.readout.setText("")
            return
        num_dimensions = int(codes_ND.shape[1])
        if self._view is None or self._view.num_dimensions != num_dimensions:
            self._has_fitted, self._has_chosen, self._extent = False, False, _LEAST_EXTENT
            self._is_following = True
            self.toolbar.show_following(True)
            self._set_view(first_view(num_dimensions))
            self._show_pin(self.session.pin)
        looked_at = (snapshot.run_name, snapshot.model_name, snapshot.model_config)
        if looked_at != self._looked_at:
            # The codes of another network say nothing about this one, and stretched to its scale they are blots.
            self._looked_at = looked_at
            self._forget("codes")
            self.canvas.set_codes(None)
        self.canvas.shows_prior = MODELS[snapshot.model_name].has_prior
        self.canvas.set_note("")
        self._ask_codes()
        self._ask_tiles()

    def _set_view(self, view: View) -> None:
        self._view = view
        for slot in self._numbers:
            self._forget(slot)
        self._drawn_tiles = None
        self.canvas.set_codes(None)
        self.canvas.set_manifold(None)
        self.canvas.axis_labels = view.axis_labels
        names = [dimension_name(number) for number in range(view.num_dimensions)]
        i, j = (0, 0)
        if isinstance(view, PlaneView):
            i, j = view.u.index(1.0), view.v.index(1.0)
        self.toolbar.set_dimensions(names, i, j)

    @Slot(object)
    def _take_labels(self, dataset: object) -> None:
        labels_N = getattr(dataset, "labels_N", None)
        if dataset is None or labels_N is None:
            self._colour_N = None
            self.legend.set_classes(())
        else:
            labels = labels_N.cpu().numpy()
            self._colour_N = (labels % len(theme.CLASS_COLOURS)).astype(np.uint8)
            self.legend.set_classes(getattr(dataset, "class_names", ()))
        if self._view is not None and self._is_active:
            self._ask_codes()

    @Slot(str)
    def _show_preparation(self, text: str) -> None:
        if self.session.snapshot is None and text:
            self.canvas.set_note(text)

    # --- asking for pictures

    def _ask_codes(self) -> None:
        if not self._can_ask() or not self.toolbar.codes.is_shown:
            return
        from vae_explorer.latent.code_layer import CodeRequest

        assert self._view is not None
        canvas = self.canvas
        ratio = canvas.devicePixelRatioF()
        palette = code_palette(self._colour_N is not None, self.toolbar.codes.opacity)
        width, height = (max(1, round(side * ratio)) for side in (canvas.frame.width, canvas.frame.height))
        request = CodeRequest(self._view, canvas.frame.rect, width, height, self._colour_N, palette, ratio)
        self._submit("codes", partial(draw_codes, request=request))

    def _ask_tiles(self) -> None:
        if not self._can_ask() or not self.toolbar.manifold.is_shown:
            return
        # Late, because drawing the manifold imports torch; by now the exploring thread has done so.
        from vae_explorer.latent.manifold import ManifoldRequest

        assert self._view is not None
        assert self.session.snapshot is not None
        canvas = self.canvas
        level = level_for(canvas.frame.scale, canvas.cell_level)
        canvas.cell_level = level
        scale = canvas.frame.scale * canvas.devicePixelRatioF()
        ink = manifold_ink(self.session.snapshot.image_shape[0], self.toolbar.manifold.opacity)
        wanted = (self._thread.stamp, self._view, level, scale, ink.tobytes())
        drawn = self._drawn_tiles
        if drawn is not None and drawn[0] == wanted and drawn[1].contains(canvas.frame.rect):
            return
        self._asked_tiles = wanted
        # One cell more on each side than is in sight: a short pan needs nothing new.
        side = 2.0**level
        rect = canvas.frame.rect
        rect = MapRect(rect.left - side, rect.bottom - side, rect.right + side, rect.top + side)
        self._submit("tiles", partial(draw_manifold, request=ManifoldRequest(self._view, rect, level, scale, ink)))

    def _can_ask(self) -> bool:
        # While the frame is gliding pictures of where it was would come too late; it ends with
        # `frame_changed`.
        return (
            self._is_active
            and self._view is not None
            and self.session.snapshot is not None
            and not self.canvas.is_gliding
        )

    def _submit(self, slot: str, work: Work) -> None:
        self._numbers[slot] += 1
        self._owed.add(slot)
        self._thread.submit(slot, self._numbers[slot], work)

    def _forget(self, slot: str) -> None:
        self._thread.withdraw(slot)
        self._oldest_wanted[slot] = self._numbers[slot] + 1
        self._owed.discard(slot)

    # --- answers

    @Slot(str, int, object, int)
    def _receive(self, slot: str, number: int, answer: object, stamp: int) -> None:
        if slot not in self._numbers or number < self._oldest_wanted[slot] or not self._is_active:
            return
        if slot == "codes":
            self._show_codes(answer)  # type: ignore[arg-type]
        else:
            self._show_manifold(answer)  # type: ignore[arg-type]
        is_preview = getattr(answer, "is_coarse", False) or not getattr(answer, "is_whole", True)
        if not is_preview and number == self._numbers[slot] and stamp == self._thread.stamp:
            self._owed.discard(slot)
        if not self._owed:
            self.session.want_snapshot()

    def _show_codes(self, picture: CodePicture) -> None:
        self.canvas.set_codes(PlacedPicture.of(picture.rect, picture.pixels, is_opaque=False))
        text = f"showing {picture.num_shown:,} of {picture.num_codes:,} codes"
        if text != self.readout.text():
            self.readout.setText(text)
        self._extent = picture.extent
        if not self._is_following or self.canvas.is_gliding:
            return
        goal = self.canvas.frame.fitted(picture.extent)
        if not self._has_fitted:
            self._has_fitted = True
            self.canvas.set_frame(goal)
        elif not self.canvas.frame.is_near(goal):
            self.canvas.glide_to(goal)

    def _show_manifold(self, picture: ManifoldPicture) -> None:
        placed = PlacedPicture.of(picture.rect, picture.pixels, is_opaque=picture.is_whole)
        if picture.is_coarse:
            self.canvas.set_manifold(placed, is_backdrop=True)
            return
        is_other = self._drawn_tiles is not None and not picture.rect.contains(self._drawn_tiles[1])
        self.canvas.set_manifold(placed, keeps_last=is_other or not picture.is_whole)
        if picture.is_whole:
            self._drawn_tiles = (self._asked_tiles, picture.rect)

    @Slot(str, object)
    def _tell_failure(self, slot: str, error: Exception) -> None:
        if slot not in self._numbers or not self._is_active:
            return
        self._owed.discard(slot)
        self.session.post(
            "error", f"The map could not be drawn: {error}.", "Hide the layer, or choose another model.",
            near="panel.latent_map",
        )  # fmt: skip

    # --- mouse and keys

    @Slot(float, float, float)
    def _hover(self, x: float, y: float, moment: float) -> None:
        if self._view is not None:
            self._place.hover(self._view.lift(np.array([[x, y]]))[0], moment)

    @Slot(float, float, bool, float)
    def _pin(self, x: float, y: float, continues: bool, moment: float) -> None:
        if self._view is None:
            return
        z_D = self._view.lift(np.array([[x, y]]))[0]
        self._place.pin(z_D, moment)
        self.session.set_pin(z_D, continues)

    @Slot()
    def _clear_pin(self) -> None:
        self.session.set_pin(None, False)

    @Slot(object)
    def _show_pin(self, z_D: np.ndarray | None) -> None:
        self._place.pin(z_D)
        view = self._view
        if z_D is None or view is None or z_D.size != view.num_dimensions:
            self.canvas.set_pin(None)
            return
        if not view.holds(z_D) and isinstance(view, PlaneView):
            # A pin from elsewhere, by undo or from another plane: the map moves to the plane that holds it.
            self._set_view(PlaneView.of_dimensions(view.u.index(1.0), view.v.index(1.0), z_D))
            self._ask_codes()
            self._ask_tiles()
        x, y = view.project(z_D[None])[0]
        self.canvas.set_pin((float(x), float(y)))

    # --- what the person arranges

    @Slot()
    def _frame_changed(self) -> None:
        if self._is_following and self._has_fitted and not self.canvas.is_gliding:
            goal = self.canvas.frame.fitted(self._extent)
            if not self.canvas.frame.is_near(goal):
                self.canvas.set_frame(goal)
                return
        self._ask_codes()
        self._ask_tiles()

    @Slot()
    def _stop_following(self) -> None:
        self._is_following = False
        self.toolbar.show_following(False)

    @Slot(int, int)
    def _choose_dimensions(self, i: int, j: int) -> None:
        self._has_chosen = True
        self._show_dimensions(i, j)

    @Slot(object)
    def _prefer_dimensions(self, _validated: object) -> None:
        """Until the person chooses or pins, dimensions that carry little give way to those that carry most."""
        view, kl_D = self._view, self.session.kl_D
        if self._has_chosen or self.session.pin is not None or kl_D is None or not isinstance(view, PlaneView):
            return
        if len(kl_D) != view.num_dimensions or len(kl_D) < 3 or not np.isfinite(kl_D).all():
            return
        best = np.sort(np.argsort(kl_D)[-2:])
        if kl_D[[view.u.index(1.0), view.v.index(1.0)]].sum() < 0.5 * kl_D[best].sum():
            self._show_dimensions(int(best[0]), int(best[1]))

    def _show_dimensions(self, i: int, j: int) -> None:
        if isinstance(self._view, PlaneView):
            pin = self.session.pin
            self._set_view(PlaneView.of_dimensions(i, j, np.array(self._view.anchor) if pin is None else pin))
            self._show_pin(pin)
            self._ask_codes()
            self._ask_tiles()

    @Slot()
    def _manifold_switched(self) -> None:
        if self.toolbar.manifold.is_shown:
            self._ask_tiles()
            return
        self._forget("tiles")
        self._drawn_tiles = None
        self.canvas.cell_level = None
        self.canvas.set_manifold(None)

    @Slot()
    def _codes_switched(self) -> None:
        if self.toolbar.codes.is_shown:
            self._ask_codes()
            return
        self._forget("codes")
        self.readout.setText("codes are hidden")
        self.canvas.set_codes(None)

    @Slot()
    def _recolour(self) -> None:
        self._ask_codes()
        self._ask_tiles()
