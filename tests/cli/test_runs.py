from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.tiny_command import error_lines
from tests.runs.library_folders import STARTED, config_with, make_run
from vae_explorer import cli
from vae_explorer.runs.run_notes import RunNotes, write_notes


def test_runs_are_listed_with_what_they_came_to(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = make_run(
        run.parent / "broken", config_with(model__name="pca", data__protocol="gaussian"), events=(STARTED,)
    )
    write_notes(broken, RunNotes(title="The PCA"))
    (run.parent / "letters").mkdir()
    assert cli.main(["runs", str(run.parent)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["run", "status"]
    assert len(lines) == 3
    assert all(words in lines[0] for words in ("broken (The PCA)", "broken off", "pca", "gaussian", "Squared error"))
    assert all(words in lines[1] for words in ("run ", "finished", "vae", "tiny", "dynamic", "ELBO(1)"))
    assert lines[2] == "not a run: letters: It is empty."


def test_the_same_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_notes(run, RunNotes(title="Tiny", notes="a\nb", tags=("x",)))
    (run.parent / "letters").mkdir()
    assert cli.main(["runs", str(run.parent), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(run.parent)
    assert [bad["reason"] for bad in found["bad_folders"]] == ["It is empty."]
    record = found["runs"][0]
    assert (record["name"], record["path"], record["title"], record["tags"]) == ("run", str(run), "Tiny", ["x"])
    assert (record["status"], record["bound"], record["unit"]) == ("finished", "ELBO(1)", "nats per image")
    assert record["best"] == max(record["best"], record["last_heldout"]["elbo"])
    assert record["steps"] == record["last"]["step"] == 16


def test_without_a_folder_those_of_new_runs_are_listed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(run.parent))
    assert cli.main(["runs"]) == 0
    assert "finished" in capsys.readouterr().out
    monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / "not yet"))
    assert cli.main(["runs"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"There are no runs in {tmp_path / 'not yet'} yet."
    assert "vae-explorer train" in second
    assert cli.main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(tmp_path / "nowhere")]) == 1
    first, second = error_lines(capsys)
    assert first == f"There is no folder {tmp_path / 'nowhere'}."
    assert "choose another folder" in second


def test_names_do_not_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run\x1b[2J\nnext")
    (tmp_path / "bad\rfolder").mkdir()
    assert cli.main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert not any(letter in out for letter in "\x1b\r")
    assert len(out.splitlines()) == 3
