"""UMAP or t-SNE as an overview: for finding items, never for planes; three picks open the exact plane through them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.threads.laying_out import FoundOverview, HowFar, OverviewJob
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.gui.widgets.map_ink import layer_ink
from vae_explorer.gui.widgets.view_fields import wrapped_label
from vae_explorer.gui.widgets.view_scatter import OverviewScatter
from vae_explorer.latent.arrangement import as_point
from vae_explorer.latent.overview import OVERVIEWS, OverviewView

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

_MODES = (("the nearest code", "nearest"), ("the mean of the 5 nearest", "mean"))
_PROGRESS_STEPS = 1000
_INSTALL = 'pip install "vae-explorer[umap]"'


class OverviewSection(QWidget):
    """Method, Run, progress and Cancel; then the overview itself with what hovering decodes."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.job: OverviewJob | None = None
        self.found: FoundOverview | None = None
        self.picks: tuple[int, ...] = ()
        self._view: OverviewView | None = None
        self._view_stamp = -1
        self._num_dimensions = 0
        self.method = ChoiceField("Method of the overview")
        self.method.setObjectName("view.overview_method")
        self.method.offer(
            [(record.title, record.name) for record in OVERVIEWS], OVERVIEWS.names()[0],
            [record.summary for record in OVERVIEWS],
        )  # fmt: skip
        self.method.currentIndexChanged.connect(self._show_method)
        self.run_button = QPushButton("Run")
        self.run_button.setObjectName("view.run_overview")
        self.run_button.clicked.connect(self._run_or_cancel)
        self.about = wrapped_label("muted")
        self.bar = QProgressBar()
        self.bar.setRange(0, _PROGRESS_STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress of the overview")
        self.progress = wrapped_label("muted")
        self.progress.setObjectName("view.overview_progress")
        self.decodes = ChoiceField("What hovering over the overview decodes")
        self.decodes.setObjectName("view.overview_decodes")
        self.decodes.offer(_MODES, "nearest")
        self.decodes.setToolTip(
            "Neither method has a formula back to the latent space. The nearest code is exact for that item;\n"
            "the mean of five latents is a guess. Its round-trip error says how far from the mouse the overview\n"
            "would put that mean, in units of the overview."
        )
        self._decodes_label = QLabel("Hovering decodes")
        self._decodes_label.setBuddy(self.decodes)
        self.scatter = OverviewScatter()
        self.note = wrapped_label("muted")
        self.note.setObjectName("view.overview_note")
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self.method, 0, 0)
        grid.addWidget(self.run_button, 0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addLayout(grid)
        for widget in (
            self.about, self.bar, self.progress, self._decodes_label, self.decodes, self.scatter, self.note,
        ):  # fmt: skip
            column.addWidget(widget)
        self.scatter.hovered.connect(self._hover)
        self.scatter.left.connect(self._leave)
        self.scatter.picked.connect(self._pick)
        self.scatter.cleared.connect(self._clear_picks)
        self.scatter.resized.connect(self._show_marks)
        session.map.arranged.connect(self._follow_space)
        session.dataset_changed.connect(self._forget)
        theme.notifier().changed.connect(self._recolour)
        self._show_state()

    @property
    def is_offered(self) -> bool:
        """Whether the latent space has more dimensions than the map."""
        return self.session.map.num_dimensions > 2

    # --- running

    @Slot()
    def _run_or_cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()
            self._end_job()
            self.progress.setText("Cancelled.")
            self.progress.show()
            return
        snapshot = self.session.snapshot
        if snapshot is None or snapshot.codes_ND is None:
            self.session.post("info", "There are no codes to lay out yet.", "Wait until the model has been prepared.")
            return
        self._num_dimensions = self.session.map.num_dimensions
        self.job = OverviewJob(self, snapshot, self.method.currentData())
        self.job.progressed.connect(self._show_progress)
        self.job.found.connect(self._take)
        self.job.failed.connect(self._fail)
        self._show_progress(HowFar("Starting", 0.0, None))
        self._show_state()

    def _end_job(self) -> None:
        job, self.job = self.job, None
        if job is not None:
            job.deleteLater()
        self._show_state()

    @Slot(object)
    def _show_progress(self, far: HowFar) -> None:
        self.bar.setValue(round(far.fraction * _PROGRESS_STEPS))
        left = "" if far.seconds_left is None else f", about {_duration(far.seconds_left)} left"
        self.progress.setText(f"{far.stage}: {100 * far.fraction:.0f} %{left}")

    @Slot(object)
    def _fail(self, error: UserError) -> None:
        self._end_job()
        self.session.post_error(error, near="panel.view")

    @Slot(object)
    def _take(self, found: FoundOverview) -> None:
        self._end_job()
        if found.view.num_dimensions != self.session.map.num_dimensions:
            return
        self.found, self._view, self._view_stamp, self.picks = found, None, -1, ()
        self._show_items()
        self._show_state()

    @Slot(object)
    def _forget(self, _dataset: object = None) -> None:
        """Other images or another latent space: what was laid out is about neither."""
        if self.job is not None:
            self.job.cancel()
            self._end_job()
        self.found, self._view, self.picks = None, None, ()
        self._show_state()

    @Slot(object, object)
    def _follow_space(self, _before: object, _after: object) -> None:
        num_dimensions = self.session.map.num_dimensions
        if num_dimensions != self._num_dimensions and (self.found is not None or self.job is not None):
            self._forget()

    # --- showing

    @Slot()
    def _show_method(self) -> None:
        self._show_state()

    def _show_state(self) -> None:
        is_running, found = self.job is not None, self.found
        record = OVERVIEWS[self.method.currentData()]
        is_there = find_spec(record.module) is not None
        self.run_button.setText("Cancel" if is_running else "Run")
        self.run_button.setToolTip(
            "Stop it and keep what is shown"
            if is_running
            else f"Lay the codes out by {record.title} in a process of its own"
        )
        self.run_button.setEnabled(is_running or is_there)
        self.method.setEnabled(not is_running)
        self.about.setText(
            f"{record.summary} It has no formula back to the latent space, so it is for finding items only."
            if is_there
            else f"{record.title} is not installed. Install it with: {_INSTALL}"
        )
        self.about.setTextInteractionFlags(
            Qt.TextInteractionFlag.NoTextInteraction if is_there else Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.about.setVisible(not is_running and (found is None or not is_there))
        self.bar.setVisible(is_running)
        self.progress.setVisible(is_running)
        for widget in (self._decodes_label, self.decodes, self.scatter, self.note):
            widget.setVisible(found is not None)
        if found is not None:
            self._show_note(found)

    def _show_note(self, found: FoundOverview) -> None:
        view = found.view
        num_shown = len(view.item_ids_P) - self.scatter.num_outside
        parts = [f"{view.title} of step {found.step:,}, showing {num_shown:,} of {view.num_items:,} codes."]
        if self.scatter.num_outside:
            lie = "lies" if self.scatter.num_outside == 1 else "lie"
            parts.append(f"{self.scatter.num_outside:,} {lie} far outside.")
        if found.num_left_out:
            are = "code is not finite and is" if found.num_left_out == 1 else "codes are not finite and are"
            parts.append(f"{found.num_left_out:,} {are} left out.")
        wanted = {0: "Click three items", 1: "Click two more items", 2: "Click one more item"}
        parts.append(f"{wanted.get(len(self.picks), 'Click three items')} to open the exact plane through them.")
        self.note.setText(" ".join(parts))

    def _show_items(self) -> None:
        if self.found is None:
            return
        view, dataset = self.found.view, self.session.dataset
        labels_N = None if dataset is None else dataset.labels_N
        has_labels = labels_N is not None
        if labels_N is not None:
            labels_P = labels_N.cpu().numpy()[view.item_ids_P]
            colour_P = (labels_P % len(theme.CLASS_COLOURS)).astype(np.uint8)
        else:
            colour_P = np.zeros(len(view.item_ids_P), dtype=np.uint8)
        ink = layer_ink(theme.current())
        self.scatter.show_items(view.xy_P2, colour_P, ink.classes_K4 if has_labels else ink.accent_4[None])
        self._show_marks()

    @Slot()
    def _show_marks(self) -> None:
        if self.found is not None:
            view = self.found.view
            rows = np.searchsorted(view.item_ids_P, np.array(self.picks, dtype=np.int64))
            self.scatter.show_marks(tuple((float(x), float(y)) for x, y in view.xy_P2[rows]))
            self._show_note(self.found)

    @Slot(object)
    def _recolour(self, _theme: object) -> None:
        self._show_items()

    # --- hovering and picking

    def current_view(self) -> OverviewView | None:
        """The layout with the items' codes of the newest snapshot."""
        snapshot = self.session.snapshot
        if self.found is None or snapshot is None or snapshot.codes_ND is None:
            return None
        if self._view is None or snapshot.stamp != self._view_stamp:
            codes_ND = snapshot.codes_ND.detach().cpu().numpy()
            if codes_ND.shape != (self.found.view.num_items, self.found.view.num_dimensions):
                return None
            self._view, self._view_stamp = self.found.view.renewed(codes_ND), snapshot.stamp
        return self._view if len(self._view.item_ids_P) else None

    @Slot(float, float, float)
    def _hover(self, x: float, y: float, moment: float) -> None:
        view = self.current_view()
        if view is None:
            return
        is_far = bool(view.is_far(np.array([[x, y]]))[0])
        far = ", far from every code" if is_far else ""
        if self.decodes.currentData() == "nearest":
            item = view.nearest_item((x, y))
            row = int(np.searchsorted(view.item_ids_P, item))
            ring = float(view.xy_P2[row, 0]), float(view.xy_P2[row, 1])
            self.scatter.show_hover(ring, f"item {item:,}{far}", is_far)
            self.session.explorer_thread.place.hover(view.latents_PD[row], moment)
            self.session.map.hover_item(item)
        else:
            error = float(view.round_trip(np.array([[x, y]]))[0])
            self.scatter.show_hover(None, f"approximate{far or f', round-trip error {error:.2g}'}", is_far)
            self.session.explorer_thread.place.hover(view.lift(np.array([[x, y]]))[0], moment, is_exact=False)
            self.session.map.hover_item(None)

    @Slot()
    def _leave(self) -> None:
        self.scatter.show_hover(None, "", False)
        if self.found is not None:
            self.session.explorer_thread.place.leave()
            self.session.map.hover_item(None)

    @Slot(float, float)
    def _pick(self, x: float, y: float) -> None:
        view = self.current_view()
        if view is None:
            return
        item = view.nearest_item((x, y))
        if len(self.picks) == 3:
            self.picks = ()
        self.picks = tuple(known for known in self.picks if known != item) + ((item,) if item not in self.picks else ())
        self._show_marks()
        choice = self.session.map.arrangement.view
        if len(self.picks) < 3 or choice is None:
            return
        rows = np.searchsorted(view.item_ids_P, np.array(self.picks))
        points = tuple(as_point(z_D) for z_D in view.latents_PD[rows])
        try:
            self.session.map.choose_view(
                replace(choice, name="three-points", points=points, locked=None), "show the plane of three items"
            )
        except UserError as error:
            self.session.post_error(error, near="panel.view")
            self._clear_picks()

    @Slot()
    def _clear_picks(self) -> None:
        self.picks = ()
        self._show_marks()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
