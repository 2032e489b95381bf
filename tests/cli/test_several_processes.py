"""`torchrun ... -m vae_explorer train`: real processes, real losses, real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.cli.tiny_command import error_lines, wait_for
from tests.training.process_cases import ROOT, free_port
from vae_explorer import cli
from vae_explorer.config import read_toml
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.processes import LostProcessError, Processes

SMALL = [
    "--dataset", "two-moons", "--set", "model.hidden_widths=16", "--set", "training.num_threads=1", "--device", "cpu",
    "--precision", "float32", "--set", "data.heldout_images=1000", "--batch-size", "1024", "--epochs", "4",
    "--set", "training.validation_interval_images=4000", "--set", "training.learning_rate_schedule=constant",
]  # fmt: skip
ENDLESS = ["--epochs", "5000", "--set", "recording.checkpoint_interval_seconds=1000"]


@contextmanager
def torchrun(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`train` with two processes of this machine."""
    options = ["--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "vae_explorer", "train", "--json", *words]
    told = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment = psutil.Process().environ() | told
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as child:
        processes = []
        try:
            yield child
        finally:
            if child.poll() is None:
                processes = psutil.Process(child.pid).children(recursive=True)
            for process in (*processes, child):
                process.kill()


def process_of(child: subprocess.Popen[str], rank: int) -> psutil.Process:
    return next(process for process in psutil.Process(child.pid).children() if process.environ()["RANK"] == str(rank))


@pytest.mark.slow
def test_two_processes_leave_the_run_that_one_would_and_one_goes_on_with_it(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    with torchrun(*SMALL, "--run-dir", str(together)) as child:
        out, err = child.communicate(timeout=200)
    assert child.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["num_processes"] == 2
    assert [event["event"] for event in events].count("finished") == 1, "one process tells"
    assert events[-1]["reason"] == "completed"
    assert cli.main(["train", *SMALL, "--run-dir", str(alone)]) == 0
    runs = [RunDirectory.open(path) for path in (together, alone)]
    both, one = (read_metrics(run).of("heldout") for run in runs)
    assert len(one["step"]) >= 10
    for name in ("step", "elbo", "reconstruction", "kl"):
        np.testing.assert_allclose(both[name], one[name], rtol=1e-4, err_msg=name)
    assert read_toml(together / "run.toml")["environment"]["num_processes"] == 2
    assert not (together / LOCK_FILE).exists()
    for path in (together, alone):
        assert cli.main(["train", "--resume", "--run-dir", str(path), "--epochs", "5"]) == 0
    both, one = (read_metrics(run).of("heldout") for run in runs)
    np.testing.assert_allclose(both["elbo"], one["elbo"], rtol=1e-4)


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with torchrun(*SMALL, *ENDLESS, "--run-dir", str(path)) as child:
        wait_for(child, "metrics", 2)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=25)
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["reason"]) == ("finished", "stopped"), err
    assert "Another process" not in err
    run = RunDirectory.open(path)
    assert read_checkpoint(run.checkpoints()[-1]).step == last["step"]
    assert read_events(run)[-1]["event"] == "finished"


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run_with_a_sentence_and_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with torchrun(*SMALL, *ENDLESS, "--run-dir", str(path)) as child:
        seen = wait_for(child, "metrics", 3)["step"]
        first, second = process_of(child, 0), process_of(child, 1)
        begin = time.monotonic()
        second.kill()
        first.wait(timeout=60)
        seconds = time.monotonic() - begin
        _, err = child.communicate(timeout=25)
    assert seconds < 30
    assert child.returncode == 1
    lines = err.splitlines()
    what = "Another process of this run was lost."
    hint = lines[lines.index(what) + 1]
    assert hint.startswith("See in the report of torchrun which one it was")
    assert "exitcode  : 1 " in err, "the first process's own"
    run = RunDirectory.open(path)
    *_, written, last = read_events(run)
    assert (last["event"], last["message"]) == ("error", f"{what} {hint}")
    assert written["event"] == "checkpoint_written"
    assert read_checkpoint(run.checkpoints()[-1]).step == written["step"] == last["step"] >= seen
    assert read_metrics(run).of("train")["step"][-1] == last["step"]
    assert not (path / LOCK_FILE).exists()


@pytest.mark.slow
def test_when_the_first_process_dies_another_says_so_and_the_run_goes_on_from_its_last_checkpoint(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run"
    often = [*ENDLESS[:2], "--set", "recording.checkpoint_interval_seconds=0.1"]
    with torchrun(*SMALL, *often, "--run-dir", str(path)) as child:
        wait_for(child, "checkpoint_written", 1)
        process_of(child, 0).kill()
        _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    lines = err.splitlines()
    hint = lines[lines.index("Another process of this run was lost.") + 1]
    assert hint.startswith("See in the report of torchrun which one it was")
    saved = read_checkpoint(RunDirectory.open(path).checkpoints()[-1]).step
    more = ["--until-step", str(saved + 5)]
    assert cli.main(["train", "--resume", "--run-dir", str(path), *more]) == 0
    assert read_checkpoint(RunDirectory.open(path).checkpoints()[-1]).step == saved + 5


def among_two(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """As if torchrun had started this process and another."""

    @contextmanager
    def joined() -> Iterator[Processes]:
        yield Processes(rank=rank, num=2)

    monkeypatch.setattr("vae_explorer.training.processes.joined", joined)


def test_what_cannot_be_shared_is_told_before_there_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    among_two(monkeypatch, 0)
    assert cli.main(["train", "--model", "pca", "--run-dir", str(tmp_path / "run")]) == 1
    first, second = error_lines(capsys)
    assert first.startswith("The model “PCA” is worked out from all images at once")
    assert second == "It takes seconds to minutes: train it in one process, without torchrun."
    assert not (tmp_path / "run").exists()


def test_the_others_leave_the_telling_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody_sends(self: Processes) -> bytes:
        raise LostProcessError("the first has ended")

    among_two(monkeypatch, 1)
    monkeypatch.setattr(Processes, "receive", nobody_sends)
    assert cli.main(["train", "--run-dir", str(tmp_path / "run")]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    assert not (tmp_path / "run").exists()
