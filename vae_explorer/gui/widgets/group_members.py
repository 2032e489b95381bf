"""The members of the selection: their pictures, their mean decoded, their variance, their classes. GUI thread only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.paced_timer import PacedTimer
from vae_explorer.gui.widgets.group_parts import ClassBars, PictureRow, Section, wrapped
from vae_explorer.gui.widgets.image_grid import ImageGrid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement, ItemSet
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.group_statistics import GroupStatistics

SLOT = "members"
REFRESH_SECONDS = 2.0
_GRID_HEIGHT = 148


@dataclass(frozen=True, slots=True, eq=False)
class MeanLook:
    """The mean of some items' finite codes and what it decodes to, under one snapshot; None where no code is finite."""

    code_D: np.ndarray | None
    picture: np.ndarray | None


def mean_look(explorer: Explorer, ids: np.ndarray) -> MeanLook:
    """What of a group changes with the weights. On an exploring thread."""
    codes_ND = explorer.codes()
    if codes_ND is None:
        return MeanLook(None, None)
    codes = codes_ND[ids[(ids >= 0) & (ids < len(codes_ND))]].astype(np.float64)
    finite = codes[np.isfinite(codes).all(axis=1)]
    if not len(finite):
        return MeanLook(None, None)
    mean_D = finite.mean(axis=0)
    return MeanLook(mean_D, explorer.decode(mean_D[None])[0])


class MembersSection(Section):
    """Who is selected. A new selection is summed up once; later snapshots only move the decoded mean."""

    def __init__(self, session: Session) -> None:
        super().__init__("Members")
        self.session = session
        self.statistics: GroupStatistics | None = None
        self.mean_code_D: np.ndarray | None = None
        self._summed: ItemSet | None = None
        self._is_active = False
        self.hint = wrapped("Select images by lasso or rectangle on the map, or by class or value here.")
        self.grid = ImageGrid()
        self.grid.setFixedHeight(_GRID_HEIGHT)
        self.grid.setAccessibleName("Members of the selection")
        self.shown = QLabel()
        self.shown.setProperty("variant", "muted")
        self.shown.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.pictures = PictureRow(("Mean, decoded", "Variance"))
        self.bars = ClassBars()
        self.pin_mean = QPushButton("Pin the mean code")
        self.pin_mean.setToolTip("Set a pin at the mean of the members' codes; for one image that is its own code")
        self.pin_mean.clicked.connect(self._pin_mean)
        self.body = QWidget()
        body = QVBoxLayout(self.body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        for widget in (self.grid, self.shown, self.pictures, self.bars, self.pin_mean):
            body.addWidget(widget)
        self.column.addWidget(self.hint)
        self.column.addWidget(self.body)
        self.finish()
        self._timer = PacedTimer(self, REFRESH_SECONDS, self._ask_mean)
        self.grid.capacity_changed.connect(self._tell_shown)
        session.map.arranged.connect(self._follow)
        session.snapshot_changed.connect(self._snapshot_came)
        session.dataset_changed.connect(self._start_anew)
        self._show_statistics(None)

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = visible
        if visible:
            self._sum_up()
            self._snapshot_came()
            return
        self._timer.stop()
        self.session.map.withdraw(SLOT)
        if self.statistics is None:
            self._summed = None

    @Slot(object, object)
    def _follow(self, before: Arrangement, after: Arrangement) -> None:
        if before.selection is not after.selection:
            self._sum_up()

    @Slot()
    def _start_anew(self) -> None:
        self._summed = None
        self._sum_up()

    def _sum_up(self) -> None:
        selection = self.session.map.arrangement.selection
        if selection is None:
            self._summed = None
            self.session.map.withdraw(SLOT)
            self._show_statistics(None)
            return
        if selection == self._summed or not self._is_active or self.session.snapshot is None:
            return
        # The members seen before stay until these are known.
        self._summed, self.statistics = selection, None
        self._timer.stop()
        ids = selection.ids

        def work(explorer: Explorer) -> Iterator[object]:
            from vae_explorer.latent.group_statistics import group_statistics

            return group_statistics(explorer, ids)

        self._timer.note()
        self.session.map.explore(SLOT, work, self._show_statistics, self._tell)

    @Slot()
    def _snapshot_came(self) -> None:
        if not self._is_active or self._timer.isActive():
            return
        if self.statistics is None:
            # What could not be summed up before, such as images that were not there yet, may be possible now.
            self._sum_up()
            return
        self._timer.want()

    @Slot()
    def _ask_mean(self) -> None:
        selection = self._summed
        if not self._is_active or self.statistics is None or selection is None:
            return
        ids = selection.ids
        self._timer.note()

        def show(look: MeanLook) -> None:
            self._show_mean(look.code_D, look.picture)
            self.session.want_snapshot()

        self.session.map.explore(SLOT, lambda explorer: mean_look(explorer, ids), show, self._tell)

    def _tell(self, error: Exception) -> None:
        self._summed = None
        self._show_statistics(None)
        self.say(error.in_one_line if isinstance(error, UserError) else f"No members: {error}.")

    def _show_statistics(self, statistics: GroupStatistics | None) -> None:
        self.statistics = statistics
        self.say("")
        self.hint.setVisible(statistics is None and self.session.map.arrangement.selection is None)
        self.body.setVisible(statistics is not None)
        if statistics is None:
            self.grid.show_pictures()
            self._show_mean(None, None)
            return
        self.grid.set_picture_side(max(statistics.pictures.shape[1:3]))
        self.grid.show_pictures(statistics.pictures)
        self._tell_shown()
        deviation = statistics.greatest_deviation
        self.pictures.set_caption(
            1,
            f"Variance ≤ {deviation**2:.2f}",
            f"Variance of the members at each pixel, of grey levels from 0 to 1; white is {deviation**2:.3g}, "
            f"a standard deviation of {deviation:.3g}.",
        )
        self.bars.setVisible(len(statistics.class_counts) > 0)
        self.bars.show_counts(np.array(statistics.class_counts, dtype=np.int64), statistics.class_names)
        self._show_mean(statistics.mean_code_D, statistics.decoded_mean)

    def _show_mean(self, code_D: np.ndarray | None, picture: np.ndarray | None) -> None:
        self.mean_code_D = code_D
        self.pictures.views[0].set_note("No code")
        variance = None if self.statistics is None else self.statistics.variance_picture
        self.pictures.show_pictures((picture, variance))
        self.pictures.set_caption(0, "Mean, decoded", "The mean of the members' codes, decoded by these weights.")
        self.pin_mean.setEnabled(code_D is not None)

    @Slot()
    def _tell_shown(self) -> None:
        if self.statistics is None:
            return
        num = min(self.grid.capacity, len(self.statistics.pictures))
        self.shown.setText(f"showing {num:,} of {self.statistics.num:,} members")

    @Slot()
    def _pin_mean(self) -> None:
        if self.mean_code_D is not None and len(self.mean_code_D) == self.session.map.num_dimensions:
            self.session.map.add_pin(self.mean_code_D)
