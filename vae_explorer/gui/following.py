"""Following a run that another process trains: the window shows what comes, and trains nothing itself. GUI thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vae_explorer.gui.threads.failure import Failure
from vae_explorer.gui.threads.following import FollowingThread, WeightsCame
from vae_explorer.runs.followed_run import RunNews

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.runs.stored_run import StoredRun

_PATIENCE_SECONDS = 15.0  # of a shared folder that is being brought up to date


class Following(QObject):
    """`session.following`.

    changed(): another process began to train the run that is looked at, or trains it no more.
    """

    changed = Signal()
    _told = Signal(object, object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._thread: FollowingThread | None = None
        self._trouble_since: float | None = None
        self._has_complained = False
        self.writer = ""
        """Who trains the run that is looked at, in words; empty where nobody does, or this window."""
        self.has_looked = False
        """Whether the folder of the run has been looked at since it was opened."""
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def follow(self, stored: StoredRun) -> None:
        """Show what comes of this run from now on, which the window has just opened."""
        self.leave()
        session = self._session
        assert session.dataset is not None
        seen_step = -1 if session.snapshot is None else session.snapshot.step
        self._thread = thread = FollowingThread(
            stored, seen_step, session.dataset, lambda news: self._told.emit(thread, news)
        )
        thread.start()

    def leave(self) -> None:
        """Follow no run."""
        if self._thread is not None:
            self._thread.end()
            self._thread = None
        self._trouble_since, self._has_complained, self.has_looked = None, False, False
        self._set_writer("")

    def close(self, deadline: float) -> None:
        """End, and wait at most so many seconds for the look in hand."""
        thread = self._thread
        self.leave()
        if thread is not None:
            thread.join(deadline)

    @Slot(object, object)
    def _take(self, thread: FollowingThread, news: object) -> None:
        session = self._session
        if thread is not self._thread or session.is_closed:
            return
        if isinstance(news, RunNews):
            self._take_news(news)
        elif isinstance(news, WeightsCame):
            session.show_newer(news.snapshot)
            if news.measured is not None:
                session.kl_D, session.active_units = news.measured.kl_D, news.measured.active_units
                session.validated.emit(news.measured)
        elif isinstance(news, Failure):
            session.tell(news)

    def _take_news(self, news: RunNews) -> None:
        self.has_looked = True
        self._set_writer(news.writer)
        if news.trouble is not None:
            self._wait_for(news)
            return
        self._trouble_since = None
        self._session.grow(news)
        self._session.timeline.frames_written()

    def _wait_for(self, news: RunNews) -> None:
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        if now - self._trouble_since > _PATIENCE_SECONDS and not self._has_complained:
            self._has_complained = True
            assert news.trouble is not None
            self._session.post("info", news.trouble.message, "What was read is still shown; it is looked for again.")

    def _set_writer(self, writer: str) -> None:
        if writer != self.writer:
            self.writer = writer
            self.changed.emit()
