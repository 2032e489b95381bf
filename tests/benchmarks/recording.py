"""What recording costs: training images/s of the default preset with curves, events and checkpoints on the disk against
the same training without them, in turns; and how large a long run's folder grows."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.reporting import machine, print_table
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_images import load_training_images
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.run_config import default_config, with_value
from vae_explorer.training.trainer import Trainer

PAIRS, EPOCHS = 8, 6
HOURS = 8


def run() -> dict[str, Any]:
    config = with_value(default_config(), "training.epochs", EPOCHS)
    config = with_value(config, "training.num_threads", 1)
    dataset = load_training_images(config, choose_device("auto"))
    rates: dict[str, list[float]] = {"bare": [], "recorded": []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(PAIRS):
            # The order changes, so that what the machine does meanwhile falls on both.
            kinds = ("bare", "recorded") if number % 2 else ("recorded", "bare")
            for kind in kinds:
                trainer = Trainer(config, dataset, "benchmark")
                events: Iterator[Any] = trainer.run(Control())
                folder = Path(name) / str(number)
                if kind == "recorded":
                    events = record(events, RunDirectory.create(config, folder))
                begin = time.perf_counter()
                finished = [event for event in events if isinstance(event, Finished)][-1]
                rates[kind].append(finished.images_seen / (time.perf_counter() - begin))
        seconds = finished.images_seen / statistics.median(rates["recorded"])
        files = [path for path in folder.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
        megabytes = sum(path.stat().st_size for path in files) / 1e6 * HOURS * 3600 / seconds
        num_checkpoints = len(RunDirectory.open(folder).checkpoints())
    ratios = [a / b for a, b in zip(rates["recorded"], rates["bare"], strict=True)]
    rows = [
        (kind, f"{statistics.median(found):,.0f}", f"{min(found):,.0f}", f"{max(found):,.0f}")
        for kind, found in rates.items()
    ]
    print_table("Recording, default preset, one thread", ("training", "images/s, median", "least", "most"), rows)
    print(
        f"recorded/bare: median of {PAIRS} pairs {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}); bar 0.97"
    )
    print(f"folder of {HOURS} h without its checkpoints: {megabytes:.0f} MB; bar 300 ({num_checkpoints} kept here)")
    return {
        "machine": machine(), "torch_threads": torch.get_num_threads(), "rates": rates, "ratios": ratios,
        "megabytes_of_8_hours": megabytes,
    }  # fmt: skip
