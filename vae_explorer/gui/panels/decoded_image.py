"""The decoded place: the picture under the mouse or the pin, large, with its latent point, prior and age."""

from __future__ import annotations

import html
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.decoded_layout import decoded_layout
from vae_explorer.gui.neighbour_search import NeighbourSearch
from vae_explorer.gui.neighbour_words import item_title
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets.condition_strip import HEIGHT as CONDITIONS_HEIGHT
from vae_explorer.gui.widgets.condition_strip import ConditionStrip
from vae_explorer.gui.widgets.image_actions import point_in_full
from vae_explorer.gui.widgets.image_view import ImageView
from vae_explorer.gui.widgets.map_frame import number_text
from vae_explorer.gui.widgets.neighbour_strip import NeighbourStrip
from vae_explorer.latent.arrangement import edit_vector

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement

_MOST_COORDINATES = 2
_COPY = "copy?"
_LINE_SPACING = 3
_MARGIN = 12
_IN_PLANE = 1e-3  # in latent units, as for the marks of the pins


class DecodedImagePanel(QWidget):
    """Paints each answer about the place looked at, the moment it comes; beside it the nearest images, later."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._place = session.explorer_thread.place
        self._shown: DecodedPlace | None = None
        self._is_active = False
        self.view = ImageView(self)
        self.view.setAccessibleName("Decoded image")
        self.view.set_note("Warming up…")
        self.view.painted.connect(self._painted)
        self.tag = QLabel()
        self.step = QLabel()
        self.step.setProperty("variant", "muted")
        self.step.setToolTip("The step of the weights, and how long they took to decode this picture")
        self.values = {name: QLabel("–") for name in ("z", "log p(z)", _COPY)}
        for label in (*self.values.values(), self.tag, self.step):
            # Texts change with every mouse move: they must never make the layout ask for another size.
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._titles = [QLabel(name) for name in self.values]
        for title, value in zip(self._titles, self.values.values(), strict=True):
            title.setProperty("variant", "muted")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._facts = QWidget(self)
        self._grid = QGridLayout(self._facts)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(_LINE_SPACING)
        self.strip = NeighbourStrip(self)
        self.strip.words_changed.connect(self._show_copy)
        self.neighbours = NeighbourSearch(session, self.strip, self)
        self.conditions = ConditionStrip(session, self)
        self.conditions.chosen.connect(self._choose_class)
        self._text_width = self.fontMetrics().horizontalAdvance("step 100,000  ·  10.0 ms")
        self._is_wide: bool | None = None
        self._arrange(False)
        self._place.decoded.connect(self._show)
        self._place.failed.connect(self._tell_failure)
        session.snapshot_changed.connect(self._snapshot_came)
        session.map.arranged.connect(self._follow_arrangement)
        session.map.hovered_item_changed.connect(self._show_tag)

    def set_active(self, visible: bool) -> None:
        """Hidden, nothing is decoded for it, and nothing compared."""
        self._is_active = visible
        self._place.watch("decoded_image", visible)
        self._tell_strip()

    def copy_image(self) -> bool:
        """Put the picture on the clipboard, in its own size; whether there was one."""
        return self.view.actions_on_picture.copy_chosen()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Texts and nearest images go where they leave the picture largest."""
        super().resizeEvent(event)
        self._lay_out()

    def _lay_out(self) -> None:
        line, size = self.fontMetrics().height() + _LINE_SPACING, self.size()
        if not self.conditions.isHidden():
            # Below everything else, which is laid out as if the panel ended above it.
            size -= QSize(0, CONDITIONS_HEIGHT + _MARGIN)
            self.conditions.setGeometry(_MARGIN, size.height(), size.width() - 2 * _MARGIN, CONDITIONS_HEIGHT)
        places = decoded_layout(size, line, self._text_width, self.strip)
        self._arrange(places.is_wide)
        self.view.setGeometry(places.view)
        self._facts.setGeometry(places.facts)
        if places.strip is not None:
            self.strip.set_form(is_standing=places.is_standing, side=places.side)
            self.strip.setGeometry(places.strip)
        self.strip.setVisible(places.strip is not None)
        for label in (self._titles[-1], self.values[_COPY]):
            label.setVisible(places.strip is not None)
        self._tell_strip()
        self._show_tag()
        self._show_copy()

    def sizeHint(self) -> QSize:
        """Room for a picture of eight screen pixels a pixel, and the strip below."""
        return QSize(264, 400)

    def minimumSizeHint(self) -> QSize:
        """The texts and a small picture."""
        return QSize(160, 136)

    def _tell_strip(self) -> None:
        self.neighbours.set_active(self._is_active and not self.strip.isHidden())

    def _arrange(self, is_wide: bool) -> None:
        if is_wide == self._is_wide:
            return
        self._is_wide = is_wide
        grid = self._grid
        while grid.count():
            grid.takeAt(0)
        pairs = list(zip(self._titles, self.values.values(), strict=True))
        if is_wide:
            for row, label in enumerate([self.tag, self.step, *(label for pair in pairs for label in pair)]):
                grid.addWidget(label, row, 0, 1, 2)
            self.step.setAlignment(Qt.AlignmentFlag.AlignLeft)
        else:
            grid.addWidget(self.tag, 0, 0, 1, 2)
            grid.addWidget(self.step, 0, 2)
            for row, (title, value) in enumerate(pairs, start=1):
                grid.addWidget(title, row, 0)
                grid.addWidget(value, row, 1, 1, 2)
            self.step.setAlignment(Qt.AlignmentFlag.AlignRight)
        grid.setColumnStretch(1, 1)

    @Slot(int)
    def _choose_class(self, number: int) -> None:
        self.session.map.tell(number, f"choose class {number}")

    @Slot(object)
    def _snapshot_came(self, snapshot: object) -> None:
        if self.conditions.isHidden() == bool(self.session.map.condition):
            self.conditions.setVisible(bool(self.session.map.condition))
            self._lay_out()
        if getattr(snapshot, "codes_ND", None) is None:
            self._shown = None
            self.neighbours.forget()
            for label in (self.tag, self.step, *self.values.values()):
                label.clear()
            if self._is_active:
                self.view.show_picture(None)
                self.view.set_note("This model has no latent point that could be decoded here.")

    @Slot(object, object)
    def _follow_arrangement(self, before: Arrangement, after: Arrangement) -> None:
        if (before.amounts, before.directions) != (after.amounts, after.directions):
            self._place.edit(edit_vector(after, self.session.map.num_dimensions))
        if before.active is not after.active:
            self._show_tag()

    @Slot(object)
    def _show(self, place: object) -> None:
        if not self._is_active or not isinstance(place, DecodedPlace):
            return
        self._shown = place
        # The picture first, and at once: the texts may wait for the next turn of the event loop.
        self.view.show_picture(place.picture, partial(_facts, place), self._badge(place))
        sigma = place.noise_sigma
        self.view.setToolTip(
            "" if sigma is None else f"The mean of p(x|z). A draw adds white noise of σ = {number_text(sigma, 3)}."
        )
        self._show_tag()
        self.values["z"].setText(point_text(place.z_D))
        is_long = len(place.z_D) > _MOST_COORDINATES
        self.values["z"].setToolTip(_coordinates(place.z_D) if is_long else "")
        log_prior = place.log_prior
        self.values["log p(z)"].setText(
            "this model has no prior" if log_prior is None else f"{number_text(log_prior, 2)} nats"
        )
        self.neighbours.follow(place)
        self.session.want_snapshot()

    @Slot(object)
    def _tell_failure(self, error: Exception) -> None:
        if self._is_active:
            text = f"This place could not be decoded: {error}."
            self.view.set_note(error.in_one_line if isinstance(error, UserError) else text)
            self.view.show_picture(None)

    def _badge(self, place: DecodedPlace) -> str:
        view = self.session.map.view
        if not place.is_exact:
            return "approximate"
        is_pin = place.kind == "pinned" and view is not None and view.num_dimensions == len(place.z_D)
        return "off the plane" if is_pin and view is not None and not view.holds(place.z_D, _IN_PLANE) else ""

    @Slot()
    def _show_tag(self) -> None:
        place = self._shown
        if place is None:
            return
        tag = self._tag(place)
        step, timed = f"step {place.step:,}", f"step {place.step:,}  ·  {place.decode_ms:.1f} ms"
        metrics, room = self.tag.fontMetrics(), self._facts.width() - 12
        # Beside it stand the tag, and in the lines below the titles of the values.
        titles = max(title.sizeHint().width() for title in self._titles) + self._grid.horizontalSpacing()
        beside = max(metrics.horizontalAdvance(tag), titles)
        if not self._is_wide and beside + metrics.horizontalAdvance(timed) + 2 > room:
            timed = step
        room -= 0 if self._is_wide else metrics.horizontalAdvance(timed)
        self.tag.setText(metrics.elidedText(tag, Qt.TextElideMode.ElideRight, max(room, 40)))
        self.tag.setToolTip(tag)
        self.step.setText(timed)
        # Which of the two gets the room is decided here, not by the layout.
        self._grid.setColumnMinimumWidth(2, 0 if self._is_wide else metrics.horizontalAdvance(timed) + 2)

    def _tag(self, place: DecodedPlace) -> str:
        told, dataset = place.told, self.session.dataset
        if told is None:
            return self._place_tag(place)
        if self.session.map.condition == "part":
            return f"{self._place_tag(place)}, completing item {told:,}"
        is_known = dataset is not None and told < dataset.num_classes
        name = dataset.class_name(told) if dataset is not None and is_known else str(told)
        return f"{self._place_tag(place)}, decoded as class {name}"

    def _place_tag(self, place: DecodedPlace) -> str:
        item, active = self.session.map.hovered_item, self.session.map.arrangement.active
        if place.kind == "pinned":
            name = "Pinned" if active is None else f"Pin {active.name}"
            return f"{name}, edited" if place.is_edited else name
        if place.kind == "hover":
            if place.name:
                return place.name
            return "Hover" if item is None else item_title(self.session.dataset, item)
        return "Origin"

    @Slot()
    def _show_copy(self) -> None:
        """Whether the picture is new, in one line; all of it in the tool tip."""
        label, title, strip = self.values[_COPY], self._titles[-1], self.strip
        before = max(known.sizeHint().width() for known in self._titles) + self._grid.horizontalSpacing()
        room = self._facts.width() - (0 if self._is_wide else before)
        short = strip.short if self.session.map.num_dimensions else ""
        label.setText(label.fontMetrics().elidedText(short, Qt.TextElideMode.ElideRight, max(room, 40)))
        label.setEnabled(not strip.is_pale)
        for widget in (label, title):
            widget.setToolTip(f"<p style='white-space:pre-line'>{html.escape(strip.details)}</p>")

    @Slot()
    def _painted(self) -> None:
        if self._shown is not None:
            self._place.painted(self._shown)


def point_text(z_D: np.ndarray) -> str:
    """A latent point as text; of many coordinates its length, since no panel is wide enough for all."""
    if len(z_D) > _MOST_COORDINATES:
        return f"‖z‖ = {np.linalg.norm(z_D):.2f}, {len(z_D)} dimensions"
    return f"({_coordinates(z_D)})"


def _coordinates(z_D: np.ndarray) -> str:
    return ", ".join(number_text(float(value), 3) for value in z_D)


def _facts(place: DecodedPlace) -> dict[str, str]:
    kind = "decoded" if place.is_exact else "decoded, approximate"
    return {"kind": kind, "step": str(place.step), "z": point_in_full(place.z_D)}
