"""Painted parts of a curve plot: its axis, its title and legend, its grid, and what lies over the curves.

Created once and updated. GUI thread only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsSceneMouseEvent, QStyleOptionGraphicsItem, QWidget

from vae_explorer.gui.widgets.curve_data import shown_count

TITLE_HEIGHT = 20
_LEAST_FOR_CAPTIONS = 340.0
_LEAST_FOR_LARGE = 270.0


@dataclass(frozen=True, slots=True)
class CurveColours:
    """Colours of one plot as `#rrggbb`."""

    train: str
    raw: str  # the training curve when its trend is drawn over it
    heldout: str
    text: str
    muted: str
    grid: str
    background: str


@dataclass(frozen=True, slots=True)
class CurveMark:
    """A setting that changed while the run went on: its place on the x axis and a few characters."""

    x: float
    text: str


def mixed(colour: str, other: str, share: float) -> str:
    """`colour` with `share` of `other` in it; opaque, since transparent pens are drawn several
    times slower.
    """
    a, b = QColor(colour), QColor(other)
    parts = [round(p + (q - p) * share) for p, q in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)]  # type: ignore[index]
    return QColor(*parts).name()


class CountAxis(pg.AxisItem):
    """An x axis of counts (950, 12.4 k, 3 M) or, for seconds, of minutes and hours."""

    def __init__(self) -> None:
        super().__init__("bottom", maxTickLength=-4)
        self.enableAutoSIPrefix(False)
        self.shows_seconds = False

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Round distances, so many that the texts of neighbours do not touch."""
        metrics = QFontMetricsF(self.style["tickFont"] or self.font())
        last = _clock(maxVal) if self.shows_seconds else ""
        most = max(1.0, size / (max(map(metrics.horizontalAdvance, ("888 k", last))) + 18.0))
        least = abs(maxVal - minVal) / most
        if least <= 0:
            return [(1.0, 0.0)]
        if self.shows_seconds and least > 10:
            found = next((step for step in _CLOCK_STEPS if step >= least), None)
            if found is not None:
                return [(found, 0.0)]
        decade = 10.0 ** math.floor(math.log10(least))
        return [(next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= least * (1 - 1e-9)), 0.0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """The texts beside the ticks."""
        del scale, spacing
        return [_clock(v) if self.shows_seconds else shown_count(v) for v in values]


_CLOCK_STEPS = (20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 18000.0, 36000.0)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:g} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600} h {whole // 60 % 60:02d}"


class XOnlyViewBox(pg.ViewBox):
    """Wheel and drag move the x axis; a double click asks to follow the newest steps again."""

    follow_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.setMouseEnabled(x=True, y=False)
        self.disableAutoRange()

    def mouseDoubleClickEvent(self, event: QGraphicsSceneMouseEvent) -> None:
        """Follow again."""
        self.follow_wanted.emit()
        event.accept()


class CurveTitle(pg.GraphicsWidget):
    """Title and legend in one line: name, training sample and value, held-out sample and value."""

    def __init__(self, title: str, unit: str, tool_tip: str) -> None:
        super().__init__()
        self.title, self.unit = title, unit
        self.train_text, self.heldout_text, self.at_text = "", "", ""
        self.shows_unit = False
        self.has_heldout = True
        self._colours: CurveColours | None = None
        self.setToolTip(tool_tip)
        self.setFixedHeight(TITLE_HEIGHT)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemClipsToShape)

    def set_colours(self, colours: CurveColours) -> None:
        """Recolour."""
        self._colours = colours
        self.update()

    def set_values(self, train: str, heldout: str, at: str = "") -> None:
        """The numbers shown; `at` says where the cross-hair stands, empty for the newest values."""
        if (train, heldout, at) != (self.train_text, self.heldout_text, self.at_text):
            self.train_text, self.heldout_text, self.at_text = train, heldout, at
            self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        """Draw from left to right; in a narrow title captions, size and decimals go first, then the end of the name."""
        del option, widget
        colours = self._colours
        if colours is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plain, bold = QFont(painter.font()), QFont(painter.font())
        bold.setBold(True)
        in_plain, in_bold = QFontMetricsF(plain), QFontMetricsF(bold)
        width, middle = self.size().width(), TITLE_HEIGHT / 2

        def write(x: float, text: str, colour: str, font: QFont, metrics: QFontMetricsF) -> float:
            advance = metrics.horizontalAdvance(text)
            if x + advance > width + 1:
                return x
            painter.setFont(font)
            painter.setPen(QColor(colour))
            painter.drawText(QRectF(x, 0, advance + 2, TITLE_HEIGHT), Qt.AlignmentFlag.AlignVCenter, text)
            return x + advance

        entries = [("train" if self.has_heldout else "", self.train_text or "–", colours.train)]
        if self.has_heldout:
            entries.append(("held out", self.heldout_text or "–", colours.heldout))
        captions = [caption and f"{caption} " for caption, _, _ in entries]
        sample, gap = 24.0, 14.0

        def needed() -> float:
            texts = sum(in_bold.horizontalAdvance(value) for _, value, _ in entries)
            return texts + sum(in_plain.horizontalAdvance(text) for text in captions) + len(entries) * (sample + gap)

        left = 8.0
        # By the width alone, so that titles side by side look alike.
        if width < _LEAST_FOR_CAPTIONS or left + in_bold.horizontalAdvance(self.title) + needed() > width:
            captions = [""] * len(entries)
        if width < _LEAST_FOR_LARGE or left + in_bold.horizontalAdvance(self.title) + needed() > width:
            sample, gap = 14.0, 6.0
            for font in (plain, bold):
                font.setPointSizeF(font.pointSizeF() - 1.0)
            in_plain, in_bold = QFontMetricsF(plain), QFontMetricsF(bold)
        if left + in_bold.horizontalAdvance(self.title) + needed() > width:
            entries = [(caption, _rounded(value), colour) for caption, value, colour in entries]
        title = in_bold.elidedText(self.title, Qt.TextElideMode.ElideRight, max(width - left - needed() - 2, 30.0))
        x = write(left, title, colours.text, bold, in_bold)
        if self.shows_unit and self.unit and x + in_plain.horizontalAdvance(self.unit) + 6 + needed() < width:
            x = write(x + 6, self.unit, colours.muted, plain, in_plain)
        x += min(12.0, gap)
        for (_, value, colour), caption in zip(entries, captions, strict=True):
            if x + sample + in_plain.horizontalAdvance(caption) + in_bold.horizontalAdvance(value) > width + 1:
                break
            painter.setPen(QPen(QColor(colour), 2))
            painter.drawLine(QPointF(x, middle), QPointF(x + sample - 5, middle))
            if colour is colours.heldout and self.has_heldout:
                painter.setBrush(QColor(colour))
                painter.drawEllipse(QPointF(x + (sample - 5) / 2, middle), 3, 3)
            x = write(x + sample, caption, colours.muted, plain, in_plain)
            x = write(x, value, colours.text, bold, in_bold) + gap
        if self.at_text:
            write(x, self.at_text, colours.muted, plain, in_plain)


def _rounded(text: str) -> str:
    """A value with at most one decimal, where there is no room for two."""
    whole, point, decimals = text.partition(".")
    return f"{float(text):.1f}" if point and len(whole) > 1 and len(decimals) == 2 and decimals.isdigit() else text


class CurveGrid(pg.GraphicsObject):
    """Lines at the axes' main ticks, behind the curves.

    pyqtgraph's own grid is drawn with transparent pens by the axes and took four fifths of all the time of
    painting.
    """

    def __init__(self, view_box: pg.ViewBox, x_axis: pg.AxisItem, y_axis: pg.AxisItem) -> None:
        super().__init__()
        self.setParentItem(view_box)
        self.setZValue(-50)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self._view_box, self._axes, self._pen = view_box, (x_axis, y_axis), QPen()
        view_box.sigRangeChanged.connect(self._view_changed)
        view_box.sigResized.connect(self._view_changed)

    def _view_changed(self, *_: object) -> None:
        self.prepareGeometryChange()
        self.update()

    def set_colour(self, colour: str) -> None:
        self._pen = QPen(QColor(colour), 1)
        self.update()

    def boundingRect(self) -> QRectF:
        """The whole view box."""
        return QRectF(self._view_box.rect())

    def paint(self, painter: QPainter, *_: object) -> None:
        """Draw the lines in the view box's pixels."""
        area = self.boundingRect()
        painter.setPen(self._pen)
        for axis, (low, high), length in zip(
            self._axes, self._view_box.viewRange(), (area.width(), area.height()), strict=True
        ):
            levels = axis.tickValues(low, high, length) if high > low and length > 0 else []
            for value in levels[0][1] if levels else ():
                share = (value - low) / (high - low)
                if axis.orientation == "bottom":
                    x = area.left() + share * area.width()
                    painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
                else:
                    y = area.bottom() - share * area.height()
                    painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))


class CurveOverlay(pg.GraphicsObject):
    """Marks, cross-hair and its dots, painted in the view box's pixels over the curves as one item."""

    def __init__(self, view_box: pg.ViewBox) -> None:
        super().__init__()
        self.setParentItem(view_box)
        self.setZValue(50)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self._view_box = view_box
        self._colours: CurveColours | None = None
        self.marks: tuple[CurveMark, ...] = ()
        self.shows_mark_texts = False
        self.has_texts_below = False
        self.cross_x: float | None = None
        self.dots: tuple[tuple[float, float, str], ...] = ()  # x and y in view coordinates, colour
        view_box.sigRangeChanged.connect(self._view_changed)
        view_box.sigResized.connect(self._view_changed)

    def _view_changed(self, *_: object) -> None:
        self.prepareGeometryChange()
        self.update()

    def set_colours(self, colours: CurveColours) -> None:
        self._colours = colours
        self.update()

    def boundingRect(self) -> QRectF:
        """The whole view box."""
        return QRectF(self._view_box.rect())

    def paint(self, painter: QPainter, *_: object) -> None:
        """Draw dashed marks with their texts, then the cross-hair."""
        colours = self._colours
        if colours is None or (not self.marks and self.cross_x is None):
            return
        area = self.boundingRect()
        (x_low, x_high), (y_low, y_high) = self._view_box.viewRange()
        if x_high <= x_low or y_high <= y_low:
            return

        def place(x: float) -> float:
            return area.left() + (x - x_low) / (x_high - x_low) * area.width()

        font = QFont(painter.font())
        font.setPointSizeF(max(font.pointSizeF() - 1.5, 7.0))
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        marks = [(place(mark.x), mark.text) for mark in self.marks if x_low <= mark.x <= x_high]
        painter.setPen(QPen(QColor(colours.muted), 1, Qt.PenStyle.DashLine))
        for at, _text in marks:
            painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()))
        if self.shows_mark_texts:
            painter.setPen(QColor(colours.text))
            for box, words in placed_texts(marks, area, metrics, from_below=self.has_texts_below):
                painter.fillRect(box.adjusted(-1, 0, 1, 0), QColor(colours.background))
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        if self.cross_x is None or not x_low <= self.cross_x <= x_high:
            return
        at = place(self.cross_x)
        painter.setPen(QPen(QColor(colours.text), 1))
        painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x, y, colour in self.dots:
            if x_low <= x <= x_high and y_low <= y <= y_high:
                painter.setPen(QPen(QColor(colours.background), 1))
                painter.setBrush(QColor(colour))
                down = area.bottom() - (y - y_low) / (y_high - y_low) * area.height()
                painter.drawEllipse(QPointF(place(x), down), 3.5, 3.5)


def placed_texts(
    marks: Sequence[tuple[float, str]], area: QRectF, metrics: QFontMetricsF, *, from_below: bool
) -> list[tuple[QRectF, str]]:
    """Where the texts of marks stand, in order of x: beside their mark, in the next line where the one before
    is in the way. More lines than half the plot are not taken; what finds no room there is left out.
    """
    line_height = metrics.height()
    taken_until = [-math.inf] * max(1, int(area.height() / 2 / line_height))
    placed = []
    for at, text in marks:
        width = metrics.horizontalAdvance(text)
        left = at + 3 if at + 3 + width < area.right() else at - 3 - width
        line = next((number for number, end in enumerate(taken_until) if left > end), None)
        if line is None:
            continue
        taken_until[line] = left + width + 6
        top = area.bottom() - (line + 1) * line_height - 1 if from_below else area.top() + 1 + line * line_height
        placed.append((QRectF(left, top, width, line_height), text))
    return placed


def recoloured(colours: CurveColours, train: str) -> CurveColours:
    """The same surroundings with another curve colour; the held-out curve is a contrasting shade of it."""
    return replace(
        colours,
        train=train,
        raw=mixed(train, colours.background, 0.62),
        heldout=mixed(train, colours.text, 0.5),
    )
