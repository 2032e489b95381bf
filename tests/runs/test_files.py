from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.failing_calls import ERRORS, SHORT_WRITE, fail_call, mend
from vae_explorer.errors import FileError
from vae_explorer.runs import files

OLD = b"old content\n"


def write_whole(folder: Path) -> None:
    files.write_bytes_atomic(folder / "file", b"new content, longer than the old\n")


def append(folder: Path) -> None:
    files.append_text(folder / "file", "one line\nanother line\n")


def write_folder(folder: Path) -> None:
    files.write_folder(folder / "whole", {"a": b"new a", "b": b"new b"})


def write_nested_folder(folder: Path) -> None:
    files.write_folder(folder / "whole", {"a": b"new a", "in/b": b"new b"})


def folder_content(folder: Path) -> dict[str, bytes]:
    found = (entry for entry in folder.rglob("*") if entry.is_file())
    return {str(entry.relative_to(folder)): entry.read_bytes() for entry in found}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("write", [write_whole, append, write_folder, write_nested_folder])
def test_when_any_call_fails_the_old_data_is_intact_and_the_next_attempt_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], error: int
) -> None:
    failures = 0
    for failing in range(1, 100):
        folder = tmp_path / str(failing)
        (folder / "whole").mkdir(parents=True)
        (folder / "file").write_bytes(OLD)
        (folder / "whole" / "a").write_bytes(b"old a")
        calls = fail_call(monkeypatch, failing, error)
        try:
            write(folder)
        except FileError as trouble:
            failures += 1
            assert str(folder) in trouble.message
            assert trouble.message.endswith(".")
            assert trouble.hint.endswith(".")
        mend(monkeypatch)
        file = (folder / "file").read_bytes()
        whole = folder_content(folder / "whole")
        assert file in {OLD, b"new content, longer than the old\n", OLD + b"one line\nanother line\n"}
        inner = "in/b" if write is write_nested_folder else "b"
        assert whole in ({"a": b"old a"}, {"a": b"new a", inner: b"new b"})
        write(folder)
        if write in (write_folder, write_nested_folder):
            assert folder_content(folder / "whole") == {"a": b"new a", inner: b"new b"}
        if calls.count < failing:
            break
    else:
        pytest.fail("the calls never came to an end")
    assert failures == 0 if error == SHORT_WRITE else failures >= 3


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_call(monkeypatch, 3, errno.ENOSPC)
    with pytest.raises(FileError, match="disk is full") as caught:
        write_whole(tmp_path)
    assert "Free some space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_file_gets_its_name_only_where_what_was_read_back_is_good(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    seen: list[bytes] = []

    def refuse(content: bytes) -> None:
        seen.append(content)
        raise FileError(path, "It is not good.")

    with pytest.raises(FileError, match="not good"):
        files.write_bytes_atomic(path, b"new", refuse)
    assert seen == [b"new"]
    assert folder_content(tmp_path) == {"file": OLD}
    files.write_bytes_atomic(path, b"new", seen.append)
    assert folder_content(tmp_path) == {"file": b"new"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "permission is denied"),
        (errno.EIO, "the disk reports an error"),
    ],
)
def test_what_the_system_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, words: str
) -> None:
    fail_call(monkeypatch, 1, error)
    with pytest.raises(FileError) as caught:
        append(tmp_path)
    assert caught.value.message == f"{tmp_path / 'file'} cannot be written: {words}."
    assert caught.value.path == tmp_path / "file"


def test_a_cut_line_is_removed_before_the_next_is_added(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"whole\ncut off in the mid")
    files.append_text(path, "next\n")
    assert path.read_bytes() == b"whole\nnext\n"
    path.write_bytes(b"nothing but a cut line")
    files.append_text(path, "next\n")
    assert path.read_bytes() == b"next\n"


@pytest.mark.parametrize("name", ["with spaces and – dashes", "目录 данные ñ", "x" * 250])
def test_any_name_can_be_written_and_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    files.write_text_atomic(path, "grüße\n")
    files.append_text(path, "weiter\n")
    assert files.read_bytes(path, 100).decode() == "grüße\nweiter\n"
    files.write_folder(tmp_path / (name[:200] + " folder"), {"α": b"1"})
    assert (tmp_path / (name[:200] + " folder") / "α").read_bytes() == b"1"


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(FileError, match="a part of the path is a file"):
        write_whole(tmp_path / "file")
    with pytest.raises(FileError, match="cannot be made into a folder"):
        files.make_folder(tmp_path / "file" / "deeper")


def test_a_missing_folder_a_long_name_and_a_loop_of_links(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        files.write_bytes_atomic(tmp_path / "nowhere" / "file", b"")
    with pytest.raises(FileError, match="name is too long"):
        files.append_text(tmp_path / ("x" * 300), "line\n")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(FileError, match="lead in a circle"):
        files.append_text(tmp_path / "loop", "line\n")


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(FileError, match="larger than 100 bytes"):
        files.read_bytes(tmp_path / "file", 100)
    assert len(files.read_bytes(tmp_path / "file", 101)) == 101


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_file_that_could_not_be_created_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    fail_call(monkeypatch, failing)
    with pytest.raises(FileError, match="the disk is full"):
        files.create_exclusive(tmp_path / "lock", "mine")
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_two_creates_a_file(tmp_path: Path) -> None:
    assert files.create_exclusive(tmp_path / "lock", "first")
    assert not files.create_exclusive(tmp_path / "lock", "second")
    assert (tmp_path / "lock").read_text() == "first"


def test_removing_takes_all_or_is_silent(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "folder", {"a": b"1"})
    files.remove_folder(tmp_path / "folder")
    files.remove_folder(tmp_path / "folder")
    files.remove_file(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_go(tmp_path: Path) -> None:
    (tmp_path / f"{files.TEMPORARY_PREFIX}1").mkdir()
    (tmp_path / f"{files.TEMPORARY_PREFIX}1" / "a").write_bytes(b"1")
    (tmp_path / f"{files.TEMPORARY_PREFIX}2").write_bytes(b"1")
    (tmp_path / "000000001").mkdir()
    files.remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["000000001"]


def test_a_path_is_expanded_or_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    assert files.expanded(Path("~/my runs")) == own_home / "my runs"
    with pytest.raises(FileError, match="names a home folder that this machine does not know"):
        files.expanded(Path("~nobody.of.this.name/run"))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert files.expanded(tmp_path) == tmp_path
    with pytest.raises(FileError, match="started in is gone"):
        files.expanded(Path("run"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "x" * 300, "\0", "file/deeper"])
def test_asking_whether_something_is_there_never_raises(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    assert files.exists(tmp_path / "file")
    assert files.is_folder(tmp_path)
    assert not files.exists(tmp_path / name)
    assert not files.is_folder(tmp_path / name)
