"""The grand tour's controls: play and pause, speed, and keeping the plane of this moment."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.latent.grand_tour import tour_view
from vae_explorer.latent.views import PlaneView, View

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.view_catalogue import ViewChoice

FRAME_MS = 50
_MOST_SECONDS_A_FRAME = 0.2
# The slider's ends are 2^-2 and 2^2 times the ordinary speed.
_OCTAVES, _STEPS_AN_OCTAVE = 2, 4


def as_fixed(choice: ViewChoice, view: View | None) -> ViewChoice:
    """A choice that shows this view again: of a frame of the tour its plane, else the choice itself."""
    if choice.name != "tour" or not isinstance(view, PlaneView):
        return choice
    return replace(
        choice, name="directions", anchor=view.anchor, directions=(view.u, view.v), direction_names=view.axis_labels
    )  # fmt: skip


class TourControls(QWidget):
    """Turns the plane about twenty times a second while it plays and somebody sees it.

    playing_changed(bool): it plays from now on, or rests.
    """

    playing_changed = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.is_playing = False
        self.seconds = 0.0
        self._is_watched = False
        self._shown_at = 0.0
        self._left_at: tuple[ViewChoice | None, float] = (None, 0.0)
        self.play_button = QPushButton("Play")
        self.play_button.setObjectName("view.play_tour")
        self.play_button.setCheckable(True)
        self.play_button.clicked.connect(self.toggle)
        self.keep_button = QPushButton("Keep this plane")
        self.keep_button.setObjectName("view.keep_plane")
        self.keep_button.setToolTip("End the tour in the plane of this moment")
        self.keep_button.clicked.connect(self.keep)
        self.speed = QSlider(Qt.Orientation.Horizontal)
        self.speed.setObjectName("view.tour_speed")
        self.speed.setRange(-_OCTAVES * _STEPS_AN_OCTAVE, _OCTAVES * _STEPS_AN_OCTAVE)
        self.speed.setPageStep(_STEPS_AN_OCTAVE)
        self.speed.setAccessibleName("Speed of the tour")
        self.speed.setToolTip("Speed of the tour, from a quarter to four times the ordinary one")
        self.speed.setMinimumWidth(48)
        self.speed.valueChanged.connect(self._show_speed)
        self._speed_text = QLabel()
        self._speed_text.setProperty("variant", "muted")
        self._speed_text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._speed_text.setFixedWidth(self.fontMetrics().horizontalAdvance("0.88×") + 4)
        speed_label = QLabel("Speed")
        speed_label.setBuddy(self.speed)
        buttons, speeds = QHBoxLayout(), QHBoxLayout()
        for row in (buttons, speeds):
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(6)
        buttons.addWidget(self.play_button)
        buttons.addWidget(self.keep_button)
        buttons.addStretch(1)
        speeds.addWidget(speed_label)
        speeds.addWidget(self.speed, 1)
        speeds.addWidget(self._speed_text)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(buttons)
        column.addLayout(speeds)
        self.timer = QTimer(self)
        self.timer.setInterval(FRAME_MS)
        self.timer.timeout.connect(self._turn)
        session.map.arranged.connect(self._arranged)
        self._show_speed(0)
        self._show_playing()

    @property
    def factor(self) -> float:
        """Seconds of the tour in a second of the clock."""
        return float(2.0 ** (self.speed.value() / _STEPS_AN_OCTAVE))

    def set_watched(self, is_watched: bool) -> None:
        """Whether anybody sees the map or this panel; unseen, the tour waits where it is."""
        self._is_watched = is_watched
        self._run_timer()

    @Slot()
    def toggle(self) -> None:
        """Play or pause; pausing keeps the plane."""
        choice = self.session.map.arrangement.view
        self._set_playing(not self.is_playing and choice is not None and choice.name == "tour")

    @Slot()
    def keep(self) -> None:
        """From now on the plane of this moment, as one step to undo."""
        map_session = self.session.map
        choice = map_session.arrangement.view
        if choice is None or choice.name != "tour" or map_session.view is None:
            return
        try:
            map_session.choose_view(as_fixed(choice, map_session.view), "keep a plane of the tour")
        except UserError as error:
            self.session.post_error(error, near="panel.view")

    def _set_playing(self, is_playing: bool) -> None:
        if is_playing != self.is_playing:
            self.is_playing = is_playing
            self._run_timer()
            self._show_playing()
            self.playing_changed.emit(is_playing)
        else:
            self._show_playing()

    def _show_playing(self) -> None:
        self.play_button.setChecked(self.is_playing)
        self.play_button.setText("Pause" if self.is_playing else "Play")
        self.play_button.setToolTip("Rest in this plane" if self.is_playing else "Turn through the planes of the space")

    def _run_timer(self) -> None:
        is_wanted = self.is_playing and self._is_watched
        if is_wanted and not self.timer.isActive():
            self._shown_at = time.monotonic()
            self.timer.start()
        elif not is_wanted:
            self.timer.stop()

    @Slot()
    def _turn(self) -> None:
        map_session = self.session.map
        choice, num_dimensions = map_session.arrangement.view, map_session.num_dimensions
        if choice is None or choice.name != "tour" or num_dimensions < 3:
            self._set_playing(False)
            return
        now = time.monotonic()
        # After a pause of the whole program the plane goes on from where it was, it does not leap.
        self.seconds += min(now - self._shown_at, _MOST_SECONDS_A_FRAME) * self.factor
        self._shown_at = now
        self._show_plane(choice)

    def _show_plane(self, choice: ViewChoice) -> None:
        num_dimensions = self.session.map.num_dimensions
        anchor_D = np.array(choice.anchor) if choice.anchor else np.zeros(num_dimensions)
        self.session.map.place_tour(tour_view(choice.seed, self.seconds, num_dimensions, anchor_D))

    @Slot(int)
    def _show_speed(self, _value: int) -> None:
        self._speed_text.setText(f"{self.factor:.2g}×")

    @Slot(object, object)
    def _arranged(self, before: Arrangement, after: Arrangement) -> None:
        if before.view == after.view:
            return
        if after.view is None or after.view.name != "tour":
            self._set_playing(False)
        if before.view is not None and before.view.name == "tour":
            # Left for another view: taking that step back goes on from the plane it was left in.
            self._left_at = (before.view, self.seconds)
        left_view, left_seconds = self._left_at
        self.seconds = left_seconds if after.view is not None and after.view == left_view else 0.0
        if self.seconds and after.view is not None and self.session.map.num_dimensions >= 3:
            self._show_plane(after.view)
