"""The sliders of the view panel: what they move, what their small pictures show, and when they ask for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.view_stage import Stage
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.widgets.image_actions import to_image
from vae_explorer.gui.widgets.view_previews import PREVIEW_VALUES
from vae_explorer.gui.widgets.view_sliders import FIRST_ROWS, MORE_ROWS


@pytest.fixture
def make_stage(open_window: Callable[..., MainWindow], qtbot: QtBot) -> Callable[[int], Stage]:
    def make(latents: int) -> Stage:
        return Stage(open_window(tiny_config(epochs=100_000, latents=latents)), qtbot)

    return make


@pytest.fixture
def stage(make_stage: Callable[[int], Stage]) -> Stage:
    return make_stage(5)


def test_a_slider_moves_the_plane_and_the_pin_in_it_exactly_and_as_one_step(stage: Stage) -> None:
    z_D = stage.view.lift(np.array([[0.7, -0.4]]))[0]
    stage.map.add_pin(z_D)
    steps = stage.session.undo_stack.count()
    slider = stage.row(3).slider
    slider.setSliderDown(True)
    slider.sliderPressed.emit()
    for value in (20, 90, 125):
        slider.setValue(value)
    slider.setSliderDown(False)
    moved_D = z_D.copy()
    moved_D[3] = 1.25
    assert stage.view.lift(np.array([[0.0, 0.0]]))[0, 3] == 1.25
    np.testing.assert_array_equal(stage.map.active_pin_z(), moved_D)
    assert stage.view.holds(moved_D)
    assert stage.row(3).value.text() == "1.25"
    assert stage.session.undo_stack.count() == steps + 1
    stage.session.undo_stack.undo()
    np.testing.assert_array_equal(stage.map.active_pin_z(), z_D)
    assert stage.row(3).slider.value() == 0


def test_a_pin_outside_the_plane_stays_where_it_is(stage: Stage) -> None:
    z_D = np.array([0.0, 0.0, 0.0, 0.0, 2.0])
    stage.map.add_pin(z_D)
    stage.row(3).slider.setValue(100)
    np.testing.assert_array_equal(stage.map.active_pin_z(), z_D)
    assert stage.view.lift(np.zeros((1, 2)))[0, 3] == 1.0


def test_double_click_and_delete_bring_a_slider_back_to_zero(stage: Stage) -> None:
    slider = stage.row(4).slider
    slider.setValue(150)
    QTest.mouseDClick(slider, Qt.MouseButton.LeftButton, pos=slider.rect().center())
    assert stage.view.lift(np.zeros((1, 2)))[0, 4] == 0.0
    slider.setValue(-200)
    assert stage.view.lift(np.zeros((1, 2)))[0, 4] == -2.0
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Delete)
    assert stage.view.lift(np.zeros((1, 2)))[0, 4] == 0.0


def test_previews_show_the_pin_with_each_dimension_changed(stage: Stage) -> None:
    z_D = stage.view.lift(np.array([[0.7, -0.4]]))[0]
    stage.map.add_pin(z_D)
    points = np.tile(z_D, (5, 1))
    points[:, 2] = PREVIEW_VALUES
    expected = to_image(stage.direct(points).reshape(-1, 8))
    stage.wait(lambda: stage.row(2).previews.strip == expected)
    # What is copied or saved says which point it is; a click takes its value: the last stands for 2.
    strip = stage.row(2).previews
    last = strip.picture_at(QPoint(strip.width() - 3, strip.height() // 2))
    assert last is not None
    assert [float(value) for value in last.facts["z"].split()] == points[-1].tolist()
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(strip.width() - 3, strip.height() // 2))
    assert stage.view.lift(np.zeros((1, 2)))[0, 2] == 2.0


def test_rows_are_ordered_by_kl_and_more_can_be_shown(make_stage: Callable[[int], Stage]) -> None:
    stage = make_stage(40)
    stage.session.kl_D = np.arange(40.0)
    stage.take("view.dimension_x", 39)
    stage.take("view.dimension_y", 38)
    assert [row.dimension for row in stage.sliders.rows] == list(range(37, 37 - FIRST_ROWS, -1))
    assert stage.sliders.rows[0].kl.text() == "37.00 nats"
    assert stage.sliders.more.text() == f"Show {MORE_ROWS} more ({38 - FIRST_ROWS} left)"
    stage.sliders.more.click()
    stage.sliders.more.click()
    assert [row.dimension for row in stage.sliders.rows] == list(range(37, -1, -1))
    assert not stage.sliders.more.isVisible()


def test_planes_along_no_dimension_say_why_there_are_no_sliders(stage: Stage) -> None:
    assert not stage.sliders.sentence.isVisible()
    stage.choose("pca")
    assert stage.sliders.rows == []
    assert stage.sliders.sentence.isVisible()
    stage.choose("inverse-cdf")
    stage.row(3).slider.setValue(50)
    assert stage.view.lift(np.full((1, 2), 0.5))[0, 3] == 0.5


def test_hidden_it_asks_for_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.wait(lambda: stage.row(2).previews.strip is not None)
    stage.window.docks["run_config"].raise_()
    stage.wait(lambda: not stage.window.docks["view"].is_seen)
    asked: list[str] = []
    explore = stage.map.explore
    monkeypatch.setattr(
        stage.map, "explore", lambda slot, *arguments: (asked.append(slot), explore(slot, *arguments))[1]
    )  # fmt: skip
    stage.map.add_pin(np.ones(5))
    with stage.qtbot.waitSignal(stage.session.snapshot_changed, timeout=WAIT_MS):
        stage.session.step_once()
    assert not stage.sliders._timer.isActive()
    assert "sliders" not in asked
    stage.window.docks["view"].raise_()
    stage.wait(lambda: "sliders" in asked)
