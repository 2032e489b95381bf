"""P8, P9: the map under the hand, and how fast its background stands, in the real window.

Needs a display for figures that count (Xvfb will do). Codes are synthetic: 70,000 and 1,000,000 images of 8 x 8 pixels
in ten classes. P9 is measured with the default preset's network on MNIST and with a convolutional decoder.
"""

from __future__ import annotations

import os
from typing import Any

from tests.benchmarks.child_process import measure_in_child
from tests.benchmarks.reporting import machine, median, percentile, print_table

REPEATS = 3
P8_BARS = {70_000: "16.7", 1_000_000: "33"}


def run() -> dict[str, Any]:
    screen = os.environ.get("DISPLAY") or "offscreen"
    found: dict[str, Any] = {"machine": machine(), "screen": screen, "hand": [], "background": []}
    rows = []
    for num_codes, bar in P8_BARS.items():
        runs = [measure_in_child("tests.benchmarks.map_child", "hand", str(num_codes)) for _ in range(REPEATS)]
        found["hand"].extend(runs)
        for act in ("pan", "zoom", "density"):
            times = [ms for one in runs for ms in one[act]]
            shown = (len(times), f"{median(times):.1f}", f"{percentile(times, 0.95):.1f}", f"{max(times):.1f}")
            rows.append((f"{num_codes:,}", act, *shown, bar))
    print_table(
        f"P8 pan and zoom on {screen}: time from one painted frame to the next, ms",
        ("codes", "act", "frames", "p50", "p95", "max", "bar p95"),
        rows,
    )
    rows = []
    for network in ("default", "convolutional"):
        runs = [measure_in_child("tests.benchmarks.map_child", "background", network) for _ in range(REPEATS)]
        found["background"].extend(runs)
        for size in ("1280 x 800", "2560 x 1440"):
            first = [1e3 * seconds for one in runs for seconds in one[size]["first"]]
            sharp = [1e3 * seconds for one in runs for seconds in one[size]["sharp"]]
            rows.append(
                (network, size, runs[0][size]["cells"], len(first), *(f"{v:.0f}" for v in (
                    median(first), max(first), median(sharp), max(sharp)
                )))
            )  # fmt: skip
    print_table(
        "P9 background at rest: first view and sharp, ms (bars 100 and 1,000)",
        ("network", "window", "cells", "jumps", "first", "max", "sharp", "max"),
        rows,
    )
    return found
