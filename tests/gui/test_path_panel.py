"""The path between pins, on the real window with tiny images."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QGuiApplication, QImage, QKeyEvent, QPainter, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.export.movies import MOVIE_KINDS
from vae_explorer.gui import path_search, theme
from vae_explorer.gui.dialogs.save_path import SavePathDialog
from vae_explorer.gui.panels.path import PathPanel
from vae_explorer.gui.path_words import length_details, length_text
from vae_explorer.gui.session import Session, State
from vae_explorer.gui.widgets.filmstrip import Filmstrip
from vae_explorer.gui.widgets.filmstrip_painting import near_words, ruler_ticks
from vae_explorer.gui.widgets.image_actions import to_image
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_overlay import MapOverlay, paint_overlay
from vae_explorer.latent.arrangement import Frame
from vae_explorer.latent.path_bending import bend_of_frame, bent, moved_in_view, position_of
from vae_explorer.latent.path_catalogue import PATHS, Bend, PathChoice
from vae_explorer.latent.views import LineView, PlaneView
from vae_explorer.models.building import build_model

if TYPE_CHECKING:
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.latent.paths import PathResult

A, B, C = np.array([-1.0, 0.3]), np.array([1.2, -0.8]), np.array([0.4, 1.5])


@dataclass
class Stage:
    window: MainWindow
    qtbot: QtBot

    @property
    def session(self) -> Session:
        return self.window.session

    @property
    def panel(self) -> PathPanel:
        panel = self.window.panel("path")
        assert isinstance(panel, PathPanel)
        return panel

    @property
    def strip(self) -> Filmstrip:
        return self.panel.strip

    @property
    def result(self) -> PathResult:
        assert self.panel.result is not None
        return self.panel.result

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def pin(self, *points: np.ndarray) -> None:
        for z_D in points:
            self.session.map.add_pin(z_D)
        if len(self.session.map.arrangement.pins) > 1:
            self.rest()

    def rest(self) -> None:
        """Until the path shown is that of the pins and the weights now."""
        search = self.panel._search
        self.wait(lambda: search.found is not None and search._answered == search._question())

    def choose(self, **changes: object) -> None:
        self.session.map.set_path(dataclasses.replace(self.session.map.arrangement.path, **changes))  # type: ignore[arg-type]
        self.rest()


@pytest.fixture
def stage(window: MainWindow, qtbot: QtBot) -> Stage:
    window.docks["path"].raise_()
    qtbot.waitUntil(lambda: window.docks["path"].is_seen, timeout=WAIT_MS)
    return Stage(window, qtbot)


def direct(session: Session, z_ND: np.ndarray) -> np.ndarray:
    snapshot = session.snapshot
    assert snapshot is not None
    model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights))
    model.eval()
    with torch.no_grad():
        mean_NCHW = model.decode(torch.tensor(z_ND, dtype=torch.float32)).mean_BCHW
    return (mean_NCHW[:, 0].numpy() * 255).round()


def test_the_strip_goes_from_pin_to_pin_and_its_pictures_are_decoded_directly(stage: Stage) -> None:
    assert stage.strip.num_frames == 0
    assert "Shift+click" in stage.strip.note
    stage.pin(A, B)
    result = stage.result
    assert stage.strip.num_frames == stage.session.map.arrangement.path.num_frames == 11
    assert result.z_FD[0] == pytest.approx(A)
    assert result.z_FD[-1] == pytest.approx(B)
    assert np.abs(direct(stage.session, result.z_FD) - result.pictures_F).max() <= 1
    for frame in (0, 5, 10):
        image = stage.strip.frame_image(frame)
        assert image is not None
        assert image.width() == image.height() == 8
        assert image.pixelColor(3, 4).red() == result.pictures_F[frame, 4, 3]
    assert to_image(
        stage.strip.picture_at(stage.strip.frame_rect(7).center().toPoint()).pixels
    ) == stage.strip.frame_image(7)


def test_a_third_pin_lengthens_the_path_and_removing_pins_ends_it(stage: Stage) -> None:
    stage.pin(A, B, C)
    assert stage.result.z_FD[-1] == pytest.approx(C)
    assert np.linalg.norm(stage.result.curve_PD - B, axis=1).min() < 1e-9
    seen: list[object] = []
    stage.panel.path_changed.connect(seen.append)
    stage.session.map.remove_pin(2)
    stage.rest()
    assert stage.result.z_FD[-1] == pytest.approx(B)
    stage.session.map.remove_pin(1)
    assert stage.panel.result is None
    assert stage.strip.num_frames == 0
    assert seen[-1] is None
    assert stage.panel.frame == -1
    stage.session.undo_stack.undo()
    stage.rest()
    assert stage.result.z_FD[-1] == pytest.approx(B)


@pytest.mark.parametrize("kind", PATHS.names())
def test_another_kind_has_another_middle_and_undo_brings_the_first_back(stage: Stage, kind: str) -> None:
    stage.pin(A, C)
    middle_D = stage.result.z_FD[5]
    box = stage.panel.controls.kind
    box.setCurrentIndex(box.findData(kind))
    box.activated.emit(box.currentIndex())
    stage.rest()
    assert stage.session.map.arrangement.path.kind == kind
    assert stage.result.z_FD[[0, -1]] == pytest.approx(np.stack([A, C]))
    if kind == "straight":
        assert stage.session.undo_stack.count() == 2
        return
    assert not np.allclose(stage.result.z_FD[5], middle_D, atol=1e-4)
    stage.session.undo_stack.undo()
    assert box.currentData() == "straight"
    stage.rest()
    assert stage.result.z_FD[5] == pytest.approx(middle_D)


def test_frames_and_speed_are_chosen_and_a_held_spin_box_is_one_step(stage: Stage) -> None:
    stage.pin(A, B)
    steps = stage.session.undo_stack.count()
    for num_frames in (12, 13, 14):
        stage.panel.controls.num_frames.setValue(num_frames)
    assert stage.session.undo_stack.count() == steps + 1
    stage.rest()
    assert stage.strip.num_frames == 14
    box = stage.panel.controls.speed
    box.setCurrentIndex(box.findData("visual"))
    box.activated.emit(box.currentIndex())
    stage.rest()
    steps_F = np.diff(stage.result.visual_length_F)
    assert steps_F == pytest.approx(np.full(13, steps_F.mean()), rel=0.02)
    stage.session.undo_stack.undo()
    stage.session.undo_stack.undo()
    stage.rest()
    assert stage.panel.controls.num_frames.value() == stage.strip.num_frames == 11


def test_click_and_keys_choose_a_frame_and_its_picture_is_the_decoded_one(stage: Stage) -> None:
    stage.pin(A, B)
    seen: list[int] = []
    stage.panel.frame_changed.connect(seen.append)
    decoded = stage.window.panel("decoded_image")
    QTest.mouseClick(stage.strip, Qt.MouseButton.LeftButton, pos=stage.strip.frame_rect(4).center().toPoint())
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[4]))
    QTest.keyClick(stage.strip, Qt.Key.Key_Right)
    QTest.keyClick(stage.strip, Qt.Key.Key_Home)
    QTest.keyClick(stage.strip, Qt.Key.Key_Left)
    QTest.keyClick(stage.strip, Qt.Key.Key_End)
    QTest.keyClick(stage.strip, Qt.Key.Key_Left)
    assert seen == [4, 5, 0, 10, 9]
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[9]))
    assert "Frame 10 of 11" in stage.panel.text.text()
    assert "Frame 10 of 11" in stage.strip.accessibleDescription()


def test_a_frame_can_be_copied_and_saved(
    stage: Stage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.pin(A, B)
    position = stage.strip.frame_rect(6).center().toPoint()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, position, stage.strip.mapToGlobal(position))
    QApplication.sendEvent(stage.strip, event)
    menu = stage.strip.findChild(QMenu)
    assert menu is not None
    copy, save = menu.actions()
    copy.trigger()
    assert QGuiApplication.clipboard().image() == stage.strip.frame_image(6)
    menu.close()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "frame"), ""))
    with qtbot.waitSignal(stage.strip.actions_of_frames._writing.written, timeout=WAIT_MS):
        save.trigger()
    with Image.open(tmp_path / "frame.png") as picture:
        assert np.array_equal(np.asarray(picture), stage.result.pictures_F[6])
        assert [float(value) for value in picture.text["z"].split()] == stage.result.z_FD[6].tolist()
        assert picture.text["kind"] == "path straight"
    stage.strip.set_current(2)
    QTest.keyClick(stage.strip, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().image() == stage.strip.frame_image(2)
    dragged = stage.strip.actions_of_frames.mime_data(
        stage.strip.picture_at(stage.strip.frame_rect(2).center().toPoint())
    )
    assert dragged.hasImage()
    assert Path(dragged.urls()[0].toLocalFile()).is_file()


def test_hovering_a_frame_shows_it_and_leaving_returns_to_the_pin(stage: Stage) -> None:
    stage.pin(A, B)
    decoded = stage.window.panel("decoded_image")
    QTest.mouseMove(stage.strip, stage.strip.frame_rect(2).center().toPoint())
    QTest.mouseMove(stage.strip, stage.strip.frame_rect(3).center().toPoint())
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[3]))
    QApplication.sendEvent(stage.strip, QEvent(QEvent.Type.Leave))
    stage.wait(lambda: decoded._shown.kind == "pinned")
    assert decoded._shown.z_D == pytest.approx(B)


def test_playing_goes_there_and_back_and_space_holds_it(stage: Stage) -> None:
    stage.pin(A, B)
    stage.choose(num_frames=4)
    stage.panel.controls.rate.setValue(30)
    seen: list[int] = []
    stage.panel.frame_changed.connect(seen.append)
    stage.panel.play()
    assert stage.panel.controls.play_button.text() == "Pause"
    stage.wait(lambda: len(seen) >= 9)
    assert seen[:9] == [1, 2, 3, 2, 1, 0, 1, 2, 3]
    decoded = stage.window.panel("decoded_image")
    QTest.keyClick(stage.strip, Qt.Key.Key_Space)
    assert not stage.panel.is_playing
    assert stage.panel.controls.play_button.text() == "Play"
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[stage.panel.frame]))


def test_a_bend_draws_the_path_along_and_is_one_step_to_undo(stage: Stage) -> None:
    stage.pin(A, B)
    straight_D = stage.result.z_FD[5]
    steps = stage.session.undo_stack.count()
    assert not stage.panel.straighten_button.isEnabled()
    gesture = stage.session.map.new_gesture()
    for height in (0.5, 1.0, 1.5):
        stage.panel.bend(0.5, np.array([0.1, height]), gesture)
    assert stage.session.undo_stack.count() == steps + 1
    assert stage.session.map.arrangement.path.bends == (Bend(0, (0.1, 1.5)),)
    stage.rest()
    assert np.linalg.norm(stage.result.curve_PD - [0.1, 1.5], axis=1).min() < 1e-9
    assert np.linalg.norm(stage.result.z_FD[5] - straight_D) > 0.5
    assert "% longer" in stage.panel.text.text()
    QTest.mouseClick(stage.panel.straighten_button, Qt.MouseButton.LeftButton)
    stage.rest()
    assert stage.result.z_FD[5] == pytest.approx(straight_D)
    stage.session.undo_stack.undo()
    stage.session.undo_stack.undo()
    assert stage.session.map.arrangement.path.bends == ()


def polyline(ends_KD: np.ndarray, bends: tuple[Bend, ...] = ()) -> np.ndarray:
    """Straight lines through pins and bends in order, each of 40 points, whatever its length."""
    corners = [ends_KD[0]]
    for segment, end_D in enumerate(ends_KD[1:]):
        corners += [np.array(bend.z) for bend in bends if bend.segment == segment]
        corners.append(end_D)
    parts = [np.linspace(a, b, 41)[1:] for a, b in itertools.pairwise(corners)]
    return np.concatenate([ends_KD[:1], *parts])


def test_bends_keep_the_order_of_the_curve_and_a_near_one_moves() -> None:
    ends_KD = np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    bends, number = bent((), ends_KD, polyline(ends_KD), 0.75, np.array([6.0, 0.1]))
    assert (bends, number) == ((Bend(1, (6.0, 0.1)),), 0)
    bends, number = bent(bends, ends_KD, polyline(ends_KD, bends), 0.2, np.array([2.0, 0.1]))
    assert (bends[0], number) == (Bend(0, (2.0, 0.1)), 0)
    bends, number = bent(bends, ends_KD, polyline(ends_KD, bends), 0.9, np.array([7.0, 0.1]))
    assert [bend.segment for bend in bends] == [0, 1, 1]
    assert number == 2
    bends, number = bent(bends, ends_KD, polyline(ends_KD, bends), 0.61, np.array([6.0, 0.3]))
    assert number == 1
    assert bends[1] == Bend(1, (6.0, 0.3))
    bends, number = bent(bends, ends_KD, polyline(ends_KD, bends), 0.0, np.array([9.0, 9.0]), taken=2)
    assert (bends[2], number) == (Bend(1, (9.0, 9.0)), 2)


@given(positions=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_bends_drawn_from_anywhere_are_always_in_order(positions: list[float]) -> None:
    ends_KD = np.array([[0.0, 0.0], [3.0, 1.0], [3.0, 1.0], [5.0, -2.0]])
    bends: tuple[Bend, ...] = ()
    for position in positions:
        bends, number = bent(bends, ends_KD, polyline(ends_KD, bends), position, np.array([5 * position, 0.5]))
        assert bends[number].z == (5 * position, 0.5)
    assert all(a.segment <= b.segment for a, b in itertools.pairwise(bends))
    assert all(0 <= bend.segment <= 2 for bend in bends)


def test_a_drag_of_the_curve_on_the_map_bends_it(stage: Stage) -> None:
    stage.pin(A, B)
    canvas = stage.window.panel("latent_map").canvas
    stage.session.map.set_frame(Frame(0.0, 0.0, 60.0))
    stage.wait(lambda: len(canvas.overlay.curve) > 2 and not canvas.is_gliding)

    def pixel(x: float, y: float) -> QPoint:
        return (QPointF(*canvas.frame.to_screen(x, y)) + QPointF(canvas.plot.topLeft())).toPoint()

    middle = canvas.overlay.curve[len(canvas.overlay.curve) // 3]
    aim = (middle[0] + 0.4, middle[1] + 0.5)
    steps = stage.session.undo_stack.count()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=pixel(*middle))
    for share in (0.2, 0.5, 0.8, 1.0):
        QTest.mouseMove(canvas, pixel(middle[0] + share * 0.4, middle[1] + share * 0.5))
        QApplication.processEvents()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=pixel(*aim))
    bends = stage.session.map.arrangement.path.bends
    assert len(bends) == 1
    assert bends[0].z == pytest.approx(aim, abs=0.05)
    assert stage.session.undo_stack.count() == steps + 1
    stage.rest()
    assert np.linalg.norm(stage.result.curve_PD - bends[0].z, axis=1).min() < 1e-9


def test_hidden_it_asks_for_nothing_unless_the_map_wants_the_curve(stage: Stage) -> None:
    window, session = stage.window, stage.session
    window.docks["bound_curves"].raise_()
    stage.wait(lambda: not window.docks["path"].is_seen)
    asked: list[str] = []
    explore = session.map.explore
    session.map.explore = lambda slot, *rest: (asked.append(slot), explore(slot, *rest))  # type: ignore[assignment, func-returns-value, method-assign]
    for watcher in tuple(stage.panel._search._watchers):
        stage.panel.watch(watcher, False)
    session.map.add_pin(A)
    session.map.add_pin(B)
    assert not stage.panel._search._timer.isActive()
    assert "path" not in asked
    stage.panel.watch("a test", True)
    stage.rest()
    assert "path" in asked
    stage.panel.watch("a test", False)
    assert not session.map._survey.is_open("path")
    session.map.move_pin(1, C)
    assert stage.panel.result is None
    assert not stage.panel._search._timer.isActive()


def test_it_follows_training_at_most_every_two_seconds(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_search, "TRAINING_INTERVAL_SECONDS", 0.4)
    stage.pin(A, B)
    asked: list[float] = []
    search = stage.panel._search
    seen: list[object] = []
    stage.panel.path_changed.connect(seen.append)
    search.changed.connect(lambda: asked.append(search._asked_at))
    stage.panel.controls.rate.setValue(30)
    stage.panel.play()
    stage.window.commands.actions["action.train"].trigger()
    stage.wait(lambda: stage.session.state is State.TRAINING)
    asked.clear()
    stage.wait(lambda: len(asked) >= 4)
    assert stage.panel.is_playing
    assert all(result is not None for result in seen)
    moments = sorted(set(asked))[1:]
    assert all(b - a >= 0.39 for a, b in itertools.pairwise(moments))
    stage.session.stop()
    stage.wait(lambda: stage.session.state is State.FINISHED)
    stage.rest()
    assert np.abs(direct(stage.session, stage.result.z_FD) - stage.result.pictures_F).max() <= 1


def test_a_pin_that_goes_while_the_path_is_looked_for_leaves_no_trace(stage: Stage) -> None:
    session = stage.session
    session.map.set_path(PathChoice("geodesic", "visual", 60))
    session.map.add_pin(A)
    session.map.add_pin(B)
    stage.wait(lambda: session.map._survey.is_open("path"))
    session.map.remove_pin(0)
    assert not session.map._survey.is_open("path")
    assert stage.panel.result is None
    stage.pin(C)
    assert stage.result.z_FD[[0, -1]] == pytest.approx(np.stack([B, C]))


def test_a_drag_shows_the_path_of_where_it_ends(stage: Stage) -> None:
    stage.pin(A, B)
    gesture = stage.session.map.new_gesture()
    for share in np.linspace(0, 1, 20):
        stage.session.map.move_pin(1, B + share * (C - B), gesture)
        QApplication.processEvents()
    stage.rest()
    assert stage.result.z_FD[-1] == pytest.approx(C)


def test_a_model_of_other_dimensions_has_no_path_of_the_old_pins(stage: Stage) -> None:
    stage.pin(A, B)
    stage.panel.play()
    stage.session.place_config(tiny_config(epochs=100_000, latents=3))
    stage.wait(lambda: stage.session.map.num_dimensions == 3)
    assert stage.panel.result is None
    assert not stage.panel.is_playing
    stage.pin(np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.5]))
    assert stage.result.z_FD.shape == (11, 3)
    for kind in PATHS.names():
        stage.choose(kind=kind)
        assert stage.result.z_FD.shape == (11, 3)


def test_trouble_is_told_in_the_strip(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.errors import UserError
    from vae_explorer.latent import paths

    def refuse(*_: object) -> None:
        raise UserError("There is no way from here.", "Move a pin.")

    monkeypatch.setattr(paths, "path", refuse)
    stage.session.map.add_pin(A)
    stage.session.map.add_pin(B)
    stage.wait(lambda: "no way" in stage.strip.note)
    assert "Move a pin." in stage.strip.note
    assert not stage.panel.controls.save_button.isEnabled()
    monkeypatch.undo()
    stage.session.map.move_pin(0, C)
    stage.rest()
    assert stage.strip.num_frames == 11


def test_a_long_strip_scrolls_by_the_wheel_and_follows_the_current_frame(stage: Stage) -> None:
    stage.pin(A, B)
    stage.choose(num_frames=60)
    strip = stage.strip
    assert strip.frame_rect(59).left() > strip.width()
    event = QWheelEvent(
        QPointF(30, 30), strip.mapToGlobal(QPointF(30, 30)), QPoint(), QPoint(0, -1_000_000),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(strip, event)
    assert strip.frame_rect(59).right() <= strip.width()
    QTest.keyClick(strip, Qt.Key.Key_Home)
    assert strip.frame_rect(0).left() >= 0
    QTest.keyClick(strip, Qt.Key.Key_End)
    assert strip.frame_rect(59).right() <= strip.width()


def test_numbers_of_codes_and_lengths_are_told_with_their_units(stage: Stage) -> None:
    stage.pin(A, np.array([40.0, 40.0]))
    near_F = stage.result.num_near_F
    assert near_F is not None
    assert near_F[-1] == 0
    assert stage.strip.frame_text(10) == "Frame 11 of 11 · codes near: none"
    assert stage.strip.frame_text(0) == f"Frame 1 of 11 · codes near: {near_F[0] or 'none'}"
    texts = {
        (14.15, 16.14, 0.1234): "visual length 14.2 (straight 16.1): 12 % saved",
        (5.555, 5.577, 0.004): "visual length 5.55 (straight 5.58): 0.4 % saved",
        (9.99, 10.0, 0.001): "visual length 10.0: as long as the straight line",
        (1.5, 1.0, -0.5): "visual length 1.50 (straight 1.00): 50 % longer",
        (1.5, 0.0, 0.0): "visual length 1.50 (straight 0)",
        (float("nan"), 1.0, float("nan")): "visual length unknown",
    }
    for (length, straight, saved), text in texts.items():
        result = dataclasses.replace(stage.result, length=length, straight_length=straight, saved=saved)
        assert length_text(result) == text
    assert "mean picture" in stage.panel.text.toolTip()
    assert "as long as the straight line" in stage.panel.text.text()
    assert "pixel values from 0 to 1" in length_details(stage.result)
    assert "latent units" in length_details(stage.result)
    assert "20th nearest other" in length_details(stage.result)


def test_a_geodesic_is_shown_above_the_straight_path_with_rulers_of_one_scale(stage: Stage) -> None:
    stage.pin(A, np.array([2.0, -2.0]))
    assert not stage.panel.straight_strip.isVisible()
    field = stage.panel.controls.lengths_in
    field.setCurrentIndex(field.findData("fisher"))
    field.activated.emit(field.currentIndex())
    stage.rest()
    assert "Fisher length" in stage.panel.text.text()
    controls = stage.panel.controls
    for widget in (controls.kind, controls.speed, controls.play_button, controls.save_button, field):
        assert widget.isVisible()
    assert controls.rect().contains(controls.save_button.geometry())
    assert stage.result.metric == "fisher"
    stage.choose(kind="spherical")
    beside = stage.result.straight
    assert beside is not None
    strip = stage.panel.straight_strip
    assert strip.isVisible()
    assert strip.num_frames == stage.strip.num_frames
    image = strip.frame_image(4)
    assert image is not None
    assert image.pixelColor(3, 2).red() == beside.pictures_F[4][2, 3]
    assert strip._ruler_end == stage.strip._ruler_end == max(stage.result.length, stage.result.straight_length)
    assert strip._length_text(10).startswith("Fisher length so far")
    longer, shorter = (ruler_ticks(0.0, 100.0, np.array([0.0, whole]), 8.0)[-1] for whole in (8.0, 4.0))
    assert (longer, shorter) == (100.0, 50.0)
    stage.window.commands.actions["action.undo"].trigger()
    stage.rest()
    assert not strip.isVisible()


def test_words_below_the_frames_fit_below_the_frames() -> None:
    near_F = np.array([0, 1, 1200])
    assert near_words(near_F, len, 11) == ["none", "1 code", "1,200 codes"]
    assert near_words(near_F, len, 10) == ["none", "1", "1,200"]
    assert near_words(near_F, len, 4) == ["0", "1", "1,200"]


# --- what is held, and what is old


def test_a_frame_held_follows_a_bend_that_is_taken_back(stage: Stage) -> None:
    stage.pin(A, B)
    stage.panel.bend(0.5, np.array([0.1, 1.5]))
    stage.rest()
    decoded = stage.window.panel("decoded_image")
    stage.panel.controls.rate.setValue(30)
    stage.panel.play()
    stage.wait(lambda: stage.panel.frame == 5)
    stage.panel.play()
    frame = stage.panel.frame
    stage.wait(lambda: decoded._shown.name == f"Path, frame {frame + 1} of 11")
    assert decoded.tag.toolTip() == f"Path, frame {frame + 1} of 11"
    bent_D = decoded._shown.z_D
    stage.session.undo_stack.undo()
    stage.rest()
    assert not np.allclose(stage.result.z_FD[frame], bent_D)
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[frame]))
    stage.choose(num_frames=3)
    stage.wait(lambda: decoded._shown.name == "Path, frame 3 of 3")
    assert decoded._shown.z_D == pytest.approx(B)


def test_a_place_under_the_mouse_is_not_taken_back_by_a_new_path(stage: Stage) -> None:
    stage.pin(A, B)
    decoded = stage.window.panel("decoded_image")
    place = stage.session.explorer_thread.place
    stage.strip._choose(4)
    place.hover(np.array([2.0, 2.0]))
    stage.panel.bend(0.5, np.array([0.1, 1.5]))
    stage.rest()
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, [2.0, 2.0]))
    stage.panel._stop()
    assert place._is_hovering
    assert decoded.tag.toolTip() == "Hover"


def test_without_pins_the_place_is_where_the_mouse_was(stage: Stage) -> None:
    decoded = stage.window.panel("decoded_image")
    stage.session.explorer_thread.place.hover(np.array([2.0, 1.0]))
    stage.session.explorer_thread.place.leave()
    stage.pin(A, B)
    stage.strip._choose(4)
    stage.wait(lambda: decoded._shown.name != "")
    stage.session.map.remove_pin(1)
    stage.wait(lambda: decoded._shown.kind == "pinned")
    assert decoded._shown.z_D == pytest.approx(A)
    stage.session.undo_stack.undo()
    stage.rest()
    stage.strip._choose(5)
    stage.wait(lambda: decoded._shown.name != "")
    stage.session.map.clear_pins()
    stage.wait(lambda: decoded._shown.name == "")
    assert decoded._shown.kind == "origin"


def test_a_slow_path_is_old_until_the_one_asked_for_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.latent import paths

    stage.pin(A, B)
    found, may_end = paths.path, threading.Event()

    def slow(*given_to: object) -> Iterator[object]:
        while not may_end.wait(0.005):
            yield None
        yield from found(*given_to)  # type: ignore[arg-type]

    monkeypatch.setattr(paths, "path", slow)
    told: list[bool] = []
    stage.panel.search_changed.connect(told.append)
    bright = stage.strip.grab().toImage()
    stage.session.map.move_pin(1, C)
    stage.wait(lambda: told == [True])
    assert stage.panel.is_result_old
    assert stage.strip.is_dimmed
    assert stage.strip.grab().toImage() != bright
    assert "finding the path" in stage.panel.text.text()
    assert stage.panel.text.minimumHeight() > 0, "fewer words leave the frames their size"
    assert stage.strip.accessibleDescription().startswith("Finding the path.")
    stage.session.map.move_pin(1, B)
    assert told == [True, False], "it is the path of these pins again"
    stage.session.map.move_pin(1, C)
    stage.wait(lambda: stage.panel.is_result_old)
    may_end.set()
    stage.rest()
    assert told == [True, False, True, False]
    assert not stage.strip.is_dimmed
    assert stage.panel.text.minimumHeight() == 0
    assert "visual length" in stage.panel.text.text()
    assert stage.result.z_FD[-1] == pytest.approx(C)


def test_an_old_curve_is_painted_thin_dashed_and_pale(qapp: QApplication) -> None:
    frame, colours = MapFrame(200, 100), theme.current()

    def ink(**changes: object) -> np.ndarray:
        image = QImage(200, 100, QImage.Format.Format_RGB32)
        image.fill(QColor(colours.panel))
        painter = QPainter(image)
        places = ((-1.5, 0.0), (1.5, 0.0))
        paint_overlay(painter, frame, colours, MapOverlay(curve=places, **changes), is_line=False)  # type: ignore[arg-type]
        painter.setPen(QColor("black"))
        assert painter.opacity() == 1.0
        painter.end()
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(100, 200, 4)[..., :3].astype(int)
        return np.abs(pixels - pixels[0, 0]).sum(axis=2)

    new, old = ink(), ink(is_curve_old=True)
    assert (new[:, 40:160].max(axis=0) > 0).all()
    assert 0.3 < (old[:, 40:160].max(axis=0) == 0).mean() < 0.7, "dashes"
    assert 0 < old.max() < 0.5 * new.max()
    assert (old[:, 40:160].sum(axis=0) > 0).sum() > 20
    stops = ((0.0, 0.7),)
    assert 0 < ink(is_curve_old=True, stops=stops)[:40].sum() < 0.35 * ink(stops=stops)[:40].sum()


# --- bending by keys


def press(strip: Filmstrip, key: Qt.Key, *, is_held: bool = False, is_large: bool = False) -> None:
    held = Qt.KeyboardModifier.AltModifier
    if is_large:
        held |= Qt.KeyboardModifier.ShiftModifier
    QApplication.sendEvent(strip, QKeyEvent(QEvent.Type.KeyPress, key, held, "", is_held))


def test_alt_with_arrows_bends_the_path_at_the_current_frame(stage: Stage) -> None:
    stage.pin(A, B)
    decoded = stage.window.panel("decoded_image")
    stage.strip._choose(5)
    start_D, steps = stage.result.z_FD[5], stage.session.undo_stack.count()
    step = 0.03 * np.linalg.norm(B - A)
    press(stage.strip, Qt.Key.Key_Up)
    for _ in range(4):
        press(stage.strip, Qt.Key.Key_Up, is_held=True)
    assert stage.strip.current == 5
    assert stage.session.undo_stack.count() == steps + 1
    (bend,) = stage.session.map.arrangement.path.bends
    assert bend.z == pytest.approx((start_D[0], start_D[1] + 5 * step))
    press(stage.strip, Qt.Key.Key_Left, is_large=True)  # before the answer to the first has come
    assert stage.session.undo_stack.count() == steps + 2
    (bend,) = stage.session.map.arrangement.path.bends
    assert bend.z == pytest.approx((start_D[0] - 4 * step, start_D[1] + 5 * step))
    stage.rest()
    stage.wait(lambda: np.array_equal(decoded._shown.z_D, stage.result.z_FD[5]))
    at_bend = int(np.linalg.norm(stage.result.z_FD - bend.z, axis=1).argmin())
    assert at_bend != 5
    stage.strip._choose(at_bend)
    press(stage.strip, Qt.Key.Key_Down)
    (bend,) = stage.session.map.arrangement.path.bends
    assert bend.z == pytest.approx((start_D[0] - 4 * step, start_D[1] + 4 * step)), "no second bend beside it"
    for _ in range(3):
        stage.session.undo_stack.undo()
    assert stage.session.map.arrangement.path.bends == ()
    assert "Alt with an arrow key" in stage.strip.accessibleDescription()


def test_pins_are_not_bent_by_keys(stage: Stage) -> None:
    told: list[str] = []
    stage.session.message_posted.connect(lambda message: told.append(f"{message.text} {message.hint}"))
    press(stage.strip, Qt.Key.Key_Up)
    stage.pin(A, B)
    stage.strip._choose(0)
    press(stage.strip, Qt.Key.Key_Up)
    press(stage.strip, Qt.Key.Key_Up, is_held=True)
    assert stage.session.map.arrangement.path.bends == ()
    assert len(told) == 1
    assert "Choose a frame between them" in told[0]


def test_a_step_stays_in_the_view_or_goes_along_it() -> None:
    plane = PlaneView((0.0, 0.0, 1.0), (2.0, 0.0, 0.0), (0.0, 1.0, 0.0), ("x", "y"))
    assert moved_in_view(plane, np.array([4.0, 1.0, 1.0]), 0.5, 0.25) == pytest.approx([5.0, 1.25, 1.0])
    assert moved_in_view(plane, np.array([4.0, 1.0, 9.0]), 0.5, 0.25) == pytest.approx([5.0, 1.25, 9.0])
    assert moved_in_view(LineView(), np.array([4.0]), 0.5, 0.25) == pytest.approx([4.5])


def test_the_nearest_part_of_the_curve_is_drawn_to_a_place(stage: Stage) -> None:
    told: list[str] = []
    stage.session.message_posted.connect(lambda message: told.append(message.hint))
    stage.panel.bend_at_place(A)
    assert told == [path_search.NO_PINS]
    stage.pin(A, B, C)
    goal_D = 0.5 * (B + C) + [0.4, 0.1]
    steps = stage.session.undo_stack.count()
    stage.panel.bend_at_place(goal_D)
    assert stage.session.map.arrangement.path.bends == (Bend(1, tuple(goal_D.tolist())),)
    assert stage.session.undo_stack.count() == steps + 1
    stage.rest()
    assert np.linalg.norm(stage.result.curve_PD - goal_D, axis=1).min() < 1e-9
    stage.panel.bend_at_place(np.zeros(3))
    assert stage.session.undo_stack.count() == steps + 1


def test_a_bend_is_found_by_its_place_on_the_curve() -> None:
    ends_KD, bends = np.array([[0.0, 0.0], [4.0, 0.0]]), (Bend(0, (1.0, 1.0)), Bend(0, (3.0, 1.0)))
    curve_PD = polyline(ends_KD, bends)
    assert position_of(curve_PD, np.array([3.0, 1.1])) == pytest.approx(2 / 3)
    frames = curve_PD[::20]
    assert [bend_of_frame(bends, frames, frame) for frame in range(7)] == [None, None, 0, None, 1, None, None]
    assert bend_of_frame((*bends, Bend(0, (3.0, 1.1))), frames, 4) == 1
    assert bend_of_frame((), frames, 3) is None


# --- saving


@pytest.fixture
def dialog(stage: Stage) -> SavePathDialog:
    stage.pin(A, B)
    stage.choose(num_frames=5)
    stage.panel.save()
    dialog = stage.panel._dialog
    assert dialog is not None
    return dialog


def choose_format(dialog: SavePathDialog, kind: str) -> None:
    dialog.kind.setCurrentIndex(dialog.kind.findData(kind))


@pytest.mark.parametrize("kind", MOVIE_KINDS.names())
def test_every_format_is_written_and_can_be_read(
    dialog: SavePathDialog, stage: Stage, qtbot: QtBot, tmp_path: Path, kind: str
) -> None:
    needs = MOVIE_KINDS[kind].needs
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"the package {needs} is not installed")
    choose_format(dialog, kind)
    dialog.scale.setValue(2)
    dialog.rate.setValue(10)
    with qtbot.waitSignal(dialog._writing.written, timeout=WAIT_MS):
        dialog.save(tmp_path / "path")
    path = tmp_path / f"path{MOVIE_KINDS[kind].suffix}"
    assert str(path) in dialog.message.text()
    frames_F = stage.result.pictures_F
    if kind == "mp4":
        import av

        with av.open(path) as container:
            pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert len(pictures) == 9
        assert pictures[0].shape == (16, 16)
        return
    with Image.open(path) as picture:
        assert picture.size == dialog.file_size
        first = np.asarray(picture.convert("L"))
        if kind == "strip":
            assert first.shape == (8 * 2 + 4, 5 * 18 + 2)
            first = first[2:18, 2:18]
        else:
            assert picture.n_frames == 8
            assert picture.info["duration"] == 100
        assert np.array_equal(first[::2, ::2], frames_F[0])
        if kind in {"strip", "apng"}:
            picture.seek(0)
            assert picture.text["kind"] == "path straight"
            assert picture.text["step"] == str(stage.session.snapshot.step)  # type: ignore[union-attr]


def test_the_preview_tells_the_size_and_plays_what_will_be_saved(dialog: SavePathDialog, qtbot: QtBot) -> None:
    choose_format(dialog, "gif")
    dialog.scale.setValue(3)
    dialog.rate.setValue(50)
    assert "24 × 24 pixels" in dialog.facts.text()
    assert "8 frames, 0.2 s" in dialog.facts.text()
    dialog.there_and_back.setChecked(False)
    assert "5 frames, 0.1 s" in dialog.facts.text()
    shown: list[int] = []
    original = dialog.preview.show_pixels
    dialog.preview.show_pixels = lambda pixels: (shown.append(dialog._at), original(pixels))  # type: ignore[assignment, func-returns-value, method-assign]
    qtbot.waitUntil(lambda: len(shown) >= 6, timeout=WAIT_MS)
    assert set(shown) == set(range(5))
    choose_format(dialog, "strip")
    dialog.spacing.setValue(1)
    assert f"{5 * 25 + 1} × 26 pixels" in dialog.facts.text()
    assert dialog.preview.image().width() == 5 * 25 + 1
    del dialog.preview.show_pixels


def test_no_format_is_offered_the_name_of_another(dialog: SavePathDialog) -> None:
    names = []
    for kind in MOVIE_KINDS.names():
        choose_format(dialog, kind)
        names.append(dialog.suggested_name())
        assert names[-1].endswith(MOVIE_KINDS[kind].suffix)
    assert len(set(names)) == len(names)
    assert names[0].startswith("path-strip-straight-step-")


def test_the_folder_and_the_format_are_remembered(
    dialog: SavePathDialog, stage: Stage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_format(dialog, "webp")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "walk"), ""))
    with qtbot.waitSignal(dialog._writing.written, timeout=WAIT_MS):
        qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    assert (tmp_path / "walk.webp").is_file()
    dialog.close()
    assert stage.panel._dialog is None
    stage.panel.save()
    second = stage.panel._dialog
    assert second is not None
    assert second.kind_name == "webp"
    assert second._start_folder() == tmp_path


def test_what_cannot_be_saved_is_told_and_the_dialog_stays(
    dialog: SavePathDialog, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_format(dialog, "apng")
    with qtbot.waitSignal(dialog._writing.failed, timeout=WAIT_MS):
        dialog.save(tmp_path / "missing" / "path.png")
    assert "does not exist" in dialog.message.text()
    assert dialog.save_button.isEnabled()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else find(name, *rest))
    choose_format(dialog, "mp4")
    assert 'pip install "vae-explorer[video]"' in dialog.message.text()
    assert not dialog.save_button.isEnabled()
    choose_format(dialog, "gif")
    assert dialog.message.text() == ""
    assert dialog.save_button.isEnabled()


def test_without_a_path_saving_says_how_to_get_one(stage: Stage) -> None:
    told: list[str] = []
    stage.session.message_posted.connect(lambda message: told.append(f"{message.text} {message.hint}"))
    stage.panel.save()
    stage.panel.play()
    assert stage.panel._dialog is None
    assert not stage.panel.is_playing
    assert "Set two or more pins" in told[0]
