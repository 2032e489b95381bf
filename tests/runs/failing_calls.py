"""Makes the n-th call that `runs.files` makes to the system fail, as a full or broken disk would."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from vae_explorer.runs import files

CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "makedirs", "close")
SHORT_WRITE = -1  # no error of the system: the call takes half of the bytes only
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, SHORT_WRITE)


class FailingCalls:
    """Stands in for `os`. Fails call number `failing`, and every later one too where `for_good`."""

    def __init__(self, failing: int, error: int, for_good: bool = False) -> None:
        self.failing = failing
        self.error = error
        self.for_good = for_good
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            due = self.count == self.failing or (self.for_good and self.count > self.failing)
            if not due and name == "fsync":
                return None  # the tests kill no machine, and waiting for the disk takes most of their time
            if not due:
                return real(*args, **kwargs)
            if self.error == SHORT_WRITE:
                return real(args[0], args[1][: max(1, len(args[1]) // 2)]) if name == "write" else real(*args, **kwargs)
            if name == "close":
                real(*args)
            raise OSError(self.error, os.strerror(self.error))

        return call


def fail_call(
    monkeypatch: pytest.MonkeyPatch, failing: int, error: int = errno.ENOSPC, for_good: bool = False
) -> FailingCalls:
    calls = FailingCalls(failing, error, for_good)
    monkeypatch.setattr(files, "os", calls)
    return calls


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "os", os)
