"""What became of a run, judged from outside: by the end of its events.jsonl and by who holds its writer.lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vae_explorer.runs import writer_lock
from vae_explorer.runs.own_files import own_file, read_end
from vae_explorer.runs.run_directory import EVENTS_FILE, METRICS_FILE

_TAIL_BYTES = 65_536


class RunStatus(StrEnum):
    """What became of a run. A run that is paused is running."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    BROKEN_OFF = "broken off"  # it was running, and is no longer
    NOT_BEGUN = "not begun"


_ENDS = {"completed": RunStatus.FINISHED, "stopped": RunStatus.STOPPED, "non-finite": RunStatus.FAILED}
_TURNS = frozenset({"started", "resumed", "finished", "error"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The status, and a sentence where there is more to say."""

    status: RunStatus
    note: str = ""


def judge(folder: Path) -> Judgement:
    """What became of the run in that folder; what cannot be read counts as not there."""
    turn = _last_turn(folder / EVENTS_FILE)
    if turn is not None and turn["event"] == "error":
        return Judgement(RunStatus.FAILED, _first_line(turn.get("message")))
    if turn is not None and turn["event"] == "finished":
        status = _ENDS.get(str(turn.get("reason")), RunStatus.FAILED)
        return Judgement(status, "Its weights were not finite any more." if status is RunStatus.FAILED else "")
    if is_being_written(folder):
        return Judgement(RunStatus.RUNNING)
    if turn is None and own_file(folder / METRICS_FILE) is None:
        return Judgement(RunStatus.NOT_BEGUN, "Nothing was trained in it yet.")
    return Judgement(RunStatus.BROKEN_OFF, "It was running and is no longer; its last checkpoint is kept.")


def is_being_written(folder: Path) -> bool:
    """Whether a living process trains in the folder; a lock of something else is none."""
    return living_writer(folder) is not None


def living_writer(folder: Path) -> writer_lock.Writer | None:
    """The process that trains in the folder; None where none does, or what is there is no lock."""
    if own_file(folder / writer_lock.LOCK_FILE) is None:
        return None
    try:
        return writer_lock.living_writer(folder)
    except (RecursionError, OverflowError):
        return None


def _last_turn(path: Path) -> dict[str, Any] | None:
    """The newest event that says whether the run goes on; None where there is none."""
    if own_file(path) is None:
        return None
    try:
        content = read_end(path, _TAIL_BYTES)
    except OSError:
        return None
    lines = content[: content.rfind(b"\n") + 1].split(b"\n")
    has_begun = False
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut by where the reading began, or damaged
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            has_begun = True
            if event["event"] in _TURNS:
                return event
    return {"event": "started"} if has_begun else None


def _first_line(text: object) -> str:
    words = str(text or "").splitlines()
    return words[0][:300] if words else ""
