"""Runs a benchmark's child process with a home of its own, so that no remembered layout or run changes the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def own_environment(home: Path) -> dict[str, str]:
    """The environment of a new user; `offscreen` painting where there is no display."""
    environment = dict(os.environ, HOME=str(home), PYTHONPATH=str(Path(__file__).parents[2]))
    for variable, folder in {
        "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "runtime",
    }.items():  # fmt: skip
        (home / folder).mkdir(mode=0o700, exist_ok=True)
        environment[variable] = str(home / folder)
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    environment["BENCHMARK_SPAWNED"] = str(time.monotonic())
    return environment


def measure_in_child(module: str, *arguments: str) -> dict[str, Any]:
    """The JSON object that `python -m module arguments` prints last."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], env=own_environment(Path(home)), capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
