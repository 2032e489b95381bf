"""The images of one split under the run's protocol, as every measure sees them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.protocols import BINARISATION_SEED, STATIC_SEEDS, apply_protocol, fixed_binarisation
from vae_explorer.errors import UserError, nearest_hint

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageStore

SPLITS = ("test", "heldout", "train")

MOST_SCORED = 100_000
"""Of a larger split an even part is scored: the pictures of all sprites would take 3 GB."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoredImages:
    """What is scored: the same pictures in every call, since `dynamic` is binarised once with a stated seed.

    `stored_NCHW` is on the device: grey levels 0..255 or, where `binarised`, bits, as uint8; points of the plane as
    float32. `grey_NCHW` are the grey levels from which bits were drawn. `labels_N` is int64 in 0..`num_classes` - 1,
    None without labels. `factors_NF` says what each picture was made from, int64 counted from 0 in each column, None
    where nobody knows; `factor_names` names its columns.
    """

    split: str
    protocol: str
    stored_NCHW: Tensor
    binarised: bool = False
    grey_NCHW: Tensor | None = None
    labels_N: Tensor | None = None
    num_classes: int = 0
    factors_NF: Tensor | None = None
    factor_names: tuple[str, ...] = ()

    @property
    def num_images(self) -> int:
        """N."""
        return int(self.stored_NCHW.shape[0])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.stored_NCHW.shape[1:]
        return channels, height, width

    @property
    def binarisation_seed(self) -> int | None:
        """The seed of the one draw under `dynamic` or `static`, stored with every result; else None."""
        if self.protocol == "static":
            return STATIC_SEEDS["test" if self.split == "test" else "train"]
        return BINARISATION_SEED if self.binarised else None

    def x(self, start: int, stop: int) -> Tensor:
        """Pictures `start` to `stop` as the model sees them, float32 (B, C, H, W), on the device."""
        return self._seen(self.stored_NCHW[start:stop])

    def at(self, index_B: Tensor) -> Tensor:
        """The pictures of these numbers as the model sees them."""
        return self._seen(self.stored_NCHW[index_B])

    def _seen(self, stored_BCHW: Tensor) -> Tensor:
        return stored_BCHW.to(torch.float32) if self.binarised else apply_protocol(self.protocol, stored_BCHW)

    def shown(self, start: int, stop: int) -> Tensor:
        """What a perfect decoder's mean looks like, float32 (B, C, H, W): the grey levels from which bits were drawn
        where there are any, else what the model sees.
        """
        return self.shown_at(torch.arange(start, min(stop, self.num_images), device=self.stored_NCHW.device))

    def shown_at(self, index_B: Tensor) -> Tensor:
        """As `shown`, of the pictures of these numbers."""
        index_B = index_B.to(self.stored_NCHW.device)
        if self.grey_NCHW is None:
            return self.at(index_B)
        return self.grey_NCHW[index_B].to(torch.float32).div_(255)

    def labels(self, start: int, stop: int) -> Tensor | None:
        """The classes of pictures `start` to `stop`, (B,); None without labels."""
        return None if self.labels_N is None else self.labels_N[start:stop]

    def first(self, num: int) -> ScoredImages:
        """The first `num` of them, or all."""
        if num >= self.num_images:
            return self
        return dataclasses.replace(
            self,
            stored_NCHW=self.stored_NCHW[:num],
            grey_NCHW=None if self.grey_NCHW is None else self.grey_NCHW[:num],
            labels_N=None if self.labels_N is None else self.labels_N[:num],
            factors_NF=None if self.factors_NF is None else self.factors_NF[:num],
        )


def scored_images(
    images: ImageStore,
    index_N: Tensor,
    protocol: str,
    split: str,
    *,
    labels_N: Tensor | None = None,
    num_classes: int = 0,
    factors_NF: Tensor | None = None,
    factor_names: tuple[str, ...] = (),
) -> ScoredImages:
    """The images at `index_N` of a store, binarised once where the protocol draws; `labels_N` and `factors_NF` are
    those of all its items.
    """
    stored_NCHW = images.gather(index_N)
    scored = ScoredImages(
        split=split, protocol=protocol, stored_NCHW=stored_NCHW,
        labels_N=None if labels_N is None else labels_N.index_select(0, index_N), num_classes=num_classes,
        factors_NF=None if factors_NF is None else factors_NF.index_select(0, index_N).long(),
        factor_names=factor_names,
    )  # fmt: skip
    if protocol != "dynamic":
        return scored
    bits_NCHW = fixed_binarisation(stored_NCHW).to(torch.uint8)
    return dataclasses.replace(scored, stored_NCHW=bits_NCHW, binarised=True, grey_NCHW=stored_NCHW)


def load_scored_images(
    dataset: str,
    heldout_images: int,
    protocol: str,
    split: str,
    device: torch.device | str = "cpu",
    heldout_part: int = 0,
) -> ScoredImages:
    """A split of a registered data set, scored under the protocol.

    Raises UserError for an unknown split or an empty one, FileError for broken files. The files of the test split are
    opened only when `split` is `test`.
    """
    if split not in SPLITS:
        raise UserError(f"There is no split named '{split}'.", nearest_hint(split, SPLITS))
    if split == "test":
        test = load_test_split(dataset, device, protocol)
        index_N = torch.arange(test.images.num_images, device=device)
        return scored_images(
            test.images, index_N, protocol, split, labels_N=test.labels_N, num_classes=test.num_classes,
            factors_NF=test.factors_NF, factor_names=test.factor_names,
        )  # fmt: skip
    source = load_dataset(dataset, heldout_images, device, protocol, heldout_part)
    index_N = source.heldout_index_N if split == "heldout" else source.train_index_N
    index_N = index_N[:: -(-len(index_N) // MOST_SCORED)] if len(index_N) > MOST_SCORED else index_N
    if len(index_N) == 0:
        raise UserError("This run held no images out.", "Choose the split test or train.")
    return scored_images(
        source.images, index_N, protocol, split, labels_N=source.labels_N, num_classes=source.num_classes,
        factors_NF=source.factors_NF, factor_names=source.factor_names,
    )  # fmt: skip
