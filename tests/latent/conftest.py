from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import Snapshot, take_snapshot
from vae_explorer.models.vae_config import VAEConfig

MakeSnapshot = Callable[..., Snapshot]


@pytest.fixture
def make_snapshot() -> MakeSnapshot:
    """Snapshots of small untrained nets with random codes."""

    def make(
        seed: int = 0,
        dimensions: int = 2,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        num_codes: int = 500,
        step: int = 0,
        protocol: str = "grey",
        settings: Mapping[str, Any] | None = None,
    ) -> Snapshot:
        config = VAEConfig(latent_dimensions=dimensions, hidden_widths=(16,), **(settings or {}))
        data_space = DataSpace(image_shape, protocol=protocol)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build_model("vae", config, data_space)
            for parameter in model.parameters():
                # Large enough weights for pictures that differ from place to place.
                parameter.data.normal_(0.0, 0.5)
            codes_ND = torch.randn(num_codes, dimensions)
        return take_snapshot(
            model, codes_ND, run_name="r", model_name="vae", model_config=config, data_space=data_space,
            step=step, images_seen=0, beta=1.0,
        )  # fmt: skip

    return make


@pytest.fixture
def explorer(make_snapshot: MakeSnapshot) -> Explorer:
    explorer = Explorer()
    explorer.adopt(make_snapshot())
    return explorer
