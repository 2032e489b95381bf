"""Three generations, trained and forked by the command: what each run says of where it comes from."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.tiny_command import TINY
from vae_explorer import cli
from vae_explorer.errors import FileError
from vae_explorer.runs.checkpoint import MODEL_FILE, read_checkpoint, write_checkpoint
from vae_explorer.runs.course_events import Ancestry, Forked, ancestry_in, changes_in, inherited_lines
from vae_explorer.runs.forking import checkpoint_near, discard_unbegun, fork
from vae_explorer.runs.history import read_events
from vae_explorer.runs.library import LibraryScanner
from vae_explorer.runs.run_course import course_words
from vae_explorer.runs.run_directory import Parent, RunDirectory
from vae_explorer.runs.run_status import RunStatus, judge
from vae_explorer.runs.stored_run import StoredRun, read_stored_run
from vae_explorer.training.run_config import with_value


@pytest.fixture
def old(tmp_path: Path) -> RunDirectory:
    """A run of two epochs with 8 steps each, changed by hand on the way."""
    path = tmp_path / "family" / "old"
    changes = ["--at-step", "9", "model.beta=3", "--at-step", "12", "training.learning_rate=0.002"]
    assert cli.main(["train", *TINY, *changes, "--run-dir", str(path)]) == 0
    return RunDirectory.open(path)


@pytest.fixture
def family(old: RunDirectory) -> Path:
    """A folder with `old`, its child `middle` of one more epoch, and of that the child `young`, of one more."""
    folder = old.path.parent
    middle = ["--epochs", "3", "--beta", "2", "--at-step", "20", "model.beta=5"]
    assert cli.main(["train", "--fork", str(folder / "old"), *middle, "--run-dir", str(folder / "middle")]) == 0
    young = ["--epochs", "4", "--run-dir", str(folder / "young")]
    assert cli.main(["train", "--fork", str(folder / "middle"), *young]) == 0
    return folder


def stored(folder: Path) -> StoredRun:
    return read_stored_run(RunDirectory.open(folder))


def test_inherited_curves_carry_what_was_changed_on_them_and_where_the_run_left_its_parents(family: Path) -> None:
    old, middle, young = (stored(family / name) for name in ("old", "middle", "young"))
    assert old.ancestry == Ancestry()
    assert middle.ancestry.changes == old.changes
    assert [(change.step, change.path, change.new) for change in middle.changes] == [(20, "model.beta", 5.0)]
    assert young.ancestry.changes == (*old.changes, *middle.changes)
    assert young.changes == ()
    first, second = young.ancestry.forks
    assert (first,) == middle.ancestry.forks
    assert (first.parent, first.step, second.parent, second.step) == ("old", 16, "middle", 24)
    assert first.changed == (("model.beta", "3", "2"), ("training.epochs", "2", "3"))
    rows = middle.history
    assert first.images_seen == rows.axis("images_seen", "train")[rows.axis("step", "train") <= 16][-1]


def test_a_fork_from_before_a_change_has_not_inherited_it(old: RunDirectory, tmp_path: Path) -> None:
    state = read_checkpoint(old.checkpoints()[-1])
    progress = {**state.state.progress, "step": 9, "epoch": 1.1}
    early = dataclasses.replace(state, step=9, state=dataclasses.replace(state.state, progress=progress))
    child = fork(old, early, with_value(old.config, "training.epochs", 5), tmp_path / "child")
    assert read_stored_run(child).ancestry.changes == ()


def test_the_library_the_command_and_the_report_tell_of_it(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {run.name: run for run in LibraryScanner(family).scan().runs}
    words = "child of middle, from its step 24, itself a child of old, from its step 16"
    assert runs["young"].ancestry.words == words
    assert course_words(runs["young"]) == f"young is a {words}."
    capsys.readouterr()
    assert cli.main(["runs", str(family)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.endswith("  child of")
    assert [line.rpartition("  ")[2] for line in lines[::2]] == ["old, step 16", "middle, step 24"]
    assert cli.main(["runs", str(family), "--json"]) == 0
    told = {run["name"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
    assert told["young"]["parents"] == [{"name": "middle", "step": 24}, {"name": "old", "step": 16}]
    assert told["middle"]["changes"] == [{"path": "model.beta", "step": 20, "new": 5.0}]
    assert told["old"]["parents"] == []
    page = tmp_path / "report.html"
    assert cli.main(["report", str(family / "young"), "--out", str(page), "--measures", "none"]) == 0
    text = page.read_text(encoding="utf-8")
    assert f"<p>C{words[1:]}.</p>" in text
    assert "Left its parent old here with model.beta from 3 to 2; training.epochs from 2 to 3" in text
    assert "<title>Left middle</title>" in text


def test_a_damaged_checkpoint_gives_way_to_the_next_nearest(old: RunDirectory) -> None:
    whole = read_checkpoint(old.checkpoints()[-1])
    for step in (2, 9):
        write_checkpoint(old, dataclasses.replace(whole.state, progress={**whole.state.progress, "step": step}))
    assert checkpoint_near(old, 8).step == 9
    (old.checkpoints_folder / "000000009" / MODEL_FILE).write_bytes(b"damaged")
    assert checkpoint_near(old, 8).step == 2
    assert checkpoint_near(old, 11).step == 16
    assert checkpoint_near(old, None).step == 16


def test_a_child_that_has_not_begun_is_told_apart(old: RunDirectory, tmp_path: Path) -> None:
    config = with_value(old.config, "training.epochs", 5)
    checkpoint = read_checkpoint(old.checkpoints()[-1])
    child = fork(old, checkpoint, config, tmp_path / "child")
    assert judge(child.path).status is RunStatus.BROKEN_OFF  # it can be continued
    discard_unbegun(child)
    assert not child.path.exists()
    discard_unbegun(old)
    assert old.path.exists()


CHANGED = {"event": "setting_changed", "images_seen": 1, "seconds": 1.0, "path": "model.beta", "old": 1, "new": 2}
LEFT = {"event": "forked", "images_seen": 1, "seconds": 1.0, "parent": "a\nb", "changed": []}


def at(step: int, line: Mapping[str, Any]) -> dict[str, Any]:
    return {**line, "step": step}


def test_a_later_start_takes_back_changes_and_no_forks() -> None:
    begun = {"event": "started", "step": 5}
    lines = [at(3, CHANGED), at(5, LEFT), begun, at(7, CHANGED), at(9, CHANGED), {"event": "started", "step": 8}]
    assert [change.step for change in changes_in(lines)] == [7]
    assert [change.step for change in ancestry_in(lines, None).changes] == [3]
    assert inherited_lines(lines, 8) == [at(3, CHANGED), at(5, LEFT), at(7, CHANGED)]
    assert inherited_lines(lines, 7) == [at(3, CHANGED), at(5, LEFT)]


def test_of_a_child_of_an_older_version_the_parent_is_known() -> None:
    (left,) = ancestry_in([{"event": "started", "step": 5}], Parent("old", 5)).forks
    assert (left.parent, left.step, left.changed) == ("old", 5, ())
    assert math.isnan(left.images_seen)


def test_long_lines_of_parents_are_cut_and_names_are_printable() -> None:
    assert Ancestry().words == ""
    left = Forked(parent="a\nb", step=1000, images_seen=1, seconds=1.0, changed=())
    assert Ancestry((left,)).words == "child of a?b, from its step 1,000"
    words = Ancestry((left,) * 9).words
    assert words.count("a?b") == 6
    assert words.endswith("and so on (9 in all)")


@pytest.mark.parametrize("line", [{"event": "forked"}, at(5, LEFT) | {"changed": 3}, at(5, LEFT) | {"changed": [1]}])
def test_a_fork_that_is_not_as_it_was_written_is_one_sentence(
    old: RunDirectory, tmp_path: Path, line: Mapping[str, Any]
) -> None:
    path = tmp_path / "strangers" / "run"
    path.mkdir(parents=True)
    (path / "run.toml").write_bytes((old.path / "run.toml").read_bytes())
    (path / "events.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(FileError, match="is not as VAE Explorer wrote it"):
        read_stored_run(RunDirectory.open(path))
    (summary,) = LibraryScanner(path.parent).scan().runs
    assert summary.ancestry == Ancestry()
    assert len(read_events(RunDirectory.open(path))) == 1
