"""The processes that train one run together: who they are, and how they reach one another.

torchrun starts them, on one machine or several, and says in the environment who is who (RANK, WORLD_SIZE, LOCAL_RANK,
LOCAL_WORLD_SIZE) and where they meet (MASTER_ADDR, MASTER_PORT). The process of rank 0 is the first: it alone decides,
validates, and writes the run; the others follow it. Numbers on a CPU go through Gloo, those on GPUs through NCCL.

Without torchrun there is one process, `ONLY`, which reaches for nothing and opens no socket.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed

from vae_explorer.draws import Part
from vae_explorer.errors import MachineError, UserError, is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

PATIENCE_VARIABLE = "VAE_EXPLORER_PATIENCE"
DEFAULT_PATIENCE = 20.0
"""Seconds after which the first process gives up waiting for another in the middle of a step. All work on parts of one
size, so they wait for no more than their difference in speed; and torchrun, which takes away all processes 30 s after
one died, must leave time to save. A process that dies where its machine can tell is noticed at once."""

MEETING_SECONDS = 600.0
"""For all to be ready: one may have to read its images from a slow disk."""

_FOREVER = timedelta(days=365)
"""The others wait for the first as long as it rests, and are woken by the end of its connection."""


class LostProcessError(UserError):
    """Another process of this run died or does not answer."""


@dataclass(frozen=True, slots=True)
class Processes:
    """All processes of a run, and which of them this is; those on this machine are numbered by `local_rank`."""

    rank: int = 0
    num: int = 1
    local_rank: int = 0
    num_local: int = 1
    patience: float = DEFAULT_PATIENCE
    steps: ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.rank == 0

    @property
    def are_several(self) -> bool:
        """Whether there are others."""
        return self.num > 1

    def part_of(self, num_rows: int) -> Part:
        """The part of a batch for this process; parts follow one another by rank and differ by a row at most."""
        start, stop = self.rank * num_rows // self.num, (self.rank + 1) * num_rows // self.num
        if start < stop:
            return Part(start, stop, num_rows)
        row = min(start, num_rows - 1)
        return Part(row, row + 1, num_rows, counts=False)

    def settle_on(self, device: torch.device) -> torch.device:
        """The device to train on, of the kind of this one: each process of a machine takes a GPU of its own.

        Raises MachineError where there is none for it.
        """
        if not self.are_several or device.type == "cpu":
            return device
        if device.type != "cuda":
            raise MachineError(
                f"Several processes cannot share the device '{device.type}'.",
                "Train with --device cpu, or without torchrun.",
            )
        there = torch.cuda.device_count()
        if self.local_rank >= there:
            raise MachineError(
                f"{self.num_local} processes were started here, and there are {there} CUDA devices.",
                f"Use --nproc-per-node {there}, or train with --device cpu.",
            )
        torch.cuda.set_device(self.local_rank)  # what `cuda` means from now on
        return device

    def add_up(self, values: Tensor) -> None:
        """Replace `values`, of one shape and type everywhere, by their sum over all processes; every one gets the same
        bits. Raises LostProcessError.
        """
        with self._reaching():
            torch.distributed.all_reduce(values, group=self.steps)

    def from_first(self, numbers: Tensor) -> Tensor:
        """The first process's numbers, everywhere; on the CPU, in place. Raises LostProcessError."""
        with self._reaching():
            torch.distributed.broadcast(numbers, 0, group=self.steps)
        return numbers

    def send(self, content: bytes) -> None:
        """From the first process to all others, which may take long to be there for it. Raises LostProcessError."""
        with self._reaching():
            torch.distributed.broadcast(torch.tensor([len(content)]), 0)
            torch.distributed.broadcast(torch.frombuffer(bytearray(content), dtype=torch.uint8), 0)

    def receive(self) -> bytes:
        """What the first process sends. Raises LostProcessError."""
        length = torch.zeros(1, dtype=torch.int64)
        with self._reaching():
            torch.distributed.broadcast(length, 0)
            content = torch.empty(int(length), dtype=torch.uint8)
            torch.distributed.broadcast(content, 0)
        return content.numpy().tobytes()

    def meet(self) -> None:
        """Wait until all have come to this call, for `MEETING_SECONDS`. Raises LostProcessError."""
        with self._reaching():
            torch.distributed.all_reduce(torch.zeros(1))

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        except RuntimeError as error:  # what every backend raises, for whatever came in between
            if is_out_of_memory(error):
                raise
            waited = time.monotonic() - begin
            what = "was lost" if waited < self.patience else f"has not answered for {waited:.0f} seconds"
            raise LostProcessError(
                f"Another process of this run {what}.",
                "See in the report of torchrun which one it was, then continue the run with as many as you like.",
            ) from error


ONLY = Processes()


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """All processes that torchrun started, which this one joins, or `ONLY`; leaves them at the end.

    Raises UserError where the environment makes no sense or the others cannot be reached.
    """
    num = _whole_number("WORLD_SIZE", 1, low=1)
    if num == 1:
        yield ONLY
        return
    rank = _whole_number("RANK", None, high=num - 1)
    local_rank, num_local = _whole_number("LOCAL_RANK", 0), _whole_number("LOCAL_WORLD_SIZE", 1, low=1)
    patience = _patience()
    # Lets the waiting for a GPU raise an error, which can be answered by saving, where NCCL would end the process.
    os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    has_nccl = torch.cuda.is_available() and torch.distributed.is_nccl_available()
    try:
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if has_nccl else "gloo", timeout=timedelta(seconds=MEETING_SECONDS)
        )
        steps = torch.distributed.new_group(timeout=timedelta(seconds=patience) if rank == 0 else _FOREVER)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {num} processes of this run did not find one another: {str(error).splitlines()[0]}",
            "Start them with torchrun --nproc-per-node N -m vae_explorer train, or unset WORLD_SIZE to train alone.",
        ) from error
    assert isinstance(steps, torch.distributed.ProcessGroup), "all are members"
    try:
        yield Processes(rank, num, local_rank, num_local, patience, steps)
    finally:
        torch.distributed.destroy_process_group()


def _patience() -> float:
    text = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(text) if text else DEFAULT_PATIENCE
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86_400:
        raise UserError(
            f"{PATIENCE_VARIABLE} is '{text}', which is no number of seconds from 0.1 to 86400.",
            "Say for how long a process may keep the others waiting, such as 60, or unset it.",
        )
    return seconds


def _whole_number(variable: str, default: int | None, low: int = 0, high: int = 1_000_000) -> int:
    text = os.environ.get(variable, "")
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise UserError(
            f"The environment variable {variable} is '{text}', which is not what torchrun would set.",
            "Start with torchrun --nproc-per-node N -m vae_explorer train, or unset WORLD_SIZE to train alone.",
        )
    return int(text)
