"""Opening a library of 1,000 runs, looking at it again, and reading the curves of a run of 1,000,000 rows."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.reporting import machine, median, print_table
from tests.runs.library_folders import config_with, make_run
from tests.runs.metric_files import metric_lines
from vae_explorer.runs.library import LibraryScanner
from vae_explorer.runs.metric_curves import MetricCurves

NUM_RUNS, ROWS_A_RUN = 1000, 2000
LONG_ROWS = 1_000_000
REPEATS = 5


class Took(NamedTuple):
    """Seconds on the clock, and of the processor: other programs on the machine lengthen the first."""

    clock: float
    processor: float


def timed(work: Callable[[], object]) -> Took:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - processor)


def make_library(folder: Path) -> int:
    """Runs of some minutes each, two protocols, three checkpoints; returns the bytes of their curves."""
    for number in range(NUM_RUNS):
        config = config_with(data__protocol=("grey", "dynamic")[number % 2], training__seed=number)
        make_run(folder / f"run-{number:04d}", config, num_rows=ROWS_A_RUN, seed=number % 7, num_checkpoints=3)
    return sum(path.stat().st_size for path in folder.glob("*/metrics.csv"))


def make_long_run(path: Path) -> int:
    lines = metric_lines(LONG_ROWS // 100)
    with path.open("w", encoding="utf-8") as file:
        file.write(lines[0])
        for _ in range(100):
            file.writelines(lines[1:])
    return path.stat().st_size


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "runs"
        num_bytes = make_library(folder)
        # Not of the disk: what was just written lies in memory. That the program knows nothing yet is what counts.
        first = [timed(LibraryScanner(folder).scan) for _ in range(REPEATS)]
        scanner = LibraryScanner(folder)
        library = scanner.scan()
        assert len(library.runs) == NUM_RUNS
        again = [timed(scanner.scan) for _ in range(REPEATS)]
        with (folder / "run-0500" / "metrics.csv").open("a", encoding="utf-8") as file:
            file.writelines(metric_lines(100, first_step=24_012)[1:])
        one_grew = [timed(scanner.scan)]

        path = Path(place) / "metrics.csv"
        long_bytes = make_long_run(path)
        one_curve = [timed(MetricCurves(path, only="elbo").read) for _ in range(REPEATS)]
        readers = [MetricCurves(path) for _ in range(REPEATS)]
        whole = [timed(reader.read) for reader in readers]
        assert readers[0].num_rows == LONG_ROWS
        points = len(readers[0].curve("train", "elbo", "step"))
        os.utime(path)
        unchanged = [timed(readers[0].read)]
    rows = [
        (f"library of {NUM_RUNS:,} runs, {num_bytes / 1e6:.0f} MB of curves, first look", first, 2),
        ("the same, second look, nothing changed", again, ""),
        ("the same, one run grew by 100 rows", one_grew, ""),
        (f"one curve of {LONG_ROWS:,} rows, {long_bytes / 1e6:.0f} MB", one_curve, 1),
        ("the same, all curves", whole, ""),
        ("the same, again, nothing added", unchanged, ""),
    ]
    results = {
        what: {
            "median": median([one.clock for one in took]), "best": min(one.clock for one in took),
            "processor": median([one.processor for one in took]), "bar": bar,
        }
        for what, took, bar in rows
    }  # fmt: skip
    cells = [
        (what, *(f"{result[kind]:.3f}" for kind in ("median", "best", "processor")), result["bar"])
        for what, result in results.items()
    ]
    print_table("Library and curves, seconds", ("what", "median", "best", "processor", "bar"), cells)
    return {**machine(), "stretches_a_curve": points, "seconds": results}
