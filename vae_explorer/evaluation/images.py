"""The images of one split under the run's protocol, as every measure sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.protocols import BINARISATION_SEED, apply_protocol, fixed_binarisation
from vae_explorer.errors import UserError, nearest_hint

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageStore

SPLITS = ("test", "heldout", "train")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredImages:
    """What is scored: the same pictures in every call, since `dynamic` is binarised once with a stated seed.

    `stored_NCHW` is uint8 on the device: grey levels 0..255, or bits where `binarised`.
    """

    split: str
    protocol: str
    stored_NCHW: Tensor
    binarised: bool

    @property
    def num_images(self) -> int:
        """N."""
        return int(self.stored_NCHW.shape[0])

    @property
    def binarisation_seed(self) -> int | None:
        """The seed of the one draw under `dynamic`, stored with every result; None under the other protocols."""
        return BINARISATION_SEED if self.binarised else None

    def x(self, start: int, stop: int) -> Tensor:
        """Pictures `start` to `stop`, float32 (B, C, H, W) in [0, 1], on the device."""
        part = self.stored_NCHW[start:stop]
        return part.to(torch.float32) if self.binarised else apply_protocol(self.protocol, part)

    def first(self, num: int) -> ScoredImages:
        """The first `num` of them, or all."""
        return ScoredImages(self.split, self.protocol, self.stored_NCHW[:num], self.binarised)


def scored_images(images: ImageStore, index_N: Tensor, protocol: str, split: str) -> ScoredImages:
    """The images at `index_N` of a store, binarised once where the protocol draws."""
    stored_NCHW = images.gather(index_N)
    binarised = protocol == "dynamic"
    if binarised:
        stored_NCHW = fixed_binarisation(stored_NCHW).to(torch.uint8)
    return ScoredImages(split, protocol, stored_NCHW, binarised)


def load_scored_images(
    dataset: str, heldout_images: int, protocol: str, split: str, device: torch.device | str = "cpu"
) -> ScoredImages:
    """A split of a registered data set, scored under the protocol.

    Raises UserError for an unknown split or an empty one, FileError for broken files. The files of the test split are
    opened only when `split` is `test`.
    """
    if split not in SPLITS:
        raise UserError(f"There is no split named '{split}'.", nearest_hint(split, SPLITS))
    if split == "test":
        test = load_test_split(dataset, device)
        return scored_images(test.images, torch.arange(test.images.num_images, device=device), protocol, split)
    source = load_dataset(dataset, heldout_images, device)
    index_N = source.heldout_index_N if split == "heldout" else source.train_index_N
    if len(index_N) == 0:
        raise UserError("This run held no images out.", "Choose the split test or train.")
    return scored_images(source.images, index_N, protocol, split)
