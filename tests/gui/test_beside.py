"""Two runs side by side in the window: joined by item, live or frozen as they are, compared only where they may be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.datasets import image_dataset
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.heldout_sides import heldout_images
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.beside import BesidePanel
from vae_explorer.gui.session_words import State
from vae_explorer.gui.side_by_side import Side
from vae_explorer.gui.widgets.side_map import SideMap
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import look_at, side_view
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.snapshot import model_of
from vae_explorer.training.run_config import RunConfig, with_value

Opener = Callable[..., MainWindow]


class Stage:
    """A window on the run A, and beside it the run B."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.panel: BesidePanel = window.panel("beside")
        self.pair = self.panel.pair

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)

    def show(self) -> None:
        dock = self.window.docks["beside"]
        dock.show()
        dock.raise_()
        self.wait(lambda: dock.is_seen)

    def compare(self, path: Path) -> None:
        self.show()
        before = self.pair.second.run
        self.panel.compare_with(path)
        self.wait(lambda: self.pair.second.run is not None and self.pair.second.run is not before)
        self.wait(lambda: all(self.is_drawn(side) for side in ("A", "B")))

    def is_drawn(self, side: Side) -> bool:
        snapshot, column = self.pair.snapshot_of(side), self.panel.columns[side]
        assert snapshot is not None
        return bool(column.map.note if snapshot.codes_ND is None else column._has_fitted)

    def map(self, side: Side) -> SideMap:
        return self.panel.columns[side].map

    def explorer(self, side: Side) -> Explorer:
        """A second opinion on a side."""
        snapshot = self.pair.snapshot_of(side)
        assert snapshot is not None
        explorer = Explorer()
        explorer.show_images(self.pair.dataset_of(side))
        explorer.adopt(snapshot)
        return explorer

    def lonely_item(self, side: Side) -> int:
        """The item whose code stands clearest of all others on a side's map, in the middle of which it then is."""
        explorer, map_ = self.explorer(side), self.map(side)
        view, codes = side_view(explorer), explorer.codes()
        assert view is not None
        assert codes is not None
        xy = view.place(codes)
        gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        item = int(gaps.min(1).argmax())
        x, y = xy[item].tolist()
        map_._take_over(replace(map_.frame, x=x, y=y, scale=20.0 / float(gaps[item].min())))
        return item

    def point_at(self, side: Side, item: int) -> QPoint:
        place = look_at(self.explorer(side), item).place
        assert place is not None
        map_ = self.map(side)
        left, top = map_.frame.to_screen(*place)
        return map_.plot.topLeft() + QPointF(left, top).toPoint()

    def hover(self, side: Side, item: int) -> None:
        def is_looked_at() -> bool:
            # What is still being laid out moves the map under the mouse; and a mouse that does not move sends nothing.
            at = self.point_at(side, item)
            self.qtbot.mouseMove(self.map(side), at + QPoint(1, 0))
            self.qtbot.mouseMove(self.map(side), at)
            return self.pair.item == item

        self.wait(is_looked_at)

    def leave(self, side: Side) -> None:
        QApplication.sendEvent(self.map(side), QEvent(QEvent.Type.Leave))

    def measured(self) -> None:
        self.wait(lambda: len(self.panel.measures.measured) == 2 and not self.panel.measures.job.is_running)


@pytest.fixture
def stage_of(open_window: Opener, qtbot: QtBot, tmp_path: Path) -> Callable[..., Stage]:
    def staged(first: RunConfig | None = None, second: RunConfig | None = None) -> Stage:
        a, b = first or tiny_config(epochs=3), second or tiny_config(epochs=2, latents=4)
        train_tiny(tmp_path / "first", a)
        train_tiny(tmp_path / "second", b)
        stage = Stage(open_window(a, run=tmp_path / "first"), qtbot)
        stage.compare(tmp_path / "second")
        return stage

    return staged


@pytest.fixture
def stage(stage_of: Callable[..., Stage]) -> Stage:
    return stage_of()


def cells(view: Any) -> list[list[str]]:
    table = view.table
    return [[table.index(row, column).data() for column in range(3)] for row in range(table.rowCount())]


def is_bold(view: Any, row: int, column: int) -> bool:
    font = view.table.index(row, column).data(Qt.ItemDataRole.FontRole)
    return font is not None and font.bold()


# --- opening


def test_it_is_hidden_until_a_run_is_compared_from_the_menu(
    open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_tiny(tmp_path / "second", tiny_config(latents=4))
    window = open_window(tiny_config())
    stage, dock = Stage(window, qtbot), window.docks["beside"]
    assert dock.isHidden()
    assert window.docks["latent_map"].is_seen
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


def test_the_nats_of_an_item_stand_side_by_side_under_one_protocol(stage: Stage) -> None:
    item = stage.lonely_item("A")
    stage.hover("A", item)
    looks = [look_at(stage.explorer(side), item) for side in ("A", "B")]
    rows = cells(stage.panel.item)
    assert [row[0] for row in rows] == ["Reconstruction", "KL", "-ELBO"]
    assert stage.panel.item.table.headerData(0, Qt.Orientation.Horizontal) == "nats"
    for row, values in zip(
        rows,
        ([look.reconstruction for look in looks], [look.kl for look in looks], None),
        strict=True,
    ):
        expected = values or [look.reconstruction + look.kl for look in looks]
        assert [float(text) for text in row[1:]] == pytest.approx(expected, abs=0.051)
    better = 1 if looks[0].reconstruction < looks[1].reconstruction else 2
    assert is_bold(stage.panel.item, 0, better)
    assert not is_bold(stage.panel.item, 1, 1)
    assert not is_bold(stage.panel.item, 1, 2)


def test_nats_of_two_protocols_are_refused_in_a_sentence(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(tiny_config("dynamic"), tiny_config("grey"))
    item = stage.lonely_item("A")
    stage.hover("A", item)
    assert cells(stage.panel.item) == []
    words = "No numbers stand side by side, because the protocol differs: dynamic and grey."
    assert stage.panel.item.note.text().startswith(words)
    explorer = stage.explorer("A")
    np.testing.assert_array_equal(
        stage.panel.item.pictures.views[0]._pixels, explorer.stored(np.array([item]))[0, 0].numpy()
    )
    stage.measured()
    assert cells(stage.panel.measures) == []
    assert stage.panel.measures.note.text().startswith(words)


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


# --- samples


def test_samples_of_both_are_drawn_under_one_seed(stage: Stage) -> None:
    samples = stage.panel.samples
    stage.wait(lambda: set(samples.found) == {"A", "B"})
    for seed in (0, 7):
        samples.seed.setValue(seed)
        expected = {side: stage.explorer(side).sample(3, seed)[0] for side in ("A", "B")}

        def is_shown(expected: dict[str, np.ndarray] = expected) -> bool:
            return all(np.array_equal(samples.found[side].pictures[:3], expected[side]) for side in ("A", "B"))

        stage.wait(is_shown)
        assert samples.grids["A"].num_pictures == samples.grids["B"].num_pictures
        assert samples.about.whole == f"seed {seed}, drawn in two latent spaces"
    assert samples.captions["B"].whole == "B · z ~ p(z) · step 16"
    picture = samples.grids["B"].picture_at(samples.grids["B"].cell_rect(0).center().toPoint())
    assert picture is not None
    assert (picture.facts["run"], picture.facts["seed"]) == ("second", "7")


def test_in_one_latent_space_they_are_of_the_same_points(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(tiny_config(epochs=2), tiny_config(epochs=1))
    stage.wait(lambda: stage.panel.samples.about.whole == "seed 0, the same latent points in both runs")


def test_samples_without_a_prior_say_that_they_are_ex_post(stage_of: Callable[..., Stage]) -> None:
    autoencoder = with_value(tiny_config("grey", epochs=1), "model.name", "autoencoder")
    stage = stage_of(tiny_config("grey"), autoencoder)
    stage.wait(lambda: "ex-post" in stage.panel.samples.captions["B"].whole)
    assert "ex-post" not in stage.panel.samples.captions["A"].whole
    stage.panel.item.number.setValue(5)
    stage.wait(lambda: stage.pair.item == 5)
    assert [row[2] for row in cells(stage.panel.item)] == ["—"] * 3
    assert "The model of B, “Autoencoder”, has no likelihood to count in nats." in stage.panel.item.note.text()
    stage.measured()
    rows = {row[0]: row[1:] for row in cells(stage.panel.measures)}
    assert rows["-ELBO"][1] == "—"
    assert "—" not in rows["Active units"]
    assert "B: -ELBO cannot be measured here" in stage.panel.measures.note.text()


def test_lda_has_neither_likelihood_nor_needs_one(stage_of: Callable[..., Stage]) -> None:
    lda = with_value(tiny_config("grey", epochs=1), "model.name", "lda")
    stage = stage_of(lda, tiny_config("grey"))
    stage.wait(lambda: "ex-post" in stage.panel.samples.captions["A"].whole)


# --- measures


def test_both_are_measured_on_what_both_hold_out(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(tiny_config(epochs=3), with_value(tiny_config(epochs=1), "data.heldout_images", 25))
    stage.measured()
    ids = stage.pair.second.run.dataset.heldout_index_N.numpy()
    assert len(ids) == 25
    found = {}
    for side in ("A", "B"):
        dataset, snapshot = stage.pair.dataset_of(side), stage.pair.snapshot_of(side)
        assert set(ids) <= set(dataset.heldout_index_N.numpy())
        found[side] = evaluate(
            model_of(snapshot), MODELS["vae"], heldout_images(dataset, "dynamic", ids),
            measures=("elbo", "reconstruction", "kl", "active_units"),
        )  # fmt: skip
    rows = cells(stage.panel.measures)
    assert stage.panel.measures.table.headerData(0, Qt.Orientation.Horizontal) == "nats per image"
    assert [row[0] for row in rows] == ["-ELBO", "Reconstruction", "KL", "Active units"]
    for row, first, second in zip(rows, found["A"], found["B"], strict=True):
        assert [float(text.split()[0]) for text in row[1:]] == pytest.approx([first.value, second.value], abs=0.0051)
    better = 1 if found["A"][0].value < found["B"][0].value else 2
    assert is_bold(stage.panel.measures, 0, better)
    about = stage.panel.measures.about.whole
    assert about == "25 images that both runs hold out · protocol dynamic · A at step 24, B at step 9"
    tip = stage.panel.measures.table.index(0, 1).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "protocol dynamic, -ELBO(1), 25 images that both runs hold out, seed 0"


def test_test_images_are_touched_only_when_asked_for(
    stage_of: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    load = image_dataset._load

    def noting(record: Any, split: Any, protocol: str) -> Any:
        opened.append(split)
        return load(record, split, protocol)

    monkeypatch.setattr(image_dataset, "_load", noting)
    stage = stage_of(
        with_value(tiny_config(epochs=2), "data.heldout_images", 0),
        with_value(tiny_config(epochs=1), "data.heldout_images", 40),
    )
    measures = stage.panel.measures
    stage.wait(measures.test_button.isVisible)
    assert "No image is held out by both runs" in measures.note.text()
    assert cells(measures) == []
    assert "test" not in opened
    measures.test_button.click()
    stage.measured()
    assert "test" in opened
    assert len(cells(measures)) == 4
    assert measures.about.whole.startswith("60 test images · protocol dynamic · A at step")


def test_runs_of_other_data_sets_are_not_joined_and_a_sentence_says_so(stage_of: Callable[..., Stage]) -> None:
    points = with_value(
        with_value(tiny_config("gaussian", epochs=1), "data.dataset", "two-moons"), "training.batch_size", 500
    )
    stage = stage_of(tiny_config(), points)
    words = "The runs are of different data sets, tiny and two-moons: their images cannot be joined."
    assert stage.panel.status.whole == words
    item = stage.lonely_item("A")
    stage.hover("A", item)
    assert set(stage.pair.looks) == {"A"}
    assert stage.map("B").mark is None
    assert stage.panel.item.note.text() == words
    assert not stage.panel.measures.isVisible()
    assert cells(stage.panel.measures) == []


def test_static_bits_are_joined_with_the_pictures_they_were_drawn_from(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(tiny_config("static"), tiny_config("dynamic"))
    assert stage.pair.problem == ""
    stage.panel.item.number.setValue(9)
    stage.wait(lambda: set(stage.pair.looks) == {"A", "B"})


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


def test_both_are_told_the_same_class(stage_of: Callable[..., Stage]) -> None:
    cvae = with_value(tiny_config("grey", epochs=2), "model.name", "cvae")
    stage = stage_of(cvae, with_value(cvae, "training.seed", 5))
    stage.window.session.map.tell(2, "choose class 2")
    stage.wait(lambda: stage.pair.second.snapshot.told == 2)
    expected = {side: stage.explorer(side).sample(3, 0)[0] for side in ("A", "B")}
    found = stage.panel.samples.found
    stage.wait(lambda: len(found) == 2 and all(np.array_equal(found[s].pictures[:3], expected[s]) for s in ("A", "B")))
    stage.panel.item.number.setValue(4)
    stage.wait(lambda: stage.pair.item == 4)
    assert len(cells(stage.panel.item)) == 3, "both are given the class: one bound"


def test_a_conditional_bound_does_not_stand_beside_an_unconditional_one(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(tiny_config("grey"), with_value(tiny_config("grey", epochs=1), "model.name", "cvae"))
    stage.panel.item.number.setValue(4)
    stage.wait(lambda: stage.pair.item == 4)
    assert cells(stage.panel.item) == []
    assert "the bound differs: -ELBO(16) and -ELBO(16), given the class" in stage.panel.item.note.text()
    stage.measured()
    assert [row[0] for row in cells(stage.panel.measures)] == ["Active units"]


def test_a_model_without_a_plane_is_compared_by_its_pictures(stage_of: Callable[..., Stage]) -> None:
    vqvae = tiny_config("grey", epochs=2)
    for path, value in (("name", "vqvae"), ("num_codes", 8), ("code_dimensions", 4), ("codebook_epochs", 1)):
        vqvae = with_value(vqvae, f"model.{path}", value)
    stage = stage_of(tiny_config("grey"), vqvae)
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


# --- looks


@pytest.mark.parametrize(
    ("width", "height"), [(940, 600), (500, 330), (700, 300), (900, 210), (300, 700), (300, 380), (430, 560)]
)
def test_it_fits_where_it_is_put(stage: Stage, width: int, height: int) -> None:
    dock, panel = stage.window.docks["beside"], stage.panel
    dock.setFloating(True)
    panel.item.number.setValue(21)
    stage.wait(lambda: stage.pair.item == 21)
    stage.measured()
    dock.resize(width, height)
    stage.wait(lambda: dock.size().width() == width and dock.size().height() == height)
    stage.qtbot.wait(50)
    for side in ("A", "B"):
        assert_inside(stage.map(side), panel)
        assert min(stage.map(side).plot.width(), stage.map(side).plot.height()) >= 24
    odd = stage.map("A").size() - stage.map("B").size()
    assert max(abs(odd.width()), abs(odd.height())) <= 1
    assert not overlap(stage.map("A"), stage.map("B"), panel)
    assert not overlap(stage.map("A"), panel.area, panel)
    assert not overlap(stage.map("B"), panel.area, panel)
    content = panel.area.widget()
    assert content.width() <= panel.area.viewport().width(), "nothing is cut at the side"
    parts = (
        panel.item.pictures,
        panel.item.view,
        panel.samples.grids["A"],
        panel.samples.grids["B"],
        panel.measures.view,
    )
    for part in parts:
        assert_inside(part, content)
    for first in parts:
        for second in parts:
            assert first is second or not overlap(first, second, content)
    assert panel.measures.view.verticalScrollBar().maximum() == 0, "the table shows all of its rows"


def test_a_window_is_made_no_larger_for_it(stage: Stage) -> None:
    panel = stage.panel
    assert panel.minimumSize().width() <= 240
    assert stage.window.docks["beside"].minimumSizeHint().height() <= 220


def test_light_and_dark_are_drawn_in_their_own_colours(stage: Stage) -> None:
    from vae_explorer.gui import theme

    for choice in ("dark", "light"):
        with stage.qtbot.waitSignal(stage.panel.columns["B"].drawn, timeout=WAIT_MS):
            stage.window.commands.set_theme(choice)
        map_ = stage.map("B")
        corner = map_.grab().toImage().pixelColor(map_.plot.topLeft() + QPoint(2, 2)).name()
        assert corner == theme.current().panel
    stage.window.commands.set_theme("system")


def test_everything_that_takes_the_keyboard_has_a_name(stage: Stage) -> None:
    stage.panel.item.number.setValue(3)
    stage.wait(lambda: stage.pair.item == 3)
    takers = [
        widget for widget in stage.panel.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]  # fmt: skip
    assert {stage.map("A"), stage.map("B"), stage.panel.item.number, stage.panel.samples.seed} <= set(takers)
    for widget in takers:
        assert widget.accessibleName() or getattr(widget, "text", str)(), widget


def test_nothing_of_it_draws_from_torchs_own_generator(stage: Stage) -> None:
    before = torch.get_rng_state()
    stage.panel.item.number.setValue(3)
    stage.wait(lambda: stage.pair.item == 3)
    stage.measured()
    assert torch.equal(before, torch.get_rng_state())


def assert_inside(widget: QWidget, around: QWidget) -> None:
    corner = widget.mapTo(around, QPoint(0, 0))
    assert corner.x() >= 0
    assert corner.y() >= 0
    assert corner.x() + widget.width() <= around.width(), f"{widget} is cut at the right"
    assert corner.y() + widget.height() <= around.height(), f"{widget} is cut below"


def overlap(first: QWidget, second: QWidget, around: QWidget) -> bool:
    places = [widget.rect().translated(widget.mapTo(around, QPoint(0, 0))) for widget in (first, second)]
    return first.isVisible() and second.isVisible() and places[0].intersects(places[1])
