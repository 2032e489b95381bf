"""Models that are fitted without gradients, through the same trainer as all others."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.model_data import protocol_for
from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.errors import SettingError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer

FITTED = [record for record in MODELS if record.is_fitted]


@pytest.fixture(params=FITTED, ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


def config_for(record: ModelRecord, config: RunConfig, protocol: str = "") -> RunConfig:
    config = with_value(config, "model.name", record.name)
    return with_value(config, "data.protocol", protocol or protocol_for(record))


def steps(trainer: Trainer, number: int) -> None:
    """Take so many steps and stop there."""
    control, target = Control(), trainer.num_steps + number
    stream = trainer.run(control)
    next(stream)
    for _ in range(number):
        control.step_once()
    next(event for event in stream if isinstance(event, events.MetricsChunk) and event.step == target)
    stream.close()


@pytest.mark.parametrize("number", [5, 11])
def test_a_state_in_the_middle_of_an_epoch_continues_bit_for_bit(
    record: ModelRecord, number: int, tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    """8 steps make an epoch: 5 is in the first pass, 11 in the second."""
    config = config_for(record, tiny_config)
    whole = all_events(Trainer(config, tiny_dataset))[-1]
    first = Trainer(config, tiny_dataset)
    steps(first, number)
    state = first.state()
    assert first.num_steps == number
    assert state is not None
    second = Trainer(config, tiny_dataset)
    second.restore(state)
    continued = all_events(second)[-1]
    assert isinstance(whole, events.Finished)
    assert isinstance(continued, events.Finished)
    assert whole.state is not None
    assert continued.state is not None
    assert continued.step == whole.step == 24
    assert continued.validation == whole.validation
    assert all(torch.equal(whole.state.model[name], value) for name, value in continued.state.model.items())


def test_nothing_is_computed_in_low_precision(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = with_value(config_for(MODELS["pca"], tiny_config), "training.precision", "bfloat16")
    started = all_events(Trainer(config, tiny_dataset))[0]
    assert isinstance(started, events.Started)
    assert started.precision == "float32"


def test_a_snapshot_has_the_codes_of_its_own_weights_for_every_item(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    trainer = Trainer(config_for(MODELS["pca"], tiny_config), tiny_dataset)
    x_NCHW = apply_protocol("grey", tiny_dataset.images.gather(torch.arange(300)))
    seen = [trainer.encoded_snapshot().codes_ND]
    for number in (3, 5):
        steps(trainer, number)
        snapshot = trainer.snapshot()
        with torch.no_grad():
            torch.testing.assert_close(snapshot.codes_ND, trainer.model.encode(x_NCHW).mean)
        seen.append(snapshot.codes_ND)
    assert not any(torch.equal(before, after) for before, after in pairwise(seen))


def test_a_whole_batch_makes_a_training_step_an_em_step_that_never_lowers_the_likelihood(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    config = config_for(MODELS["bernoulli-mixture"], tiny_config)
    for path, value in (("model.smoothing", 0.0), ("training.batch_size", 240), ("training.epochs", 30)):
        config = with_value(config, path, value)
    chunks = of_type(all_events(Trainer(config, tiny_dataset)), events.MetricsChunk)
    column = chunks[0].columns.index("log_likelihood")
    climb = np.concatenate([chunk.values[:, column] for chunk in chunks])
    assert len(climb) == 30
    assert np.diff(climb).min() >= -1e-5  # rows are float32
    assert climb[-1] > climb[0] + 1


def test_mixtures_run_under_dynamic_binarisation(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    config = config_for(MODELS["bernoulli-mixture"], tiny_config, "dynamic")
    validated = of_type(all_events(Trainer(config, tiny_dataset)), events.Validated)
    assert validated[-1].terms["log_likelihood"] > validated[0].terms["log_likelihood"] + 1


def test_more_components_than_items_are_refused_before_the_first_step(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    config = with_value(config_for(MODELS["bernoulli-mixture"], tiny_config), "model.num_components", 241)
    with pytest.raises(SettingError, match="241 components are more than the 240 items"):
        Trainer(config, tiny_dataset)


def test_building_on_the_meta_device_imports_no_compiler() -> None:
    """The explorer builds there while a person waits; some constructors import torch's compiler first, for seconds."""
    program = (
        "import sys, torch\n"
        "from vae_explorer.models.building import build_model\n"
        "from vae_explorer.models.catalogue import MODELS\n"
        "from tests.model_data import data_space_for\n"
        "with torch.device('meta'):\n"
        "    for record in (record for record in MODELS if record.is_fitted):\n"
        "        build_model(record.name, record.config_type(), data_space_for(record))\n"
        "        assert 'torch._inductor' not in sys.modules, record.name\n"
        "        assert 'sympy' not in sys.modules, record.name\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
