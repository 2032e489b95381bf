"""MNIST from the four IDX files that are shipped in `resources/datasets/mnist/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.datasets.idx import read_idx
from vae_explorer.errors import FileError
from vae_explorer.resource_files import resource_path

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.datasets.catalogue import Split

_FILE_PREFIX = {"train": "train", "test": "t10k"}
_NUM_CLASSES = 10


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """One split in memory: `images_NCHW` uint8, points float32, and, where there are labels, `labels_N` int64."""

    images_NCHW: np.ndarray
    labels_N: np.ndarray | None


def load_mnist(split: Split, folder: Path | None = None) -> LabelledImages:
    """One split, in the order of its files, from `folder` or from the shipped files; raises FileError."""
    folder = resource_path("datasets", "mnist") if folder is None else folder
    images_path = folder / f"{_FILE_PREFIX[split]}-images-idx3-ubyte.gz"
    labels_path = folder / f"{_FILE_PREFIX[split]}-labels-idx1-ubyte.gz"
    images_NHW = read_idx(images_path, num_dimensions=3)
    labels_N = read_idx(labels_path, num_dimensions=1)
    if images_NHW.shape[1:] != (28, 28):
        raise _not_mnist(
            images_path, f"holds images of {images_NHW.shape[1]} x {images_NHW.shape[2]} pixels, not 28 x 28"
        )
    if len(labels_N) != len(images_NHW):
        raise _not_mnist(labels_path, f"holds {len(labels_N)} labels for {len(images_NHW)} images")
    if labels_N.max() >= _NUM_CLASSES:
        raise _not_mnist(labels_path, f"holds the label {labels_N.max()}; digits are 0 to 9")
    return LabelledImages(images_NHW[:, np.newaxis], labels_N.astype(np.int64))


def _not_mnist(path: Path, reason: str) -> FileError:
    return FileError(path, f"{path} {reason}.", "Put the four files of MNIST as published into that folder.")
