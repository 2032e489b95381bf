from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import cli
from vae_explorer.export.rate_distortion import from_csv
from vae_explorer.runs.run_directory import RunDirectory


def swept(folder: Path, *arguments: str) -> int:
    return cli.main(["sweep", *TINY, "--out", str(folder), *arguments])


def test_a_sweep_trains_measures_and_draws_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    assert swept(folder, "--betas", "4,1") == 0
    text = capsys.readouterr().out
    assert "Protocol dynamic, -ELBO(1), 60 images of the test split" in text
    assert sum(line.endswith("lowest") for line in text.splitlines()) == 1
    points = from_csv((folder / "rate-distortion.csv").read_text(encoding="utf-8"), "table")
    assert [point.beta for point in points] == [1.0, 4.0]
    assert all(point.elbo == pytest.approx(point.rate + point.distortion) for point in points)
    assert RunDirectory.open(folder / "beta-4").config.model.beta == 4.0
    assert (folder / "rate-distortion.svg").read_text(encoding="utf-8").startswith("<svg")

    # A third beta: the two that are there are kept, byte by byte.
    kept = (folder / "beta-1" / "metrics.csv").read_bytes()
    assert swept(folder, "--betas", "1,4,16", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "swept"
    assert [point["beta"] for point in last["points"]] == [1.0, 4.0, 16.0]
    assert (folder / "beta-1" / "metrics.csv").read_bytes() == kept


def test_a_run_that_was_broken_off_is_begun_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    assert swept(folder, "--betas", "1") == 0
    events = folder / "beta-1" / "events.jsonl"
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    assert '"finished"' in lines[-1]
    events.write_text("".join(lines[:-1]), encoding="utf-8")
    capsys.readouterr()
    assert swept(folder, "--betas", "1") == 0
    assert "beta 1 (1 of 1) is trained" in capsys.readouterr().out
    assert events.read_text(encoding="utf-8").count('"started"') == 1


def test_other_settings_do_not_mix_with_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    assert swept(folder, "--betas", "1") == 0
    capsys.readouterr()
    assert swept(folder, "--betas", "1", "--seed", "5") == 1
    assert "holds a run of another configuration" in error_lines(capsys)[0]
    (tmp_path / "other" / "beta-2").mkdir(parents=True)
    assert swept(tmp_path / "other", "--betas", "2") == 1
    assert "holds no run" in error_lines(capsys)[0]


@pytest.mark.parametrize("betas", ["", "0,1", "one", "-1", "nan"])
def test_betas_are_numbers_above_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str], betas: str) -> None:
    with pytest.raises(SystemExit) as caught:
        swept(tmp_path / "sweep", f"--betas={betas}")
    assert caught.value.code == 2
    assert "is not a list of numbers above 0" in error_lines(capsys)[0]


def test_a_model_without_beta_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset", "tiny", "--model", "pca", "--out", str(tmp_path / "sweep")]
    assert cli.main(["sweep", *arguments]) == 1
    what, hint = error_lines(capsys)
    assert "model.beta" in what
    assert hint
    assert not (tmp_path / "sweep").exists()
