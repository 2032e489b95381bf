"""Measures of both runs on the images that both hold out, taken beside the training as its weights change.

Where no image is held out by both there are the test images, which are touched only when a person asks for them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from vae_explorer.evaluation.side_by_side import HELDOUT_MEASURES, paired, refusal_of
from vae_explorer.gui.session_words import State
from vae_explorer.gui.side_by_side import SIDES
from vae_explorer.gui.tables.paired_table import PairedTable
from vae_explorer.gui.threads.side_measuring import SideMeasured, SideMeasuring, SideToMeasure
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.group_parts import wrapped
from vae_explorer.gui.widgets.paired_view import PairedView

if TYPE_CHECKING:
    import numpy as np

    from vae_explorer.evaluation.side_by_side import PairedMeasure
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.side_by_side import Side, SideBySide
    from vae_explorer.gui.threads.failure import Failure

_LEAST_REST, _REST_A_SECOND = 5.0, 20.0
"""While it trains: seconds between two measurings, and how many times as long as one takes."""

_NONE_SHARED = "No image is held out by both runs. Neither has learnt from the test images."


class MeasuresBeside(QWidget):
    """A is measured again as it trains, in at most a twentieth of the time; B once."""

    def __init__(self, session: Session, pair: SideBySide) -> None:
        super().__init__()
        self._session, self._pair = session, pair
        self.job = SideMeasuring(self)
        self.table = PairedTable(self)
        self.view = PairedView("Held-out measures of both runs", self.table)
        self.about = ElidedLabel(is_muted=True)
        self.note = wrapped("")
        self.test_button = QPushButton("Measure on the test images")
        self.test_button.setToolTip("Measure the weights of this moment once; they are not followed")
        self.test_button.setVisible(False)
        self.measured: dict[Side, SideMeasured] = {}
        self._ids_N: np.ndarray | None = None
        self._is_active = False
        self._ended_at = 0.0
        title = QLabel("Held out")
        title.setProperty("variant", "header")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(title)
        head.addWidget(self.about, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.view)
        column.addWidget(self.note)
        column.addWidget(self.test_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._measure)
        self.test_button.clicked.connect(self.measure_on_test_images)
        self.job.measured.connect(self._take)
        self.job.ended.connect(self._end)
        session.snapshot_changed.connect(self.refresh)
        session.state_changed.connect(self._hurry)

    def set_active(self, is_active: bool) -> None:
        """Hidden, nothing is measured."""
        self._is_active = is_active
        if is_active:
            self.refresh()
        else:
            self._timer.stop()
            self.job.cancel()

    @Slot()
    def take_runs(self) -> None:
        """There is another second run, or none, or other images: what was measured of the last ones goes."""
        from vae_explorer.datasets.same_items import shared_heldout

        pair = self._pair
        self.job.cancel()
        self.measured.clear()
        self._ids_N = None
        first, second = pair.dataset_of("A"), pair.dataset_of("B")
        if pair.is_joined and first is not None and second is not None:
            self._ids_N = shared_heldout(first, second)
        self._ended_at = 0.0
        self.setVisible(not pair.problem)
        self._show()
        self.refresh()

    @Slot()
    def refresh(self, _news: object = None) -> None:
        """Measure what is not measured yet, as soon as the training has had its share of the time."""
        if not self._is_active or self._timer.isActive() or not self._is_followed() or not self._due():
            return
        rest = max(_LEAST_REST, _REST_A_SECOND * self.job.seconds) if self._session.state is State.TRAINING else 0.0
        wait = rest - (time.monotonic() - self._ended_at) if self.measured else 0.0
        self._timer.start(max(0, int(wait * 1000)))

    @Slot()
    def _hurry(self, _state: object) -> None:
        """A run that rests or has ended is measured at once."""
        self._timer.stop()
        self.refresh()

    @Slot()
    def measure_on_test_images(self) -> None:
        """Measure both runs once on images that no run learns from and none holds out."""
        self.job.start(self._due())
        self._show()

    def _is_followed(self) -> bool:
        return self._ids_N is not None and len(self._ids_N) > 0

    def _due(self) -> tuple[SideToMeasure, ...]:
        """The sides whose weights are other ones than those that were measured."""
        ids_N = self._ids_N
        if self.job.is_running or ids_N is None:
            return ()
        sides = []
        for side in SIDES:
            snapshot, dataset = self._pair.snapshot_of(side), self._pair.dataset_of(side)
            known = self.measured.get(side)
            if snapshot is None or dataset is None:
                return ()
            # Told another class they are the same weights: a measure tells each image its own.
            if known is None or known.snapshot.weights is not snapshot.weights:
                sides.append(SideToMeasure(side, snapshot, dataset, ids_N))
        return tuple(sides)

    @Slot()
    def _measure(self) -> None:
        if self._is_active:
            self.job.start(self._due())
            self._show()

    @Slot(object)
    def _take(self, measured: SideMeasured) -> None:
        if measured.ids_N is self._ids_N:
            self.measured["A" if measured.name == "A" else "B"] = measured
            self._show()

    @Slot(object)
    def _end(self, failure: Failure | None) -> None:
        self._ended_at = time.monotonic()
        if failure is not None:
            self._ids_N = None
            self.table.show_pairs(())
            self.about.show_text("")
            self.note.setText(f"The runs could not be measured: {failure.message} {failure.hint}".strip())
            return
        self._show()
        self.refresh()

    def _show(self) -> None:
        ids_N = self._ids_N
        pairs: tuple[PairedMeasure, ...] = ()
        if len(self.measured) == len(SIDES):
            first, second = (self.measured[side].found.run for side in SIDES)
            pairs = paired(first, second, HELDOUT_MEASURES)
        self.table.show_pairs(tuple(pair for pair in pairs if not pair.refusal))
        is_on_test = ids_N is not None and not self._is_followed()
        self.test_button.setVisible(is_on_test)
        self.test_button.setEnabled(not self.job.is_running)
        self.about.show_text("" if ids_N is None else self._about())
        words = refusal_of(pairs) or self._obstacles()
        if is_on_test and not self.measured:
            words = _NONE_SHARED
        self.note.setText(words)
        self.note.setVisible(bool(words))

    def _about(self) -> str:
        is_followed = self._is_followed()
        images = "images that both runs hold out" if is_followed else "test images"
        if len(self.measured) < len(SIDES):
            return f"measuring on {images}…" if is_followed or self.job.is_running else ""
        runs = [self.measured[side].found.run for side in SIDES]
        num = max((item.n for run in runs for item in run.measurements), default=0)
        steps = ", ".join(f"{side} at step {self.measured[side].snapshot.step:,}" for side in SIDES)
        both = f" · protocol {runs[0].protocol}" if runs[0].protocol == runs[1].protocol else ""
        return f"{num:,} {images}{both} · {steps}"

    def _obstacles(self) -> str:
        told = [
            f"{side}: {reason}" for side in SIDES if side in self.measured
            for reason in self.measured[side].found.obstacles.values()
        ]  # fmt: skip
        return " ".join(told)
