"""Runs of a fraction of a second on the tiny images, registered as the data set `tiny`."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_explorer.datasets.catalogue import DATASETS, DatasetRecord, Split
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.datasets.mnist import LabelledImages
from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.runs.event_records import RecordedEvent
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import DataConfig, RunConfig, default_config
from vae_explorer.training.trainer import Trainer


def register_tiny(monkeypatch: pytest.MonkeyPatch, images: tuple[np.ndarray, np.ndarray]) -> None:
    """The first 240 images are the training source, the last 60 the test split."""
    images_NCHW, labels_N = images

    def load(split: Split) -> LabelledImages:
        part = slice(0, 240) if split == "train" else slice(240, 300)
        return LabelledImages(images_NCHW[part], labels_N[part].astype(np.int64))

    tiny = DatasetRecord(
        name="tiny", title="Tiny", summary="Three shapes.", reference="tests", licence="MIT", image_shape=(1, 8, 8),
        num_classes=3, class_names=("across", "down", "square"), load=load,
    )  # fmt: skip
    monkeypatch.setitem(DATASETS._records, "tiny", tiny)


def tiny_config(protocol: str = "dynamic", epochs: int = 2, latents: int = 2) -> RunConfig:
    config = default_config()
    return dataclasses.replace(
        config,
        data=DataConfig(dataset="tiny", protocol=protocol, heldout_images=40),
        model=VAEConfig(latent_dimensions=latents, hidden_widths=(16,)),
        training=dataclasses.replace(
            config.training, epochs=epochs, batch_size=25, learning_rate=1e-2, learning_rate_schedule="constant",
            num_threads=1, precision="float32", device="cpu", validation_interval_images=100,
        ),
        recording=dataclasses.replace(config.recording, report_interval_seconds=0.01),
    )  # fmt: skip


def make_trainer(config: RunConfig) -> Trainer:
    dataset = load_dataset(config.data.dataset, config.data.heldout_images, torch.device("cpu"))
    return Trainer(config, dataset, "tiny")


def train_tiny(path: Path, config: RunConfig | None = None) -> tuple[RunDirectory, list[RecordedEvent]]:
    config = config or tiny_config()
    run = RunDirectory.create(config, path)
    with contextlib.closing(record(make_trainer(config).run(Control()), run)) as events:
        return run, list(events)
