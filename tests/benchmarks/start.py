"""P4: from starting the process to the first painted window, to data on the map, to the first moving curve; and
`--help`."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from tests.benchmarks.child_process import measure_in_child
from tests.benchmarks.reporting import machine, median, print_table

REPEATS = 5


def help_seconds() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "vae_explorer", "--help"], check=True, capture_output=True)
    return time.perf_counter() - begin


def run() -> dict[str, Any]:
    starts = [measure_in_child("tests.benchmarks.window_child", "start", "0") for _ in range(REPEATS)]
    found = {
        "first painted window": ([s["painted"] for s in starts], 1.0),
        "data on the map, Train enabled": ([s["ready"] for s in starts], 4.0),
        "Train to first curve": ([s["first_curve"] - s["pressed"] for s in starts], 2.0),
        "Train to training and held-out curves": ([s["heldout_curve"] - s["pressed"] for s in starts], 2.0),
        "vae-explorer --help": ([help_seconds() for _ in range(REPEATS)], 0.3),
    }
    rows = [
        (name, f"{median(values):.2f} s", f"{max(values):.2f} s", f"{bar:g} s") for name, (values, bar) in found.items()
    ]
    print_table(f"P4 start, {REPEATS} times", ("what", "median", "worst", "bar"), rows)
    return {"machine": machine(), "seconds": {name: values for name, (values, _) in found.items()}}
