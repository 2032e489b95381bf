"""A real window in a process of its own, for the benchmarks of start, smoothness and memory.

`python -m tests.benchmarks.window_child MODE SECONDS [SETTING]` prints one JSON object. Modes: `start` (clock from the
parent's spawn time in BENCHMARK_SPAWNED, CLOCK_MONOTONIC), `shown` (train with everything shown), `layers` (and the
layers manifold, codes, posterior, aggregate, reliability), `layers mouse` (with the mouse moving over them, so that the
exact posterior follows),
`hidden` (those layers drawn once and then their eyes off, the window in sight), `mouse` (everything shown and the mouse
moving over the map), `idle` (mouse only), `minimised` (train with the window minimised), `headless` (train with no
window, one core spared as with one). Settings: `default`, `convolutional` (decoder), `million` (synthetic images).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

SETTLE_SECONDS = 2.0
LAYERS = ("manifold", "codes", "posterior", "aggregate", "reliability")
MILLION = 1_000_000
MOVE_MS = 40


class Frames:
    """Gaps between the ticks of a 16 ms timer, after the first two seconds."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.gaps_ms: list[float] = []
        self.begin = self.last = time.perf_counter()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.setInterval(16)
        self.timer.timeout.connect(self.tick)
        self.timer.start()

    def tick(self) -> None:
        now = time.perf_counter()
        if now - self.begin > SETTLE_SECONDS:
            self.gaps_ms.append((now - self.last) * 1e3)
        self.last = now


class Mouse:
    """Wanders over the map; the time from a move to its picture painted is taken once for each move that has one.

    A picture of an earlier move, or one painted again, is none of this move: what the next move overtook has no time.
    """

    def __init__(self, window: Any) -> None:
        from PySide6.QtCore import QTimer

        self.panel = window.panel("latent_map")
        self.place = window.session.explorer_thread.place
        self.count = self.num_moves = 0
        self.latencies_ms: list[float] = []
        self._moved_after = float("inf")
        self._painted: set[float] = set()
        self._tell = self.place.painted
        self.place.painted = self.painted
        self.timer = QTimer()
        self.timer.setInterval(MOVE_MS)
        self.timer.timeout.connect(self.move)
        self.timer.start()

    def painted(self, place: Any) -> None:
        self._tell(place)
        moment = place.asked_at
        if moment is not None and moment >= self._moved_after and moment not in self._painted:
            self._painted.add(moment)
            self.latencies_ms.append((time.perf_counter() - moment) * 1e3)

    def move(self) -> None:
        from PySide6.QtCore import QPoint
        from PySide6.QtTest import QTest

        self.count += 1
        if self.count == 25:
            self._moved_after = time.perf_counter()
        if self.count >= 25:
            self.num_moves += 1
        canvas = self.panel.canvas
        x = canvas.width() * (0.3 + 0.4 * ((self.count * 7) % 100) / 100)
        y = canvas.height() * (0.3 + 0.4 * ((self.count * 13) % 100) / 100)
        QTest.mouseMove(canvas, QPoint(int(x), int(y)))


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_window() -> tuple[Any, Any]:
    from vae_explorer.gui.application import create_window

    app, window = create_window(["vae-explorer"])
    window.resize(1280, 800)
    return app, window


def when_ready(window: Any, then: Callable[[], None]) -> None:
    from vae_explorer.gui.session import State

    def look(state: object) -> None:
        if state is State.READY:
            then()

    window.session.state_changed.connect(look)


def start() -> dict[str, Any]:
    from PySide6.QtCore import QTimer

    spawned = float(os.environ["BENCHMARK_SPAWNED"])
    found: dict[str, Any] = {}
    app, window = make_window()

    def note(name: str) -> None:
        found.setdefault(name, time.monotonic() - spawned)

    window.first_painted.connect(lambda: note("painted"))

    def train() -> None:
        note("ready")
        QTimer.singleShot(500, press)

    def press() -> None:
        note("pressed")
        window.session.train()

    def moved() -> None:
        note("first_curve")
        if window.session.history.num_heldout and len(window.session.history):
            note("heldout_curve")
            QTimer.singleShot(0, window.close)

    when_ready(window, train)
    window.session.history_changed.connect(moved)
    window.closed.connect(app.quit)
    window.show()
    app.exec()
    return found


def configured(config: Any, setting: str) -> Any:
    """The configuration of a setting; its data set is made known first."""
    from vae_explorer.training.run_config import with_value

    if setting == "convolutional":
        return with_value(config, "model.body", "convolutional")
    if setting == "million":
        from tests.benchmarks.map_child import register_synthetic

        register_synthetic(MILLION)
        return with_value(config, "data.dataset", "synthetic")
    return config


def live(mode: str, seconds: float, setting: str) -> dict[str, Any]:
    from PySide6.QtCore import QTimer

    app, window = make_window()
    session = window.session
    session.place_config(configured(session.config, setting))
    found: dict[str, Any] = {"mode": mode, "setting": setting}
    tools: list[Any] = []

    def begin() -> None:
        if mode in {"layers", "layers mouse", "hidden"}:
            for name in LAYERS:
                session.map.set_layer(name, is_shown=True)
        if mode == "hidden":
            # Once drawn, all their eyes are closed; the map stays in sight.
            QTimer.singleShot(int(SETTLE_SECONDS * 500), hide)
        if mode != "idle":
            session.edit("training.epochs", 1000)
            session.train()
        if mode == "minimised":
            window.showMinimized()
        else:
            tools.append(Frames())
            if mode in {"mouse", "idle", "layers mouse"}:
                tools.append(Mouse(window))
        await_training()

    def await_training() -> None:
        # From the first numbers on: what a slow machine takes to get going is no part of the rate.
        if mode != "idle" and session.progress is None:
            QTimer.singleShot(50, await_training)
            return
        QTimer.singleShot(int((SETTLE_SECONDS + 1) * 1000), settled)
        QTimer.singleShot(int((SETTLE_SECONDS + 1 + seconds) * 1000), end)

    def hide() -> None:
        for name in LAYERS:
            session.map.set_layer(name, is_shown=False)

    def settled() -> None:
        found["from"] = (time.perf_counter(), session.progress.images_seen if session.progress else 0)

    def end() -> None:
        begin_clock, begin_images = found.pop("from")
        images = (session.progress.images_seen if session.progress else 0) - begin_images
        found["images_per_second"] = images / (time.perf_counter() - begin_clock)
        found["num_threads"] = session.start.num_threads if session.start else 0
        if tools:
            found["gaps_ms"] = tools[0].gaps_ms
            mice = [tool for tool in tools if isinstance(tool, Mouse)]
            found["num_moves"] = sum(mouse.num_moves for mouse in mice)
            found["latencies_ms"] = [ms for mouse in mice for ms in mouse.latencies_ms]
            for tool in tools:
                tool.timer.stop()
        found["peak_memory_bytes"] = peak_memory_bytes()
        window.close()

    when_ready(window, lambda: QTimer.singleShot(300, begin))
    window.closed.connect(app.quit)
    window.show()
    app.exec()
    return found


def headless(seconds: float, setting: str) -> dict[str, Any]:
    import tempfile
    from pathlib import Path

    from vae_explorer.datasets.image_dataset import load_dataset
    from vae_explorer.runs.recorder import record
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.control import Control
    from vae_explorer.training.events import MetricsChunk, Started
    from vae_explorer.training.run_config import default_config, with_value
    from vae_explorer.training.trainer import Trainer

    config = with_value(configured(default_config(), setting), "training.epochs", 1000)
    dataset = load_dataset(config.data.dataset, config.data.heldout_images, "cpu")
    trainer = Trainer(config, dataset, spare_cores=1)
    control = Control()
    first: tuple[float, int] | None = None
    rate, threads = 0.0, 0
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(config, Path(folder) / "run")
        for event in record(trainer.run(control), run):
            if isinstance(event, Started):
                threads = event.num_threads
            if isinstance(event, MetricsChunk):
                now = time.perf_counter()
                if first is None and now - begin > SETTLE_SECONDS + 1:
                    first = (now, event.images_seen)
                elif first is not None and now - first[0] > seconds and not control.stopped:
                    rate = (event.images_seen - first[1]) / (now - first[0])
                    control.stop()
    return {
        "mode": "headless",
        "setting": setting,
        "images_per_second": rate,
        "num_threads": threads,
        "peak_memory_bytes": peak_memory_bytes(),
    }


def main() -> None:
    mode, seconds = sys.argv[1], float(sys.argv[2])
    setting = sys.argv[3] if len(sys.argv) > 3 else "default"
    if mode == "start":
        found = start()
    else:
        found = headless(seconds, setting) if mode == "headless" else live(mode, seconds, setting)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
