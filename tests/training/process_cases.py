"""What several processes train in a test, and one process for comparison.

`python -m tests.training.process_cases FOLDER` is one of the processes: it plays every case of the folder with the
others and leaves what came of it as NUMBER-RANK.npz.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from vae_explorer.datasets.image_dataset import ImageDataset, ResidentImages, heldout_split
from vae_explorer.training.control import Control
from vae_explorer.training.events import (
    CheckpointDue,
    Event,
    Finished,
    MetricsChunk,
    Paused,
    Started,
    TrainingState,
    Validated,
)
from vae_explorer.training.following import follow, read_opening
from vae_explorer.training.processes import LostProcessError, Processes, joined
from vae_explorer.training.run_config import RunConfig, run_config_from_table, run_config_to_table
from vae_explorer.training.shared_step import SharedStep
from vae_explorer.training.trainer import Trainer

Play = Literal["whole", "steered", "continued", "lost"]
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 5
LAST_STEP = 13
"""Of the case `steered`, and before the loss of `lost`; in the middle of an epoch."""


@dataclass(frozen=True)
class Case:
    """`whole`: to the end. `steered`: settings changed at a pause, then stopped. `continued`: from a state of one
    process. `lost`: another process stops in the middle of a step, and one goes on alone from the checkpoint.
    """

    config: RunConfig
    play: Play = "whole"


def dataset_of(folder: Path) -> ImageDataset:
    images_NCHW, labels_N = np.load(folder / "images.npy"), np.load(folder / "labels.npy")
    train_index_N, heldout_index_N = heldout_split(len(images_NCHW), 60)
    return ImageDataset(
        name="tiny", image_shape=(1, 8, 8), num_classes=3, class_names=("across", "down", "square"),
        images=ResidentImages(images_NCHW), labels_N=torch.from_numpy(labels_N), train_index_N=train_index_N,
        heldout_index_N=heldout_index_N, content_digest="0" * 64,
    )  # fmt: skip


class Course:
    """What a training said, as arrays: a row of numbers a step, the held-out terms, how it ended."""

    def __init__(self) -> None:
        self.rows: dict[int, np.ndarray] = {}
        self.heldout: dict[int, list[float]] = {}
        self.kl_D: np.ndarray | None = None
        self.num_processes = 0
        self.end = ""

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.num_processes = event.num_processes
            case MetricsChunk():
                self.rows |= dict(zip(event.steps.tolist(), event.values, strict=True))
                self.kl_D = event.kl_D
            case Validated():
                self.heldout[event.step] = list(event.terms.values())
            case Finished():
                self.end = event.reason

    def arrays(self, trainer: Trainer) -> dict[str, np.ndarray]:
        found = {
            "steps": np.array(sorted(self.rows)),
            "rows": np.stack([self.rows[step] for step in sorted(self.rows)]),
            "heldout": np.array([self.heldout[step] for step in sorted(self.heldout)]),
            "num_processes": np.array(self.num_processes),
            "end": np.array(self.end),
        }
        if self.kl_D is not None:
            found["kl_D"] = self.kl_D
        snapshot = trainer.snapshot()
        if snapshot.codes_ND is not None:
            found["codes"] = snapshot.codes_ND.numpy()
        return found | weights_of(trainer)


def weights_of(trainer: Trainer) -> dict[str, np.ndarray]:
    return {f"weight {name}": value.numpy() for name, value in trainer.model.state_dict().items()}


def play(case: Case, dataset: ImageDataset, processes: Processes) -> dict[str, np.ndarray]:
    """What came of it; with the only process, what should."""
    course = Course()
    if case.play == "continued" and processes.are_several:
        alone = Trainer(case.config, dataset)
        state = after_steps(alone, LAST_STEP, course)
        trainer = Trainer(case.config, dataset, processes=processes)
        trainer.restore(state)
        run(trainer, course)
    elif case.play == "lost" and processes.are_several:
        saved = lost(Trainer(case.config, dataset, processes=processes), course)
        assert saved.progress["step"] == LAST_STEP
        trainer = Trainer(case.config, dataset)
        trainer.restore(saved)
        run(trainer, course)
    else:
        trainer = Trainer(case.config, dataset, processes=processes)
        if case.play == "steered":
            steered(trainer, course)
        else:
            run(trainer, course)
    return course.arrays(trainer)


def run(trainer: Trainer, course: Course) -> None:
    for event in trainer.run(Control()):
        course.take(event)


def after_steps(trainer: Trainer, number: int, course: Course) -> TrainingState:
    control = Control()
    control.pause()
    for event in trainer.run(control):
        course.take(event)
        if isinstance(event, Paused | MetricsChunk):
            if trainer.num_steps == number:
                break
            control.step_once()
    state = trainer.state()
    assert state is not None
    return state


def steered(trainer: Trainer, course: Course) -> None:
    """Rest at once, take five steps one by one, change both live settings, and stop at `LAST_STEP`."""
    control = Control()
    control.pause()
    for event in trainer.run(control):
        course.take(event)
        if not isinstance(event, Paused | MetricsChunk):
            continue
        if trainer.num_steps == 5:
            control.change("model.beta", 0.3)
            control.change("training.learning_rate", 3e-3)
        if trainer.num_steps == LAST_STEP:
            control.stop()
        control.step_once()


def lost(trainer: Trainer, course: Course) -> TrainingState:
    """The state that is handed over when another process was lost."""
    saved = None
    try:
        for event in trainer.run(Control()):
            course.take(event)
            if isinstance(event, CheckpointDue):
                saved = event.state
    except LostProcessError as error:
        assert error.message == f"Another process of this run has not answered for {PATIENCE} seconds."
        assert saved is not None
        return saved
    raise AssertionError("nobody was lost")


class HangingStep(SharedStep):
    """Stops its process after `LAST_STEP` steps, in the middle of the next, when all else is done."""

    num_steps = 0

    def of_whole_batch(self, objective):
        if self.num_steps == LAST_STEP:
            os.kill(os.getpid(), signal.SIGSTOP)
        self.num_steps += 1
        return super().of_whole_batch(objective)


def take_part(folder: Path, processes: Processes) -> None:
    torch.set_num_threads(1)
    dataset = dataset_of(folder)
    for number, told in enumerate(json.loads((folder / "cases.json").read_text(encoding="utf-8"))):
        case = Case(run_config_from_table(told["config"], "a test"), told["play"])
        if processes.is_first:
            found = play(case, dataset, processes)
        else:
            config, state = read_opening(processes.receive())
            assert config == case.config
            trainer = Trainer(config, dataset, processes=processes)
            if case.play == "lost":
                trainer.step.__class__ = HangingStep
            follow(trainer, state)
            found = weights_of(trainer)
        np.savez(folder / f"{number}-{processes.rank}.npz", **found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(port: int, rank: int, num: int) -> dict[str, str]:
    """What torchrun would say to a process on this machine."""
    told = {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "LOCAL_WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port, "OMP_NUM_THREADS": 1, "PYTHONPATH": ROOT, "VAE_EXPLORER_PATIENCE": PATIENCE,
    }  # fmt: skip
    return os.environ | {name: str(value) for name, value in told.items()}


def play_in_processes(
    folder: Path, cases: Sequence[Case], images: tuple[np.ndarray, np.ndarray], num: int = 2
) -> tuple[list[list[Mapping[str, np.ndarray]]], list[int]]:
    """What came of each case in each process that lived to tell, and the exit statuses; the first outlives the others
    where the last case is `lost`.
    """
    np.save(folder / "images.npy", images[0])
    np.save(folder / "labels.npy", images[1])
    told = [{"config": run_config_to_table(case.config), "play": case.play} for case in cases]
    (folder / "cases.json").write_text(json.dumps(told), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "tests.training.process_cases", str(folder)]
    children = [
        subprocess.Popen(command, cwd=ROOT, env=environment(port, rank, num), stderr=subprocess.PIPE, text=True)
        for rank in range(num)
    ]
    try:
        _, error = children[0].communicate(timeout=120)
        if cases[-1].play != "lost":
            for child in children[1:]:
                child.wait(timeout=60)
    finally:
        for child in children:
            child.kill()
    for child in children[1:]:
        child.communicate()
    statuses = [child.returncode for child in children]
    assert statuses[0] == 0, error
    found = []
    for number in range(len(cases)):
        files = [folder / f"{number}-{rank}.npz" for rank in range(num)]
        found.append([dict(np.load(file)) for file in files if file.exists()])
    return found, statuses


if __name__ == "__main__":
    with joined() as these:
        take_part(Path(sys.argv[1]), these)
