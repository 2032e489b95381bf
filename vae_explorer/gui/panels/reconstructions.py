"""Held-out pictures above their reconstructions: always the same ones, so that one sees them come back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Slot

from vae_explorer.gui.neighbour_words import item_title
from vae_explorer.gui.panels.looking_panel import LookingPanel
from vae_explorer.gui.widgets.image_grid import ImageGrid
from vae_explorer.latent.arrangement import ItemSet

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer

_MOST = 120
UInt8 = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What the network sees of some items and what comes back; `item_ids_N` are theirs, `titles` their names.

    `pictures` are the originals, of a denoising model what it is shown in their place, and the reconstructions.
    """

    pictures: tuple[UInt8, ...]
    item_ids_N: np.ndarray[Any, np.dtype[np.int64]]
    titles: tuple[str, ...]
    step: int
    is_heldout: bool


class ReconstructionsPanel(LookingPanel):
    """Pairs of an original and its reconstruction from the posterior mean, going round the classes.

    A click on a pair selects its item, so that its posterior is on the map.
    """

    slot_name = "reconstructions"

    def __init__(self, session: Session) -> None:
        super().__init__(session, ImageGrid(rows_together=2))
        self.grid.setAccessibleName("Originals above reconstructions")
        self.grid.picture_clicked.connect(self._select)
        self._pairs: Pairs | None = None
        session.dataset_changed.connect(self._snapshot_came)

    def work(self) -> Work | None:
        """Reconstruct as many as fit."""
        dataset, snapshot = self.session.dataset, self.session.snapshot
        if dataset is None or snapshot is None or dataset.image_shape != snapshot.image_shape:
            return None
        self.grid.set_picture_side(max(snapshot.data_space.picture_shape[1:]))
        return partial(_reconstruct, dataset=dataset, num=min(self.grid.capacity, _MOST))

    def show_answer(self, answer: object) -> None:
        """Show the pairs and the step they are of."""
        assert isinstance(answer, Pairs)
        self._pairs = answer
        common = {"kind": "reconstructions", "step": str(answer.step)}
        self.grid.set_rows_together(len(answer.pictures))
        self.grid.show_pictures(*answer.pictures, common=common, describe=partial(_facts, answer))
        kind = "held-out images" if answer.is_heldout else "images"
        shown = ", what the network is shown" if len(answer.pictures) > 2 else ""
        below = "and what it makes of it" if shown else "above their reconstructions"
        self.show_caption(f"step {answer.step:,}  ·  {kind}{shown} {below}")

    def show_note(self, note: str) -> None:
        """A sentence in place of the pairs."""
        self._pairs = None
        super().show_note(note)

    @Slot(int)
    def _select(self, number: int) -> None:
        if self._pairs is not None and number < len(self._pairs.item_ids_N):
            self.session.map.select(ItemSet(self._pairs.item_ids_N[number : number + 1]), "pick an image")


def _facts(pairs: Pairs, number: int, part: int) -> dict[str, str]:
    kinds = ("original as the network sees it", *("corrupted",) * (len(pairs.pictures) - 2), "reconstruction")
    kind = kinds[part]
    return {"kind": kind, "item": str(pairs.item_ids_N[number]), "title": pairs.titles[number]}


def _reconstruct(explorer: Explorer, dataset: ImageDataset, num: int) -> Pairs:
    assert explorer.snapshot is not None
    is_heldout = len(dataset.heldout_index_N) > 0
    index_N = dataset.heldout_index_N if is_heldout else dataset.train_index_N
    labels_N = None if dataset.labels_N is None else dataset.labels_N[index_N].cpu().numpy()
    chosen = round_the_classes(len(index_N), labels_N, num)
    item_ids_N = index_N[chosen].cpu().numpy().astype(np.int64)
    pairs = explorer.reconstruct(dataset.images.gather(index_N[chosen]), item_ids_N)
    titles = tuple(item_title(dataset, int(item)) for item in item_ids_N)
    return Pairs(pairs, item_ids_N, titles, explorer.snapshot.step, is_heldout)


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
