"""`vae-explorer train`: the trainer's events, recorded and shown; signals that stop and save.

Among the processes of torchrun the first does all this, and the others follow it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_output import OutputError, complain, say
from vae_explorer.cli_signals import STOPPED, no_longer_leave, stopping_on_signals
from vae_explorer.errors import SettingError, UserError, is_out_of_memory
from vae_explorer.training.control import Control

if TYPE_CHECKING:
    from vae_explorer.runs.beginning import Beginning
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.events import Event
    from vae_explorer.training.processes import Processes
    from vae_explorer.training.run_config import RunConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen after which step, as by hand in the window.

    `last_step`: stop there; None trains all epochs. `changes`: steps with `section.key=value` of live settings.
    """

    last_step: int | None = None
    changes: tuple[tuple[int, str], ...] = ()

    def control(self, config: RunConfig, start_step: int) -> Control:
        """What makes it happen. Raises UserError for a last step that is past, SettingError for a wrong change."""
        from vae_explorer.training.run_config import apply_assignment, live_values

        past = [(step, "--at-step") for step, _ in self.changes if step < start_step]
        if self.last_step is not None and self.last_step <= start_step:
            past.append((self.last_step, "--until-step"))
        if past:
            step, flag = past[0]
            raise UserError(
                f"Step {step:,} is past: training goes on from step {start_step:,}.",
                f"Give {flag} a larger number, or leave it out.",
            )
        control = Control()
        for step, assignment in self.changes:
            changed, path = apply_assignment(config, assignment), assignment.partition("=")[0].strip()
            live = live_values(changed)
            if path not in live:
                raise SettingError(
                    path, f"{path} cannot change while a run is trained.", f"What can: {', '.join(live) or 'nothing'}."
                )
            control.change_at(step, path, live[path])
        if self.last_step is not None:
            control.stop_at(self.last_step)
        return control

    def require_reached(self, total_steps: int) -> None:
        """Raise UserError where a training that ends after so many steps never comes to what is planned."""
        late = [step for step, _ in self.changes if step >= total_steps]
        if self.last_step is not None and self.last_step > total_steps:
            late.append(self.last_step)
        if late:
            raise UserError(
                f"Step {late[0]:,} is never reached: all epochs together are {total_steps:,} steps.",
                "Give a smaller number, or more --epochs.",
            )


NO_PLAN = Plan()


def train(
    config: RunConfig, path: Path | None, weights: Path | None = None, plan: Plan = NO_PLAN, *, as_json: bool
) -> int:
    """Train a new run to the end or to a signal and return the exit status; `weights` is a file to start from.

    Raises UserError where the folder, the data, the device or the memory cannot be used, where the numbers ran away,
    where nobody takes the output, or where the last checkpoint could not be written. A run that fails before its first
    event leaves no folder.
    """
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.start_weights import read_start_weights

    def lead(processes: Processes) -> int:
        beginning = None if weights is None else read_start_weights(weights, config)
        return _train(config, lambda: RunDirectory.create(config, path), beginning, processes, plan, as_json=as_json)

    return _among_processes(lead)


def resume(path: Path, epochs: int | None, plan: Plan = NO_PLAN, *, as_json: bool) -> int:
    """Go on with the run in that folder from its newest checkpoint, or from its beginning where it has none.

    `epochs`, where given, takes the place of the number that the run was made for. Raises UserError as `train`, and
    where there is nothing left to train. The processes may be more or fewer than those that trained it before.
    """
    return _among_processes(lambda processes: _resume(path, epochs, processes, plan, as_json=as_json))


def train_fork(
    parent: Path,
    step: int | None,
    changed: Callable[[RunConfig], RunConfig],
    path: Path | None,
    plan: Plan = NO_PLAN,
    *,
    as_json: bool,
) -> int:
    """Train a child of that run from its checkpoint nearest to `step`, the newest without one, as `train`.

    `changed` makes the configuration of the parent's. Raises UserError as `train`, and where the checkpoint does
    not fit.
    """
    from vae_explorer.runs.forking import checkpoint_near, config_at, discard_unbegun, fork
    from vae_explorer.runs.run_directory import RunDirectory

    def lead(processes: Processes) -> int:
        run = RunDirectory.open(parent)
        checkpoint = checkpoint_near(run, step)
        config = changed(config_at(run, checkpoint))
        plan.control(config, checkpoint.step)  # what is wrong with it is told before there is a folder
        child = fork(run, checkpoint, config, path)
        if not as_json:
            say(f"Child of {run.name}, from its checkpoint of step {checkpoint.step:,}")
        try:
            return _resume(child.path, None, processes, plan, as_json=as_json)
        except UserError:
            discard_unbegun(child)
            raise

    return _among_processes(lead)


def _resume(path: Path, epochs: int | None, processes: Processes, plan: Plan, *, as_json: bool) -> int:
    from vae_explorer.runs.beginning import going_on
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.run_words import TRAINED_AGAIN, epochs_words
    from vae_explorer.training.events import TrainingState
    from vae_explorer.training.run_config import with_value

    run = RunDirectory.open(path)
    config = run.config if epochs is None else with_value(run.config, "training.epochs", epochs)
    found = going_on(run)
    beginning = found.beginning
    if isinstance(beginning, TrainingState) and (done := float(beginning.progress["epoch"])) >= config.training.epochs:
        raise UserError(
            f"{run.name} is trained to its end: {epochs_words(max(config.training.epochs, int(done)))}.",
            "Give --epochs with a larger number to train it further.",
        )
    if found.remark:
        complain(f"{found.remark}\n{TRAINED_AGAIN}")
    return _train(config, lambda: dataclasses.replace(run, config=config), beginning, processes, plan, as_json=as_json)


def _among_processes(lead: Callable[[Processes], int]) -> int:
    """The exit status of `lead` in the first process, which may be the only one, and of following it in the others."""
    from vae_explorer.training.processes import joined

    with joined() as processes:
        return lead(processes) if processes.is_first else _follow(processes)


def _train(
    config: RunConfig,
    open_run: Callable[[], RunDirectory],
    beginning: Beginning,
    processes: Processes,
    plan: Plan,
    *,
    as_json: bool,
) -> int:
    # These take seconds. A signal during them ends the program at once: there is nothing to save yet, and no folder.
    from vae_explorer.runs.beginning import run_from
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.events import TrainingState
    from vae_explorer.training.hardware import choose_device
    from vae_explorer.training.shared_step import require_shareable
    from vae_explorer.training.trainer import Trainer

    control = plan.control(config, int(beginning.progress["step"]) if isinstance(beginning, TrainingState) else 0)
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
                trainer = Trainer(config, dataset, run.name, processes=processes)
                events = run_from(beginning, trainer, control, run)
                plan.require_reached(trainer.total_steps)
                _record(events, run, control, as_json=as_json)
            except BaseException:
                run.discard_unused()
                raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        batch = f"--batch-size {config.training.batch_size // 2} or " if config.training.batch_size > 1 else ""
        raise UserError("There is not enough memory for this run.", f"Try {batch}smaller hidden widths.") from error
    return STOPPED if signalled else 0  # only now: a signal may come at the end of the run too


def _record(begun: Generator[Event], run: RunDirectory, control: Control, *, as_json: bool) -> None:
    from vae_explorer.cli_training_report import JsonReport, TextReport
    from vae_explorer.runs.ending import Ending
    from vae_explorer.runs.recorder import record

    report = JsonReport(run.path) if as_json else TextReport(run.path)
    ending = Ending()
    unheard: BrokenPipeError | OutputError | None = None
    with contextlib.closing(record(begun, run)) as events:
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


def _follow(processes: Processes) -> int:
    """Take the steps of the first process, which says all there is to say, and return the exit status."""
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.following import follow, read_opening
    from vae_explorer.training.hardware import choose_device
    from vae_explorer.training.processes import LostProcessError
    from vae_explorer.training.trainer import Trainer

    no_longer_leave()
    trains = False
    try:
        config, state = read_opening(processes.receive())
        device = processes.settle_on(choose_device(config.training.device))
        trainer = Trainer(config, load_training_images(config, device), processes=processes)
        trains = True
        follow(trainer, state)
    except LostProcessError as error:
        if trains and processes.rank == 1:  # in place of the first, which may be the one that is lost
            complain(f"{error.message}\n{error.hint}")
        return error.exit_status
    return 0
