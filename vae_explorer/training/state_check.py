"""Whether a training state from the disk is one that this training could have left: a stranger's may hold anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from vae_explorer.training.events import TrainingState
    from vae_explorer.training.trainer import Trainer

_HINT = "Use an older checkpoint, or another copy of the run."
_COUNTS = ("step", "position", "images_seen")


def require_fitting(trainer: Trainer, state: TrainingState) -> None:
    """Raise UserError unless progress, order and optimiser are of the trainer's configuration and data."""
    problem = (
        _progress_problem(state.progress)
        or _order_problem(trainer, state)
        or _optimiser_problem(trainer, state.optimiser)
    )
    if problem:
        raise UserError(f"The run cannot be continued from this checkpoint: {problem}.", _HINT)


def _progress_problem(progress: Mapping[str, object]) -> str:
    for name in (*_COUNTS, *(name for name in ("next_validation", "num_threads") if name in progress)):
        value = progress.get(name)
        if type(value) is not int or not 0 <= value < 2**62:
            return f"its {name} is no count"
    for name in ("seconds", "learning_rate", "beta"):
        value = progress.get(name)
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            return f"its {name} is no number"
    return ""


def _order_problem(trainer: Trainer, state: TrainingState) -> str:
    for name in ("permutation", "order_generator", "noise_generator", "data_noise_generator"):
        if name not in state.tensors:
            return f"it lacks its {name}"
    permutation_N, items_N = state.tensors["permutation"], trainer.order.items_N.cpu()
    if permutation_N.dtype != torch.int64 or permutation_N.shape != items_N.shape:
        return "its order is of other images"
    if not torch.equal(permutation_N.sort().values, items_N.sort().values):
        return "its order is of other images"
    return "" if int(state.progress["position"]) <= len(items_N) else "its place lies behind the last image"


def _optimiser_problem(trainer: Trainer, optimiser: Mapping[str, torch.Tensor]) -> str:
    shapes = [tuple(parameter.shape) for parameter in trainer.step.parameters]
    for key, value in optimiser.items():
        number, _, name = key.partition(".")
        if not number.isascii() or not number.isdigit() or int(number) >= len(shapes) or not name:
            return f"its optimiser keeps '{key[:40]}', which belongs to no weight"
        if tuple(value.shape) not in {shapes[int(number)], ()}:
            return f"its optimiser's '{key[:40]}' is of another size than its weight"
    return ""
