"""Altered files of text, and what reading any altered file may cost (R4)."""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS, _BYTES = 2.0, 512_000_000
_BYTES_OF_PEAK = 1 if sys.platform == "darwin" else 1024


_WORDS = (b"1e999", b"nan", b"-5", b"\n", b",", b"null", b'"x"', b"\xff", b"[[")


def altered(whole: bytes, draw: random.Random) -> bytes:
    """With one to four bytes changed, parts cut out, or words put in that text formats stumble over."""
    content = bytearray(whole)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content))
        match draw.randrange(3):
            case 0:
                content[at] = draw.randrange(256)
            case 1:
                del content[at : at + draw.randint(1, 30)]
            case 2:
                content[at:at] = draw.choice(_WORDS)
    return bytes(content)


@contextmanager
def within_limits() -> Iterator[None]:
    """What is done inside takes at most 2 s and 512 MB more than this process ever took, whether or not it raises."""
    began, peak = time.monotonic(), _peak()
    try:
        yield
    finally:
        seconds, more = time.monotonic() - began, _peak() - peak
        assert seconds <= _SECONDS, f"{seconds:.1f} s"
        assert more <= _BYTES, f"{more / 1e6:.0f} MB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_PEAK
