"""The path between two or more pins: its kind, its frames, how far it is, and playing, bending and saving it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from vae_explorer.gui.path_search import NO_PINS, PathSearch
from vae_explorer.gui.path_words import length_details, length_text
from vae_explorer.gui.widgets.filmstrip import Filmstrip
from vae_explorer.gui.widgets.image_actions import point_in_full
from vae_explorer.gui.widgets.path_controls import PathControls
from vae_explorer.latent.arrangement import as_point
from vae_explorer.latent.path_bending import bend_of_frame, bent, moved_in_view, position_of
from vae_explorer.latent.path_catalogue import PATH_METRICS, PathChoice

if TYPE_CHECKING:
    from vae_explorer.gui.dialogs.save_path import SavePathDialog
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.paths import PathResult

_MARGIN = 12
_KEY_STEP = 0.03  # of the way from pin to pin on the map
_LEAST_KEY_STEP = 0.05  # map units, for pins at one place


@dataclass(frozen=True, slots=True, eq=False)
class _Nudge:
    """Bending by a held key: the frame, its place on the curve and where the bend is, by number and latent point."""

    frame: int
    position: float
    z_D: np.ndarray
    merge: str
    number: int = -1


class PathPanel(QWidget):
    """The panel `panel.path`.

    `result` is the path now, None where there is none. It is looked for while there are two pins and somebody watches:
    this panel in sight, or who said so by `watch`. GUI thread.

    path_changed(PathResult | None); frame_changed(int): the current frame, -1 where there is none.
    search_changed(bool): `is_result_old` is this now.
    """

    path_changed = Signal(object)
    frame_changed = Signal(int)
    search_changed = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._place = session.explorer_thread.place
        self._frame = -1
        self._way = 1
        self._held: tuple[int, np.ndarray] | None = None
        self._gesture: tuple[str, int] | None = None
        self._nudge: _Nudge | None = None
        self._dialog: SavePathDialog | None = None
        self._play_timer = QTimer(self)
        self._play_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._play_timer.timeout.connect(self._advance)
        self.controls = PathControls()
        self.controls.chosen.connect(self._choose)
        self.controls.rate_changed.connect(self._take_rate)
        self.controls.play_clicked.connect(self.play)
        self.controls.save_clicked.connect(self.save)
        self.strip = Filmstrip(self._facts_of)
        self.strip.chosen.connect(self._choose_frame)
        self.strip.hovered.connect(self._hover)
        self.strip.activated.connect(self.play)
        self.strip.nudged.connect(self._nudge_frame)
        self.straight_strip = Filmstrip(self._facts_of_straight)
        self.straight_strip.setAccessibleName("Frames of the straight path")
        self.straight_strip.hovered.connect(self._show_straight_frame)
        self.straight_strip.hide()
        self.text = QLabel()
        self.text.setProperty("variant", "muted")
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.straighten_button = QPushButton("Straighten")
        self.straighten_button.setProperty("variant", "quiet")
        self.straighten_button.setToolTip("Take every bend out of the path")
        self.straighten_button.clicked.connect(self.unbend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN, 6, _MARGIN, 4)
        layout.setSpacing(3)
        layout.addWidget(self.controls)
        layout.addWidget(self.strip, 3)
        layout.addWidget(self.straight_strip, 2)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.text, 1)
        foot.addWidget(self.controls.lengths_in, 0, Qt.AlignmentFlag.AlignBottom)
        foot.addWidget(self.straighten_button, 0, Qt.AlignmentFlag.AlignBottom)
        layout.addLayout(foot)
        session.map.arranged.connect(self._arranged)
        self._search = PathSearch(session, self)
        self._search.changed.connect(self._show_path)
        self._search.old_changed.connect(self._show_age)
        self._show_choice(session.map.arrangement.path)
        self._show_path()

    @property
    def result(self) -> PathResult | None:
        """The path as last found, None where there is none."""
        found = self._search.found
        return None if found is None else found.result

    @property
    def is_result_old(self) -> bool:
        """Whether `result` is the path of other pins or of another choice, while the one asked for is being found."""
        return self._search.is_old

    @property
    def frame(self) -> int:
        """The current frame, -1 where there is none."""
        return self._frame

    @property
    def is_playing(self) -> bool:
        """Whether the frames run by themselves."""
        return self._play_timer.isActive()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing, unless somebody else watches, and nothing plays."""
        if not visible:
            self._stop()
        self.watch("panel", visible)

    def watch(self, watcher: str, is_watching: bool) -> None:
        """Say that somebody shows the path, or no longer does."""
        self._search.watch(watcher, is_watching)

    # --- what a person does

    @Slot()
    def play(self) -> None:
        """Let the frames run there and back, or hold them."""
        if self.is_playing:
            self._play_timer.stop()
            self.controls.show_playing(self.is_playing)
        elif self.result is not None:
            self._play_timer.start(round(1000 / self.controls.rate.value()))
            self.controls.show_playing(self.is_playing)
            self._show_frame(self._frame)

    @Slot()
    def save(self) -> None:
        """Open the dialog that saves the path; without one, say how to get one."""
        found = self._search.found
        if found is None:
            self.session.post("info", "There is no path to save yet.", NO_PINS, near="panel.path")
            return
        if self._dialog is None:
            from vae_explorer.gui.dialogs.save_path import SavePathDialog

            self._dialog = SavePathDialog(found, self.controls.rate.value(), self.window())
            self._dialog.finished.connect(self._forget_dialog)
        self._dialog.show()
        self._dialog.raise_()
        self._dialog.activateWindow()

    def _facts_of(self, frame: int) -> dict[str, str]:
        found = self._search.found
        if found is None:
            return {}
        return {**found.text(), "z": point_in_full(found.result.z_FD[frame])}

    def _facts_of_straight(self, frame: int) -> dict[str, str]:
        found = self._search.found
        if found is None or found.result.straight is None:
            return {}
        return {**found.text(), "kind": "path straight", "z": point_in_full(found.result.straight.z_FD[frame])}

    @Slot(int)
    def _show_straight_frame(self, frame: int) -> None:
        """Look at a place of the straight path."""
        if frame < 0:
            self._place.leave()
        elif self.result is not None and self.result.straight is not None:
            z_FD = self.result.straight.z_FD
            self._place.hover(z_FD[frame], name=f"Straight path, frame {frame + 1} of {len(z_FD)}")

    def bend(self, position: float, z_D: np.ndarray, merge: str = "") -> None:
        """Draw the curve to a latent point from a place on it, from 0 to 1 by the number of `result.curve_PD`'s points.

        A bend near the place moves, otherwise there is a new one. Calls with the same `merge` belong to one drag: they
        move the bend that the first of them took, and are one step to undo.
        """
        arrangement = self.session.map.arrangement
        if self.result is None or len(arrangement.pins) < 2 or not np.isfinite(z_D).all():
            return
        taken = self._gesture[1] if self._gesture is not None and self._gesture[0] == merge else None
        ends_KD = np.array([pin.z for pin in arrangement.pins])
        bends, number = bent(arrangement.path.bends, ends_KD, self.result.curve_PD, position, z_D, taken)
        self._gesture = (merge, number) if merge else None
        self.session.map.set_path(replace(arrangement.path, bends=bends), "bend the path", merge)

    def bend_at_place(self, z_D: np.ndarray) -> None:
        """Draw the part of the curve that is nearest to this latent point to it; without a path, say how to get one."""
        result = self.result
        if result is None:
            self.session.post("info", "There is no path to bend yet.", NO_PINS, near="panel.path")
        elif result.curve_PD.shape[1:] == z_D.shape:
            self.bend(position_of(result.curve_PD, z_D), z_D)

    @Slot(float, float, bool)
    def _nudge_frame(self, right: float, up: float, is_new: bool) -> None:
        """Draw the current frame's place by some steps in the plane of the map."""
        view, result = self.session.map.view, self.result
        if view is None or result is None or result.z_FD.shape[1] != view.num_dimensions:
            return
        nudge = self._first_nudge(result) if is_new else self._nudge
        if nudge is None or nudge.frame != self.strip.current:
            return
        pins_KD = np.array([pin.z for pin in self.session.map.arrangement.pins])
        way = float(np.linalg.norm(np.diff(view.project(pins_KD), axis=0), axis=1).sum())
        step = max(_KEY_STEP * way, _LEAST_KEY_STEP)
        z_D = moved_in_view(view, nudge.z_D, step * right, step * up)
        if np.array_equal(z_D, nudge.z_D):
            return  # a line has no up and down
        self.bend(nudge.position, z_D, nudge.merge)
        number = -1 if self._gesture is None else self._gesture[1]
        self._nudge = replace(nudge, z_D=z_D, number=number)

    def _first_nudge(self, result: PathResult) -> _Nudge | None:
        """Where a key that was just pressed takes the curve: at the frame's own bend, else at the frame."""
        frame, last = self.strip.current, len(result.z_FD) - 1
        if not 0 < frame < last:
            hint = "Choose a frame between them, or move the pin on the map."
            self.session.post("info", "The first and the last frame are pins.", hint, near="panel.path")
            return None
        if self.is_playing:
            self.play()
        self._show_frame(frame)
        arrangement, before = self.session.map.arrangement, self._nudge
        bends = arrangement.path.bends
        position = position_of(result.curve_PD, result.z_FD[frame])
        number = None
        if before is not None and before.frame == frame and 0 <= before.number < len(bends):
            # The last key's answer may not have come yet: its bend may be anywhere on the curve that is known.
            is_there = bends[before.number].z == as_point(before.z_D)
            number = before.number if is_there else None
        if number is None:
            number = bend_of_frame(bends, result.z_FD, frame)
        merge = self.session.map.new_gesture()
        if number is None:
            return _Nudge(frame, position, result.z_FD[frame], merge)
        self._gesture = (merge, number)
        return _Nudge(frame, position, np.array(bends[number].z), merge, number)

    @Slot()
    def unbend(self) -> None:
        """Take every bend out."""
        choice = self.session.map.arrangement.path
        if choice.bends:
            self.session.map.set_path(replace(choice, bends=()), "straighten the path")

    @Slot(object, str, str)
    def _choose(self, choice: PathChoice, text: str, merge: str) -> None:
        self.session.map.set_path(choice, text, merge)

    @Slot(int)
    def _take_rate(self, rate: int) -> None:
        if self.is_playing:
            self._play_timer.setInterval(round(1000 / rate))

    # --- the current frame

    @Slot(int)
    def _choose_frame(self, frame: int) -> None:
        self._show_frame(frame)

    @Slot(int)
    def _hover(self, frame: int) -> None:
        if self.is_playing:
            return
        if frame >= 0 and self.result is not None:
            self._hold(self.result, frame)
        else:
            self._leave()

    @Slot()
    def _advance(self) -> None:
        if self.result is None:
            self._stop()
            return
        last = len(self.result.z_FD) - 1
        if not 0 <= self._frame + self._way <= last:
            self._way = -self._way
        self._show_frame(min(max(self._frame + self._way, 0), last))

    def _show_frame(self, frame: int) -> None:
        if self.result is None:
            return
        self.strip.set_current(frame)
        self._hold(self.result, frame)
        self._mark_frame(frame)

    def _mark_frame(self, frame: int) -> None:
        self._show_text()
        if frame != self._frame:
            self._frame = frame
            self.frame_changed.emit(frame)

    def _hold(self, result: PathResult, frame: int) -> None:
        """Look at the place of a frame."""
        z_D = result.z_FD[frame]
        self._held = (frame, z_D)
        self._place.hover(z_D, name=f"Path, frame {frame + 1} of {len(result.z_FD)}")

    def _held_frame(self) -> int:
        """The frame that is looked at, -1 where none is, or the mouse has taken the look elsewhere since."""
        return self._held[0] if self._held is not None and self._place.is_hovered(self._held[1]) else -1

    def _leave(self) -> None:
        if self._held_frame() >= 0:
            self._place.leave()
        self._held = None

    def _stop(self) -> None:
        self._play_timer.stop()
        self.controls.show_playing(self.is_playing)
        self._leave()

    # --- showing

    @Slot(object, object)
    def _arranged(self, before: Arrangement, after: Arrangement) -> None:
        if after.path is not before.path:
            self._show_choice(after.path)

    def _show_choice(self, choice: PathChoice) -> None:
        self.controls.show_choice(choice)
        self.straighten_button.setEnabled(bool(choice.bends))

    @Slot()
    def _show_path(self) -> None:
        result = self.result
        self.controls.show_path(result is not None)
        if result is None:
            self._stop()
            self.strip.clear(self._search.note)
            self.straight_strip.hide()
            self.text.setText("")
            self.path_changed.emit(None)
            self._mark_frame(-1)
            return
        self.strip.show_frames(result.pictures_F, result.num_near_F, result.visual_length_F)
        self._show_straight(result)
        held = self._held_frame()
        if held >= 0:
            # What is held is the frame, not the latent point that it had in the path before.
            self._hold(result, min(held, len(result.z_FD) - 1))
        self.path_changed.emit(result)
        self._mark_frame(self.strip.current)

    def _show_straight(self, result: PathResult) -> None:
        """The straight path below, its ruler on the same scale."""
        metric, end = PATH_METRICS[result.metric], max(result.length, result.straight_length)
        for strip in (self.strip, self.straight_strip):
            strip.show_lengths_in(metric.words, metric.unit, end)
        if result.straight is not None:
            self.straight_strip.show_frames(result.straight.pictures_F, None, result.straight.visual_length_F)
        self.straight_strip.setVisible(result.straight is not None)

    def _show_text(self) -> None:
        result = self.result
        if result is None:
            return
        parts = [self.strip.frame_text(self.strip.current)]
        if self.is_result_old:
            parts.append("finding the path…")
        else:
            parts += [length_text(result), *([result.note] if result.note else [])]
        self.text.setText(" · ".join(parts))
        self.text.setToolTip(length_details(result))

    @Slot(bool)
    def _show_age(self, is_old: bool) -> None:
        self.strip.set_dimmed(is_old)
        self.straight_strip.set_dimmed(is_old)
        # Fewer words for a moment are to leave the frames their size.
        self.text.setMinimumHeight(self.text.height() if is_old else 0)
        self._show_text()
        self.search_changed.emit(is_old)

    @Slot()
    def _forget_dialog(self) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None
