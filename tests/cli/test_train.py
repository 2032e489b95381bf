from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.cli.tiny_command import TINY
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer import cli
from vae_explorer.cli_training_report import TextReport
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.events import MetricsChunk
from vae_explorer.training.run_config import run_config_to_table


def test_training_prints_an_epoch_a_line_and_leaves_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "мой запуск 1"
    assert cli.main(["train", *TINY, "--run-dir", str(path)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("Variational autoencoder, ")
    assert "effective beta 1" in lines[0]
    assert ", 1 thread, " in lines[0]
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
    parts = {"mutual_information", "total_correlation", "dimension_wise_kl"}
    assert set(last["validation"]) == {"elbo", "reconstruction", "kl"} | parts
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
        "--set", "training.num_threads=1",  # how many are fastest depends on what else the machine does
    ]  # fmt: skip
    assert cli.main(["train", *flags, "--run-dir", str(path)]) == 0
    stored = tomllib.loads((path / "run.toml").read_text(encoding="utf-8"))
    assert stored["data"] == {"dataset": "tiny", "protocol": "threshold", "heldout_images": 40, "heldout_part": 0}
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


def test_a_run_can_be_made_again_from_a_copy_of_its_configuration_or_from_its_folder(run: Path, tmp_path: Path) -> None:
    (tmp_path / "my settings.txt").write_bytes((run / "run.toml").read_bytes())
    for number, source in enumerate((tmp_path / "my settings.txt", run)):
        again = tmp_path / f"again {number}"
        assert cli.main(["train", "--config", str(source), "--run-dir", str(again)]) == 0
        assert RunDirectory.open(again).config == RunDirectory.open(run).config


def test_the_epoch_lines_say_the_means_over_their_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, values = TextReport(tmp_path), {}
    _, events = train_tiny(tmp_path / "run", tiny_config(epochs=7))
    for event in events:
        report.show(event)
        if isinstance(event, MetricsChunk):
            values |= dict(zip(event.steps.tolist(), event.values[:, event.columns.index("elbo")], strict=True))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 7
    for epoch, line in enumerate(lines):
        mean = np.mean([values[step] for step in range(8 * epoch + 1, 8 * epoch + 9)])
        assert line.startswith(f"epoch {epoch + 1}/7  ELBO {mean:.2f}  ")


def test_without_a_run_dir_the_run_goes_to_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / "runs"))
    assert cli.main(["train", *TINY]) == 0
    assert [entry.name.startswith("tiny-vae-") for entry in (tmp_path / "runs").iterdir()] == [True]
