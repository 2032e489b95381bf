"""How far the run is: epoch, a thin bar, and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QWidget

from vae_explorer.gui.session_words import State

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.session_words import Progress

_BAR_STEPS = 1000


class ProgressStrip(QWidget):
    """Lives in the toolbar; empty before the first run."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setObjectName("progress")
        self.setAccessibleName("Progress of the run")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.epoch = QLabel()
        self.epoch.setObjectName("progress.epoch")
        self.remaining = QLabel()
        self.remaining.setObjectName("progress.remaining")
        self.remaining.setProperty("variant", "muted")
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(160)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(12)
        layout.addWidget(self.epoch)
        layout.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self.remaining)
        session.progress_changed.connect(self._show)
        session.state_changed.connect(self._state_changed)
        session.following.changed.connect(self._state_changed)
        session.history_cleared.connect(self._clear)
        self._clear()

    @Slot()
    def _clear(self) -> None:
        self.epoch.clear()
        self.remaining.clear()
        self.bar.setValue(0)
        self.bar.setVisible(False)

    @Slot(object)
    def _show(self, progress: Progress) -> None:
        self.bar.setVisible(True)
        self.bar.setValue(round(_BAR_STEPS * progress.fraction))
        self.epoch.setText(f"Epoch {progress.epoch:.1f} of {progress.epochs}")
        left = progress.eta_seconds
        is_trained = self._session.state is State.TRAINING or bool(self._session.following.writer)
        if is_trained and left is not None:
            self.remaining.setText(f"{duration_text(left)} left")
        else:
            self.remaining.setText(f"{duration_text(progress.seconds)} trained")

    @Slot()
    def _state_changed(self) -> None:
        if self._session.progress is not None:
            self._show(self._session.progress)


def duration_text(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
