"""What the attribute sliders do to a picture: before and after, and a strip along one direction. GUI thread only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy

from vae_explorer.errors import UserError
from vae_explorer.gui.paced_timer import PacedTimer
from vae_explorer.gui.widgets.group_parts import PictureRow, Section, plain_tip, wrapped
from vae_explorer.latent.arrangement import Arrangement, Direction, Pin, as_point, edit_vector, edited_point

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.explorer import Explorer

SLOT = "attributes"
STRIP_AMOUNTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
REFRESH_SECONDS = 0.4
_SETTLE_MS = 50


@dataclass(frozen=True, slots=True, eq=False)
class EditedPictures:
    """The decoded pin, the decoded edited pin, and the edited pin with so much of one direction in its place."""

    before: np.ndarray
    after: np.ndarray
    strip: np.ndarray


class EditSection(Section):
    """The active pin with the sliders applied, live; and what to do with it."""

    def __init__(self, session: Session) -> None:
        super().__init__("Applied to the active pin")
        self.session = session
        self.answer: EditedPictures | None = None
        self._is_active = False
        self._touched = ""
        self.hint = wrapped("Set a pin on the map by a click; the sliders then change its picture here.")
        self.pair = PictureRow(("Pin", "With the sliders"))
        self.strip_title = QLabel()
        self.strip_title.setTextFormat(Qt.TextFormat.PlainText)
        self.strip_title.setProperty("variant", "muted")
        self.strip_title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.strip = PictureRow([f"{amount:+.0f} ×".replace("-", "−") if amount else "0 ×" for amount in STRIP_AMOUNTS])
        self.move_pin, self.move_path = QPushButton("Move the pin there"), QPushButton("Apply to the path")
        self.pin_given = QPushButton("Apply to your picture")
        self.move_pin.setToolTip("The pin goes to the edited point, and the sliders go back to 0")
        self.move_path.setToolTip("All pins, and with them the path, move by what the sliders add")
        self.pin_given.setToolTip("Set a pin at the mean of your picture's posterior, moved by what the sliders add")
        for widget in (self.hint, self.pair, self.strip_title, self.strip):
            self.column.addWidget(widget)
        for button, slot in (
            (self.move_pin, self._move_pin), (self.move_path, self._move_path), (self.pin_given, self._pin_given),
        ):  # fmt: skip
            button.setAutoDefault(False)
            button.clicked.connect(slot)
            self.column.addWidget(button)
        self.finish()
        self._timer = PacedTimer(self, REFRESH_SECONDS, self._ask)
        session.map.arranged.connect(self._follow)
        session.map.given_changed.connect(self._show)
        session.snapshot_changed.connect(self._snapshot_came)
        self._show()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = visible
        # The panel of the view asks on the same slot: what it asked on coming into sight is not withdrawn here, and
        # here is asked only after it has withdrawn its own on going out of sight.
        if visible:
            self._timer.start(_SETTLE_MS)
        else:
            self._timer.stop()

    @Slot(str)
    def touch(self, name: str) -> None:
        """The strip goes along this direction from now on."""
        self._touched = name

    @property
    def chosen(self) -> Direction | None:
        """The direction of the strip: the one moved last, else the first."""
        usable = [
            known
            for known in self.session.map.arrangement.directions
            if len(known.vector) == self.session.map.num_dimensions
        ]
        return next((known for known in usable if known.name == self._touched), usable[0] if usable else None)

    @Slot(object, object)
    def _follow(self, before: Arrangement, after: Arrangement) -> None:
        if _of_interest(before) != _of_interest(after):
            self._show()
            self._ask()

    @Slot()
    def _snapshot_came(self) -> None:
        if self._is_active:
            self._timer.want()

    @Slot()
    def _ask(self) -> None:
        arrangement, chosen = self.session.map.arrangement, self.chosen
        pin = arrangement.active
        if not self._is_active or pin is None or chosen is None or self.session.snapshot is None:
            return
        if len(pin.z) != self.session.map.num_dimensions:
            return
        edited_D = edited_point(arrangement, pin.z_D)
        vector_D = np.array(chosen.vector)
        without_D = edited_D - dict(arrangement.amounts).get(chosen.name, 0.0) * vector_D
        strip_SD = without_D + np.array(STRIP_AMOUNTS)[:, None] * vector_D
        z_ND = np.concatenate([pin.z_D[None], edited_D[None], strip_SD])
        self._timer.note()

        def work(explorer: Explorer) -> EditedPictures | None:
            if explorer.num_dimensions != z_ND.shape[1]:
                return None  # the question is older than the model
            pictures = explorer.decode(z_ND)
            return EditedPictures(pictures[0], pictures[1], pictures[2:])

        self.session.map.explore(SLOT, work, self._show_answer, self._tell)

    def _show_answer(self, answer: EditedPictures) -> None:
        if not self._is_active or self.session.map.arrangement.active is None or self.chosen is None:
            return
        self.answer = answer
        self.say("")
        self.pair.show_pictures((answer.before, answer.after))
        self.strip.show_pictures(list(answer.strip))
        self.session.want_snapshot()

    def _tell(self, error: Exception) -> None:
        if self._is_active:
            self.say(error.in_one_line if isinstance(error, UserError) else f"It cannot be decoded: {error}.")

    @Slot()
    def _show(self) -> None:
        map_session = self.session.map
        arrangement, chosen = map_session.arrangement, self.chosen
        pin = arrangement.active
        self.setVisible(chosen is not None)
        has_both = pin is not None and chosen is not None
        self.hint.setVisible(pin is None)
        for widget in (self.pair, self.strip_title, self.strip, self.move_pin, self.move_path):
            widget.setVisible(has_both)
        self.pin_given.setVisible(chosen is not None and bool(map_session.given))
        if pin is not None and chosen is not None:
            self.pair.set_caption(0, f"Pin {pin.name}")
            self.strip_title.setText(f"{chosen.name}, from −2 to 2:")
            self.strip_title.setToolTip(plain_tip(f"As the sliders stand, but with −2 to 2 times {chosen.name}."))
            self.move_pin.setText(f"Move pin {pin.name} there")
        else:
            self.answer = None
            self.pair.show_pictures((None, None))
            self.strip.show_pictures([None] * len(STRIP_AMOUNTS))
        self.move_path.setEnabled(len(arrangement.pins) > 1 and bool(arrangement.amounts))
        self.move_pin.setEnabled(bool(arrangement.amounts))
        self.pin_given.setEnabled(bool(arrangement.amounts))

    # --- what to do with it; each is one step to undo

    @Slot()
    def _move_pin(self) -> None:
        arrangement = self.session.map.arrangement
        pin = arrangement.active
        if pin is not None:
            after = arrangement.with_moved_pin(arrangement.active_pin, edited_point(arrangement, pin.z_D))
            self.session.map.arrange(f"move pin {pin.name} by its sliders", pins=after.pins, amounts=())

    @Slot()
    def _move_path(self) -> None:
        arrangement = self.session.map.arrangement
        shift_D = edit_vector(arrangement, self.session.map.num_dimensions)
        pins = tuple(Pin(pin.name, as_point(pin.z_D + shift_D)) for pin in arrangement.pins)
        bends = tuple(replace(bend, z=as_point(np.array(bend.z) + shift_D)) for bend in arrangement.path.bends)
        path = replace(arrangement.path, bends=bends)
        self.session.map.arrange("move the path by the sliders", pins=pins, path=path, amounts=())

    @Slot()
    def _pin_given(self) -> None:
        map_session = self.session.map
        if not map_session.given or len(map_session.given[0].mean_D) != map_session.num_dimensions:
            return
        after = map_session.arrangement.with_pin(edited_point(map_session.arrangement, map_session.given[0].mean_D))
        # A path between other pins loses its bends, as with any new pin.
        path = replace(after.path, bends=())
        text = f"set pin {after.pins[-1].name} at the edited picture"
        map_session.arrange(text, pins=after.pins, active_pin=after.active_pin, path=path, amounts=())


def _of_interest(arrangement: Arrangement) -> tuple[object, ...]:
    return arrangement.directions, arrangement.amounts, arrangement.pins, arrangement.active_pin
