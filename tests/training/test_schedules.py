from __future__ import annotations

import numpy as np
import pytest

from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.training import events
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.schedules import beta_factor
from vae_explorer.training.trainer import Trainer


def test_cyclical_annealing_rises_in_the_first_half_of_each_cycle_and_ends_at_1() -> None:
    factors = [beta_factor(seen, 800, 0, 4) for seen in range(0, 801, 25)]
    one_cycle = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert factors == pytest.approx(one_cycle * 4 + [1.0])


def test_warmup_is_linear_and_cycles_replace_it() -> None:
    assert [beta_factor(seen, 800, 200, 0) for seen in (0, 50, 200, 700)] == [0.0, 0.25, 1.0, 1.0]
    assert [beta_factor(seen, 800, 0, 0) for seen in (0, 700)] == [1.0, 1.0]
    assert beta_factor(50, 800, 400, 1) == beta_factor(50, 800, 0, 1) == 0.125


def test_cycles_stand_on_the_beta_curve(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(with_value(tiny_config, "model.beta", 2.0), "model.beta_cycles", 3)
    chunks = of_type(all_events(Trainer(config, tiny_dataset)), events.MetricsChunk)
    beta = np.concatenate([chunk.values[:, chunk.columns.index("beta")] for chunk in chunks])
    ramp = np.minimum(1.0, 2 * 32 * np.arange(8) / 240)  # 240 images in batches of 32, one cycle an epoch
    np.testing.assert_allclose(beta, 2 * np.tile(ramp, 3), atol=1e-6)
