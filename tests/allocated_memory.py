"""Memory that this process holds, for tests of leaks."""

from __future__ import annotations

import ctypes
import gc

import psutil


class MallocFacts(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def allocated_memory() -> int:
    """Bytes that C, C++ and Python hold; what the allocator keeps beyond them comes and goes in steps of a megabyte."""
    gc.collect()
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return psutil.Process().memory_info().rss
    ask.restype = MallocFacts
    facts = ask()
    return facts.uordblks + facts.hblkhd
