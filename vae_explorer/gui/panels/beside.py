"""The panel `panel.beside`: the run of the window and a second one side by side, joined by the ids of their items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui.side_by_side import SIDES, SideBySide
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.fitted_content import FittedContent
from vae_explorer.gui.widgets.group_parts import RemoveButton, wrapped
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.side_column import SideColumn
from vae_explorer.gui.widgets.side_item import SideItem
from vae_explorer.gui.widgets.side_map import Mark
from vae_explorer.gui.widgets.side_measures import MeasuresBeside
from vae_explorer.gui.widgets.side_samples import SamplesBeside

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.side_by_side import Side
    from vae_explorer.gui.threads.failure import Failure
    from vae_explorer.latent.side_by_side import SidePicture

_ABOUT = (
    "Put a second run beside the one of this window: both maps joined image by image, both reconstructions, samples "
    "under one seed, and the measures that may be compared."
)
_NEAR = "panel.beside"
_LEAST_COLUMN, _LEAST_TWO_ROWS = 140, 430
_LEAST_WIDE, _WIDE, _LOW = 480, 1.7, 270
"""In a panel at least so wide that is so many times as wide as high, or low, the maps stand beside everything else."""

_LEAST_DETAILS, _MOST_DETAILS = 210, 460
_SHARE_BESIDE, _SHARE_BELOW, _LEAST_AREA = 0.4, 0.43, 64
_ANY = (1 << 24) - 1


class _Part(Protocol):
    def set_active(self, is_active: bool) -> None: ...


class BesidePanel(QWidget):
    """A is what the window looks at and live; B is a run from its folder, as it was when it was opened."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.pair = SideBySide(session, self)
        self.compare_buttons = tuple(QPushButton("Compare with…") for _ in range(2))
        for button in self.compare_buttons:
            button.setToolTip("Choose the folder of a second run")
            button.clicked.connect(self.compare_with)
        self.status = ElidedLabel(is_muted=True)
        self.end_button = RemoveButton()
        self.end_button.name_after("End the comparison")
        self.end_button.clicked.connect(self.end)
        self.about = wrapped(_ABOUT)
        self.columns: dict[Side, SideColumn] = {side: SideColumn(self.pair, side) for side in SIDES}
        self.legend = MapLegend()
        self.item = SideItem(self.pair)
        self.samples = SamplesBeside(self.pair)
        self.measures = MeasuresBeside(session, self.pair)
        self._parts: tuple[_Part, ...] = (*self.columns.values(), self.samples, self.measures)
        self._is_active = False
        # Its parts find their places in whatever there is: no window is made larger for them.
        self.setMinimumSize(240, 176)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty_page())
        self._pages.addWidget(self._full_page())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self._connect()

    def _empty_page(self) -> QWidget:
        page = QWidget()
        row = QHBoxLayout()
        row.addWidget(self.compare_buttons[0])
        row.addStretch(1)
        self.opening = wrapped("")
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(8)
        column.addWidget(self.about)
        column.addLayout(row)
        column.addWidget(self.opening)
        column.addStretch(1)
        return page

    def _full_page(self) -> QWidget:
        page = QWidget()
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.compare_buttons[1])
        head.addWidget(self.status, 1)
        head.addWidget(self.end_button)
        self._maps = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._maps.setSpacing(12)
        for side in SIDES:
            self._maps.addWidget(self.columns[side], 1)
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addLayout(self._maps, 1)
        left.addWidget(self.legend)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = FittedContent(self.area)
        details = QVBoxLayout(content)
        details.setContentsMargins(0, 0, 4, 0)
        details.setSpacing(10)
        for part in (self.item, self.samples, self.measures):
            details.addWidget(part)
        details.addStretch(1)
        self.area.setWidget(content)
        self._body = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._body.setSpacing(8)
        self._body.addLayout(left, 1)
        self._body.addWidget(self.area)
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 6, 12, 8)
        column.setSpacing(6)
        column.addLayout(head)
        column.addLayout(self._body, 1)
        return page

    def _connect(self) -> None:
        session, pair = self.session, self.pair
        session.snapshot_changed.connect(self._follow)
        session.dataset_changed.connect(self._follow)
        pair.joined.connect(self._take_runs)
        pair.looked.connect(self._show_marks)
        pair.second.noted.connect(self._tell_opening)
        pair.second.failed.connect(self._tell_failure)
        self.columns["A"].drawn.connect(self._show_legend)
        self.samples.drawn.connect(session.want_snapshot)

    # --- what a person does

    @Slot()
    def compare_with(self, path: Path | None = None) -> None:
        """Put the run in that folder beside this one; None asks for it."""
        session = self.session
        if not path:
            run = session.run_directory
            start = session.runs_folder if run is None else run.path.parent
            name = QFileDialog.getExistingDirectory(self, "Compare with a run", str(start))
            if not name:
                return
            path = Path(name)
        at_hand = None
        if session.dataset is not None and session.dataset_config is not None:
            from vae_explorer.runs.frozen_run import ImagesAtHand

            at_hand = ImagesAtHand(session.dataset_config, session.dataset)
        self.pair.second.open(path, at_hand)

    @Slot()
    def end(self) -> None:
        """Look at one run alone again."""
        self.pair.second.forget()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing, and nothing is measured."""
        self._is_active = visible
        self.pair.set_active(visible)
        self._wake_parts()

    def close_job(self) -> None:
        """End every thread; the window goes."""
        self.measures.job.close()
        self.pair.second.close()

    # --- following

    def _wake_parts(self) -> None:
        is_compared = self._is_active and self.pair.second.run is not None
        for part in self._parts:
            part.set_active(is_compared)

    @Slot()
    def _follow(self, _news: object = None) -> None:
        if self._is_active and self.pair.second.run is not None:
            self.columns["A"].refresh()
            self.samples.refresh()

    @Slot()
    def _take_runs(self) -> None:
        self._pages.setCurrentIndex(0 if self.pair.second.run is None else 1)
        self.status.show_text(self.pair.problem)
        self.columns["B"].forget()
        self.samples.forget()
        self.measures.take_runs()
        self._wake_parts()

    @Slot()
    def _show_marks(self) -> None:
        pair = self.pair
        for side in SIDES:
            look, map_ = pair.looks.get(side), self.columns[side].map
            place = None if look is None else look.place
            map_.show_mark(None if place is None else Mark(*place, pair.item == pair.pinned))
            map_.describe("" if pair.item is None else self.item.title.whole)

    @Slot(object)
    def _show_legend(self, picture: SidePicture | None) -> None:
        self.legend.show_legend(None if picture is None else picture.drawing.legend)
        self.session.want_snapshot()

    @Slot(str)
    def _tell_opening(self, text: str) -> None:
        self.opening.setText(text)
        self.status.show_text(text or self.pair.problem)

    @Slot(object)
    def _tell_failure(self, failure: Failure) -> None:
        if failure.report:
            self.session.defect_reported.emit(failure.report)
        self.session.post("error", failure.message, failure.hint, near=_NEAR, details=failure.report)

    # --- places

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Maps above everything else in a high panel, left of it in a wide one; one above the other in a narrow one."""
        super().resizeEvent(event)
        width, height = self.width(), self.height()
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        is_wide = width >= _LEAST_WIDE and (width >= _WIDE * height or height < _LOW)
        is_narrow = width < 2 * _LEAST_COLUMN + 36 and height >= _LEAST_TWO_ROWS
        self._body.setDirection(across if is_wide else down)
        self._maps.setDirection(down if is_narrow else across)
        if is_wide:
            self.area.setMinimumHeight(0)
            self.area.setMaximumHeight(_ANY)
            self.area.setFixedWidth(min(max(round(_SHARE_BESIDE * width), _LEAST_DETAILS), _MOST_DETAILS))
        else:
            self.area.setMinimumWidth(0)
            self.area.setMaximumWidth(_ANY)
            self.area.setFixedHeight(max(_LEAST_AREA, round(_SHARE_BELOW * height)))
