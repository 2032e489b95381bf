from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.errors import FileError, UserError
from vae_explorer.runs.run_directory import RunDirectory, default_parent, new_run_path
from vae_explorer.runs.writer_lock import LOCK_FILE
from vae_explorer.training.run_config import with_value


@pytest.mark.parametrize("name", ["run", "мой запуск – ñ 目录", "with  two spaces", "x" * 200])
def test_a_run_opens_with_the_configuration_it_was_made_with(tmp_path: Path, name: str) -> None:
    config = with_value(tiny_config(), "training.seed", 17)
    made = RunDirectory.create(config, tmp_path / name)
    opened = RunDirectory.open(tmp_path / name)
    assert opened == made
    assert opened.config == config
    assert opened.name == name
    assert opened.newest_checkpoint() is None


def test_run_toml_says_version_environment_and_every_setting(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run")
    text = (run.path / "run.toml").read_text(encoding="utf-8")
    for words in ("format_version = 1", "[environment]", "python = ", "torch = ", "device_name = ", "seed = 0"):
        assert words in text
    for section in ("[data]", "[model]", "[training]", "[recording]"):
        assert section in text


def test_without_a_path_runs_go_to_their_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / "my runs"))
    first, second = RunDirectory.create(tiny_config()), RunDirectory.create(tiny_config())
    assert first.path.parent == second.path.parent == tmp_path / "my runs" == default_parent()
    assert first.path != second.path
    assert re.fullmatch(r"tiny-vae-\d{8}-\d{6}", first.name)
    assert not new_run_path(default_parent(), tiny_config()).exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    RunDirectory.create(tiny_config(), tmp_path / "run")
    with pytest.raises(FileError, match="holds a run already"):
        RunDirectory.create(tiny_config(), tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(FileError, match="is not empty"):
        RunDirectory.create(tiny_config(), tmp_path / "full")
    with pytest.raises(FileError, match="is a file, not a folder"):
        RunDirectory.create(tiny_config(), tmp_path / "full" / "letter.txt")
    (tmp_path / "empty").mkdir()
    RunDirectory.create(tiny_config(), tmp_path / "empty")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        (b"format_version = 99\n", "newer than this program's 1"),
        (b"name = 'x'\n", "does not say its format version"),
        (b"format_version = 1\n[training]\nepoch = 3\n", "training.epoch"),
        (b"format_version = 1\n[training]\nepochs = -3\n", "training.epochs cannot be -3"),
        (b"format_version = 1\n[cloud]\n", "section that does not exist"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"format_version = [", "is not a TOML file"),
        (b"format_version = 1\ndata = 3\n", "data is not a section"),
        (b"a" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_folder_that_is_no_run_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(FileError) as caught:
        RunDirectory.open(tmp_path)
    assert words in caught.value.message
    assert str(tmp_path / "run.toml") in caught.value.message
    assert caught.value.hint


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.toml")
    with pytest.raises(FileError, match="not a plain file"):
        RunDirectory.open(tmp_path)


def test_a_run_inside_another_is_refused(tmp_path: Path) -> None:
    outer = RunDirectory.create(tiny_config(), tmp_path / "outer")
    for path in (outer.path / "inner", outer.samples_folder / "deep" / "inner"):
        with pytest.raises(FileError, match="lies in the folder of the run outer"):
            RunDirectory.create(tiny_config(), path)
    assert [entry.name for entry in outer.path.iterdir()] == ["run.toml"]


def test_there_is_one_writer(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    with run.writing():
        with pytest.raises(FileError, match=f"being written by process {os.getpid()} on this machine"), run.writing():
            pass
        assert (run.path / LOCK_FILE).exists()
    assert not (run.path / LOCK_FILE).exists()
    with run.writing():
        pass


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (run.path / LOCK_FILE).write_text(json.dumps({"host": socket.gethostname(), "pid": gone.pid}))
    with run.writing():
        assert json.loads((run.path / LOCK_FILE).read_text())["pid"] == os.getpid()
    # A process of our own number that is not us: the number was given out again.
    (run.path / LOCK_FILE).write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    with run.writing():
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [(json.dumps({"host": "elsewhere", "pid": 1}), "process 1 on elsewhere"), ("{", "an unknown process")],
)
def test_a_lock_that_cannot_be_judged_is_respected(tmp_path: Path, content: str, words: str) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    (run.path / LOCK_FILE).write_text(content)
    with pytest.raises(FileError, match=words) as caught, run.writing():
        pass
    assert LOCK_FILE in caught.value.hint
    assert (run.path / LOCK_FILE).read_text() == content


def test_only_numbered_folders_are_checkpoints(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    for name in ("000000009", "000000010", ".part-1", "notes", "²"):
        (run.checkpoints_folder / name).mkdir(parents=True)
    assert [folder.name for folder in run.checkpoints()] == ["000000009", "000000010"]
    newest = run.newest_checkpoint()
    assert newest is not None
    assert newest.name == "000000010"


def test_a_path_through_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        RunDirectory.create(tiny_config(), tmp_path / "file" / "run")
    assert "a part of the path is a file" in caught.value.message


def test_when_the_run_was_created_stays_what_it_was(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    file = run.path / "run.toml"
    created = tomllib.loads(file.read_text(encoding="utf-8"))["created"]
    file.write_text(file.read_text(encoding="utf-8").replace(created, "2020-02-02T02:02:02+00:00"), encoding="utf-8")
    run.write_environment({"device": "cpu"})
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    assert table["created"] == "2020-02-02T02:02:02+00:00"
    assert table["environment"]["device"] == "cpu"


def test_only_a_folder_without_anything_recorded_is_discarded(tmp_path: Path) -> None:
    run = RunDirectory.create(tiny_config(), tmp_path / "run")
    for name in ("metrics.csv", LOCK_FILE, "letter.txt"):
        (run.path / name).write_text("mine")
        run.discard_unused()
        assert {entry.name for entry in run.path.iterdir()} == {"run.toml", name}
        (run.path / name).unlink()
    run.discard_unused()
    assert not run.path.exists()
    run.discard_unused()


def test_the_default_folder_of_runs_may_be_in_a_home(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", "~/runs")
    assert RunDirectory.create(tiny_config()).path.parent == own_home / "runs"
    monkeypatch.setenv("VAE_EXPLORER_RUNS", "~nobody.of.this.name/runs")
    with pytest.raises(FileError, match="names a home folder"):
        RunDirectory.create(tiny_config())
