"""`vae-explorer train`: the trainer's events, recorded and shown; signals that stop and save."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_output import OutputError
from vae_explorer.cli_signals import STOPPED, stopping_on_signals
from vae_explorer.errors import UserError, is_out_of_memory
from vae_explorer.training.control import Control

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.runs.beginning import Beginning
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.run_config import RunConfig


def train(config: RunConfig, path: Path | None, weights: Path | None = None, *, as_json: bool) -> int:
    """Train a new run to the end or to a signal and return the exit status; `weights` is a file to start from.

    Raises UserError where the folder, the data, the device or the memory cannot be used, where the numbers ran away,
    where nobody takes the output, or where the last checkpoint could not be written. A run that fails before its first
    event leaves no folder.
    """
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.start_weights import read_start_weights

    beginning = None if weights is None else read_start_weights(weights, config)
    return _train(config, lambda: RunDirectory.create(config, path), beginning, as_json=as_json)


def resume(path: Path, epochs: int | None, *, as_json: bool) -> int:
    """Go on with the run in that folder from its newest checkpoint, or from its beginning where it has none.

    `epochs`, where given, takes the place of the number that the run was made for. Raises UserError as `train`, and
    where there is nothing left to train.
    """
    from vae_explorer.runs.beginning import beginning_of
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.events import TrainingState
    from vae_explorer.training.run_config import with_value

    run = RunDirectory.open(path)
    config = run.config if epochs is None else with_value(run.config, "training.epochs", epochs)
    beginning = beginning_of(run)
    if isinstance(beginning, TrainingState) and float(beginning.progress["epoch"]) >= config.training.epochs:
        raise UserError(
            f"All {config.training.epochs} epochs of {run.name} are trained.",
            "Give --epochs with a larger number to train it further.",
        )
    return _train(config, lambda: dataclasses.replace(run, config=config), beginning, as_json=as_json)


def _train(config: RunConfig, open_run: Callable[[], RunDirectory], beginning: Beginning, *, as_json: bool) -> int:
    # These take seconds. A signal during them ends the program at once: there is nothing to save yet, and no folder.
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.hardware import choose_device

    control = Control()
    try:
        device = choose_device(config.training.device)
        dataset = load_training_images(config, device)
        with stopping_on_signals(control.stop) as signalled:
            run = open_run()
            try:
                _record(config, dataset, run, beginning, control, as_json=as_json)
            except BaseException:
                run.discard_unused()
                raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        batch = f"--batch-size {config.training.batch_size // 2} or " if config.training.batch_size > 1 else ""
        raise UserError("There is not enough memory for this run.", f"Try {batch}smaller hidden widths.") from error
    return STOPPED if signalled else 0  # only now: a signal may come at the end of the run too


def _record(
    config: RunConfig,
    dataset: ImageDataset,
    run: RunDirectory,
    beginning: Beginning,
    control: Control,
    *,
    as_json: bool,
) -> None:
    from vae_explorer.cli_training_report import JsonReport, TextReport
    from vae_explorer.runs.beginning import run_from
    from vae_explorer.runs.ending import Ending
    from vae_explorer.runs.recorder import record
    from vae_explorer.training.trainer import Trainer

    report = JsonReport(run.path) if as_json else TextReport(run.path)
    ending = Ending()
    unheard: BrokenPipeError | OutputError | None = None
    trainer = Trainer(config, dataset, run.name)
    with contextlib.closing(record(run_from(beginning, trainer, control, run), run)) as events:
        for event in events:
            ending.look(event, control)
            if unheard is not None:
                continue
            try:
                report.show(event)
            except (BrokenPipeError, OutputError) as error:
                # Nobody reads on: stop, but save first.
                unheard = error
                control.stop()
    ending.raise_if_bad(run)
    if isinstance(unheard, OutputError):
        raise OutputError(unheard.message, f"The run was stopped and saved in {run.path}.")
    if unheard is not None:
        raise unheard
