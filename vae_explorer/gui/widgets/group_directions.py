"""Attribute directions: made of two groups, applied to the active pin by sliders. GUI thread only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.widgets.group_parts import ChoiceBox, NameField, RemoveButton, Section, wrapped
from vae_explorer.gui.widgets.zero_slider import ZeroSlider
from vae_explorer.latent.arrangement import Arrangement, Direction, as_point

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Group
    from vae_explorer.latent.explorer import Explorer

SLOT = "selection"
STEPS_PER_UNIT = 10
ALL_OTHERS = "all others"


def with_amount(arrangement: Arrangement, name: str, amount: float) -> tuple[tuple[str, float], ...]:
    """The sliders' amounts after one was moved, in the order of the directions; zeros are left out."""
    amounts = dict(arrangement.amounts) | {name: amount}
    return tuple(
        (known.name, amounts[known.name]) for known in arrangement.directions if amounts.get(known.name, 0.0) != 0.0
    )


def amount_text(amount: float) -> str:
    """An amount with its sign: +1.2 ×."""
    return f"{amount:+.1f} ×".replace("-", "−") if amount else "0 ×"


class DirectionRow(QWidget):
    """One direction: name, what it says it is, slider, delete.

    moved(str, float): the slider of that direction. gesture_began(). removed(str). renamed(str, str): from, to.
    """

    moved = Signal(str, float)
    gesture_began = Signal()
    removed = Signal(str)
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.name = NameField()
        self.name.setMinimumWidth(60)
        self.slider = ZeroSlider(STEPS_PER_UNIT)
        self.slider.setMinimumWidth(60)
        self.slider.setToolTip("How much of this direction is added, in steps of 0.1; 0 or a double click resets.")
        self.amount = QLabel()
        self.amount.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.amount.setFixedWidth(self.fontMetrics().horizontalAdvance("−3.0 ×") + 4)
        self.summary = wrapped("")
        self.remove = RemoveButton()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 4)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.name, 0, 0, 1, 2)
        grid.addWidget(self.remove, 0, 2)
        grid.addWidget(self.slider, 1, 0)
        grid.addWidget(self.amount, 1, 1, 1, 2)
        grid.addWidget(self.summary, 2, 0, 1, 3)
        grid.setColumnStretch(0, 1)
        self.slider.moved.connect(self._move)
        self.slider.gesture_began.connect(self.gesture_began)
        self.remove.clicked.connect(self._remove)
        self.name.renamed.connect(self._rename)

    def show_direction(self, direction: Direction, amount: float, num_dimensions: int) -> None:
        """Another direction, or the same changed; one of another latent space is greyed and says so."""
        self._name = direction.name
        self.name.show_name(direction.name)
        self.name.setAccessibleName(f"Name of the direction {direction.name}")
        self.slider.show_value(amount)
        self.slider.setAccessibleName(f"Amount of {direction.name}")
        self.amount.setText(amount_text(amount))
        is_ours = len(direction.vector) == num_dimensions
        self.slider.setEnabled(is_ours)
        self.amount.setEnabled(is_ours)
        reason = f"It has {len(direction.vector)} dimensions; this latent space has {num_dimensions}."
        self.summary.setText(direction.summary if is_ours else reason)
        self.summary.setVisible(bool(self.summary.text()))
        self.remove.name_after(f"Delete the direction {direction.name}")

    @Slot(float)
    def _move(self, amount: float) -> None:
        self.moved.emit(self._name, amount)

    @Slot()
    def _remove(self) -> None:
        self.removed.emit(self._name)

    @Slot(str)
    def _rename(self, name: str) -> None:
        self.renamed.emit(self._name, name)


class DirectionsSection(Section):
    """Two groups subtracted, and the list of directions with their sliders.

    touched(str): the person moved the slider of this direction last. save_wanted(), load_wanted().
    """

    touched = Signal(str)
    save_wanted = Signal()
    load_wanted = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__("Attribute directions")
        self.session = session
        self.rows: list[DirectionRow] = []
        self._gesture = ""
        self.plus, self.minus = ChoiceBox("Group with the attribute"), ChoiceBox("Group without it")
        self.plus.setToolTip("The group that the direction leads to")
        self.minus.setToolTip("The group that it leads away from")
        self.add = QPushButton("Add")
        self.add.setToolTip("Make the direction from the mean code of the second group to that of the first")
        self.add.setAutoDefault(False)
        self.hint = wrapped("Make a group first; its mean code minus that of another is a direction.")
        self.load, self.save = QPushButton("Load…"), QPushButton("Save…")
        self.load.setToolTip("Load directions from a JSON file")
        self.save.setToolTip("Save these directions as a JSON file")
        maker = QGridLayout()
        maker.setSpacing(6)
        maker.addWidget(QLabel("+"), 0, 0)
        maker.addWidget(self.plus, 0, 1)
        maker.addWidget(QLabel("−"), 1, 0)
        maker.addWidget(self.minus, 1, 1)
        maker.addWidget(self.add, 1, 2)
        maker.setColumnStretch(1, 1)
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        ends = QHBoxLayout()
        ends.setSpacing(6)
        for button in (self.load, self.save):
            button.setAutoDefault(False)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            ends.addWidget(button)
        self.column.addWidget(self.hint)
        self.column.addLayout(maker)
        self.column.addLayout(self._list)
        self.column.addLayout(ends)
        self.finish()
        self.add.clicked.connect(self._make)
        self.load.clicked.connect(self.load_wanted)
        self.save.clicked.connect(self.save_wanted)
        session.map.arranged.connect(self._follow)
        session.snapshot_changed.connect(self._snapshot_came)
        session.dataset_changed.connect(self._show_groups)
        self._num_dimensions = -1
        self._show_groups()
        self._show_rows()

    # --- making one

    @Slot()
    def _make(self) -> None:
        plus: Group | None = self.plus.currentData()
        minus: Group | str | None = self.minus.currentData()
        dataset = self.session.dataset
        if plus is None or minus is None or dataset is None:
            return
        num_items = dataset.images.num_images
        mask_N = plus.items.mask(num_items)
        ids_plus = np.flatnonzero(mask_N)
        ids_minus = np.flatnonzero(~mask_N if isinstance(minus, str) else minus.items.mask(num_items))
        other = minus if isinstance(minus, str) else minus.name
        start, end = f"mean code of “{plus.name}”", other if isinstance(minus, str) else f"“{other}”"

        def work(explorer: Explorer) -> Direction:
            from vae_explorer.latent.attributes import attribute_direction

            codes_ND = explorer.codes()
            if codes_ND is None or explorer.snapshot is None or len(codes_ND) != num_items:
                raise UserError(
                    "This model has no latent point for each image.", "Choose a model with a single latent point."
                )
            made = attribute_direction(codes_ND, ids_plus, ids_minus)
            summary = (
                f"{start} minus mean code of {end}; separates them {100 * made.accuracy:.0f} % "
                f"(step {explorer.snapshot.step:,})"
            )
            return Direction(_shortened(f"{plus.name} − {other}"), as_point(made.vector_D), summary)

        self.say("")
        self.session.map.explore(SLOT, work, self._add, self._tell)

    def _add(self, direction: Direction) -> None:
        if len(direction.vector) == self.session.map.num_dimensions:
            self.session.map.add_direction(direction)

    def _tell(self, error: Exception) -> None:
        self.say(error.in_one_line if isinstance(error, UserError) else f"No direction: {error}.")

    # --- what is there

    @Slot(object, object)
    def _follow(self, before: Arrangement, after: Arrangement) -> None:
        if before.groups is not after.groups:
            self._show_groups()
        if before.directions is not after.directions or before.amounts != after.amounts:
            self._show_rows()

    @Slot()
    def _snapshot_came(self) -> None:
        if self._num_dimensions != self.session.map.num_dimensions:
            self._show_rows()

    @Slot()
    def _show_groups(self) -> None:
        dataset = self.session.dataset
        num_items = 0 if dataset is None else dataset.images.num_images
        groups = [group for group in self.session.map.arrangement.groups if group.items.mask(num_items).any()]
        names = [group.name for group in groups]
        self.plus.show_choices(names, groups)
        others: list[Group | str] = [*groups, ALL_OTHERS] if groups else []
        self.minus.show_choices([*names, ALL_OTHERS] if groups else [], others, chosen=1)
        for widget in (self.plus, self.minus, self.add):
            widget.setEnabled(bool(groups))
        self.hint.setVisible(not groups)

    def _show_rows(self) -> None:
        arrangement = self.session.map.arrangement
        self._num_dimensions = self.session.map.num_dimensions
        while len(self.rows) < len(arrangement.directions):
            row = DirectionRow()
            row.moved.connect(self._move)
            row.gesture_began.connect(self._begin_gesture)
            row.removed.connect(self._remove)
            row.renamed.connect(self._rename)
            self.rows.append(row)
            self._list.addWidget(row)
        for row in self.rows[len(arrangement.directions) :]:
            row.hide()
            self._list.removeWidget(row)
            row.deleteLater()
        del self.rows[len(arrangement.directions) :]
        amounts = dict(arrangement.amounts)
        for row, direction in zip(self.rows, arrangement.directions, strict=True):
            row.show_direction(direction, amounts.get(direction.name, 0.0), self._num_dimensions)
        self.save.setEnabled(bool(self.rows))

    @Slot()
    def _begin_gesture(self) -> None:
        self._gesture = self.session.map.new_gesture()

    @Slot(str, float)
    def _move(self, name: str, amount: float) -> None:
        self.touched.emit(name)
        amounts = with_amount(self.session.map.arrangement, name, amount)
        self.session.map.arrange(f"apply {name}", merge=self._gesture, amounts=amounts)

    @Slot(str)
    def _remove(self, name: str) -> None:
        arrangement = self.session.map.arrangement
        kept = tuple(known for known in arrangement.directions if known.name != name)
        amounts = tuple(entry for entry in arrangement.amounts if entry[0] != name)
        self.session.map.arrange(f"delete direction {name}", directions=kept, amounts=amounts)

    @Slot(str, str)
    def _rename(self, before: str, after: str) -> None:
        arrangement = self.session.map.arrangement
        if any(known.name == after for known in arrangement.directions):
            self.say(f"There is a direction named {after} already; choose another name.")
            return
        self.say("")
        directions = tuple(
            replace(known, name=after) if known.name == before else known for known in arrangement.directions
        )
        amounts = tuple((after if name == before else name, amount) for name, amount in arrangement.amounts)
        self.session.map.arrange(f"rename direction {before}", directions=directions, amounts=amounts)


def _shortened(name: str, most: int = 80) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
