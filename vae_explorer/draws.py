"""Random draws for a batch whose rows may be shared among processes.

The noise of an image must not depend on how many processes train. So each of them draws for the whole batch, from
generators in the same state, and keeps the rows that are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Part:
    """The rows `start` to `stop` of the `whole` rows of a batch.

    There is always at least one to work on. Where a batch has fewer rows than there are processes, some work on a row
    that is another's, so that all draw alike; for them `counts` is False.
    """

    start: int
    stop: int
    whole: int
    counts: bool = True

    @property
    def share(self) -> float:
        """The weight of a mean over these rows in the mean over the batch."""
        return (self.stop - self.start) / self.whole if self.counts else 0.0

    def of(self, whole_B: Tensor) -> Tensor:
        """These rows, not a copy."""
        return whole_B[self.start : self.stop]


class PartGenerator(torch.Generator):
    """A generator that `draw` uses for the whole batch of which `part` is here."""

    part: Part | None = None

    @classmethod
    def in_state_of(cls, generator: torch.Generator) -> PartGenerator:
        """One that goes on as that one would."""
        same = cls(device=generator.device)
        same.set_state(generator.get_state())
        return same


def draw(
    kind: Callable[..., Tensor],
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    *,
    batch_axis: int = 0,
    **where: Any,
) -> Tensor:
    """`kind(shape, generator=generator, **where)`, such as of `torch.randn`; in models, what depends on an image and is
    random is drawn by this alone.

    With a `PartGenerator` the shape is that of its part; the batch lies along `batch_axis`.
    """
    part = generator.part if isinstance(generator, PartGenerator) else None
    if part is None:
        return kind(shape, generator=generator, **where)
    of_whole = list(shape)
    assert of_whole[batch_axis] == part.stop - part.start, "a draw that is not of the rows of this part"
    of_whole[batch_axis] = part.whole
    drawn = kind(tuple(of_whole), generator=generator, **where)
    return drawn.narrow(batch_axis, part.start, part.stop - part.start)
