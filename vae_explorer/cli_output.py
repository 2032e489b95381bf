"""What the command line says, and what happens where nobody can take it: a full disk, a reader that left."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from vae_explorer.errors import UserError
from vae_explorer.runs import files


class OutputError(UserError):
    """Standard output cannot be written."""


def prepare() -> None:
    """Make both streams take any text; one that was closed before the start goes to nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str, *, end: str = "\n", flush: bool = False) -> None:
    """Print to standard output. Raises OutputError, or BrokenPipeError where the reader left."""
    try:
        print(text, end=end, flush=flush)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _output_error(error) from error


def complain(text: str) -> None:
    """Print to standard error; where that cannot be written there is nobody to tell."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def paint(text: str) -> None:
    """Paint over the line of the terminal at standard error; an empty text clears it."""
    with contextlib.suppress(OSError):
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def flush() -> None:
    """Write out what was said. Raises as `say`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _output_error(error) from error


def _output_error(error: OSError) -> OutputError:
    reason = files.file_error(Path("Standard output"), error).message
    return OutputError(reason, "Send it elsewhere, or make room for it.")
