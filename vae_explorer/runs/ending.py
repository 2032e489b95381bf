"""How a recorded training ended: whether its last state is on the disk, and what a person has to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.errors import UserError
from vae_explorer.runs.event_records import CheckpointWritten, RecordingFailed
from vae_explorer.training.events import Finished, Paused

if TYPE_CHECKING:
    from vae_explorer.runs.event_records import RecordedEvent
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.control import Control


class Ending:
    """Looks at the events of a training that nobody can continue by hand, and ends it where it paused itself."""

    def __init__(self) -> None:
        self._pause_reason = ""
        self._failure: RecordingFailed | None = None
        self._saved_step = -1
        self._finished: Finished | None = None

    def look(self, event: RecordedEvent, control: Control) -> None:
        """Take up one event."""
        match event:
            case Paused():
                self._pause_reason = event.reason
                control.stop()
            case RecordingFailed():
                self._failure = event
            case CheckpointWritten():
                self._saved_step = event.step
            case Finished():
                self._finished = event

    def raise_if_bad(self, run: RunDirectory) -> None:
        """Raise UserError where training broke off or its last state is not on the disk."""
        finished, failure = self._finished, self._failure
        if finished is None:
            return
        if finished.reason == "non-finite":
            raise UserError(
                self._pause_reason or "Loss or gradient was not finite.",
                f"Lower the learning rate and train again; {run.path} keeps the last good checkpoint.",
            )
        if self._saved_step != finished.step and failure is not None:
            raise UserError(f"The last checkpoint is missing: {failure.message}", failure.hint)
