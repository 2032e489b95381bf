"""R6: stopped at any step and continued from the disk, every model ends as if it had never stopped, bit for bit.

Weights, optimiser, generators, the order of the images, and each step's row of the curves.
"""

from __future__ import annotations

import dataclasses
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Times
from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from tests.workflows.test_every_model import config_for
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs.checkpoint import write_checkpoint
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Event, MetricsChunk, TrainingState, Validated
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


@dataclasses.dataclass
class Course:
    """What a training said: a row a step and the held-out terms by step."""

    rows: dict[int, np.ndarray]
    heldout: dict[int, dict[str, float]]

    def take(self, event: Event) -> None:
        if isinstance(event, MetricsChunk):
            self.rows |= dict(zip(event.steps.tolist(), event.values, strict=True))
        elif isinstance(event, Validated):
            self.heldout[event.step] = dict(event.terms)


def trained(trainer: Trainer, course: Course) -> TrainingState:
    for event in trainer.run(Control()):
        course.take(event)
    state = trainer.state()
    assert state is not None
    return state


def stopped_after(trainer: Trainer, steps: int, course: Course) -> TrainingState:
    """The state after so many steps, in the middle of an epoch or at its end."""
    control = Control()
    for _ in range(steps):
        control.step_once()
    stream = trainer.run(control)
    for event in stream:
        course.take(event)
        if isinstance(event, MetricsChunk) and event.step == steps:
            control.stop()
    state = trainer.state()
    assert state is not None
    return state


def points_config(record: ModelRecord) -> RunConfig:
    config = tiny_config("gaussian", epochs=3)
    for path, value in (
        ("model.name", record.name), ("data.dataset", "two-moons"), ("data.heldout_images", 500),
        ("training.batch_size", 3000), ("training.validation_interval_images", 7000),
    ):  # fmt: skip
        config = with_value(config, path, value)
    return config


def assert_same(one: TrainingState, other: TrainingState) -> None:
    for part in ("model", "optimiser", "tensors"):
        first, second = getattr(one, part), getattr(other, part)
        assert set(first) == set(second)
        differing = [name for name in first if not torch.equal(first[name], second[name])]
        assert differing == [], part
    assert {k: v for k, v in one.progress.items() if k != "seconds"} == {
        k: v for k, v in other.progress.items() if k != "seconds"
    }


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_it_continues_bit_for_bit_from_any_step(record: ModelRecord, tmp_path: Path, times: Times) -> None:
    config = points_config(record) if "points" in record.data_needs else config_for(record)
    course = Course({}, {})
    whole = trained(make_trainer(config), course)
    last = int(whole.progress["step"])
    draw = random.Random(zlib.crc32(record.name.encode()))
    num_stops = times(3, 20)
    for stop in sorted(draw.sample(range(1, last), min(num_stops, last - 1))):
        run = RunDirectory.create(config, tmp_path / str(stop))
        seen = Course({}, {})
        write_checkpoint(run, stopped_after(make_trainer(config), stop, seen))
        checkpoint = newest_good_checkpoint(run)
        assert checkpoint is not None
        assert checkpoint.step == stop
        second = make_trainer(config)
        second.restore(checkpoint.state)
        assert_same(trained(second, seen), whole)
        assert list(seen.rows) == list(course.rows)
        for step, row in course.rows.items():
            np.testing.assert_array_equal(seen.rows[step], row, f"step {step}")
        # The stop itself is one held-out check more.
        assert {step: terms for step, terms in seen.heldout.items() if step in course.heldout} == course.heldout


@pytest.mark.parametrize(
    "setting",
    [
        ("training.learning_rate_schedule", "cosine"),
        ("training.ema_decay", 0.9),
        ("model.beta_warmup_images", 300),
        ("model.beta_cycles", 2),
        ("model.normalisation", "batch"),
        ("model.body", "convolutional"),
        ("training.precision", "bfloat16"),
        ("data.protocol", "static"),
    ],
    ids=lambda setting: setting[0],
)
def test_so_it_does_with_every_option_that_keeps_something(setting: tuple[str, str | float], tmp_path: Path) -> None:
    config = with_value(tiny_config(epochs=4), *setting)
    course = Course({}, {})
    whole = trained(make_trainer(config), course)
    run = RunDirectory.create(config, tmp_path / "run")
    write_checkpoint(run, stopped_after(make_trainer(config), 13, Course({}, {})))
    checkpoint = newest_good_checkpoint(run)
    assert checkpoint is not None
    second = make_trainer(config)
    second.restore(checkpoint.state)
    assert_same(trained(second, Course({}, {})), whole)
