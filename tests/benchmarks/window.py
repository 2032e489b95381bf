"""P5, P6, P7: the real window at 1280 x 800 with the default preset: map, curves, tiles, previews, a mouse over the
map.

Needs a display for figures that count (Xvfb will do); without one it paints offscreen and says so. The modes take
turns, so that a machine that changes its speed changes all of them. The same with a convolutional decoder, and with
1,000,000 synthetic codes, is measured once. Takes less than eight minutes, and about two with `quick`.
"""

from __future__ import annotations

import os
from typing import Any

from tests.benchmarks.child_process import measure_in_child
from tests.benchmarks.reporting import machine, median, percentile, print_table

REPEATS, SECONDS = 3, 6
QUICK_REPEATS, QUICK_SECONDS = 1, 3
MODES = ("headless", "shown", "hidden", "layers", "layers mouse", "minimised", "mouse", "idle")
SETTINGS = {
    "default": MODES,
    "convolutional": ("headless", "shown", "mouse"),
    "million": ("headless", "shown", "mouse"),
}
"""What is trained, and the modes measured with it; all but the first once."""

# Mode: what its rate of training is compared with, and the least part of it that it must keep.
P7_BARS = {
    "headless": ("headless", "-"), "shown": ("headless", "0.90"), "layers": ("headless", "0.80"),
    "layers mouse": ("headless", "-"), "hidden": ("shown", "0.98"), "mouse": ("headless", "-"),
    "minimised": ("headless", "0.98"),
}  # fmt: skip
P6_BARS = {"idle": 16, "mouse": 33, "layers mouse": 33}

Runs = dict[str, list[dict[str, Any]]]


def run(*, quick: bool = False) -> dict[str, Any]:
    repeats, seconds = (QUICK_REPEATS, QUICK_SECONDS) if quick else (REPEATS, SECONDS)
    screen = os.environ.get("DISPLAY") or "offscreen"
    found: dict[str, Runs] = {}
    for setting, modes in SETTINGS.items():
        found[setting] = {mode: [] for mode in modes}
        for _ in range(repeats if setting == "default" else 1):
            for mode in modes:
                one = measure_in_child("tests.benchmarks.window_child", mode, str(seconds), setting)
                found[setting][mode].append(one)
    frames, moves, costs = [], [], []
    for setting, runs in found.items():
        frames += _frames(setting, runs)
        moves += _moves(setting, runs)
        costs += _costs(setting, runs)
    print_table(
        f"P5 gaps of a 16 ms timer on {screen}, ms (bar while training: p95 20, p99 33, max 150)",
        ("trained", "window", "frames", "p50", "p95", "p99", "max"),
        frames,
    )
    print_table(
        "P6 mouse move to its decoded image painted, ms; moves overtaken by the next one have no picture of their own",
        ("trained", "window", "moves", "painted", "overtaken", "p50", "p95", "max", "bar p95"),
        moves,
    )
    print_table(
        "P7 what looking costs (headless spares a core too; hidden: layers on, then their eyes off, window in sight)",
        ("trained", "window", "threads", "images/s", "ratio", "to", "bar"),
        costs,
    )
    return {"machine": machine(), "screen": screen, "is_quick": quick, "runs": found}


def _frames(setting: str, runs: Runs) -> list[tuple[object, ...]]:
    rows = []
    for mode, every in runs.items():
        gaps = [gap for one in every for gap in one.get("gaps_ms", ())]
        if gaps:
            shares = (median(gaps), percentile(gaps, 0.95), percentile(gaps, 0.99), max(gaps))
            rows.append((setting, mode, len(gaps), *(f"{value:.1f}" for value in shares)))
    return rows


def _moves(setting: str, runs: Runs) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for mode, bar in P6_BARS.items():
        every = runs.get(mode, [])
        num_moves = sum(one["num_moves"] for one in every)
        times = [ms for one in every for ms in one["latencies_ms"]]
        if num_moves:
            shares = (median(times), percentile(times, 0.95), max(times)) if times else ()
            told = tuple(f"{value:.1f}" for value in shares) or ("-", "-", "-")
            rows.append((setting, mode, num_moves, len(times), num_moves - len(times), *told, bar))
    return rows


def _costs(setting: str, runs: Runs) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for mode, (against, bar) in P7_BARS.items():
        if mode not in runs:
            continue
        rates, others = ([one["images_per_second"] for one in runs[name]] for name in (mode, against))
        ratio = median([rate / other for rate, other in zip(rates, others, strict=True)])
        rows.append(
            (setting, mode, runs[mode][0]["num_threads"], f"{median(rates):,.0f}", f"{ratio:.3f}", against, bar)
        )
    return rows
