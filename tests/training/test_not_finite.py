from __future__ import annotations

import itertools

import torch

from tests.training.streams import of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.loop import SKIPS_BEFORE_PAUSE
from vae_explorer.training.run_config import RunConfig
from vae_explorer.training.trainer import Trainer


def poison(trainer: Trainer, first: int, num: int) -> None:
    """Make the gradients of `num` steps from step `first` on not finite, through a hook on a weight."""
    calls = itertools.count(1)
    weight = next(trainer.model.parameters())

    def hook(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("nan") if first <= next(calls) < first + num else gradient

    weight.register_hook(hook)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    trainer = Trainer(tiny_config, tiny_dataset)
    poison(trainer, 3, 1)
    stream = trainer.run(Control())
    next(stream)
    found = list(stream)
    skipped = of_type(found, events.StepsSkipped)
    assert skipped[-1].skipped_in_all == 1
    finished = found[-1]
    assert isinstance(finished, events.Finished)
    assert finished.reason == "completed"
    assert finished.state is not None
    # Adam's own count leaves the skipped step out.
    assert finished.state.optimiser["0.step"].item() == finished.step - 1


def test_many_in_a_row_pause_with_a_sentence_and_finite_weights(
    tiny_config: RunConfig, tiny_dataset: ImageDataset
) -> None:
    control = Control()
    trainer = Trainer(tiny_config, tiny_dataset)
    poison(trainer, 4, 10_000)
    stream = trainer.run(control)
    found = []
    for event in stream:
        found.append(event)
        if isinstance(event, events.Paused):
            control.stop()
    paused = of_type(found, events.Paused)[0]
    assert "not finite" in paused.reason
    assert paused.hint
    finished = found[-1]
    assert isinstance(finished, events.Finished)
    assert finished.reason == "non-finite"
    assert finished.state is not None
    assert all(torch.isfinite(value).all() for value in finished.state.model.values())
    assert of_type(found, events.StepsSkipped)[-1].skipped_in_all >= SKIPS_BEFORE_PAUSE


def test_weights_that_are_not_finite_are_never_handed_over(tiny_config: RunConfig, tiny_dataset: ImageDataset) -> None:
    trainer = Trainer(tiny_config, tiny_dataset)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("inf"))
    assert trainer.state() is None
