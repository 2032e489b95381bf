"""A thread that writes checkpoints beside the training and shows that the run is alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.runs.writer_lock import BEAT_SECONDS

if TYPE_CHECKING:
    from types import TracebackType

    from vae_explorer.training.events import TrainingState


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What became of a state: the folder it was written to, or what was in the way."""

    state: TrainingState
    path: Path | None = None
    error: Exception | None = None


class Saver:
    """Writes one state at a time; a context, whose end waits for the write in hand.

    `write` and `beat` are called in the saver's thread, everything else from the one that records. A state is never
    mutated, so nothing is copied here.
    """

    def __init__(self, write: Callable[[TrainingState], Path], beat: Callable[[], None]) -> None:
        self._write = write
        self._beat = beat
        self._changed = threading.Condition()
        self._state: TrainingState | None = None
        self._saved: Saved | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="saver")

    def __enter__(self) -> Saver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def is_busy(self) -> bool:
        """Whether a state was offered of which it is not known yet what became of it."""
        return self._state is not None

    def offer(self, state: TrainingState) -> None:
        """Write this state; only while not busy."""
        with self._changed:
            assert self._state is None, "one at a time"
            self._state = state
            self._changed.notify_all()

    def take(self, *, wait: bool = False) -> Saved | None:
        """What became of the state that was offered; None while that is not known, unless `wait`, or without one."""
        with self._changed:
            if wait and self._state is not None:
                self._changed.wait_for(lambda: self._saved is not None)
            saved, self._saved = self._saved, None
            if saved is not None:
                self._state = None
            return saved

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._waits_to_be_written(), BEAT_SECONDS)
                state = self._state if self._waits_to_be_written() else None
                if state is None and self._is_closing:
                    return
            self._beat()
            if state is not None:
                saved = self._outcome(state)
                with self._changed:
                    self._saved = saved
                    self._changed.notify_all()

    def _waits_to_be_written(self) -> bool:
        return self._state is not None and self._saved is None

    def _outcome(self, state: TrainingState) -> Saved:
        try:
            return Saved(state, path=self._write(state))
        except Exception as error:  # noqa: BLE001 - raised again where the recording is pulled
            return Saved(state, error=error)
