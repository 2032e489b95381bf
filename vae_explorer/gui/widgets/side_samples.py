"""Samples of both runs under one seed, the n-th of A beside the n-th of B."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.paced_timer import PacedTimer
from vae_explorer.gui.side_by_side import SIDES
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.image_actions import point_in_full
from vae_explorer.gui.widgets.image_grid import ImageGrid
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.side_by_side import Side, SideBySide
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.side_by_side import SideSamples

_SLOT = "beside_samples"
_SHORTEST_INTERVAL = 0.4
_GRID_HEIGHT = 96
_MOST = 400
_MOST_SEED = 999_999


class SamplesBeside(QWidget):
    """Both grids have as many pictures as the smaller holds; A's follow its weights.

    drawn(): A's samples are of its newest weights.
    """

    drawn = Signal()

    def __init__(self, pair: SideBySide) -> None:
        super().__init__()
        self._pair = pair
        self.seed = count_box("Seed of the samples", 0, _MOST_SEED, prefix="Seed ")
        self.seed.setToolTip("Both runs draw with this seed")
        self.seed.setFixedWidth(self.seed.fontMetrics().horizontalAdvance(f"Seed {_MOST_SEED}") + 48)
        self.about = ElidedLabel(is_muted=True)
        self.grids: dict[Side, ImageGrid] = {}
        self.captions: dict[Side, ElidedLabel] = {}
        self.found: dict[Side, SideSamples] = {}
        self._is_active = False
        self._asked: dict[Side, tuple[object, ...]] = {}
        title = QLabel("Samples")
        title.setProperty("variant", "header")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(title, 1)
        head.addWidget(self.seed)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        for place, side in enumerate(SIDES):
            self.grids[side] = ImageGrid()
            self.grids[side].setFixedHeight(_GRID_HEIGHT)
            self.grids[side].setAccessibleName(f"Samples of {side}")
            self.grids[side].capacity_changed.connect(self.refresh)
            self.captions[side] = ElidedLabel(is_muted=True)
            grid.addWidget(self.grids[side], 0, place)
            grid.addWidget(self.captions[side], 1, place)
            grid.setColumnStretch(place, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addLayout(grid)
        column.addWidget(self.about)
        self._timer = PacedTimer(self, _SHORTEST_INTERVAL, self._ask)
        self.seed.valueChanged.connect(self.refresh)

    def set_active(self, is_active: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = is_active
        if is_active:
            self.refresh()
        else:
            self._timer.stop()
            self._asked.clear()
            for side in SIDES:
                self._pair.withdraw(side, _SLOT)

    @Slot()
    def refresh(self, _news: object = None) -> None:
        """Ask again, at once or as soon as the interval allows."""
        if self._is_active:
            self._timer.want()

    @Slot()
    def _ask(self) -> None:
        if not self._is_active:
            return
        self._timer.note()
        for side in SIDES:
            snapshot = self._pair.snapshot_of(side)
            if snapshot is None:
                continue
            record = MODELS[snapshot.model_name]
            if not record.can_be_sampled:
                self._show_note(side, f"The model “{record.title}” has no prior to draw samples from.")
                continue
            self.grids[side].set_picture_side(max(snapshot.data_space.picture_shape[1:]))
        num = min(_MOST, *(grid.capacity for grid in self.grids.values()))
        for side in SIDES:
            snapshot = self._pair.snapshot_of(side)
            if snapshot is None or not MODELS[snapshot.model_name].can_be_sampled:
                continue
            wanted = (snapshot.stamp, num, self.seed.value())
            if self._asked.get(side) != wanted:  # B's weights stay: its pictures are drawn once
                self._asked[side] = wanted
                seed = self.seed.value()
                work = partial(_draw, num=num, seed=seed)
                self._pair.ask(side, _SLOT, work, partial(self._show, side, seed), partial(self._fail, side))

    def _show(self, side: Side, seed: int, samples: SideSamples) -> None:
        if not self._is_active:
            return
        snapshot = self._pair.snapshot_of(side)
        self.found[side] = samples
        run = {} if snapshot is None else {"run": snapshot.run_name, "model": snapshot.model_name}
        common = {"kind": "sample", "step": str(samples.step), "seed": str(seed), **run}
        self.grids[side].show_pictures(samples.pictures, common=common, describe=partial(_facts, samples))
        source = "ex-post: z ~ Gaussian mixture fitted to the codes" if samples.is_ex_post else "z ~ p(z)"
        self.captions[side].show_text(f"{side} · {source} · step {samples.step:,}")
        self._show_about(seed)
        if side == "A":
            self.drawn.emit()

    def _show_about(self, seed: int) -> None:
        if len(self.found) < len(SIDES):
            self.about.show_text("")
            return
        first, second = (self.found[side].z_ND for side in SIDES)
        is_same = first is not None and second is not None and np.array_equal(first, second)
        words = "the same latent points in both runs" if is_same else "drawn in two latent spaces"
        self.about.show_text(f"seed {seed}, {words}")

    def _show_note(self, side: Side, note: str) -> None:
        self.found.pop(side, None)
        self._asked.pop(side, None)
        self._pair.withdraw(side, _SLOT)
        self.grids[side].show_pictures()
        self.grids[side].set_note(note)
        self.captions[side].show_text(f"{side} · {note}")

    def _fail(self, side: Side, error: Exception) -> None:
        self._show_note(side, error.message if isinstance(error, UserError) else f"No samples could be drawn: {error}.")

    @Slot()
    def forget(self) -> None:
        """There is another second run, or none: what was drawn of the last one is not shown for it."""
        self.found.clear()
        self._asked.clear()
        for side in SIDES:
            self.grids[side].show_pictures()
            self.grids[side].set_note("")
        self.refresh()


def _facts(samples: SideSamples, number: int, _part: int) -> dict[str, str]:
    facts = {"draw": str(number)}
    if samples.z_ND is not None:
        facts["z"] = point_in_full(samples.z_ND[number])
    return facts


def _draw(explorer: Explorer, num: int, seed: int) -> SideSamples:
    from vae_explorer.latent.side_by_side import draw_samples

    return draw_samples(explorer, num, seed)
