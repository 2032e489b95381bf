from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from tests import network_watch


def test_a_reach_for_another_machine_is_heard_with_its_place() -> None:
    with contextlib.closing(socket.socket()) as one:
        one.settimeout(0.01)
        with contextlib.suppress(OSError):
            one.connect(("192.0.2.1", 9))  # an address for documentation, which nobody has
    (heard,) = network_watch.taken()
    assert "socket.connect ('192.0.2.1', 9)" in heard
    assert "test_network_watch.py" in heard


def test_a_name_that_is_looked_up_is_heard() -> None:
    socket.getaddrinfo("192.0.2.1", 9)
    (heard,) = network_watch.taken()
    assert "socket.getaddrinfo" in heard


def test_sockets_of_this_machine_alone_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the names of such sockets are short
    for one in socket.socketpair():
        one.close()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind("here")
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
    assert socket.gethostname()
    assert network_watch.taken() == []
