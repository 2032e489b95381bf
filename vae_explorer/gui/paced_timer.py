"""A timer for what is asked again and again: at once, but not more often than once in so many seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer


class PacedTimer(QTimer):
    """Calls `due` once after each `want`; several wishes before that are one."""

    def __init__(self, parent: QObject, seconds: float, due: Callable[[], None]) -> None:
        super().__init__(parent)
        self._seconds = seconds
        self._noted_at = 0.0
        self.setSingleShot(True)
        self.timeout.connect(due)

    def want(self) -> None:
        """Come at once, or when so many seconds have passed since the last `note`."""
        if not self.isActive():
            wait = self._seconds - (time.monotonic() - self._noted_at)
            self.start(max(0, int(wait * 1000)))

    def note(self) -> None:
        """It was asked now."""
        self._noted_at = time.monotonic()
