from __future__ import annotations

import dataclasses

import pytest

from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.training.run_config import RunConfig, default_config


@pytest.fixture
def tiny_config() -> RunConfig:
    """A run of seconds on the tiny data set: 240 training images in batches of 32, one thread, float32."""
    config = default_config()
    return dataclasses.replace(
        config,
        model=VAEConfig(latent_dimensions=2, hidden_widths=(16,)),
        training=dataclasses.replace(
            config.training, epochs=3, batch_size=32, learning_rate=1e-2, learning_rate_schedule="constant",
            num_threads=1, precision="float32", device="cpu", validation_interval_images=200,
        ),
        recording=dataclasses.replace(config.recording, report_interval_seconds=0.01),
    )  # fmt: skip
