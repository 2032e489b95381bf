"""The data plane beside the map: it follows training and the place looked at, and costs nothing while hidden."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.latent.data_plane_parts import Part
from vae_explorer.training.run_config import RunConfig, with_value


@pytest.fixture
def points_config(long_config: RunConfig) -> RunConfig:
    config = with_value(with_value(long_config, "data.dataset", "two-moons"), "data.heldout_images", 500)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, batch_size=500))


@pytest.fixture
def points_window(open_window, points_config: RunConfig, qtbot: QtBot) -> MainWindow:
    window = open_window(points_config)
    panel = window.panel("data_plane")
    qtbot.waitUntil(lambda: panel.surface.frame is not None, timeout=WAIT_MS)
    return window


def test_points_bring_the_plane_to_the_front_and_pictures_the_picture(
    points_window: MainWindow, long_config: RunConfig, qtbot: QtBot
) -> None:
    docks = points_window.docks
    assert docks["data_plane"].is_seen
    assert not docks["decoded_image"].is_seen
    points_window.session.replace_config(long_config, "pictures")
    qtbot.waitUntil(lambda: docks["decoded_image"].is_seen, timeout=WAIT_MS)


def test_it_shows_points_and_model_and_says_of_how_many(points_window: MainWindow) -> None:
    panel = points_window.panel("data_plane")
    assert "showing 4,000 of 19,500 points" in panel.readout.toolTip()
    assert panel.legend.legend is not None
    assert [name for _, name in panel.legend.legend.entries][:2] == ["upper", "lower"]
    assert panel.parts[Part.DENSITY].isVisible()
    assert not panel.parts[Part.COMPONENTS].isVisible()


def test_a_part_can_be_hidden(points_window: MainWindow, qtbot: QtBot) -> None:
    panel = points_window.panel("data_plane")
    panel.parts[Part.SAMPLES].setChecked(False)
    qtbot.waitUntil(lambda: "400 samples" not in str(panel.legend.legend), timeout=WAIT_MS)
    panel.parts[Part.TRUTH].setChecked(True)
    qtbot.waitUntil(lambda: "true density" in str(panel.legend.legend), timeout=WAIT_MS)


def test_the_place_under_the_mouse_is_marked(points_window: MainWindow, qtbot: QtBot) -> None:
    panel, place = points_window.panel("data_plane"), points_window.session.explorer_thread.place
    qtbot.waitUntil(lambda: panel.surface.point is not None, timeout=WAIT_MS)
    before = panel.surface.point
    with qtbot.waitSignal(place.decoded, timeout=WAIT_MS, check_params_cb=lambda found: found.z_D[0] == 3.0):
        place.hover(np.array([3.0, -3.0]))
    assert panel.surface.point is not before
    assert panel.surface.point.sigma_2 is not None


def test_it_follows_training(points_window: MainWindow, qtbot: QtBot) -> None:
    panel = points_window.panel("data_plane")
    points_window.commands.actions["action.train"].trigger()
    qtbot.waitUntil(lambda: not panel.readout.toolTip().startswith("step 0 "), timeout=WAIT_MS)


def test_hidden_it_asks_for_nothing(points_window: MainWindow, qtbot: QtBot, monkeypatch) -> None:
    session = points_window.session
    points_window.docks["decoded_image"].raise_()
    qtbot.waitUntil(lambda: not points_window.docks["data_plane"].is_seen, timeout=WAIT_MS)
    asked: list[str] = []
    submit = session.explorer_thread.submit
    monkeypatch.setattr(
        session.explorer_thread, "submit", lambda slot, *rest: (asked.append(slot), submit(slot, *rest))[1]
    )
    points_window.commands.actions["action.train"].trigger()
    with qtbot.waitSignals([session.snapshot_changed] * 3, timeout=WAIT_MS):
        pass
    assert "data_plane" not in asked


def test_of_pictures_it_says_what_to_choose(window: MainWindow, qtbot: QtBot) -> None:
    assert not window.docks["data_plane"].is_seen
    window.docks["data_plane"].raise_()
    panel = window.panel("data_plane")
    qtbot.waitUntil(lambda: "two-moons" in panel.surface.note, timeout=WAIT_MS)
    assert panel.button.isHidden()
