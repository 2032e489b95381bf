from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_runs import train_tiny
from vae_explorer import cli
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.run_directory import RunDirectory

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None,
    reason="the optional extra is not installed: pip install 'vae-explorer[tensorboard]'",
)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return train_tiny(tmp_path / "run")[0]


def export(run: RunDirectory, out: Path) -> int:
    return cli.main(["export", str(run.path), "--what", "metrics", "--out", str(out)])


def test_the_table_is_that_of_the_run_without_a_torn_line(run: RunDirectory, tmp_path: Path) -> None:
    whole = run.metrics_file.read_text(encoding="utf-8")
    with run.metrics_file.open("a", encoding="utf-8") as file:
        file.write("17,0.5")
    assert export(run, tmp_path / "curves.csv") == 0
    assert (tmp_path / "curves.csv").read_text(encoding="utf-8") == whole


def test_numbers_far_out_stay_what_they_are(run: RunDirectory, tmp_path: Path) -> None:
    names = run.metrics_file.read_text(encoding="utf-8").splitlines()[0].split(",")
    rows = [
        {"step": "3", "split": "train", "elbo": "-1e+300", "kl": "inf", "seconds": "0.25"},
        {"step": "nan", "split": "train", "elbo": "-2"},
        {"step": "1e+300", "split": "../../somewhere", "elbo": "-3"},
    ]
    lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]
    run.metrics_file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    before = read_metrics(run)
    assert export(run, tmp_path / "curves.csv") == 0
    run.metrics_file.write_bytes((tmp_path / "curves.csv").read_bytes())
    after = read_metrics(run)
    assert after.split.tolist() == before.split.tolist()
    for name, values in before.columns.items():
        np.testing.assert_array_equal(after.columns[name], values)
    if importlib.util.find_spec("tensorboard") is not None:
        assert export(run, tmp_path / "board") == 0
        assert {path.name for path in tmp_path.iterdir()} == {"run", "curves.csv", "board"}
        assert [path.name for path in (tmp_path / "board").iterdir()] == ["train"]
        assert list(scalars(tmp_path / "board" / "train")["elbo"]) == [3]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step, read by TensorBoard itself."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    (path,) = folder.iterdir()
    assert "tfevents" in path.name
    found: dict[str, dict[int, float]] = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@needs_tensorboard
def test_tensorboard_reads_both_splits_with_all_their_values(run: RunDirectory, tmp_path: Path) -> None:
    assert export(run, tmp_path / "board") == 0
    metrics = read_metrics(run)
    for split in ("train", "heldout"):
        found = scalars(tmp_path / "board" / split)
        rows = metrics.of(split)
        steps = rows["step"].astype(int).tolist()
        for name, values in rows.items():
            if name in ("step", "seconds"):
                continue
            there = {step: value for step, value in zip(steps, values.tolist(), strict=True) if not math.isnan(value)}
            assert found.get(name, {}) == pytest.approx(there, rel=1e-6), name
    assert "elbo" in found


@needs_tensorboard
def test_a_folder_takes_nothing_elses_place(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "holiday pictures"
    kept.mkdir()
    (kept / "beach").write_text("sand", encoding="utf-8")
    assert export(run, kept) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert (kept / "beach").read_text(encoding="utf-8") == "sand"
    (tmp_path / "empty").mkdir()
    assert export(run, tmp_path / "empty") == 0


def test_a_run_without_metrics_is_one_sentence(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.metrics_file.unlink()
    assert export(run, tmp_path / "curves.csv") == 1
    assert "has no metrics yet" in capsys.readouterr().err
    assert not (tmp_path / "curves.csv").exists()


def test_without_the_extra_the_person_reads_how_to_get_it(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str, package: str | None = None) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    assert export(run, tmp_path / "board") == 3
    assert "pip install 'vae-explorer[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()
