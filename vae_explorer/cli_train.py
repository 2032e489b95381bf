"""`vae-explorer train`: the trainer's events, recorded and shown; signals that stop and save."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_output import OutputError
from vae_explorer.cli_signals import STOPPED, stopping_on_signals
from vae_explorer.errors import UserError, is_out_of_memory
from vae_explorer.training.control import Control

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.runs.event_records import RecordedEvent
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.start_weights import StartWeights
    from vae_explorer.training.events import Finished
    from vae_explorer.training.run_config import RunConfig


def train(config: RunConfig, path: Path | None, *, as_json: bool, weights: Path | None = None) -> int:
    """Train to the end or to a signal and return the exit status; `weights` is a file to start from.

    Raises UserError where the folder, the data, the device or the memory cannot be used, where the numbers ran away,
    where nobody takes the output, or where the last checkpoint could not be written. A run that fails before its first
    event leaves no folder.
    """
    # These take seconds. A signal during them ends the program at once: there is nothing to save yet, and no folder.
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.runs.start_weights import read_start_weights
    from vae_explorer.training.hardware import choose_device

    control = Control()
    try:
        start = None if weights is None else read_start_weights(weights, config)
        device = choose_device(config.training.device)
        dataset = load_training_images(config, device)
        with stopping_on_signals(control.stop) as signalled:
            run = RunDirectory.create(config, path)
            try:
                _record(config, dataset, run, control, start, as_json=as_json)
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
    control: Control,
    start: StartWeights | None,
    *,
    as_json: bool,
) -> None:
    from vae_explorer.cli_training_report import JsonReport, TextReport
    from vae_explorer.runs.recorder import record
    from vae_explorer.runs.start_weights import run_from
    from vae_explorer.training.trainer import Trainer

    report = JsonReport(run.path) if as_json else TextReport(run.path)
    ending = _Ending()
    unheard: BrokenPipeError | OutputError | None = None
    trainer = Trainer(config, dataset, run.name)
    trained = trainer.run(control) if start is None else run_from(start, trainer, control, run)
    with contextlib.closing(record(trained, run)) as events:
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
    ending.raise_if_bad(run.path)
    if isinstance(unheard, OutputError):
        raise OutputError(unheard.message, f"The run was stopped and saved in {run.path}.")
    if unheard is not None:
        raise unheard


class _Ending:
    """Watches for what turns the exit status into a person's error."""

    def __init__(self) -> None:
        self.pause: tuple[str, str] | None = None
        self.failure: tuple[str, str] | None = None
        self.saved_step = -1
        self.finished: Finished | None = None

    def look(self, event: RecordedEvent, control: Control) -> None:
        from vae_explorer.runs.event_records import CheckpointWritten, RecordingFailed
        from vae_explorer.training.events import Finished, Paused

        match event:
            case Paused():
                # Without a window nobody can continue: the trainer paused itself, so the run ends here.
                self.pause = (event.reason, event.hint)
                control.stop()
            case RecordingFailed():
                self.failure = (event.message, event.hint)
            case CheckpointWritten():
                self.saved_step = event.step
            case Finished():
                self.finished = event

    def raise_if_bad(self, path: Path) -> None:
        """Raise UserError where training broke off or its last state is not on the disk."""
        finished = self.finished
        if finished is None:
            return
        if finished.reason == "non-finite":
            reason = self.pause[0] if self.pause else "Loss or gradient was not finite."
            raise UserError(reason, f"Lower --learning-rate and train again; {path} keeps the last good checkpoint.")
        if self.saved_step != finished.step and self.failure is not None:
            message, hint = self.failure
            raise UserError(f"The last checkpoint is missing: {message}", hint.removeprefix("Training goes on. "))
