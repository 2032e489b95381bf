"""Warm-up: import torch, load the images, build the untrained net and the codes it gives them.

The thread imports torch, so that the window can be painted first. One preparation runs at a time; the session starts
the next when the configuration has changed meanwhile.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_explorer.gui.threads.failure import Failure, failure_of

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.threads.mailbox import Mailbox
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.run_config import RunConfig


@dataclass(frozen=True)
class PreparationNote:
    """What the warm-up is doing, in a few words."""

    text: str


@dataclass(frozen=True)
class DatasetReady:
    """The images are on the device. `config` is the one they were loaded for."""

    config: RunConfig
    dataset: ImageDataset
    device_name: str


@dataclass(frozen=True)
class PreparationEnded:
    """The untrained net of a configuration, or why there is none."""

    config: RunConfig
    snapshot: Snapshot | None
    failure: Failure | None


class PreparingThread(threading.Thread):
    """Prepares one configuration and posts what it has. Not a daemon: joined by the session when the window closes."""

    def __init__(self, config: RunConfig, dataset: ImageDataset | None, mailbox: Mailbox) -> None:
        super().__init__(name="preparing", daemon=False)
        self._config = config
        self._dataset = dataset
        self._mailbox = mailbox
        self.cancelled = False

    def run(self) -> None:
        """Work through the stages, stopping between two of them when cancelled."""
        snapshot, failure = None, None
        try:
            snapshot = self._prepare()
        except Exception as error:
            failure = failure_of(error)
        self._dataset = None
        self._mailbox.post(PreparationEnded(self._config, snapshot, failure))

    def _prepare(self) -> Snapshot | None:
        self._mailbox.post(PreparationNote("Warming up: loading PyTorch…"))
        import torch  # noqa: F401  # the import is the work of this stage

        from vae_explorer.training.trainer import Trainer

        if self.cancelled:
            return None
        if self._dataset is None:
            self._mailbox.post(PreparationNote("Warming up: reading the images…"))
            self._dataset = load_images(self._config)
            self._mailbox.post(DatasetReady(self._config, self._dataset, device_name_of(self._dataset)))
        if self.cancelled:
            return None
        self._mailbox.post(PreparationNote("Warming up: placing the images on the map…"))
        return Trainer(self._config, self._dataset).encoded_snapshot()


def load_images(config: RunConfig) -> ImageDataset:
    """The images of a configuration, on its device. Imports torch: worker threads only."""
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.hardware import choose_device

    return load_training_images(config, choose_device(config.training.device))


def device_name_of(dataset: ImageDataset) -> str:
    """What the device that holds the images calls itself. Imports torch: worker threads only."""
    from vae_explorer.training.hardware import device_title

    return device_title(dataset.images.device)
