"""What is planned for a step happens after that step, once, as if it had been asked for by hand then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.tiny_runs import register_tiny, tiny_config
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.control import Control
from vae_explorer.training.events import Event, Finished, SettingChanged, TrainingState
from vae_explorer.training.trainer import Trainer

BETA, RATE = "model.beta", "training.learning_rate"


@pytest.fixture(autouse=True)
def _tiny(tiny_images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    register_tiny(monkeypatch, tiny_images)


def trainer_of(epochs: int = 2) -> Trainer:
    config = tiny_config(epochs=epochs)
    return Trainer(config, load_training_images(config, torch.device("cpu")))


def changes(events: Sequence[Event]) -> list[tuple[int, str, float]]:
    return [(event.step, event.path, event.new) for event in events if isinstance(event, SettingChanged)]


def finished(events: Sequence[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_what_is_planned_for_a_step_equals_what_is_asked_for_by_hand_then() -> None:
    planned, by_hand = Control(), Control()
    planned.change_at(9, RATE, 3e-3)
    planned.change_at(5, BETA, 4.0)
    planned.change_at(9, BETA, 0.5)
    planned.stop_at(13)
    trainer = trainer_of()
    events = list(trainer.run(planned))
    assert changes(events) == [(5, BETA, 4.0), (9, RATE, 3e-3), (9, BETA, 0.5)]
    assert (finished(events).step, finished(events).reason) == (13, "stopped")

    other = trainer_of()
    asked = {5: [(BETA, 4.0)], 9: [(RATE, 3e-3), (BETA, 0.5)]}
    take_step = other.take_step

    def stepped(step: object) -> torch.Tensor:
        row = take_step(step)  # type: ignore[arg-type]
        for path, value in asked.get(other.num_steps, ()):
            by_hand.change(path, value)
        if other.num_steps == 13:
            by_hand.stop()
        return row

    other.take_step = stepped  # type: ignore[method-assign]
    assert changes(list(other.run(by_hand))) == changes(events)
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in trainer.model.state_dict().items())


def stopped_at(step: int) -> TrainingState:
    control = Control()
    control.stop_at(step)
    state = finished(list(trainer_of().run(control))).state
    assert state is not None
    return state


def going_on_from(step: int) -> Trainer:
    trainer = trainer_of()
    trainer.restore(stopped_at(step))
    return trainer


def test_what_was_planned_for_before_the_start_is_past_and_a_value_that_is_there_is_no_change() -> None:
    trainer, control = going_on_from(8), Control()
    control.change_at(3, BETA, 9.0)
    control.change_at(8, RATE, trainer.learning_rate)
    control.change_at(8, BETA, 2.0)
    assert changes(list(trainer.run(control))) == [(8, BETA, 2.0)]


def test_a_stop_that_is_planned_for_a_step_that_is_taken_takes_no_more() -> None:
    control = Control()
    control.stop_at(2)
    assert finished(list(going_on_from(4).run(control))).step == 4
