"""One plot of one metric: training and held-out curves, setting marks, a cross-hair and a title with the
newest values.

Everything is created once and updated; pyqtgraph's own menus, buttons and automatic ranges stay off, because
the panel that owns the plots decides what is visible. Used in the GUI thread only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from vae_explorer.gui.widgets.curve_data import (
    MAXIMUM_POINTS,
    Floats,
    drawable,
    every_nth,
    shown_value,
    smoothed,
    thinned,
    value_range,
)
from vae_explorer.gui.widgets.curve_items import (
    CountAxis,
    CurveColours,
    CurveGrid,
    CurveMark,
    CurveOverlay,
    CurveTitle,
    XOnlyViewBox,
)

AXIS_WIDTH = 54


@dataclass(frozen=True, slots=True)
class CurveNumbers:
    """What one plot draws: the steps and held-out passes of one metric over one x axis."""

    train_x: np.ndarray
    train_y: np.ndarray
    heldout_x: np.ndarray
    heldout_y: np.ndarray


class CurvePlot(pg.GraphicsLayout):
    """Title, axes and curves of one metric.

    `update_curves` is the only expensive call: one `setData` a curve. Signals come from its `view_box`:
    `sigXRangeChanged` by hand as `sigRangeChangedManually`, and `follow_wanted` on a double click.
    """

    def __init__(self, name: str, title: str, unit: str, *, tool_tip: str = "", has_heldout: bool = True) -> None:
        super().__init__()
        self.name, self.unit = name, unit
        self.is_logarithmic = False
        self.setContentsMargins(0, 0, 0, 0)
        self.layout.setSpacing(0)
        self.title = CurveTitle(title, unit, tool_tip)
        self.title.has_heldout = has_heldout
        self.view_box = XOnlyViewBox()
        self.x_axis = CountAxis()
        self.y_axis = pg.AxisItem("left", maxTickLength=-4)
        self.y_axis.enableAutoSIPrefix(False)
        self.y_axis.setWidth(AXIS_WIDTH)
        # A strip of schedules has room for two or three values.
        self.y_axis.setTickDensity(0.7 if has_heldout else 0.35)
        # Not pyqtgraph's PlotItem, which brings a dozen hidden menus and forms along for every plot.
        self.addItem(self.title, 0, 0, 1, 2)
        self.addItem(self.y_axis, 1, 0)
        self.addItem(self.view_box, 1, 1)
        self.addItem(self.x_axis, 2, 1)
        self.x_axis.linkToView(self.view_box)
        self.y_axis.linkToView(self.view_box)
        self.layout.setRowStretchFactor(1, 100)
        self.layout.setColumnStretchFactor(1, 100)
        self.layout.setContentsMargins(0, 0, 6, 0)
        self.x_axis.setStyle(tickTextOffset=3, maxTickLevel=0)
        self.y_axis.setStyle(tickTextOffset=4, maxTickLevel=1)
        small = QFont(QApplication.font())
        small.setPointSizeF(max(small.pointSizeF() - 1.0, 7.0))
        for axis in (self.x_axis, self.y_axis):
            axis.setTickFont(small)
            axis.label.setFont(small)
        self.raw = pg.PlotCurveItem(skipFiniteCheck=True)
        self.trend = pg.PlotCurveItem(skipFiniteCheck=True, antialias=True)
        self.heldout = pg.PlotCurveItem(skipFiniteCheck=True, antialias=True)
        self.markers = pg.ScatterPlotItem(size=6, pxMode=True)
        for item in (self.raw, self.trend, self.heldout, self.markers):
            # The scene's mouse handling need not ask curves of thousands of points whether they were hit.
            item.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
            self.view_box.addItem(item, ignoreBounds=True)
        self._grid = CurveGrid(self.view_box, self.x_axis, self.y_axis)
        self.overlay = CurveOverlay(self.view_box)
        self._numbers = CurveNumbers(*(np.empty(0),) * 4)
        self._is_smooth = True

    def set_colours(self, colours: CurveColours) -> None:
        """Recolour everything, axes included."""
        self.colours = colours
        for axis in (self.x_axis, self.y_axis):
            axis.setPen(pg.mkPen(colours.muted))
            axis.setTextPen(pg.mkPen(colours.muted))
        self.trend.setPen(pg.mkPen(colours.train))
        self.heldout.setPen(pg.mkPen(colours.heldout))
        self.markers.setPen(pg.mkPen(colours.background))
        self.markers.setBrush(pg.mkBrush(colours.heldout))
        self.title.set_colours(colours)
        self._grid.set_colour(colours.grid)
        self.overlay.set_colours(colours)
        self._colour_raw()

    def _colour_raw(self) -> None:
        self.raw.setPen(pg.mkPen(self.colours.raw if self._is_smooth else self.colours.train))

    def show_axis_texts(self, *, unit: bool, ticks: bool, label: str) -> None:
        """Whether there is room for the unit beside the y axis, and whether this plot carries the x ticks and
        label.
        """
        self.y_axis.setLabel(self.unit if unit else None)
        self.y_axis.showLabel(unit and bool(self.unit))
        self.title.shows_unit = not unit
        self.title.update()
        self.x_axis.setStyle(showValues=ticks)
        self.x_axis.setLabel(label if ticks else None)
        self.x_axis.showLabel(ticks and bool(label))
        self.x_axis.setHeight(34 if ticks and label else (18 if ticks else 4))

    def update_curves(self, numbers: CurveNumbers, *, is_smooth: bool, wants_logarithm: bool) -> None:
        """Draw these numbers, already cut to the visible steps, with one `setData` a curve."""
        self._numbers = numbers
        if is_smooth != self._is_smooth:
            self._is_smooth = is_smooth
            self._colour_raw()
        # Two points a pixel column draw the same picture as all of them.
        columns = max(int(self.view_box.width()), 100)
        raw_x, raw_y = thinned(numbers.train_x, numbers.train_y, min(2 * columns, MAXIMUM_POINTS))
        heldout_x, heldout_y = every_nth(numbers.heldout_x, drawable(numbers.heldout_y), columns // 4)
        trend_x, trend_y = np.empty(0), np.empty(0)
        if is_smooth:
            trend_x, trend_y = smoothed(numbers.train_x, numbers.train_y)
        present = np.concatenate((raw_y, heldout_y))
        present = present[np.isfinite(present)]
        is_logarithmic = wants_logarithm and len(present) > 0 and bool(present.min() > 0)
        if is_logarithmic != self.is_logarithmic:
            self.is_logarithmic = is_logarithmic
            self.y_axis.setLogMode(is_logarithmic)
        if is_logarithmic:
            raw_y, heldout_y = np.log10(raw_y), np.log10(heldout_y)
            with np.errstate(invalid="ignore", divide="ignore"):  # a fitted line may dip below zero
                trend_y = np.log10(trend_y)
            trend_y[~np.isfinite(trend_y)] = np.nan
        self._drawn = ((raw_x, raw_y), (trend_x, trend_y), (heldout_x, heldout_y))
        limits = self._y_limits()
        _set_curve(self.raw, raw_x, raw_y, limits)
        _set_curve(self.trend, trend_x, trend_y, limits)
        _set_curve(self.heldout, heldout_x, heldout_y, limits)
        shown = np.isfinite(heldout_y)
        if limits is not None:
            shown &= (heldout_y >= limits[0]) & (heldout_y <= limits[1])
        self.markers.setData(heldout_x[shown], heldout_y[shown])

    def _y_limits(self) -> tuple[float, float] | None:
        """Far outside of what is shown; beyond it points are moved, since Qt draws enormous coordinates
        slowly and wrongly.
        """
        low, high = self.view_box.viewRange()[0]
        found = self.fitted_range(low, high, 0.0)
        if found is None:
            return None
        span = found[1] - found[0]
        return found[0] - 100 * span, found[1] + 100 * span

    def fitted_range(self, low: float, high: float, skipped_fraction: float) -> tuple[float, float] | None:
        """The y range that suits the curves last drawn between two x; in powers of ten where the axis is
        logarithmic.
        """
        raw, trend, heldout = self._drawn
        newest = tuple(float(y[-1]) for _, y in (trend if len(trend[0]) else raw, heldout) if len(y))
        recent = raw[1][-16:]
        recent = recent[np.isfinite(recent)]
        # A single wild step is the newest only for an instant; the median of the last few is where the curve
        # is.
        middle = (float(np.median(recent)),) if len(recent) else ()
        return value_range([raw, heldout], low, high, skipped_fraction, newest[1:] + middle)

    def _trend_at(self, x: float, plain: float | None) -> float | None:
        """The smoothed training value at x where one is drawn and finite, else the plain one."""
        trend_x, trend_y = self._drawn[1]
        if not self._is_smooth or len(trend_x) == 0 or plain is None or not math.isfinite(plain):
            return plain
        value = float(np.interp(x, trend_x, trend_y))
        if not math.isfinite(value):
            return plain
        return float(10**value) if self.is_logarithmic else value

    def show_cross(self, x: float | None, at_text: str = "") -> None:
        """The cross-hair at x with the values there in the title; None takes it away and shows the newest
        values.
        """
        numbers = self._numbers
        self.overlay.cross_x, self._at_text = x, at_text
        place = math.inf if x is None else x
        train = self._trend_at(place, _at(numbers.train_x, numbers.train_y, place))
        heldout = _at(numbers.heldout_x, numbers.heldout_y, place)
        check_x = _at(numbers.heldout_x, numbers.heldout_x, place)  # a check stands where it was made
        dots = () if x is None else ((x, train, self.colours.train), (check_x, heldout, self.colours.heldout))
        self.overlay.dots = tuple(
            (at, math.log10(value) if self.is_logarithmic else value, colour)
            for at, value, colour in dots
            if at is not None and value is not None and math.isfinite(value) and (value > 0 or not self.is_logarithmic)
        )
        self.overlay.update()
        self.title.set_values(_text(train), _text(heldout), at_text)

    def show_cross_again(self) -> None:
        """Renew what the title and the cross-hair say after new data."""
        self.show_cross(self.overlay.cross_x, self._at_text)

    def set_marks(self, marks: tuple[CurveMark, ...], *, with_texts: bool) -> None:
        """The setting changes to draw, in order of x."""
        if marks != self.overlay.marks or with_texts != self.overlay.shows_mark_texts:
            self.overlay.marks, self.overlay.shows_mark_texts = marks, with_texts
            self.overlay.update()

    @property
    def drawn_points(self) -> int:
        """How many points the longest curve holds."""
        return max(len(x) for x, _ in self._drawn)

    _at_text = ""
    _drawn: tuple[tuple[Floats, Floats], tuple[Floats, Floats], tuple[Floats, Floats]] = (
        (np.empty(0), np.empty(0)),
    ) * 3


def _set_curve(item: pg.PlotCurveItem, x: Floats, y: Floats, limits: tuple[float, float] | None) -> None:
    if limits is not None:
        y = np.clip(y, *limits)
    # Cutting lines at gaps costs time, so only where there are gaps.
    item.setData(x, y, connect="all" if len(y) == 0 or bool(np.isfinite(y).all()) else "finite")


def _text(value: float | None) -> str:
    return "" if value is None else shown_value(value)


def _at(x: np.ndarray, y: np.ndarray, place: float) -> float | None:
    """The value of the step nearest to a place on the x axis; the newest for infinity."""
    if len(x) == 0:
        return None
    right = int(np.searchsorted(x, place))
    left = max(right - 1, 0)
    right = min(right, len(x) - 1)
    return float(y[left] if abs(x[left] - place) <= abs(x[right] - place) else y[right])
