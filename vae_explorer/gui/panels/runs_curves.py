"""The page of curves in the panel of runs: which metric of which runs, over what, and how smooth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.panels.bound_curves import AXES
from vae_explorer.gui.run_marks import CurveColours, RunMark
from vae_explorer.gui.threads.run_curves import MOST_DRAWN, CurvesRequest
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.gui.widgets.curve_board import SCHEDULES
from vae_explorer.gui.widgets.curve_data import shown_count
from vae_explorer.gui.widgets.group_parts import wrapped
from vae_explorer.gui.widgets.runs_plot import DrawnRun, RunsPlot
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.comparable import bound_of, drawn_together, score_term

if TYPE_CHECKING:
    from vae_explorer.gui.threads.run_curves import ReadCurves
    from vae_explorer.models.record import Term
    from vae_explorer.runs.run_summary import RunSummary

SPLITS = (
    ("heldout", "Held out", frozenset({"heldout"})),
    ("train", "Training", frozenset({"train"})),
    ("both", "Both", frozenset({"train", "heldout"})),
)
SMOOTHING = (("off", "Not smoothed", 0.0), ("light", "Smooth a little", 0.005), ("medium", "Smooth", 0.02),
             ("strong", "Smooth a lot", 0.06))  # fmt: skip
_CHOOSE = "Select runs in the table, or pin them, to see their curves here."
_UNITS = {name: unit for name, _, unit, _ in SCHEDULES}
_TITLES = {name: title for name, title, *_ in SCHEDULES} | {
    "active_units": "Active units",
    "gradient_norm": "Gradient norm",
}


class CurvesPage(QWidget):
    """Curves of the runs it is given, as far as they may share an axis.

    wanted(CurvesRequest): these should be read. drawn(dict): colour numbers of the runs that are drawn, by path.
    """

    wanted = Signal(object)
    drawn = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.request: CurvesRequest | None = None
        self._runs: tuple[RunSummary, ...] = ()
        self._shown: tuple[RunSummary, ...] = ()
        self._marks: Mapping[str, RunMark] = {}
        self._colours = CurveColours(len(theme.CLASS_COLOURS))
        self._read: ReadCurves | None = None
        self._names: tuple[str, ...] = ()
        self._name = ""
        self._num_more = 0
        self._refusal = ""
        self._instead = ""
        self._look: tuple[object, ...] = ()
        self.metric_field = ChoiceField("Metric", "What is drawn")
        self.splits = ChoiceField("Images", "On which images: the held-out ones are those to compare runs by")
        self.splits.offer([(title, name) for name, title, _ in SPLITS], "heldout")
        self.axis, self.smoothing = "images_seen", "light"
        self.view_button = QToolButton()
        self.view_button.setText("View ▾")
        self.view_button.setAccessibleName("Horizontal axis and smoothing")
        self.view_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.view_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        menu = QMenu(self.view_button)
        self._axes = self._choices(menu, [(name, f"Over {title.lower()}") for name, title in AXES], self.choose_axis)
        menu.addSeparator()
        self._amounts = self._choices(menu, [(name, title) for name, title, _ in SMOOTHING], self.choose_smoothing)
        self.view_button.setMenu(menu)
        self.all_button = QPushButton("Show all")
        self.all_button.setProperty("variant", "quiet")
        self.all_button.setToolTip("Show the whole of the runs again; a double click in the plot does the same")
        self.all_button.hide()
        self.plot = RunsPlot()
        self.sentence = wrapped("")
        tools = QHBoxLayout()
        tools.setSpacing(4)
        for field, share in ((self.metric_field, 1), (self.splits, 1)):
            field.activated.connect(self._ask)
            # The arrow has its own place; room for it twice would cost the last letters.
            field.setStyleSheet("QComboBox { padding-right: 2px; }")
            tools.addWidget(field, share)
        tools.addWidget(self.view_button)
        tools.addWidget(self.all_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(2)
        column.addLayout(tools)
        column.addWidget(self.plot, 1)
        column.addWidget(self.sentence)
        self.plot.zoomed.connect(self.all_button.setVisible)
        self.all_button.clicked.connect(self.plot.show_all)
        self._draw()

    @staticmethod
    def _choices(menu: QMenu, entries: Sequence[tuple[str, str]], choose: Callable[[str], None]) -> dict[str, QAction]:
        group, actions = QActionGroup(menu), {}
        for name, title in entries:
            action = menu.addAction(title)
            action.setCheckable(True)
            action.triggered.connect(lambda *_, name=name: choose(name))
            group.addAction(action)
            actions[name] = action
        return actions

    def choose_axis(self, name: str) -> None:
        """What the horizontal axis counts: `images_seen`, `step` or `seconds`."""
        self.axis = name
        self.plot.forget_zoom()
        self._ask()

    def choose_smoothing(self, name: str) -> None:
        """How much the training rows are smoothed: a name of `SMOOTHING`."""
        self.smoothing = name
        self._ask()

    def show_runs(self, runs: Sequence[RunSummary], marks: Mapping[str, RunMark]) -> None:
        """Other runs, the most important first, or the same with other marks."""
        self._runs, self._num_more = tuple(runs[:MOST_DRAWN]), max(0, len(runs) - MOST_DRAWN)
        self._marks = dict(marks)
        self._ask()

    def show_curves(self, read: ReadCurves) -> None:
        """Curves that were read; those of an earlier question are not shown."""
        if read.request == self.request:
            self._read = read
            self._draw()

    # --- what is remembered

    def memory(self) -> dict[str, Any]:
        """The choices above the plot."""
        splits = self.splits.currentData()
        return {"metric": self._name, "splits": splits, "axis": self.axis, "smoothing": self.smoothing}

    def restore(self, table: Mapping[str, Any]) -> None:
        """As it was remembered; what is not understood stays as it is."""
        if (row := self.splits.findData(table.get("splits"))) >= 0:
            self.splits.setCurrentIndex(row)
        if (axis := table.get("axis")) in self._axes:
            self.axis = str(axis)
        if (smoothing := table.get("smoothing")) in self._amounts:
            self.smoothing = str(smoothing)
        metric = table.get("metric")
        if isinstance(metric, str):
            self._name = metric
        self._draw()

    # --- asking and drawing

    @Slot()
    def _ask(self) -> None:
        """Ask for the curves of the runs as they are now; what is drawn stays until they come."""
        self._name = self.metric_field.currentData() or self._name
        if self._runs and self._name not in self._names_of(self._runs):
            self._name = score_term(self._runs[0].config).name
        together = drawn_together(self._runs, self._name)
        self._shown = tuple(self._runs[place] for place in together.drawn)
        more = f"The first {MOST_DRAWN} runs are drawn." if self._num_more else ""
        self._refusal = f"{together.refusal} {more}".strip()
        if not self._shown:
            self.request = self._read = None
            self._draw()
            return
        smoothing = next(share for name, _, share in SMOOTHING if name == self.smoothing)
        self.request = CurvesRequest(tuple(run.path for run in self._shown), self._name, self.axis, smoothing)
        if self._read is None or self._read.request == self.request:
            self._draw()
        else:
            self._show_words()
        self.wanted.emit(self.request)

    def _names_of(self, runs: Sequence[RunSummary]) -> tuple[str, ...]:
        """What may be drawn of these: what their files have, and before those are read what their models report."""
        found = dict.fromkeys(name for run in runs for name in (*run.last_heldout, *run.last))
        found |= dict.fromkeys(self._read.names if self._read is not None else ())
        found |= dict.fromkeys(score_term(run.config).name for run in runs)
        order = [term.name for record in MODELS for term in record.terms]
        known = [name for name in dict.fromkeys((*order, *_TITLES)) if name in found]
        return tuple(name for name in known if name not in {axis for axis, _ in AXES})

    def _term(self) -> Term | None:
        for run in self._shown:
            for term in MODELS[run.model].terms:
                if term.name == self._name:
                    return term
        return None

    def _show_words(self) -> None:
        """What stands around the plot, and the colours of the runs in the table."""
        names = self._names_of(self._runs)
        self.metric_field.offer([(_title_of(name, self._runs), name) for name in names], self._name)
        self._show_view()
        self._show_sentence()
        self.drawn.emit(self._colours.colours_of([str(run.path) for run in self._shown], self._marks))

    def _draw(self) -> None:
        self._show_words()
        read = self._read
        colours = self._colours.colours_of([str(run.path) for run in self._shown], self._marks)
        splits = next(parts for name, _, parts in SPLITS if name == self.splits.currentData())
        names = frozenset(run.name for run in self._shown)
        begins = [self._own_beginning(run, names) for run in self._shown]
        # At every look the same is asked for again: mostly there is nothing new to draw.
        runs = tuple((run.label, colours[str(run.path)], begin) for run, begin in zip(self._shown, begins, strict=True))
        look = (read, splits, runs)
        if look == self._look:
            return
        self._look = look
        seen: Counter[int] = Counter()
        drawn = []
        for run, begin in zip(self._shown, begins, strict=True):
            colour = colours[str(run.path)]
            curve = None if read is None else read.curves.get(run.path)
            if curve is not None:
                curve = curve if begin is None else curve.since(begin)
                drawn.append(DrawnRun(run.label, curve, colour, seen[colour] % 2 == 1))
            seen[colour] += 1
        term = self._term()
        unit = term.unit if term is not None else _UNITS.get(self._name, "")
        caption = ""
        if drawn:
            config = self._shown[0].config
            caption = f"{bound_of(config, self._name)}, {config.data.dataset}, protocol {config.data.protocol}"
        self._instead = ""
        has_train, has_heldout = (any(run.curve.has(split) for run in drawn) for split in ("train", "heldout"))
        if splits == {"heldout"} and has_train and not has_heldout:
            splits, title = frozenset({"train"}), _title_of(self._name, self._runs)
            self._instead = f"No held-out values of {title}: those of the training images are drawn."
        self._show_sentence()
        self.plot.show_runs(drawn, splits, unit=unit, axis=self.axis, title=dict(AXES)[self.axis], caption=caption)
        self.plot.say(self._why_empty(splits))

    def _own_beginning(self, run: RunSummary, drawn: frozenset[str]) -> float | None:
        """From where on a child is drawn: what it has from a parent that is drawn too would only hide that."""
        places = [getattr(fork, self.axis) for fork in run.ancestry.forks if fork.parent in drawn - {run.name}]
        return max((float(place) for place in places if math.isfinite(place)), default=None)

    def _show_sentence(self) -> None:
        """What is not drawn, or not what was chosen."""
        troubles = () if self._read is None else self._read.troubles
        sentence = " ".join(filter(None, [self._refusal, self._instead, *troubles]))
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))

    def _why_empty(self, splits: frozenset[str]) -> str:
        if not self._runs:
            return _CHOOSE
        if self._read is None:
            return "Reading…"
        if self.plot.has_points:
            return ""
        other = "the training images" if "train" not in splits else "the held-out images"
        title = _title_of(self._name, self._runs)
        return f"These runs have no values of {title} there; choose {other}, or another metric."

    def _show_view(self) -> None:
        """What is chosen in the menu, and what the smoothing does."""
        self._axes[self.axis].setChecked(True)
        self._amounts[self.smoothing].setChecked(True)
        half_life = 0.0 if self._read is None else self._read.half_life
        rule = "Smoothing: exponential mean of the training rows so far, over their pale extremes; never looks ahead."
        amount = ""
        if half_life:
            unit = {"seconds": "s", "step": "steps"}.get(self.axis, "images")
            amount = f"\nA row counts half as much every {shown_count(half_life)} {unit}."
        self.view_button.setToolTip(f"Horizontal axis and smoothing.\n{rule}{amount}")


def _title_of(name: str, runs: Sequence[RunSummary]) -> str:
    for run in runs:
        for term in MODELS[run.model].terms:
            if term.name == name:
                return term.title
    return _TITLES.get(name, name)
