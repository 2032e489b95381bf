"""Which view the map shows, and what that view is made of: dimensions, directions, pins, anchor, lock, tour."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.gui.widgets.view_anchor import OF_DIMENSIONS, AnchorField
from vae_explorer.gui.widgets.view_fields import PairField, wrapped_label
from vae_explorer.gui.widgets.view_tour import TourControls
from vae_explorer.latent.arrangement import as_point
from vae_explorer.latent.view_catalogue import VIEWS, ViewChoice, views_for
from vae_explorer.latent.views import PlaneView, dimension_name

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement, Point

_ANCHORED = OF_DIMENSIONS | {"directions", "tour"}
_OF_POINTS = frozenset({"three-points", "sphere"})
_KL_MS = 1000


class ViewPicker(QWidget):
    """The list of views and the parameters of the one shown.

    A view that needs pins or directions which are not there yet can be looked at before it can be shown: its sentence
    says what is missing, and the map stays as it is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._is_active = False
        self._num_dimensions = 0
        self._wanted = ""
        self.names = ChoiceField("View")
        self.names.setObjectName("view.name")
        self.names.activated.connect(self._choose_name)
        self.summary = wrapped_label("muted")
        self.dimensions = PairField(
            ("x", "y"), ("Latent dimension along x", "Latent dimension along y"),
            "Latent dimensions, those with the largest KL (nats per image) first",
        )  # fmt: skip
        self.directions = PairField(
            ("x", "y"), ("Direction along x", "Direction along y"), "Attribute directions made in the groups panel"
        )
        for number in (0, 1):
            self.dimensions.fields[number].setObjectName(f"view.dimension_{'xy'[number]}")
            self.directions.fields[number].setObjectName(f"view.direction_{'xy'[number]}")
        self.dimensions.fields[0].activated.connect(self._choose_x)
        self.dimensions.fields[1].activated.connect(self._choose_y)
        self.directions.fields[0].activated.connect(self._choose_direction_x)
        self.directions.fields[1].activated.connect(self._choose_direction_y)
        self.sentence = wrapped_label()
        self.sentence.setObjectName("view.sentence")
        self.take_pins = QPushButton("Take the three pins")
        self.take_pins.setObjectName("view.take_pins")
        self.take_pins.clicked.connect(self._take_pins)
        self.anchor = AnchorField(session)
        self.anchor.chosen.connect(self._choose_anchor)
        self.explained = wrapped_label()
        self.explained.setObjectName("view.explained")
        self.lock_box = QCheckBox("Lock")
        self.lock_box.setObjectName("view.lock")
        self.lock_box.setToolTip(
            "Locked, the plane stays as it is while the codes move.\n"
            "Unlocked, it is fitted to each new look at the codes, without flipping or spinning."
        )
        self.lock_box.clicked.connect(self.toggle_lock)
        self.tour = TourControls(session)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        for widget in (
            self.names, self.summary, self.dimensions, self.directions, self.anchor, self.sentence,
            self.take_pins, self.explained, self.lock_box, self.tour,
        ):  # fmt: skip
            column.addWidget(widget)
        self._kl_timer = QTimer(self)
        self._kl_timer.setSingleShot(True)
        self._kl_timer.setInterval(_KL_MS)
        self._kl_timer.timeout.connect(self.refresh)
        session.map.arranged.connect(self._arranged)
        session.map.view_changed.connect(self._show_explained)
        session.dataset_changed.connect(self._images_came)
        session.history_changed.connect(self._kl_came)

    @property
    def shown_name(self) -> str:
        """The view whose parameters are shown: the map's, or one that waits for what it needs."""
        choice = self.session.map.arrangement.view
        return self._wanted or ("" if choice is None else choice.name)

    def set_active(self, is_seen: bool) -> None:
        """Hidden, it follows nothing."""
        self._is_active = is_seen
        if is_seen:
            self.refresh()
        else:
            self._kl_timer.stop()

    def choose(self, choice: ViewChoice, text: str, merge: str = "") -> bool:
        """Show this view; what stands against it is told, and the fields go back."""
        self._wanted = ""
        try:
            self.session.map.choose_view(choice, text, merge)
        except UserError as error:
            self.session.post_error(error, near="panel.view")
            return False
        finally:
            self.refresh()
        return True

    def choose_kind(self, name: str) -> bool:
        """Show a view of this kind, made of what is there; a kind that lacks something only shows its parameters."""
        before = self.session.map.arrangement.view
        if before is None:
            return False
        choice = replace(before, name=name, locked=None, anchor=self._anchor_kept(before))
        if name in _OF_POINTS:
            points = self._three_pins()
            if len(points) < 3 and name == "three-points":
                self._wanted = name
                self.refresh()
                return False
            choice = replace(choice, points=points if len(points) == 3 else self._foremost_axes())
        if name == "directions":
            known = self.session.map.arrangement.directions
            if len(known) < 2:
                self._wanted = name
                self.refresh()
                return False
            choice = _along(choice, self._offered_directions()[:2])
        return self.choose(choice, f"show {VIEWS[name].title}")

    @Slot()
    def toggle_lock(self) -> None:
        """Keep a fitted plane as it is, or let it follow the codes again."""
        choice = self.session.map.arrangement.view
        if choice is None or not VIEWS[choice.name].is_fitted:
            self.session.post("info", "Only a fitted plane can be locked.", "Choose the PCA or the LDA plane first.")
            return
        if choice.locked is not None:
            self.choose(replace(choice, locked=None), "unlock the view")
        elif isinstance(self.session.map.view, PlaneView):
            self.choose(replace(choice, locked=self.session.map.view), "lock the view")

    # --- what the person chooses

    @Slot(int)
    def _choose_name(self, _row: int) -> None:
        name = self.names.currentData()
        choice = self.session.map.arrangement.view
        if choice is not None and name == choice.name:
            self._wanted = ""
            self.refresh()
        else:
            self.choose_kind(name)

    @Slot(int)
    def _choose_x(self, _row: int) -> None:
        self._choose_dimensions(0)

    @Slot(int)
    def _choose_y(self, _row: int) -> None:
        self._choose_dimensions(1)

    def _choose_dimensions(self, moved: int) -> None:
        choice = self.session.map.arrangement.view
        if choice is None:
            return
        i, j = self.dimensions.chosen(moved, (choice.i, choice.j))
        choice = replace(choice, anchor=self._anchor_kept(choice))
        self.choose(replace(choice, i=i, j=j), f"show {dimension_name(i)} and {dimension_name(j)}")

    @Slot(int)
    def _choose_direction_x(self, _row: int) -> None:
        self._choose_directions(0)

    @Slot(int)
    def _choose_direction_y(self, _row: int) -> None:
        self._choose_directions(1)

    def _choose_directions(self, moved: int) -> None:
        choice = self.session.map.arrangement.view
        if choice is None or choice.name != "directions":
            return
        known = dict(self._offered_directions())
        first, second = self.directions.chosen(moved, choice.direction_names)
        if first in known and second in known:
            self.choose(_along(choice, [(first, known[first]), (second, known[second])]), f"show {first} and {second}")

    @Slot(object, str)
    def _choose_anchor(self, anchor: Point, words: str) -> None:
        choice = self.session.map.arrangement.view
        if choice is not None:
            self.choose(replace(choice, anchor=anchor), f"put the plane through {words}")

    @Slot()
    def _take_pins(self) -> None:
        choice, name = self.session.map.arrangement.view, self.shown_name
        if choice is not None:
            points = self._three_pins()
            self.choose(
                replace(choice, name=name, points=points, locked=None), "put the plane through three pins"
            )  # fmt: skip

    # --- what there is

    def _anchor_kept(self, choice: ViewChoice) -> Point:
        """The anchor of another view: a pin in sight stays in sight, so that the new plane goes through it too."""
        active, view = self.session.map.arrangement.active, self.session.map.view
        is_seen = active is not None and view is not None and view.holds(active.z_D)
        return active.z if active is not None and is_seen else choice.anchor

    def _three_pins(self) -> tuple[Point, ...]:
        return tuple(pin.z for pin in self.session.map.arrangement.pins[:3])

    def _foremost_axes(self) -> tuple[Point, ...]:
        """The axes of the three dimensions with the largest KL; none before the KL is known."""
        kl_D = self.session.kl_D
        if kl_D is None or len(kl_D) != self.session.map.num_dimensions or not np.isfinite(kl_D).all():
            return ()
        foremost = np.argsort(-np.asarray(kl_D), kind="stable")[:3]
        return tuple(as_point(axis_D) for axis_D in np.eye(len(kl_D))[foremost])

    def _offered_directions(self) -> list[tuple[str, Point]]:
        """Made directions, and those of the plane shown, which may come from a tour."""
        arrangement = self.session.map.arrangement
        offered = {known.name: known.vector for known in arrangement.directions}
        choice = arrangement.view
        if choice is not None and choice.name == "directions":
            for name, vector in zip(choice.direction_names, choice.directions, strict=True):
                offered.setdefault(name, vector)
        return list(offered.items())

    # --- showing it

    @Slot()
    def refresh(self) -> None:
        """Show the map's view and what it is made of."""
        map_session = self.session.map
        choice = map_session.arrangement.view
        if not self._is_active or choice is None or not map_session.num_dimensions:
            return
        self._num_dimensions = map_session.num_dimensions
        dataset = self.session.dataset
        records = views_for(map_session.num_dimensions, dataset is not None and dataset.labels_N is not None)
        name = self.shown_name
        self.names.offer(
            [(record.title, record.name) for record in records], name, [record.summary for record in records]
        )
        self.names.setToolTip(VIEWS[name].reference)
        self.summary.setText(VIEWS[name].summary)
        self._show_dimensions(choice, name)
        self._show_directions(choice, name)
        self._show_points(choice, name)
        has_anchor = name in _ANCHORED and not self._wanted and map_session.num_dimensions > 2
        self.anchor.setVisible(has_anchor)
        if has_anchor:
            self.anchor.show_anchor(choice)
        is_fitted = VIEWS[name].is_fitted and not self._wanted
        self.lock_box.setVisible(is_fitted)
        self.lock_box.setChecked(choice.locked is not None)
        self.tour.setVisible(name == "tour")
        self._show_explained(map_session.view)

    def _show_dimensions(self, choice: ViewChoice, name: str) -> None:
        num_dimensions, kl_D = self.session.map.num_dimensions, self.session.kl_D
        self.dimensions.setVisible(name in OF_DIMENSIONS and num_dimensions > 2)
        if self.dimensions.isHidden():
            return
        order = list(range(num_dimensions))
        texts = [dimension_name(number) for number in order]
        if kl_D is not None and len(kl_D) == num_dimensions:
            known_D = np.nan_to_num(kl_D, nan=-1.0)
            order.sort(key=lambda number: -known_D[number])
            texts = [f"{text}  ·  {kl:.2f} nats" for text, kl in zip(texts, kl_D, strict=True)]
        entries = [(texts[number], number) for number in order]
        for field, chosen in zip(self.dimensions.fields, (choice.i, choice.j), strict=True):
            field.offer(entries, chosen)

    def _show_directions(self, choice: ViewChoice, name: str) -> None:
        offered = self._offered_directions()
        can_choose = name == "directions" and not self._wanted
        self.directions.setVisible(can_choose)
        if can_choose:
            entries = [(known, known) for known, _ in offered]
            for field, chosen in zip(self.directions.fields, choice.direction_names, strict=True):
                field.offer(entries, chosen)

    def _show_points(self, choice: ViewChoice, name: str) -> None:
        pins = self._three_pins()
        is_of_points = name in _OF_POINTS
        self.take_pins.setVisible(is_of_points)
        self.take_pins.setEnabled(len(pins) == 3 and (bool(self._wanted) or pins != choice.points))
        names = ", ".join(pin.name for pin in self.session.map.arrangement.pins[:3])
        self.take_pins.setToolTip(f"Pins {names}" if len(pins) == 3 else "Set three pins on the map first")
        text = ""
        if is_of_points and len(pins) < 3 and self._wanted:
            are_set = {0: "none is set", 1: "one is set"}.get(len(pins), "two are set")
            text = f"This view needs three pins, and {are_set}. Set them on the map; until then it stays as it is."
        elif name == "sphere" and not _is_around_pins(choice):
            text = "It is around three latent axes. Set three pins on the map to have it around them."
            if len(pins) == 3:
                text = "It is around three latent axes; take the pins to have it around them."
        elif is_of_points and self._wanted:
            text = "Three pins are set: take them to show this view."
        elif name == "directions" and self._wanted:
            count = len(self.session.map.arrangement.directions)
            text = (
                f"This view needs two attribute directions, and {'one is' if count else 'none is'} made. "
                "Make them in the groups panel by subtracting one group from another."
            )
            if count >= 2:
                text = "Two directions are made: choose this view again to show it."
        self.sentence.setText(text)
        self.sentence.setVisible(bool(text))

    @Slot(object)
    def _show_explained(self, view: object) -> None:
        if not self._is_active:
            return
        explained = view.explained if isinstance(view, PlaneView) and not self._wanted else None
        self.explained.setVisible(explained is not None)
        if explained is not None:
            first, second = explained
            self.explained.setText(
                f"{100 * first:.0f} % of the codes’ variance lie along x and {100 * second:.0f} % along y."
            )

    @Slot(object, object)
    def _arranged(self, before: Arrangement, after: Arrangement) -> None:
        if before.view != after.view:
            self._wanted = ""
        is_other_space = self.session.map.num_dimensions != self._num_dimensions
        parts = [
            (arrangement.view, arrangement.pins, arrangement.active_pin, arrangement.directions)
            for arrangement in (before, after)
        ]
        if is_other_space or parts[0] != parts[1]:
            self.refresh()

    @Slot(object)
    def _images_came(self, _dataset: object) -> None:
        self.refresh()

    @Slot()
    def _kl_came(self) -> None:
        if self._is_active and not self._kl_timer.isActive():
            self._kl_timer.start()


def _is_around_pins(choice: ViewChoice) -> bool:
    return any(np.count_nonzero(point) != 1 for point in choice.points)


def _along(choice: ViewChoice, pair: list[tuple[str, Point]]) -> ViewChoice:
    (first, u), (second, v) = pair
    return replace(choice, directions=(u, v), direction_names=(first, second))
