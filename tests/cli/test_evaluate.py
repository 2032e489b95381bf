from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.tiny_command import error_lines
from vae_explorer import cli
from vae_explorer.runs.run_directory import RunDirectory


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
