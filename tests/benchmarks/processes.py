"""Images/s of one and of two processes on this machine, whole program with its recorder, by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.reporting import machine, median, print_table
from tests.training.process_cases import ROOT, free_port

TURNS = 3
EPOCHS = 2
BATCH_SIZES = (256, 4096)
"""Of the default preset, and one in which the exchange of gradients weighs a sixteenth of that."""

PROGRAMS = {"one process": (1, 0), "one process, one thread": (1, 1), "two processes, one thread each": (2, 1)}
"""Number of processes, and of threads, of which 0 lets the program choose."""


def images_per_second(folder: Path, num_processes: int, num_threads: int, batch_size: int) -> float:
    """The median over the reports of a training of the default preset, the first report left out."""
    words = ["train", "--json", "--epochs", str(EPOCHS), "--batch-size", str(batch_size), "--run-dir", str(folder)]
    words += ["--device", "cpu", "--set", f"training.num_threads={num_threads}"]
    launcher = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(num_processes),
        "--master-port",
        str(free_port()),
    ]
    command = [sys.executable, *(launcher if num_processes > 1 else ()), "-m", "vae_explorer", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return median([event["images_per_second"] for event in events if event["event"] == "metrics"][1:])


def run() -> dict[str, Any]:
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(TURNS):
            for batch_size in BATCH_SIZES:
                for program, (num_processes, num_threads) in PROGRAMS.items():
                    folder = Path(name) / f"{turn}-{batch_size}-{num_processes}-{num_threads}"
                    rate = images_per_second(folder, num_processes, num_threads, batch_size)
                    rates.setdefault(f"{program}, batch {batch_size}", []).append(rate)
    rows = []
    for batch_size in BATCH_SIZES:
        alone = rates[f"one process, batch {batch_size}"]
        for program in PROGRAMS:
            found = rates[f"{program}, batch {batch_size}"]
            ratios = [a / b for a, b in zip(found, alone, strict=True)]
            rows.append((batch_size, program, f"{median(found):,.0f}", f"{median(ratios):.2f}"))
    print_table(
        f"Default preset, {EPOCHS} epochs, {TURNS} times in turn, on the CPU",
        ("batch", "program", "images/s (median)", "x one process (median)"),
        rows,
    )
    return {"machine": machine(), "images_per_second": rates}
