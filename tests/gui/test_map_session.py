"""What stands behind the map: steps taken back across latent spaces and images, and answers about planes gone by."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.latent.arrangement import ItemSet
from vae_explorer.latent.view_catalogue import ViewChoice


@pytest.fixture
def wide(open_window: Callable[..., MainWindow]) -> MainWindow:
    """A window with five latent dimensions, at rest."""
    return open_window(tiny_config(latents=5))


def change_space(window: MainWindow, qtbot: QtBot, number: int) -> None:
    window.session.place_config(tiny_config(latents=number))
    qtbot.waitUntil(lambda: window.session.map.num_dimensions == number, timeout=WAIT_MS)
    settle(window, qtbot)


def test_a_step_of_another_latent_space_is_taken_back_and_the_map_stays(wide: MainWindow, qtbot: QtBot) -> None:
    map_session, session = wide.session.map, wide.session
    map_session.add_pin(np.full(5, 0.5))
    map_session.add_pin(np.full(5, 1.0))
    change_space(wide, qtbot, 2)
    assert map_session.arrangement.pins == ()
    session.undo_stack.undo()
    assert map_session.arrangement.pins == ()
    assert map_session.arrangement.view == ViewChoice("dimensions")
    assert map_session.view is not None
    settle(wide, qtbot)
    assert "showing" in wide.panel("latent_map").readout.text()


def test_a_view_that_cannot_be_made_any_more_gives_way_to_the_first(wide: MainWindow, qtbot: QtBot) -> None:
    map_session, session = wide.session.map, wide.session
    told: list[str] = []
    session.message_posted.connect(lambda message: told.append(message.text))
    map_session.choose_view(ViewChoice("dimensions", 2, 4))
    map_session.choose_view(ViewChoice("dimensions", 1, 2))
    change_space(wide, qtbot, 2)
    session.undo_stack.undo()
    assert map_session.arrangement.view == ViewChoice("dimensions")
    assert map_session.view is not None
    assert len(told) == 1
    assert "span no plane" in told[0]


def test_items_of_other_images_do_not_come_back(wide: MainWindow) -> None:
    map_session, session = wide.session.map, wide.session
    map_session.select(ItemSet([1, 2, 3]))
    map_session.add_group("threes", ItemSet([1, 2, 3]))
    map_session.select(None)
    session.dataset_changed.emit(session.dataset)
    assert map_session.arrangement.groups == ()
    session.undo_stack.undo()
    assert map_session.arrangement.selection is None
    assert map_session.arrangement.groups == ()
    session.undo_stack.redo()
    map_session.select(ItemSet([4]))
    session.undo_stack.undo()
    session.undo_stack.redo()
    assert map_session.arrangement.selection == ItemSet([4])


def test_an_item_that_the_images_do_not_have_is_not_hovered(wide: MainWindow) -> None:
    dataset = wide.session.dataset
    assert dataset is not None
    wide.session.map.hover_item(dataset.images.num_images)
    assert wide.session.map.hovered_item is None
    wide.session.map.hover_item(dataset.images.num_images - 1)
    assert wide.session.map.hovered_item == dataset.images.num_images - 1


def test_an_answer_about_another_plane_is_not_shown(wide: MainWindow, qtbot: QtBot) -> None:
    map_session, canvas = wide.session.map, wide.panel("latent_map").canvas
    settle(wide, qtbot)
    shown: list[object] = []
    wide.panel("latent_map").gestures.hovered_place.connect(shown.append)
    assert wide.session.snapshot is not None
    code = wide.session.snapshot.codes_ND[0].numpy()
    canvas.hovered.emit(float(code[0]), float(code[1]), 0.0)
    assert map_session._fast.is_open("hovered")
    map_session.choose_view(ViewChoice("dimensions", 2, 3))
    assert not map_session._fast.is_open("hovered")
    assert shown == [None]


def test_surveys_leave_a_turning_plane_and_come_back_when_it_rests(wide: MainWindow, qtbot: QtBot) -> None:
    map_session, asking = wide.session.map, wide.panel("latent_map").asking
    wide.docks["view"].raise_()
    map_session.choose_view(ViewChoice("tour"))
    map_session.set_layer("stretch", is_shown=True)
    settle(wide, qtbot)
    drawn: list[object] = []
    map_session.layer_drawn.connect(lambda name, drawing: drawn.append(drawing) if name == "stretch" else None)
    asked: list[str] = []
    map_session.explore, explore = (
        (  # type: ignore[method-assign]
            lambda slot, *rest: asked.append(slot) or explore(slot, *rest)
        ),
        map_session.explore,
    )
    tour = wide.panel("view").picker.tour
    for step in range(3):
        tour.seconds = 1.0 + step
        tour._turn()
    assert drawn == [None]
    assert "stretch" not in asked
    assert asked.count("codes") == 3
    qtbot.waitUntil(lambda: len(drawn) > 1 and drawn[-1] is not None and drawn[-1].is_whole, timeout=WAIT_MS)
    assert asking._shown["stretch"].extras["view"] == map_session.view


def test_a_plane_fitted_again_in_training_leaves_surveys_their_share(
    wide: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look fits the plane again; each time the surveys were asked beyond what training can spare."""
    from vae_explorer.gui.session_words import State

    map_session, asking = wide.session.map, wide.panel("latent_map").asking
    map_session.choose_view(ViewChoice("pca"))
    map_session.set_layer("stretch", is_shown=True)
    settle(wide, qtbot)
    asked: list[str] = []
    map_session.explore, explore = (
        (  # type: ignore[method-assign]
            lambda slot, *rest: asked.append(slot) or explore(slot, *rest)
        ),
        map_session.explore,
    )
    monkeypatch.setattr(wide.session, "state", State.TRAINING)
    asking._survey_rests_until = time.monotonic() + 1000.0
    view = map_session.view
    assert view is not None
    map_session._show_view(dataclasses.replace(view, axis_labels=("PC1", "PC2")), map_session.arrangement.view)
    assert "codes" in asked
    assert "stretch" not in asked
