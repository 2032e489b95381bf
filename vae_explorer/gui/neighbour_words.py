"""New or a copy? What is said of the images nearest to a decoded picture. No widgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.novelty import Novelty

QUESTION = "New or a copy?"
DISTANCE_MEANING = "Distances are L2 over all pixels (pixel values, 0 to 1)."

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]
CellKind = Literal["original", "training", "held out"]


@dataclass(frozen=True, slots=True, eq=False)
class StripCell:
    """One small picture: what it is, whose it is, and how far from the decoded one (None for the original)."""

    kind: CellKind
    item: int
    picture: UInt8
    distance: float | None
    title: str

    @property
    def tip(self) -> str:
        """All about it."""
        if self.distance is None:
            return f"{self.title}\nThe image whose code is under the mouse; a click selects it"
        group = "training image" if self.kind == "training" else "held-out image"
        return (
            f"{self.title}\n{group}, at a distance of {number_text(self.distance, 2)}. {DISTANCE_MEANING}\n"
            "A click selects it, and its posterior is on the map."
        )

    @property
    def facts(self) -> Mapping[str, str]:
        """What is written into a saved file."""
        return {"kind": f"{self.kind} image", "item": str(self.item), "title": self.title}


def item_title(dataset: ImageDataset | None, item: int) -> str:
    """An item as a person reads it: "Image 12,345 · class 7"."""
    name = None if dataset is None else dataset.class_of(item)
    if name is None:
        return f"Image {item:,}"
    return f"Image {item:,} · {f'class {name}' if name.isdigit() else name}"


def strip_cells(novelty: Novelty, dataset: ImageDataset | None) -> tuple[StripCell, ...]:
    """The nearest training images, nearest first, and the nearest held-out one."""
    cells = [
        StripCell("training", int(item), picture, float(distance), item_title(dataset, int(item)))
        for item, picture, distance in zip(
            novelty.train_ids, novelty.train_pictures, novelty.train_distances, strict=True
        )
    ]
    if novelty.heldout_id is not None and novelty.heldout_picture is not None:
        title = item_title(dataset, novelty.heldout_id)
        cells.append(
            StripCell("held out", novelty.heldout_id, novelty.heldout_picture, novelty.heldout_distance, title)
        )
    return tuple(cells)


def short_text(novelty: Novelty) -> str:
    """The ratio and what follows from it, for a line of its own: "ratio 0.87 · no sign of copying"."""
    conclusion = _conclusion(novelty)
    return conclusion if novelty.ratio is None else f"ratio {novelty.ratio:.2f} · {conclusion}"


def ratio_text(novelty: Novelty) -> str:
    """The distances and their ratio in one sentence, with the verdict's last clause."""
    training = number_text(float(novelty.train_distances[0]), 1) if len(novelty.train_distances) else "none"
    if novelty.ratio is None or novelty.heldout_distance is None:
        return f"Nearest training {training}. {novelty.verdict}"
    heldout = number_text(novelty.heldout_distance, 1)
    text = f"Nearest training {training}, nearest held-out {heldout}: ratio {novelty.ratio:.2f} — "
    return text + _conclusion(novelty)


def _conclusion(novelty: Novelty) -> str:
    conclusion = novelty.verdict.rpartition(": ")[2].rstrip(".")
    return conclusion[:1].lower() + conclusion[1:]
