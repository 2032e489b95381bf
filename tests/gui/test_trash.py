"""Runs go to the trash also where the desktop has no folder of data yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from tests.runs.library_folders import make_run
from vae_explorer.gui.threads.trash import move_runs_to_trash


def test_the_folder_that_the_trash_needs_is_made(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "fresh" / "share"
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    make_run(tmp_path / "runs" / "a")
    trashed = move_runs_to_trash(tmp_path / "runs", [tmp_path / "runs" / "a"])
    assert not trashed.errors
    assert trashed.runs == (tmp_path / "runs" / "a",)
    assert [path.parent.name for path in data.rglob("run.toml")] == ["a"]


def test_where_it_cannot_be_made_the_run_stays_and_one_sentence_says_so(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file" / "share"))
    make_run(tmp_path / "runs" / "a")
    trashed = move_runs_to_trash(tmp_path / "runs", [tmp_path / "runs" / "a"])
    assert not trashed.runs
    assert "could not be moved to the trash" in trashed.errors[0].message
    assert (tmp_path / "runs" / "a" / "run.toml").is_file()
