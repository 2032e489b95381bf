"""Runs that were being trained and are no more: what they are, and what of them would be trained again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vae_explorer.errors import UserError
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import CONFIG_FILE, RunDirectory
from vae_explorer.runs.stored_run import read_stored_run
from vae_explorer.runs.writer_lock import LOCK_FILE, is_broken_off


@dataclass(frozen=True, slots=True)
class BrokenOffRun:
    """A run whose writer is gone. `step` is of its last row; `seconds_lost` lie between its checkpoint and there."""

    path: Path
    step: int
    checkpoint_step: int
    seconds_lost: float

    @property
    def loss_words(self) -> str:
        """A sentence on what going on with it trains again."""
        lost = self.step - self.checkpoint_step
        if lost <= 0:
            return "Nothing of it is lost."
        steps = f"{lost:,} steps" if lost > 1 else "one step"
        again = f"going on trains {steps} again ({max(1, round(self.seconds_lost))} s)"
        return f"{again[0].upper()}{again[1:]}." if self.checkpoint_step else f"It has no checkpoint yet: {again}."


def broken_off_runs(folder: Path) -> tuple[BrokenOffRun, ...]:
    """Those among the runs of a folder, the newest first; what cannot be read is left out."""
    try:
        paths = [Path(entry.path) for entry in os.scandir(folder) if files.exists(Path(entry.path) / LOCK_FILE)]
    except OSError:
        return ()
    found = [run for path in paths if (run := _look(path)) is not None]
    return tuple(sorted(found, key=lambda run: (run.path / CONFIG_FILE).stat().st_mtime, reverse=True))


def forget(path: Path) -> None:
    """Take the lock of a writer that is gone away: the run is not offered again."""
    if is_broken_off(path):
        files.remove_file(path / LOCK_FILE)


def _look(path: Path) -> BrokenOffRun | None:
    if not is_broken_off(path):
        return None
    try:
        run = RunDirectory.open(path)
        stored = read_stored_run(run)
        newest = run.newest_checkpoint()
    except UserError:
        return None
    checkpoint_step = 0 if newest is None else int(newest.name)
    steps, seconds = stored.history.train("step"), stored.history.train("seconds")
    kept = int((steps <= checkpoint_step).sum())
    at_checkpoint = float(seconds[kept - 1]) if kept else 0.0
    return BrokenOffRun(path, stored.step, checkpoint_step, stored.seconds - at_checkpoint)
