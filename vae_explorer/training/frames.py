"""Frames: what is kept of a run at log-spaced steps, so that one can look back in time.

A frame holds the codes of the anchors: items drawn once, the same for every run on as many items. A few frames hold the
weights too. Nothing that is trained is touched: the draws of a protocol have a generator of their own, the same for
every frame, so that an anchor always is the same picture.

How old the codes of a frame are. Encoding the anchors anew costs as much as training on a seventh of them (5,000: three
steps of 256 on the CPU), so they are encoded where frames lie far enough apart for that to be at most 1 % of the
training between them, and in the first two epochs in any case. Between those times a frame holds the codes of the
anchors' last visits, which training has anyway, each at most an epoch old. On the default preset these lie from the
codes of their step about as far away as two neighbouring frames from each other: in the median 10 % of the codes'
spread after two epochs (neighbours 7 %), 5 % after four (4 %), 2 % after six (2 %). In the first epoch they would be
useless: 30 %, and half of them are missing.

Legend: A anchors, N items, D latent dimensions, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.training.hardware import generator_for
from vae_explorer.training.heldout import evaluating, mean_codes

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.training.step import TrainingStep

MOST_FRAMES = 200
MOST_WEIGHTS = 12
"""Of a run of any length."""

MOST_BYTES = 100_000_000
"""Of the codes of all frames together, and of all weights together."""

_ITEM_COST = 0.15  # of training on an item: one pass through the encoder of the six through encoder and decoder
_SHARE = 0.01
_PER_DOUBLING = 8
_YOUNG_EPOCHS = 2
_FIRST_DOUBLING = 16
_LAST_DENSE_STEP = 2**27
_WEIGHTS_APART = 1.4  # times the step: about two snapshots to a doubling, where there are so many frames
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """At which step a frame is due, and whether its codes are encoded then or are those of the last visits."""

    step: int
    is_encoded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePlan:
    """At which steps frames are due: 0, 4, 16, then doubling, and eight to a doubling as soon as that costs little.

    At most `MOST_FRAMES` for any number of steps. `num_anchors` is 0 for a model without codes.
    """

    num_anchors: int
    batch_size: int
    steps_per_epoch: int

    def after(self, step: int) -> PlannedFrame:
        """The frame after the one at this step."""
        if step < _FIRST_DOUBLING:
            return PlannedFrame(4 * max(1, step), True)
        if self.num_anchors == 0 or step >= _LAST_DENSE_STEP:
            return PlannedFrame(2 * step, True)
        dense = _further(step, _PER_DOUBLING)
        if self._is_cheap(dense - step):
            return PlannedFrame(dense, True)
        if step >= _YOUNG_EPOCHS * self.steps_per_epoch:
            return PlannedFrame(dense, False)
        sparse = (_further(step, number) for number in (4, 2))
        return PlannedFrame(next((other for other in sparse if self._is_cheap(other - step)), 2 * step), True)

    def _is_cheap(self, num_steps: int) -> bool:
        return self.num_anchors * _ITEM_COST <= _SHARE * num_steps * self.batch_size


def _further(step: int, per_doubling: int) -> int:
    return math.ceil(step * 2 ** (1 / per_doubling))


def anchor_items(num_items: int, wanted: int, num_dimensions: int) -> NDArray[np.int64]:
    """The ids of the anchors in rising order, (A,): `wanted` of them, fewer where the data has fewer or D is large.

    The same wherever it is asked: those whose scrambled number is smallest (the mixing of SplitMix64, Steele, Lea,
    Flood 2014), so that fewer are a part of more.
    """
    most = MOST_BYTES // (MOST_FRAMES * 2 * max(num_dimensions, 1))
    num = min(num_items, wanted, most)
    with np.errstate(over="ignore"):
        mixed_N = np.arange(1, num_items + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * np.uint64(factor)
        mixed_N ^= mixed_N >> np.uint64(31)
    chosen_A: NDArray[np.int64] = np.sort(np.argsort(mixed_N, kind="stable")[:num]).astype(np.int64)
    return chosen_A


def most_weights(num_bytes: int) -> int:
    """How many weight snapshots of so many bytes a run keeps."""
    return min(MOST_WEIGHTS, MOST_BYTES // max(num_bytes, 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptOfModel:
    """What a frame keeps of the model; all of it on the CPU."""

    items_A: NDArray[np.int64]
    codes_AD: NDArray[np.float32] | None  # None for a model without codes; a row NaN where an item has no place yet
    weights: Mapping[str, Tensor] | None  # of the network that is looked at; None for most frames


class FrameTaking:
    """Takes the frames of one training, in its thread.

    `wanted` is the number of anchors asked for; with 0 no frame is ever due. A training that begins at a later step
    goes on from there.
    """

    def __init__(
        self, step: TrainingStep, *, wanted: int, batch_size: int, steps_per_epoch: int, start_step: int, seed: int
    ) -> None:
        self._step = step
        self._seed = seed
        codes_ND = step.codes_ND
        num_items, num_dimensions = (0, 1) if codes_ND is None else codes_ND.shape
        self._items_A = torch.from_numpy(anchor_items(num_items, wanted, num_dimensions)).to(step.device)
        self._plan = FramePlan(num_anchors=len(self._items_A), batch_size=batch_size, steps_per_epoch=steps_per_epoch)
        self._is_wanted = wanted > 0
        self._next = PlannedFrame(0, True) if start_step == 0 else self._plan.after(start_step)
        self._next_weights = math.ceil(_WEIGHTS_APART * start_step)
        self._last_step = start_step or -1
        num_bytes = sum(value.numel() * value.element_size() for value in step.looked_at.state_dict().values())
        self._may_keep_weights = most_weights(num_bytes) > 0

    def is_due(self, step: int) -> bool:
        """Whether a frame is to be taken after this step."""
        return self._is_wanted and step >= self._next.step

    def take(self, step: int, is_stopped: Callable[[], bool]) -> KeptOfModel | None:
        """The frame that is due; None where the training is to stop before it is encoded, or there is nothing to keep.

        Runs between two steps.
        """
        planned, self._next = self._next, self._plan.after(step)
        has_weights = step >= self._next_weights
        return self._kept(step, planned.is_encoded, is_stopped, has_weights=has_weights)

    def take_last(self, step: int, is_stopped: Callable[[], bool]) -> KeptOfModel | None:
        """The frame at the end of a training, with weights; None where there is one of this step already."""
        if not self._is_wanted or step == self._last_step:
            return None
        is_young = step < _YOUNG_EPOCHS * self._plan.steps_per_epoch
        return self._kept(step, is_young, is_stopped, has_weights=True)

    def _kept(
        self, step: int, is_encoded: bool, is_stopped: Callable[[], bool], *, has_weights: bool
    ) -> KeptOfModel | None:
        codes = self._step.codes_ND
        codes_AD = None
        if codes is not None:
            found_AD = self._encoded(is_stopped) if is_encoded else codes.index_select(0, self._items_A)
            if found_AD is None:
                return None
            codes_AD = found_AD.float().cpu().numpy()
            codes_AD = np.where(np.isfinite(codes_AD).all(1, keepdims=True), codes_AD, np.float32(np.nan))
        weights = self._weights() if has_weights and self._may_keep_weights else None
        if codes_AD is None and weights is None:
            return None
        self._last_step = step
        if weights is not None:
            self._next_weights = max(_FIRST_DOUBLING, math.ceil(_WEIGHTS_APART * step))
        return KeptOfModel(items_A=self._items_A.cpu().numpy(), codes_AD=codes_AD, weights=weights)

    def _encoded(self, is_stopped: Callable[[], bool]) -> Tensor | None:
        data_noise = generator_for(self._step.device, self._seed)
        found = []
        with evaluating(self._step.looked_at) as model, self._step.autocast():
            for index_B in self._items_A.split(_CHUNK):
                if is_stopped():
                    return None
                found.append(mean_codes(self._step, model, index_B, data_noise))
        return torch.cat(found)

    def _weights(self) -> dict[str, Tensor] | None:
        """A copy; None where it is not finite, which nobody wants to look back at."""
        weights = {
            name: value.detach().to("cpu", copy=True) for name, value in self._step.looked_at.state_dict().items()
        }
        is_finite = all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point())
        return weights if is_finite else None
