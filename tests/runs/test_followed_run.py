"""A run that somebody else writes, read as it grows: what is torn, half copied or gone is waited for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.runs.followed_run import FollowedRun, RunNews
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.stored_run import read_stored_run
from vae_explorer.training.run_config import with_value


@pytest.fixture
def whole(tmp_path: Path) -> RunDirectory:
    """A run that ended, of which parts are copied."""
    config = with_value(tiny_config(epochs=40), "recording.checkpoint_interval_seconds", 0.1)
    return train_tiny(tmp_path / "whole", config)[0]


@pytest.fixture
def arriving(whole: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Its folder elsewhere, with settings, events, and the names and the first rows of its curves."""
    path = tmp_path / "arriving"
    path.mkdir()
    for name in ("run.toml", "events.jsonl"):
        shutil.copy(whole.path / name, path / name)
    (path / "metrics.csv").write_bytes(b"".join(lines_of(whole)[:4]))
    return RunDirectory.open(path)


def lines_of(run: RunDirectory) -> list[bytes]:
    return run.metrics_file.read_bytes().splitlines(keepends=True)


def followed(run: RunDirectory) -> FollowedRun:
    found = FollowedRun(read_stored_run(run), -1)
    first = found.look()
    assert first is not None
    assert num_rows(first) == 0, "what the course holds already"
    return found


def num_rows(news: RunNews | None) -> int:
    assert news is not None
    assert news.trouble is None
    return sum(len(rows.get("step", ())) for rows in (news.train, news.heldout))


def add(run: RunDirectory, content: bytes) -> None:
    with run.metrics_file.open("ab") as file:
        file.write(content)


def test_rows_come_once_and_a_torn_line_when_it_is_whole(whole: RunDirectory, arriving: RunDirectory) -> None:
    lines = lines_of(whole)
    found = followed(arriving)
    assert found.look() is None
    add(arriving, lines[4] + lines[5][:7])
    news = found.look()
    assert num_rows(news) == 1
    add(arriving, lines[5][7:])
    assert num_rows(found.look()) == 1
    add(arriving, b"".join(lines[6:]))
    last = found.look()
    assert num_rows(last) == len(lines) - 6
    assert last is not None
    assert last.course is None
    assert float(last.heldout["step"][-1]) == read_stored_run(whole).history.heldout("step")[-1]


def test_a_file_that_is_put_in_place_of_a_shorter_one_adds_what_is_new(
    whole: RunDirectory, arriving: RunDirectory
) -> None:
    """As programs do that keep two folders alike."""
    found = followed(arriving)
    shutil.copy(whole.metrics_file, arriving.path / ".metrics.csv.part")
    (arriving.path / ".metrics.csv.part").replace(arriving.metrics_file)
    assert num_rows(found.look()) == len(lines_of(whole)) - 4


def test_a_file_that_is_gone_for_a_moment_is_waited_for(whole: RunDirectory, arriving: RunDirectory) -> None:
    found = followed(arriving)
    arriving.metrics_file.unlink()
    for _ in range(2):
        news = found.look()
        assert news is not None
        assert news.trouble is not None
        assert "is gone" in news.trouble.message
    shutil.copy(whole.metrics_file, arriving.metrics_file)
    assert num_rows(found.look()) == len(lines_of(whole)) - 4


@pytest.mark.parametrize("has_looked", [True, False])
def test_a_run_that_was_taken_back_is_told_from_its_start(
    whole: RunDirectory, arriving: RunDirectory, has_looked: bool
) -> None:
    found = followed(arriving) if has_looked else FollowedRun(read_stored_run(arriving), -1)
    arriving.metrics_file.write_bytes(b"".join(lines_of(whole)[:2]))
    news = found.look()
    assert news is not None
    assert news.course is not None
    assert len(news.course.history) + news.course.history.num_heldout == 1
    add(arriving, lines_of(whole)[2])
    assert num_rows(found.look()) == 1


def test_a_checkpoint_is_given_when_it_is_whole_and_only_once(whole: RunDirectory, arriving: RunDirectory) -> None:
    found = followed(arriving)
    assert found.newer_checkpoint() is None
    source = whole.checkpoints()[-1]
    target = arriving.checkpoints_folder / source.name
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        content = path.read_bytes()
        (target / path.name).write_bytes(content[: len(content) // 2])
        assert found.newer_checkpoint() is None
        (target / path.name).write_bytes(content)
    checkpoint = found.newer_checkpoint()
    assert checkpoint is not None
    assert checkpoint.step == int(source.name)
    assert found.newer_checkpoint() is None


def test_a_whole_checkpoint_is_given_while_a_newer_one_is_on_its_way(
    whole: RunDirectory, arriving: RunDirectory
) -> None:
    *_, older, newest = whole.checkpoints()
    shutil.copytree(older, arriving.checkpoints_folder / older.name)
    (arriving.checkpoints_folder / newest.name).mkdir()
    found = followed(arriving)
    first = found.newer_checkpoint()
    assert first is not None
    assert first.step == int(older.name)
    shutil.rmtree(arriving.checkpoints_folder / newest.name)
    shutil.copytree(newest, arriving.checkpoints_folder / newest.name)
    second = found.newer_checkpoint()
    assert second is not None
    assert second.step == int(newest.name)


def test_who_writes_and_changed_settings_are_told(whole: RunDirectory, arriving: RunDirectory) -> None:
    found = followed(arriving)
    with arriving.writing():
        news = found.look()
        assert news is not None
        assert news.writer == f"process {os.getpid()} on this machine"
        with arriving.events_file.open("a", encoding="utf-8") as file:
            file.write(
                '{"event": "setting_changed", "path": "model.beta", "old": 1.0, "new": 2.0, "step": 9, '
                '"images_seen": 270, "seconds": 1.0}\n{"event": "chec'
            )
        news = found.look()
        assert news is not None
        assert [(change.path, change.new) for change in news.changes] == [("model.beta", 2.0)]
    news = found.look()
    assert news is not None
    assert news.writer == ""
    assert np.all([len(rows.get("step", ())) == 0 for rows in (news.train, news.heldout)])
