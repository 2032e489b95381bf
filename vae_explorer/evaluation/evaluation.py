"""What a measure is given to work on, and what it gives back.

Legend of shapes: N images, B images of a block, C channels, H height, W width, D latent dimensions, F factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import torch

from vae_explorer.models.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import LatentModel, Posterior
    from vae_explorer.models.record import ModelRecord

BLOCK_IMAGES = 1000
"""Images that share a generator. The blocks are fixed, so that memory limits never change which noise an image gets."""

ROWS_AT_ONCE = 1000
"""Latents decoded together; bounds memory and changes no number."""

Advance = Callable[[int, int], None]
SharedT = TypeVar("SharedT")


class Cancelled(Exception):
    """The person stopped the evaluation; what was measured before stands."""


class Store(Protocol):
    """Files that are costly to make again, by name; what cannot be kept is made again."""

    def read(self, name: str) -> bytes | None:
        """The content, or None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Keep the content where that is possible."""


def no_report(done: int, total: int) -> None:
    """Goes on without telling anybody."""
    del done, total


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Images `start` to `start` + B: pictures, what the model is told beside them, and a generator of their own."""

    start: int
    x_BCHW: Tensor
    condition: Tensor | None
    generator: torch.Generator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One measure's view of an evaluation.

    `images` are those to measure on, already limited. `training` gives all training images under the run's protocol;
    None where they are not at hand. `samples` is S, k or the number of generated pictures. `advance(done, total)` tells
    how far the measure is and raises `Cancelled` where the person wants no more of it: call it every second or so.
    """

    model: LatentModel
    record: ModelRecord
    images: ScoredImages
    training: Callable[[], ScoredImages] | None = None
    samples: int = 1
    seed: int = 0
    rows_at_once: int = ROWS_AT_ONCE
    advance: Advance = no_report
    store: Store | None = None
    cache: dict[Hashable, Any] = field(default_factory=dict)

    def shared(self, key: Hashable, compute: Callable[[], SharedT]) -> SharedT:
        """What `compute` gives, worked out once for all measures that ask for this key on as many images."""
        place = (key, self.images.num_images)
        if place not in self.cache:
            self.cache[place] = compute()
        return cast("SharedT", self.cache[place])

    def posteriors(self) -> tuple[Tensor, Tensor | None]:
        """Posterior means (N, D) and standard deviations (N, D), float64 on the CPU; None where q is no Gaussian."""
        return self.shared("posteriors", lambda: posteriors(self.model, self.images, self.advance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a measure found. `samples` and `bound` as in `Measurement`; `n` where it is not the number of images."""

    value: float
    standard_error: float | None = None
    bound: str | None = None
    samples: int | None = None
    n: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def mean_of(cls, values_N: Tensor, **others: Any) -> Outcome:
        """The mean over images with its standard error."""
        error = float(values_N.std()) / math.sqrt(len(values_N)) if len(values_N) > 1 else None
        return cls(value=float(values_N.mean()), standard_error=error, **others)


def blocks(model: LatentModel, images: ScoredImages, seed: int = 0, advance: Advance = no_report) -> Iterator[Block]:
    """The images in blocks of `BLOCK_IMAGES`; tells before each how many are done, and at the end."""
    for number, start in enumerate(range(0, images.num_images, BLOCK_IMAGES)):
        advance(start, images.num_images)
        x_BCHW = images.x(start, start + BLOCK_IMAGES)
        generator = torch.Generator(device=x_BCHW.device)
        generator.manual_seed((seed << 24) + number)
        yield Block(start, x_BCHW, model.condition_of(x_BCHW, images.labels(start, start + BLOCK_IMAGES)), generator)
    advance(images.num_images, images.num_images)


def posteriors(model: LatentModel, images: ScoredImages, advance: Advance = no_report) -> tuple[Tensor, Tensor | None]:
    """Posterior means and, of Gaussians, standard deviations, both (N, D) float64 on the CPU."""
    means, deviations = [], []
    with torch.inference_mode():
        for block in blocks(model, images, advance=advance):
            posterior = model.encode(block.x_BCHW, block.condition)
            means.append(cast("Tensor", posterior.mean).double().cpu())
            if isinstance(posterior, DiagonalGaussian):
                deviations.append(posterior.standard_deviation.double().cpu())
    return torch.cat(means), torch.cat(deviations) if deviations else None


def posterior_of(model: LatentModel, images: ScoredImages) -> Posterior:
    """q(z|x) of the images, all at once."""
    x_BCHW = images.x(0, images.num_images)
    with torch.inference_mode():
        return model.encode(x_BCHW, model.condition_of(x_BCHW, images.labels(0, images.num_images)))


def part_of(condition: Tensor | None, part: slice) -> Tensor | None:
    """The condition of a part of a block."""
    return None if condition is None else condition[part]


def rounded(values: Any) -> list[float]:
    """Numbers for `detail`, to six digits after the point."""
    return [round(float(value), 6) for value in values]
