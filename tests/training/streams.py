"""Pulling a whole training at once."""

from __future__ import annotations

import contextlib

from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.trainer import Trainer


def all_events(trainer: Trainer, control: Control | None = None) -> list[events.Event]:
    with contextlib.closing(trainer.run(control or Control())) as stream:
        return list(stream)


def of_type(found: list[events.Event], kind: type) -> list:
    return [event for event in found if isinstance(event, kind)]
