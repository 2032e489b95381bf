"""Held-out pictures above their reconstructions: always the same ones, so that one sees them come back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout

from vae_explorer.gui.panels.looking_panel import LookingPanel
from vae_explorer.gui.widgets.image_view import ImageGrid

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer

_MOST = 120
UInt8 = np.ndarray[Any, np.dtype[np.uint8]]


class ReconstructionsPanel(LookingPanel):
    """Pairs of an original and its reconstruction from the posterior mean, going round the classes."""

    slot_name = "reconstructions"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.grid = ImageGrid(rows_together=2)
        self.grid.setAccessibleName("Originals above reconstructions")
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
        session.dataset_changed.connect(self._snapshot_came)

    def work(self) -> Work | None:
        """Reconstruct as many as fit."""
        dataset, snapshot = self.session.dataset, self.session.snapshot
        if dataset is None or snapshot is None or dataset.image_shape != snapshot.image_shape:
            return None
        self.grid.set_picture_side(max(snapshot.image_shape[1:]))
        return partial(_pairs, dataset=dataset, num=min(self.grid.capacity, _MOST))

    def show_answer(self, answer: object) -> None:
        """Show the pairs and the step they are of."""
        assert isinstance(answer, tuple)
        originals, reconstructions, step, is_heldout = answer
        self.grid.show_pictures(originals, reconstructions)
        kind = "held-out images" if is_heldout else "images"
        text = f"step {step:,}  ·  {kind} above their reconstructions"
        if text != self._caption.text():
            self._caption.setText(text)

    def show_note(self, note: str) -> None:
        """A sentence in place of the pairs."""
        self.grid.show_pictures()
        self.grid.set_note(note)
        self._caption.setText("")

    @Slot()
    def _fill(self) -> None:
        if self.grid.capacity > self.grid.num_pictures:
            self.refresh()


def _pairs(explorer: Explorer, dataset: ImageDataset, num: int) -> tuple[UInt8, UInt8, int, bool]:
    assert explorer.snapshot is not None
    is_heldout = len(dataset.heldout_index_N) > 0
    index_N = dataset.heldout_index_N if is_heldout else dataset.train_index_N
    labels_N = None if dataset.labels_N is None else dataset.labels_N[index_N].cpu().numpy()
    chosen = round_the_classes(len(index_N), labels_N, num)
    images_BCHW = dataset.images.gather(index_N[chosen])
    return *explorer.reconstruct(images_BCHW), explorer.snapshot.step, is_heldout


def round_the_classes(num_items: int, labels_N: np.ndarray | None, num: int) -> np.ndarray:
    """Which items to show: the first of each class, then the second of each; without labels the first."""
    if labels_N is None:
        return np.arange(min(num, num_items))
    order = np.argsort(labels_N, kind="stable")
    sorted_labels = labels_N[order]
    # The rank of an item among those of its class.
    starts = np.searchsorted(sorted_labels, sorted_labels, side="left")
    rank_N = np.empty(num_items, dtype=np.int64)
    rank_N[order] = np.arange(num_items) - starts
    return np.lexsort((labels_N, rank_N))[:num]
