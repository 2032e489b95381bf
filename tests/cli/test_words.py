from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.tiny_command import TINY, error_lines
from vae_explorer import __version__, cli
from vae_explorer.cli_arguments import TRAIN_FLAGS
from vae_explorer.cli_commands import COMMANDS


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
        (["train", "foo"], "there is no argument 'foo'"),
        (["train", "--run-dir", ""], "the path is empty"),
        (["evaluate", ""], "the path is empty"),
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
    assert first == "There is no command and no run 'trian'."
    assert second == "Did you mean 'train'?"
    assert cli.main([str(tmp_path)]) == 1
    assert "is not the folder of a run" in error_lines(capsys)[0]
    assert cli.main([""]) == 2
    first, second = error_lines(capsys)
    assert first == "The first argument is empty."
    assert "train" in second
    assert cli.main(["x" * 300]) == 2
    assert len(error_lines(capsys)[0]) < 100
    assert cli.main([str(tmp_path / "nowhere")]) == 1
    assert error_lines(capsys)[0] == f"There is no file or folder {tmp_path / 'nowhere'}."


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"vae-explorer {command}" in text
    if command == "train":
        assert "tutorial-2d" in text
        for flag in TRAIN_FLAGS:
            assert f"--{flag}" in text
        assert "training.learning_rate_schedule" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"vae-explorer {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["~nobody.of.this.name"],
        ["evaluate", "~nobody.of.this.name/run"],
        ["sample", "run", "--out", "~nobody.of.this.name/grid.png"],
        ["train", "--run-dir", "~nobody.of.this.name/run"],
        ["train", "--config", "~nobody.of.this.name/run.toml"],
    ],
    ids=" ".join,
)
def test_an_unknown_home_folder_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 1
    assert "names a home folder that this machine does not know" in error_lines(capsys)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "x" * 300],
        ["sample", "x" * 300, "--out", "grid.png"],
        ["train", *TINY, "--run-dir", "x" * 300],
        ["train", "--config", "x" * 300],
    ],
    ids=["evaluate", "sample", "train", "config"],
)
def test_a_name_that_is_too_long_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 1
    assert "the name is too long" in error_lines(capsys)[0]
