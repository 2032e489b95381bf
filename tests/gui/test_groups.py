"""Selection, groups and attribute directions through the real window, on tiny images."""

from __future__ import annotations

import csv
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QTextDocument, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui import theme
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.groups import GroupsPanel
from vae_explorer.gui.widgets.group_directions import amount_text, with_amount
from vae_explorer.gui.widgets.group_edit import STRIP_AMOUNTS
from vae_explorer.gui.widgets.group_parts import ChoiceBox, ClassBars
from vae_explorer.gui.widgets.group_selection import VALUES
from vae_explorer.latent.arrangement import Arrangement, Direction, Group, ItemSet, edit_vector, edited_point
from vae_explorer.latent.layers import GivenPosterior
from vae_explorer.latent.path_catalogue import Bend, PathChoice

ACROSS, DOWN, SQUARE = range(3)


class Stage:
    """The window with the groups panel in front."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.session, self.map = window.session, window.session.map
        self.panel: GroupsPanel = window.panel("groups")
        window.docks["groups"].raise_()
        self.wait(lambda: window.docks["groups"].is_seen)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    @property
    def labels(self) -> np.ndarray:
        return self.session.dataset.labels_N.numpy()

    @property
    def codes(self) -> np.ndarray:
        return self.session.snapshot.codes_ND.numpy().astype(np.float64)

    def select(self, label: int) -> None:
        self.panel.selection.label.setCurrentIndex(label)
        self.panel.selection.select_label.click()

    def make_group(self, label: int, name: str) -> None:
        self.select(label)
        self.panel.make_group()
        self.panel.groups.name.setText(name)
        QTest.keyClick(self.panel.groups.name, Qt.Key.Key_Return)

    def make_direction(self) -> Direction:
        """“across” minus “down”, as a person makes it."""
        self.make_group(ACROSS, "flat")
        self.make_group(DOWN, "upright")
        self.panel.directions.add.click()
        self.wait(lambda: len(self.map.arrangement.directions) == 1)
        return self.map.arrangement.directions[0]

    def decoded(self, z_D: np.ndarray) -> np.ndarray:
        """By a second explorer, which shares nothing with the window's."""
        from vae_explorer.latent.explorer import Explorer

        explorer = Explorer()
        explorer.adopt(self.session.snapshot)
        return explorer.decode(np.atleast_2d(z_D))[0]

    def shows(self, image: QImage | None, z_D: np.ndarray) -> bool:
        return image is not None and np.abs(pixels(image) - self.decoded(z_D).astype(int)).max() <= 1

    def undo(self) -> None:
        self.session.undo_stack.undo()

    def is_open(self, slot: str) -> bool:
        return self.map._survey.is_open(slot) or self.map._fast.is_open(slot)


def pixels(image: QImage) -> np.ndarray:
    return np.array([[image.pixelColor(x, y).red() for x in range(image.width())] for y in range(image.height())])


@pytest.fixture
def stage(window: MainWindow, qtbot: QtBot) -> Stage:
    return Stage(window, qtbot)


def test_a_class_is_selected_whole_another_added_and_all_of_it_undone(stage: Stage) -> None:
    selection = stage.panel.selection
    assert selection.count.text() == "0 of 240 selected"
    assert [selection.label.itemText(row) for row in range(3)] == ["across", "down", "square"]
    stage.select(DOWN)
    expected = np.flatnonzero(stage.labels == DOWN)
    assert stage.map.arrangement.selection == ItemSet(expected)
    assert selection.count.text() == f"{len(expected)} of 240 selected"
    selection.label.setCurrentIndex(SQUARE)
    selection.add_label.click()
    both = np.flatnonzero(stage.labels != ACROSS)
    assert stage.map.arrangement.selection == ItemSet(both)
    selection.invert.click()
    assert stage.map.arrangement.selection == ItemSet(np.flatnonzero(stage.labels == ACROSS))
    stage.undo()
    assert stage.map.arrangement.selection == ItemSet(both)
    stage.panel.clear_selection()
    assert stage.map.arrangement.selection is None
    assert not selection.clear.isEnabled()
    stage.undo()
    assert selection.count.text() == f"{len(both)} of 240 selected"


def test_inverting_everything_leaves_nothing_and_says_so(stage: Stage) -> None:
    stage.panel.selection.invert.click()
    assert stage.panel.selection.count.text() == "240 of 240 selected"
    stage.panel.selection.invert.click()
    assert stage.map.arrangement.selection is None
    assert "nothing is" in stage.panel.selection.note.text()


def test_items_are_selected_by_the_value_that_they_have(stage: Stage) -> None:
    from vae_explorer.latent.code_values import VALUES as NAMED
    from vae_explorer.latent.explorer import Explorer

    assert {name for name, _, _ in VALUES} == {*NAMED, "distance"}
    selection = stage.panel.selection
    selection.value.setCurrentIndex([name for name, _, _ in VALUES].index("kl"))
    explorer = Explorer()
    explorer.adopt(stage.session.snapshot)
    explorer.show_images(stage.session.dataset)
    kl_N = explorer.posterior(explorer.seen(np.arange(240))).kl().numpy()
    middle = float(np.median(kl_N))
    # Not so near to an item's value that the last digit decides.
    below = kl_N[kl_N < middle].max()
    QTest.keyClicks(selection.high, repr(float((middle + below) / 2)))
    QTest.keyClick(selection.high, Qt.Key.Key_Return)
    stage.wait(lambda: stage.map.arrangement.selection is not None)
    assert stage.map.arrangement.selection == ItemSet(np.flatnonzero(kl_N < middle))
    assert selection.unit.text() == "nats"
    assert not selection.note.text()


def test_a_search_by_value_can_be_stopped_and_yields_to_another_selection(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_explorer.latent import picking

    selection = stage.panel.selection
    may_end = threading.Event()

    def slowly(*_: object) -> Iterator[np.ndarray | None]:
        while not may_end.is_set():
            time.sleep(0.005)
            yield None
        yield np.array([1, 2])

    monkeypatch.setattr(picking, "items_in_value_range", slowly)
    monkeypatch.setattr("vae_explorer.gui.widgets.group_selection._PROGRESS_SECONDS", 0.0)
    selection.select_value.click()
    assert selection.select_value.text() == "Stop"
    assert not stage.map._fast.is_open("selection"), "the map would stand still meanwhile"
    selection.select_value.click()
    assert selection.select_value.text() == "Select"
    assert not stage.is_open("members")
    selection.select_value.click()
    stage.select(DOWN)
    assert selection.select_value.text() == "Select"
    stage.wait(lambda: stage.panel.members.statistics is not None)
    selection.select_value.click()
    may_end.set()
    stage.wait(lambda: stage.map.arrangement.selection == ItemSet([1, 2]))
    stage.wait(lambda: stage.panel.members.statistics is not None and stage.panel.members.statistics.num == 2)


def test_bounds_that_mean_nothing_are_told_and_select_nothing(stage: Stage) -> None:
    selection = stage.panel.selection
    selection.low.setText("wide")
    selection.select_value.click()
    assert "must be a number" in selection.note.text()
    assert selection.low.property("invalid")
    selection.low.setText("2")
    selection.high.setText("−1")
    selection.select_value.click()
    assert "above the upper" in selection.note.text()
    selection.high.setText("2")
    selection.select_value.click()
    stage.wait(lambda: "No image" in selection.note.text())
    assert stage.map.arrangement.selection is None


def test_selecting_never_lays_the_points_anew(stage: Stage) -> None:
    codes, view, frame = stage.codes, stage.map.view, stage.map.arrangement.frame
    places = view.project(codes)
    stage.select(SQUARE)
    stage.panel.selection.invert.click()
    np.testing.assert_array_equal(stage.codes, codes)
    assert stage.map.view is view
    assert stage.map.arrangement.frame == frame
    np.testing.assert_array_equal(stage.map.view.project(stage.codes), places)


def test_the_members_are_shown_with_their_mean_decoded_their_variance_and_their_classes(stage: Stage) -> None:
    members = stage.panel.members
    assert members.hint.isVisible()
    stage.select(ACROSS)
    stage.wait(lambda: members.statistics is not None)
    ids = np.flatnonzero(stage.labels == ACROSS)
    mean_D = stage.codes[ids].mean(axis=0)
    np.testing.assert_allclose(members.mean_code_D, mean_D, rtol=1e-6)
    assert stage.shows(members.pictures.views[0].image, mean_D)
    images = stage.session.dataset.images.images_NCHW.numpy()[ids, 0] / 255.0
    variance = images.var(axis=0)
    assert members.pictures.captions[1].text() == f"Variance ≤ {variance.max():.2f}"
    shown = pixels(members.pictures.views[1].image)
    np.testing.assert_allclose(shown, variance / variance.max() * 255, atol=1.0)
    assert members.bars.accessibleDescription() == f"across: {len(ids)} images, 100 %"
    num = min(members.grid.capacity, len(ids))
    assert members.shown.text() == f"showing {num} of {len(ids)} members"
    members.pin_mean.click()
    np.testing.assert_allclose(stage.map.active_pin_z(), mean_D, rtol=1e-6)
    stage.panel.clear_selection()
    assert not members.body.isVisible()
    assert members.hint.isVisible()


def test_later_weights_move_the_decoded_mean(training_window: MainWindow, qtbot: QtBot) -> None:
    stage = Stage(training_window, qtbot)
    members = stage.panel.members
    stage.select(ACROSS)
    stage.wait(lambda: members.mean_code_D is not None)
    first, statistics = members.mean_code_D, members.statistics
    stage.wait(lambda: not np.array_equal(members.mean_code_D, first))
    assert members.statistics is statistics


def test_a_group_is_made_by_enter_renamed_in_place_shown_and_deleted(stage: Stage) -> None:
    groups = stage.panel.groups
    stage.panel.make_group()
    assert "Nothing is selected" in groups.note.text()
    stage.select(DOWN)
    stage.panel.make_group()
    assert groups.name.hasFocus()
    assert groups.name.selectedText() == "group 1"
    QTest.keyClick(groups.name, Qt.Key.Key_Return)
    expected = ItemSet(np.flatnonzero(stage.labels == DOWN))
    assert stage.map.arrangement.groups == (Group("group 1", expected, 0),)
    assert groups.name.text() == "group 2"
    row = groups.rows[0]
    assert row.count.text() == str(len(expected))
    QTest.keyClick(row.name, Qt.Key.Key_F2)
    QTest.keyClicks(row.name, "upright")
    QTest.keyClick(row.name, Qt.Key.Key_Escape)
    assert row.name.text() == "group 1"
    QTest.mouseDClick(row.name, Qt.MouseButton.LeftButton)
    QTest.keyClicks(row.name, "upright")
    QTest.keyClick(row.name, Qt.Key.Key_Return)
    assert [group.name for group in stage.map.arrangement.groups] == ["upright"]
    stage.panel.clear_selection()
    row.show_button.click()
    assert stage.map.arrangement.selection == expected
    row.remove.click()
    assert stage.map.arrangement.groups == ()
    assert groups.rows == []
    stage.undo()
    assert [row.name.text() for row in groups.rows] == ["upright"]


def test_markup_in_a_name_is_shown_as_it_was_written(stage: Stage) -> None:
    name = "Nullen & <b>öß</b>"
    stage.make_group(ACROSS, name)
    stage.panel.directions.add.click()
    stage.wait(lambda: bool(stage.map.arrangement.directions))
    stage.map.add_pin(np.zeros(2))
    stage.panel.groups.say(f"There is a group named {name} already; choose another name.")
    naming = [label for label in stage.panel.findChildren(QLabel) if name in label.text()]
    assert {stage.panel.edit.strip_title, stage.panel.groups.note} <= set(naming)
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in naming)
    row = stage.panel.groups.rows[0]
    for widget, tip in (
        (row.show_button, f"Select the images of {name}"),
        (row.remove, f"Delete the group {name}; its images stay"),
        (stage.panel.edit.strip_title, f"As the sliders stand, but with −2 to 2 times {name} − all others."),
    ):
        document = QTextDocument()
        document.setHtml(widget.toolTip())
        assert document.toPlainText() == tip
    assert row.remove.accessibleName() == f"Delete the group {name}; its images stay"


@pytest.mark.parametrize(("amount", "filled"), [(2.0, {"right"}), (-2.0, {"left"}), (0.0, set())])
def test_a_slider_is_filled_from_its_zero(stage: Stage, amount: float, filled: set[str]) -> None:
    stage.make_direction()
    slider = stage.panel.directions.rows[0].slider
    slider.show_value(amount)
    image = slider.grab().toImage()
    # A sixth of the way from the middle to either end: under no knob.
    places = {"left": round(image.width() * 5 / 12), "right": round(image.width() * 7 / 12)}
    accent = QColor(theme.current().accent)
    found = {side for side, x in places.items() if image.pixelColor(x, image.height() // 2) == accent}
    assert found == filled
    # Nothing beyond the knob.
    for x in (6, image.width() - 7):
        assert image.pixelColor(x, image.height() // 2) == QColor(theme.current().pressed)


def test_the_wheel_turns_only_the_slider_in_use_and_is_a_step_of_its_own(stage: Stage) -> None:
    stage.make_direction()
    slider = stage.panel.directions.rows[0].slider
    stage.window.activateWindow()
    turn(slider)
    assert slider.amount == 0.0
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    stage.panel.selection.label.setFocus()
    turn(slider)
    assert slider.amount == 0.5
    slider.setFocus()
    turn(slider)
    assert slider.amount > 0.5
    stage.undo()
    assert slider.amount == 0.5


def turn(widget: QWidget) -> None:
    middle = QPointF(widget.rect().center())
    turned = QWheelEvent(
        middle, QPointF(widget.mapToGlobal(middle)), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, turned)


def test_two_groups_never_have_one_name(stage: Stage) -> None:
    stage.make_group(ACROSS, "flat")
    stage.make_group(DOWN, "flat")
    assert "already" in stage.panel.groups.note.text()
    stage.panel.groups.name.setText("upright")
    QTest.keyClick(stage.panel.groups.name, Qt.Key.Key_Return)
    row = stage.panel.groups.rows[1]
    row.name.renamed.emit("flat")
    assert "already" in stage.panel.groups.note.text()
    assert [group.name for group in stage.map.arrangement.groups] == ["flat", "upright"]
    assert row.name.text() == "upright"


def test_groups_of_other_images_and_empty_ones_are_greyed_with_the_reason(stage: Stage) -> None:
    stage.map.add_group("elsewhere", ItemSet([3, 100_000]))
    stage.map.add_group("nobody", ItemSet([]))
    elsewhere, nobody = stage.panel.groups.rows
    assert not elsewhere.show_button.isEnabled()
    assert "other images" in elsewhere.show_button.toolTip()
    assert "no images" in nobody.show_button.toolTip()
    names = [stage.panel.directions.plus.itemText(row) for row in range(stage.panel.directions.plus.count())]
    assert names == ["elsewhere"]


def test_a_direction_is_the_difference_of_the_mean_codes_and_says_so(stage: Stage) -> None:
    direction = stage.make_direction()
    codes, labels = stage.codes, stage.labels
    expected = codes[labels == ACROSS].mean(axis=0) - codes[labels == DOWN].mean(axis=0)
    np.testing.assert_allclose(direction.vector, expected, rtol=1e-6)
    assert direction.name == "flat − upright"
    assert direction.summary.startswith("mean code of “flat” minus mean code of “upright”; separates them ")
    along_N = codes @ expected
    halfway = (along_N[labels == ACROSS].mean() + along_N[labels == DOWN].mean()) / 2
    right = (np.mean(along_N[labels == ACROSS] > halfway) + np.mean(along_N[labels == DOWN] < halfway)) / 2
    assert f"separates them {100 * right:.0f} %" in direction.summary
    assert stage.panel.directions.rows[0].summary.text() == direction.summary
    stage.undo()
    assert stage.panel.directions.rows == []


def test_a_group_against_all_others(stage: Stage) -> None:
    stage.make_group(SQUARE, "squares")
    directions = stage.panel.directions
    assert directions.minus.currentText() == "all others"
    directions.add.click()
    stage.wait(lambda: bool(stage.map.arrangement.directions))
    codes, labels = stage.codes, stage.labels
    expected = codes[labels == SQUARE].mean(axis=0) - codes[labels != SQUARE].mean(axis=0)
    np.testing.assert_allclose(stage.map.arrangement.directions[0].vector, expected, rtol=1e-6)
    assert "minus mean code of all others" in stage.map.arrangement.directions[0].summary


def test_a_group_less_itself_is_refused_in_a_sentence(stage: Stage) -> None:
    stage.make_group(SQUARE, "squares")
    directions = stage.panel.directions
    directions.minus.setCurrentIndex(0)
    directions.add.click()
    stage.wait(lambda: "same mean code" in directions.note.text())
    assert stage.map.arrangement.directions == ()


def test_the_slider_changes_the_picture_to_the_direct_decode_and_undo_takes_it_back(stage: Stage) -> None:
    direction = stage.make_direction()
    edit, row = stage.panel.edit, stage.panel.directions.rows[0]
    assert edit.hint.isVisible()
    z_D = np.array([0.3, -0.4])
    vector_D = np.array(direction.vector)
    stage.map.add_pin(z_D)
    stage.wait(lambda: stage.shows(edit.pair.views[1].image, z_D))
    for _ in range(15):
        QTest.keyClick(row.slider, Qt.Key.Key_Right)
    assert stage.map.arrangement.amounts == ((direction.name, 1.5),)
    assert row.amount.text() == "+1.5 ×"
    stage.wait(lambda: stage.shows(edit.pair.views[1].image, z_D + 1.5 * vector_D))
    assert stage.shows(edit.pair.views[0].image, z_D)
    for view, amount in zip(edit.strip.views, STRIP_AMOUNTS, strict=True):
        assert stage.shows(view.image, z_D + amount * vector_D)
    stage.undo()
    assert row.slider.amount == 1.4
    QTest.keyClick(row.slider, Qt.Key.Key_0)
    assert stage.map.arrangement.amounts == ()
    stage.wait(lambda: stage.shows(edit.pair.views[1].image, z_D))


def test_a_drag_of_the_slider_is_one_step(stage: Stage) -> None:
    direction = stage.make_direction()
    slider = stage.panel.directions.rows[0].slider
    steps = stage.session.undo_stack.count()
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=slider.rect().center())
    for value in (3, 9, 22):
        slider.setValue(value)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=slider.rect().center())
    assert stage.map.arrangement.amounts == ((direction.name, 2.2),)
    assert stage.session.undo_stack.count() == steps + 1
    QTest.mouseDClick(slider, Qt.MouseButton.LeftButton)
    assert stage.map.arrangement.amounts == ()


def test_the_pin_moves_to_the_edited_point_in_one_step(stage: Stage) -> None:
    direction = stage.make_direction()
    z_D = np.array([0.5, 0.25])
    stage.map.add_pin(z_D)
    stage.panel.directions.rows[0].slider.setValue(-20)
    stage.panel.edit.move_pin.click()
    np.testing.assert_allclose(stage.map.active_pin_z(), z_D - 2 * np.array(direction.vector))
    assert stage.map.arrangement.amounts == ()
    stage.undo()
    np.testing.assert_array_equal(stage.map.active_pin_z(), z_D)
    assert stage.map.arrangement.amounts == ((direction.name, -2.0),)


def test_the_whole_path_moves_with_its_bends_in_one_step(stage: Stage) -> None:
    vector_D = np.array(stage.make_direction().vector)
    ends = (np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    for z_D in ends:
        stage.map.add_pin(z_D)
    stage.map.set_path(PathChoice(bends=(Bend(0, (0.5, 0.75)),)))
    stage.panel.directions.rows[0].slider.setValue(10)
    before = stage.map.arrangement
    stage.panel.edit.move_path.click()
    for pin, z_D in zip(stage.map.arrangement.pins, ends, strict=True):
        np.testing.assert_allclose(pin.z, z_D + vector_D)
    np.testing.assert_allclose(stage.map.arrangement.path.bends[0].z, np.array([0.5, 0.75]) + vector_D)
    stage.undo()
    assert stage.map.arrangement == before


def test_it_is_applied_to_a_picture_of_ones_own(stage: Stage) -> None:
    vector_D = np.array(stage.make_direction().vector)
    edit = stage.panel.edit
    assert not edit.pin_given.isVisible()
    mean_D = np.array([0.1, 0.2])
    stage.map.set_given((GivenPosterior("own", mean_D, np.ones(2)),))
    assert edit.pin_given.isVisible()
    stage.panel.directions.rows[0].slider.setValue(5)
    edit.pin_given.click()
    np.testing.assert_allclose(stage.map.active_pin_z(), mean_D + 0.5 * vector_D)
    assert stage.map.arrangement.amounts == ()


def test_a_renamed_direction_keeps_its_slider_and_a_deleted_one_takes_it_along(stage: Stage) -> None:
    stage.make_direction()
    row = stage.panel.directions.rows[0]
    row.slider.setValue(7)
    row.name.begin()
    QTest.keyClicks(row.name, "lying")
    QTest.keyClick(row.name, Qt.Key.Key_Return)
    assert stage.map.arrangement.amounts == (("lying", 0.7),)
    assert row.slider.amount == 0.7
    row.remove.click()
    assert stage.map.arrangement.amounts == ()
    stage.undo()
    assert stage.panel.directions.rows[0].slider.amount == 0.7


def test_directions_are_saved_and_loaded(stage: Stage, tmp_path: Path) -> None:
    direction = stage.make_direction()
    path = tmp_path / "mine.json"
    with stage.qtbot.waitSignal(stage.panel._writing.written, timeout=WAIT_MS):
        stage.panel.save_directions(path)
    assert json.loads(path.read_text(encoding="utf-8"))["model"] == "vae"
    stage.panel.directions.rows[0].remove.click()
    steps = stage.session.undo_stack.count()
    stage.panel.load_directions(path)
    assert stage.map.arrangement.directions == (direction,)
    assert stage.session.undo_stack.count() == steps + 1
    stage.panel.load_directions(path)
    assert stage.map.arrangement.directions == (direction,)


def test_files_that_are_no_directions_are_told(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text("{}", encoding="utf-8")
    with stage.qtbot.waitSignal(stage.session.message_posted, timeout=WAIT_MS) as told:
        stage.panel.load_directions(path)
    assert "no directions" in told.args[0].text
    assert told.args[0].hint
    with stage.qtbot.waitSignal(stage.session.message_posted, timeout=WAIT_MS) as told:
        stage.panel.save_directions(path)
    assert "no directions to save" in told.args[0].text
    stage.make_direction()
    with stage.qtbot.waitSignal(stage.panel._writing.failed, timeout=WAIT_MS):
        stage.panel.save_directions(tmp_path / "none" / "mine.json")


def test_the_selected_items_are_saved_as_csv_and_as_indices(stage: Stage, tmp_path: Path) -> None:
    stage.select(SQUARE)
    ids = np.flatnonzero(stage.labels == SQUARE)
    for name in ("squares.csv", "squares.txt"):
        with stage.qtbot.waitSignal(stage.panel._writing.written, timeout=WAIT_MS):
            stage.panel.save_items(tmp_path / name)
    with (tmp_path / "squares.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["item", "label", "class"], *([str(item), "2", "square"] for item in ids)]
    assert [int(line) for line in (tmp_path / "squares.txt").read_text().split()] == ids.tolist()
    stage.panel.clear_selection()
    with stage.qtbot.waitSignal(stage.session.message_posted, timeout=WAIT_MS) as told:
        stage.panel.save_items(tmp_path / "none.csv")
    assert "Nothing is selected" in told.args[0].text
    assert not (tmp_path / "none.csv").exists()


def test_the_dialogs_give_names_their_suffix_and_cancelling_does_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.make_direction()
    answer = ("", "")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: answer)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: answer)
    stage.panel.selection.save.click()
    stage.panel.directions.save.click()
    stage.panel.directions.load.click()
    assert not list(tmp_path.iterdir())
    for name, kind, button, written in (
        ("few", "Indices (*.txt)", stage.panel.selection.save, "few.txt"),
        ("mine", "Directions (*.json)", stage.panel.directions.save, "mine.json"),
    ):
        answer = (str(tmp_path / name), kind)
        with stage.qtbot.waitSignal(stage.panel._writing.written, timeout=WAIT_MS):
            button.click()
        assert (tmp_path / written).exists()
    before = stage.map.arrangement.directions
    stage.panel.directions.rows[0].remove.click()
    answer = (str(tmp_path / "mine.json"), "")
    stage.panel.directions.load.click()
    assert stage.map.arrangement.directions == before


def test_hidden_it_asks_for_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.make_direction()
    stage.map.add_pin(np.zeros(2))
    stage.wait(lambda: stage.panel.edit.answer is not None and stage.panel.members.statistics is not None)
    stage.window.docks["run_config"].raise_()
    stage.wait(lambda: not stage.window.docks["groups"].is_seen)
    assert not stage.is_open("members")
    asked: list[str] = []
    explore = stage.map.explore
    monkeypatch.setattr(stage.map, "explore", lambda slot, *rest: (asked.append(slot), explore(slot, *rest)))
    stage.select(SQUARE)
    stage.map.move_pin(0, np.ones(2))
    stage.panel.directions.rows[0].slider.setValue(9)
    snapshot = stage.session.snapshot
    stage.session.show_snapshot(dataclasses.replace(snapshot, stamp=snapshot.stamp + 1))
    assert not {"members", "attributes"} & set(asked)
    assert not stage.panel.edit._timer.isActive()
    assert not stage.panel.members._timer.isActive()
    stage.window.docks["groups"].raise_()
    ids = np.flatnonzero(stage.labels == SQUARE)
    stage.wait(lambda: stage.panel.members.statistics is not None and stage.panel.members.statistics.num == len(ids))
    stage.wait(lambda: {"members", "attributes"} <= set(asked))


def test_coming_from_the_view_panel_the_pictures_are_asked_for(stage: Stage) -> None:
    vector_D = np.array(stage.make_direction().vector)
    stage.map.add_pin(np.zeros(2))
    stage.window.docks["view"].raise_()
    stage.wait(lambda: not stage.window.docks["groups"].is_seen)
    stage.map.arrange("apply", amounts=(("flat − upright", 2.0),))
    stage.window.docks["groups"].raise_()
    stage.wait(lambda: stage.shows(stage.panel.edit.pair.views[1].image, 2 * vector_D))


def test_another_latent_space_greys_a_direction_and_leaves_it_out(stage: Stage) -> None:
    stage.make_direction()
    row = stage.panel.directions.rows[0]
    row.show_direction(Direction("wide", (1.0, 2.0, 3.0)), 1.0, 2)
    assert not row.slider.isEnabled()
    assert row.summary.text() == "It has 3 dimensions; this latent space has 2."
    arrangement = Arrangement(
        directions=(Direction("wide", (1.0, 2.0, 3.0)), Direction("slant", (1.0, -2.0))),
        amounts=(("wide", 2.0), ("slant", 0.5), ("gone", 1.0)),
    )
    np.testing.assert_allclose(edited_point(arrangement, np.array([1.0, 1.0])), [1.5, 0.0])
    np.testing.assert_allclose(edit_vector(arrangement, 2), [0.5, -1.0])


def test_amounts_stand_in_the_order_of_the_directions_and_without_zeros() -> None:
    arrangement = Arrangement(
        directions=(Direction("a", (1.0,)), Direction("b", (1.0,))), amounts=(("b", 1.0), ("gone", 2.0))
    )
    assert with_amount(arrangement, "a", 0.5) == (("a", 0.5), ("b", 1.0))
    assert with_amount(arrangement, "b", 0.0) == ()
    assert [amount_text(amount) for amount in (0.0, 1.24, -3.0)] == ["0 ×", "+1.2 ×", "−3.0 ×"]


def test_the_hint_is_whole_where_the_panel_is_low(stage: Stage) -> None:
    stage.map.select(ItemSet(range(40)), "select")
    dock, panel = stage.window.docks["groups"], stage.panel
    dock.setFloating(True)
    dock.resize(300, 260)
    stage.wait(lambda: panel.height() <= 260 and panel.groups.hint.isVisible())
    hint = panel.groups.hint
    stage.wait(lambda: hint.height() >= hint.heightForWidth(hint.width()))


def test_nothing_is_cut_from_narrow_to_wide(stage: Stage) -> None:
    stage.make_direction()
    stage.map.add_pin(np.zeros(2))
    stage.wait(lambda: stage.panel.edit.answer is not None and stage.panel.members.statistics is not None)
    content = stage.panel.scroll_area.widget()
    bar = stage.panel.scroll_area.verticalScrollBar().sizeHint().width()
    assert content.minimumSizeHint().width() + bar <= 264


def test_a_choice_of_a_person_outlives_other_choices(qtbot: QtBot) -> None:
    box = ChoiceBox("letters")
    qtbot.addWidget(box)
    box.show_choices(["a", "b"], [1, 2])
    box.show_choices(["a", "b", "c"], [1, 2, 3], chosen=2)
    assert box.currentText() == "c"
    box.setCurrentIndex(1)
    box.activated.emit(1)
    box.show_choices(["b", "d"], [4, 5], chosen=1)
    assert (box.currentText(), box.currentData()) == ("b", 4)
    box.show_choices([], [])
    assert box.currentData() is None


def test_the_bars_of_many_classes_fit(qtbot: QtBot) -> None:
    bars = ClassBars()
    qtbot.addWidget(bars)
    bars.show_counts(np.arange(100), [f"class {label}" for label in range(100)])
    bars.resize(200, 60)
    assert bars.text_of(1) == "class 1: 1 image, 0 %"
    assert not bars.grab().isNull()


def test_tab_goes_from_top_to_bottom_also_through_rows_made_later(stage: Stage) -> None:
    stage.make_direction()
    stage.map.add_pin(np.zeros(2))
    stage.panel.directions.rows[0].slider.setValue(3)
    # Rows of pictures take their height with the first answer.
    stage.wait(lambda: stage.panel.edit.answer is not None and stage.panel.members.statistics is not None)
    stage.window.activateWindow()
    stage.panel.selection.label.setFocus()
    content = stage.panel.scroll_area.widget()
    met = []
    while content.isAncestorOf(widget := stage.window.focusWidget()) and widget not in met:
        met.append(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    same_line = 10

    def goes_down() -> bool:
        middles = [widget.mapTo(content, QPoint(0, widget.height() // 2)).y() for widget in met]
        return all(after > before - same_line for before, after in pairwise(middles))

    # Waited for, as rows made a moment ago are laid out when Qt comes to it; a wrong order stays wrong.
    stage.wait(goes_down)
    expected = [stage.panel.groups.rows[1].name, stage.panel.groups.name, stage.panel.directions.rows[0].slider]
    assert [widget for widget in met if widget in expected] == expected
    assert stage.panel.edit.move_pin in met
