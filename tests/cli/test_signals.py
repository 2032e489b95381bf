"""Real processes, real signals (BARS.md R1 and R12)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, wait_for
from vae_explorer import cli
from vae_explorer.cli_signals import stopping_on_signals
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.ending import Ending
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.resuming import newest_good_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.control import Control

SMALL_AND_LONG = [
    "--epochs", "5000", "--set", "model.hidden_widths=16", "--set", "training.num_threads=1", "--device", "cpu",
    "--set", "data.heldout_images=1000", "--batch-size", "1024",
]  # fmt: skip


@contextmanager
def training(path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "vae_explorer", "train", "--json", *SMALL_AND_LONG, *more, "--run-dir", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("after", [("started", 1), ("metrics", 1), ("metrics", 7)], ids=["start", "first", "later"])
def test_a_signal_saves_and_exits_with_130(tmp_path: Path, number: int, after: tuple[str, int]) -> None:
    path = tmp_path / "run"
    with training(path) as child:
        wait_for(child, *after)
        begin = time.monotonic()
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
        seconds = time.monotonic() - begin
    assert child.returncode == 130
    assert seconds < 5
    assert "Traceback" not in err
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["reason"]) == ("finished", "stopped")
    run = RunDirectory.open(path)
    assert read_checkpoint(run.checkpoints()[-1]).step == last["step"]
    assert read_events(run)[-1]["event"] == "finished"
    assert not (path / LOCK_FILE).exists()


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_hundred_signals_at_random_moments_save_and_exit(tmp_path: Path) -> None:
    """R12; half of them are followed by a second one, after which the program is gone within a second."""
    draw = random.Random(0)
    for number in range(100):
        path, is_repeated = tmp_path / f"run-{number}", number % 2 == 1
        with training(path, "--set", "recording.checkpoint_interval_seconds=0.1") as child:
            wait_for(child, "checkpoint_written")
            time.sleep(draw.uniform(0.0, 1.0))  # the moment is what is drawn
            begin = time.monotonic()
            child.send_signal(draw.choice([signal.SIGINT, signal.SIGTERM]))
            if is_repeated:
                child.send_signal(draw.choice([signal.SIGINT, signal.SIGTERM]))
            out, err = child.communicate(timeout=30)
            seconds = time.monotonic() - begin
        assert child.returncode == 130
        assert seconds < (1 if is_repeated else 5)
        assert "Traceback" not in err
        run = RunDirectory.open(path)
        if not is_repeated:
            assert json.loads(out.splitlines()[-1])["event"] == "finished"
            assert read_checkpoint(run.checkpoints()[-1]).step == read_events(run)[-1]["step"]
        else:
            assert newest_good_checkpoint(run) is not None


@pytest.mark.slow
def test_when_the_reader_of_the_output_leaves_the_run_is_saved(tmp_path: Path) -> None:
    with training(tmp_path / "run") as child:
        wait_for(child, "metrics")
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        child.wait(timeout=30)
        assert child.stderr.read() == ""
    assert child.returncode == 1
    run = RunDirectory.open(tmp_path / "run")
    assert read_checkpoint(run.checkpoints()[-1]).step > 0
    assert read_events(run)[-1]["reason"] == "stopped"


@pytest.mark.slow
def test_a_second_signal_exits_within_a_second_and_the_folder_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with training(path, "--set", "recording.checkpoint_interval_seconds=0.1") as child:
        wait_for(child, "checkpoint_written", 2)
        begin = time.monotonic()
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)
        seconds = time.monotonic() - begin
    assert child.returncode == 130
    assert seconds < 1
    run = RunDirectory.open(path)
    assert read_checkpoint(run.checkpoints()[-1]).step > 0


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", [1, 4, 9])
def test_a_killed_run_keeps_its_newest_checkpoint_and_its_curves(tmp_path: Path, checkpoints: int) -> None:
    path = tmp_path / "run"
    with training(path, "--set", "recording.checkpoint_interval_seconds=0.1") as child:
        wait_for(child, "checkpoint_written", checkpoints)
        told = wait_for(child, "metrics")
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    run = RunDirectory.open(path)
    newest = run.checkpoints()[-1]
    assert read_checkpoint(newest).step == int(newest.name) > 0
    curves = read_metrics(run).of("train")
    assert curves["seconds"][-1] >= told["seconds"] - 1
    assert read_events(run)[0]["event"] == "started"
    with run.writing():
        pass  # the lock of the dead process is no obstacle


def test_the_second_signal_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    control = Control()
    before = signal.getsignal(signal.SIGINT)
    with stopping_on_signals(control.stop) as seen:
        signal.raise_signal(signal.SIGINT)
        assert control.stopped
        assert left == []
        signal.raise_signal(signal.SIGTERM)
        assert left == [130]
        assert seen == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("module", ["argparse", "torch._utils_internal"], ids=["at the start", "while torch loads"])
def test_a_signal_before_there_is_anything_to_save_leaves_at_once_and_no_folder(
    tmp_path: Path, number: int, module: str
) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-X", "importtime", "-m", "vae_explorer", "train", *SMALL_AND_LONG]
    with subprocess.Popen([*command, "--run-dir", str(path)], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:  # a line for each module as it is there
            if line.endswith(f" {module}\n"):
                break
        begin = time.monotonic()
        child.send_signal(number)
        _, err = child.communicate(timeout=30)
        seconds = time.monotonic() - begin
    assert child.returncode == 130
    assert seconds < 2
    assert "Traceback" not in err
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_after_the_last_line_exits_with_130(tmp_path: Path, number: int) -> None:
    with training(tmp_path / "run", "--epochs", "1") as child:
        wait_for(child, "finished")
        child.send_signal(number)
        child.communicate(timeout=30)
    assert child.returncode == 130


@pytest.mark.parametrize(("word", "status"), [("models", 0), ("nonsense", 2), ("--no-such", 2)])
def test_the_program_ends_in_its_last_exit_function(word: str, status: int) -> None:
    """Signals are ours until then; while Python takes its modules apart they would not be."""
    code = (
        "import atexit, os, sys\n"
        "from vae_explorer import cli\n"
        "class Late:\n"
        "    def __del__(self): os.write(1, b'taken apart')\n"
        "late = Late()\n"
        f"sys.argv = ['vae-explorer', {word!r}]\n"
        "status = cli.main()\n"
        "atexit.register(os.write, 1, b'an exit function of somebody else')\n"
        "sys.exit(status)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert child.returncode == status
    assert "exit function of somebody else" in child.stdout
    assert "taken apart" not in child.stdout


def test_a_signal_in_the_last_moment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*args: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Ending, "raise_if_bad", end)
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 130
    assert RunDirectory.open(tmp_path / "run").newest_checkpoint() is not None
