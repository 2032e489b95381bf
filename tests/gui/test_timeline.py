"""Looking back in time, in the real window: a run in training, a finished one and an opened one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.gui import theme
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Session, State
from vae_explorer.gui.timeline import Timeline
from vae_explorer.gui.widgets.past_badge import moment_lines
from vae_explorer.gui.widgets.time_strip import TimeStrip
from vae_explorer.latent.view_catalogue import ViewChoice
from vae_explorer.latent.views import PlaneView
from vae_explorer.runs.frames import frames_folder, read_frames
from vae_explorer.runs.past import Moment
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.run_config import RunConfig, with_value

Opener = Callable[..., MainWindow]


@dataclass
class Stage:
    window: MainWindow
    qtbot: QtBot

    @property
    def session(self) -> Session:
        return self.window.session

    @property
    def timeline(self) -> Timeline:
        return self.session.timeline

    @property
    def strip(self) -> TimeStrip:
        strip: TimeStrip = self.window.panel("latent_map").time_strip
        return strip

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def look_at(self, number: int | None) -> None:
        self.timeline.go_to(number)
        self.wait(lambda: self.shown == number)

    @property
    def shown(self) -> int | None:
        return None if self.timeline.moment is None else self.timeline.moment.number


@pytest.fixture
def stored(tmp_path: Path) -> RunDirectory:
    """A run that was trained without a window."""
    config = with_value(tiny_config("grey", epochs=6), "recording.lookback_images", 100)
    return train_tiny(tmp_path / "stored-run", config)[0]


@pytest.fixture
def stage(open_window: Opener, qtbot: QtBot, stored: RunDirectory) -> Stage:
    """That run, opened."""
    found = Stage(open_window(tiny_config(), run=stored.path), qtbot)
    found.wait(lambda: bool(found.timeline.steps))
    settle(found.window, qtbot)
    return found


def test_an_opened_run_is_looked_back_at_and_left_again(stage: Stage, stored: RunDirectory) -> None:
    recorded = read_frames(stored)
    assert recorded is not None
    assert stage.timeline.steps == recorded.steps
    strip, session = stage.strip, stage.session
    assert (strip.slider.value(), strip.slider.maximum()) == (len(recorded.steps),) * 2, "the present is at the right"
    assert not strip.now_button.isEnabled()
    present = session.snapshot
    assert present is not None
    stage.look_at(2)
    snapshot = session.snapshot
    assert snapshot is not None
    frame = recorded.frames[2]
    assert snapshot.codes_ND is not None
    np.testing.assert_array_equal(
        snapshot.codes_ND[torch.from_numpy(recorded.items_A)], np.asarray(frame.codes_AD, np.float32)
    )
    assert strip.slider.value() == 2
    settle(stage.window, stage.qtbot)
    panel = stage.window.panel("latent_map")
    assert panel.readout.text() == "showing 100 of 240 codes"
    assert panel.badge.isVisible()
    assert panel.badge.lines == (
        f"Step {frame.step} · epoch {frame.epoch:.2f} · {round(frame.seconds)} s",
        f"Recorded frame 3 of {len(recorded.steps)}: 100 of 240 codes",
    )
    decoded = stage.window.panel("decoded_image")
    stage.wait(lambda: decoded._shown is not None and decoded._shown.step == frame.step)
    stage.qtbot.mouseClick(strip.now_button, Qt.MouseButton.LeftButton)
    assert stage.shown is None
    assert not panel.badge.isVisible()
    back = session.snapshot
    assert back.weights is present.weights
    assert back.codes_ND is present.codes_ND
    assert back.stamp > snapshot.stamp
    settle(stage.window, stage.qtbot)
    assert panel.readout.text() == "showing 240 of 240 codes"
    stage.wait(lambda: decoded._shown.step == present.step)


def test_the_bars_say_that_they_are_not_of_the_past(stage: Stage) -> None:
    panel = stage.window.panel("kl_dimensions")
    stage.wait(lambda: panel.count.text().endswith(" active"))
    stage.look_at(1)
    stage.wait(lambda: panel.count.text().endswith(" active now"))
    stage.look_at(None)
    stage.wait(lambda: panel.count.text().endswith(" active"))


def test_the_cross_hair_stands_at_the_moment_on_every_axis_and_under_no_mouse(stage: Stage) -> None:
    curves = stage.window.panel("bound_curves")
    stage.look_at(3)
    moment = stage.timeline.moment
    assert moment is not None
    plots = curves.board.visible_plots()
    assert {plot.overlay.cross_x for plot in plots} == {float(moment.images_seen)}
    assert f"at {moment.images_seen} images" in plots[0].title.at_text
    for axis, place in (("step", moment.step), ("seconds", moment.seconds)):
        curves.axis_choice.setCurrentIndex(curves.axis_choice.findData(axis))
        assert {plot.overlay.cross_x for plot in plots} == {float(place)}
    curves.board.show_cross(1.0)  # the mouse
    curves.board.show_cross(None)  # has left
    assert {plot.overlay.cross_x for plot in plots} == {moment.seconds}
    stage.look_at(None)
    assert {plot.overlay.cross_x for plot in plots} == {None}


def test_a_press_and_keys_take_the_slider_anywhere(stage: Stage) -> None:
    slider, num = stage.strip.slider, len(stage.timeline.steps)
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() // 2, slider.height() // 2))
    stage.wait(lambda: stage.shown is not None and abs(stage.shown - num / 2) <= 1)
    for key, expected in (
        (Qt.Key.Key_Home, 0), (Qt.Key.Key_Right, 1), (Qt.Key.Key_Up, 2), (Qt.Key.Key_Left, 1), (Qt.Key.Key_End, None),
        (Qt.Key.Key_Left, num - 1), (Qt.Key.Key_Escape, None), (Qt.Key.Key_Escape, None),
    ):  # fmt: skip
        QTest.keyClick(slider, key)
        stage.wait(lambda expected=expected: stage.shown == expected)  # type: ignore[misc]
        assert slider.value() == (num if expected is None else expected)


def test_it_plays_every_frame_once_up_to_the_present(stage: Stage) -> None:
    seen: list[int | None] = []
    stage.timeline.moved.connect(lambda moment: seen.append(None if moment is None else moment.number))
    stage.timeline.set_rate(50.0)
    stage.strip.slider.setFocus()
    QTest.keyClick(stage.strip.slider, Qt.Key.Key_Space)
    assert stage.timeline.is_playing
    assert stage.strip.play_button.accessibleName() == "Rest"
    stage.wait(lambda: not stage.timeline.is_playing)
    assert seen == [*range(len(stage.timeline.steps)), None]
    assert stage.strip.play_button.accessibleName() == "Play the training"


def test_it_rests_where_one_says_and_plays_on_from_there(stage: Stage) -> None:
    stage.look_at(2)
    stage.timeline.set_rate(3.0)
    stage.timeline.play()
    stage.wait(lambda: stage.shown == 3)
    stage.qtbot.mouseClick(stage.strip.play_button, Qt.MouseButton.LeftButton)
    assert not stage.timeline.is_playing
    assert stage.shown == 3
    stage.timeline.play()
    QTest.keyClick(stage.strip.slider, Qt.Key.Key_Home)
    assert not stage.timeline.is_playing, "a hand on the slider stops it"
    stage.wait(lambda: stage.shown == 0)


def test_aligned_turns_the_plane_and_raw_leaves_it(stage: Stage) -> None:
    session_map = stage.session.map
    straight = session_map.view
    assert isinstance(straight, PlaneView)
    stage.look_at(0)
    turned = session_map.view
    assert isinstance(turned, PlaneView)
    assert turned != straight
    codes_ND = stage.session.snapshot.codes_ND.numpy()
    xy_N2 = turned.project(codes_ND)
    norms = np.linalg.norm(codes_ND, axis=1)
    np.testing.assert_allclose(np.linalg.norm(xy_N2, axis=1), norms, rtol=1e-3, atol=1e-4)
    settle(stage.window, stage.qtbot)
    place = stage.window.panel("latent_map").canvas
    assert place.axis_labels == ("z₁′", "z₂′")
    stage.qtbot.mouseClick(stage.strip.align_button, Qt.MouseButton.LeftButton)
    stage.wait(lambda: session_map.view == straight)
    assert stage.shown == 0
    stage.qtbot.mouseClick(stage.strip.align_button, Qt.MouseButton.LeftButton)
    stage.wait(lambda: session_map.view == turned)
    # The last frame is what the others are turned onto, and the present is never turned.
    stage.look_at(len(stage.timeline.steps) - 1)
    np.testing.assert_allclose(np.array([session_map.view.u, session_map.view.v]), np.eye(2), atol=1e-9)
    stage.look_at(0)
    stage.look_at(None)
    assert session_map.view == straight


def test_a_fitted_plane_follows_the_codes_of_each_moment_itself(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    run, _ = train_tiny(tmp_path / "run", tiny_config("grey", epochs=3, latents=4))
    stage = Stage(open_window(tiny_config(), run=run.path), qtbot)
    stage.wait(lambda: bool(stage.timeline.steps))
    stage.session.map.choose_view(ViewChoice("pca"))
    before = stage.session.map.view
    stage.look_at(1)
    stage.wait(lambda: stage.session.map.view != before)
    settle(stage.window, qtbot)
    fitted = stage.session.map.view
    assert isinstance(fitted, PlaneView)
    codes_ND = stage.session.snapshot.codes_ND.numpy()
    main_D = np.linalg.svd(codes_ND - codes_ND.mean(0))[2][0]
    assert abs(np.dot(np.array(fitted.u) / np.linalg.norm(fitted.u), main_D)) > 0.99


def test_a_run_in_training_goes_on_while_its_past_is_looked_at(
    open_window: Opener, qtbot: QtBot, long_config: RunConfig
) -> None:
    stage = Stage(open_window(long_config), qtbot)
    session = stage.session
    session.train()
    stage.wait(lambda: len(stage.timeline.steps) > 5)
    stage.wait(lambda: session.snapshot is not None and session.snapshot.step > 0)
    stage.look_at(1)
    step = session.progress.step
    taken = session.snapshot
    frames = len(stage.timeline.steps)
    stage.wait(lambda: session.progress.step > 3 * step and len(stage.timeline.steps) > frames)
    assert session.snapshot is taken, "the present does not show through"
    assert stage.strip.slider.maximum() == len(stage.timeline.steps)
    assert stage.strip.slider.value() == 1
    assert f"frame 2 of {len(stage.timeline.steps)}:" in stage.window.panel("latent_map").badge.lines[1]
    assert session.state is State.TRAINING
    stage.look_at(None)
    stage.wait(lambda: session.snapshot.step > step)
    session.stop()
    stage.wait(lambda: session.state is State.FINISHED)
    end = session.progress.step
    stage.wait(lambda: stage.timeline.steps[-1] == end)
    stage.look_at(0)
    assert session.snapshot.step == 0


def test_the_end_of_a_run_waits_for_the_return(open_window: Opener, qtbot: QtBot, long_config: RunConfig) -> None:
    stage = Stage(open_window(long_config), qtbot)
    session = stage.session
    session.train()
    stage.wait(lambda: len(stage.timeline.steps) > 3)
    stage.look_at(0)
    session.stop()
    stage.wait(lambda: session.state is State.FINISHED)
    assert stage.shown == 0
    stage.look_at(None)
    assert session.snapshot.step == session.progress.step


def test_another_run_is_looked_at_in_its_present(stage: Stage, tmp_path: Path) -> None:
    stage.look_at(1)
    session = stage.session
    session.train()
    assert not stage.timeline.is_past
    assert stage.timeline.steps == ()
    assert not stage.window.panel("latent_map").badge.isVisible()
    assert not stage.strip.slider.isEnabled()
    stage.wait(lambda: session.state is State.FINISHED)
    stage.wait(lambda: bool(stage.timeline.steps))
    other, _ = train_tiny(tmp_path / "other", with_value(tiny_config(), "recording.lookback_images", 0))
    stage.look_at(0)
    with stage.qtbot.waitSignal(session.run_opened, timeout=WAIT_MS):
        session.open_run(other.path)
    stage.wait(lambda: session.state is State.FINISHED)
    assert stage.timeline.steps == ()
    assert not stage.strip.isEnabled() or not stage.strip.slider.isEnabled()
    assert "Nothing to look back at" in stage.strip.slider.toolTip()


def test_a_run_that_is_continued_keeps_its_past(stage: Stage) -> None:
    session = stage.session
    before = stage.timeline.steps
    stage.look_at(2)
    session.edit("training.epochs", 9)
    session.continue_run()
    assert not stage.timeline.is_past
    stage.wait(lambda: session.state is State.FINISHED and session._training is None)
    stage.wait(lambda: len(stage.timeline.steps) > 0 and stage.timeline.steps[-1] == 72)
    assert stage.timeline.steps[: len(before)] == before
    stage.look_at(2)


def test_frames_that_vanish_are_told_and_the_present_comes_back(stage: Stage, stored: RunDirectory) -> None:
    stage.look_at(1)
    for path in frames_folder(stored).iterdir():
        path.unlink()
    stage.timeline.frames_written()
    stage.wait(lambda: not stage.timeline.is_past)
    assert stage.timeline.steps == ()
    assert stage.session.snapshot.step == 48


def test_weights_that_cannot_be_read_give_way_to_the_present_and_only_codes_are_shown(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    for path in frames_folder(stored).glob("*-weights*"):
        path.unlink()
    stage = Stage(open_window(tiny_config(), run=stored.path), qtbot)
    stage.wait(lambda: bool(stage.timeline.steps))
    settle(stage.window, qtbot)
    drawn: dict[str, object] = {}
    stage.session.map.layer_drawn.connect(lambda name, drawing: drawn.__setitem__(name, drawing))
    stage.look_at(1)
    settle(stage.window, qtbot)
    assert drawn["manifold"] is None
    assert drawn["codes"] is not None
    assert "decoded by step 48" in stage.window.panel("latent_map").badge.lines[1]
    stage.look_at(None)
    settle(stage.window, qtbot)
    assert drawn["manifold"] is not None


def test_a_damaged_frame_is_left_out(open_window: Opener, qtbot: QtBot, stored: RunDirectory) -> None:
    recorded = read_frames(stored)
    assert recorded is not None
    (frames_folder(stored) / f"{recorded.steps[2]:09d}.safetensors").write_bytes(b"damaged")
    stage = Stage(open_window(tiny_config(), run=stored.path), qtbot)
    stage.wait(lambda: bool(stage.timeline.steps))
    assert stage.timeline.steps == recorded.steps[:2] + recorded.steps[3:]


def test_the_map_stands_still_from_moment_to_moment(stage: Stage) -> None:
    canvas = stage.window.panel("latent_map").canvas
    stage.look_at(4)
    settle(stage.window, stage.qtbot)
    frame = canvas.frame
    for number in (5, 6, 3, 8):
        stage.look_at(number)
        settle(stage.window, stage.qtbot)
        assert canvas.frame == frame


def test_a_window_that_closes_in_the_past_leaves_no_thread(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    stage = Stage(open_window(tiny_config(), run=stored.path), qtbot)
    stage.wait(lambda: bool(stage.timeline.steps))
    stage.look_at(1)
    stage.timeline.play()
    stage.window.close()
    assert stage.window.closed_cleanly
    assert not any(thread.name == "looking back" for thread in threading.enumerate())


def test_what_a_run_could_be_continued_with_is_not_worked_out_at_every_moment(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Session, "continuation_problem", property(lambda _session: asked.append(1) or ""))
    for number in range(4):
        stage.look_at(number)
    assert asked == []


def test_the_strip_has_its_height_before_there_is_anything_to_show(window: MainWindow, qtbot: QtBot) -> None:
    strip = window.panel("latent_map").time_strip
    height = strip.height()
    assert strip.isVisible()
    assert not strip.slider.isEnabled()
    window.session.train()
    qtbot.waitUntil(lambda: strip.slider.isEnabled(), timeout=WAIT_MS)
    assert strip.height() == height
    window.session.timeline.go_to(0)
    qtbot.waitUntil(lambda: window.session.timeline.moment is not None, timeout=WAIT_MS)
    assert strip.height() == height
    window.session.stop()
    qtbot.waitUntil(lambda: window.session.state is State.FINISHED, timeout=WAIT_MS)


def test_the_badge_says_when_it_was_and_whose_weights_decode(stage: Stage, qapp: QApplication) -> None:
    moment = Moment(
        number=4, of=120, step=12_345, epoch=3.456, images_seen=1, seconds=200.0, weights_step=8192, num_codes=5000,
        num_items=60_000,
    )  # fmt: skip
    assert moment_lines(moment) == (
        "Step 12,345 · epoch 3.46 · 3 min 20 s",
        "Recorded frame 5 of 120: 5,000 of 60,000 codes, decoded by step 8,192",
    )
    badge = stage.window.panel("latent_map").badge
    badge.show_moment(moment)
    canvas = stage.window.panel("latent_map").canvas
    assert canvas.plot.contains(badge.geometry())
    pictures = []
    for choice in ("dark", "light"):
        theme.notifier().choose(qapp, choice)
        pictures.append(badge.grab().toImage())
    assert pictures[0] != pictures[1]
