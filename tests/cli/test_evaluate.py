from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import cli
from vae_explorer.evaluation.evaluation import Evaluation, Outcome
from vae_explorer.runs.run_directory import RunDirectory


def test_evaluate_json_keeps_its_contract(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--json", "--samples", "5", "--limit", "30", "--seed", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["run", "step", "model", "measures"]
    assert (result["run"], result["step"], result["model"]) == ("run", 16, "vae")
    names = [item["name"] for item in result["measures"]]
    assert names == ["elbo", "reconstruction", "kl", "active_units", "nll_quadrature", "mse"]
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


def train_another(path: Path, *arguments: str) -> Path:
    assert cli.main(["train", *TINY, *arguments, "--run-dir", str(path)]) == 0
    return path


def test_several_runs_are_one_table_with_the_best_marked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = train_another(tmp_path / "lazy", "--learning-rate", "1e-7")
    capsys.readouterr()
    assert cli.main(["evaluate", str(run), str(other), "--measures", "elbo,kl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if line.startswith("measure"))
    assert header.split()[-2:] == ["run", "lazy"]
    (bound,) = [line for line in lines if line.startswith("-ELBO")]
    assert bound.count("*") == 1
    assert re.search(r" \*\d+\.\d+ ± \d+\.\d+  \d+\.\d+ ± \d+\.\d+$", bound), "the one that learned is the better"
    assert "*" not in next(line for line in lines if line.startswith("KL"))
    assert cli.main(["evaluate", str(run), str(other), "--measures", "elbo,kl", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [item["run"] for item in said["runs"]] == ["run", "lazy"]
    assert said["comparison"][0] == {
        "name": "elbo", "better": "lower", "groups": [["run", "lazy"]], "refusal": "", "hint": "",
    }  # fmt: skip


def test_runs_of_two_protocols_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = train_another(tmp_path / "grey", "--protocol", "grey")
    capsys.readouterr()
    assert cli.main(["evaluate", str(run), str(other)]) == 1
    what, hint = error_lines(capsys)
    assert what == "run has the protocol dynamic and grey has grey: their numbers cannot be compared."
    assert hint == "Evaluate them one by one, or train both under one protocol."


def test_all_takes_everything_that_applies(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--measures", "all", "--samples", "60", "--json"]) == 0
    names = {item["name"] for item in json.loads(capsys.readouterr().out)["measures"]}
    assert {"elbo", "iwae", "frechet", "coverage", "neighbour_ratio", "linear_probe", "ellipse_coverage"} <= names
    assert "mig" not in names
    assert "trustworthiness" not in names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--measures", "mig"], "does not know from which factors"),
        (["--measures", "linear_probe", "--split", "train"], "choose the split test or heldout"),
        (["--measures", "recall", "--samples", "3"], "3 generated pictures are too few"),
        (["--measures", "coverage", "--limit", "4"], "4 images are too few"),
        (["--measures", "perplexity"], "model 'vae' has no codebook"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_measured_is_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.main(["evaluate", str(run), *arguments]) == 1
    what, hint = error_lines(capsys)
    assert words in what
    assert hint


def test_a_signal_ends_with_what_was_measured(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(evaluation: Evaluation) -> Outcome:
        signal.raise_signal(signal.SIGINT)
        evaluation.advance(0, 1)
        raise AssertionError("the stop is seen at the next advance")

    monkeypatch.setattr("vae_explorer.evaluation.bounds.iwae", interrupted)
    assert cli.main(["evaluate", str(run), "--measures", "elbo,iwae,kl"]) == 130
    out, err = capsys.readouterr()
    assert re.search(r"^-ELBO ", out, re.MULTILINE)
    assert "IWAE" not in out
    assert "1 of 3 measures were taken" in err
    assert "Traceback" not in err


def test_measures_lists_unit_direction_needs_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["measures"]) == 0
    text = capsys.readouterr().out
    assert "nats per image, lower is better; needs likelihood, prior; taken by default" in text
    assert "cost: 5 to 20 s for 1,000 images and k = 500" in text
