"""Samples from the prior: the same draws again and again, so that one sees them come into being."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout

from vae_explorer.gui.panels.looking_panel import LookingPanel
from vae_explorer.gui.widgets.image_view import ImageGrid
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer

SEED = 0
_MOST = 400


class SamplesPanel(LookingPanel):
    """As many decoded prior samples as fit; the seed is fixed and the generator their own."""

    slot_name = "samples"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.grid = ImageGrid()
        self.grid.setAccessibleName("Samples from the prior")
        self.grid.set_note("Warming up…")
        self._caption = QLabel()
        self._caption.setProperty("variant", "muted")
        self._caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(6)
        layout.addWidget(self.grid, 1)
        layout.addWidget(self._caption)
        self.grid.capacity_changed.connect(self._fill)

    def work(self) -> Work | None:
        """Draw and decode as many as fit."""
        snapshot = self.session.snapshot
        if snapshot is None:
            return None
        if not MODELS[snapshot.model_name].has_prior:
            self.show_note(f"The model “{MODELS[snapshot.model_name].title}” has no prior to draw samples from.")
            return None
        self.grid.set_picture_side(max(snapshot.image_shape[1:]))
        return partial(_samples, num=min(self.grid.capacity, _MOST))

    def show_answer(self, answer: object) -> None:
        """Show the samples and the step they are of."""
        assert isinstance(answer, tuple)
        pictures, step = answer
        self.grid.show_pictures(pictures)
        text = f"step {step:,}  ·  z ~ p(z), seed {SEED}"
        if text != self._caption.text():
            self._caption.setText(text)

    def show_note(self, note: str) -> None:
        """A sentence in place of the samples."""
        self.grid.show_pictures()
        self.grid.set_note(note)
        self._caption.setText("")

    @Slot()
    def _fill(self) -> None:
        if self.grid.capacity > self.grid.num_pictures:
            self.refresh()


def _samples(explorer: Explorer, num: int) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], int]:
    assert explorer.snapshot is not None
    return explorer.sample(num, SEED), explorer.snapshot.step
