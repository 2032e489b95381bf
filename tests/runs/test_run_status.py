from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.runs.library_folders import COMPLETED, STARTED, make_run, write_events
from tests.tiny_runs import tiny_config
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_status import RunStatus, is_being_written, judge
from vae_explorer.runs.writer_lock import LOCK_FILE

PAUSED, RESUMED = {"event": "paused", "step": 5}, {"event": "resumed", "step": 5}
SAVED = {"event": "checkpoint_written", "step": 100}


def lock(path: Path, host: str, pid: int) -> Path:
    (path / LOCK_FILE).write_text(json.dumps({"host": host, "pid": pid}), encoding="utf-8")
    return path / LOCK_FILE


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((STARTED, COMPLETED), RunStatus.FINISHED),
        ((STARTED, COMPLETED, SAVED), RunStatus.FINISHED),
        ((STARTED, {"event": "finished", "reason": "stopped"}), RunStatus.STOPPED),
        ((STARTED, {"event": "finished", "reason": "non-finite"}), RunStatus.FAILED),
        ((STARTED, {"event": "error", "message": "ValueError: no\nmore"}), RunStatus.FAILED),
        ((STARTED, SAVED), RunStatus.BROKEN_OFF),
        ((STARTED, PAUSED), RunStatus.BROKEN_OFF),
        ((STARTED, {"event": "finished", "reason": "stopped"}, STARTED), RunStatus.BROKEN_OFF),
        ((STARTED, {"event": "finished", "reason": "stopped"}, STARTED, COMPLETED), RunStatus.FINISHED),
        ((STARTED, PAUSED, RESUMED, SAVED), RunStatus.BROKEN_OFF),
    ],
)
def test_the_last_turn_decides(tmp_path: Path, events: tuple[Mapping[str, Any], ...], status: RunStatus) -> None:
    path = make_run(tmp_path / "run", events=events)
    assert judge(path).status is status
    # What a kill cut short does not count.
    with (path / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "finished", "reason": "comp')
    assert judge(path).status is status


def test_an_error_is_told_in_its_first_line(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED, {"event": "error", "message": "ValueError: no\nmore"}))
    assert judge(path).note == "ValueError: no"


def test_a_start_far_before_the_end_of_the_file_still_counts(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED, *[SAVED] * 2000))
    assert (path / "events.jsonl").stat().st_size > 100_000
    assert judge(path).status is RunStatus.BROKEN_OFF


def test_who_writes_runs(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    write_events(run.path, STARTED)
    with run.writing():
        assert judge(run.path).status is RunStatus.RUNNING
        assert is_being_written(run.path)
        write_events(run.path, STARTED, PAUSED)
        assert judge(run.path).status is RunStatus.RUNNING
    assert not is_being_written(run.path)
    assert judge(run.path).status is RunStatus.BROKEN_OFF


def test_a_lock_of_a_process_that_is_gone_is_no_writer(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock(path, socket.gethostname(), gone.pid)
    assert judge(path).status is RunStatus.BROKEN_OFF


def test_a_writer_on_another_machine_is_judged_by_its_beat(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    lock(path, "elsewhere", 1)
    assert judge(path).status is RunStatus.RUNNING
    os.utime(path / LOCK_FILE, (time.time() - 3600,) * 2)
    assert judge(path).status is RunStatus.BROKEN_OFF


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"host": "x"}', '{"host": "x", "pid": "many"}', '{"host": "x", "pid": Infinity}', "[" * 4000],
)
def test_a_lock_of_something_else_is_no_reason_to_fail(tmp_path: Path, content: str) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    (path / LOCK_FILE).write_text(content)
    os.utime(path / LOCK_FILE, (time.time() - 3600,) * 2)
    assert judge(path).status is RunStatus.BROKEN_OFF


def test_a_pipe_in_place_of_the_lock_does_not_hang(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    os.mkfifo(path / LOCK_FILE)
    assert judge(path).status is RunStatus.BROKEN_OFF


def test_a_run_of_which_only_the_configuration_is_there_has_not_begun(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", num_rows=0, events=())
    assert judge(path).status is RunStatus.NOT_BEGUN
