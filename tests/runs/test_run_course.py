from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from tests.runs.library_folders import COMPLETED, STARTED, make_run, write_events
from vae_explorer.config import read_toml
from vae_explorer.runs.library import LibraryScanner
from vae_explorer.runs.run_course import course_words


def change(step: int, value: object, path: object = "model.beta") -> dict[str, object]:
    return {
        "event": "setting_changed", "step": step, "images_seen": 100, "seconds": 0.5, "path": path, "old": 1.0,
        "new": value,
    }  # fmt: skip


def words_of(folder: Path) -> str:
    (run,) = LibraryScanner(folder).scan().runs
    return course_words(run)


def test_a_run_that_was_trained_as_its_settings_say_needs_no_words(tmp_path: Path) -> None:
    make_run(tmp_path / "plain")
    assert words_of(tmp_path) == ""


def test_where_a_child_began_and_what_was_changed_by_hand_is_said(tmp_path: Path) -> None:
    path = make_run(tmp_path / "child")
    table = read_toml(path / "run.toml") | {"parent": {"name": "the\nparent", "step": 1290}}
    (path / "run.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    assert words_of(tmp_path) == "child is a child of the?parent, from its step 1,290."
    write_events(path, STARTED, change(50, 3.0), change(1200, 0.001, "training.learning_rate"), COMPLETED)
    said = "In child Beta became 3 after step 50, Learning rate became 0.001 after step 1,200."
    assert words_of(tmp_path) == f"child is a child of the?parent, from its step 1,290. {said}"


def test_what_a_kill_took_back_is_not_said_and_many_are_counted(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    write_events(path, STARTED, change(5, 2.0), change(50, 3.0), STARTED | {"step": 40}, change(60, 4.0))
    assert words_of(tmp_path) == "In run Beta became 2 after step 5, Beta became 4 after step 60."
    write_events(path, STARTED, *(change(step, 2.0) for step in range(1, 8)))
    assert words_of(tmp_path).endswith("Beta became 2 after step 3, and 4 more changes.")


@pytest.mark.parametrize(
    "event", [change(5, "x"), change(5, 1e999), change(5, 1.0, "model.nothing"), {"event": "setting_changed"}]
)
def test_what_cannot_be_read_is_not_said(tmp_path: Path, event: dict[str, object]) -> None:
    path = make_run(tmp_path / "run")
    write_events(path, STARTED, event)
    assert words_of(tmp_path) == ""
    with (path / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('"setting_changed" torn\n')
    assert words_of(tmp_path) == ""
