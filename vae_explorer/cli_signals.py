"""SIGINT and SIGTERM on the command line: 130 from the first moment of the program to its last.

Imported before everything else, so it imports next to nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

STOPPED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Program:
    """The process as a whole; made once, as early as can be. `status` is what it will end with.

    Until a command has something to save, a signal ends it at once. It ends in the last of its exit functions: what
    Python does after those takes as long as torch is large, and a signal then would end it by that signal's own number.
    """

    def __init__(self) -> None:
        self.status = 1
        for number in SIGNALS:
            signal.signal(number, _leave)
        atexit.register(self._end)  # the first that is registered is the last that is called

    def _end(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody takes it; that was said where it mattered
                stream.flush()
        os._exit(self.status)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(STOPPED)


def no_longer_leave() -> None:
    """From here on a signal alone does not end the program, which comes to an end of its own together with others.

    torchrun sends one to every process when it is told to end, and when any of them has ended too early.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stopping_on_signals(
    stop: Callable[[], None], words: str = "Stopping after this step and saving"
) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM says `words` and calls `stop`, the second leaves at once; gives the signals so
    far.
    """
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        seen.append(number)
        if len(seen) > 1:
            os._exit(STOPPED)
        stop()
        # Not print: the signal may have come in the middle of one.
        with contextlib.suppress(OSError):
            os.write(2, f"\n{words}; a second signal leaves at once.\n".encode())

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
