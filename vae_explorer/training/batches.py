"""Batches of item ids in a new order every epoch; the pictures never leave the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class EpochOrder:
    """Walks through `items_N` batch by batch, in a fresh permutation each epoch, with a generator of its own.

    The last batch of an epoch is what is left. `permutation` and `position` are part of a checkpoint.
    """

    items_N: Tensor  # item ids, int64, on the device
    batch_size: int
    generator: torch.Generator
    position: int = 0
    permutation_N: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.permutation_N = self._shuffled()

    def _shuffled(self) -> Tensor:
        order = torch.randperm(len(self.items_N), generator=self.generator, device=self.items_N.device)
        return self.items_N[order]

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in one pass."""
        return -(-len(self.items_N) // self.batch_size)

    @property
    def is_at_end(self) -> bool:
        """Whether the last batch ended a pass over the items."""
        return self.position >= len(self.permutation_N)

    def next_batch(self) -> Tensor:
        """The next item ids, (B,) or fewer at the end of an epoch."""
        if self.is_at_end:
            self.permutation_N = self._shuffled()
            self.position = 0
        index_B = self.permutation_N[self.position : self.position + self.batch_size]
        self.position += len(index_B)
        return index_B

    def put_back(self, num_items: int) -> None:
        """Let the items of the last batch come again, for a step that was not taken."""
        self.position -= num_items
