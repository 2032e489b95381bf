"""The main job, as a person does it: open, train, watch, click, change, save, close."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import State
from vae_explorer.latent.explorer import Explorer
from vae_explorer.runs.checkpoint import read_checkpoint


def until(qtbot: QtBot, condition: object) -> None:
    qtbot.waitUntil(condition, timeout=WAIT_MS)


def click_map(window: MainWindow, qtbot: QtBot, x: float, y: float) -> None:
    """Click at a share (0..1) of the plot."""
    canvas = window.panel("latent_map").canvas
    plot = canvas.plot
    place = QPoint(round(plot.left() + x * plot.width()), round(plot.top() + y * plot.height()))
    qtbot.mouseMove(canvas, place)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)


def shown_place(window: MainWindow) -> object:
    return window.panel("decoded_image")._shown


def test_untrained_net_is_on_the_map_before_training(window: MainWindow, qtbot: QtBot) -> None:
    panel = window.panel("latent_map")
    until(qtbot, lambda: panel.view is not None)
    until(qtbot, lambda: shown_place(window) is not None)
    assert window.commands.actions["action.train"].isEnabled()
    assert window.status.note.text() == "Ready"


def test_train_moves_the_curves_and_the_map(window: MainWindow, qtbot: QtBot) -> None:
    session = window.session
    stamps: list[int] = []
    session.snapshot_changed.connect(lambda snapshot: stamps.append(snapshot.stamp))
    window.commands.actions["action.train"].trigger()
    until(qtbot, lambda: len(session.history) > 50 and session.history.num_heldout > 1)
    until(qtbot, lambda: len(stamps) >= 3)
    assert stamps == sorted(stamps)
    elbo = session.history.train("elbo")
    assert np.isfinite(elbo).all()
    assert elbo[-20:].mean() > elbo[:5].mean()
    until(qtbot, lambda: "images/s" in window.status.speed.text())
    assert session.kl_D is not None
    assert len(session.kl_D) == 2


def test_click_decodes_what_a_direct_decode_gives(window: MainWindow, qtbot: QtBot) -> None:
    session = window.session
    window.commands.actions["action.train"].trigger()
    until(qtbot, lambda: len(session.history) > 50)
    window.commands.actions["action.pause"].trigger()
    until(qtbot, lambda: session.state is State.PAUSED)
    paused_at = session.history.axis("step", "train")[-1]
    until(qtbot, lambda: session.snapshot is not None and session.snapshot.step == paused_at)
    click_map(window, qtbot, 0.3, 0.4)
    assert session.map.active_pin_z() is not None
    pinned = session.map.active_pin_z()

    def is_shown() -> bool:
        place = shown_place(window)
        return (
            place is not None and place.kind == "pinned" and place.step == paused_at and np.allclose(place.z_D, pinned)
        )

    until(qtbot, is_shown)
    explorer = Explorer()
    assert session.snapshot is not None
    explorer.adopt(session.snapshot)
    assert np.array_equal(shown_place(window).picture, explorer.decode(pinned[None])[0])
    before = pinned.copy()
    qtbot.keyClick(window.panel("latent_map").canvas, Qt.Key.Key_Right)
    assert session.map.active_pin_z() is not None
    assert session.map.active_pin_z()[0] > before[0]
    window.commands.actions["action.undo"].trigger()
    assert session.map.active_pin_z() is not None
    assert np.allclose(session.map.active_pin_z(), before)


def test_hover_decodes_and_leaving_returns_to_the_pin(window: MainWindow, qtbot: QtBot) -> None:
    until(qtbot, lambda: shown_place(window) is not None)
    canvas = window.panel("latent_map").canvas
    click_map(window, qtbot, 0.5, 0.5)
    until(qtbot, lambda: shown_place(window).kind == "pinned")
    plot = canvas.plot
    for share in (0.6, 0.7, 0.75):
        place = QPointF(plot.left() + share * plot.width(), plot.center().y())
        qtbot.mouseMove(canvas, place.toPoint())
    until(qtbot, lambda: shown_place(window).kind == "hover")
    assert shown_place(window).z_D[0] > window.session.map.active_pin_z()[0]
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendEvent(canvas, QEvent(QEvent.Type.Leave))
    until(qtbot, lambda: shown_place(window).kind == "pinned")
    assert np.allclose(shown_place(window).z_D, window.session.map.active_pin_z())


def test_a_run_that_comes_to_its_end_is_called_finished(open_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    window = open_window(tiny_config(epochs=1))
    window.commands.actions["action.train"].trigger()
    until(qtbot, lambda: window.session.state is State.FINISHED)
    assert window.statusBar().note.text() == "Finished"


def test_pause_change_beta_step_continue_stop(training_window: MainWindow, qtbot: QtBot) -> None:
    window, session = training_window, training_window.session
    actions = window.commands.actions
    actions["action.pause"].trigger()
    until(qtbot, lambda: session.state is State.PAUSED)
    rested = len(session.history)
    with qtbot.waitSignal(session.setting_marked, timeout=WAIT_MS):
        session.change_live("model.beta", 4.0)
    actions["action.step"].trigger()
    until(qtbot, lambda: len(session.history) == rested + 1)
    assert session.history.train("beta")[-1] == pytest.approx(4.0)
    assert session.history.train("beta")[-2] == pytest.approx(1.0)
    actions["action.pause"].trigger()
    until(qtbot, lambda: len(session.history) > rested + 20)
    actions["action.stop"].trigger()
    until(qtbot, lambda: session.state is State.FINISHED)
    assert window.statusBar().note.text().startswith("Stopped at step ")
    assert session.run_directory is not None
    newest = session.run_directory.newest_checkpoint()
    assert newest is not None
    assert read_checkpoint(newest).step == session.history.axis("step", "train")[-1]
    events = session.run_directory.events_file.read_text(encoding="utf-8")
    assert "model.beta" in events


def test_save_sample_grid_and_read_it_back(training_window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window, session = training_window, training_window.session
    window.commands.actions["action.stop"].trigger()
    until(qtbot, lambda: session.state is State.FINISHED)
    window.commands.actions["action.save_samples"].trigger()
    dialog = window.commands._dialogs["save.samples"]
    dialog.rows.setValue(3)
    dialog.columns.setValue(5)
    dialog.spacing.setValue(2)
    dialog.scale.setValue(2)
    dialog.seed.setValue(7)
    until(qtbot, lambda: dialog.pixels is not None and dialog.pixels.shape[0] < dialog.pixels.shape[1])
    path = tmp_path / "samples.png"
    dialog.save(path)
    until(qtbot, path.exists)
    until(qtbot, lambda: "Saved" in dialog.message.text())
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), dialog.pixels)
        text = image.text  # type: ignore[attr-defined]
    assert session.snapshot is not None
    assert text["seed"] == "7"
    assert text["model"] == "vae"
    assert text["step"] == str(session.snapshot.step)
    assert text["run"]
    dialog.copy()
    assert not QGuiApplication.clipboard().image().isNull()
    dialog.close()


def test_copy_decoded_image(window: MainWindow, qtbot: QtBot) -> None:
    until(qtbot, lambda: shown_place(window) is not None)
    window.commands.actions["action.copy_image"].trigger()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (8, 8)


def test_close_in_mid_training_saves_the_last_step(training_window: MainWindow, qtbot: QtBot) -> None:
    session = training_window.session
    until(qtbot, lambda: len(session.history) > 20)
    assert training_window.close()
    assert training_window.closed_cleanly
    run = session.run_directory
    assert run is not None
    newest = run.newest_checkpoint()
    assert newest is not None
    assert read_checkpoint(newest).step == session.history.axis("step", "train")[-1]
    assert run.metrics_file.read_text(encoding="utf-8").count("\n") > 2
