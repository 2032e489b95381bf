"""A trained run of every model in a fraction of a second, on tiny pictures or, where it must be, on points."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.model_data import protocol_for
from tests.tiny_runs import tiny_config, train_tiny
from tests.workflows.test_every_model import SMALL
from vae_explorer.config import settings_of
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.checkpoint import LoadedModel
from vae_explorer.runs.run_images import load_run_images
from vae_explorer.training.run_config import RunConfig, with_value


def small_config(record: ModelRecord) -> RunConfig:
    config = tiny_config(protocol_for(record))
    if "points" in record.data_needs:
        config = with_value(with_value(config, "data.heldout_images", 19_000), "data.dataset", "two-moons")
    config = with_value(config, "model.name", record.name)
    known = {f"model.{item.name}" for item in settings_of(record.config_type)}
    for path, value in SMALL.items():
        if path in known:
            config = with_value(config, path, value)
    return config


def trained_run(path: Path, record: ModelRecord) -> Path:
    train_tiny(path, small_config(record))
    return path


def unseen_pictures(loaded: LoadedModel, num: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Pictures of the test split as the model sees them, and their classes."""
    images = load_run_images(loaded.config, "test", "cpu").first(num)
    return images.x(0, num), images.labels(0, num)
