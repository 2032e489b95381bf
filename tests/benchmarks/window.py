"""P5, P6, P7: the real window at 1280 x 800 with the default preset: map, curves, tiles, previews, a mouse over the
map.

Needs a display for figures that count (Xvfb will do); without one it paints offscreen and says so. The modes take
turns, so that a machine that changes its speed changes all of them.
"""

from __future__ import annotations

import os
from typing import Any

from tests.benchmarks.child_process import measure_in_child
from tests.benchmarks.reporting import machine, median, percentile, print_table

REPEATS = 3
SECONDS = 8
MODES = ("headless", "shown", "layers", "minimised", "mouse", "idle")


def run() -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for _ in range(REPEATS):
        for mode in MODES:
            found[mode].append(measure_in_child("tests.benchmarks.window_child", mode, str(SECONDS)))
    screen = os.environ.get("DISPLAY") or "offscreen"
    rows = []
    for mode in ("shown", "layers", "mouse", "idle"):
        gaps = [gap for one in found[mode] for gap in one["gaps_ms"]]
        rows.append(
            (
                mode,
                len(gaps),
                *(f"{v:.1f}" for v in (median(gaps), percentile(gaps, 0.95), percentile(gaps, 0.99), max(gaps))),
            )
        )
    print_table(
        f"P5 gaps of a 16 ms timer on {screen}, ms (bar while training: p95 20, p99 33, max 150)",
        ("window", "frames", "p50", "p95", "p99", "max"),
        rows,
    )
    rows = []
    for mode, bar in (("idle", 16), ("mouse", 33)):
        times = [t for one in found[mode] for t in one["latencies_ms"]]
        rows.append(
            (mode, len(times), f"{median(times):.1f}", f"{percentile(times, 0.95):.1f}", f"{max(times):.1f}", bar)
        )
    print_table("P6 mouse move to decoded image painted, ms", ("window", "moves", "p50", "p95", "max", "bar p95"), rows)
    rows = []
    headless = [one["images_per_second"] for one in found["headless"]]
    for mode, bar in (("headless", "-"), ("shown", "0.90"), ("layers", "0.80"), ("mouse", "-"), ("minimised", "0.98")):
        rates = [one["images_per_second"] for one in found[mode]]
        ratios = [a / b for a, b in zip(rates, headless, strict=True)]
        rows.append((mode, found[mode][0]["num_threads"], f"{median(rates):,.0f}", f"{median(ratios):.3f}", bar))
    print_table(
        "P7 what looking costs (headless spares a core too)",
        ("window", "threads", "images/s", "of headless", "bar"),
        rows,
    )
    return {"machine": machine(), "screen": screen, "runs": found}
