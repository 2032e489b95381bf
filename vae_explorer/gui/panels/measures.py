"""The panel `panel.measures`: measures of the weights on the map, and the table of compared runs.

What is measured carries protocol, bound, images, split and seed; values of different ones are never ranked together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QTableView,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from vae_explorer.gui.tables.comparison_table import ComparisonTable
from vae_explorer.gui.tables.measures_table import MeasuresTable
from vae_explorer.gui.threads.measuring import Ended, HowFarMeasured, Measuring, MeasuringRequest, SnapshotToMeasure
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.group_parts import wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.explorer import Explorer

_NEAR = "panel.measures"
_SPLITS = (("test", "Test"), ("heldout", "Held out"), ("train", "Training"))
_PROGRESS_STEPS = 1000
_BAR_WIDTH = 180
_LEAST_TABLE_HEIGHT = 56
_MARGIN, _GAP = 12, 6
_MOST_IMAGES = 10_000_000


class MeasuresPanel(QWidget):
    """Two pages: the measures of what is looked at, and those of several runs beside one another."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.job = Measuring(self)
        self.table, self.comparison = MeasuresTable(self), ComparisonTable(self)
        self.runs: dict[str, MeasuredRun] = {}
        self._run: MeasuredRun | None = None
        self._is_active = False
        self._is_of_folder = False
        self.split = QComboBox()
        for name, title in _SPLITS:
            self.split.addItem(title, name)
        self.split.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.split.setAccessibleName("Images to measure on")
        self.split.setToolTip("The test split is touched by nothing but an evaluation")
        self.limit = _count("Images", _MOST_IMAGES, "The first so many images only")
        self.samples = _count("Samples", 100_000, "S of the bound, k of IWAE, generated pictures")
        self.measure_button = QPushButton("Measure")
        self.measure_button.setProperty("variant", "primary")
        self.measure_button.setToolTip("Take the ticked measures of the weights of this moment, beside the training")
        self.bar = QProgressBar()
        self.bar.setRange(0, _PROGRESS_STEPS)
        self.bar.setTextVisible(False)
        self.progress = QLabel()
        self.progress.setProperty("variant", "muted")
        self.progress.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.view = _table_view(self.table, "Measures")
        self.compared = _table_view(self.comparison, "Compared runs")
        self.refusal = wrapped("")
        self.add_button, self.copy_button, self.forget_button = (
            QPushButton(text) for text in ("Add a run…", "Copy", "Forget all")
        )
        self.add_button.setToolTip("Take the ticked measures of the newest checkpoint in a run folder")
        self.copy_button.setToolTip("Copy the table as tab-separated text")
        self.forget_button.setToolTip("Empty the table; no run is touched")
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.setUsesScrollButtons(False)
        self.pages.addTab(self._page(self.view), "Measures")
        self.pages.addTab(self._page(self.compared, self.refusal), "Compared")
        self.counts_button = QToolButton()
        self.counts_button.setText("Counts ▾")
        self.counts_button.setToolTip("How many images, and how many samples")
        self.counts_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.counts_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.counts_button.hide()
        self._counts_sheet = QWidget()
        QVBoxLayout(self._counts_sheet).setContentsMargins(8, 4, 8, 4)
        counts_menu = QMenu(self.counts_button)
        counts = QWidgetAction(counts_menu)
        counts.setDefaultWidget(self._counts_sheet)
        counts_menu.addAction(counts)
        self.counts_button.setMenu(counts_menu)
        self._is_folded = False
        self._corners = (
            _row(self.pages, self.split, self.limit, self.samples, self.counts_button, self.measure_button),
            _row(self.pages, self.add_button, self.copy_button, self.forget_button),
        )
        self.pages.currentChanged.connect(self._show_corner)
        self._show_corner(0)
        self.bar.setFixedWidth(_BAR_WIDTH)
        under_way = QHBoxLayout()
        under_way.addWidget(self.progress, 1)
        under_way.addWidget(self.bar)
        column = QVBoxLayout(self)
        column.setContentsMargins(_MARGIN, 8, _MARGIN, 8)
        column.setSpacing(6)
        column.addWidget(self.pages, 1)
        column.addLayout(under_way)
        self._connect()
        self._show_running()
        self._show_runs()

    @staticmethod
    def _page(*widgets: QWidget) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 6, 0, 0)
        for widget in widgets:
            column.addWidget(widget)
        return page

    @Slot(int)
    def _show_corner(self, page: int) -> None:
        """What a page can do stands beside the names of the pages, so that the table has the height."""
        before = self.pages.cornerWidget()
        if before is not None:
            before.hide()
        self.pages.setCornerWidget(self._corners[page])
        self._corners[page].show()

    def _connect(self) -> None:
        self.measure_button.clicked.connect(self.measure_or_cancel)
        self.add_button.clicked.connect(self.add_run)
        self.copy_button.clicked.connect(self._copy)
        self.forget_button.clicked.connect(self.forget_runs)
        self.compared.selectionModel().currentChanged.connect(self._show_refusal)
        self.job.began.connect(self._begin)
        self.job.progressed.connect(self._show_progress)
        self.job.measured.connect(self._take)
        self.job.refused.connect(self._tell_refused)
        self.job.ended.connect(self._end)
        self.split.currentIndexChanged.connect(self._ask_obstacles)
        self.session.snapshot_changed.connect(self._ask_obstacles)
        self.session.dataset_changed.connect(self._ask_obstacles)

    # --- what a person does

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing; an evaluation under way goes on."""
        self._is_active = visible
        if visible:
            self._ask_obstacles()
        else:
            self.session.map.withdraw("measures")

    @Slot()
    def measure_or_cancel(self) -> None:
        """Take the ticked measures of the weights on the map, or stop doing so."""
        if self.job.is_running:
            self.job.cancel()
            return
        snapshot, start = self.session.snapshot, self.session.start
        if snapshot is None:
            self.session.post("info", "There is no model to measure yet.", "Wait until it has been prepared.", _NEAR)
            return
        if not self.table.names_to_take():
            self.session.post("info", "No measure is ticked.", "Tick one of those that apply.", _NEAR)
            return
        config = self.session.config if start is None else start.config
        self._is_of_folder = False
        self._start(self._request(SnapshotToMeasure(snapshot, config), self.table.names_to_take()))

    @Slot()
    def add_run(self, path: Path | None = None) -> None:
        """Measure a run folder; None asks for it."""
        if self.job.is_running:
            self.session.post("info", "An evaluation is under way.", "Wait for its end, or cancel it.", _NEAR)
            return
        if not path:
            name = QFileDialog.getExistingDirectory(self, "Add a run", str(self.session.runs_folder))
            if not name:
                return
            path = Path(name)
        self._is_of_folder = True
        self._start(self._request(path, self.table.names_to_take()))

    @Slot()
    def forget_runs(self) -> None:
        """No run is compared any more."""
        self.runs.clear()
        self._show_runs()

    def close_job(self) -> None:
        """Stop what is under way; the window goes."""
        self.job.close()

    def _request(self, subject: SnapshotToMeasure | Path, names: tuple[str, ...]) -> MeasuringRequest:
        return MeasuringRequest(
            subject=subject, split=str(self.split.currentData()), names=names, samples=self.samples.value(),
            limit=self.limit.value(),
        )  # fmt: skip

    def _start(self, request: MeasuringRequest) -> None:
        self.job.start(request)
        self.progress.setText("Reading the images…")
        self._show_running()

    # --- what the job tells

    @Slot(object)
    def _begin(self, run: MeasuredRun) -> None:
        self._run = run
        if not self._is_of_folder:
            self.table.forget_values()

    @Slot(object)
    def _show_progress(self, far: HowFarMeasured) -> None:
        self.bar.setValue(round(far.fraction * _PROGRESS_STEPS))
        left = "" if far.seconds_left is None else f", about {max(1, round(far.seconds_left))} s left"
        self.progress.setText(f"{far.title}{left}")

    @Slot(object)
    def _take(self, item: Measurement) -> None:
        if self._run is None:
            return
        if not self._is_of_folder:
            self.table.show_value(item)
        self._run = replace(self._run, measurements=(*self._run.measurements, item))
        self.runs[self._run.name] = self._run
        self._show_runs()

    @Slot(str)
    def _tell_refused(self, text: str) -> None:
        self.session.post("info", text, near=_NEAR)

    @Slot(object)
    def _end(self, ended: Ended) -> None:
        self._run = None
        self.progress.setText("Cancelled; what was measured stays." if ended.is_cancelled else "")
        self._show_running()
        if ended.error is not None:
            self.session.post_error(ended.error, near=_NEAR)

    def _show_running(self) -> None:
        is_running = self.job.is_running
        self.measure_button.setText("Cancel" if is_running else "Measure")
        self.add_button.setEnabled(not is_running)
        self.bar.setVisible(is_running)
        self.progress.setVisible(is_running or bool(self.progress.text()))
        if not is_running:
            self.bar.setValue(0)

    def _show_runs(self) -> None:
        self.comparison.show_runs(tuple(self.runs.values()))
        self.compared.resizeColumnsToContents()
        if not self.runs:
            self.refusal.setText("Runs that were measured stand here side by side.")
        elif any(row.refusal for row in self.comparison.rows):
            self.refusal.setText(next(filter(None, map(self.comparison.refusal_at, range(len(self.comparison.rows))))))
        else:
            self.refusal.setText("")

    @Slot(object, object)
    def _show_refusal(self, current: object, _before: object) -> None:
        row = current.row()  # type: ignore[attr-defined]  # a model index
        if 0 <= row < len(self.comparison.rows):
            self.refusal.setText(self.comparison.refusal_at(row))

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.comparison.as_text())

    # --- places

    def _fold(self, is_folded: bool) -> None:
        """The counts behind a button, or in the row."""
        if is_folded == self._is_folded:
            return
        self._is_folded = is_folded
        row, sheet = self._corners[0].layout(), self._counts_sheet.layout()
        assert isinstance(row, QHBoxLayout)
        assert isinstance(sheet, QVBoxLayout)
        for place, box in enumerate((self.limit, self.samples), start=1):
            if is_folded:
                sheet.addWidget(box)
            else:
                row.insertWidget(place, box)
            box.show()
        self.counts_button.setVisible(is_folded)
        self._show_corner(self.pages.currentIndex())

    def _width_with(self, *in_row: QWidget) -> int:
        """Of the names of the pages with these beside them."""
        corner = sum(widget.minimumWidth() or widget.sizeHint().width() for widget in in_row)
        return self.pages.tabBar().sizeHint().width() + corner + _GAP * len(in_row) + 2 * _MARGIN

    def minimumSizeHint(self) -> QSize:
        """With the counts behind their button: no window is made larger for them."""
        rows = (
            (self.split, self.counts_button, self.measure_button),
            (self.add_button, self.copy_button, self.forget_button),
        )
        return QSize(max(self._width_with(*row) for row in rows), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The counts stand in the row where there is room for them."""
        super().resizeEvent(event)
        self._fold(self.width() < self._width_with(self.split, self.limit, self.samples, self.measure_button))

    # --- which measures apply

    @Slot()
    def _ask_obstacles(self, _news: object = None) -> None:
        dataset = self.session.dataset
        if not self._is_active or self.session.snapshot is None or dataset is None:
            return
        split = str(self.split.currentData())

        def work(explorer: Explorer) -> dict[str, str]:
            from vae_explorer.evaluation.catalogue import MEASURES
            from vae_explorer.evaluation.images import scored_images
            from vae_explorer.evaluation.needs import Subject, obstacle

            assert explorer.snapshot is not None
            some = scored_images(
                dataset.images, dataset.train_index_N[:1], explorer.snapshot.protocol, split,
                labels_N=dataset.labels_N, num_classes=dataset.num_classes, factors_NF=dataset.factors_NF,
                factor_names=dataset.factor_names,
            )  # fmt: skip
            subject = Subject(explorer.record, explorer.network, some, has_training=True)
            return {measure.name: obstacle(measure, subject) for measure in MEASURES}

        self.session.map.explore("measures", work, self._show_obstacles)

    def _show_obstacles(self, obstacles: Mapping[str, str]) -> None:
        self.table.show_obstacles(obstacles)


def _row(parent: QWidget, *widgets: QWidget) -> QWidget:
    row = QWidget(parent)
    # A corner is as high as the tabs, and cuts what is higher.
    row.setStyleSheet("QPushButton { padding: 4px 12px; }")
    row.hide()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(_GAP)
    for widget in widgets:
        if isinstance(widget, QPushButton):
            widget.setAutoDefault(False)
        layout.addWidget(widget)
    return row


def _count(label: str, most: int, tip: str) -> QSpinBox:
    box = count_box(label, 0, most, prefix=f"{label}: ")
    box.setSpecialValueText(f"{label}: default")
    box.setFixedWidth(box.fontMetrics().horizontalAdvance(f"{label}: default") + 50)
    box.setGroupSeparatorShown(True)
    box.setToolTip(f"{tip}; 0 leaves it to each measure")
    return box


def _table_view(table: MeasuresTable | ComparisonTable, name: str) -> QTableView:
    view = QTableView()
    view.setModel(table)
    # Low enough that the line of the progress takes a row of the table's, and does not push the map away.
    view.setMinimumHeight(_LEAST_TABLE_HEIGHT)
    view.setAccessibleName(name)
    view.verticalHeader().hide()
    view.setShowGrid(False)
    view.setAlternatingRowColors(True)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    view.horizontalHeader().setStretchLastSection(True)
    view.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    return view
