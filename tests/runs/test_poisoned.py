"""R15: a run poisoned with numbers that are not finite keeps good weights, and the newest checkpoint on disk is
good."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Times
from tests.tiny_runs import make_trainer, tiny_config
from vae_explorer.runs.checkpoint import model_from_run, read_checkpoint
from vae_explorer.runs.event_records import CheckpointWritten
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, MetricsChunk, Paused, StepsSkipped
from vae_explorer.training.run_config import RunConfig, with_value
from vae_explorer.training.trainer import Trainer

Poison = Callable[[Trainer], None]


def gradient_becomes(value: float, steps: Callable[[int], bool]) -> Poison:
    def poison(trainer: Trainer) -> None:
        calls = itertools.count(1)
        weight = next(trainer.model.parameters())
        weight.register_hook(lambda gradient: gradient * value if steps(next(calls)) else gradient)

    return poison


def loss_becomes_nan(trainer: Trainer) -> None:
    objective, calls = trainer.model.objective, itertools.count(1)

    def poisoned(batch, beta, generator):
        found = objective(batch, beta, generator)
        found.loss.data.mul_(float("nan") if next(calls) > 8 else 1.0)
        return found

    trainer.model.objective = poisoned  # type: ignore[method-assign]


def weights_overflow(trainer: Trainer) -> None:
    """A finite gradient can still push a weight out of range: from then on nothing may be saved."""
    original, calls = trainer.fill_schedules, itertools.count(1)

    def poisoned() -> None:
        original()
        if next(calls) == 9:
            with torch.no_grad():
                next(trainer.model.parameters()).fill_(float("inf"))

    trainer.fill_schedules = poisoned  # type: ignore[method-assign]


def run_recorded(config: RunConfig, poison: Poison, path: Path) -> list[object]:
    trainer, control, found = make_trainer(config), Control(), []
    poison(trainer)
    with contextlib.closing(record(trainer.run(control), RunDirectory.create(config, path))) as stream:
        for event in stream:
            found.append(event)
            if isinstance(event, Paused) and event.reason:
                assert "not finite" in event.reason
                assert event.hint
                control.stop()
            if isinstance(event, MetricsChunk) and event.step >= 5:
                control.want_checkpoint()
    return found


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        pytest.param(gradient_becomes(math.nan, lambda step: step == 6), "completed", id="one NaN gradient"),
        pytest.param(gradient_becomes(math.inf, lambda step: step % 4 == 0), "completed", id="infinite now and then"),
        pytest.param(gradient_becomes(math.nan, lambda step: step > 6), "non-finite", id="NaN from a step on"),
        pytest.param(loss_becomes_nan, "non-finite", id="NaN loss"),
        pytest.param(weights_overflow, "non-finite", id="weights overflow"),
    ],
)
def test_a_poisoned_run_leaves_a_good_checkpoint(poison: Poison, reason: str, tmp_path: Path) -> None:
    config = with_value(tiny_config(epochs=30), "recording.report_interval_seconds", 0.01)
    found = run_recorded(config, poison, tmp_path / "run")
    finished = found[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == reason
    assert any(isinstance(event, StepsSkipped) for event in found)
    if reason == "completed":
        assert any(isinstance(event, CheckpointWritten) for event in found)
    run = RunDirectory.open(tmp_path / "run")
    newest = run.newest_checkpoint()
    if newest is not None:
        model = model_from_run(run.path).model
        assert all(torch.isfinite(weight).all() for weight in model.parameters())
    else:
        assert poison is weights_overflow, "only a run that broke before its first checkpoint has none"
    rows = read_metrics(run).of("train")
    assert len(rows["step"]) > 0


def test_poison_at_random_steps_never_reaches_a_checkpoint(tmp_path: Path, times: Times) -> None:
    draw = random.Random(0)
    config = with_value(tiny_config(epochs=4), "recording.report_interval_seconds", 0.01)
    for number in range(times(5, 100)):
        steps = frozenset(draw.sample(range(1, 33), draw.randint(1, 12)))
        poison = gradient_becomes(draw.choice([math.nan, math.inf, -math.inf, 1e38]), steps.__contains__)
        found = run_recorded(config, poison, tmp_path / str(number))
        assert isinstance(found[-1], Finished)
        skipped = [event for event in found if isinstance(event, StepsSkipped)]
        assert sum(event.skipped for event in skipped) <= len(steps)
        run = RunDirectory.open(tmp_path / str(number))
        for checkpoint in run.checkpoints():
            assert all(
                bool(torch.isfinite(weight).all()) for weight in read_checkpoint(checkpoint).state.model.values()
            )
        assert run.newest_checkpoint() is not None
