"""Two runs side by side in the window: opened from a folder, joined by item, moved by hand, live and frozen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from tests.gui.beside_stage import Stage, cells
from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.gui.side_by_side import Side
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import look_at
from vae_explorer.training.run_config import RunConfig, with_value

Opener = Callable[..., MainWindow]


@pytest.fixture
def stage(stage_beside: Callable[..., Stage]) -> Stage:
    return stage_beside()


# --- opening


def test_it_is_hidden_until_a_run_is_compared_from_the_menu(
    open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_tiny(tmp_path / "second", tiny_config(latents=4))
    window = open_window(tiny_config())
    stage, dock = Stage(window, qtbot), window.docks["beside"]
    assert dock.isHidden()
    assert window.docks["latent_map"].is_seen
    labels = [label for column in stage.panel.columns.values() for label in (column.title, column.plane)]
    heights = {label: label.sizeHint().height() for label in labels}
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(tmp_path / "second"))
    window.commands.actions["action.compare_run"].trigger()
    stage.wait(lambda: dock.is_seen)
    assert dock in window.tabifiedDockWidgets(window.docks["latent_map"])
    stage.wait(lambda: stage.pair.second.run is not None and stage.is_drawn("A") and stage.is_drawn("B"))
    columns = stage.panel.columns
    assert columns["A"].title.whole == "A · untrained · step 0"
    assert columns["B"].title.whole == "B · second · step 16"
    assert columns["A"].plane.whole.startswith("the latent plane itself · showing")
    assert columns["B"].plane.whole.startswith("PCA plane with ")
    assert "of the variance of 4 dimensions" in columns["B"].plane.whole
    assert columns["B"].map.axis_labels[0].startswith("PC1 · ")
    assert stage.map("A").size() == stage.map("B").size(), "equal pictures"
    assert {label: label.sizeHint().height() for label in labels} == heights, "no text moves a map, not by one pixel"
    window.commands.actions["action.reset_layout"].trigger()
    assert dock.isHidden()


def test_what_is_no_run_is_one_sentence_and_the_run_that_was_there_stays(stage: Stage, tmp_path: Path) -> None:
    before = stage.pair.second.run
    with stage.qtbot.waitSignal(stage.window.session.message_posted, timeout=WAIT_MS) as told:
        stage.panel.compare_with(tmp_path)
    assert "run.toml" in told.args[0].text
    assert stage.pair.second.run is before
    assert stage.panel.status.whole == ""


def test_the_comparison_is_ended_and_another_is_begun(stage: Stage, tmp_path: Path) -> None:
    stage.panel.end_button.click()
    assert stage.pair.second.run is None
    stage.wait(lambda: stage.panel.compare_buttons[0].isVisible())
    train_tiny(tmp_path / "third", tiny_config(epochs=1))
    stage.compare(tmp_path / "third")
    assert stage.panel.columns["B"].title.whole == "B · third · step 8"
    train_tiny(tmp_path / "fourth", tiny_config(epochs=1))
    stage.panel.compare_with(tmp_path / "third")
    stage.panel.compare_with(tmp_path / "fourth")  # the one asked for last is the one that is seen
    stage.wait(lambda: stage.pair.second.run is not None and stage.pair.second.run.run.name == "fourth")


def test_the_window_closes_in_the_middle_of_an_opening(
    open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_explorer.runs import frozen_run

    train_tiny(tmp_path / "second", tiny_config())
    reached, go_on = threading.Event(), threading.Event()
    encode = frozen_run.encode_items

    def slow(*args: Any) -> np.ndarray:
        reached.set()
        assert go_on.wait(WAIT_MS / 1000)
        return encode(*args)

    monkeypatch.setattr(frozen_run, "encode_items", slow)
    stage = Stage(open_window(tiny_config()), qtbot)
    stage.show()
    stage.panel.compare_with(tmp_path / "second")
    stage.wait(reached.is_set)
    stage.wait(lambda: "placing the images" in stage.panel.opening.text())
    go_on.set()
    stage.window.close()  # that no thread is left is seen to by every test
    assert stage.pair.second.run is None


# --- joined by item


@pytest.mark.parametrize(("side", "other"), [("A", "B"), ("B", "A")])
def test_the_item_under_the_mouse_lights_in_the_other_map_with_both_reconstructions(
    stage: Stage, side: Side, other: Side
) -> None:
    item = stage.lonely_item(side)
    stage.hover(side, item)
    looks = {name: look_at(stage.explorer(name), item) for name in ("A", "B")}
    for name in ("A", "B"):
        mark = stage.map(name).mark
        assert mark is not None
        assert (mark.x, mark.y) == pytest.approx(looks[name].place, abs=1e-4), name
        assert not mark.is_pinned
    views = stage.panel.item.pictures.views
    for view, picture in zip(views, (looks["A"].seen, looks["A"].decoded, looks["B"].decoded), strict=True):
        np.testing.assert_array_equal(view._pixels, picture)
    label = int(stage.pair.dataset_of("A").labels_N[item])
    name = ("across", "down", "square")[label]
    assert stage.panel.item.title.whole == f"Image {item:,} · {name} · under the mouse"
    assert f"Image {item:,} · {name}" in stage.map(other).accessibleDescription()
    stage.leave(side)
    assert stage.pair.item is None
    assert stage.map(other).mark is None


def test_a_click_pins_the_item_and_escape_lets_it_go(stage: Stage) -> None:
    item = stage.lonely_item("B")
    stage.hover("B", item)
    stage.qtbot.mouseClick(stage.map("B"), Qt.MouseButton.LeftButton, pos=stage.point_at("B", item))
    stage.wait(lambda: stage.pair.pinned == item)
    stage.leave("B")
    assert stage.pair.item == item
    assert stage.map("A").mark is not None
    assert stage.map("A").mark.is_pinned
    assert stage.panel.item.number.value() == item
    assert stage.panel.item.title.whole.endswith("pinned")
    other = stage.lonely_item("A")
    if other != item:
        stage.hover("A", other)
        assert not stage.map("B").mark.is_pinned
        stage.leave("A")
        stage.wait(lambda: stage.pair.item == item)
    stage.map("A").setFocus()
    stage.qtbot.keyClick(stage.map("A"), Qt.Key.Key_Escape)
    assert (stage.pair.item, stage.pair.pinned) == (None, None)
    assert stage.panel.item.number.text() == "Pin image…"


def test_an_image_is_pinned_by_its_number(stage: Stage) -> None:
    stage.panel.item.number.setValue(123)
    stage.wait(lambda: stage.pair.item == 123)
    assert set(stage.pair.looks) == {"A", "B"}
    assert stage.panel.item.number.maximum() == 239
    stage.panel.item.number.setValue(-1)
    assert stage.pair.item is None


def test_what_is_under_the_mouse_on_the_large_map_is_looked_at_here_too(stage: Stage) -> None:
    stage.window.session.map.hover_item(17)
    stage.wait(lambda: stage.pair.item == 17)
    stage.window.session.map.hover_item(None)
    assert stage.pair.item is None


def test_an_item_out_of_sight_is_pointed_at_from_the_edge(stage: Stage) -> None:
    item = stage.lonely_item("A")
    map_ = stage.map("A")
    stage.panel.item.number.setValue(item)
    stage.wait(lambda: stage.pair.item == item)
    assert map_.mark is not None
    before = map_.grab().toImage()
    map_._take_over(map_.frame.centred(map_.mark.x + 100.0, map_.mark.y))
    after = map_.grab().toImage()
    edge = [
        QPoint(map_.plot.left() + across, map_.plot.center().y() + down)
        for across in range(2, 14)
        for down in range(-8, 9)
    ]
    from vae_explorer.gui import theme

    accent = theme.current().accent
    assert any(after.pixelColor(at).name() == accent for at in edge)
    assert not any(before.pixelColor(at).name() == accent for at in edge)


def test_runs_of_other_data_sets_are_not_joined_and_a_sentence_says_so(stage_beside: Callable[..., Stage]) -> None:
    points = with_value(
        with_value(tiny_config("gaussian", epochs=1), "data.dataset", "two-moons"), "training.batch_size", 500
    )
    stage = stage_beside(tiny_config(), points)
    words = "The runs are of different data sets, tiny and two-moons: their images cannot be joined."
    assert stage.panel.status.whole == words
    item = stage.lonely_item("A")
    stage.hover("A", item)
    assert set(stage.pair.looks) == {"A"}
    assert stage.map("B").mark is None
    assert stage.panel.item.note.text() == words
    assert not stage.panel.measures.isVisible()
    assert cells(stage.panel.measures) == []


def test_static_bits_are_joined_with_the_pictures_they_were_drawn_from(stage_beside: Callable[..., Stage]) -> None:
    stage = stage_beside(tiny_config("static"), tiny_config("dynamic"))
    assert stage.pair.problem == ""
    stage.panel.item.number.setValue(9)
    stage.wait(lambda: set(stage.pair.looks) == {"A", "B"})


# --- by hand


def test_the_keyboard_walks_the_map_pins_zooms_and_fits(stage: Stage) -> None:
    stage.window.activateWindow()
    map_ = stage.map("A")
    map_.setFocus()
    stage.wait(map_.hasFocus)
    fitted = map_.frame
    item = stage.lonely_item("A")
    stage.panel.item.number.setValue(item)  # the cross starts from what is pinned
    stage.wait(lambda: stage.pair.item == item)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Right)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Left)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Escape)
    assert stage.pair.pinned is None
    stage.panel.item.number.setValue(item)
    stage.wait(lambda: stage.pair.item == item)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    stage.pair.pin(None)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Return)
    stage.wait(lambda: stage.pair.pinned == item)
    scale, large = map_.frame.scale, stage.window.panel("latent_map").canvas.frame
    stage.qtbot.keyClick(map_, Qt.Key.Key_Plus)
    assert map_.frame.scale == pytest.approx(1.25 * scale)
    assert not stage.panel.columns["A"].is_following
    stage.qtbot.keyClick(map_, Qt.Key.Key_Minus)
    stage.qtbot.keyClick(map_, Qt.Key.Key_Plus)
    stage.qtbot.keyClick(map_, Qt.Key.Key_F)
    stage.wait(lambda: map_.frame.is_near(fitted) and not map_.is_gliding)
    assert stage.panel.columns["A"].is_following
    assert stage.window.panel("latent_map").canvas.frame == large, "the large map is another one"


def test_a_drag_pans_and_is_no_click_and_the_wheel_zooms_at_the_mouse(stage: Stage) -> None:
    map_ = stage.map("B")
    start = map_.plot.center()
    before = map_.frame
    stage.qtbot.mousePress(map_, Qt.MouseButton.LeftButton, pos=start)
    for step in (10, 20, 40):
        stage.qtbot.mouseMove(map_, start + QPoint(step, 0))
    stage.qtbot.mouseRelease(map_, Qt.MouseButton.LeftButton, pos=start + QPoint(40, 0))
    assert map_.frame.x < before.x
    assert stage.pair.pinned is None
    at = QPointF(map_.plot.topLeft()) + QPointF(10, 10)
    place = map_.frame.to_map(10, 10)
    wheel = QWheelEvent(
        at, map_.mapToGlobal(at), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(map_, wheel)
    assert map_.frame.scale > before.scale
    assert map_.frame.to_map(10, 10) == pytest.approx(place)
    assert stage.map("A").frame.scale != map_.frame.scale, "each map has its own frame"
    stage.qtbot.mouseDClick(map_, Qt.MouseButton.LeftButton, pos=start)
    stage.wait(lambda: not map_.is_gliding and map_.frame.is_near(before))


# --- following


def test_a_is_live_and_b_is_frozen(open_window: Opener, qtbot: QtBot, tmp_path: Path, long_config: RunConfig) -> None:
    train_tiny(tmp_path / "second", tiny_config(epochs=2))
    stage = Stage(open_window(long_config), qtbot)
    stage.compare(tmp_path / "second")
    stage.panel.item.number.setValue(31)
    stage.wait(lambda: stage.pair.item == 31)
    frozen = stage.pair.looks["B"]
    drawn = stage.panel.samples.found["B"]
    stage.window.commands.actions["action.train"].trigger()
    stage.wait(lambda: stage.pair.looks["A"].step > 50)
    seen = stage.pair.looks["A"]
    assert stage.pair.item == 31
    stage.wait(lambda: stage.pair.looks["A"].step > seen.step + 50)
    assert stage.pair.looks["B"] is frozen
    assert stage.panel.samples.found["B"] is drawn
    stage.wait(lambda: stage.panel.samples.found["A"].step > 50)
    assert int(stage.panel.columns["A"].title.whole.rpartition(" ")[2].replace(",", "")) > 50
    assert stage.panel.columns["B"].title.whole == "B · second · step 16"
    stage.window.commands.actions["action.stop"].trigger()
    stage.wait(lambda: stage.window.session.state is State.FINISHED)
    last = stage.window.session.snapshot.step
    stage.wait(lambda: stage.panel.measures.measured["A"].snapshot.step == last)
    stage.wait(lambda: stage.pair.looks["A"].step == last)


def test_hidden_it_costs_nothing_and_catches_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    window, panel = stage.window, stage.panel
    stage.measured()
    panel.item.number.setValue(11)
    stage.wait(lambda: stage.pair.item == 11)
    window.docks["latent_map"].raise_()
    stage.wait(lambda: not window.docks["beside"].is_seen)
    asked: list[str] = []
    for thread in (window.session.explorer_thread, stage.pair.second._looking[0]):
        submit = thread.submit
        monkeypatch.setattr(
            thread, "submit", lambda slot, *rest, submit=submit: (asked.append(slot), submit(slot, *rest))
        )
    started: list[object] = []
    monkeypatch.setattr(panel.measures.job, "start", started.append)
    drawn = window.session.map.layer_drawn
    window.session.edit("training.epochs", 20)
    window.commands.actions["action.pause"].trigger()
    for _ in range(3):
        with stage.qtbot.waitSignal(
            drawn, timeout=WAIT_MS, check_params_cb=lambda name, found: name == "codes" and found is not None
        ):
            pass
    window.session.map.hover_item(3)
    stage.wait(lambda: window.session.state is State.FINISHED)
    assert not [slot for slot in asked if slot.startswith("beside")]
    assert not started
    assert stage.pair.item == 11
    window.docks["beside"].raise_()
    last = window.session.snapshot.step
    stage.wait(lambda: stage.pair.item == 11 and stage.pair.looks["A"].step == last)
    assert any(slot.startswith("beside") for slot in asked)


def test_a_model_without_a_plane_is_compared_by_its_pictures(stage_beside: Callable[..., Stage]) -> None:
    vqvae = tiny_config("grey", epochs=2)
    for path, value in (("name", "vqvae"), ("num_codes", 8), ("code_dimensions", 4), ("codebook_epochs", 1)):
        vqvae = with_value(vqvae, f"model.{path}", value)
    stage = stage_beside(tiny_config("grey"), vqvae)
    assert "no codes in a space that a plane could show" in stage.map("B").note
    item = stage.lonely_item("A")
    stage.hover("A", item)
    assert set(stage.pair.looks) == {"A", "B"}
    assert stage.map("B").mark is None
    assert stage.panel.item.pictures.views[2].image is not None
    assert len(cells(stage.panel.item)) == 3


def test_what_cannot_be_looked_at_is_told_and_the_panel_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.errors import UserError
    from vae_explorer.latent import side_by_side

    look = side_by_side.look_at

    def failing(explorer: Explorer, item: int) -> Any:
        if item == 8:
            raise UserError("This image is lost.", "Take another.")
        return look(explorer, item)

    monkeypatch.setattr(side_by_side, "look_at", failing)
    stage.panel.item.number.setValue(8)
    stage.wait(lambda: stage.panel.item.note.text() == "This image is lost. Take another.")
    assert stage.pair.item is None
    stage.panel.item.number.setValue(9)
    stage.wait(lambda: stage.pair.item == 9)
