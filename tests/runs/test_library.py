from __future__ import annotations

import json
import os
import random
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import Times
from tests.runs.library_folders import COMPLETED, STARTED, config_with, make_run, write_events, write_picture
from tests.runs.metric_files import metric_lines
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.runs import library, run_summary
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.library import BadFolder, LibraryScanner
from vae_explorer.runs.run_directory import CONFIG_FILE, METRICS_FILE, RunDirectory
from vae_explorer.runs.run_notes import RunNotes, write_notes
from vae_explorer.runs.run_status import RunStatus
from vae_explorer.runs.run_summary import RunSummary
from vae_explorer.training.events import Finished


def only_run(folder: Path) -> RunSummary:
    found = LibraryScanner(folder).scan()
    assert found.bad_folders == ()
    return found.runs[0]


def test_a_trained_run_is_summed_up(tmp_path: Path) -> None:
    run, events = train_tiny(tmp_path / "runs" / "first", tiny_config(epochs=5))
    write_notes(run.path, RunNotes(title="The first", notes="Small.\nAnd quick.", tags=("tiny", "test")))
    picture = write_picture(run.samples_folder / "new.png")
    os.utime(write_picture(run.samples_folder / "old.png"), (0, 0))
    found = only_run(tmp_path / "runs")
    heldout = read_metrics(run).of("heldout")
    at = heldout["elbo"].argmax()
    assert found.best == heldout["elbo"][at]
    assert found.best_step == heldout["step"][at]
    assert found.last_heldout["elbo"] == heldout["elbo"][-1]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert found.steps == finished.step
    assert found.seconds == read_metrics(run).columns["seconds"][-1] <= finished.seconds
    assert (found.name, found.label, found.model, found.dataset, found.protocol, found.bound) == (
        "first", "The first", "vae", "tiny", "dynamic", "ELBO(1)",
    )  # fmt: skip
    assert found.notes == RunNotes(title="The first", notes="Small.\nAnd quick.", tags=("tiny", "test"))
    assert found.status is RunStatus.FINISHED
    assert found.thumbnail is not None
    assert found.thumbnail.path == picture
    assert found.size_bytes == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert abs((datetime.now(UTC) - found.created).total_seconds()) < 120
    assert found.config == run.config
    assert found.remark == ""


def test_the_best_is_the_lowest_where_lower_is_better(tmp_path: Path) -> None:
    config = config_with(model__name="pca", data__protocol="gaussian")
    path = make_run(tmp_path / "pca", config, num_rows=0)
    values = {1: 9.5, 2: 3.25, 3: 4.0, 4: float("nan"), 5: float("inf")}
    lines = [f"{step},{step},{step},{step},heldout,{value}\n" for step, value in values.items()]
    text = "step,epoch,images_seen,seconds,split,squared_error\n" + "".join(lines)
    (path / METRICS_FILE).write_text(text, encoding="utf-8")
    found = only_run(tmp_path)
    assert (found.best, found.best_step, found.bound) == (3.25, 2, "Squared error")
    assert found.steps == 5
    assert "squared_error" not in found.last, "it is not finite there"


def test_a_run_that_has_not_begun_has_no_values(tmp_path: Path) -> None:
    RunDirectory.create(tiny_config(), tmp_path / "new")
    found = only_run(tmp_path)
    assert (found.best, found.best_step, found.steps, found.seconds) == (None, None, 0, 0.0)
    assert found.status is RunStatus.NOT_BEGUN


def test_a_second_look_reads_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        make_run(tmp_path / f"run-{number}", seed=number)
    (tmp_path / "letters").mkdir()
    scanner = LibraryScanner(tmp_path)
    first = scanner.scan()
    read: list[str] = []
    entry = library._entry
    monkeypatch.setattr(library, "_entry", lambda path, *rest: (read.append(path.name), entry(path, *rest))[1])
    second = scanner.scan()
    assert read == []
    assert all(a is b for a, b in zip(first.runs, second.runs, strict=True))

    with (tmp_path / "run-2" / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.writelines(metric_lines(100, seed=9, first_step=5000)[1:])
    write_notes(tmp_path / "run-3", RunNotes(title="Three"))
    write_picture(tmp_path / "run-4" / "samples" / "a.png")
    make_run(tmp_path / "run-7")
    shutil.rmtree(tmp_path / "run-0")
    third = scanner.scan()
    assert read == ["run-2", "run-3", "run-4", "run-7"]
    assert [run.name for run in third.runs] == ["run-1", "run-2", "run-3", "run-4", "run-5", "run-7"]
    by_name = {run.name: run for run in third.runs}
    assert by_name["run-2"].steps == 5000 + 99 * 12
    assert by_name["run-3"].label == "Three"
    thumbnail = by_name["run-4"].thumbnail
    assert thumbnail is not None
    assert thumbnail.path == tmp_path / "run-4" / "samples" / "a.png"
    assert {run.name for run in LibraryScanner(tmp_path).scan().runs} == set(by_name)


def test_of_a_run_that_grows_only_the_new_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_run(tmp_path / "run", num_rows=500)
    scanner = LibraryScanner(tmp_path)
    before = scanner.scan().runs[0]
    added = "".join(metric_lines(200, seed=5, first_step=6012)[1:])
    with (path / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(added)
    seen: list[bytes] = []
    only_split = run_summary.only_split
    monkeypatch.setattr(run_summary, "only_split", lambda *words: (seen.append(words[0]), only_split(*words))[1])
    after = scanner.scan().runs[0]
    assert b"".join(seen).decode() == added
    fresh = only_run(tmp_path)
    assert (after.best, after.best_step, after.last) == (fresh.best, fresh.best_step, fresh.last)
    assert before.best is not None
    assert after.best is not None
    assert after.best >= before.best


def test_curves_that_were_rewritten_or_cut_start_anew(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", num_rows=500)
    scanner = LibraryScanner(tmp_path)
    scanner.scan()
    for lines in (metric_lines(60, seed=3), metric_lines(900, seed=4), metric_lines(0)):
        (path / METRICS_FILE).write_text("".join(lines), encoding="utf-8")
        found, fresh = scanner.scan().runs[0], only_run(tmp_path)
        assert (found.best, found.best_step, found.last) == (fresh.best, fresh.best_step, fresh.last)
    (path / METRICS_FILE).unlink()
    assert scanner.scan().runs[0].best is None


def test_folders_that_are_no_runs_are_listed_with_the_reason(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside" / "secret")
    folder = tmp_path / "runs"
    make_run(folder / "good")
    (folder / "empty").mkdir()
    (folder / "letters").mkdir()
    (folder / "letters" / "a.txt").write_text("mine")
    for number in range(3):
        make_run(folder / "my-sweep" / f"beta-{number}")
    (folder / "letter.txt").write_text("a file is no folder")
    newer = make_run(folder / "newer")
    (newer / CONFIG_FILE).write_text("format_version = 99\n")
    unknown = make_run(folder / "unknown-model")
    (unknown / CONFIG_FILE).write_text('format_version = 1\n[model]\nname = "gan"\n')
    torn = make_run(folder / "torn")
    (torn / CONFIG_FILE).write_text("format_version = 1\n[mod")
    linked = make_run(folder / "linked-config")
    (linked / CONFIG_FILE).unlink()
    (linked / CONFIG_FILE).symlink_to(outside / CONFIG_FILE)
    (folder / "piped").mkdir()
    os.mkfifo(folder / "piped" / CONFIG_FILE)
    (folder / "out").symlink_to(outside)
    (folder / "twin").symlink_to("good")
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to(".")
    (folder / "round").symlink_to("about")
    (folder / "about").symlink_to("round")
    (folder / "nowhere").symlink_to("gone")
    (folder / "link-to-a-file").symlink_to("letter.txt")
    os.mkfifo(folder / "pipe")
    found = LibraryScanner(folder).scan()
    assert [run.name for run in found.runs] == ["good"]
    reasons = {bad.name: bad.reason for bad in found.bad_folders}
    words = {
        "empty": "It is empty.",
        "letters": "It holds no run.toml",
        "my-sweep": "holds 3 runs; choose it as the folder",
        "newer": "newer than this program's 1",
        "unknown-model": "model.name cannot be 'gan'",
        "torn": "is not a TOML file",
        "linked-config": "no plain file of this folder",
        "piped": "no plain file of this folder",
        "out": "leads out of this folder",
        "twin": "a link to good, which is listed itself",
        "up": "leads in a circle",
        "self": "leads in a circle",
        "round": "leads in a circle",
        "about": "leads in a circle",
        "nowhere": "leads nowhere",
    }
    assert set(reasons) == set(words)
    for name, expected in words.items():
        assert expected in reasons[name], name
        assert reasons[name].endswith("."), name


def test_a_runs_links_are_not_followed(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside" / "other", seed=5)
    write_picture(outside / "samples" / "a.png")
    run = make_run(tmp_path / "runs" / "run", num_rows=0, events=())
    for name in (METRICS_FILE, "events.jsonl", "samples"):
        if (run / name).exists():
            (run / name).unlink()
        (run / name).symlink_to(outside / name)
    (run / "checkpoints").symlink_to(outside)
    found = LibraryScanner(tmp_path / "runs").scan().runs[0]
    assert (found.best, found.thumbnail, found.status) == (None, None, RunStatus.NOT_BEGUN)
    assert found.size_bytes == (run / CONFIG_FILE).stat().st_size
    for name in (METRICS_FILE, "events.jsonl", "samples"):
        assert f"{name} is a link, which is not followed." in found.remark


def test_damaged_parts_cost_only_themselves(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    (path / "notes.toml").write_text("title = ")
    (path / METRICS_FILE).write_bytes(b"not ours\n1,2,3\n")
    (path / "events.jsonl").write_bytes(
        b'{"event": "started"\n\xff\xfe\n[1]\n{"event": "finished", "reason": "completed"}\n'
    )
    scanner = LibraryScanner(tmp_path)
    for _ in range(2):
        found = scanner.scan().runs[0]
        assert found.status is RunStatus.FINISHED
        assert "notes.toml is not a TOML file" in found.remark
        assert "no column 'split'" in found.remark
        with (path / METRICS_FILE).open("a") as file:
            file.write("4,5,6\n")


def test_damaged_checks_are_left_out_and_counted(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", num_rows=200)
    lines = (path / METRICS_FILE).read_text().splitlines(keepends=True)
    damaged = [line.replace("heldout", "heldout,,") if ",heldout," in line else line for line in lines[:110]]
    (path / METRICS_FILE).write_text("".join([*damaged, *lines[110:]]))
    found = only_run(tmp_path)
    assert found.remark == "Damaged lines of metrics.csv are left out: 2."
    assert found.best_step in {12 * 150, 12 * 200}


def test_of_a_folder_that_is_itself_a_run_that_run_is_listed(tmp_path: Path) -> None:
    make_run(tmp_path / "run", num_checkpoints=2)
    found = LibraryScanner(tmp_path / "run").scan()
    assert [run.name for run in found.runs] == ["run"]
    assert found.bad_folders == ()


def test_a_folder_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no folder"):
        LibraryScanner(tmp_path / "nowhere").scan()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file, not a folder"):
        LibraryScanner(tmp_path / "file").scan()
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(FileError, match="links lead in a circle"):
        LibraryScanner(tmp_path / "round").scan()


def test_a_library_that_is_reached_by_a_link_is_read(tmp_path: Path) -> None:
    make_run(tmp_path / "real" / "run")
    (tmp_path / "link").symlink_to("real")
    assert [run.name for run in LibraryScanner(tmp_path / "link").scan().runs] == ["run"]


def test_a_look_can_be_cancelled_and_goes_on_later(tmp_path: Path) -> None:
    for number in range(5):
        make_run(tmp_path / f"run-{number}")
    scanner, told = LibraryScanner(tmp_path), []
    partly = scanner.scan(lambda: len(told) >= 2, lambda done, total: told.append((done, total)))
    assert [run.name for run in partly.runs] == ["run-0", "run-1"]
    assert told == [(1, 5), (2, 5)]
    assert len(scanner.scan().runs) == 5


def test_a_run_that_goes_away_during_a_look_is_not_listed(tmp_path: Path) -> None:
    for number in range(3):
        make_run(tmp_path / f"run-{number}")

    def remove_the_last(done: int, _total: int) -> None:
        if done == 1:
            shutil.rmtree(tmp_path / "run-2")

    found = LibraryScanner(tmp_path).scan(progress=remove_the_last)
    assert [run.name for run in found.runs] == ["run-0", "run-1"]
    assert found.bad_folders == ()


def test_folders_beyond_the_most_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "MOST_FOLDERS", 3)
    for number in range(5):
        make_run(tmp_path / f"run-{number}", num_rows=0)
    found = LibraryScanner(tmp_path).scan()
    assert (len(found.runs), found.num_left_out) == (3, 2)


def test_a_run_whose_writer_was_killed_is_seen_without_any_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    (path / "writer.lock").write_text(json.dumps({"host": socket.gethostname(), "pid": 1}))
    scanner = LibraryScanner(tmp_path)
    assert scanner.scan().runs[0].status is RunStatus.RUNNING
    monkeypatch.setattr("vae_explorer.runs.writer_lock._is_running", lambda _pid: False)
    assert scanner.scan().runs[0].status is RunStatus.BROKEN_OFF


def test_altered_run_folders_never_break_a_look(tmp_path: Path, times: Times) -> None:
    num_runs = times(120, 5000)
    chance, names = random.Random(11), (CONFIG_FILE, METRICS_FILE, "events.jsonl", "notes.toml")
    for number in range(num_runs):
        path = make_run(tmp_path / f"run-{number:04d}", num_rows=60, events=(STARTED, COMPLETED))
        write_notes(path, RunNotes(title="Title", tags=("a",)))
        target = path / chance.choice(names)
        content = bytearray(target.read_bytes())
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(content) or 1)
            match chance.randrange(3):
                case 0 if content:
                    content[at] = chance.randrange(256)
                case 1:
                    del content[at : at + chance.randint(1, 40)]
                case _:
                    content[at:at] = chance.randbytes(chance.randint(1, 40))
        target.write_bytes(content)
    found = LibraryScanner(tmp_path).scan()
    assert len(found.runs) + len(found.bad_folders) == num_runs
    assert len(found.runs) > num_runs / 2
    assert all(bad.reason for bad in found.bad_folders)


def test_a_status_is_read_anew_when_events_change(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", events=(STARTED,))
    scanner = LibraryScanner(tmp_path)
    assert scanner.scan().runs[0].status is RunStatus.BROKEN_OFF
    write_events(path, STARTED, COMPLETED)
    assert scanner.scan().runs[0].status is RunStatus.FINISHED


def test_a_bad_folder_that_was_mended_is_a_run(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    content = (path / CONFIG_FILE).read_text()
    (path / CONFIG_FILE).write_text("?")
    scanner = LibraryScanner(tmp_path)
    assert isinstance(scanner.scan().bad_folders[0], BadFolder)
    (path / CONFIG_FILE).write_text(content)
    assert scanner.scan().runs[0].name == "run"


def test_a_run_without_its_curves_says_so(tmp_path: Path) -> None:
    make_run(tmp_path / "run", num_rows=0)
    make_run(tmp_path / "unbegun", num_rows=0, events=())
    found = {run.name: run.remark for run in LibraryScanner(tmp_path).scan().runs}
    assert found == {"run": "It has no metrics.csv, so no curves.", "unbegun": ""}
