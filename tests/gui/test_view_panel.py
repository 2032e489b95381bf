"""The view panel in the real window: views, tour, lock and bookmarks, on tiny images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.view_stage import Stage
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.latent.views import PlaneView, View


@pytest.fixture
def make_stage(open_window: Callable[..., MainWindow], qtbot: QtBot) -> Callable[[int], Stage]:
    def make(latents: int) -> Stage:
        return Stage(open_window(tiny_config(epochs=100_000, latents=latents)), qtbot)

    return make


@pytest.fixture
def stage(make_stage: Callable[[int], Stage]) -> Stage:
    return make_stage(5)


# --- views


def test_every_view_of_five_dimensions_decodes_exactly_where_it_lifts(stage: Stage) -> None:
    stage.three_pins()
    stage.directions()
    names = [stage.picker.names.itemData(row) for row in range(stage.picker.names.count())]
    assert names == [
        "dimensions", "pca", "lda", "directions", "three-points", "sphere", "inverse-cdf", "tour",
    ]  # fmt: skip
    for name in [*names[1:], "dimensions"]:
        stage.choose(name)
        choice = stage.map.arrangement.view
        assert choice is not None
        assert choice.name == name
        assert stage.picker.names.currentData() == name
        assert stage.picker.summary.text()
        z_D = stage.view.lift(np.array([[0.3, 0.4]]))[0]
        np.testing.assert_array_equal(stage.hovered(z_D).picture, stage.direct(z_D[None])[0])
    assert not stage.messages


def test_two_dimensions_offer_no_sliders_no_tour_and_no_overview(make_stage: Callable[[int], Stage]) -> None:
    stage = make_stage(2)
    names = [stage.picker.names.itemData(row) for row in range(stage.picker.names.count())]
    assert names == ["dimensions", "pca", "lda", "directions", "inverse-cdf"]
    assert not stage.panel.sections["sliders"].isVisible()
    assert not stage.panel.sections["overview"].isVisible()
    assert not stage.picker.dimensions.isVisible()
    stage.choose("pca")
    assert isinstance(stage.view, PlaneView)
    explained = stage.view.explained
    assert explained is not None
    assert sum(explained) == pytest.approx(1.0)
    assert f"{100 * explained[0]:.0f} %" in stage.picker.explained.text()
    stage.panel.play_tour()
    assert stage.messages == ["A grand tour needs at least three latent dimensions."]


def test_a_view_is_one_step_to_take_back(stage: Stage) -> None:
    before = stage.view
    stage.choose("pca")
    assert stage.view != before
    stage.window.commands.actions["action.undo"].trigger()
    assert stage.view == before
    assert stage.picker.names.currentData() == "dimensions"


def test_dimensions_are_ordered_by_kl_and_the_same_twice_moves_the_other(stage: Stage) -> None:
    stage.session.kl_D = np.array([0.1, 3.0, 0.5, 2.0, 1.0])
    stage.picker.refresh()
    field = stage.picker.dimensions.fields[0]
    assert [field.itemData(row) for row in range(5)] == [1, 3, 4, 2, 0]
    assert field.itemText(0) == "z₂  ·  3.00 nats"
    stage.take("view.dimension_x", 3)
    stage.take("view.dimension_y", 4)
    assert isinstance(stage.view, PlaneView)
    assert (stage.view.u.index(1.0), stage.view.v.index(1.0)) == (3, 4)
    stage.take("view.dimension_x", 4)
    assert (stage.view.u.index(1.0), stage.view.v.index(1.0)) == (4, 3)
    assert stage.picker.dimensions.fields[1].currentData() == 3


def test_the_plane_stays_with_the_pin_in_it_when_its_dimensions_change(stage: Stage) -> None:
    z_D = stage.view.lift(np.array([[0.7, -0.4]]))[0]
    stage.map.add_pin(z_D)
    stage.take("view.dimension_x", 3)
    stage.take("view.dimension_y", 4)
    assert stage.view.holds(z_D)
    stage.choose("tour")
    assert stage.view.holds(z_D)
    assert stage.picker.anchor.field.currentData() == "pin"


def test_a_model_without_codes_has_a_sentence_instead(stage: Stage) -> None:
    snapshot = stage.session.snapshot
    assert snapshot is not None
    bare = dataclasses.replace(snapshot, codes_ND=None, stamp=snapshot.stamp + 1)
    stage.session.show_snapshot(bare)
    assert "no codes" in stage.panel.note.text()
    assert "samples and reconstructions are in their own panels" in stage.panel.note.text()
    assert stage.panel.note.isVisible()
    assert not any(section.isVisible() for section in stage.panel.sections.values())
    stage.panel.add_bookmark()
    stage.panel.lock()
    assert len(stage.messages) == 2


def test_three_points_wait_for_three_pins_and_then_show_them_where_they_are(stage: Stage) -> None:
    before = stage.view
    stage.choose("three-points")
    assert stage.view == before
    assert "needs three pins, and none is set" in stage.picker.sentence.text()
    assert not stage.picker.take_pins.isEnabled()
    points = stage.three_pins()
    assert stage.picker.take_pins.isEnabled()
    stage.picker.take_pins.click()
    assert all(stage.view.holds(z_D, 1e-9) for z_D in points)
    assert not stage.picker.take_pins.isEnabled()


def test_points_on_a_line_are_refused_and_the_picker_goes_back(stage: Stage) -> None:
    for part in (0.0, 1.0, 2.0):
        stage.map.add_pin(np.full(5, part))
    before = stage.view
    stage.choose("three-points")
    assert stage.view == before
    assert len(stage.messages) == 1
    assert stage.picker.names.currentData() == "dimensions"


def test_a_sphere_is_around_three_axes_until_three_pins_are_taken(stage: Stage) -> None:
    stage.choose("sphere")
    assert stage.picker.names.currentData() == "sphere"
    axes_DD = np.sqrt(5.0) * np.eye(5)
    assert sum(stage.view.holds(z_D, 1e-9) for z_D in axes_DD) == 3
    assert "Set three pins" in stage.picker.sentence.text()
    assert not stage.picker.take_pins.isEnabled()
    points = stage.three_pins()
    assert "take the pins" in stage.picker.sentence.text()
    stage.picker.take_pins.click()
    assert all(stage.view.holds(np.sqrt(5.0) * z_D / np.linalg.norm(z_D), 1e-9) for z_D in points)
    assert not stage.picker.take_pins.isEnabled()
    assert stage.picker.sentence.isHidden()
    assert not stage.messages


def test_a_sphere_is_around_the_dimensions_of_largest_kl(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.session, "kl_D", np.array([0.1, 3.0, 0.0, 2.0, 1.0]))
    stage.choose("sphere")
    assert [stage.view.holds(z_D, 1e-9) for z_D in np.sqrt(5.0) * np.eye(5)] == [False, True, False, True, True]


def test_pins_set_in_the_default_view_make_a_sphere(stage: Stage) -> None:
    points = [np.array([*place, 0.0, 0.0, 0.0]) for place in ((1.0, 0.3), (-0.5, 1.0), (0.2, -1.5))]
    for z_D in points:
        stage.map.add_pin(z_D)
    stage.choose("sphere")
    assert stage.picker.names.currentData() == "sphere"
    assert all(stage.view.holds(np.sqrt(5.0) * z_D / np.linalg.norm(z_D), 1e-9) for z_D in points)
    assert not stage.messages


def test_directions_are_named_and_the_sentence_says_what_is_missing(stage: Stage) -> None:
    stage.choose("directions")
    assert "needs two attribute directions, and none is made" in stage.picker.sentence.text()
    stage.directions()
    stage.choose("dimensions")
    stage.choose("directions")
    assert _names(stage) == ("slant", "weight")
    assert isinstance(stage.view, PlaneView)
    slant_D = np.array(stage.map.arrangement.directions[0].vector)
    assert stage.view.holds(slant_D)
    stage.take("view.direction_x", "weight")
    assert _names(stage) == ("weight", "slant")
    assert stage.view.holds(slant_D)
    stage.take("view.direction_y", "loop")
    assert _names(stage) == ("weight", "loop")
    assert not stage.view.holds(slant_D)


def _names(stage: Stage) -> tuple[str, str]:
    choice = stage.map.arrangement.view
    assert choice is not None
    return choice.direction_names


def test_the_anchor_is_the_origin_the_mean_or_the_pin(stage: Stage) -> None:
    z_D = np.array([0.5, 0.1, 1.5, -0.7, 0.3])
    stage.map.add_pin(z_D)
    assert stage.picker.anchor.field.currentData() == "origin"
    stage.take("view.anchor", "pin")
    assert stage.view.holds(z_D)
    assert stage.picker.anchor.field.currentData() == "pin"
    stage.take("view.anchor", "mean")
    snapshot = stage.session.snapshot
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    assert stage.view.holds(snapshot.codes_ND.double().mean(dim=0).numpy() * [0, 0, 1, 1, 1])
    assert stage.picker.anchor.field.currentData() == "mean"
    stage.take("view.anchor", "origin")
    assert stage.view.holds(np.zeros(5))


# --- the tour and the lock


def test_the_tour_plays_pauses_and_leaves_a_plane(stage: Stage) -> None:
    stage.panel.play_tour()
    tour = stage.picker.tour
    assert tour.is_playing
    steps = stage.session.undo_stack.count()
    seen: list[View] = []
    stage.map.view_changed.connect(seen.append)
    stage.wait(lambda: len(seen) >= 3)
    assert stage.session.undo_stack.count() == steps
    basis = np.array([seen[-1].u, seen[-1].v])  # type: ignore[attr-defined]
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-9)
    tour.play_button.click()
    assert not tour.is_playing
    assert not tour.timer.isActive()
    paused = stage.view
    assert isinstance(paused, PlaneView)
    tour.play_button.click()
    stage.wait(lambda: stage.view != paused)
    kept = stage.view
    assert isinstance(kept, PlaneView)
    tour.keep_button.click()
    choice = stage.map.arrangement.view
    assert choice is not None
    assert choice.name == "directions"
    assert not tour.is_playing
    xy = np.array([[0.3, -1.2], [2.0, 0.5]])
    np.testing.assert_allclose(stage.view.lift(xy), kept.lift(xy), atol=1e-12)
    stage.session.undo_stack.undo()
    assert stage.map.arrangement.view.name == "tour"  # type: ignore[union-attr]
    # Back on the tour where it was left, not at its beginning.
    np.testing.assert_allclose(stage.view.lift(xy), kept.lift(xy), atol=1e-12)


def test_the_tour_rests_while_nobody_sees_it(stage: Stage) -> None:
    stage.panel.set_map_seen(False)
    stage.panel.play_tour()
    tour = stage.picker.tour
    assert tour.timer.isActive()
    stage.window.docks["run_config"].raise_()
    stage.wait(lambda: not stage.window.docks["view"].is_seen)
    assert tour.is_playing
    assert not tour.timer.isActive()
    stage.panel.set_map_seen(True)
    assert tour.timer.isActive()
    stage.choose("dimensions")
    assert not tour.is_playing
    assert not tour.timer.isActive()


def test_a_fitted_plane_follows_the_codes_without_flips_until_it_is_locked(stage: Stage) -> None:
    stage.session.step_once()
    stage.wait(lambda: stage.session.state is State.PAUSED)
    stage.choose("pca")
    stage.picker.refresh()
    assert stage.picker.lock_box.isVisible()
    for _ in range(4):
        before = stage.view
        assert isinstance(before, PlaneView)
        with stage.qtbot.waitSignal(stage.map.view_changed, timeout=WAIT_MS):
            stage.session.step_once()
        after = stage.view
        assert isinstance(after, PlaneView)
        assert np.dot(before.u, after.u) > 0.0
        assert np.dot(before.v, after.v) > 0.0
    stage.panel.lock()
    assert stage.picker.lock_box.isChecked()
    assert stage.session.undo_stack.undoText() == "lock the view"
    locked, stamps = stage.view, []
    stage.session.snapshot_changed.connect(lambda snapshot: stamps.append(snapshot.stamp))
    stage.session.step_once()
    stage.wait(lambda: len(stamps) == 1)
    # Whatever the looking thread was asked before this is answered by now.
    stage.hovered(np.full(5, 0.25))
    assert stage.view is locked
    stage.choose("dimensions")
    assert stage.view != locked
    stage.session.undo_stack.undo()
    assert stage.view == locked, "the plane that was locked, not one fitted to the codes of now"
    stage.panel.lock()
    assert not stage.picker.lock_box.isChecked()
    stage.choose("dimensions")
    stage.panel.lock()
    assert stage.messages == ["Only a fitted plane can be locked."]


# --- bookmarks


def test_a_bookmark_brings_view_and_pins_back_in_one_step(stage: Stage) -> None:
    stage.map.add_pin(np.full(5, 0.5))
    stage.choose("pca")
    kept = stage.map.arrangement
    stage.panel.add_bookmark()
    stage.choose("dimensions")
    stage.map.clear_pins()
    before, steps = stage.map.arrangement, stage.session.undo_stack.count()
    names = stage.bookmarks.list
    names.setFocus()
    QTest.keyClick(names, Qt.Key.Key_Return)
    assert stage.map.arrangement.view == kept.view
    assert stage.map.arrangement.pins == kept.pins
    assert stage.session.undo_stack.count() == steps + 1
    assert stage.session.undo_stack.undoText() == "go to bookmark view 1"
    stage.session.undo_stack.undo()
    assert stage.map.arrangement == before


def test_the_name_of_a_new_bookmark_is_typed_at_once_and_enter_keeps_the_default(stage: Stage) -> None:
    stage.panel.sections["bookmarks"].header.setChecked(False)
    for typed, name in (("loops", "loops"), ("", "view 1")):
        stage.panel.add_bookmark()
        field = stage.bookmarks.list.findChild(QLineEdit)
        assert field is not None
        assert field.isVisible()
        assert field.hasSelectedText()
        QTest.keyClicks(field, typed)
        QTest.keyClick(field, Qt.Key.Key_Return)
        stage.wait(lambda: stage.bookmarks.list.findChild(QLineEdit) is None)
        assert stage.map.arrangement.bookmarks[-1].name == name
        assert stage.bookmarks.list.currentRow() == stage.bookmarks.list.count() - 1
    assert not stage.messages


def test_a_new_bookmark_is_in_sight_although_another_panel_was_in_front(stage: Stage) -> None:
    stage.panel.setMaximumHeight(200)
    stage.window.docks["layers"].raise_()
    stage.wait(lambda: not stage.window.docks["view"].is_seen)
    stage.window.commands.actions["action.add_bookmark"].trigger()
    names = stage.bookmarks.list
    stage.wait(lambda: names.isVisible() and names.visibleRegion().boundingRect() == names.rect())
    field = names.findChild(QLineEdit)
    assert field is not None
    stage.wait(lambda: names.viewport().rect().contains(field.geometry()))
    assert names.height() == names.sizeHint().height()


def test_bookmarks_are_renamed_and_removed(stage: Stage) -> None:
    stage.panel.add_bookmark()
    stage.panel.add_bookmark()
    names = stage.bookmarks.list
    assert [names.item(row).text() for row in range(2)] == ["view 1", "view 2"]
    names.item(0).setText("loops")
    assert stage.map.arrangement.bookmarks[0].name == "loops"
    names.item(1).setText("loops")
    assert [names.item(row).text() for row in range(2)] == ["loops", "view 2"]
    assert stage.messages == ["There is a bookmark “loops” already."]
    names.setCurrentRow(0)
    QTest.keyClick(names, Qt.Key.Key_Delete)
    assert [known.name for known in stage.map.arrangement.bookmarks] == ["view 2"]
    stage.session.undo_stack.undo()
    assert [known.name for known in stage.map.arrangement.bookmarks] == ["loops", "view 2"]


def test_a_bookmark_of_the_tour_keeps_the_plane_of_its_moment(stage: Stage) -> None:
    stage.panel.play_tour()
    first = stage.view
    stage.wait(lambda: stage.view != first)
    stage.panel.play_tour()
    seen = stage.view
    stage.panel.add_bookmark()
    stage.choose("dimensions")
    stage.bookmarks.go_to(0)
    xy = np.array([[0.3, -1.2]])
    np.testing.assert_allclose(stage.view.lift(xy), seen.lift(xy), atol=1e-12)
