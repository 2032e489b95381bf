"""Looking back in the real window: from a step of the time slider to the drawn map, and what it takes of the GUI
thread."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.reporting import machine, median, percentile, print_table
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.control import Control
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.run_config import DEFAULT_PRESET, load_preset, with_value
from vae_explorer.training.trainer import Trainer

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

EPOCHS = 3
ROUNDS = 3
WAIT_SECONDS = 120.0


def train(folder: Path) -> RunDirectory:
    config = with_value(load_preset(DEFAULT_PRESET).config, "training.epochs", EPOCHS)
    dataset = load_training_images(config, choose_device(config.training.device))
    run = RunDirectory.create(config, folder)
    with contextlib.closing(record(Trainer(config, dataset, run.name).run(Control()), run)) as events:
        for _ in events:
            pass
    return run


def until(app: QApplication, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        app.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise TimeoutError("the window did not come to rest")


def run() -> dict[str, Any]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from vae_explorer.gui.application import create_window

    found: dict[str, list[float]] = {name: [] for name in ("snapshot shown", "map drawn", "GUI thread, one moment")}
    with tempfile.TemporaryDirectory() as name:
        stored = train(Path(name) / "run")
        app, window = create_window(["vae-explorer", str(stored.path)])
        window.commands.ask_to_lose = lambda *_: True  # type: ignore[method-assign]
        window.resize(1280, 800)
        window.show()
        timeline, panel = window.session.timeline, window.panel("latent_map")

        def is_at_rest() -> bool:
            return panel.asking.is_settled and not panel.canvas.is_gliding

        until(app, lambda: bool(timeline.steps) and is_at_rest())
        show = timeline._show

        def timed(look: object) -> None:
            began = time.thread_time()
            show(look)  # type: ignore[arg-type]
            found["GUI thread, one moment"].append(1e3 * (time.thread_time() - began))

        timeline._reading.looked.disconnect(show)
        timeline._reading.looked.connect(timed)
        for number in list(range(len(timeline.steps))) * ROUNDS:
            began = time.perf_counter()
            timeline.go_to(number)
            until(app, lambda number=number: timeline.moment is not None and timeline.moment.number == number)  # type: ignore[misc]
            found["snapshot shown"].append(1e3 * (time.perf_counter() - began))
            until(app, is_at_rest)
            found["map drawn"].append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        window.commands.actions["action.save_training"].trigger()
        until(app, lambda: "save_training" in window.commands._dialogs)
        film_seconds = time.perf_counter() - began
        num = len(timeline.steps)
        window.close()
    rows = [
        (what, f"{median(ms):.1f}", f"{percentile(ms, 0.95):.1f}", f"{max(ms):.1f}") for what, ms in found.items()
    ]  # fmt: skip
    print_table(
        f"{num} recorded moments of the default preset, {ROUNDS} rounds, ms; a movie of all: {film_seconds:.1f} s",
        ("from the slider to", "median", "p95", "max"), rows,
    )  # fmt: skip
    return {"machine": machine(), "ms": found, "moments": num, "film_seconds": film_seconds}
