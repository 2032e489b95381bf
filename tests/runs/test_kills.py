"""R1 and R2: a run that is killed at any moment leaves a checkpoint that loads, curves that are whole, and an offer.

The processes are forked from one that has loaded torch already, so that twenty kills take seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.conftest import Times
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.export.exportables import export
from vae_explorer.runs.broken_off import broken_off_runs
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.files import TEMPORARY_PREFIX
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.recorder import record
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import RunConfig, with_value

INTERVAL = 0.1
EXPORTED = {
    "model": "model.safetensors",
    "metrics": "metrics.csv",
    "encoder": "encoder.safetensors",
    "recipe": "recipe",
}


def killed_config() -> RunConfig:
    config = tiny_config(epochs=100_000)
    return with_value(config, "recording.checkpoint_interval_seconds", INTERVAL)


def train_until_killed(path: Path, images: tuple[np.ndarray, np.ndarray], begun: Connection) -> None:
    """In the child: goes on until it is killed; tells when the first event is recorded."""
    from tests.tiny_runs import register_tiny

    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch, images)
        run = RunDirectory.create(killed_config(), path)
        with contextlib.closing(record(make_trainer(run.config).run(Control()), run)) as events:
            for number, _ in enumerate(events):
                if number == 0:
                    begun.send(True)


@pytest.fixture(scope="module")
def forking() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "tests.tiny_runs", "vae_explorer.runs.recorder", "vae_explorer.export.network_files"]
    )
    return context


def test_kills_at_random_moments_leave_what_can_be_continued(
    tmp_path: Path, forking: ForkServerContext, tiny_images: tuple[np.ndarray, np.ndarray], times: Times
) -> None:
    draw = random.Random(1)
    for number in range(times(20, 500)):
        path = tmp_path / f"run-{number}"
        begun, told = forking.Pipe(duplex=False)
        process = forking.Process(target=train_until_killed, args=(path, tiny_images, told))
        process.start()
        assert begun.poll(60)
        time.sleep(draw.uniform(0.0, 0.6))  # the moment is what is drawn
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        killed_at = time.time()
        process.join()
        run = RunDirectory.open(path)
        for checkpoint in run.checkpoints():
            read_checkpoint(checkpoint)
        metrics, lines = read_metrics(run), read_events(run)
        assert lines[0]["event"] == "started"
        steps = metrics.of("train").get("step", np.empty(0))
        assert (np.diff(steps) > 0).all()
        if len(steps):
            # R2: of the curves at most a second is lost, as the file's last change tells.
            assert killed_at - run.metrics_file.stat().st_mtime < 1.0
        newest = newest_good_checkpoint(run)
        if newest is not None and len(steps):
            behind = metrics.of("train")["seconds"][steps > newest.step]
            # R2: of the training at most the interval, and what one checkpoint takes to be written.
            assert len(behind) == 0 or behind[-1] - float(newest.state.progress["seconds"]) < INTERVAL + 1.0
        assert [found.path for found in broken_off_runs(tmp_path)][:1] == [path]
        last_step = continued(run, tiny_images)
        assert last_step > (0 if newest is None else newest.step)


def export_until_killed(path: Path, out: Path, images: tuple[np.ndarray, np.ndarray], begun: Connection) -> None:
    """In the child: writes the same files over and over until it is killed; tells when all are there once."""
    from tests.tiny_runs import register_tiny

    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch, images)
        for number in itertools.count():
            for what, name in EXPORTED.items():
                folder = out / name
                if folder.suffix == "":
                    shutil.rmtree(folder, ignore_errors=True)  # a folder is never written over
                export(what, path, folder)
            if number == 0:
                begun.send(True)


def test_kills_inside_exports_leave_whole_files_and_the_run_as_it_was(
    tmp_path: Path, forking: ForkServerContext, tiny_images: tuple[np.ndarray, np.ndarray], times: Times
) -> None:
    draw, out = random.Random(2), tmp_path / "out"
    run, _ = train_tiny(tmp_path / "run")
    of_run = contents_of(run.path)
    whole: dict[str, object] = {}
    num_cut = 0
    for _ in range(times(20, 500)):
        begun, told = forking.Pipe(duplex=False)
        process = forking.Process(target=export_until_killed, args=(run.path, out, tiny_images, told))
        process.start()
        assert begun.poll(60)
        whole = whole or contents_of(out)
        time.sleep(draw.uniform(0.0, 0.1))  # the moment is what is drawn
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        found = contents_of(out)
        missing = whole.keys() - found.keys()
        assert missing <= {name for name in whole if name.startswith("recipe/")}
        assert found == {name: content for name, content in whole.items() if name not in missing}
        num_cut += any(TEMPORARY_PREFIX in path.name for path in out.rglob("*"))
        assert contents_of(run.path) == of_run
        assert read_checkpoint(run.checkpoints()[-1]).step == 16
    assert num_cut > 0, "some kills hit a file that was being written"


def contents_of(folder: Path) -> dict[str, object]:
    """What is in the files that have their names; of weights the tensors, since their order in the file is not set."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    named = (path for path in paths if not any(TEMPORARY_PREFIX in part for part in path.parts))
    return {str(path): _content(folder / path) for path in named}


def _content(path: Path) -> object:
    if path.suffix != ".safetensors":
        return path.read_bytes()
    return {name: values.tobytes() for name, values in safetensors.numpy.load_file(path).items()}


def continued(run: RunDirectory, images: tuple[np.ndarray, np.ndarray]) -> int:
    """Continue the run for two events after its start and stop; the last step."""
    from tests.tiny_runs import register_tiny

    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch, images)
        trainer, control = make_trainer(run.config), Control()
        if (checkpoint := newest_good_checkpoint(run)) is not None:
            trainer.restore(checkpoint.state)
        with contextlib.closing(record(trainer.run(control), run)) as events:
            for number, _ in enumerate(events):
                if number == 2:
                    control.stop()
    steps = read_metrics(run).of("train")["step"]
    assert (np.diff(steps) > 0).all()
    return int(steps[-1])
