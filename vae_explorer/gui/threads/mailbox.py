"""The one way news from a worker thread reaches the window.

Workers post, one timer of the session drains. Events keep their order; of those posted as "newest" only the last of its
kind is kept, so that a window that is busy never has a backlog of snapshots to work off.
"""

from __future__ import annotations

import threading


class Mailbox:
    """A thread-safe list of events, emptied as a whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[int | type, object] = {}
        self._number = 0

    def post(self, event: object) -> None:
        """Add an event. Any thread."""
        with self._lock:
            self._number += 1
            self._events[self._number] = event

    def post_newest(self, event: object) -> None:
        """Add an event and forget an undelivered one of the same type. Any thread."""
        with self._lock:
            kind = type(event)
            self._events.pop(kind, None)
            self._events[kind] = event

    def drain(self) -> list[object]:
        """Everything posted since the last call, oldest first. GUI thread."""
        with self._lock:
            events = list(self._events.values())
            self._events.clear()
        return events
