"""Explorers with small images, labels and codes, and what a generator of steps ends with, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vae_explorer.datasets.image_dataset import ImageDataset, ResidentImages
from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.snapshot import Snapshot


def make_images(
    num: int = 500,
    has_labels: bool = True,
    num_heldout: int = 100,
    num_classes: int = 3,
    image_shape: tuple[int, int, int] = (1, 8, 8),
) -> ImageDataset:
    """Random pictures; item i has label i % num_classes, and the last ones are held out."""
    pictures = np.random.default_rng(7).integers(0, 256, (num, *image_shape), dtype=np.uint8)
    ids = torch.arange(num)
    return ImageDataset(
        "tiny", image_shape, num_classes if has_labels else 0,
        tuple("abcdefgh"[:num_classes]) if has_labels else (), ResidentImages(pictures),
        ids % num_classes if has_labels else None, ids[: num - num_heldout], ids[num - num_heldout :], "digest",
    )  # fmt: skip


def make_scene(
    snapshot: Snapshot, codes_ND: np.ndarray | None = None, dataset: ImageDataset | None = None, step: int = 10
) -> Explorer:
    """An explorer of this snapshot at `step`, with these codes if given."""
    codes = snapshot.codes_ND if codes_ND is None else torch.from_numpy(np.asarray(codes_ND, dtype=np.float32))
    explorer = Explorer()
    explorer.show_images(dataset)
    explorer.adopt(replace(snapshot, codes_ND=codes, step=step))
    return explorer


def last_of(steps: Iterable[Any]) -> Any:
    """The last thing that is not None; there must be one."""
    answers = [step for step in steps if step is not None]
    assert answers
    return answers[-1]


def returned_by(steps: Any) -> Any:
    """The return value of a generator."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
