"""The bound and its terms while they are trained: live curves over images seen, steps or seconds."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from vae_explorer.errors import plain
from vae_explorer.gui import theme
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.gui.widgets.curve_board import CurveBoard, schedules_of
from vae_explorer.gui.widgets.curve_data import shown_count, visible_slice
from vae_explorer.gui.widgets.curve_items import CurveMark
from vae_explorer.gui.widgets.curve_plot import CurveNumbers, CurvePlot
from vae_explorer.gui.widgets.curve_saving import CurveSaveButton
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.models.record import Term
    from vae_explorer.runs.course_events import Forked
    from vae_explorer.runs.past import Moment
    from vae_explorer.training.metric_history import Axis

REDRAW_INTERVAL_MS: Final = 100
AXES: Final = (("images_seen", "Images seen"), ("step", "Steps"), ("seconds", "Seconds"))
# Of the x range, left out of the y range: the fall of the first steps would flatten the rest.
_SKIPPED_FRACTION: Final = 0.04
_MOST_MARKS: Final = 200
_LONGEST_TOLD: Final = 16  # letters of a setting beside the word fork


class BoundCurvesPanel(QWidget):
    """The dock `panel.bound_curves`; GUI thread only.

    One plot for each term of the trained model's record, and a strip with beta, learning rate and speed, all
    over one x axis. Redraws at most ten times a second, one plot after the other so that no frame waits for
    all of them, and only while the panel is visible and something changed.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._is_active = False
        self._is_dirty = True
        self._is_following = True
        self._x_range = (0.0, 1.0)
        self._terms: tuple[Term, ...] = ()
        self._schedules: tuple[str, ...] = ()
        self._waiting: list[CurvePlot] = []
        self._last_cycle = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._redraw_next)
        self.board = CurveBoard(self._place_text)
        self.board.arranged.connect(self._mark_dirty)
        self.board.range_chosen.connect(self._show_range)
        self.board.follow_wanted.connect(self.follow_newest)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(2)
        column.addLayout(self._tool_row())
        column.addWidget(self.board, 1)
        theme.notifier().changed.connect(self._mark_dirty)
        session.history_changed.connect(self._mark_dirty)
        session.history_cleared.connect(self._history_cleared)
        session.validated.connect(self._mark_dirty)
        session.setting_marked.connect(self._mark_dirty)
        session.config_changed.connect(self._config_changed)
        session.timeline.moved.connect(self._rest_cross)
        self._show_terms()
        self.board.set_axis_label(self.axis_choice.currentText().lower())

    def _tool_row(self) -> QHBoxLayout:
        tip = "What the horizontal axis counts. Images seen can be compared across batch sizes."
        self.axis_choice = ChoiceField("Horizontal axis", tip)
        for name, title in AXES:
            self.axis_choice.addItem(title, name)
        self.axis_choice.show_whole(92)
        self.axis_choice.currentIndexChanged.connect(self._axis_changed)
        self.smooth = QCheckBox("Smooth")
        self.smooth.setChecked(True)
        self.smooth.setToolTip("Draw the trend over the pale single steps, fitted so that its right end does not lag.")
        self.smooth.toggled.connect(self._mark_dirty)
        self.logarithmic = QCheckBox("Log y")
        self.logarithmic.setToolTip("Logarithmic vertical axes, where all values are above zero.")
        self.logarithmic.toggled.connect(self._mark_dirty)
        self.schedules = QCheckBox("Schedules")
        self.schedules.setChecked(True)
        self.schedules.setToolTip("Show beta, learning rate and images per second below the terms.")
        self.schedules.toggled.connect(self.board.set_strip_wanted)
        self.follow = QPushButton("Show all")
        self.follow.setProperty("variant", "quiet")
        self.follow.setToolTip("Follow the newest steps again. A double click in a plot does the same.")
        self.follow.clicked.connect(self.follow_newest)
        self.follow.hide()
        self.note = QLabel()
        self.note.setObjectName("bound_curves.note")
        self.note.setProperty("variant", "muted")
        self.note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # A long path must not widen the panel.
        self.note.setMinimumWidth(1)
        self.recipe = QLabel()
        self.recipe.setObjectName("bound_curves.recipe")
        self.recipe.setProperty("variant", "muted")
        self.recipe.setMinimumWidth(1)
        self.save_button = CurveSaveButton(self.session, self.board, self._columns, self.redraw)
        self.save_button.noted.connect(self._show_note)
        row = QHBoxLayout()
        row.setSpacing(6)
        for widget in (self.axis_choice, self.smooth, self.logarithmic, self.schedules, self.follow):
            row.addWidget(widget)
        row.addWidget(self.recipe)
        row.addWidget(self.note, 1)
        row.addWidget(self.save_button)
        return row

    # What the session says

    def set_active(self, visible: bool) -> None:
        """Hidden curves are not drawn; shown again they catch up at once."""
        self._is_active = visible
        if visible:
            self._schedule()
        else:
            self._timer.stop()
            self._waiting = []
            self._is_dirty = True

    def _show_terms(self) -> None:
        run = self.session.run_directory
        config = self.session.config if run is None else run.config
        self._terms = MODELS[config.model_name].terms
        self._waiting = []
        self._schedules = schedules_of(config)
        self.board.show_terms(self._terms, self._schedules)

    @Slot()
    def _history_cleared(self) -> None:
        self._show_terms()
        self.follow_newest()

    @Slot(object)
    def _config_changed(self, _config: object) -> None:
        # Curves of a finished run keep the terms of the model that made them until the next run clears them.
        if len(self.session.history) == 0:
            self._show_terms()

    def _columns(self) -> list[str]:
        return [*(term.name for term in self._terms), *self._schedules]

    # Redrawing

    @Slot()
    def _mark_dirty(self, _change: object = None) -> None:
        self._is_dirty = True
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_active or not self._is_dirty or self._timer.isActive():
            return
        since = (time.monotonic() - self._last_cycle) * 1000
        self._timer.start(max(0, math.ceil(REDRAW_INTERVAL_MS - since)))

    @Slot()
    def _redraw_next(self) -> None:
        """Draw the next plot of this cycle, beginning a cycle where none is under way."""
        if not self._waiting:
            self._begin_cycle()
        if self._waiting:
            self._draw(self._waiting.pop(0))
        if self._waiting:
            self._timer.start(REDRAW_INTERVAL_MS // (len(self.board.plots()) + 2))
        elif self._is_dirty:
            self._schedule()

    def _begin_cycle(self) -> None:
        self._is_dirty = False
        self._last_cycle = time.monotonic()
        self._waiting = self.board.visible_plots()
        self.board.set_empty(len(self.session.history) == 0 and self.session.history.num_heldout == 0)
        if self._is_following:
            self._x_range = self._full_range()
        self._show_recipe()

    def _show_recipe(self) -> None:
        """Newest beta and learning rate as text where their plots have no room."""
        history = self.session.history
        has_text = not self.board.has_strip and self.schedules.isChecked() and len(history) > 0
        self.recipe.setVisible(has_text)
        if has_text:
            named = [name for name in self._schedules if name != "images_per_second"]
            self.recipe.setText(" · ".join(f"{_short_name(name)} {history.train(name)[-1]:.3g}" for name in named))

    def redraw(self) -> None:
        """Draw everything now; for saving, and for those who measure."""
        self._begin_cycle()
        while self._waiting:
            self._draw(self._waiting.pop(0))
        self._timer.stop()

    def _axis(self) -> Axis:
        name: Axis = self.axis_choice.currentData()
        return name

    def _data_end(self) -> float:
        history, axis = self.session.history, self._axis()
        columns = (history.axis(axis, "train"), history.axis(axis, "heldout"))
        ends = [float(x[-1]) for x in columns if len(x)]
        return max((end for end in ends if math.isfinite(end)), default=0.0)

    def _full_range(self) -> tuple[float, float]:
        end = self._data_end()
        if end <= 0:
            return 0.0, 1.0
        # The end moves in steps of a few percent: each move renews all ticks, which costs more than the
        # curves.
        low, high = self._x_range
        if low == 0.0 and high * 0.9 <= end <= high:
            return self._x_range
        return 0.0, end * 1.04

    def _draw(self, plot: CurvePlot) -> None:
        is_schedule = plot in self.board.strip_plots
        numbers = self._numbers(plot.name, is_schedule)
        plot.x_axis.shows_seconds = self._axis() == "seconds"
        plot.view_box.setXRange(*self._x_range, padding=0)
        is_smooth = self.smooth.isChecked() and not is_schedule
        plot.update_curves(numbers, is_smooth=is_smooth, wants_logarithm=self.logarithmic.isChecked())
        skips = self._is_following and not is_schedule and len(numbers.train_x) > 50
        wanted = plot.fitted_range(*self._x_range, _SKIPPED_FRACTION if skips else 0.0)
        if wanted is not None and not _fits(wanted, tuple(plot.view_box.viewRange()[1])):
            plot.view_box.setYRange(*wanted, padding=0)
        plot.set_marks(self._marks(), with_texts=plot is self.board.term_plots[0])
        plot.show_cross_again()

    def _numbers(self, name: str, is_schedule: bool) -> CurveNumbers:
        """The visible steps of a metric, with a neighbour on either side."""
        history, axis = self.session.history, self._axis()
        train_x, heldout_x = history.axis(axis, "train"), history.axis(axis, "heldout")
        seen = visible_slice(train_x, *self._x_range)
        if is_schedule:
            return CurveNumbers(train_x[seen], history.train(name)[seen], np.empty(0), np.empty(0))
        passed = visible_slice(heldout_x, *self._x_range)
        if any(term.name == name and term.is_heldout_only for term in self._terms):
            return CurveNumbers(np.empty(0), np.empty(0), heldout_x[passed], history.heldout(name)[passed])
        return CurveNumbers(train_x[seen], history.train(name)[seen], heldout_x[passed], history.heldout(name)[passed])

    def _marks(self) -> tuple[CurveMark, ...]:
        """Setting changes and forks over the x axis; of a drag through many values only the last one stays."""
        axis = self._axis()
        closest = (self._x_range[1] - self._x_range[0]) / 150
        ancestry = self.session.ancestry
        found: list[tuple[str, CurveMark]] = []
        for change in (*ancestry.changes, *self.session.marks)[-_MOST_MARKS:]:
            mark = CurveMark(float(getattr(change, axis)), f"{_short_name(change.path)} {change.new:.4g}")
            if found and found[-1][0] == change.path and mark.x - found[-1][1].x < closest:
                found.pop()
            found.append((change.path, mark))
        forks = [CurveMark(float(getattr(fork, axis)), _fork_text(fork)) for fork in ancestry.forks[-_MOST_MARKS:]]
        # What an older version wrote of a fork says only its step.
        marks = [mark for mark in (*forks, *(mark for _, mark in found)) if math.isfinite(mark.x)]
        return tuple(sorted(marks, key=lambda mark: mark.x))

    # Looking closer

    @Slot()
    def follow_newest(self) -> None:
        """Show the whole run and follow it."""
        self._is_following = True
        self._x_range = (0.0, 0.0)
        self.follow.hide()
        self._mark_dirty()

    @Slot()
    def _axis_changed(self) -> None:
        self.board.set_axis_label(self.axis_choice.currentText().lower())
        self.follow_newest()
        self._rest_cross(self.session.timeline.moment)

    @Slot(object)
    def _rest_cross(self, moment: Moment | None) -> None:
        """Where no mouse is over the curves, the cross-hair stands at the moment of the past that is looked at."""
        self.board.rest_cross(None if moment is None else float(getattr(moment, self._axis())))

    @Slot(float, float)
    def _show_range(self, low: float, high: float) -> None:
        """Show this part of the run in all plots, at least some of it data."""
        whole = max(self._data_end() * 1.04, 1e-9)
        width = min(max(high - low, whole * 1e-5), whole * 1.2)
        low = min(max(low, -0.05 * whole), whole * 1.05 - width / 2)
        self._is_following = False
        self._x_range = (low, low + width)
        self.follow.show()
        for plot in self.board.plots():
            plot.view_box.setXRange(*self._x_range, padding=0)
        self._mark_dirty()

    def _place_text(self, x: float) -> str:
        name = self._axis()
        if name == "seconds":
            return f"{x:.1f} s"
        return f"{shown_count(x)} images" if name == "images_seen" else f"step {x:,.0f}"

    @Slot(str)
    def _show_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setToolTip(text)


def _fits(wanted: tuple[float, float], shown: tuple[float, ...]) -> bool:
    """Whether a shown y range still suits, so that axes do not twitch with every step."""
    low, high = wanted
    span = high - low
    inside = shown[0] <= low + 0.05 * span and shown[1] >= high - 0.05 * span
    return inside and (shown[1] - shown[0]) <= 1.25 * span


def _fork_text(fork: Forked) -> str:
    """That a run left its parent, and one setting that it changed there."""
    told = [f"{_short_name(path)} {new}" for path, _, new in fork.changed if path != "training.epochs"]
    return "fork" if not told else f"fork, {plain(told[0])[:_LONGEST_TOLD]}{'…' if len(told) > 1 else ''}"


def _short_name(path: str) -> str:
    """A few characters for a setting: the initials of its words where it has several, else itself."""
    words = path.rpartition(".")[2].split("_")
    return words[0] if len(words) == 1 else "".join(word[0] for word in words)
