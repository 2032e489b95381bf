"""Which device, which precision and how many threads a run uses, chosen by looking and by short trials."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch

from vae_explorer.errors import MachineError, quoted

BFLOAT16_GAIN = 1.3
"""bfloat16 is taken where its matrix product is at least this much faster; below that, casting eats the gain."""

TRIAL_ROUNDS = 6
"""Rounds in which the candidates for the number of threads take turns; 6 of 6 steps take about 0.2 s on two cores."""


def choose_device(wish: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `mps`; raises MachineError where the machine has no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wish == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if not available[wish]:
        others = ", ".join(name for name, there in available.items() if there)
        raise MachineError(
            f"This machine has no device {quoted(wish)} that torch can use.", f"Choose auto, or one of: {others}."
        )
    return torch.device(wish)


def device_title(device: torch.device) -> str:
    """The device's own name, such as `NVIDIA H200` or `AMD EPYC 9B14`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return _processor_name()


@cache
def _processor_name() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def choose_precision(wish: str, device: torch.device) -> torch.dtype:
    """The type of matrix products for `auto`, `float32` or `bfloat16`.

    On a CPU `auto` times one product of a hidden layer's size in both; on CUDA it asks for native support (compute
    capability 8.0); elsewhere it stays with float32. Parameters, sums and the bound are float32 always.
    """
    if wish != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wish]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float32
    if device.type == "cpu" and _cpu_bfloat16_gain() >= BFLOAT16_GAIN:
        return torch.bfloat16
    return torch.float32


@cache
def _cpu_bfloat16_gain() -> float:
    """How many times faster a (128, 784) x (784, 400) product is in bfloat16 than in float32; about 20 ms of trial."""
    with torch.inference_mode():
        seconds = {}
        for dtype in (torch.float32, torch.bfloat16):
            left, right = torch.ones(128, 784, dtype=dtype), torch.ones(784, 400, dtype=dtype)
            seconds[dtype] = _fastest(partial(torch.matmul, left, right), repeats=15)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _fastest(work: Callable[[], object], repeats: int) -> float:
    work()
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def choose_num_threads(
    wish: int, device: torch.device, spare_cores: int, make_step: Callable[[], Callable[[], object]]
) -> int:
    """The number of CPU threads of a training step, set for the calling thread before returning.

    0 tries one thread and powers of two up to the cores less `spare_cores`, on a throw-away copy of the training step
    (`make_step`), and takes the fastest. A window spares one core for itself: threads that wait for each other lose far
    more than a core to a busy neighbour.
    """
    if wish > 0 or device.type != "cpu":
        num = wish or torch.get_num_threads()
        torch.set_num_threads(num)
        return num
    candidates = [1]
    while candidates[-1] * 2 <= num_cores() - spare_cores:
        candidates.append(candidates[-1] * 2)
    chosen = candidates[0] if len(candidates) == 1 else _fastest_num_threads(candidates, make_step())
    torch.set_num_threads(chosen)
    return chosen


def num_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fastest_num_threads(candidates: list[int], step: Callable[[], object]) -> int:
    # In turns, since a neighbour that takes a core for a tenth of a second would otherwise decide; the best of each is
    # what the machine can do.
    seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(TRIAL_ROUNDS):
        for num in candidates:
            torch.set_num_threads(num)
            seconds[num] = min(seconds[num], _fastest(step, repeats=5))
    return min(seconds, key=lambda num: seconds[num])


def generator_for(device: torch.device, seed: int) -> torch.Generator:
    """A generator of its own on the device; torch's global generator is never drawn from while training."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator
