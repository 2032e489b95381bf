"""A thread that writes beside the training, one thing at a time: checkpoints, and frames to look back at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vae_explorer.runs.writer_lock import BEAT_SECONDS

if TYPE_CHECKING:
    from types import TracebackType

Given = TypeVar("Given")
Written = TypeVar("Written")


@dataclass(frozen=True, slots=True, eq=False)
class Saved(Generic[Given, Written]):
    """What became of what was given: what the writing returned, or what was in the way."""

    given: Given
    written: Written | None = None
    error: Exception | None = None


class Saver(Generic[Given, Written]):
    """Writes what it is offered; a context, whose end waits for the write in hand.

    `write` and `beat` (once a second) are called in the saver's thread, everything else from the one that records. What
    is offered is never mutated, so nothing is copied here.
    """

    def __init__(
        self, write: Callable[[Given], Written], beat: Callable[[], None] = lambda: None, name: str = "saver"
    ) -> None:
        self._write = write
        self._beat = beat
        self._changed = threading.Condition()
        self._given: Given | None = None
        self._saved: Saved[Given, Written] | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Saver[Given, Written]:
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
        """Whether something was offered of which it is not known yet what became of it."""
        return self._given is not None

    def offer(self, given: Given) -> None:
        """Write this; only while not busy."""
        with self._changed:
            assert self._given is None, "one at a time"
            self._given = given
            self._changed.notify_all()

    def take(self, *, wait: bool = False) -> Saved[Given, Written] | None:
        """What became of what was offered; None while that is not known, unless `wait`, or without anything offered."""
        with self._changed:
            if wait and self._given is not None:
                self._changed.wait_for(lambda: self._saved is not None)
            saved, self._saved = self._saved, None
            if saved is not None:
                self._given = None
            return saved

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._waits_to_be_written(), BEAT_SECONDS)
                given = self._given if self._waits_to_be_written() else None
                if given is None and self._is_closing:
                    return
            self._beat()
            if given is not None:
                saved = self._outcome(given)
                with self._changed:
                    self._saved = saved
                    self._changed.notify_all()

    def _waits_to_be_written(self) -> bool:
        return self._given is not None and self._saved is None

    def _outcome(self, given: Given) -> Saved[Given, Written]:
        try:
            return Saved(given, written=self._write(given))
        except Exception as error:  # noqa: BLE001 - raised again where the recording is pulled
            return Saved(given, error=error)
