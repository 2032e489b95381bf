"""Images as training sees them: uint8 on the device, asked for by item id; points of the plane are float32.

An item id is a row of the training source and names the same picture for ever; splits are lists of ids. The
test split is a thing of its own, loaded by `load_test_split` for evaluation and by nobody else.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vae_explorer.datasets.catalogue import DATASETS, DatasetRecord, Split
from vae_explorer.datasets.mnist import LabelledImages
from vae_explorer.datasets.protocols import static_binarisation
from vae_explorer.errors import FileError, SettingError

HELDOUT_SEED = 0
"""Seed of the permutation whose first items are held out, so that every run holds out the same ones."""


class ImageStore(Protocol):
    """N images of one shape, of which any batch can be had on the device."""

    @property
    def num_images(self) -> int:
        """N."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    @property
    def device(self) -> torch.device:
        """Where `gather` takes its index and puts its images."""

    def gather(self, index_B: Tensor) -> Tensor:
        """The images at `index_B` (int64, on the device): uint8 (float32 for points) of shape (B, C, H, W), a copy."""


class ResidentImages:
    """Items that stay on the device whole, as uint8 or float32: the fast way for everything that fits."""

    def __init__(self, images_NCHW: Tensor | np.ndarray, device: torch.device | str = "cpu") -> None:
        """`images_NCHW`: uint8 of shape (N, C, H, W), float32 for points of the plane."""
        images_NCHW = torch.as_tensor(images_NCHW)
        wanted = torch.float32 if images_NCHW.shape[1:] == (2, 1, 1) else torch.uint8
        assert images_NCHW.dtype == wanted, f"{wanted} of shape (N, C, H, W) wanted, not {images_NCHW.dtype}"
        assert images_NCHW.ndim == 4, f"{wanted} of shape (N, C, H, W) wanted, not {tuple(images_NCHW.shape)}"
        self.num_images = images_NCHW.shape[0]
        self.image_shape: tuple[int, int, int] = (
            images_NCHW.shape[1],
            images_NCHW.shape[2],
            images_NCHW.shape[3],
        )
        # Rows of one long vector each: picking rows is 25 times faster than picking from four dimensions.
        self._rows = images_NCHW.reshape(self.num_images, -1).contiguous().to(device)
        self.device = self._rows.device

    @property
    def images_NCHW(self) -> Tensor:
        """All items, of shape (N, C, H, W), not a copy."""
        return self._rows.view(self.num_images, *self.image_shape)

    def gather(self, index_B: Tensor) -> Tensor:
        """The images at `index_B`, as `ImageStore.gather`."""
        return self._rows.index_select(0, index_B).view(-1, *self.image_shape)


class StreamedImages:
    """Images that stay in a file and are read as they are asked for, for sets larger than memory.

    Memory: one batch. The file holds the images one after the other as uint8, (C, H, W) each, from `offset`
    on. Reading is by position, so several threads may gather at once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        offset: int,
        num_images: int,
        image_shape: tuple[int, int, int],
        device: torch.device | str = "cpu",
    ) -> None:
        """Open the file; raises FileError if that fails or if it is too short."""
        self.path = path
        self.num_images = num_images
        self.image_shape = image_shape
        self.device = torch.empty(0, device=device).device
        self._offset = offset
        self._image_bytes = image_shape[0] * image_shape[1] * image_shape[2]
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise FileError(
                path,
                f"{os.fspath(path)} cannot be read: {error.strerror}.",
                "Check its name and permissions.",
            ) from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        if os.fstat(self._descriptor).st_size < offset + num_images * self._image_bytes:
            self.close()
            raise self._cut_short()

    def gather(self, index_B: Tensor) -> Tensor:
        """The images at `index_B`, as `ImageStore.gather`; raises FileError if the file has gone bad."""
        index = index_B.cpu().numpy()
        if len(index) and not (index.min() >= 0 and index.max() < self.num_images):
            raise IndexError(f"an item id is outside 0..{self.num_images - 1}")
        images_B = np.empty((len(index), self._image_bytes), dtype=np.uint8)
        # In the order of the file, neighbours in one read: kinder to a disk than a shuffled order.
        order = np.argsort(index, kind="stable")
        gaps = np.flatnonzero(np.diff(index[order]) != 1) + 1
        for part in np.split(order, gaps) if len(index) else ():
            images_B[part] = self._read_rows(int(index[part[0]]), len(part))
        return torch.from_numpy(images_B).view(-1, *self.image_shape).to(self.device)

    def _read_rows(self, first: int, count: int) -> np.ndarray:
        """`count` neighbouring images as rows: uint8 of shape (count, C * H * W)."""
        wanted = count * self._image_bytes
        position = self._offset + first * self._image_bytes
        read = bytearray()
        while len(read) < wanted:
            try:
                piece = os.pread(self._descriptor, wanted - len(read), position + len(read))
            except OSError as error:
                raise FileError(
                    self.path,
                    f"{os.fspath(self.path)} cannot be read any more: {error.strerror}.",
                    "Check that the disk is still there, then continue.",
                ) from error
            if not piece:
                raise self._cut_short()
            read += piece
        return np.frombuffer(read, dtype=np.uint8).reshape(-1, self._image_bytes)

    def _cut_short(self) -> FileError:
        return FileError(
            self.path,
            f"{os.fspath(self.path)} is shorter than its {self.num_images} images.",
            "Fetch the file again, and do not change it while it is in use.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class RenderedSplit:
    """One split whose pictures are made as they are asked for.

    `store` opens them on a device. `factors_NF` (uint8, counted from 0) says what each was made from, None where nobody
    knows. `content_digest` (SHA-256, hex) names the pictures and labels.
    """

    store: Callable[[torch.device | str], ImageStore]
    labels_N: np.ndarray | None
    factors_NF: np.ndarray | None
    content_digest: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageDataset:
    """A training source and its split into images to learn from and images held out for the live curve.

    `train_index_N` and `heldout_index_N` are int64 item ids on the device, ascending and disjoint; together
    they are all items. `labels_N` is int64 by item id. `content_digest` (SHA-256, hex) names the exact images
    and labels. `factors_NF` says what each item was made from (uint8 by item id, counted from 0, a column a name of
    `factor_names`), None where nobody knows.
    """

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...]
    images: ImageStore
    labels_N: Tensor | None
    train_index_N: Tensor
    heldout_index_N: Tensor
    content_digest: str
    factors_NF: Tensor | None = None
    factor_names: tuple[str, ...] = ()

    def class_name(self, label: int) -> str:
        """What a class is called: its number where it has no name."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)

    def class_of(self, item: int) -> str | None:
        """What the class of an item is called; None without labels, or for an item that is not there."""
        if self.labels_N is None or not 0 <= item < len(self.labels_N):
            return None
        return self.class_name(int(self.labels_N[item]))


@dataclass(frozen=True, slots=True, eq=False)
class TestSplit:
    """Images that no training and no choice has seen; order as in the files. Its fields are those of `ImageDataset`."""

    __test__ = False  # not a test case, whatever its name suggests to pytest

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...]
    images: ImageStore
    labels_N: Tensor | None
    content_digest: str
    factors_NF: Tensor | None = None
    factor_names: tuple[str, ...] = ()


def load_dataset(
    name: str, heldout_images: int, device: torch.device | str = "cpu", protocol: str = "", heldout_part: int = 0
) -> ImageDataset:
    """The training source `name`, of which `heldout_images` are held out by a fixed draw, on the device.

    `heldout_part` as for `heldout_split`.

    Under the protocol `static` the images are the bits drawn from them once; under all others they are as stored. Opens
    no file of the test split. Raises UserError for an unknown name, SettingError for a number that
    leaves nothing to train on, FileError for a broken file.
    """
    record = DATASETS[name]
    split = _load(record, "train", protocol)
    images = split.store(device)
    train_index_N, heldout_index_N = heldout_split(images.num_images, heldout_images, heldout_part)
    return ImageDataset(
        name=record.name,
        image_shape=record.image_shape,
        num_classes=record.num_classes,
        class_names=record.class_names,
        images=images,
        labels_N=_on_device(split.labels_N, device),
        train_index_N=train_index_N.to(device),
        heldout_index_N=heldout_index_N.to(device),
        content_digest=split.content_digest,
        factors_NF=_on_device(split.factors_NF, device),
        factor_names=record.factor_names,
    )


def load_test_split(name: str, device: torch.device | str = "cpu", protocol: str = "") -> TestSplit:
    """The test split of the data set `name`, on the device; for evaluation only. Protocol and errors as for
    `load_dataset`.
    """
    record = DATASETS[name]
    split = _load(record, "test", protocol)
    return TestSplit(
        name=record.name,
        image_shape=record.image_shape,
        num_classes=record.num_classes,
        class_names=record.class_names,
        images=split.store(device),
        labels_N=_on_device(split.labels_N, device),
        content_digest=split.content_digest,
        factors_NF=_on_device(split.factors_NF, device),
        factor_names=record.factor_names,
    )


def heldout_split(num_images: int, heldout_images: int, part: int = 0) -> tuple[Tensor, Tensor]:
    """Item ids to train on and held out, int64, ascending; the same for the same three numbers, for ever.

    The images fall into parts of `heldout_images`, of which the last may be smaller; `part` says which is held out, so
    that over all parts each image is held out once. Raises SettingError.
    """
    if not 0 <= heldout_images < num_images:
        raise SettingError(
            "data.heldout_images",
            f"{heldout_images} images cannot be held out of {num_images}.",
            f"Choose a number from 0 to {num_images - 1}.",
        )
    num_parts = num_heldout_parts(num_images, heldout_images)
    if part and not heldout_images:
        raise SettingError(
            "data.heldout_part",
            f"No images are held out, so there is no part {part} of them.",
            "Set data.heldout_images too, or leave the part at 0.",
        )
    if not 0 <= part < num_parts:
        raise SettingError(
            "data.heldout_part",
            f"There is no part {part} of {heldout_images} images among {num_images}.",
            f"Choose a number from 0 to {num_parts - 1}, or hold fewer images out.",
        )
    # numpy promises that the stream of RandomState never changes, so a run resumed years later keeps its
    # split.
    permutation = torch.from_numpy(np.random.RandomState(HELDOUT_SEED).permutation(num_images))
    start, end = part * heldout_images, (part + 1) * heldout_images
    kept = torch.cat([permutation[:start], permutation[end:]])
    return kept.sort().values, permutation[start:end].sort().values


def num_heldout_parts(num_images: int, heldout_images: int) -> int:
    """How many parts of that size there are to hold out; 1 where nothing is held out."""
    return -(-num_images // heldout_images) if heldout_images else 1


def _load(record: DatasetRecord, split: Split, protocol: str) -> RenderedSplit:
    loaded = record.load(split)
    if isinstance(loaded, RenderedSplit):
        return loaded
    assert loaded.images_NCHW.shape[1:] == record.image_shape, f"{record.name} is not of the shape its record says"
    if protocol == "static":
        loaded = LabelledImages(static_binarisation(loaded.images_NCHW, split), loaded.labels_N)
    return RenderedSplit(partial(ResidentImages, loaded.images_NCHW), loaded.labels_N, None, _digest(loaded))


def _on_device(numbers: np.ndarray | None, device: torch.device | str) -> Tensor | None:
    return None if numbers is None else torch.from_numpy(numbers).to(device)


def _digest(split: LabelledImages) -> str:
    digest = hashlib.sha256(repr(split.images_NCHW.shape).encode())
    digest.update(np.ascontiguousarray(split.images_NCHW).data)
    if split.labels_N is not None:
        digest.update(split.labels_N.astype("<i8").tobytes())
    return digest.hexdigest()
