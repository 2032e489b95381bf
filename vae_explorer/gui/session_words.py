"""The words the session speaks in: its states, its messages, how far a run is. Free of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vae_explorer.models.record import ModelRecord


class State(Enum):
    """What the session is doing. FAILED also names a preparation that failed: a mended setting tries again."""

    STARTING = "starting"
    READY = "ready"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"


RUNNING = frozenset({State.TRAINING, State.PAUSED, State.STOPPING})
CAN_TRAIN = frozenset({State.READY, State.FINISHED, State.FAILED})


@dataclass(frozen=True)
class Offer:
    """A button of a message, and what it does."""

    label: str
    accept: Callable[[], None]


@dataclass(frozen=True)
class Message:
    """Something a person should know and can act on. `near`: a panel's name or a setting's path."""

    kind: Literal["info", "warning", "error"]
    text: str
    hint: str = ""
    near: str | None = None
    details: str = ""
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Where the run is. `eta_seconds` is None until it can be told."""

    step: int
    total_steps: int
    epoch: float
    epochs: int
    images_seen: int
    seconds: float
    eta_seconds: float | None

    @property
    def fraction(self) -> float:
        """0..1."""
        return min(1.0, self.step / self.total_steps) if self.total_steps else 0.0


def no_plane_text(record: ModelRecord) -> str:
    """Why there is no plane to show, and what is offered instead."""
    if record.has_codes:
        text = f"This state of the model “{record.title}” holds no codes that a plane could show."
        return f"{text} Its samples and reconstructions are in their own panels."
    return f"The model “{record.title}” has no codes in a space that a plane could show. {record.map_note}"
