"""Whether an item id names the same picture in two data sets, so that runs on them can be joined item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vae_explorer.datasets.image_dataset import ImageDataset


def join_problem(first: ImageDataset, second: ImageDataset, *, are_bits: tuple[bool, bool] = (False, False)) -> str:
    """Why their items cannot be joined by id, in a sentence; empty where they can.

    `are_bits` says which of the two holds the bits that `static` draws from the pictures instead of these: the digests
    of both then differ although the items are the same, and number, shape and labels have to do.
    """
    if first.name != second.name:
        return (
            f"The runs are of different data sets, {first.name} and {second.name}: "
            "their images cannot be joined."
        )  # fmt: skip
    is_same = _is_alike(first, second) if are_bits[0] != are_bits[1] else first.content_digest == second.content_digest
    return "" if is_same else f"The images of {first.name} are not the same in both runs, so they cannot be joined."


def shared_heldout(first: ImageDataset, second: ImageDataset) -> NDArray[np.int64]:
    """Ids of the items that both hold out, ascending: neither run has learnt from any of them."""
    shared = np.intersect1d(first.heldout_index_N.cpu().numpy(), second.heldout_index_N.cpu().numpy())
    return shared.astype(np.int64)


def _is_alike(first: ImageDataset, second: ImageDataset) -> bool:
    labels = first.labels_N, second.labels_N
    if (first.images.num_images, first.image_shape) != (second.images.num_images, second.image_shape):
        return False
    if labels[0] is None or labels[1] is None:
        return labels[0] is labels[1]
    return torch.equal(labels[0].cpu(), labels[1].cpu())
