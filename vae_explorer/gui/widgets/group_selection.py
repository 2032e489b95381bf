"""Selecting by label and by value, and what is selected. GUI thread only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy

from vae_explorer.errors import UserError
from vae_explorer.gui.widgets.group_parts import ChoiceBox, Section
from vae_explorer.latent.arrangement import ItemSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtWidgets import QWidget

    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.explorer import Explorer

SLOT = "values"
"""Values of all items can take half a minute: asked of the surveying thread, so that the map goes on meanwhile. What
is asked about the members waits until then, or, where the selection changes, takes the place of the question."""
_PROGRESS_SECONDS = 0.3
VALUES = (
    ("elbo", "ELBO", "nats"),
    ("reconstruction", "Reconstruction", "nats"),
    ("kl", "KL", "nats"),
    ("distance", "Distance from the view", "latent units"),
)
"""Name, title and unit of what items can be selected by."""


class SelectionSection(Section):
    """How many items are selected, and every way to select but those by the mouse on the map.

    save_wanted(): the person wants the list of selected items in a file.
    """

    save_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__("Selection")
        self.session = session
        self._is_looking = False
        self.count = QLabel()
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.count.setAccessibleName("Number of selected items")
        self.label = ChoiceBox("Class to select")
        self.label.setToolTip("The class whose images are selected")
        self.select_label = QPushButton("Select")
        self.select_label.setToolTip("Select the images of this class; with Ctrl add them to the selection")
        self.add_label = QPushButton("Add")
        self.add_label.setToolTip("Add the images of this class to the selection")
        self.value = ChoiceBox("Value to select by")
        self.value.show_choices([title for _, title, _ in VALUES], [name for name, _, _ in VALUES])
        self.value.setToolTip("What the images are chosen by; values not known yet are computed first")
        self.low, self.high = _bound("lowest"), _bound("highest")
        self.unit = QLabel()
        self.unit.setProperty("variant", "muted")
        self.select_value = QPushButton("Select")
        self.select_value.setToolTip("Select the images whose value lies within these bounds")
        self.invert = QPushButton("Invert")
        self.invert.setToolTip("Select all that is not selected")
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Select nothing; the other points are no longer dimmed")
        self.save = QPushButton("Save list…")
        self.save.setToolTip("Save the selected items as CSV with their classes, or as plain indices")
        for row in (
            (self.label, self.select_label, self.add_label),
            (self.value, self.select_value),
            (self.low, _word("to"), self.high, self.unit),
            (self.invert, self.clear, self.save),
        ):
            self.column.addLayout(_line(row))
            if self.column.count() == 2:
                self.column.insertWidget(1, self.count)
        self.finish()
        for button, slot in (
            (self.select_label, self._select_label), (self.add_label, self._add_label),
            (self.select_value, self._select_value), (self.invert, self._invert), (self.clear, self.clear_selection),
            (self.save, self.save_wanted),
        ):  # fmt: skip
            _tighten(button)
            button.clicked.connect(slot)
        for field in (self.low, self.high):
            field.returnPressed.connect(self._select_value)
            field.textEdited.connect(self._forgive)
        self.value.currentIndexChanged.connect(self._show_unit)
        session.map.arranged.connect(self._follow)
        session.dataset_changed.connect(self._take_dataset)
        self._show_unit()
        self._take_dataset()

    @property
    def num_items(self) -> int:
        """How many items there are to select from."""
        dataset = self.session.dataset
        return 0 if dataset is None else dataset.images.num_images

    @Slot()
    def clear_selection(self) -> None:
        """Nothing is selected."""
        self.stop_looking()
        self.session.map.select(None, "clear the selection")

    def stop_looking(self) -> None:
        """What is being looked for by value is no longer wanted."""
        self.say("")
        if self._is_looking:
            self.session.map.withdraw(SLOT)
            self._show_looking(False)

    # --- by label

    @Slot()
    def _select_label(self) -> None:
        is_adding = QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier
        self._take_label(bool(is_adding))

    @Slot()
    def _add_label(self) -> None:
        self._take_label(True)

    def _take_label(self, is_adding: bool) -> None:
        from vae_explorer.latent.picking import items_of_label

        name = self.label.currentText()
        try:
            ids = items_of_label(self.session.dataset, self.label.currentIndex())
        except UserError as error:
            self.say(error.in_one_line)
            return
        before = self.session.map.arrangement.selection
        if is_adding and before is not None:
            ids = np.concatenate([before.ids, ids])
        if len(ids):
            self.session.map.select(ItemSet(ids), f"{'add' if is_adding else 'select'} {name}")
        self.say("" if len(ids) else f"No image is of class {name}.")

    # --- by value

    @Slot()
    def _select_value(self) -> None:
        if self._is_looking:
            self.stop_looking()
            return
        bounds = [_number(field, default) for field, default in ((self.low, -np.inf), (self.high, np.inf))]
        low, high = bounds
        if low is None or high is None:
            self.say("A bound must be a number, or empty for no bound.")
            return
        if low > high:
            self.say("The lower bound is above the upper one; exchange them.")
            return
        name, title, unit = VALUES[self.value.currentIndex()]
        view = self.session.map.view

        def work(explorer: Explorer) -> Iterator[object]:
            from vae_explorer.latent.picking import items_in_value_range

            found = items_in_value_range(explorer, name, low, high, view)
            return found if name == "distance" else _with_progress(explorer, name, found)

        def show(answer: np.ndarray | float) -> None:
            if isinstance(answer, float):
                self.say(f"Computing {title} of all images: {100 * answer:.0f} %")
                return
            self._show_looking(False)
            self.say("" if len(answer) else f"No image has such a value of {title}, in {unit}.")
            if len(answer):
                self.session.map.select(ItemSet(answer), f"select by {title}")

        if name == "distance" and view is None:
            self.say("There is no view yet to measure a distance from.")
            return
        self.say("Looking for these images…")
        self._show_looking(True)
        self.session.map.explore(SLOT, work, show, self._tell)

    def _show_looking(self, is_looking: bool) -> None:
        self._is_looking = is_looking
        self.select_value.setText("Stop" if is_looking else "Select")

    def _tell(self, error: Exception) -> None:
        self._show_looking(False)
        if isinstance(error, UserError):
            self.say(error.in_one_line)
        else:
            self.say(f"The images could not be found: {error}.")

    @Slot()
    def _forgive(self) -> None:
        for field in (self.low, self.high):
            _mark(field, is_valid=True)
        self.say("")

    @Slot()
    def _show_unit(self) -> None:
        self.unit.setText(VALUES[self.value.currentIndex()][2])

    # --- all of them

    @Slot()
    def _invert(self) -> None:
        before = self.session.map.arrangement.selection
        mask_N = np.zeros(self.num_items, dtype=bool) if before is None else before.mask(self.num_items)
        self.session.map.select(ItemSet(np.flatnonzero(~mask_N)), "invert the selection")
        self.say("Everything was selected; now nothing is." if mask_N.all() else "")

    # --- following

    @Slot(object, object)
    def _follow(self, before: Arrangement, after: Arrangement) -> None:
        if before.selection != after.selection:
            # What the person selected meanwhile counts.
            self.stop_looking()
            self._show_count()

    @Slot()
    def _take_dataset(self) -> None:
        dataset = self.session.dataset
        names = [] if dataset is None or dataset.labels_N is None else list(dataset.class_names)
        self.label.show_choices(names, list(range(len(names))))
        for by_label in (self.label, self.select_label, self.add_label):
            by_label.setEnabled(bool(names))
        if dataset is not None and not names:
            self.label.setToolTip("These images have no labels.")
        for widget in (self.value, self.select_value, self.low, self.high, self.invert):
            widget.setEnabled(dataset is not None)
        self.stop_looking()
        self._show_count()

    def _show_count(self) -> None:
        selection = self.session.map.arrangement.selection
        num = 0 if selection is None else int(selection.mask(self.num_items).sum())
        self.count.setText(f"{num:,} of {self.num_items:,} selected" if self.num_items else "No images yet")
        for button in (self.clear, self.save):
            button.setEnabled(num > 0)


def _with_progress(explorer: Explorer, name: str, found: Iterator[object]) -> Iterator[object]:
    """The same, with the known share of the values as a float now and then. On an exploring thread."""
    from vae_explorer.latent.code_values import known_values

    told_at = time.monotonic()
    for answer in found:
        if answer is not None or time.monotonic() - told_at < _PROGRESS_SECONDS:
            yield answer
            continue
        told_at = time.monotonic()
        known = known_values(explorer, name)
        yield None if known is None else known.num_known / len(known.value_N)


def _bound(word: str) -> QLineEdit:
    field = QLineEdit()
    field.setPlaceholderText(word)
    field.setAccessibleName(f"{word.capitalize()} value")
    field.setToolTip(f"The {word} value; empty for no bound. Enter selects.")
    field.setMaxLength(24)
    field.setMinimumWidth(48)
    return field


def _number(field: QLineEdit, default: float) -> float | None:
    text = field.text().strip().replace("−", "-")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    is_valid = not np.isnan(value)
    _mark(field, is_valid=is_valid)
    return value if is_valid else None


def _mark(field: QLineEdit, *, is_valid: bool) -> None:
    if field.property("invalid") != (not is_valid):
        field.setProperty("invalid", not is_valid)
        field.style().unpolish(field)
        field.style().polish(field)


def _word(text: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("variant", "muted")
    return label


def _tighten(button: QPushButton) -> None:
    button.setStyleSheet("QPushButton { padding-left: 10px; padding-right: 10px; }")
    button.setAutoDefault(False)


def _line(widgets: tuple[QWidget, ...]) -> QHBoxLayout:
    line = QHBoxLayout()
    line.setSpacing(6)
    for widget in widgets:
        line.addWidget(widget)
    return line
