"""BARS R13: the window trains and is looked at for a long time, and needs no more memory, files or threads for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.gui.conftest import HARMLESS

MEGABYTE = 1e6

# The real program with its real data in endless training; the mouse moves over the map. It tells what it needs.
PROGRAM = """
import json, math, os, sys, threading, time
import psutil
from PySide6.QtCore import QPoint, QTimer
from PySide6.QtTest import QTest
from vae_explorer.gui import application
from vae_explorer.training.run_config import with_value

seconds, every = float(sys.argv[1]), float(sys.argv[2])
create, me, begin = application.create_window, psutil.Process(), time.monotonic()

def creating(argv):
    app, window = create(argv)
    map_ = window.panel("latent_map").canvas

    def changed(state):
        if state.value == "ready":
            window.session.replace_config(with_value(window.session.config, "training.epochs", 100_000), "soak")
            window.commands.actions["action.train"].trigger()

    def move():
        angle = 3 * (time.monotonic() - begin)
        middle = map_.rect().center()
        QTest.mouseMove(map_, middle + QPoint(round(80 * math.cos(angle)), round(60 * math.sin(angle))))

    def tell():
        told = {
            "seconds": time.monotonic() - begin, "rss": me.memory_info().rss, "threads": threading.active_count(),
            "files": me.num_fds(), "step": window.session.progress.step if window.session.progress else 0,
        }
        print(json.dumps(told), flush=True)
        if told["seconds"] > seconds:
            window.close()

    window.session.state_changed.connect(changed)
    window.timers = [QTimer(window), QTimer(window)]
    for timer, slot, interval in zip(window.timers, (move, tell), (50, round(1000 * every))):
        timer.timeout.connect(slot)
        timer.start(interval)
    return app, window

application.create_window = creating
sys.exit(application.main(["vae-explorer"]))
"""


@pytest.mark.parametrize(
    ("seconds", "most_megabytes", "most_per_hour"),
    [(120, 20.0, np.inf), pytest.param(8 * 3600, np.inf, 2.0, marks=pytest.mark.long)],
)
@pytest.mark.slow
@pytest.mark.timeout(9 * 3600)
def test_memory_files_and_threads_are_flat(
    tmp_path: Path, seconds: int, most_megabytes: float, most_per_hour: float
) -> None:
    environment = os.environ | {"VAE_EXPLORER_RUNS": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, str(seconds), str(max(2.0, seconds / 1000))],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line and not any(word in line for word in HARMLESS)] == []
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    settled = [one for one in told if one["seconds"] > seconds / 3 and one["seconds"] <= seconds]
    assert len(settled) > 10
    assert all(later["step"] > earlier["step"] for earlier, later in pairwise(settled)), "it trained all the time"
    times, memory = (np.array([one[key] for one in settled]) for key in ("seconds", "rss"))
    slope = float(np.polyfit(times / 3600, memory / MEGABYTE, 1)[0])
    # What is held, not what is at hand: it goes up and down by 25 MB as pictures and checkpoints come and go.
    earlier, later = np.array_split(memory / MEGABYTE, 2)
    grown = float(later.min() - earlier.min())
    print(f"{slope:.1f} MB an hour, {grown:.1f} MB in all, {settled[-1]['rss'] / MEGABYTE:.0f} MB at the end")
    assert grown <= most_megabytes
    assert slope <= most_per_hour
    for key in ("threads", "files"):
        values = [one[key] for one in settled]
        assert np.median(values[-5:]) <= np.median(values[:5]) + 1, (key, values)
