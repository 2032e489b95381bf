"""`vae-explorer train`: the trainer's events, recorded and shown; signals that stop and save.

Among the processes of torchrun the first does all this, and the others follow it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_output import OutputError
from vae_explorer.cli_signals import STOPPED, no_longer_leave, stopping_on_signals
from vae_explorer.errors import UserError, is_out_of_memory
from vae_explorer.training.control import Control

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.runs.event_records import RecordedEvent
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.events import Finished, TrainingState
    from vae_explorer.training.processes import Processes
    from vae_explorer.training.run_config import RunConfig


def train(config: RunConfig, path: Path | None, *, as_json: bool) -> int:
    """Train a new run to the end or to a signal and return the exit status.

    Raises UserError where the folder, the data, the device or the memory cannot be used, where the numbers ran away,
    where nobody takes the output, or where the last checkpoint could not be written. A run that fails before its first
    event leaves no folder.
    """
    from vae_explorer.runs.run_directory import RunDirectory

    return _among_processes(
        lambda processes: _train(config, lambda: RunDirectory.create(config, path), None, processes, as_json=as_json)
    )


def resume(path: Path, epochs: int | None, *, as_json: bool) -> int:
    """Go on with the run in that folder from its newest checkpoint, or from its beginning where it has none.

    `epochs`, where given, takes the place of the number that the run was made for. Raises UserError as `train`, and
    where there is nothing left to train. The processes may be more or fewer than those that trained it before.
    """
    return _among_processes(lambda processes: _resume(path, epochs, processes, as_json=as_json))


def _resume(path: Path, epochs: int | None, processes: Processes, *, as_json: bool) -> int:
    from vae_explorer.runs.resuming import newest_good_checkpoint
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.run_config import with_value

    run = RunDirectory.open(path)
    config = run.config if epochs is None else with_value(run.config, "training.epochs", epochs)
    checkpoint = newest_good_checkpoint(run)
    if checkpoint is not None and float(checkpoint.state.progress["epoch"]) >= config.training.epochs:
        raise UserError(
            f"All {config.training.epochs} epochs of {run.name} are trained.",
            "Give --epochs with a larger number to train it further.",
        )
    state = None if checkpoint is None else checkpoint.state
    return _train(config, lambda: RunDirectory(run.path, config), state, processes, as_json=as_json)


def _among_processes(lead: Callable[[Processes], int]) -> int:
    """The exit status of `lead` in the first process, which may be the only one, and of following it in the others."""
    from vae_explorer.training.processes import joined

    with joined() as processes:
        return lead(processes) if processes.is_first else _follow(processes)


def _train(
    config: RunConfig,
    open_run: Callable[[], RunDirectory],
    state: TrainingState | None,
    processes: Processes,
    *,
    as_json: bool,
) -> int:
    # These take seconds. A signal during them ends the program at once: there is nothing to save yet, and no folder.
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.hardware import choose_device
    from vae_explorer.training.shared_step import require_shareable

    control = Control()
    try:
        if processes.are_several:
            require_shareable(config)
        device = processes.settle_on(choose_device(config.training.device))
        dataset = load_training_images(config, device)
        if processes.are_several:
            no_longer_leave()
        with stopping_on_signals(control.stop) as signalled:
            run = open_run()
            try:
                _record(config, dataset, run, state, control, processes, as_json=as_json)
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
    state: TrainingState | None,
    control: Control,
    processes: Processes,
    *,
    as_json: bool,
) -> None:
    from vae_explorer.cli_training_report import JsonReport, TextReport
    from vae_explorer.runs.recorder import record
    from vae_explorer.training.trainer import Trainer

    report = JsonReport(run.path) if as_json else TextReport(run.path)
    ending = _Ending()
    unheard: BrokenPipeError | OutputError | None = None
    trainer = Trainer(config, dataset, run.name, processes=processes)
    if state is not None:
        trainer.restore(state)
    with contextlib.closing(record(trainer.run(control), run)) as events:
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


def _follow(processes: Processes) -> int:
    """Take the steps of the first process, which says all there is to say, and return the exit status."""
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.following import follow, read_opening
    from vae_explorer.training.hardware import choose_device
    from vae_explorer.training.processes import LostProcessError
    from vae_explorer.training.trainer import Trainer

    no_longer_leave()
    try:
        config, state = read_opening(processes.receive())
        device = processes.settle_on(choose_device(config.training.device))
        follow(Trainer(config, load_training_images(config, device), processes=processes), state)
    except LostProcessError as error:
        return error.exit_status
    return 0


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
