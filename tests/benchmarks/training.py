"""P1 and P2: images/s of the classic 784-400-20 network, batch 128, whole loop with metrics and recorder."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.reference_program import ReferenceProgram
from tests.benchmarks.reporting import machine, median, print_table
from tests.benchmarks.scoring import test_bound
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import MetricsChunk, Started
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.run_config import load_preset, with_value
from vae_explorer.training.trainer import Trainer

EPOCHS = 5


class OurProgram:
    """The tutorial preset with its recorder, pulled epoch by epoch so that the two programs take turns."""

    def __init__(self, folder: Path, precision: str, device: torch.device) -> None:
        config = with_value(load_preset("tutorial").config, "training.epochs", EPOCHS)
        config = with_value(config, "training.precision", precision)
        self.dataset = load_dataset(config.data.dataset, config.data.heldout_images, device)
        self.trainer = Trainer(config, self.dataset, f"benchmark-{precision}")
        run = RunDirectory.create(config, folder / f"ours-{precision}")
        self.stream = record(self.trainer.run(Control()), run)
        started = next(self.stream)
        assert isinstance(started, Started)
        self.num_threads = started.num_threads

    def train_epoch(self) -> float:
        torch.set_num_threads(self.num_threads)
        begin, begin_images = time.perf_counter(), self.trainer.images_seen
        for event in self.stream:
            if isinstance(event, MetricsChunk) and event.images_seen - begin_images >= 60_000 * 0.98:
                break
        if self.trainer.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
        return seconds * 60_000 / max(1, self.trainer.images_seen - begin_images)

    def finish(self) -> None:
        with contextlib.closing(self.stream):
            for _ in self.stream:
                pass


def run() -> dict[str, Any]:
    device = choose_device("auto")
    default_threads = torch.get_num_threads()
    rates: dict[str, list[float]] = {"reference": [], "float32": [], "auto": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = ReferenceProgram(folder, device)
        ours = {precision: OurProgram(folder, precision, device) for precision in ("float32", "auto")}
        for _ in range(EPOCHS):
            # The reference runs with torch's own number of threads, each of ours with the number that its trial chose.
            torch.set_num_threads(default_threads)
            rates["reference"].append(60_000 / reference.train_epoch())
            for precision, program in ours.items():
                rates[precision].append(60_000 / program.train_epoch())
        bounds = {"reference": reference.test_bound()}
        threads = {"reference": default_threads}
        for precision, program in ours.items():
            program.finish()
            bounds[precision] = test_bound(program.trainer, "grey")
            threads[precision] = program.num_threads
    rows = []
    for program_name, found in rates.items():
        ratios = [a / b for a, b in zip(found, rates["reference"], strict=True)]
        rows.append(
            (
                program_name,
                threads[program_name],
                f"{median(found):,.0f}",
                f"{median(ratios):.2f}",
                f"{bounds[program_name]:.2f}",
            )
        )
    print_table(
        f"P1/P2 training, 784-400-20, batch 128, {EPOCHS} epochs in turn on {device}",
        ("program", "threads", "images/s (median)", "x reference (median)", "test -ELBO(1), nats"),
        rows,
    )
    if device.type != "cuda":
        print("  P2 needs a CUDA device, which this machine does not have: not measured.")
    return {
        "machine": machine(),
        "images_per_second": rates,
        "test_bound": bounds,
        "threads": threads,
        "p2_measured": device.type == "cuda",
    }
