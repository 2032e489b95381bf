"""The only door into a running training: flags and wishes that the loop reads between two steps. Free of torch."""

from __future__ import annotations

import math
import threading


class Control:
    """Thread-safe: any thread may call the verbs, the training thread calls the `take_...` questions.

    Snapshots are pulled: the loop takes one only when asked, so a window that is hidden or busy costs training
    nothing and a slow one never builds a queue.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._pause_reason = ""
        self._single_steps = 0
        self._stopped = False
        self._snapshot_wanted = False
        self._checkpoint_wanted = False
        self._settings: list[tuple[str, float]] = []
        self._planned: list[tuple[int, str, float]] = []
        self._last_step = math.inf
        self._next_step = math.inf  # the first for which anything is planned

    @property
    def paused(self) -> bool:
        """Whether the loop rests, or will after the step in hand."""
        return self._paused

    @property
    def pause_reason(self) -> str:
        """Why the loop paused itself; empty where a person asked for it."""
        return self._pause_reason

    @property
    def stopped(self) -> bool:
        """Whether the loop was asked to end."""
        return self._stopped

    def pause(self, reason: str = "") -> None:
        """Rest after the step in hand."""
        with self._changed:
            self._paused, self._pause_reason = True, reason
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._paused, self._pause_reason, self._single_steps = False, "", 0
            self._changed.notify_all()

    def step_once(self) -> None:
        """Take one step and rest again."""
        with self._changed:
            self._paused = True
            self._single_steps += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the step in hand; the loop still hands over its last state."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def change(self, path: str, value: float) -> None:
        """Set a live setting (`training.learning_rate`, `model.beta`) from the next step on."""
        with self._changed:
            self._settings.append((path, value))
            self._changed.notify_all()

    def change_at(self, step: int, path: str, value: float) -> None:
        """Set a live setting when so many steps are taken, as `change` would then; before the start of the training."""
        with self._changed:
            self._planned.append((step, path, value))
            self._planned.sort(key=lambda planned: planned[0])  # of one step, in the order they were given
            self._next_step = min(self._planned[0][0], self._last_step)

    def stop_at(self, step: int) -> None:
        """End when so many steps are taken; before the start of the training."""
        with self._changed:
            self._last_step = step
            self._next_step = min(self._next_step, step)

    def reach(self, step: int) -> None:
        """Called by the loop before each step, with the number taken: what is planned for now is asked for now.

        What was planned for fewer steps than a training begins with is past, and forgotten.
        """
        if step < self._next_step:
            return
        with self._changed:
            self._settings += [(path, value) for planned, path, value in self._planned if planned == step]
            self._planned = [planned for planned in self._planned if planned[0] > step]
            self._stopped = self._stopped or step >= self._last_step
            self._next_step = min(self._planned[0][0] if self._planned else math.inf, self._last_step)

    def want_snapshot(self) -> None:
        """Ask for one snapshot after the next step, or at once while paused."""
        with self._changed:
            self._snapshot_wanted = True
            self._changed.notify_all()

    def want_checkpoint(self) -> None:
        """Ask for a checkpoint now rather than at the next interval."""
        with self._changed:
            self._checkpoint_wanted = True
            self._changed.notify_all()

    @property
    def has_requests(self) -> bool:
        """Whether anything at all waits for the loop; a read without the lock, made before every step."""
        return self._stopped or self._paused or self._snapshot_wanted or self._checkpoint_wanted or bool(self._settings)

    def take_changes(self) -> list[tuple[str, float]]:
        """The live settings changed since the last question."""
        with self._changed:
            taken, self._settings = self._settings, []
            return taken

    def take_snapshot_wish(self) -> bool:
        """Whether a snapshot is wanted; the question answers it."""
        with self._changed:
            taken, self._snapshot_wanted = self._snapshot_wanted, False
            return taken

    def take_checkpoint_wish(self) -> bool:
        """Whether a checkpoint is wanted; the question answers it."""
        with self._changed:
            taken, self._checkpoint_wanted = self._checkpoint_wanted, False
            return taken

    def take_single_step(self) -> bool:
        """Whether one step may be taken while paused; the question uses it up."""
        with self._changed:
            if self._single_steps == 0:
                return False
            self._single_steps -= 1
            return True

    def wait_while_paused(self) -> None:
        """Sleep until something is asked of a paused loop."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    not self._paused
                    or self._stopped
                    or self._single_steps > 0
                    or self._snapshot_wanted
                    or self._checkpoint_wanted
                    or bool(self._settings)
                )
            )
