from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.cli.tiny_command import TINY, error_lines
from tests.tiny_runs import tiny_config
from vae_explorer import cli
from vae_explorer.export.course import Stage, course_of
from vae_explorer.runs.checkpoint import MODEL_FILE, TRAINING_STATE_FILE, read_checkpoint, write_checkpoint
from vae_explorer.runs.history import read_events, read_metrics
from vae_explorer.runs.run_directory import Parent, RunDirectory
from vae_explorer.runs.writer_lock import is_broken_off


def last_tensors(path: Path) -> dict[str, torch.Tensor]:
    newest = RunDirectory.open(path).newest_checkpoint()
    assert newest is not None
    return safetensors.torch.load_file(newest / MODEL_FILE) | safetensors.torch.load_file(newest / TRAINING_STATE_FILE)


def assert_equal_runs(one: Path, other: Path) -> None:
    first, second = last_tensors(one), last_tensors(other)
    assert set(first) == set(second)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_a_longer_run_is_the_same_whether_it_was_asked_for_at_once_or_continued(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    words = ["train", *TINY, "--set", "training.learning_rate_schedule=constant"]
    assert cli.main([*words, "--epochs", "5", "--run-dir", str(whole)]) == 0
    assert cli.main([*words, "--epochs", "2", "--run-dir", str(parts)]) == 0
    assert cli.main(["train", "--resume", "--run-dir", str(parts), "--epochs", "5"]) == 0
    assert_equal_runs(whole, parts)
    assert RunDirectory.open(parts).config.training.epochs == 5
    assert [event["step"] for event in read_events(RunDirectory.open(parts)) if event["event"] == "started"] == [0, 16]


def test_a_run_stops_after_a_step_and_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    change = ["--at-step", "11", "model.beta=3"]
    assert cli.main(["train", *TINY, *change, "--run-dir", str(whole)]) == 0
    assert cli.main(["train", *TINY, *change, "--until-step", "7", "--run-dir", str(parts)]) == 0
    run = RunDirectory.open(parts)
    assert (read_events(run)[-1]["step"], read_events(run)[-1]["reason"]) == (7, "stopped")
    assert cli.main(["train", "--resume", *change, "--run-dir", str(parts)]) == 0
    assert_equal_runs(whole, parts)
    marks = [event for event in read_events(run) if event["event"] == "setting_changed"]
    assert [(mark["step"], mark["path"], mark["new"]) for mark in marks] == [(11, "model.beta", 3.0)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--until-step", "7"], ["Step 7 is past: training goes on from step 16.", "Give --until-step a larger"]),
        (["--at-step", "7", "model.beta=1"], ["Step 7 is past: training goes on from step 16.", "Give --at-step"]),
        (
            ["--at-step", "24", "model.beta=1"],
            ["Step 24 is never reached: all epochs together are 24 steps.", "Give a"],
        ),
        (["--until-step", "25"], ["Step 25 is never reached: all epochs together are 24 steps.", "Give a smaller"]),
        (["--at-step", "x", "model.beta=1"], ["'x' is no step.", "Write it as --at-step 2000 model.beta=4."]),
        (
            ["--at-step", "20", "training.batch_size=9"],
            [
                "training.batch_size cannot change while a run is trained.",
                "What can: model.beta, training.learning_rate.",
            ],
        ),
        (["--at-step", "20", "model.bta=1"], ["There is no setting 'model.bta'.", "Did you mean 'model.beta'?"]),
        (["--at-step", "20", "model.beta"], ["'model.beta' sets nothing.", "Write it as section.key=value"]),
        (["--at-step", "20", "model.beta=-1"], ["model.beta cannot be -1.", "Beta takes 0 to"]),
    ],
)
@pytest.mark.parametrize("begins", [["--resume"], ["--fork"]])
def test_what_is_planned_wrongly_is_said_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: list[str], begins: list[str]
) -> None:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 0
    before = (tmp_path / "run" / "events.jsonl").read_bytes()
    capsys.readouterr()
    where = [str(tmp_path / "run"), "--run-dir", str(tmp_path / "child")] if begins == ["--fork"] else [
        "--run-dir", str(tmp_path / "run")
    ]  # fmt: skip
    status = cli.main(["train", *begins, *where, "--epochs", "3", *words])
    assert status in {1, 2}
    lines = error_lines(capsys)
    assert len(lines) == 2
    assert all(line.startswith(text) for line, text in zip(lines, said, strict=True))
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == before
    assert not (tmp_path / "child").exists()


RESUME = ["train", "--resume", "--epochs", "3", "--run-dir"]


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_run_whose_checkpoints_are_gone_is_not_trained_anew(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "checkpoints")
    before = contents(run)
    assert cli.main([*RESUME, str(run)]) == 1
    first, second = error_lines(capsys)
    assert first == "run had a checkpoint of step 16, and its folder holds none any more."
    assert second == "Bring its folder checkpoints back, or train a new run."
    assert contents(run) == before


@pytest.mark.parametrize("what", ["is damaged", "is gone"])
def test_going_on_from_an_older_checkpoint_is_said(run: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    directory = RunDirectory.open(run)
    newest = directory.checkpoints()[-1]
    whole = read_checkpoint(newest).state
    write_checkpoint(directory, dataclasses.replace(whole, progress={**whole.progress, "step": 9, "epoch": 1.1}))
    if what == "is gone":
        shutil.rmtree(newest)
    else:
        (newest / "model.safetensors").write_bytes(b"damaged")
    assert cli.main([*RESUME, str(run), "--until-step", "12"]) == 0
    first, second = error_lines(capsys)
    assert first == f"The checkpoint of step 16 {what}; the newest that is whole is of step 9."
    assert second == "The run goes on from there; what came after is trained again."


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["metrics.csv", "events.jsonl"])
def test_lines_are_added_to_no_pipe(run: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    assert cli.main([*RESUME, str(run)]) == 1
    first, second = error_lines(capsys)
    assert first == f"{run / name} is not a plain file."
    assert second == "Bring the file back, or move it away: its lines then begin anew."
    child = ["train", "--fork", str(run), "--epochs", "3", "--run-dir", str(run.parent / "child")]
    assert cli.main(child) == 1
    assert "is not a plain file." in error_lines(capsys)[0]


def test_lines_are_added_to_no_file_of_something_else(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "metrics.csv").write_bytes(bytes(range(256)) * 100 + b"\n")
    before = contents(run)
    assert cli.main([*RESUME, str(run)]) == 1
    assert error_lines(capsys)[0] == f"{run / 'metrics.csv'} is not as VAE Explorer wrote it."
    assert contents(run) == before
    (run / "metrics.csv").unlink()
    assert cli.main([*RESUME, str(run)]) == 0


def test_fewer_epochs_than_are_trained_are_told_as_they_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", "--epochs", "1", "--run-dir", str(run)]) == 1
    assert error_lines(capsys)[0] == "run is trained to its end: 2 epochs."


def test_a_fork_goes_on_with_what_was_changed_by_hand(tmp_path: Path) -> None:
    words = ["--at-step", "9", "model.beta=3", "--at-step", "10", "training.learning_rate=0.002"]
    assert cli.main(["train", *TINY, *words, "--run-dir", str(tmp_path / "run")]) == 0
    fork = ["train", "--fork", str(tmp_path / "run"), "--epochs", "3"]
    assert cli.main([*fork, "--run-dir", str(tmp_path / "as-it-was")]) == 0
    assert cli.main([*fork, "--beta", "2", "--run-dir", str(tmp_path / "other")]) == 0
    found = [RunDirectory.open(tmp_path / name).config for name in ("as-it-was", "other")]
    assert [config.model.beta for config in found] == [3.0, 2.0]
    assert [config.training.learning_rate for config in found] == [0.002, 0.002]


def test_a_child_that_was_killed_before_it_had_its_parents_checkpoint_is_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RunDirectory.create(tiny_config(), tmp_path / "child", Parent("run", 16))
    assert cli.main(["train", "--resume", "--run-dir", str(tmp_path / "child")]) == 1
    first, second = error_lines(capsys)
    assert first == "child is a child of run that has no checkpoint to go on from."
    assert second.startswith("Fork its parent again")
    assert not (tmp_path / "child" / "events.jsonl").exists()


def test_a_fork_with_other_batches_knows_its_steps_and_is_trained_again_by_its_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 0
    where = ["--fork", str(tmp_path / "run"), "--run-dir", str(tmp_path / "child")]
    capsys.readouterr()
    assert cli.main(["train", *where, "--epochs", "4", "--batch-size", "70"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch ")] == ["epoch 3/4", "epoch 4/4"]
    events = read_events(RunDirectory.open(tmp_path / "child"))
    (begun,) = (event for event in events if event["event"] == "started")
    assert (begun["step"], begun["total_steps"]) == (16, 16 + 2 * 3)
    assert events[-1]["step"] == begun["total_steps"]
    course = course_of(events, tiny_config(), 22)
    assert (course.num_left_out, course.stages) == (0, (Stage(16, 22, 4, 1, True),))


def test_a_fork_that_would_have_nothing_to_train_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    child = ["--run-dir", str(tmp_path / "child")]
    assert cli.main(["train", "--fork", str(tmp_path / "run"), "--beta", "4", *child]) == 1
    first, second = error_lines(capsys)
    assert first == "A fork of run from step 16 has nothing to train: that is the end of 2 epochs."
    assert "--epochs" in second
    assert not (tmp_path / "child").exists()
    assert cli.main(["train", "--fork", str(tmp_path / "run"), "--beta", "4", "--epochs", "3", *child]) == 0


def test_a_fork_goes_on_from_the_nearest_checkpoint_with_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    assert cli.main(["train", *TINY, "--run-dir", str(parent)]) == 0
    before = (parent / "metrics.csv").read_bytes()
    words = ["train", "--fork", str(parent), "--from-step", "9", "--epochs", "4", "--beta", "3"]
    assert cli.main([*words, "--run-dir", str(child)]) == 0
    run = RunDirectory.open(child)
    assert run.parent is not None
    assert (run.parent.name, run.parent.step) == ("parent", 16)
    assert run.config.model.beta == 3.0
    assert run.config.training.batch_size == 25, "what is not said stays the parent's"
    assert (child / "metrics.csv").read_bytes().startswith(before)
    train, of_parent = read_metrics(run).of("train"), read_metrics(RunDirectory.open(parent)).of("train")
    # While beta is warmed up it grows with the images seen: three times as fast in the child.
    per_image = [float(rows["beta"][-1] / rows["images_seen"][-1]) for rows in (of_parent, train)]
    assert per_image[1] == pytest.approx(3 * per_image[0], rel=0.05)
    assert int(run.checkpoints()[-1].name) == 32
    capsys.readouterr()
    for arguments, status, what in (
        (["--fork", str(parent), "--preset", "tutorial"], 2, "A fork begins with its parent's settings."),
        (["--from-step", "3"], 2, "--from-step does not say of which run."),
        (["--fork", str(parent), "--latent-dim", "7"], 1, "do not fit the changed settings"),
        (["--fork", str(parent), "--protocol", "grey"], 1, "the same data"),
    ):
        assert cli.main(["train", *arguments]) == status
        assert what in error_lines(capsys)[0]


MNIST = [
    "--dataset", "mnist", "--protocol", "dynamic", "--epochs", "3", "--batch-size", "500", "--device", "cpu",
    "--precision", "float32", "--set", "model.hidden_widths=64", "--set", "training.num_threads=1",
    "--set", "recording.checkpoint_interval_seconds=0.2",
]  # fmt: skip


def killed_in_training(path: Path, after_checkpoints: int) -> None:
    """Train in another process and end it with SIGKILL once it has written so many checkpoints."""
    words = ["train", *MNIST, "--run-dir", str(path), "--json"]
    with subprocess.Popen([sys.executable, "-m", "vae_explorer", *words], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        written = (line for line in child.stdout if json.loads(line)["event"] == "checkpoint_written")
        assert len(list(islice(written, after_checkpoints))) == after_checkpoints
        child.send_signal(signal.SIGKILL)


def test_a_run_that_was_killed_ends_as_one_that_never_was(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    killed_in_training(killed, 2)
    run = RunDirectory.open(killed)
    assert is_broken_off(killed)
    assert read_events(run)[-1]["event"] != "finished"
    assert cli.main(["train", *MNIST, "--run-dir", str(whole)]) == 0
    assert cli.main(["train", "--resume", "--run-dir", str(killed)]) == 0
    assert_equal_runs(whole, killed)
    steps = read_metrics(run).of("train")["step"]
    assert (steps[1:] > steps[:-1]).all()
    assert not is_broken_off(killed)


def test_a_run_without_checkpoint_begins_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 0
    before = last_tensors(path)
    run = RunDirectory.open(path)
    for checkpoint in run.checkpoints():
        for file in checkpoint.iterdir():
            file.unlink()
        checkpoint.rmdir()
    lines = run.events_file.read_text(encoding="utf-8").splitlines(keepends=True)
    early = [line for line in lines if "checkpoint_written" not in line and "finished" not in line]
    run.events_file.write_text("".join(early), encoding="utf-8")  # as if it had been killed before the first
    capsys.readouterr()
    assert cli.main(["train", "--resume", "--run-dir", str(path), "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["event"], first["step"]) == ("started", 0)
    after = last_tensors(path)
    assert all(torch.equal(before[name], after[name]) for name in before)
    steps = read_metrics(run).of("train")["step"]
    assert (steps[1:] > steps[:-1]).all(), "the rows of the first attempt are gone"


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (["--resume"], 2, "--resume does not say which run."),
        (["--resume", "--run-dir", "RUN", "--beta", "4"], 2, "A run is continued with its own settings."),
        (["--resume", "--run-dir", "RUN", "--set", "model.beta=4"], 2, "A run is continued with its own settings."),
        (["--resume", "--run-dir", "RUN"], 1, "RUN is trained to its end: 2 epochs."),
        (["--resume", "--run-dir", "RUN", "--epochs", "no"], 1, "training.epochs"),
        (["--resume", "--run-dir", "nowhere"], 1, "There is no file"),
    ],
)
def test_what_cannot_be_continued_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], status: int, what: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *TINY, "--run-dir", "RUN"]) == 0
    capsys.readouterr()
    assert cli.main(["train", *arguments]) == status
    said, hint = error_lines(capsys)
    assert what in said
    assert hint
