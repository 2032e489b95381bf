"""The course of one training: when to report, look, validate, save, rest and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vae_explorer.training.chunk_buffer import ChunkBuffer
from vae_explorer.training.events import (
    CheckpointDue,
    Event,
    Finished,
    FrameTaken,
    MetricsChunk,
    Paused,
    Resumed,
    SnapshotTaken,
    StepsSkipped,
    Validated,
)
from vae_explorer.training.processes import LostProcessError

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.training.control import Control
    from vae_explorer.training.frames import KeptOfModel
    from vae_explorer.training.trainer import Trainer

SKIPS_BEFORE_PAUSE = 5
"""Steps in a row that are not finite before the loop pauses itself."""


LEAST_CHECKPOINT_SECONDS = 1.0
"""Between two checkpoints at ends of epochs; an epoch of points of the plane takes milliseconds."""


class TrainingLoop:
    """The course of one `Trainer.run`: when to report, look, validate, save, rest and end."""

    def __init__(self, trainer: Trainer, control: Control, step: Callable[[Tensor], Tensor]) -> None:
        self.trainer = trainer
        self.control = control
        self.step = step
        self.recording = trainer.config.recording
        self.buffer = ChunkBuffer(trainer.step.columns, trainer.device, trainer.images_seen, trainer.seconds)
        self.skips_in_a_row = 0
        self.skipped_in_all = 0
        self.resting = False
        self.looked_at = False
        self.validated_step = trainer.num_steps
        self.frames = trainer.frame_taking()
        now = time.monotonic()
        self.last_clock = now
        self.last_checkpoint = now
        self.start_seconds, self.start_images = trainer.seconds, trainer.images_seen

    def run(self) -> Iterator[Event]:
        """Everything after `Started`. Raises LostProcessError after a checkpoint of what all had done together."""
        try:
            yield from self._train()
            self.trainer.dismiss_others()
        except LostProcessError:
            yield from self._report()
            yield from self._checkpoint()
            raise
        yield from self._end()

    def _train(self) -> Iterator[Event]:
        trainer, control = self.trainer, self.control
        yield from self._validate_when_due()
        yield from self._frame_when_due()
        while not trainer.is_done and not control.stopped:
            control.reach(trainer.num_steps)
            if control.has_requests:
                yield from self._serve_requests()
                if not self._may_step():
                    continue
            self._take_step()
            if self.buffer.is_due(self.recording.report_interval_seconds) or control.paused:
                yield from self._report()
            yield from self._validate_when_due()
            yield from self._frame_when_due()
            if self._checkpoint_is_due():
                yield from self._checkpoint()

    def _end(self) -> Iterator[Event]:
        trainer = self.trainer
        yield from self._report()
        if trainer.num_steps > self.validated_step and len(trainer.dataset.heldout_index_N):
            yield self._validated()
        yield from self._frame(self.frames.take_last(trainer.num_steps, self._is_stopped))
        if self.control.take_snapshot_wish() or self.looked_at:
            # Whoever looked at the run on its way is left looking at its end.
            yield SnapshotTaken(trainer.snapshot())
        yield self._finished()

    def _may_step(self) -> bool:
        if self.control.stopped:
            return False
        return not self.control.paused or self.control.take_single_step()

    def _take_step(self) -> None:
        row = self.trainer.take_step(self.step)
        self.buffer.append(row, self.trainer.num_steps, self.trainer.step.kl_D)
        self._tick()

    def _tick(self) -> None:
        now = time.monotonic()
        self.trainer.seconds += now - self.last_clock
        self.last_clock = now

    def _report(self) -> Iterator[Event]:
        trainer = self.trainer
        self._tick()
        taken = self.buffer.take(trainer.images_seen, trainer.seconds)
        if taken is None:
            return
        yield MetricsChunk(
            step=trainer.num_steps,
            epoch=trainer.epoch,
            images_seen=trainer.images_seen,
            seconds=trainer.seconds,
            images_per_second=taken.images_per_second,
            columns=taken.columns,
            values=taken.values,
            steps=taken.steps,
            kl_D=taken.kl_D,
        )
        if taken.skipped.any():
            self.skipped_in_all += int(taken.skipped.sum())
            yield StepsSkipped(trainer.num_steps, int(taken.skipped.sum()), self.skipped_in_all)
        for skipped in taken.skipped:
            self.skips_in_a_row = self.skips_in_a_row + 1 if skipped else 0
        if self.skips_in_a_row >= SKIPS_BEFORE_PAUSE:
            self.control.pause(
                f"{self.skips_in_a_row} steps in a row were not finite; the weights stay as before them."
            )

    def _validate_when_due(self) -> Iterator[Event]:
        trainer = self.trainer
        if trainer.images_seen < trainer.next_validation or len(trainer.dataset.heldout_index_N) == 0:
            return
        # The first checks come at doubling distances, so that the held-out curve is there from the first second.
        interval = trainer.config.training.validation_interval_images
        trainer.next_validation = trainer.images_seen + min(interval, max(trainer.images_seen, interval // 8))
        yield self._validated()

    def _validated(self) -> Validated:
        self.trainer.fill_schedules()
        validated = self.trainer.validate()
        self.validated_step = self.trainer.num_steps
        self._tick()
        return validated

    def _frame_when_due(self) -> Iterator[Event]:
        if self.frames.is_due(self.trainer.num_steps):
            yield from self._frame(self.frames.take(self.trainer.num_steps, self._is_stopped))

    def _frame(self, kept: KeptOfModel | None) -> Iterator[Event]:
        trainer = self.trainer
        self._tick()
        if kept is not None:
            yield FrameTaken(
                step=trainer.num_steps, epoch=trainer.epoch, images_seen=trainer.images_seen, seconds=trainer.seconds,
                beta=trainer.current_beta, kept=kept,
            )  # fmt: skip

    def _is_stopped(self) -> bool:
        return self.control.stopped

    def _checkpoint_is_due(self) -> bool:
        """After the interval, or after an epoch where that is shorter, but not more than once a second."""
        waited = time.monotonic() - self.last_checkpoint
        epoch_ended = self.trainer.order.is_at_end and waited >= LEAST_CHECKPOINT_SECONDS
        return epoch_ended or waited >= self.recording.checkpoint_interval_seconds

    def _checkpoint(self) -> Iterator[Event]:
        # What is written of the curves ends where the checkpoint does, so that a continued curve has no gap.
        yield from self._report()
        self.last_checkpoint = time.monotonic()
        state = self.trainer.state()
        if state is not None:
            yield CheckpointDue(state)

    def _serve_requests(self) -> Iterator[Event]:
        """Answer what `control` asks between two steps; while paused, return as soon as anything is asked."""
        control, trainer = self.control, self.trainer
        for path, value in control.take_changes():
            if value != trainer.live_value(path):
                yield trainer.change(path, value)
        yield from self._serve_looks()
        if control.take_checkpoint_wish():
            yield from self._checkpoint()
        if control.paused and not self.resting:
            yield from self._report()
            self.resting = True
            hint = "Lower the learning rate, then continue." if control.pause_reason else ""
            yield Paused(trainer.num_steps, control.pause_reason, hint)
        if control.paused and not control.stopped:
            control.wait_while_paused()
            self.last_clock = time.monotonic()
        if self.resting and not control.paused:
            self.resting, self.skips_in_a_row = False, 0
            yield Resumed(trainer.num_steps)

    def _serve_looks(self) -> Iterator[Event]:
        if self.control.take_snapshot_wish():
            self.looked_at = True
            yield SnapshotTaken(self.trainer.snapshot())

    def _finished(self) -> Finished:
        trainer = self.trainer
        self._tick()
        seconds = trainer.seconds - self.start_seconds
        broken = self.skips_in_a_row >= SKIPS_BEFORE_PAUSE
        return Finished(
            step=trainer.num_steps,
            epoch=trainer.epoch,
            images_seen=trainer.images_seen,
            seconds=trainer.seconds,
            images_per_second=(trainer.images_seen - self.start_images) / seconds if seconds > 0 else 0.0,
            validation=trainer.last_validation,
            reason="non-finite" if broken else "completed" if trainer.is_done else "stopped",
            state=trainer.state(),
        )
