"""Threads that a test leaves running, with the place where each was started."""

from __future__ import annotations

import threading
import time
import traceback
import weakref
from collections.abc import Callable, Collection

_GRACE_SECONDS = 2.0
_started_at: weakref.WeakKeyDictionary[threading.Thread, str] = weakref.WeakKeyDictionary()


def recording_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`threading.Thread.start` that notes who called it."""

    def start_and_note(thread: threading.Thread) -> None:
        caller = traceback.extract_stack(limit=2)[0]
        _started_at[thread] = f"{caller.filename}:{caller.lineno} in {caller.name}"
        start(thread)

    return start_and_note


def leaked_threads(before: Collection[threading.Thread], grace_seconds: float = _GRACE_SECONDS) -> list[str]:
    """A line for each thread that was not there before and does not end within the time given."""
    deadline = time.monotonic() + grace_seconds
    leaked = []
    for thread in threading.enumerate():
        # Dummies stand for threads that Python did not start, such as Qt's own; they cannot be joined.
        if thread in before or isinstance(thread, threading._DummyThread):
            continue
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            leaked.append(f"{thread.name}, started at {_started_at.get(thread, 'an unknown place')}")
    return leaked
