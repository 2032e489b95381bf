"""How one process leads a training and the others follow.

At the start the first process tells the others the configuration and the state to begin from, whatever they may have
read themselves. Then all take step after step, without a word: those that follow go straight into the next one, where
they wait for the first while it validates, writes or rests. Where the first has something to say, a changed setting or
the end, it calls the step off that the others are in already; then they listen.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import safetensors.torch
import torch

from vae_explorer.training.events import TrainingState
from vae_explorer.training.run_config import run_config_from_table, run_config_to_table
from vae_explorer.training.shared_step import SharedStep, StepCalledOff

if TYPE_CHECKING:
    from vae_explorer.training.run_config import RunConfig
    from vae_explorer.training.trainer import Trainer

_PARTS = ("model", "optimiser", "tensors")
_ABOUT = "about"
_GO_ON, _END = 0.0, 1.0


def lead(trainer: Trainer) -> None:
    """Tell the others what is trained and from which state, and wait until all are ready. Raises LostProcessError."""
    state = trainer.state()
    assert state is not None, "a training begins with finite weights"
    table = run_config_to_table(trainer.config)
    # What was chosen by looking at this machine holds for all.
    table["training"] |= {"device": trainer.device.type, "precision": str(trainer.precision).removeprefix("torch.")}
    about = json.dumps({"config": table, "progress": dict(state.progress)}).encode()
    tensors = {_ABOUT: torch.frombuffer(bytearray(about), dtype=torch.uint8)}
    for part in _PARTS:
        tensors |= {f"{part}.{name}": value.contiguous() for name, value in getattr(state, part).items()}
    trainer.processes.send(safetensors.torch.save(tensors))
    trainer.processes.meet()


def read_opening(content: bytes) -> tuple[RunConfig, TrainingState]:
    """The configuration and the state that `lead` sent."""
    tensors = safetensors.torch.load(content)
    about = json.loads(tensors.pop(_ABOUT).numpy().tobytes())
    parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in _PARTS}
    for key, value in tensors.items():
        part, name = key.split(".", 1)
        parts[part][name] = value
    config = run_config_from_table(about["config"], "the first process")
    return config, TrainingState(**parts, progress=about["progress"])


def tell_settings(trainer: Trainer) -> None:
    """Let the others know the live settings as they are now. Raises LostProcessError."""
    _call_off_step(trainer)
    _say(trainer, _GO_ON)


def dismiss(trainer: Trainer) -> None:
    """Let the others end. Raises LostProcessError where one is not there any more."""
    if not trainer.is_done:
        _call_off_step(trainer)
    _say(trainer, _END)


def follow(trainer: Trainer, state: TrainingState) -> None:
    """Take the steps of the first process, from this state to its end. Raises LostProcessError."""
    trainer.restore(state)
    trainer.choose_threads()
    trainer.processes.meet()
    while True:
        try:
            while not trainer.is_done:
                trainer.take_step(trainer.step)
        except StepCalledOff:
            pass
        word, trainer.learning_rate, trainer.beta = trainer.processes.from_first(_numbers(0.0, 0.0, 0.0)).tolist()
        if word == _END:
            return


def _call_off_step(trainer: Trainer) -> None:
    step = trainer.step
    assert isinstance(step, SharedStep)
    step.calls_off = True
    try:
        trainer.take_step(step)
    except StepCalledOff:
        step.calls_off = False


def _say(trainer: Trainer, word: float) -> None:
    trainer.processes.from_first(_numbers(word, trainer.learning_rate, trainer.beta))


def _numbers(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)
