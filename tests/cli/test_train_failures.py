from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.cli.tiny_command import TINY, error_lines
from tests.runs.failing_calls import fail_call, mend
from vae_explorer import __version__, cli
from vae_explorer.errors import MachineError
from vae_explorer.runs.checkpoint import read_checkpoint
from vae_explorer.runs.run_directory import RunDirectory


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--preset", "tutorail"], "There is no preset named 'tutorail'.", "Did you mean 'tutorial'?"),
        (["--dataset", "mnits"], "data.dataset cannot be 'mnits'.", "Did you mean 'mnist'?"),
        (["--model", "veo"], "model.name cannot be 'veo'.", "Did you mean 'vae'?"),
        (["--protocol", "gray"], "data.protocol cannot be 'gray'.", "Did you mean 'grey'?"),
        (["--device", "cup"], "training.device cannot be 'cup'.", "Did you mean 'cpu'?"),
        (["--precision", "float16"], "training.precision cannot be 'float16'.", "Did you mean 'bfloat16'?"),
        (["--epochs", "0"], "training.epochs cannot be 0.", "Epochs takes 1 to 100,000."),
        (["--epochs", "ten"], "training.epochs cannot be 'ten'.", "Epochs takes a whole number."),
        (["--learning-rate", "nan"], "training.learning_rate cannot be nan.", "Learning rate takes"),
        (["--set", "trainig.epochs=3"], "There is no setting 'trainig.epochs'.", "Did you mean 'training.epochs'?"),
        (["--set", "training.epochs"], "'training.epochs' sets nothing.", "Write it as section.key=value"),
        (["--set", "data.heldout_images=240"], "240 images cannot be held out of 240.", "Choose a number from"),
        (
            ["--model", "ppca", "--learning-rate", "0.1"],
            "Probabilistic PCA is not trained by gradients: training.learning_rate would do nothing.",
            "Leave it out.",
        ),
        (["--config", "/nowhere/config.toml"], "There is no file /nowhere/config.toml.", "Check the path"),
    ],
)
def test_a_persons_error_is_two_lines_and_status_1(
    arguments: list[str], what: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--dataset", "tiny", "--set", "data.heldout_images=40", *arguments]) == 1
    first, second = error_lines(capsys)
    assert first.startswith(what)
    assert second.startswith(hint)


def test_a_wrong_configuration_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nlearningrate = 3\n", encoding="utf-8")
    assert cli.main(["train", "--config", str(file)]) == 1
    first, second = error_lines(capsys)
    assert str(file) in first
    assert "training.learningrate" in first
    assert second == "Did you mean 'learning_rate'?"


def test_a_folder_that_cannot_be_used_is_told_before_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run.parent / "file").touch()
    for path, words in (
        (run, "holds a run already"), (run / "run.toml" / "deeper", "lies in the folder of the run run"),
        (run.parent / "file" / "deeper", "a part of the path is a file"),
    ):  # fmt: skip
        assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 1
        assert words in error_lines(capsys)[0]


def test_a_disk_that_fills_up_is_told_and_training_ends_with_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RunDirectory.create

    def create(*args: object) -> RunDirectory:
        made = real(*args)
        fail_call(monkeypatch, 4, for_good=True)  # after the lock: open, write, close
        return made

    monkeypatch.setattr(RunDirectory, "create", create)
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 1
    mend(monkeypatch)
    captured = capsys.readouterr()
    assert "the disk is full.\nTraining goes on. Free some space" in captured.err
    assert captured.err.splitlines()[-2].startswith("The last checkpoint is missing: ")
    assert "Done at step 16" in captured.out, "training went on"
    assert "Next:" not in captured.out, "there is no checkpoint to evaluate"


def test_a_defect_gives_a_report_that_can_be_copied_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vae_explorer.training.trainer import Trainer

    real = Trainer.validate

    def validate(self: Trainer) -> object:
        if any((tmp_path / "run" / "checkpoints").glob("0*")):
            raise ZeroDivisionError("a defect")
        return real(self)

    monkeypatch.setattr(Trainer, "validate", validate)
    more = ["--set", "recording.checkpoint_interval_seconds=0.1", "--epochs", "3000"]
    more += ["--set", "training.validation_interval_images=100"]
    assert cli.main(["train", *TINY, *more, "--run-dir", str(tmp_path / "run")]) == 1
    text = capsys.readouterr().err
    assert text.startswith("VAE Explorer met an error of its own and had to stop: ZeroDivisionError.")
    assert "--- report" in text
    assert "ZeroDivisionError: a defect" in text
    assert f"vae-explorer {__version__}" in text
    assert RunDirectory.open(tmp_path / "run").newest_checkpoint() is not None


def test_numbers_that_run_away_end_the_run_with_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vae_explorer.models.vae import VariationalAutoencoder

    real = VariationalAutoencoder.objective

    def objective(self: VariationalAutoencoder, *args: object) -> object:
        found = real(self, *args)
        object.__setattr__(found, "loss", found.loss * torch.nan)
        return found

    monkeypatch.setattr(VariationalAutoencoder, "objective", objective)
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 1
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert "not finite" in first
    assert "Lower the learning rate" in second
    newest = RunDirectory.open(tmp_path / "run").newest_checkpoint()
    assert newest is not None, "the weights before the bad steps"
    read_checkpoint(newest)


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["__init__", "run", "_runnable_step"])
def test_too_little_memory_offers_half_the_batch_and_leaves_no_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    error: Exception,
) -> None:
    from vae_explorer.training.trainer import Trainer

    def fail(*args: object, **more: object) -> object:
        raise error

    command = ["train", *TINY, "--run-dir", str(tmp_path / "run")]
    with monkeypatch.context() as broken:
        broken.setattr(Trainer, where, fail)
        assert cli.main(command) == 1
    assert error_lines(capsys) == (
        "There is not enough memory for this run.",
        "Try --batch-size 12 or smaller hidden widths.",
    )
    assert not (tmp_path / "run").exists()
    assert cli.main(command) == 0, "the same folder can be tried again"


def test_memory_that_runs_out_later_keeps_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vae_explorer.training.trainer import Trainer

    def validate(self: Trainer) -> object:
        raise MemoryError

    monkeypatch.setattr(Trainer, "validate", validate)
    assert cli.main(["train", *TINY, "--batch-size", "1", "--run-dir", str(tmp_path / "run")]) == 1
    assert error_lines(capsys)[1] == "Try smaller hidden widths."
    events = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"started"' in events[0]
    assert "MemoryError" in events[-1]


def test_a_device_that_this_machine_lacks_is_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", *TINY, "--device", "mps", "--run-dir", str(tmp_path / "run")]
    assert cli.main(command) == MachineError.exit_status
    first, second = error_lines(capsys)
    assert first.startswith("This machine has no device 'mps'")
    assert second.startswith("Choose auto, or one of")
    assert not (tmp_path / "run").exists()
