from __future__ import annotations

import threading

from tests.thread_leaks import leaked_threads


def test_a_thread_left_running_is_named_with_the_place_where_it_was_started():
    before = threading.enumerate()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    leaked = leaked_threads(before, grace_seconds=0.05)
    end.set()
    thread.join()
    assert len(leaked) == 1
    assert "forgotten" in leaked[0]
    assert "test_thread_leaks.py" in leaked[0]


def test_a_thread_that_ends_in_time_is_no_leak():
    before = threading.enumerate()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, args=(0.05,))
    thread.start()
    assert leaked_threads(before) == []
