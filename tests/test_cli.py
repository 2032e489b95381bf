from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.runs.failing_calls import fail_call, mend
from tests.tiny_runs import register_tiny
from vae_explorer import __version__, cli, cli_train
from vae_explorer.errors import MachineError
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import run_config_to_table

TINY = [
    "--dataset", "tiny", "--protocol", "dynamic", "--epochs", "2", "--batch-size", "25", "--device", "cpu",
    "--precision", "float32", "--set", "model.hidden_widths=16", "--set", "data.heldout_images=40",
    "--set", "training.num_threads=1",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def error_lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a person's error says: one line what, one line what to do, nothing else."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert "Traceback" not in lines[0]
    return lines[0], lines[1]


# --- training


def test_training_prints_an_epoch_a_line_and_leaves_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "мой запуск 1"
    assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("Variational autoencoder, ")
    assert "effective beta 1" in lines[0]
    assert lines[2] == f"Run folder: {path}"
    epoch = next(line for line in lines if line.startswith("epoch 2/2"))
    assert re.search(r"ELBO -\d+\.\d+  Reconstruction \d+\.\d+  KL \d+\.\d+  held-out ELBO -", epoch)
    assert lines[-3].startswith("Done at step 16: 2.00 epochs, 400 images in")
    assert lines[-2].startswith("Held out: ELBO -")
    assert lines[-1] == f"Next: vae-explorer evaluate '{path}'"
    assert captured.err == "", "no progress line where nobody watches"
    assert RunDirectory.open(path).newest_checkpoint() is not None


def test_train_json_is_one_object_a_line_and_the_last_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *TINY, "--json", "--run-dir", str(tmp_path / "run")]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "started"
    assert events[0]["run_folder"] == str(tmp_path / "run")
    assert {"metrics", "validated", "checkpoint_written"} <= {event["event"] for event in events}
    last = events[-1]
    assert list(last)[:7] == ["event", "step", "epoch", "images_seen", "seconds", "images_per_second", "validation"]
    assert (last["event"], last["step"], last["images_seen"]) == ("finished", 16, 400)
    assert set(last["validation"]) == {"elbo", "reconstruction", "kl"}
    metrics = next(event for event in events if event["event"] == "metrics")
    assert {"step", "epoch", "images_seen", "seconds", "split", "elbo", "kl", "beta", "learning_rate"} <= set(metrics)


def test_a_terminal_gets_a_progress_line_with_eta(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    more = ["--epochs", "60", "--set", "recording.report_interval_seconds=0.01"]
    assert cli.main(["train", *TINY, *more, "--run-dir", str(tmp_path / "run")]) == 0
    assert re.search(r"\r\x1b\[Kepoch \d+\.\d+/60  ELBO .* images/s  ETA \d+:\d\d", capsys.readouterr().err)


def test_every_flag_reaches_the_stored_configuration(tmp_path: Path) -> None:
    path = tmp_path / "run"
    flags = [
        "--preset", "tutorial", "--dataset", "tiny", "--model", "vae", "--latent-dim", "3", "--protocol", "threshold",
        "--epochs", "1", "--batch-size", "50", "--learning-rate", "5e-4", "--beta", "2", "--seed", "9", "--device",
        "cpu", "--precision", "float32", "--set", "model.activation=tanh", "--set", "data.heldout_images = 40",
    ]  # fmt: skip
    assert cli.main(["train", *flags, "--run-dir", str(path)]) == 0
    stored = tomllib.loads((path / "run.toml").read_text(encoding="utf-8"))
    assert stored["data"] == {"dataset": "tiny", "protocol": "threshold", "heldout_images": 40}
    assert stored["model"]["latent_dimensions"] == 3
    assert stored["model"]["activation"] == "tanh"
    assert stored["model"]["beta"] == 2.0
    assert stored["model"]["hidden_widths"] == [400], "the rest is the preset's"
    assert stored["training"]["seed"] == 9
    assert stored["training"]["learning_rate"] == 5e-4
    assert stored["format_version"] == 1
    again = tmp_path / "again"
    assert cli.main(["train", "--config", str(path / "run.toml"), "--run-dir", str(again)]) == 0
    first, second = RunDirectory.open(path), RunDirectory.open(again)
    assert run_config_to_table(first.config) == run_config_to_table(second.config)
    weights = [r.checkpoints()[-1] / "model.safetensors" for r in (first, second)]
    assert weights[0].read_bytes() == weights[1].read_bytes(), "the same configuration and seed: the same run"


def test_without_a_run_dir_the_run_goes_to_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / "runs"))
    assert cli.main(["train", *TINY]) == 0
    assert [entry.name.startswith("tiny-vae-") for entry in (tmp_path / "runs").iterdir()] == [True]


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
        (["--config", "/nowhere/config.toml"], "There is no file /nowhere/config.toml.", "Check the path"),
        (["--device", "mps"], "This machine has no device 'mps'", "Choose auto, or one of"),
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
    for path, words in ((run, "holds a run already"), (run / "run.toml" / "deeper", "a part of the path is a file")):
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


# --- evaluation


def test_evaluate_json_keeps_its_contract(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--json", "--samples", "5", "--limit", "30", "--seed", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["run", "step", "model", "measures"]
    assert (result["run"], result["step"], result["model"]) == ("run", 16, "vae")
    names = [item["name"] for item in result["measures"]]
    assert names == ["elbo", "reconstruction", "kl", "active_units", "nll_quadrature"]
    for item in result["measures"]:
        assert list(item)[:11] == [
            "name", "value", "unit", "better", "protocol", "bound", "samples", "n", "split", "seed", "standard_error",
        ]  # fmt: skip
        assert (item["protocol"], item["n"], item["split"], item["seed"]) == ("dynamic", 30, "test", 2)
    assert result["measures"][0]["bound"] == "-ELBO(5)"


def test_evaluate_prints_the_bound_and_the_exact_likelihood_below_it(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(run)]) == 0
    text = capsys.readouterr().out
    value = {
        name: float(re.search(rf"^{name} +(\d+\.\d+)", text, re.MULTILINE)[1])
        for name in ("-ELBO", "NLL by quadrature")
    }
    assert value["NLL by quadrature"] < value["-ELBO"]
    assert "test images are drawn once with seed" in text
    assert cli.main(["evaluate", str(run), "--measures", "iwae,kl", "--samples", "10", "--split", "heldout"]) == 0
    text = capsys.readouterr().out
    assert "effective samples" in text
    assert "heldout" in text


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--measures", "elbo,iwea"], "There is no measure named 'iwea'.", "Did you mean 'iwae'?"),
        (["--split", "tests"], "There is no split named 'tests'.", "Did you mean 'test'?"),
    ],
)
def test_a_wrong_word_of_evaluate_names_the_nearest(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str, hint: str
) -> None:
    assert cli.main(["evaluate", str(run), *arguments]) == 1
    first, second = error_lines(capsys)
    assert first == what
    assert second.startswith(hint)


def test_runs_that_cannot_be_read_are_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(tmp_path / "nowhere")]) == 1
    assert "There is no file" in error_lines(capsys)[0]
    newest = RunDirectory.open(run).checkpoints()[-1] / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x00")
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "grid.png")]) == 1
    assert "does not match the digest" in error_lines(capsys)[0]


# --- sample grids


@pytest.mark.parametrize("kind", ["prior", "reconstructions", "traversals", "manifold", "interpolation"])
def test_a_grid_of_every_kind_is_saved_with_its_text(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "сетка 1.png"
    layout = ["--rows", "3", "--columns", "5", "--spacing", "1", "--scale", "3", "--seed", "7"]
    assert cli.main(["sample", str(run), "--out", str(out), "--kind", kind, *layout]) == 0
    lines = {"reconstructions": 6, "traversals": 2}.get(kind, 3)
    with Image.open(out) as image:
        assert image.text == {"run": "run", "model": "vae", "step": "16", "seed": "7", "kind": kind}
        assert image.size == (5 * 24 + 6, lines * 24 + lines + 1)
        first = image.tobytes()
    assert str(out) in capsys.readouterr().out
    assert cli.main(["sample", str(run), "--out", str(out), "--kind", kind, *layout]) == 0
    with Image.open(out) as image:
        assert image.tobytes() == first


def test_a_wrong_kind_and_a_wrong_place_are_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "a.png"), "--kind", "manifald"]) == 1
    assert error_lines(capsys)[1] == "Did you mean 'manifold'?"
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "nowhere" / "a.png")]) == 1
    assert "a folder on the way does not exist" in error_lines(capsys)[0]
    assert cli.main(["sample", str(run), "--out", str(tmp_path / "a.png"), "--rows", "0"]) == 1
    assert "cannot have rows 0" in error_lines(capsys)[0]


# --- lists, help and the rest


@pytest.mark.parametrize(("command", "name"), [("models", "vae"), ("datasets", "mnist"), ("measures", "elbo")])
def test_lists_as_text_and_as_json(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command]) == 0
    assert name in capsys.readouterr().out
    assert cli.main([command, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert name in {record["name"] for record in records}
    assert all({"name", "title", "summary", "reference"} <= set(record) for record in records)


def test_doctor_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == (0 if told["ok"] else 3)
    assert "torch" in {finding["topic"] for finding in told["findings"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--epoch", "3"], "there is no option '--epoch'. Did you mean '--epochs'?"),
        (["train", "--preset", "tutorial", "--config", "x.toml"], "not allowed with argument"),
        (["evaluate"], "the following arguments are required: RUN"),
        (["evaluate", "run", "--samples", "0"], "is not a whole number from 1"),
        (["sample", "run"], "required: --out"),
        (["--no-such"], "there is no option '--no-such'."),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    first, second = error_lines(capsys)
    assert words in first
    assert second.startswith("See: vae-explorer")


def test_a_first_word_that_is_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian", "--epochs", "3"]) == 2
    first, second = error_lines(capsys)
    assert first == "There is no command 'trian'."
    assert second == "Did you mean 'train'?"
    assert cli.main([str(tmp_path)]) == 1
    assert "vae-explorer sample" in error_lines(capsys)[1]


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"vae-explorer {command}" in text
    if command == "train":
        assert "tutorial-2d" in text
        for flag in cli.TRAIN_FLAGS:
            assert f"--{flag}" in text
        assert "training.learning_rate_schedule" in text
        assert "--resume" not in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"vae-explorer {__version__}\n"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["models"], ["measures", "--json"]])
def test_help_and_lists_load_neither_torch_nor_qt(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom vae_explorer.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PySide6', 'pyqtgraph', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    child = python(code)
    assert child.returncode == 0, child.stderr


def test_without_qt_the_commands_work_and_the_window_says_one_sentence() -> None:
    missing = "import sys\nsys.modules['PySide6'] = None\nfrom vae_explorer.cli import main\n"
    assert python(f"{missing}sys.exit(main(['datasets']))").returncode == 0
    window = python(f"{missing}sys.exit(main([]))")
    assert window.returncode == 3
    assert "PySide6-Essentials" in window.stderr
    assert len(window.stderr.splitlines()) == 2


def test_without_a_display_the_window_says_one_sentence_and_no_core_is_dumped() -> None:
    environment = {"QT_QPA_PLATFORM": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    window = python("import sys\nfrom vae_explorer.cli import main\nsys.exit(main([]))", **environment)
    assert window.returncode == 3
    lines = window.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("The window needs ")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "vae_explorer.doctor", None)
    monkeypatch.setitem(sys.modules, "vae_explorer.cli_train", None)

    def broken(arguments: object) -> int:
        raise ImportError("libfoo.so.1: cannot open", name="torch._C")

    monkeypatch.setitem(cli.COMMANDS, "models", broken)
    assert cli.main(["models"]) == MachineError.exit_status
    assert error_lines(capsys)[0].startswith("The Python package torch cannot be loaded")


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
    assert "--learning-rate" in second
    newest = RunDirectory.open(tmp_path / "run").newest_checkpoint()
    assert newest is not None, "the weights before the bad steps"


def test_too_little_device_memory_offers_half_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vae_explorer.training.trainer import Trainer

    def run(self: Trainer, control: Control) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "run", run)
    assert cli.main(["train", *TINY, "--run-dir", str(tmp_path / "run")]) == 1
    assert "--batch-size 12" in error_lines(capsys)[1]


def test_the_second_signal_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    control = Control()
    before = signal.getsignal(signal.SIGINT)
    with cli_train._stopping_on_signals(control) as seen:
        signal.raise_signal(signal.SIGINT)
        assert control.stopped
        assert left == []
        signal.raise_signal(signal.SIGTERM)
        assert left == [130]
        assert seen == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before
