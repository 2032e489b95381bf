"""The status bar: what is being done, on what device, how fast, and what looking costs training."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QLabel, QProgressBar, QStatusBar, QWidget

from vae_explorer.gui.session_words import RUNNING, State

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.training.events import Started

_FRAME_MS = 16
_FRAMES_KEPT = 256
_REFRESH_MS = 500

_STATE_TEXTS = {
    State.STARTING: "Warming up…",
    State.READY: "Ready",
    State.TRAINING: "Training",
    State.PAUSED: "Paused",
    State.STOPPING: "Saving the run…",
    State.FINISHED: "Finished",
    State.FAILED: "Stopped by an error",
}


class FrameClock:
    """Gaps between the ticks of a 16 ms timer: how long the window keeps a person waiting. GUI thread."""

    def __init__(self) -> None:
        self._gaps = np.zeros(_FRAMES_KEPT)
        self._count = 0
        self._last = 0.0

    def tick(self) -> None:
        """Note the time of a tick."""
        now = time.perf_counter()
        if self._last:
            self._gaps[self._count % _FRAMES_KEPT] = now - self._last
            self._count += 1
        self._last = now

    def rest(self) -> None:
        """Forget the last tick: the timer was stopped."""
        self._last = 0.0

    def p95_ms(self) -> float:
        """The gap that 95 of 100 lately stayed below, in ms; 0 before the first."""
        if self._count == 0:
            return 0.0
        return float(np.percentile(self._gaps[: min(self._count, _FRAMES_KEPT)], 95)) * 1e3


class StatusBar(QStatusBar):
    """Reads the session twice a second while the window is seen, and costs nothing otherwise."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.frames = FrameClock()
        self.setSizeGripEnabled(False)
        self.note = QLabel()
        self.note.setObjectName("status.note")
        self.note.setAccessibleName("State")
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.setFixedWidth(96)
        self.busy.setTextVisible(False)
        self.busy.setAccessibleName("Warming up")
        self.addWidget(self.note)
        self.addWidget(self.busy)
        self.device = self._field("device", "The device that trains, and the precision of its matrix products")
        self.speed = self._field("speed", "Training images a second, over the last report")
        self.share = self._field(
            "share", "The part of its time that training really had lately; the rest went to looking and drawing"
        )
        self.frame = self._field("frame", "Frame time of the window: 95 of 100 gaps of a 16 ms timer are shorter")
        self.decode = self._field("decode", "Time to decode the point under the mouse")
        self._frame_timer = QTimer(self)
        self._frame_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame_timer.setInterval(_FRAME_MS)
        self._frame_timer.timeout.connect(self._tick)
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setInterval(_REFRESH_MS)
        self._refresh_timer.timeout.connect(self.refresh)
        self._preparing = ""
        session.state_changed.connect(self._state_changed)
        session.preparation_noted.connect(self._preparation_noted)
        session.dataset_changed.connect(self._dataset_changed)
        session.started.connect(self._started)
        session.following.changed.connect(self._show_state)
        self._show_state()

    def _field(self, name: str, tip: str) -> QLabel:
        label = QLabel()
        label.setObjectName(f"status.{name}")
        label.setToolTip(tip)
        label.hide()
        self.addPermanentWidget(label)
        return label

    def set_active(self, visible: bool) -> None:
        """Measure and refresh only while the window can be seen."""
        self.frames.rest()
        for timer in (self._frame_timer, self._refresh_timer):
            if visible:
                timer.start()
            else:
                timer.stop()

    @Slot()
    def refresh(self) -> None:
        """Show the newest numbers."""
        session = self._session
        training = session.state is State.TRAINING
        _show(self.speed, f"{session.images_per_second:,.0f} images/s" if training else "")
        share = session.training_share
        _show(self.share, f"training at {100 * share:.0f} %" if share is not None else "")
        frame_ms = self.frames.p95_ms()
        _show(self.frame, f"frame {frame_ms:.0f} ms" if frame_ms else "")
        decode_ms = session.explorer_thread.decode_ms
        _show(self.decode, f"decode {decode_ms:.1f} ms" if decode_ms else "")

    @Slot()
    def _tick(self) -> None:
        self.frames.tick()

    @Slot(object)
    def _state_changed(self, _state: State) -> None:
        self._show_state()
        self.refresh()

    @Slot(str)
    def _preparation_noted(self, text: str) -> None:
        self._preparing = text
        self._show_state()

    @Slot(object)
    def _dataset_changed(self, _dataset: object) -> None:
        # The precision is chosen by the run.
        if self._session.start is None:
            _show(self.device, self._session.device_name)

    @Slot(object)
    def _started(self, started: Started) -> None:
        _show(self.device, f"{started.device_name} · {started.precision}")
        threads = "1 thread" if started.num_threads == 1 else f"{started.num_threads} threads"
        self.device.setToolTip(
            f"Trains on {started.device} ({threads}), matrix products in {started.precision}, "
            f"{started.num_parameters:,} parameters"
        )

    def _show_state(self) -> None:
        state = self._session.state
        preparing = "" if state in RUNNING else self._preparing
        writer = self._session.following.writer
        progress, text = self._session.progress, _STATE_TEXTS[state]
        if state is State.FINISHED and writer:
            text = f"Following: trained by {writer}"
        elif state is State.FINISHED and progress is not None and progress.step < progress.total_steps:
            text = f"Stopped at step {progress.step:,} of {progress.total_steps:,}"
        self.note.setText(preparing or text)
        self.busy.setVisible(bool(preparing) or state in {State.STARTING, State.STOPPING})


def _show(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
    if label.isHidden() == bool(text):
        label.setVisible(bool(text))
