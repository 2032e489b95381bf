"""The images of a run: what its configuration says of data, split and protocol, loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.evaluation.images import load_scored_images

if TYPE_CHECKING:
    import torch

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.training.run_config import RunConfig


def load_training_images(config: RunConfig, device: torch.device | str) -> ImageDataset:
    """What the run trains on and holds out, on the device. Raises UserError as `load_dataset`."""
    data = config.data
    return load_dataset(data.dataset, data.heldout_images, device, data.protocol, data.heldout_part)


def load_run_images(config: RunConfig, split: str, device: torch.device | str) -> ScoredImages:
    """A split of the run's images under its protocol. Raises UserError as `load_scored_images`."""
    data = config.data
    return load_scored_images(data.dataset, data.heldout_images, data.protocol, split, device, data.heldout_part)
