"""The words of a training of a fraction of a second, and what a person's error looks like."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

TINY = [
    "--dataset", "tiny", "--protocol", "dynamic", "--epochs", "2", "--batch-size", "25", "--device", "cpu",
    "--precision", "float32", "--set", "model.hidden_widths=16", "--set", "data.heldout_images=40",
    "--set", "training.num_threads=1",
]  # fmt: skip


def error_lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a person's error says: one line what, one line what to do, nothing else."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert "Traceback" not in lines[0]
    return lines[0], lines[1]


def wait_for(child: subprocess.Popen[str], event: str, times: int = 1) -> dict[str, Any]:
    """The event as `train --json` tells it; the output ends where the program does, so this never waits for ever."""
    assert child.stdout is not None
    for line in child.stdout:
        told: dict[str, Any] = json.loads(line)
        times -= told["event"] == event
        if times == 0:
            return told
    raise AssertionError(child.stderr.read() if child.stderr else "")
