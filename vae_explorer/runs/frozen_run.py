"""A stored run as it stands in its newest checkpoint, to be looked at beside a training: weights, images and codes.

No trainer is built: that would draw from torch's global generator, from which a training beside it may be drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vae_explorer.datasets.image_dataset import heldout_split
from vae_explorer.errors import FileError
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import encode_items
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import take_snapshot
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.heldout import MOST_ENCODED

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.checkpoint import Checkpoint
    from vae_explorer.training.run_config import RunConfig

_ENCODED_TOGETHER = 2_000

Tell = Callable[[str], None]
"""Is told what is being done, and raises to stop it."""


@dataclass(frozen=True, slots=True, eq=False)
class FrozenRun:
    """A run from its folder, the images it was trained on, and its weights with the codes of these images."""

    run: RunDirectory
    dataset: ImageDataset
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class ImagesAtHand:
    """Images that are loaded already, and the configuration that they were loaded for."""

    config: RunConfig
    dataset: ImageDataset


def open_frozen(path: Path, at_hand: ImagesAtHand | None, tell: Tell) -> FrozenRun:
    """The run in that folder. What is at hand is not loaded twice, where it is what the run was trained on.

    Raises FileError where there is no run or no checkpoint that is as it was written, and whatever `tell` raises.
    """
    run = RunDirectory.open(path)
    tell(f"Opening {run.name}: reading its weights…")
    checkpoint = newest_good_checkpoint(run)
    if checkpoint is None:
        raise FileError(
            path, f"{path} has no checkpoint yet.", "Train it until its first checkpoint, or choose another run."
        )
    tell(f"Opening {run.name}: reading the images…")
    dataset = _images(checkpoint.config, at_hand)
    snapshot = _snapshot(run.name, checkpoint, dataset)
    if MODELS[snapshot.model_name].has_codes:
        snapshot = replace(snapshot, codes_ND=_codes(run.name, snapshot, dataset, tell))
    return FrozenRun(run, dataset, snapshot)


def _images(config: RunConfig, at_hand: ImagesAtHand | None) -> ImageDataset:
    data = config.data
    if at_hand is None:
        return load_training_images(config, choose_device("auto"))
    known, there = at_hand.dataset, at_hand.config.data
    are_same_pixels = (data.protocol == "static") == (there.protocol == "static")
    if data.dataset != known.name or not are_same_pixels:
        return load_training_images(config, known.images.device)
    train_index_N, heldout_index_N = heldout_split(known.images.num_images, data.heldout_images, data.heldout_part)
    device = known.train_index_N.device
    return replace(known, train_index_N=train_index_N.to(device), heldout_index_N=heldout_index_N.to(device))


def _snapshot(name: str, checkpoint: Checkpoint, dataset: ImageDataset) -> Snapshot:
    config = checkpoint.config
    data_space = DataSpace(
        dataset.image_shape, dataset.num_classes, config.data.protocol, len(dataset.train_index_N)
    )  # fmt: skip
    with torch.device("meta"):
        model = build_model(config.model_name, config.model, data_space)
    model.load_state_dict(checkpoint.state.model, strict=True, assign=True)
    seen = checkpoint.state.progress.get("images_seen", 0)
    return take_snapshot(
        model.to(dataset.images.device), None, run_name=name, model_name=config.model_name, model_config=config.model,
        data_space=data_space, step=checkpoint.step, images_seen=seen if isinstance(seen, int) else 0,
        beta=float(getattr(config.model, "beta", 1.0)),
    )  # fmt: skip


def _codes(name: str, snapshot: Snapshot, dataset: ImageDataset, tell: Tell) -> torch.Tensor:
    """The codes of all items, of a large set those of an even part, as training has them before it begins."""
    explorer = Explorer()
    explorer.show_images(dataset)
    explorer.adopt(snapshot)
    num = dataset.images.num_images
    codes_ND = np.full((num, explorer.num_dimensions), np.nan, dtype=np.float32)
    ids = np.arange(0, num, -(-num // MOST_ENCODED))
    for start in range(0, len(ids), _ENCODED_TOGETHER):
        tell(f"Opening {name}: placing the images on its map, {100 * start // len(ids)} %…")
        part = ids[start : start + _ENCODED_TOGETHER]
        codes_ND[part] = encode_items(explorer, part)
    return torch.from_numpy(codes_ND).to(dataset.images.device)
