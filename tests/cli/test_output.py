"""Output that nobody can take: `/dev/full` fails as a full disk does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import cli, cli_training_report
from vae_explorer.cli_output import OutputError
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.writer_lock import LOCK_FILE

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def to_a_full_disk(*arguments: str) -> subprocess.CompletedProcess[str]:
    with FULL.open("w") as full:
        return subprocess.run(
            [sys.executable, "-m", "vae_explorer", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip


@needs_full
@pytest.mark.parametrize("arguments", [["models"], ["measures", "--json"], ["--version"], ["train", "--help"]])
def test_lists_and_help_say_one_sentence(arguments: list[str]) -> None:
    child = to_a_full_disk(*arguments)
    assert child.returncode == 1
    first, second = child.stderr.splitlines()
    assert first == "Standard output cannot be written: the disk is full."
    assert second


@needs_full
def test_an_error_of_a_person_is_still_told() -> None:
    child = to_a_full_disk("train", "--preset", "none")
    assert child.returncode == 1
    assert child.stderr.startswith("There is no preset named 'none'.")
    assert len(child.stderr.splitlines()) == 2


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_stream_that_was_closed_before_the_start_is_no_defect(stream: str) -> None:
    child = subprocess.run(
        ["bash", "-c", f'"$0" -m vae_explorer models {stream}', sys.executable], capture_output=True, check=False
    )
    assert (child.returncode, child.stderr) == (0, b"")


@pytest.mark.parametrize("report", ["JsonReport", "TextReport"])
def test_a_training_that_nobody_hears_is_stopped_and_saved(
    report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def say(text: str, **more: object) -> None:
        said.append(text)
        if len(said) == 5:
            raise OutputError("Standard output cannot be written: the disk is full.")

    monkeypatch.setattr(cli_training_report, "say", say)
    json = ["--json"] if report == "JsonReport" else []
    path = tmp_path / "run"
    command = ["train", *TINY, "--epochs", "50000", "--set", "recording.report_interval_seconds=0.01", *json]
    assert cli.main([*command, "--run-dir", str(path)]) == 1
    assert error_lines(capsys) == (
        "Standard output cannot be written: the disk is full.",
        f"The run was stopped and saved in {path}.",
    )
    assert len(said) == 5, "nothing more is said"
    assert read_checkpoint(RunDirectory.open(path).checkpoints()[-1]).step > 0
    assert not (path / LOCK_FILE).exists()


@needs_full
@pytest.mark.slow
def test_training_to_a_full_disk_is_saved(tmp_path: Path) -> None:
    child = to_a_full_disk("train", "--json", "--epochs", "1", "--device", "cpu", "--run-dir", str(tmp_path / "run"))
    assert child.returncode == 1
    assert child.stderr.splitlines()[0] == "Standard output cannot be written: the disk is full."
    assert RunDirectory.open(tmp_path / "run").newest_checkpoint() is not None
