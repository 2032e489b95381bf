"""What a training says of itself: small frozen records, the same for the command line, the window and a test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.training.frames import KeptOfModel
    from vae_explorer.training.run_config import RunConfig

_LAST_OF_CHUNK = ("beta", "learning_rate")  # settings: their newest value says more than their mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first event: what is trained, on what."""

    config: RunConfig
    run_name: str
    device: str
    device_name: str
    precision: str
    num_threads: int
    num_processes: int = 1
    num_parameters: int
    effective_beta: float | None  # measured on the loss itself (heldout.effective_beta), after warm-up; 1 is the bound
    num_train: int
    num_heldout: int
    steps_per_epoch: int
    total_steps: int
    start_step: int


@dataclass(frozen=True, slots=True)
class WeightsTaken:
    """The first weights came from a file, of this digest; follows `Started`."""

    step: int
    file: str
    sha256: str
    num_tensors: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricsChunk:
    """The steps since the last chunk, one row each."""

    step: int  # after the chunk's last step, as are the next three
    epoch: float
    images_seen: int
    seconds: float  # of training, pauses left out
    images_per_second: float
    columns: tuple[str, ...]  # the model's terms, then beta, learning_rate, gradient_norm
    values: np.ndarray  # (steps, columns) float32
    steps: np.ndarray  # (steps,) int64
    kl_D: np.ndarray | None  # KL per latent dimension of the last step, nats

    def in_one_row(self) -> dict[str, float]:
        """One number a column: the mean over the finite steps, or for settings the last value."""
        found = {}
        for position, name in enumerate(self.columns):
            column = self.values[:, position].astype(np.float64)
            if name in _LAST_OF_CHUNK:
                found[name] = float(column[-1]) if len(column) else math.nan
            else:
                finite = column[np.isfinite(column)]
                found[name] = float(finite.mean()) if len(finite) else math.nan
        return found


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotTaken:
    """Answers one `Control.want_snapshot`."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validated:
    """The terms on the held-out images, with one posterior sample an image and always the same noise."""

    step: int
    epoch: float
    images_seen: int
    seconds: float
    terms: Mapping[str, float]
    kl_D: np.ndarray | None
    active_units: int | None
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingState:
    """Everything needed to continue: CPU tensors and plain values, never mutated."""

    model: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]  # the epoch's permutation and the states of the generators
    progress: Mapping[str, int | float | str]  # step, epoch, position, images_seen, seconds, live settings


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointDue:
    """The state to write now."""

    state: TrainingState


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTaken:
    """What is kept of this moment, so that one can look back at it."""

    step: int
    epoch: float
    images_seen: int
    seconds: float
    beta: float
    kept: KeptOfModel


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChanged:
    """A live setting was changed."""

    path: str
    old: float
    new: float
    step: int
    images_seen: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StepsSkipped:
    """Steps whose loss or gradient was not finite; they changed no weight."""

    step: int
    skipped: int  # in the last chunk
    skipped_in_all: int


@dataclass(frozen=True, slots=True)
class Paused:
    """The loop rests; `reason` is a sentence where it paused itself, `hint` what to do."""

    step: int
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The loop goes on."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """The last event. `state` is None where the weights are not finite, so that a good checkpoint is never replaced."""

    step: int
    epoch: float
    images_seen: int
    seconds: float
    images_per_second: float
    validation: Mapping[str, float]
    reason: Literal["completed", "stopped", "non-finite"]
    state: TrainingState | None


Event: TypeAlias = (
    Started
    | WeightsTaken
    | MetricsChunk
    | SnapshotTaken
    | Validated
    | CheckpointDue
    | FrameTaken
    | SettingChanged
    | StepsSkipped
    | Paused
    | Resumed
    | Finished
)
