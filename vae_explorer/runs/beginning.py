"""What a training begins with: the state it goes on from, weights from a file, or nothing but its seed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.history import read_events
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import CHECKPOINTS_FOLDER, START_WEIGHTS_FILE, require_plain_file
from vae_explorer.runs.run_picture import keep_picture
from vae_explorer.runs.start_weights import StartWeights, read_start_weights
from vae_explorer.training.events import Finished, Started, TrainingState, WeightsTaken

if TYPE_CHECKING:
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.control import Control
    from vae_explorer.training.events import Event
    from vae_explorer.training.trainer import Trainer

Beginning: TypeAlias = TrainingState | StartWeights | None
_LONGEST_HEAD = 100_000  # bytes of the line of columns


def beginning_of(run: RunDirectory) -> Beginning:
    """Where the run in that folder goes on: at its newest good checkpoint; without one, as it began.

    Raises FileError where all checkpoints, or the weights it began with, are damaged, and for a child that lacks the
    checkpoint of its parent.
    """
    checkpoint = newest_good_checkpoint(run)
    if checkpoint is not None:
        return checkpoint.state
    if run.parent is not None:
        raise FileError(
            run.path, f"{run.name} is a child of {run.parent.name} that has no checkpoint to go on from.",
            "Fork its parent again, into another folder.",
        )  # fmt: skip
    path = run.path / START_WEIGHTS_FILE
    return read_start_weights(path, run.config) if files.exists(path) else None


@dataclass(frozen=True, slots=True)
class GoingOn:
    """Where a run goes on, and a sentence where that is not its last checkpoint; empty where it is."""

    beginning: Beginning
    remark: str = ""


def going_on(run: RunDirectory) -> GoingOn:
    """Where the run in that folder goes on, so that nothing it has is lost unsaid.

    Raises FileError as `beginning_of`, where its checkpoints are gone, and where the files that it would add lines to
    are not its own.
    """
    _require_own_files(run)
    last = _last_written(run)
    beginning = beginning_of(run)
    if not isinstance(beginning, TrainingState):
        if last > 0:
            raise FileError(
                run.path, f"{run.name} had a checkpoint of step {last:,}, and its folder holds none any more.",
                f"Bring its folder {CHECKPOINTS_FOLDER} back, or train a new run.",
            )  # fmt: skip
        return GoingOn(beginning)
    step, newest = int(beginning.progress["step"]), run.newest_checkpoint()
    lost = max(last, 0 if newest is None else int(newest.name))
    if lost <= step:
        return GoingOn(beginning)
    what = "is damaged" if newest is not None and int(newest.name) == lost else "is gone"
    return GoingOn(beginning, f"The checkpoint of step {lost:,} {what}; the newest that is whole is of step {step:,}.")


def _require_own_files(run: RunDirectory) -> None:
    hint = "Bring the file back, or move it away: its lines then begin anew."
    for path in (run.metrics_file, run.events_file):
        if files.exists(path):
            require_plain_file(path, hint)
    path = run.metrics_file
    try:
        with path.open("rb") as file:
            head = file.readline(_LONGEST_HEAD)
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.file_error(path, error, "read") from error
    if head.endswith(b"\n") and b"step" not in head.rstrip().split(b","):
        raise FileError(path, f"{path} is not as VAE Explorer wrote it.", hint)


def _last_written(run: RunDirectory) -> int:
    """The step of the last checkpoint that the events tell of; 0 without any, or where they cannot be read."""
    with contextlib.suppress(FileError, KeyError, TypeError, ValueError, OverflowError):
        written = read_events(run, ("checkpoint_written",))
        return int(written[-1]["step"]) if written else 0
    return 0


def run_from(
    beginning: Beginning, trainer: Trainer, control: Control, run: RunDirectory
) -> Generator[Event, None, None]:
    """`trainer.run` from there. Weights from a file are kept in the run's folder, and told after `Started`.

    The trainer stands at its beginning when this returns; the first step waits for the first event to be asked for.
    At that, raises FileError where the run was trained on by another process since its checkpoint was read, or the
    weights cannot be kept.
    """
    take_up(beginning, trainer)
    return _told(beginning, trainer, control, run)


def take_up(beginning: Beginning, trainer: Trainer) -> None:
    """Let the trainer stand there."""
    if isinstance(beginning, TrainingState):
        trainer.restore(beginning)
    elif beginning is not None:
        for model in (trainer.model, trainer.step.looked_at):  # the second is their moving average, where there is one
            model.load_state_dict({**model.state_dict(), **beginning.tensors})


def _told(beginning: Beginning, trainer: Trainer, control: Control, run: RunDirectory) -> Generator[Event, None, None]:
    # Asked for by `record`, which holds the folder: what is found now stays.
    _require_newest(beginning, run)
    events = trainer.run(control)
    with contextlib.ExitStack() as ending:
        if isinstance(events, Generator):
            ending.callback(events.close)
        for event in events:
            if isinstance(event, Finished) and event.state is not None:
                keep_picture(trainer, run)
            yield event
            if isinstance(event, Started) and isinstance(beginning, StartWeights):
                kept = run.path / START_WEIGHTS_FILE
                if beginning.path != kept:
                    files.write_bytes_atomic(kept, beginning.content)
                yield WeightsTaken(event.start_step, str(beginning.path), beginning.sha256, len(beginning.tensors))


def _require_newest(beginning: Beginning, run: RunDirectory) -> None:
    step = int(beginning.progress["step"]) if isinstance(beginning, TrainingState) else -1
    if not any(int(path.name) > step for path in run.checkpoints()):
        return
    newest = newest_good_checkpoint(run)
    if newest is not None and newest.step > step:
        raise FileError(
            run.path, f"{run.name} was trained on to step {newest.step:,} by another process meanwhile.",
            "Continue it again, from there.",
        )  # fmt: skip
