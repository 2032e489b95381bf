"""Models without gradients in the window: a plane that moves with them, or a sentence where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.model_data import protocol_for
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.latent.layers import LAYERS
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.training.run_config import load_preset, with_value


def trained(record: ModelRecord, open_window: Callable[..., MainWindow], qtbot: QtBot) -> MainWindow:
    config = with_value(tiny_config(epochs=3), "model.name", record.name)
    return run_in(open_window(with_value(config, "data.protocol", protocol_for(record))), qtbot)


def run_in(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """Train to the end, and look at every panel."""
    defects: list[str] = []
    window.session.defect_reported.connect(defects.append)
    window.commands.actions["action.train"].trigger()
    qtbot.waitUntil(lambda: window.session.state is State.TRAINING, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: window.session.state is not State.TRAINING, timeout=WAIT_MS)
    for dock in window.docks.values():
        dock.raise_()
        QTest.qWait(20)
    settle(window, qtbot)
    assert not defects
    return window


@pytest.mark.parametrize("name", ["pca", "ppca", "lda"])
def test_a_linear_model_has_its_plane_and_every_layer_is_drawn_or_says_why_not(
    name: str, open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = trained(MODELS[name], open_window, qtbot)
    panel = window.panel("latent_map")
    told: dict[str, str] = {}
    failed: list[tuple[str, object]] = []
    panel.asking.failed.connect(lambda title, error: failed.append((title, error)))
    window.session.map.layer_told.connect(told.__setitem__)
    qtbot.waitUntil(lambda: "showing" in panel.readout.text(), timeout=WAIT_MS)
    window.session.map.hover_item(3)
    for layer in LAYERS.names():
        window.session.map.set_layer(layer, is_shown=True)
    settle(window, qtbot)
    assert not failed
    missing = {name for name, text in told.items() if text}
    assert missing == ({"posterior", "forces", "reliability", "aggregate"} if name != "ppca" else set())


@pytest.mark.parametrize("name", ["gaussian-mixture", "bernoulli-mixture"])
def test_a_mixture_has_no_plane_and_says_what_there_is_instead(
    name: str, open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = trained(MODELS[name], open_window, qtbot)
    panel = window.panel("latent_map")
    qtbot.waitUntil(lambda: MODELS[name].map_note in panel.canvas.note, timeout=WAIT_MS)
    samples = window.panel("samples")
    window.docks["samples"].raise_()
    qtbot.waitUntil(lambda: "p(z)" in samples._caption.whole, timeout=WAIT_MS)


def test_the_preset_of_points_shows_one_em_step_a_training_step(
    open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    config = with_value(load_preset("mixture-2d").config, "training.epochs", 12)
    window = run_in(open_window(config), qtbot)
    series = window.session.history.train("log_likelihood")
    assert len(series) == 12
    assert (series[1:] >= series[:-1] - 1e-5).all()
