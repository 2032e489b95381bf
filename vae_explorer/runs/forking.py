"""A child run: from a checkpoint of another run, with changed settings, in a folder of its own.

The child is whole: it holds the parent's rows and frames up to that step and the checkpoint, so that whatever continues
a run, opens it or compares it needs to know nothing of forks.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING

from vae_explorer.errors import FileError, UserError
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import Checkpoint, model_shapes, write_checkpoint
from vae_explorer.runs.comparable import difference
from vae_explorer.runs.course_events import COURSE_EVENTS, Forked, inherited_lines, own_lines
from vae_explorer.runs.event_records import event_line, event_record
from vae_explorer.runs.frames import copy_frames
from vae_explorer.runs.history import read_events
from vae_explorer.runs.resuming import first_good, rows_up_to
from vae_explorer.runs.run_directory import Parent, RunDirectory
from vae_explorer.runs.run_words import epochs_words
from vae_explorer.runs.stored_run import read_told
from vae_explorer.training.run_config import live_values, with_value

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.training.run_config import RunConfig


def checkpoint_near(run: RunDirectory, step: int | None) -> Checkpoint:
    """The good checkpoint whose step is nearest; the newest without a step. Raises FileError where there is none."""
    paths = reversed(run.checkpoints())
    found = first_good(sorted(paths, key=lambda path: 0 if step is None else abs(int(path.name) - step)))
    if found is None:
        raise FileError(run.path, f"{run.name} has no checkpoint to fork from.", "Train it until its first checkpoint.")
    return found


def config_at(run: RunDirectory, checkpoint: Checkpoint) -> RunConfig:
    """The settings of the run with the live ones as they were at the checkpoint, whatever had been changed by hand."""
    config = run.config
    for path in live_values(config):
        value = checkpoint.state.progress.get(path.partition(".")[2])
        if value is not None:
            config = with_value(config, path, float(value))
    return config


def fork(parent: RunDirectory, checkpoint: Checkpoint, config: RunConfig, path: Path | None = None) -> RunDirectory:
    """Make the child's folder, ready to be continued; raises UserError where the weights do not fit the settings, or
    there is nothing left to train.
    """
    _require_fitting(parent, checkpoint, config)
    if float(checkpoint.state.progress["epoch"]) >= config.training.epochs:
        raise UserError(
            f"A fork of {parent.name} from step {checkpoint.step:,} has nothing to train: that is the end of "
            f"{epochs_words(config.training.epochs)}.",
            "Raise the number of epochs (--epochs), or begin at an earlier step (--from-step).",
        )
    events = _first_events(parent, checkpoint, config)
    run = RunDirectory.create(config, path, Parent(parent.name, checkpoint.step))
    progress = dict(checkpoint.state.progress) | {"learning_rate": config.training.learning_rate}
    if hasattr(config.model, "beta"):
        progress["beta"] = config.model.beta
    write_checkpoint(run, dataclasses.replace(checkpoint.state, progress=progress))
    if rows := rows_up_to(parent.metrics_file, checkpoint.step):
        files.write_bytes_atomic(run.metrics_file, rows)
    files.write_text_atomic(run.events_file, events)
    copy_frames(parent, run, checkpoint.step)
    return run


def _first_events(parent: RunDirectory, checkpoint: Checkpoint, config: RunConfig) -> str:
    """What the child's events begin with: what was changed on the way to its first weights, and that it left here."""
    read_told(parent)  # raises FileError where the lines are not as they were written
    progress = checkpoint.state.progress
    settings = difference(config_at(parent, checkpoint), config)
    forked = Forked(
        parent=parent.name, step=checkpoint.step, images_seen=int(progress["images_seen"]),
        seconds=float(progress["seconds"]),
        changed=tuple((item.path, item.first or "", item.second or "") for item in settings),
    )  # fmt: skip
    inherited = inherited_lines(read_events(parent, COURSE_EVENTS), checkpoint.step)
    return "".join(event_line(line) for line in (*inherited, event_record(forked) or {}))


def discard_unbegun(child: RunDirectory) -> None:
    """Remove a child that failed before its first event: what it holds is its parent's."""
    with suppress(FileError):
        if not own_lines(read_events(child)):
            files.remove_folder(child.path)


def _require_fitting(parent: RunDirectory, checkpoint: Checkpoint, config: RunConfig) -> None:
    hint = "Take that back, or start a new run."
    if config.data != checkpoint.config.data:
        raise UserError(f"A fork of {parent.name} goes on with the same data, held-out images and protocol.", hint)
    if config.model_name != checkpoint.config.model_name:
        raise UserError(f"A fork of {parent.name} goes on with the same model.", hint)
    shapes = model_shapes(config, checkpoint.data_space)
    found = {name: tuple(tensor.shape) for name, tensor in checkpoint.state.model.items()}
    if shapes != found or (config.training.ema_decay > 0) != (checkpoint.config.training.ema_decay > 0):
        raise UserError(f"The weights of {parent.name} do not fit the changed settings.", hint)
