"""The parts of the KL at the held-out checks, and the effective beta of every objective."""

from __future__ import annotations

import math

import pytest

from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.models.record import DECOMPOSITION_TERMS
from vae_explorer.runs.event_records import metrics_row
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.metric_history import MetricHistory
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer

NAMES = [term.name for term in DECOMPOSITION_TERMS]
GAUSSIAN_VAES = ("vae", "beta-vae", "beta-tcvae", "iwae")


@pytest.mark.parametrize("model", GAUSSIAN_VAES)
def test_every_gaussian_vae_has_the_parts_of_its_kl_at_the_heldout_checks_alone(
    model: str, tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    config = with_value(with_value(tiny_config, "model.name", model), "training.epochs", 12)
    config = with_value(with_value(config, "training.learning_rate", 1e-2), "model.beta", 0.3)
    found = all_events(Trainer(config, tiny_dataset))
    assert not set(NAMES) & set(of_type(found, events.MetricsChunk)[0].columns)
    history = MetricHistory()
    for validated in of_type(found, events.Validated):
        parts = [validated.terms[name] for name in NAMES]
        # One draw of each of 60 images stands for the closed form.
        assert sum(parts) == pytest.approx(validated.terms["kl"], abs=0.7)
        assert parts[0] <= math.log(60) + 1e-9
        assert set(NAMES) <= set(metrics_row(validated))
        history.append_validation(validated)
    assert history.heldout("mutual_information")[-1] == parts[0]
    assert parts[0] > 0.15


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model.name": "vae", "model.free_bits": 0.5}, 1.0),
        ({"model.name": "vae", "model.free_bits": 0.5, "model.beta": 2.0}, 2.0),
        ({"model.name": "beta-vae"}, 4.0),
        ({"model.name": "vae", "model.normalisation": "batch"}, 1.0),
        ({"model.name": "beta-vae", "model.kl_form": "capacity"}, None),
        ({"model.name": "beta-tcvae"}, None),
        ({"model.name": "iwae"}, None),
    ],
)
def test_effective_beta_is_that_of_the_loss_and_none_where_it_has_none(
    settings: dict[str, object], expected: float | None, tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    config = tiny_config
    for path, value in settings.items():
        config = with_value(config, path, value)
    trainer = Trainer(config, tiny_dataset)
    started = next(trainer.run(Control()))
    assert isinstance(started, events.Started)
    assert started.effective_beta == (None if expected is None else pytest.approx(expected, rel=1e-3))
