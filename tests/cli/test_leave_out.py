from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import cli
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.runs.run_directory import RunDirectory


def test_each_run_misses_one_part_and_each_image_is_scored_by_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "left-out"
    arguments = ["leave-out", *TINY, "--parts", "3", "--images", "30", "--samples", "8", "--out", str(folder)]
    assert cli.main(arguments) == 0
    assert "Protocol dynamic, IWAE-8, 30 training images of 3 parts" in capsys.readouterr().out
    missed = []
    for part in range(3):
        data = RunDirectory.open(folder / f"without-part-{part}").config.data
        assert data.heldout_part == part
        missed.append(load_dataset("tiny", data.heldout_images, heldout_part=part).heldout_index_N)
    assert torch.cat(missed).unique().numel() == load_dataset("tiny", 0).images.num_images

    rows = list(csv.DictReader((folder / "memorisation.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 30
    scores = [float(row["memorisation"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(int(row["item"]) in missed[int(row["part"])].tolist() for row in rows)
    first = rows[0]
    difference = float(first["nll_left_out"]) - float(first["nll_kept"])
    assert float(first["memorisation"]) == pytest.approx(difference, abs=2e-4)
    with Image.open(folder / "most-memorised.png") as picture:
        assert picture.size[0] > 8 * 8

    # What is there is not trained again, and the same scores come out.
    kept = (folder / "without-part-1" / "metrics.csv").read_bytes()
    table = (folder / "memorisation.csv").read_bytes()
    assert cli.main([*arguments, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "left out"
    assert last["memorisation"] == pytest.approx(sum(scores) / 30, abs=1e-3)
    assert (folder / "without-part-1" / "metrics.csv").read_bytes() == kept
    assert (folder / "memorisation.csv").read_bytes() == table


def test_a_mixture_with_a_component_for_every_few_images_remembers_and_a_plane_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oracle: what is remembered grows with what can be remembered."""

    def mean_memorisation(name: str, *settings: str) -> float:
        words = ["--dataset", "tiny", "--device", "cpu", "--parts", "2", "--images", "60", "--json", *settings]
        assert cli.main(["leave-out", *words, "--out", str(tmp_path / name)]) == 0
        return float(json.loads(capsys.readouterr().out.splitlines()[-1])["memorisation"])

    mixture = ["--model", "bernoulli-mixture", "--protocol", "threshold", "--epochs", "10"]
    many = mean_memorisation("many", *mixture, "--set", "model.num_components=60")
    few = mean_memorisation("few", *mixture, "--set", "model.num_components=2")
    assert many > few + 1
    assert many > 0


def test_a_model_without_likelihood_is_one_sentence_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset", "tiny", "--model", "autoencoder", "--parts", "2", "--out", str(tmp_path / "none")]
    assert cli.main(["leave-out", *words]) == 1
    assert "gives no log-likelihood" in error_lines(capsys)[0]
    assert not (tmp_path / "none").exists()
