"""The table of runs: its order, what is in sight of it, what is written in it, and what it says of other folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QIcon, QImage
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.runs.library_folders import STARTED, config_with, iwae_config, make_run, write_picture
from tests.runs.metric_files import metric_lines
from vae_explorer.gui.run_marks import NO_MARK, CurveColours, RunMark, marks_of, marks_table
from vae_explorer.gui.tables.run_columns import RUN_COLUMNS
from vae_explorer.gui.tables.runs_filter import RunsFilter
from vae_explorer.gui.tables.runs_table import COLUMN_OF, RunsTable
from vae_explorer.runs.library import LibraryScanner
from vae_explorer.runs.run_notes import RunNotes, write_notes

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five runs under two protocols, and two other folders."""
    folder = tmp_path / "runs"
    for number, (name, protocol, rows) in enumerate(
        [("a", "grey", 400), ("b", "dynamic", 900), ("c", "grey", 800), ("d", "dynamic", 300), ("e", "grey", 0)]
    ):
        events = (STARTED,) if name == "b" else (STARTED, {"event": "finished", "reason": "completed"})
        created = f"2026-11-2{number}T10:00:00+00:00"
        make_run(folder / name, config_with(data__protocol=protocol), num_rows=rows, events=events, created=created)
    (folder / "letters").mkdir()
    (folder / "notes & <b>").mkdir()
    return folder


@pytest.fixture
def table(folder: Path, qapp: QApplication) -> RunsTable:
    table = RunsTable()
    table.show_library(LibraryScanner(folder).scan())
    return table


def names(table: RunsTable) -> list[str]:
    return [entry.name for entry in table.entries]


def in_sight(rows: RunsFilter) -> list[str]:
    return [str(rows.index(row, COLUMN_OF["run"]).data()) for row in range(rows.rowCount())]


def cell(table: RunsTable, name: str, column: str) -> QModelIndex:
    return table.index(names(table).index(name), COLUMN_OF[column])


def test_the_tables_keep_qts_rules(table: RunsTable, folder: Path) -> None:
    rows = RunsFilter(table)
    modes = QAbstractItemModelTester.FailureReportingMode.Fatal
    testers = [QAbstractItemModelTester(model, modes) for model in (table, rows)]
    scanner = LibraryScanner(folder)
    table.show_library(scanner.scan())
    rows.sort(COLUMN_OF["best"], UP)
    rows.search("grey")
    make_run(folder / "f")
    write_notes(folder / "c", RunNotes(title="z"))
    table.show_library(scanner.scan())
    table.mark_runs([folder / "c"], is_pinned=True)
    rows.search("")
    table.setData(cell(table, "a", "tags"), "x, y")
    (folder / "b" / "run.toml").unlink()
    table.show_library(scanner.scan())
    table.clear()
    assert len(testers) == 2


def test_every_column_says_what_it_is_and_its_unit(table: RunsTable) -> None:
    titles = {column.name: column.title for column in RUN_COLUMNS}
    assert "nats/image" in titles["best"]
    assert "h:min:s" in titles["seconds"]
    assert "MB" in titles["size"]
    for number, column in enumerate(RUN_COLUMNS):
        assert table.headerData(number, Qt.Orientation.Horizontal) == column.title
        assert table.headerData(number, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert len(COLUMN_OF) == len(RUN_COLUMNS)


def test_cells_say_what_is_known_of_a_run(table: RunsTable) -> None:
    texts = {column: cell(table, "c", column).data() for column in COLUMN_OF}
    assert (texts["run"], texts["status"], texts["model"], texts["protocol"]) == ("c", "finished", "vae", "grey")
    assert texts["bound"] == "ELBO(1)"
    assert float(texts["best"]) > float(cell(table, "a", "best").data())
    assert texts["seconds"] == "0:01:20"
    assert isinstance(cell(table, "c", "status").data(Qt.ItemDataRole.DecorationRole), QIcon)
    assert cell(table, "b", "status").data() == "broken off"
    assert "no longer" in cell(table, "b", "status").data(Qt.ItemDataRole.ToolTipRole)
    assert cell(table, "e", "best").data() == ""


def test_a_score_of_another_unit_says_its_unit(tmp_path: Path, qapp: QApplication) -> None:
    path = make_run(tmp_path / "pca", config_with(model__name="pca", data__protocol="gaussian"), num_rows=0)
    head = "step,epoch,images_seen,seconds,split,squared_error\n"
    (path / "metrics.csv").write_text(f"{head}1,1,1,1,heldout,9.5\n")
    table = RunsTable()
    table.show_library(LibraryScanner(tmp_path).scan())
    assert cell(table, "pca", "best").data() == "9.50 squared error per image"


def test_other_folders_stand_last_with_their_reason(table: RunsTable) -> None:
    for column in ("run", "best", "created"):
        for order in (UP, DOWN):
            table.sort(COLUMN_OF[column], order)
            assert names(table)[-2:] == ["letters", "notes & <b>"]
    assert cell(table, "letters", "status").data() == "not a run: It is empty."
    assert cell(table, "letters", "model").data() is None
    assert not cell(table, "letters", "run").flags() & Qt.ItemFlag.ItemIsEditable
    tip = cell(table, "notes & <b>", "run").data(Qt.ItemDataRole.ToolTipRole)
    assert "notes &amp; &lt;b&gt;" in tip


def test_runs_are_put_in_order_and_what_has_no_value_stands_after(table: RunsTable) -> None:
    table.sort(COLUMN_OF["created"], DOWN)
    assert names(table)[:5] == ["e", "d", "c", "b", "a"]
    table.sort(COLUMN_OF["steps"], UP)
    assert names(table)[:5] == ["e", "d", "a", "c", "b"]
    table.sort(COLUMN_OF["best_step"], UP)
    assert names(table)[4] == "e"
    table.sort(COLUMN_OF["best_step"], DOWN)
    assert names(table)[4] == "e"


def test_values_of_different_protocols_are_not_ranked_with_one_another(table: RunsTable) -> None:
    table.sort(COLUMN_OF["best"], DOWN)
    assert names(table)[:5] == ["b", "d", "c", "a", "e"]
    table.sort(COLUMN_OF["best"], UP)
    assert names(table)[:5] == ["d", "b", "a", "c", "e"]


def test_pinned_runs_stand_first_in_every_order(table: RunsTable, folder: Path) -> None:
    table.mark_runs([folder / "a", folder / "d"], is_pinned=True)
    for order in (UP, DOWN):
        table.sort(COLUMN_OF["created"], order)
        assert set(names(table)[:2]) == {"a", "d"}
    table.mark_runs([folder / "a"], is_pinned=False)
    assert names(table)[0] == "d"
    assert table.mark_of(folder / "a") is NO_MARK
    assert str(folder / "a") not in table.marks


def test_a_selection_stays_with_its_run_when_the_order_changes(table: RunsTable, folder: Path) -> None:
    rows = RunsFilter(table)
    selection = QItemSelectionModel(rows)
    select = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    selection.select(rows.index(names(table).index("c"), 0), select)
    rows.sort(COLUMN_OF["steps"], DOWN)
    assert [index.siblingAtColumn(COLUMN_OF["run"]).data() for index in selection.selectedRows()] == ["c"]
    scanner = LibraryScanner(folder)
    table.show_library(scanner.scan())
    make_run(folder / "f", num_rows=1000)
    table.show_library(scanner.scan())
    assert names(table).index("f") < names(table).index("c")
    assert [index.siblingAtColumn(COLUMN_OF["run"]).data() for index in selection.selectedRows()] == ["c"]


def test_a_new_look_changes_only_the_rows_that_changed(table: RunsTable, folder: Path, qtbot: QtBot) -> None:
    scanner = LibraryScanner(folder)
    table.show_library(scanner.scan())
    changed: list[int] = []
    table.dataChanged.connect(lambda first, last, _roles: changed.extend(range(first.row(), last.row() + 1)))
    table.modelReset.connect(lambda: pytest.fail("nothing new is shown as another folder"))
    table.show_library(scanner.scan())
    assert changed == []
    with (folder / "c" / "metrics.csv").open("a") as file:
        file.writelines(metric_lines(50, first_step=50_000)[1:])
    table.show_library(scanner.scan())
    assert [names(table)[row] for row in changed] == ["c"]


def test_words_are_searched_in_everything_a_person_may_remember(table: RunsTable, folder: Path) -> None:
    rows = RunsFilter(table)
    others = {"letters", "notes & <b>"}
    for words, expected in {
        "DYNAMIC": {"b", "d"}, "grey finished": {"a", "c", "e"}, "broken": {"b"}, "not a run": others,
        "elbo(1) dyn": {"b", "d"}, "nothing of this": set(), "": {*"abcde", *others},
    }.items():  # fmt: skip
        rows.search(words)
        assert set(in_sight(rows)) == expected, words
    table.setData(cell(table, "d", "run"), "The second one")
    table.setData(cell(table, "d", "notes"), "Too slow,\nsadly")
    table.setData(cell(table, "a", "tags"), "Paper")
    for words, expected in {"second": {"The second one"}, "sadly": {"The second one"}, "paper": {"a"}}.items():
        rows.search(words)
        assert set(in_sight(rows)) == expected, words


def test_values_are_chosen_and_hidden_runs_are_out_of_sight(table: RunsTable, folder: Path) -> None:
    rows = RunsFilter(table)
    rows.choose("protocol", "grey")
    assert set(in_sight(rows)) == {"a", "c", "e"}
    rows.choose("status", "finished")
    rows.choose("protocol", "")
    assert set(in_sight(rows)) == {"a", "c", "d", "e"}
    rows.choose("status", "not a run")
    assert set(in_sight(rows)) == {"letters", "notes & <b>"}
    rows.choose("status", "")
    table.mark_runs([folder / "a", folder / "letters"], is_hidden=True)
    rows.look_again()
    assert set(in_sight(rows)) == {*"bcde", "notes & <b>"}
    rows.show_hidden(True)
    assert "a" in in_sight(rows)


def test_titles_tags_and_notes_are_written_in_place(table: RunsTable, folder: Path, qtbot: QtBot) -> None:
    def written(column: str, text: str) -> RunNotes:
        with qtbot.waitSignal(table.notes_changed) as told:
            assert table.setData(cell_of_a(column), text)
        assert told.args[0] == folder / "a"
        return told.args[1]

    def cell_of_a(column: str) -> QModelIndex:
        return table.index(table.row_of(folder / "a"), COLUMN_OF[column])

    assert written("run", "  My\nbest ") == RunNotes(title="My best")
    assert written("tags", "x, y,, x ") == RunNotes(title="My best", tags=("x", "y"))
    assert written("notes", "One.\nTwo.") == RunNotes(title="My best", tags=("x", "y"), notes="One.\nTwo.")
    assert cell_of_a("run").data() == "My best"
    assert cell_of_a("tags").data() == "x, y"
    assert cell_of_a("notes").data() == "One. Two."
    assert cell_of_a("notes").data(Qt.ItemDataRole.EditRole) == "One.\nTwo."
    assert written("run", "a").title == "", "the folder's own name is no title"
    with qtbot.assertNotEmitted(table.notes_changed):
        assert table.setData(cell_of_a("tags"), "x, y")
        assert not table.setData(cell_of_a("status"), "finished")
    assert not cell_of_a("status").flags() & Qt.ItemFlag.ItemIsEditable


def test_thumbnails_are_asked_for_when_they_are_seen_and_once(tmp_path: Path, qtbot: QtBot) -> None:
    write_picture(make_run(tmp_path / "with") / "samples" / "a.png")
    make_run(tmp_path / "without")
    table = RunsTable()
    table.show_library(LibraryScanner(tmp_path).scan())
    with qtbot.waitSignal(table.thumbnails_wanted) as told:
        blank = cell(table, "with", "run").data(Qt.ItemDataRole.DecorationRole)
        assert cell(table, "without", "run").data(Qt.ItemDataRole.DecorationRole) is not None
    (picture,) = told.args[0]
    assert picture.path == tmp_path / "with" / "samples" / "a.png"
    image = QImage(52, 52, QImage.Format.Format_Grayscale8)
    image.fill(200)
    with qtbot.assertNotEmitted(table.thumbnails_wanted, wait=50):
        table.show_thumbnails({picture: image})
        shown = cell(table, "with", "run").data(Qt.ItemDataRole.DecorationRole)
    assert shown.pixmap(26).toImage().pixelColor(13, 13).value() == 200
    assert blank.pixmap(26).toImage().pixelColor(13, 13).alpha() == 0
    assert shown.pixmap(26, mode=QIcon.Mode.Selected).toImage() == shown.pixmap(26).toImage(), "a colour says something"


def test_bounds_of_more_samples_are_ranked_apart(tmp_path: Path, qapp: QApplication) -> None:
    for name, samples in (("five", 5), ("fifty", 50), ("five again", 5)):
        make_run(tmp_path / name, iwae_config(samples), num_rows=0)
    table = RunsTable()
    table.show_library(LibraryScanner(tmp_path).scan())
    table.sort(COLUMN_OF["best"], UP)
    assert [entry.bound for entry in table.runs] == ["IWAE-5", "IWAE-5", "IWAE-50"]


def test_marks_are_remembered_and_rubbish_is_none() -> None:
    marks = {"/a": RunMark(is_pinned=True), "/b": RunMark(is_hidden=True, colour=3), "/c": NO_MARK}
    assert marks_of(marks_table(marks), 10) == {"/a": marks["/a"], "/b": marks["/b"]}
    assert marks_of("rubbish", 10) == {}
    assert marks_of({"/a": 3, "/b": {"is_pinned": "yes", "colour": 99}}, 10) == {"/b": NO_MARK}


def test_drawn_runs_keep_their_colours_and_share_none_while_some_are_free() -> None:
    colours = CurveColours(10)
    first = colours.colours_of(["a", "b", "c"], {})
    assert len(set(first.values())) == 3
    second = colours.colours_of(["c", "d"], {})
    assert second["c"] == first["c"]
    assert second["d"] != second["c"]
    chosen = colours.colours_of(["c", "d"], {"d": RunMark(colour=first["c"])})
    assert chosen["d"] == first["c"]
    assert chosen["c"] != chosen["d"]
    many = colours.colours_of([str(number) for number in range(20)], {})
    assert sorted(many.values()) == sorted([*range(10), *range(10)])
