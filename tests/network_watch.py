"""What Python code of this process asked of the network, told by Python's own audit events.

What Qt or torch do in their own code is not heard; nothing of the package imports their parts for networks
(`import_fence`).
"""

from __future__ import annotations

import sys
import traceback

_CONTACTS = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_heard: list[str] = []


def is_contact(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether the event reaches for another machine; sockets that are files, and those without an address, do not."""
    if event not in _CONTACTS:
        return False
    asked = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[1]
    host = asked[0] if isinstance(asked, tuple) and asked else asked
    is_address = isinstance(asked, tuple) or (isinstance(host, str) and event.startswith("socket.get"))
    return is_address and host not in _THIS_MACHINE


def listen() -> None:
    """Hear from now on; Python lets nobody stop it."""

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event in _CONTACTS and is_contact(event, arguments):
            caller = traceback.extract_stack(limit=2)[0]
            _heard.append(f"{event} {arguments[-1]!r:.100} at {caller.filename}:{caller.lineno}")

    sys.addaudithook(note)


def taken() -> list[str]:
    """What was heard since the last call."""
    found = _heard.copy()
    _heard.clear()
    return found
