"""The plots of a run on one surface: where they stand, their colours, and the cross-hair through
all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.curve_items import TITLE_HEIGHT, CurveColours, recoloured
from vae_explorer.gui.widgets.curve_plot import CurvePlot
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.models.record import Term
    from vae_explorer.training.run_config import RunConfig

_STRIP_HEIGHT: Final = 74
_LEAST_HEIGHT_FOR_STRIP: Final = 190
_LEAST_PLOT_HEIGHT: Final = 72
_GOOD_PLOT_HEIGHT: Final = 130  # lower plots make no room for the terms of the held-out checks alone
_LEAST_PLOT_WIDTH: Final = 150
_GOOD_PLOT_WIDTH: Final = 190  # narrower plots stand side by side only where they cannot above each other
_LEAST_HEIGHT_FOR_LABEL: Final = 170  # below it the axis' choice above the plots has to do
_LEAST_HEIGHT_FOR_UNIT: Final = 96  # below it the unit stands in the title instead of beside the axis

# What the recipe did, drawn small below the terms: column, title, unit, how it is worked out.
SCHEDULES: Final = (
    ("beta", "Beta", "", "Weight of the KL term at each step, warm-up included"),
    ("learning_rate", "Learning rate", "", "Step size of the optimiser at each step, schedule included"),
    ("images_per_second", "Speed", "images/s", "Images trained a second, pauses left out"),
)


def schedules_of(config: RunConfig) -> tuple[str, ...]:
    """The schedules that a training by this configuration follows."""
    left_out = set()
    if not hasattr(config.model, "beta"):
        left_out.add("beta")
    if MODELS[config.model_name].is_fitted:
        left_out.add("learning_rate")
    return tuple(name for name, *_ in SCHEDULES if name not in left_out)


class CurveBoard(pg.GraphicsLayoutWidget):
    """One plot for each term, side by side or above each other as the room allows, and a strip of schedules
    below.

    One scene of its own, so that a new curve repaints nothing but its plot. arranged(): plots were placed
    anew and need their data. range_chosen(float, float): a person zoomed or moved the x axis.
    follow_wanted(): a double click.
    """

    arranged = Signal()
    range_chosen = Signal(float, float)
    follow_wanted = Signal()

    def __init__(self, text_of_place: Callable[[float], str]) -> None:
        super().__init__()
        self._text_of_place = text_of_place
        self._terms: tuple[Term, ...] = ()
        self._schedules: tuple[str, ...] = ()
        self._axis_label = ""
        self._rests_at: float | None = None
        self._wants_strip = True
        self._arrangement: tuple[object, ...] = ()
        self.setMinimumSize(240, 120)
        self.setAccessibleName("Curves of the bound")
        self.setFrameShape(self.Shape.NoFrame)
        # Keys do nothing here.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.ci.setContentsMargins(0, 0, 0, 0)
        self.ci.layout.setSpacing(0)
        self._term_layout: pg.GraphicsLayout = self.addLayout(row=0, col=0)
        self._strip_layout: pg.GraphicsLayout = self.addLayout(row=1, col=0)
        for layout in (self._term_layout, self._strip_layout):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.layout.setContentsMargins(0, 0, 0, 0)
            layout.layout.setSpacing(2)
        self.term_plots: list[CurvePlot] = []
        self.strip_plots = [
            self._new_plot(name, title, unit, about, has_heldout=False) for name, title, unit, about in SCHEDULES
        ]
        self._empty = QLabel("The curves appear when training starts.", self)
        self._empty.setProperty("variant", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        self.viewport().installEventFilter(self)
        theme.notifier().changed.connect(self.recolour)

    def plots(self) -> list[CurvePlot]:
        """All plots, terms first."""
        return [*self.term_plots, *self.strip_plots]

    def visible_plots(self) -> list[CurvePlot]:
        """The plots that have room now."""
        return [plot for plot in self.plots() if plot.isVisible()]

    def _new_plot(self, name: str, title: str, unit: str, about: str, *, has_heldout: bool) -> CurvePlot:
        plot = CurvePlot(name, title, unit, tool_tip=about, has_heldout=has_heldout)
        plot.view_box.sigRangeChangedManually.connect(self._range_changed_by_hand)
        plot.view_box.follow_wanted.connect(self.follow_wanted)
        return plot

    def show_terms(self, terms: tuple[Term, ...], schedules: tuple[str, ...]) -> None:
        """One plot for each of these terms and schedules; nothing happens if they are shown already."""
        if (terms, schedules) == (self._terms, self._schedules):
            return
        self._terms, self._schedules = terms, schedules
        for plot in self.term_plots:
            if plot in self._term_layout.items:
                self._term_layout.removeItem(plot)
            plot.deleteLater()
        self.term_plots = [
            self._new_plot(
                term.name,
                term.title,
                term.unit,
                _about(term),
                has_heldout=True,
            )
            for term in terms
        ]
        for plot, term in zip(self.term_plots, terms, strict=True):
            # Away from the end of the curve: one that rises ends at the top, one that falls at the bottom.
            plot.overlay.has_texts_below = term.better == "higher"
        self.recolour()
        self.arrange()

    def set_axis_label(self, text: str) -> None:
        """What the x axis counts."""
        self._axis_label = text
        self.arrange()

    def set_strip_wanted(self, wanted: bool) -> None:
        """Whether beta, learning rate and speed are shown, where there is room for them."""
        self._wants_strip = wanted
        self.arrange()

    @property
    def has_strip(self) -> bool:
        """Whether the schedules are in sight."""
        return any(plot.isVisible() for plot in self.strip_plots)

    def set_empty(self, empty: bool) -> None:
        """Say that there is nothing to show yet, or no longer."""
        self._empty.setVisible(empty)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make the best of the room."""
        super().resizeEvent(event)
        if hasattr(self, "_empty"):  # the base class resizes once while it is being made
            self.arrange()

    def arrange(self) -> None:
        """Terms stand side by side in a wide panel and above each other in a tall one."""
        size = self.size()
        self._empty.setGeometry(0, 0, size.width(), size.height())
        # Terms of the held-out checks alone come after those of every step, and only where there is room for all.
        total = max(len(self.term_plots), 1)
        count = max(sum(not term.is_heldout_only for term in self._terms), 1)
        width, height = size.width(), size.height()
        stacked_height = _LEAST_PLOT_HEIGHT * count
        fits_beside = width >= _LEAST_PLOT_WIDTH * count
        # The terms come first: the strip gets what they leave.
        with_strip = (
            self._wants_strip
            and height >= _LEAST_HEIGHT_FOR_STRIP
            and (fits_beside or height - _STRIP_HEIGHT >= stacked_height)
        )
        room = height - with_strip * _STRIP_HEIGHT
        is_wide = width > 1.35 * height and width >= _GOOD_PLOT_WIDTH * count
        side_by_side = is_wide or (fits_beside and room < stacked_height)
        # Where not all fit above each other, the first ones are better than slivers of all.
        columns = count if side_by_side else 1
        num_rows = 1 if side_by_side else max(1, min(count, room // _LEAST_PLOT_HEIGHT))
        rows_of_all = -(-total // columns)
        if room >= rows_of_all * _GOOD_PLOT_HEIGHT:
            num_rows = rows_of_all
        num_shown = min(total, columns * num_rows)
        plot_height = room / num_rows - TITLE_HEIGHT
        with_unit = plot_height > _LEAST_HEIGHT_FOR_UNIT
        with_label = plot_height > _LEAST_HEIGHT_FOR_LABEL
        arrangement = (
            with_label,
            side_by_side,
            num_shown,
            with_strip,
            with_unit,
            tuple(self.term_plots),
            self._schedules,
            self._axis_label,
        )
        if arrangement == self._arrangement:
            return
        self._arrangement = arrangement
        for layout, plots in ((self._term_layout, self.term_plots), (self._strip_layout, self.strip_plots)):
            for plot in plots:
                if plot in layout.items:
                    layout.removeItem(plot)
                # Back into the scene, which owns plots also while they have no room and are hidden.
                plot.setParentItem(layout)
        for index, plot in enumerate(self.term_plots):
            plot.setVisible(index < num_shown)
            if index >= num_shown:
                continue
            self._term_layout.addItem(plot, index // columns, index % columns)
            has_ticks = index + columns >= num_shown
            plot.show_axis_texts(unit=with_unit, ticks=has_ticks, label=self._axis_label if with_label else "")
        shown = [plot for plot in self.strip_plots if with_strip and plot.name in self._schedules]
        for plot in self.strip_plots:
            plot.setVisible(plot in shown)
        for index, plot in enumerate(shown):
            self._strip_layout.addItem(plot, 0, index)
            plot.show_axis_texts(unit=False, ticks=False, label="")
        for set_height in (self._strip_layout.setMinimumHeight, self._strip_layout.setMaximumHeight):
            set_height(_STRIP_HEIGHT if with_strip else 0)
        # The surface could not become smaller than the earlier arrangement; now it can.
        self.ci.layout.activate()
        self.ci.setGeometry(QRectF(self.viewport().rect()))
        self.arranged.emit()
        if self._rests_at is not None:
            self.show_cross(None)

    @Slot(object)
    def recolour(self, _theme: object = None) -> None:
        """Take the theme's colours."""
        colours = theme.current()
        self.setBackground(colours.panel)
        # It lies over plots that have nothing to show yet.
        self._empty.setStyleSheet(f"background: {colours.panel};")
        ground = CurveColours(
            train=colours.text,
            raw=colours.faint,
            heldout=colours.text,
            text=colours.text,
            muted=colours.muted,
            grid=colours.grid,
            background=colours.panel,
        )
        for plot in self.plots():
            plot.set_colours(recoloured(ground, theme.term_colour(plot.name, colours.is_dark)))

    # Looking closer

    @Slot()
    def _range_changed_by_hand(self) -> None:
        view_box = self.sender()
        if isinstance(view_box, pg.ViewBox):
            self.range_chosen.emit(*view_box.viewRange()[0])

    @Slot(object)
    def _mouse_moved(self, place: QPointF) -> None:
        """Put the cross-hair at the same x in all plots."""
        for plot in self.visible_plots():
            if plot.view_box.sceneBoundingRect().contains(place):
                self.show_cross(plot.view_box.mapSceneToView(place).x())
                return
        self.show_cross(None)

    def rest_cross(self, x: float | None) -> None:
        """Where the cross-hair stands while no mouse is over the plots; None is nowhere."""
        self._rests_at = x
        self.show_cross(x)

    def show_cross(self, x: float | None) -> None:
        """The cross-hair through all plots, with the values there in the titles; None takes it where it rests."""
        x = self._rests_at if x is None else x
        at_text = "" if x is None else f"at {self._text_of_place(x)}"
        for plot in self.visible_plots():
            plot.show_cross(x, at_text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the cross-hair where it rests when the mouse leaves."""
        if event.type() == QEvent.Type.Leave:
            self.show_cross(None)
        return super().eventFilter(watched, event)

    def area(self) -> QRectF:
        """The part of the scene that is seen, for files."""
        return QRectF(self.rect())


def _about(term: Term) -> str:
    """The tool tip of a term's plot."""
    direction = "" if term.better == "neither" else f"The {term.better} the better. "
    curves = "Dots: held out." if term.is_heldout_only else "Line: training. Dots: held out."
    return f"{term.formula}\n{direction}{curves}"
