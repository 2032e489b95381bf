"""What panels of picture grids share: seen, they look through the newest snapshot a few times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.paced_timer import PacedTimer
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.image_grid import ImageGrid

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work


class LookingPanel(QWidget):
    """A grid and a caption that own one slot of the exploring thread. Subclasses give the work and paint the answer.

    A request is sent when a snapshot came, the panel came into sight or it needs more, never twice within
    `shortest_interval` seconds. An answer is followed by the wish for the next snapshot.
    """

    slot_name = "samples"
    shortest_interval = 0.4

    def __init__(self, session: Session, grid: ImageGrid) -> None:
        super().__init__()
        self.session = session
        self.grid = grid
        self.grid.set_note("Warming up…")
        self.grid.capacity_changed.connect(self._fill)
        self._caption = ElidedLabel(is_muted=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(6)
        layout.addWidget(self.grid, 1)
        layout.addWidget(self._caption)
        self._is_active = False
        self._number = 0
        self._timer = PacedTimer(self, self.shortest_interval, self._ask)
        session.snapshot_changed.connect(self._snapshot_came)
        session.explorer_thread.answered.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        session.explorer_thread.failed.connect(self._tell_failure, Qt.ConnectionType.QueuedConnection)

    def work(self) -> Work | None:
        """The work to send now; None if there is nothing to ask for."""
        raise NotImplementedError

    def show_answer(self, answer: object) -> None:
        """Paint what the work returned."""
        raise NotImplementedError

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = visible
        if visible:
            self.refresh()
        else:
            self._timer.stop()
            self._number += 1
            self.session.explorer_thread.withdraw(self.slot_name)

    def refresh(self) -> None:
        """Ask again, at once or as soon as the interval allows."""
        if self._is_active:
            self._timer.want()

    def show_caption(self, text: str) -> None:
        """Say what the pictures are."""
        self._caption.show_text(text)

    def show_note(self, note: str) -> None:
        """A sentence in place of the pictures."""
        self.grid.show_pictures()
        self.grid.set_note(note)
        self.show_caption("")

    @Slot()
    def _fill(self) -> None:
        if self.grid.capacity > self.grid.num_pictures:
            self.refresh()

    @Slot(object)
    def _snapshot_came(self, _snapshot: object) -> None:
        self.refresh()

    @Slot()
    def _ask(self) -> None:
        if not self._is_active or self.session.snapshot is None:
            return
        work = self.work()
        if work is not None:
            self._number += 1
            self._timer.note()
            self.session.explorer_thread.submit(self.slot_name, self._number, work)

    @Slot(str, int, object, int)
    def _receive(self, slot: str, number: int, answer: object, stamp: int) -> None:
        del stamp
        if slot == self.slot_name and number == self._number and self._is_active:
            self.show_answer(answer)
            self.session.want_snapshot()

    @Slot(str, int, object)
    def _tell_failure(self, slot: str, number: int, error: Exception) -> None:
        if slot != self.slot_name or number != self._number or not self._is_active:
            return
        if isinstance(error, UserError):
            self.show_note(error.message)
        else:
            self.session.post("error", f"A picture could not be made: {error}.", "Choose another model or setting.")
