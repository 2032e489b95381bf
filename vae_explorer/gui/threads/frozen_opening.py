"""Opening a second run to look at beside the first, whatever that is doing: one thread, one opening at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_explorer.gui.threads.failure import Failure, failure_of

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.gui.threads.mailbox import Mailbox
    from vae_explorer.runs.frozen_run import FrozenRun, ImagesAtHand


@dataclass(frozen=True)
class FrozenNote:
    """What the opening is doing, in a few words."""

    text: str


@dataclass(frozen=True, eq=False)
class FrozenOpened:
    """The thread is about to end: with the run, with why there is none, or with neither where it was cancelled."""

    run: FrozenRun | None
    failure: Failure | None = None


class FrozenOpening(threading.Thread):
    """Opens the run in `path`; `at_hand` are images that are loaded already. Joined by whoever started it."""

    def __init__(self, path: Path, at_hand: ImagesAtHand | None, mailbox: Mailbox) -> None:
        super().__init__(name="opening beside", daemon=False)
        self._path = path
        self._at_hand = at_hand
        self._mailbox = mailbox
        self.cancelled = False

    def run(self) -> None:
        """Read, load and encode; FrozenOpened is the last event."""
        opened = FrozenOpened(None)
        try:
            opened = FrozenOpened(self._open())
        except _Cancelled:
            pass
        except Exception as error:
            opened = FrozenOpened(None, failure_of(error))
        self._at_hand = None
        self._mailbox.post(opened)

    def _open(self) -> FrozenRun:
        self._tell(f"Opening {self._path.name}…")
        import torch

        from vae_explorer.runs.frozen_run import open_frozen

        # The cores belong to training, as in the exploring threads.
        torch.set_num_threads(1)
        return open_frozen(self._path, self._at_hand, self._tell)

    def _tell(self, text: str) -> None:
        if self.cancelled:
            raise _Cancelled
        self._mailbox.post_newest(FrozenNote(text))


class _Cancelled(Exception):
    """Nobody wants this run any more."""
