"""Curves of several runs over one axis. Created once and updated. GUI thread only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal, Slot
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QApplication, QLabel

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.curve_data import drawable, shown_value, value_range
from vae_explorer.gui.widgets.curve_items import (
    CountAxis,
    CurveColours,
    CurveGrid,
    CurveOverlay,
    XOnlyViewBox,
    mixed,
)
from vae_explorer.gui.widgets.runs_tools import ShortenedLabel

if TYPE_CHECKING:
    from vae_explorer.gui.threads.run_curves import RunCurve

_AXIS_WIDTH = 54
_PALE = 0.62  # of the ground in an outline's colour where a smoothed course is drawn over it
_SKIPPED_FRACTION = 0.04  # as in the curves of a run in training: the fall of the first steps would flatten the rest
_NEAR_PIXELS = 40.0
_LINE_HEIGHT, _UNIT_HEIGHT, _TITLE_HEIGHT = 16, 130, 150  # lower plots have no room for the unit, or for the title


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRun:
    """A run's curve, its name, and the look of its lines: a class colour, dashed for those beyond the ten colours."""

    label: str
    curve: RunCurve
    colour: int
    is_dashed: bool = False


class _Lines:
    """The items of one run: outline, smoothed course, held-out checks."""

    def __init__(self, view_box: pg.ViewBox) -> None:
        self.outline = pg.PlotCurveItem(skipFiniteCheck=True)
        self.trend = pg.PlotCurveItem(skipFiniteCheck=True, antialias=True)
        self.heldout = pg.PlotCurveItem(skipFiniteCheck=True, antialias=True)
        self.checks = pg.ScatterPlotItem(size=5, pxMode=True)
        self._look: tuple[object, ...] = ()
        for depth, item in enumerate((self.outline, self.trend, self.heldout, self.checks)):
            item.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
            item.setZValue(depth)
            view_box.addItem(item, ignoreBounds=True)

    def show(self, run: DrawnRun, splits: frozenset[str], limits: tuple[float, float] | None) -> None:
        """Draw a run; other splits than those named are left out."""
        colour, ground = theme.class_colour(run.colour), theme.current().panel
        style = Qt.PenStyle.DashLine if run.is_dashed else Qt.PenStyle.SolidLine
        curve = run.curve
        is_smooth = len(curve.trend_x) > 0
        look = (colour, ground, style, is_smooth)
        if look != self._look:
            self._look = look
            self.outline.setPen(pg.mkPen(mixed(colour, ground, _PALE) if is_smooth else colour, style=style))
            self.trend.setPen(pg.mkPen(colour, style=style))
            self.heldout.setPen(pg.mkPen(colour, style=style))
            self.checks.setPen(pg.mkPen(ground))
            self.checks.setBrush(pg.mkBrush(colour))
        has_train, has_heldout = "train" in splits, "heldout" in splits
        _set(self.outline, curve.outline_x, curve.outline_y, limits, has_train)
        _set(self.trend, curve.trend_x, curve.trend_y, limits, has_train)
        _set(self.heldout, curve.heldout_x, curve.heldout_y, limits, has_heldout)
        y = drawable(curve.heldout_y)
        is_shown = np.isfinite(y) & has_heldout
        if limits is not None:
            is_shown &= (y >= limits[0]) & (y <= limits[1])
        self.checks.setData(curve.heldout_x[is_shown], y[is_shown])

    def hide(self) -> None:
        """Draw nothing."""
        for item in (self.outline, self.trend, self.heldout, self.checks):
            item.setData([], [])


class RunsPlot(pg.GraphicsLayoutWidget):
    """One plot of one metric of many runs.

    read_out(str): what the mouse is over, empty for nothing. zoomed(bool): whether a part of the axis is shown.
    """

    read_out = Signal(str)
    zoomed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(160, 56)
        self.setAccessibleName("Curves of runs")
        self.setFrameShape(self.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.runs: tuple[DrawnRun, ...] = ()
        self._splits = frozenset({"train", "heldout"})
        self._lines: list[_Lines] = []
        self._is_zoomed = False
        self.view_box = XOnlyViewBox()
        self.x_axis = CountAxis()
        self.y_axis = pg.AxisItem("left", maxTickLength=-4)
        self.y_axis.enableAutoSIPrefix(False)
        self.y_axis.setWidth(_AXIS_WIDTH)
        self.ci.setContentsMargins(0, _LINE_HEIGHT, 6, 0)
        self.ci.layout.setSpacing(0)
        self.addItem(self.y_axis, 0, 0)
        self.addItem(self.view_box, 0, 1)
        self.addItem(self.x_axis, 1, 1)
        self.x_axis.linkToView(self.view_box)
        self.y_axis.linkToView(self.view_box)
        self.x_axis.setStyle(tickTextOffset=3, maxTickLevel=0)
        self.y_axis.setStyle(tickTextOffset=4, maxTickLevel=1)
        self.y_axis.setTickDensity(0.7)
        small = QFont(QApplication.font())
        small.setPointSizeF(max(small.pointSizeF() - 1.0, 7.0))
        for axis in (self.x_axis, self.y_axis):
            axis.setTickFont(small)
            axis.label.setFont(small)
        self._grid = CurveGrid(self.view_box, self.x_axis, self.y_axis)
        self._overlay = CurveOverlay(self.view_box)
        self._texts, self._caption = ("", ""), ""
        self._line = ShortenedLabel()
        self._line.setParent(self)
        self._line.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._empty = QLabel(self)
        self._empty.setProperty("variant", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.view_box.sigRangeChangedManually.connect(self._zoom_by_hand)
        self.view_box.follow_wanted.connect(self.show_all)
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        self.viewport().installEventFilter(self)
        theme.notifier().changed.connect(self.recolour)
        self.recolour()

    def show_runs(
        self, runs: Sequence[DrawnRun], splits: frozenset[str], *, unit: str, axis: str, title: str, caption: str
    ) -> None:
        """Draw these runs over `axis`; the range in sight stays where a person chose it.

        `caption` is read while the mouse points at nothing.
        """
        self.runs, self._splits = tuple(runs), splits
        self._texts, self._caption = (unit, title), caption
        self.x_axis.shows_seconds = axis == "seconds"
        self._label_axes()
        self._read_out("")
        if not self._is_zoomed:
            self.view_box.setXRange(0.0, self._end() * 1.04 or 1.0, padding=0)
        self._draw()

    def _label_axes(self) -> None:
        """Units stand beside the axes where there is room, else in the line above the curves."""
        unit, title = self._texts
        has_unit, has_title = bool(unit) and self.height() >= _UNIT_HEIGHT, self.height() >= _TITLE_HEIGHT
        self.y_axis.setLabel(unit if has_unit else None)
        self.y_axis.showLabel(has_unit)
        self.x_axis.setLabel(title if has_title else None)
        self.x_axis.showLabel(has_title)
        for axis in (self.x_axis, self.y_axis):
            axis.resizeEvent()  # pyqtgraph puts a label in its place only when the axis gets another size
        self.x_axis.setHeight(34 if has_title else 18)

    def _read_out(self, text: str) -> None:
        unit = self._texts[0]
        self.read_out.emit(text)
        self._line.say(text or (f"{self._caption}; {unit}" if unit and self.height() < _UNIT_HEIGHT else self._caption))

    def say(self, sentence: str) -> None:
        """Why there is nothing to see; empty where there is."""
        self._empty.setText(sentence)
        self._empty.setVisible(bool(sentence))

    def forget_zoom(self) -> None:
        """The next curves are shown whole."""
        self._is_zoomed = False
        self.zoomed.emit(False)

    @Slot()
    def show_all(self) -> None:
        """The whole of the longest run."""
        self.forget_zoom()
        self.view_box.setXRange(0.0, self._end() * 1.04 or 1.0, padding=0)
        self._draw()

    def _series(self, run: DrawnRun) -> list[tuple[np.ndarray, np.ndarray]]:
        curve, found = run.curve, []
        if "train" in self._splits:
            found.append((curve.outline_x, curve.outline_y))
        if "heldout" in self._splits:
            found.append((curve.heldout_x, curve.heldout_y))
        return [(x, drawable(y)) for x, y in found]

    def _end(self) -> float:
        ends = [x[-1] for run in self.runs for x, _ in self._series(run) if len(x)]
        return float(max((end for end in ends if math.isfinite(end)), default=0.0))

    @property
    def has_points(self) -> bool:
        """Whether anything is drawn."""
        return any(np.isfinite(y).any() for run in self.runs for _, y in self._series(run))

    def _draw(self) -> None:
        low, high = self.view_box.viewRange()[0]
        series = [part for run in self.runs for part in self._series(run)]
        is_long = any(len(x) > 50 for x, _ in series)
        newest = tuple(float(y[-1]) for _, y in series if len(y))
        found = value_range(series, low, high, _SKIPPED_FRACTION if is_long and not self._is_zoomed else 0.0, newest)
        limits = None
        if found is not None:
            self.view_box.setYRange(*found, padding=0)
            span = found[1] - found[0]
            limits = (found[0] - 100 * span, found[1] + 100 * span)  # beyond it Qt draws slowly and wrongly
        while len(self._lines) < len(self.runs):
            self._lines.append(_Lines(self.view_box))
        for lines, run in zip(self._lines, self.runs, strict=False):
            lines.show(run, self._splits, limits)
        for lines in self._lines[len(self.runs) :]:
            lines.hide()

    @Slot(object)
    def recolour(self, _theme: object = None) -> None:
        """Take the theme's colours."""
        colours = theme.current()
        self.setBackground(colours.panel)
        for axis in (self.x_axis, self.y_axis):
            axis.setPen(pg.mkPen(colours.muted))
            axis.setTextPen(pg.mkPen(colours.muted))
        self._grid.set_colour(colours.grid)
        self._overlay.set_colours(
            CurveColours(
                train=colours.text, raw=colours.faint, heldout=colours.text, text=colours.text, muted=colours.muted,
                grid=colours.grid, background=colours.panel,
            )
        )  # fmt: skip
        self._empty.setStyleSheet(f"background: {colours.panel};")
        self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The sentence lies over everything."""
        super().resizeEvent(event)
        if hasattr(self, "_empty"):  # the base class resizes once while it is being made
            self._empty.setGeometry(self.rect())
            self._line.setGeometry(_AXIS_WIDTH, 0, self.width() - _AXIS_WIDTH - 6, _LINE_HEIGHT)
            self._label_axes()
            self._read_out("")

    # --- looking closer

    @Slot()
    def _zoom_by_hand(self) -> None:
        whole = max(self._end() * 1.04, 1e-9)
        low, high = self.view_box.viewRange()[0]
        width = min(max(high - low, whole * 1e-5), whole * 1.2)
        low = min(max(low, -0.05 * whole), whole * 1.05 - width / 2)
        self._is_zoomed = True
        self.view_box.setXRange(low, low + width, padding=0)
        self.zoomed.emit(True)
        self._draw()

    @Slot(object)
    def _mouse_moved(self, place: QPointF) -> None:
        is_inside = self.view_box.sceneBoundingRect().contains(place)
        self._point_at(self.view_box.mapSceneToView(place) if is_inside else None)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Nothing is pointed at when the mouse leaves."""
        if event.type() == QEvent.Type.Leave:
            self._point_at(None)
        return super().eventFilter(watched, event)

    def _point_at(self, place: QPointF | None) -> None:
        nearest = None if place is None else self._nearest(place)
        self._overlay.cross_x = None if nearest is None else nearest[1]
        self._overlay.dots = () if nearest is None else ((*nearest[1:], theme.class_colour(nearest[0].colour)),)
        self._overlay.update()
        self._read_out("" if nearest is None else f"{nearest[0].label}: {shown_value(nearest[2])}")

    def _nearest(self, place: QPointF) -> tuple[DrawnRun, float, float] | None:
        """The run whose line is nearest to a place, and the point of the line; None where none is near."""
        _, pixel = self.view_box.viewPixelSize()
        found: tuple[float, DrawnRun, float, float] | None = None
        for run in self.runs:
            for x, y in self._lines_pointed_at(run):
                at = int(np.clip(np.searchsorted(x, place.x()), 0, len(x) - 1))
                at = at - 1 if at and abs(x[at - 1] - place.x()) < abs(x[at] - place.x()) else at
                if not np.isfinite(y[at]):
                    continue
                distance = abs(float(y[at]) - place.y()) / pixel if pixel > 0 else math.inf
                if distance <= _NEAR_PIXELS and (found is None or distance < found[0]):
                    found = (distance, run, float(x[at]), float(y[at]))
        return None if found is None else found[1:]

    def _lines_pointed_at(self, run: DrawnRun) -> list[tuple[np.ndarray, np.ndarray]]:
        curve, found = run.curve, []
        if "train" in self._splits:
            found.append((curve.trend_x, curve.trend_y) if len(curve.trend_x) else (curve.outline_x, curve.outline_y))
        if "heldout" in self._splits:
            found.append((curve.heldout_x, curve.heldout_y))
        return [(x, y) for x, y in found if len(x)]


def _set(
    item: pg.PlotCurveItem, x: np.ndarray, y: np.ndarray, limits: tuple[float, float] | None, is_shown: bool
) -> None:
    if not is_shown or not len(x):
        item.setData([], [])
        return
    y = drawable(y)
    if limits is not None:
        y = np.clip(y, *limits)
    # Cutting lines at gaps costs time, so only where there are gaps.
    item.setData(x, y, connect="all" if bool(np.isfinite(y).all()) else "finite")
