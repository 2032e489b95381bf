"""The errors a person can act on.

    UserError                what went wrong and what to do about it; exit status 1
    ├── FileError            a file or folder that cannot be read or written; names it
    ├── SettingError         a setting with a value it cannot take; names the key
    ├── UsageError           a command line that cannot be understood; exit status 2
    └── MachineError         this machine lacks something (display, library, device); exit status 3

Everything else that is raised is a defect of the program and takes another road: it ends the run cleanly and shows a
report.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from os import PathLike

_LONGEST_QUOTED = 80
_ALLOCATION_FAILURES = ("out of memory", "can't allocate memory", "not enough memory")


class UserError(Exception):
    """Expected trouble: one sentence what (`message`), one what to do (`hint`)."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    @property
    def in_one_line(self) -> str:
        """Both sentences, one after the other."""
        return f"{self.message} {self.hint}".strip()

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class FileError(UserError):
    """A file or folder that cannot be used; `path` is the one meant."""

    def __init__(self, path: str | PathLike[str], message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


class SettingError(UserError):
    """A setting that cannot take the value given; `key` is its path, such as `training.epochs`."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.key = key


class UsageError(UserError):
    """A command line that cannot be understood."""

    exit_status: ClassVar[int] = 2


class MachineError(UserError):
    """Something this machine does not have; the hint names the package to install or the other way to go."""

    exit_status: ClassVar[int] = 3


def plain(text: str) -> str:
    """One line of printable letters: a name may hold anything, also what turns a line of text around."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def quoted(value: object) -> str:
    """What a person or a file gave, between quotes, as one short line of printable letters."""
    text = plain(str(value)[: _LONGEST_QUOTED + 1])
    return f"'{text}'" if len(text) <= _LONGEST_QUOTED else f"'{text[:_LONGEST_QUOTED]}…'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest, or None where none is near."""
    return next(iter(get_close_matches(word, tuple(known), n=1, cutoff=0.5)), None)


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """One sentence that names the nearest known word, or all of them where none is near."""
    words = tuple(known)
    match = nearest(word, words)
    return f"Known: {', '.join(words)}." if match is None else f"Did you mean '{match}'?"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or on the host; told by name so that torch need not be imported."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # What torch's allocator for the CPU raises has no class of its own.
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _ALLOCATION_FAILURES)
