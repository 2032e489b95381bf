from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.models.building import build_model
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.heldout import measure_heldout
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer

DECAY = 0.9


@pytest.fixture
def config(tiny_config: RunConfig) -> RunConfig:
    config = with_value(tiny_config, "training.ema_decay", DECAY)
    return with_value(config, "model.normalisation", "batch")


def test_snapshots_and_checkpoints_hold_the_average_of_the_weights_by_hand(
    config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    trainer = Trainer(config, tiny_dataset)
    average = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    step = trainer.step
    for number in range(12):
        trainer.fill_schedules()
        step(trainer.order.next_batch())
        trainer.num_steps += 1
        decay = min(DECAY, (1 + number) / (10 + number))
        for name, value in trainer.model.state_dict().items():
            average[name] = decay * average[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
    snapshot, state = trainer.snapshot(), trainer.state()
    assert state is not None
    for name, expected in average.items():
        torch.testing.assert_close(snapshot.weights[name], expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(state.model[name], expected, rtol=1e-4, atol=1e-6)
    own = trainer.model.state_dict()
    assert all(torch.equal(state.tensors[f"own_weights.{name}"], value) for name, value in own.items())
    assert not torch.equal(own["encoder.0.weight"], snapshot.weights["encoder.0.weight"])


def test_a_run_that_is_continued_goes_on_bit_for_bit(config: RunConfig, tiny_dataset: ImageDataset) -> None:
    whole = all_events(Trainer(config, tiny_dataset))[-1]
    first = Trainer(config, tiny_dataset)
    control = Control()
    for event in first.run(control):
        if isinstance(event, events.MetricsChunk) and event.step >= 5:
            control.stop()
        last = event
    assert isinstance(last, events.Finished)
    assert last.state is not None
    assert last.step < whole.step
    second = Trainer(config, tiny_dataset)
    second.restore(last.state)
    end = all_events(second)[-1]
    assert whole.state is not None
    assert end.state is not None
    assert all(torch.equal(end.state.model[name], value) for name, value in whole.state.model.items())
    assert all(torch.equal(end.state.tensors[name], value) for name, value in whole.state.tensors.items())


def test_heldout_checks_measure_the_average_and_training_is_what_it_is_without(
    config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    with_average = Trainer(config, tiny_dataset)
    validated = of_type(all_events(with_average), events.Validated)[-1]
    loaded = build_model("vae", config.model, with_average.data_space)
    loaded.load_state_dict(dict(with_average.snapshot().weights))
    without = Trainer(with_value(config, "training.ema_decay", 0.0), tiny_dataset)
    of_type(all_events(without), events.Validated)
    assert all(
        torch.equal(value, without.model.state_dict()[name]) for name, value in with_average.model.state_dict().items()
    )
    without.step.model = loaded
    found = measure_heldout(without.step, tiny_dataset.heldout_index_N, 5, decomposes=False)
    again = measure_heldout(with_average.step, tiny_dataset.heldout_index_N, 5, decomposes=False)
    assert found.terms == pytest.approx(again.terms)
    assert validated.terms["kl"] == pytest.approx(again.terms["kl"]), "the KL has no noise"


def test_a_step_that_is_skipped_leaves_running_averages_alone(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    trainer = Trainer(with_value(tiny_config, "model.normalisation", "batch"), tiny_dataset)
    trainer.fill_schedules()
    trainer.step(trainer.order.next_batch())
    before = {name: value.clone() for name, value in trainer.model.named_buffers() if value.is_floating_point()}
    assert before
    good = trainer.model.objective

    def broken(*arguments):
        found = good(*arguments)
        return dataclasses.replace(found, loss=found.loss * float("nan"))

    trainer.model.objective = broken
    row = trainer.step(trainer.order.next_batch())
    assert row[-1] == 1
    assert all(torch.equal(before[name], value) for name, value in trainer.model.named_buffers() if name in before)
