"""The past of a run as snapshots: what was recorded of a moment, in the form in which the present is looked at.

The codes are those of the frame. The weights are those that were kept nearest to it, counted in doublings of the step;
a snapshot of the past bears the step of its weights, so that whatever is decoded or measured says what it is of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import FileError, UserError
from vae_explorer.latent.alignment import rotations_onto
from vae_explorer.latent.code_layer import extent_of
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PlaneView
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import Snapshot, with_told
from vae_explorer.runs.frames import RecordedFrame, RecordedFrames, read_frames, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.views import View
    from vae_explorer.runs.run_directory import RunDirectory

_SOME_CODES = 1500  # of a frame, which say how much room all of them need
_MOST_MOMENTS = 0.75
NEAR_DOUBLINGS = 1.0
"""How far from a frame weights may be for their pictures to be shown as those of that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A recorded moment: the `number`-th (from 0) of `of`, and of which step the weights are that decode for it.

    `num_codes` of `num_items` items have a code in it.
    """

    number: int
    of: int
    step: int
    epoch: float
    images_seen: int
    seconds: float
    weights_step: int
    num_codes: int
    num_items: int

    @property
    def has_near_weights(self) -> bool:
        """Whether pictures decoded by these weights are of this moment, as far as an eye can tell."""
        return _doublings(self.step, self.weights_step) <= NEAR_DOUBLINGS


@dataclass(frozen=True, slots=True, eq=False)
class PastLook:
    """What is to be seen of a moment.

    `rotation_DD` turns its codes into the space of the reference. `extent` is what a map should show on which the codes
    of most moments have room, so that it need not move from one to the next; None where that cannot be told.
    """

    moment: Moment
    snapshot: Snapshot
    rotation_DD: NDArray[np.float64] | None
    extent: MapRect | None


class Past:
    """Reads what a run recorded, as far as it is asked for; used in one thread."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.recorded: RecordedFrames | None = None
        self._weights: dict[int, Mapping[str, Tensor]] = {}
        self._rotations: tuple[RecordedFrames, int, dict[int, NDArray[np.float64]]] | None = None
        self._extent: tuple[tuple[object, ...], MapRect | None] = ((), None)

    def refresh(self) -> RecordedFrames | None:
        """Read what has come since. Raises FileError."""
        self.recorded = read_frames(self.run, self.recorded)
        return self.recorded

    def look(
        self,
        step: int,
        dataset: ImageDataset,
        *,
        reference: int,
        present: Snapshot | None,
        is_aligned: bool,
        view: View | None = None,
    ) -> PastLook:
        """The moment recorded at this step, over the items of `dataset`, turned into the space of the frame of step
        `reference`. `view` is that of the map, before it is turned.

        Where no weights were kept those of `present` decode, a snapshot of the same run. Raises UserError where the
        frame is gone, is not of these items, or there are no weights at all.
        """
        frame, number = self._frame(step)
        assert self.recorded is not None
        codes_ND = self._codes(frame, dataset)
        weights_step, weights = self._nearest_weights(step, present, dataset)
        config = self.run.config
        snapshot = Snapshot(
            run_name=self.run.name, model_name=config.model_name, model_config=config.model,
            data_space=DataSpace(
                dataset.image_shape, dataset.num_classes, config.data.protocol, len(dataset.train_index_N)
            ),
            step=weights_step, images_seen=frame.images_seen, beta=frame.beta, weights=weights, codes_ND=codes_ND,
            stamp=0,
        )  # fmt: skip
        moment = Moment(
            number=number, of=len(self.recorded.frames), step=frame.step, epoch=frame.epoch,
            images_seen=frame.images_seen, seconds=frame.seconds, weights_step=weights_step,
            num_codes=0 if frame.codes_AD is None else int(np.isfinite(frame.codes_AD).all(1).sum()),
            num_items=dataset.images.num_images,
        )  # fmt: skip
        told = 0 if present is None else present.told
        rotations = self._turned(reference) if is_aligned else {}
        extent = self._extent_in(view, reference if is_aligned else None, rotations)
        return PastLook(moment, with_told(snapshot, told), rotations.get(step), extent)

    def _frame(self, step: int) -> tuple[RecordedFrame, int]:
        frames = () if self.recorded is None else self.recorded.frames
        for number, frame in enumerate(frames):
            if frame.step == step:
                return frame, number
        raise UserError(
            f"The frame of step {step:,} is no longer there.", "Choose another moment; the run went on, or was changed."
        )

    def _codes(self, frame: RecordedFrame, dataset: ImageDataset) -> Tensor | None:
        if frame.codes_AD is None:
            return None
        assert self.recorded is not None
        items_A, num_items = self.recorded.items_A, dataset.images.num_images
        if len(items_A) and int(items_A[-1]) >= num_items:
            raise UserError(
                f"The frames of {self.run.name} are of other images.",
                "Look at the run with the data it was trained on.",
            )
        codes_AD = torch.from_numpy(np.asarray(frame.codes_AD, dtype=np.float32))
        codes_ND = torch.full((num_items, codes_AD.shape[1]), torch.nan)
        codes_ND[torch.from_numpy(items_A)] = codes_AD
        return codes_ND.to(dataset.images.device)

    def _nearest_weights(
        self, step: int, present: Snapshot | None, dataset: ImageDataset
    ) -> tuple[int, Mapping[str, Tensor]]:
        assert self.recorded is not None
        ways = sorted(self.recorded.weight_steps, key=lambda kept: _doublings(kept, step))
        trouble: FileError | None = None
        for kept in ways:
            try:
                if kept not in self._weights:
                    read = read_weights(self.run, kept)
                    self._weights[kept] = {name: value.to(dataset.images.device) for name, value in read.items()}
                return kept, self._weights[kept]
            except FileError as error:
                trouble = trouble or error
        if (
            present is not None
            and present.run_name == self.run.name
            and present.model_name == self.run.config.model_name
        ):
            return present.step, present.weights
        raise trouble or UserError(
            f"{self.run.name} kept no weights to look back with.", "Open a run that has a checkpoint."
        )

    def _turned(self, reference: int) -> dict[int, NDArray[np.float64]]:
        """The rotations of all frames by their step, worked out at once, since each leads over its neighbours."""
        recorded = self.recorded
        assert recorded is not None
        if self._rotations is None or self._rotations[:2] != (recorded, reference):
            placed = [frame for frame in recorded.frames if frame.codes_AD is not None]
            steps = [frame.step for frame in placed]
            codes: list[Any] = [frame.codes_AD for frame in placed]
            at = min(range(len(steps)), key=lambda number: abs(steps[number] - reference), default=None)
            turned = () if at is None else rotations_onto(codes, at)
            self._rotations = recorded, reference, dict(zip(steps, turned, strict=True))
        return self._rotations[2]

    def _extent_in(
        self, view: View | None, reference: int | None, rotations: Mapping[int, NDArray[np.float64]]
    ) -> MapRect | None:
        asked = (self.recorded, view, reference)
        if asked != self._extent[0]:
            self._extent = asked, self._extent_of_all(view, rotations)
        return self._extent[1]

    def _extent_of_all(self, view: View | None, rotations: Mapping[int, NDArray[np.float64]]) -> MapRect | None:
        if view is None or not view.is_exact or self.recorded is None:
            return None
        if not isinstance(view, PlaneView):
            rotations = {}
        sides = []
        for frame in self.recorded.frames:
            if frame.codes_AD is None or frame.codes_AD.shape[1] != view.num_dimensions:
                continue
            stride = -(-len(frame.codes_AD) // _SOME_CODES)
            codes = np.asarray(frame.codes_AD[::stride], dtype=np.float64)
            with np.errstate(invalid="ignore", over="ignore"):
                turned = codes @ rotations[frame.step] if frame.step in rotations else codes
                rect = extent_of(np.asarray(view.place(turned)), view.home, is_trained=True)
            sides.append((-rect.left, -rect.bottom, rect.right, rect.top))
        if not sides:
            return None
        # The first steps may throw the codes far out: a map that shows those too would show all others small.
        left, bottom, right, top = np.quantile(sides, _MOST_MOMENTS, axis=0)
        return MapRect(-float(left), -float(bottom), float(right), float(top))


def _doublings(one: int, other: int) -> float:
    return abs(math.log2(one + 1) - math.log2(other + 1))
