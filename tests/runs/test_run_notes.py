from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.runs.failing_calls import fail_call, mend
from tests.runs.library_folders import make_run
from vae_explorer.errors import FileError
from vae_explorer.runs.run_notes import NOTES_FILE, RunNotes, read_notes, write_notes

SOME = RunNotes(title='Мой "run"', notes="Line one\nline = two\n# three", tags=("α", "second best"))


def test_notes_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    assert read_notes(path) == RunNotes()
    assert write_notes(path, SOME) == SOME
    assert read_notes(path) == SOME
    assert tomllib.loads((path / NOTES_FILE).read_text(encoding="utf-8"))["title"] == SOME.title


def test_what_is_written_is_tidied(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    found = write_notes(path, RunNotes(title=" two\nlines ", notes="\n x \n", tags=("a", " a", "", "b, c ,a", "d\ne")))
    assert found == RunNotes(title="two lines", notes="x", tags=("a", "b", "c", "d e"))
    assert read_notes(path) == found


def test_empty_notes_leave_no_file(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    write_notes(path, SOME)
    write_notes(path, RunNotes())
    assert not (path / NOTES_FILE).exists()


def test_what_else_stands_in_the_file_stays(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    (path / NOTES_FILE).write_text('title = "a"\nmood = "good"\n[mine]\nx = 1\n')
    write_notes(path, RunNotes(notes="b"))
    assert tomllib.loads((path / NOTES_FILE).read_text()) == {"mood": "good", "mine": {"x": 1}, "notes": "b"}


def test_values_of_another_type_count_as_nothing(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    (path / NOTES_FILE).write_text('title = 3\nnotes = ["a"]\ntags = ["good", 4, {x = 1}]\n')
    assert read_notes(path) == RunNotes(tags=("good",))


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    (path / NOTES_FILE).write_text("title = ")
    with pytest.raises(FileError, match="is not a TOML file"):
        read_notes(path)
    with pytest.raises(FileError, match="so it was not replaced"):
        write_notes(path, SOME)
    assert (path / NOTES_FILE).read_text() == "title = "


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path, other = make_run(tmp_path / "run"), tmp_path / "other.toml"
    other.write_text('title = "secret"\n')
    (path / NOTES_FILE).symlink_to(other)
    assert read_notes(path) == RunNotes()
    write_notes(path, SOME)
    assert other.read_text() == 'title = "secret"\n'
    assert read_notes(path) == SOME


def test_a_write_that_fails_leaves_the_notes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_run(tmp_path / "run")
    write_notes(path, SOME)
    failed = 0
    for number in range(1, 12):
        calls = fail_call(monkeypatch, number)
        try:
            write_notes(path, RunNotes(title="other"))
        except FileError:
            failed += 1
            mend(monkeypatch)
            # The last call follows the rename: the new notes are whole by then.
            assert read_notes(path) in (SOME, RunNotes(title="other"))
        else:
            mend(monkeypatch)
            assert calls.count < number
            break
        write_notes(path, SOME)
    assert failed >= 3
    assert not list(path.glob(".part-*"))
