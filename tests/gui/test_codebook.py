"""Stories at the panel of the codebook: a code is clicked, a cell edited, a grid drawn, and all of it taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.codebook import CodebookPanel
from vae_explorer.gui.session_words import State
from vae_explorer.models.vqvae_config import VQVAEConfig
from vae_explorer.training.run_config import RunConfig


@pytest.fixture
def codes_config() -> RunConfig:
    model = VQVAEConfig(
        num_codes=12, code_dimensions=4, body_channels=8, residual_blocks=0, prior_channels=4, prior_layers=1,
        codebook_epochs=1,
    )  # fmt: skip
    return dataclasses.replace(tiny_config(epochs=100_000), model_name="vqvae", model=model)


@pytest.fixture
def codes_window(open_window: Callable[..., MainWindow], codes_config: RunConfig, qtbot: QtBot) -> MainWindow:
    window = open_window(codes_config)
    window.docks["codebook"].raise_()
    panel = window.panel("codebook")
    qtbot.waitUntil(lambda: panel.look is not None and panel.grid_look is not None, timeout=WAIT_MS)
    return window


def wait_for(qtbot: QtBot, panel: CodebookPanel) -> None:
    qtbot.waitUntil(lambda: panel.grid_look is not None and panel.grid_look.choice == panel.choice, timeout=WAIT_MS)


def pixels(image: QImage | None) -> bytes:
    assert image is not None
    return bytes(image.constBits())


def test_the_panel_says_how_the_codes_are_used(codes_window: MainWindow) -> None:
    panel = codes_window.panel("codebook")
    assert panel.words.text().startswith(f"Perplexity {panel.look.perplexity:.1f} of 12 codes")
    assert "counted over 40 held-out images" in panel.words.text()
    assert panel.choice.item == int(codes_window.session.dataset.heldout_index_N[0])
    assert panel.grid_words.text().startswith(f"Image {panel.choice.item}")
    decoded = codes_window.panel("decoded_image")
    decoded.resize(decoded.width() + 1, decoded.height())
    assert [label.text() for label in decoded.values.values()] == ["", "", ""], "no latent point, nothing to read"


def test_a_click_on_a_code_shows_what_it_paints(codes_window: MainWindow, qtbot: QtBot) -> None:
    panel = codes_window.panel("codebook")
    used = int(panel.look.share_K.argmax())
    other = next(code for code in range(12) if panel.scatter.code_at(panel.scatter.place_of(code)) == code != used)
    qtbot.waitUntil(lambda: panel.painting.image is not None, timeout=WAIT_MS)
    before = pixels(panel.painting.image)
    qtbot.mouseClick(panel.scatter, Qt.MouseButton.LeftButton, pos=panel.scatter.place_of(other).toPoint())
    assert panel.code == other
    qtbot.waitUntil(lambda: panel.painting_words.text().startswith(f"Code {other} ·"), timeout=WAIT_MS)
    assert pixels(panel.painting.image) != before
    qtbot.keyClick(panel.scatter, Qt.Key.Key_Left)
    qtbot.keyClick(panel.scatter, Qt.Key.Key_Up)
    assert panel.code != other


def test_a_cell_is_edited_and_taken_back(codes_window: MainWindow, qtbot: QtBot) -> None:
    panel, stack = codes_window.panel("codebook"), codes_window.session.undo_stack
    own = int(panel.grid_look.own_RW[1, 1])
    first = pixels(panel.grid.image)
    assert not panel.controls.code.isEnabled()
    qtbot.mouseClick(panel.grid, Qt.MouseButton.LeftButton, pos=panel.grid.rect_of(1, 1).center().toPoint())
    assert panel.cell == (1, 1)
    assert panel.controls.code.isEnabled()
    assert panel.controls.code.value() == own

    panel.controls.code.setValue((own + 6) % 12)
    wait_for(qtbot, panel)
    assert panel.grid_look.cells_RW[1, 1] == (own + 6) % 12
    assert np.array_equal(panel.grid_look.before, pixel_array(panel.before.image))
    assert pixels(panel.grid.image) != first
    assert panel.grid_look.difference.any()
    assert stack.undoText() == f"put code {(own + 6) % 12} into cell 1, 1"

    codes_window.commands.actions["action.undo"].trigger()
    wait_for(qtbot, panel)
    assert pixels(panel.grid.image) == first
    assert panel.controls.code.value() == own
    stack.redo()
    wait_for(qtbot, panel)
    assert pixels(panel.grid.image) != first
    qtbot.keyClick(panel.grid, Qt.Key.Key_Delete)
    wait_for(qtbot, panel)
    assert panel.choice.edits == ()
    assert pixels(panel.grid.image) == first


def pixel_array(image: QImage | None) -> np.ndarray:
    assert image is not None
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width()]


def test_a_code_is_put_into_the_cell_by_hand_and_by_keys(codes_window: MainWindow, qtbot: QtBot) -> None:
    panel = codes_window.panel("codebook")
    qtbot.keyClick(panel.grid, Qt.Key.Key_Right)
    assert panel.cell == (0, 0)
    qtbot.keyClick(panel.grid, Qt.Key.Key_Right)
    assert panel.cell == (0, 1)
    code = next(code for code in range(12) if panel.scatter.code_at(panel.scatter.place_of(code)) == code)
    panel.choose_code(code)
    qtbot.mouseClick(panel.controls.put, Qt.MouseButton.LeftButton)
    assert panel.choice.edits == ((0, 1, code),)
    other = (code + 1) % 12
    panel.choose_code(other)
    qtbot.keyClick(panel.scatter, Qt.Key.Key_Return)
    assert panel.choice.edits == ((0, 1, other),)
    wait_for(qtbot, panel)
    qtbot.mouseClick(panel.controls.revert, Qt.MouseButton.LeftButton)
    assert panel.choice.edits == ()


def test_the_prior_is_drawn_and_its_temperature_is_one_step(codes_window: MainWindow, qtbot: QtBot) -> None:
    panel, stack = codes_window.panel("codebook"), codes_window.session.undo_stack
    item = panel.choice.item
    qtbot.mouseClick(panel.controls.draw, Qt.MouseButton.LeftButton)
    wait_for(qtbot, panel)
    assert panel.choice.item is None
    assert panel.grid_words.text().startswith("Draw 0 at 1.00")
    first = panel.grid_look.own_RW.copy()
    qtbot.mouseClick(panel.controls.draw, Qt.MouseButton.LeftButton)
    wait_for(qtbot, panel)
    assert not np.array_equal(panel.grid_look.own_RW, first)
    steps = stack.index()
    panel.controls.temperature.setSliderDown(True)
    for value in (90, 60, 30):
        panel.controls.temperature.setValue(value)
    panel.controls.temperature.setSliderDown(False)
    assert panel.choice.temperature == 0.3
    assert stack.index() == steps + 1
    stack.undo()
    assert panel.choice.temperature == 1.0
    assert panel.controls.temperature.value() == 100
    stack.undo()
    stack.undo()
    wait_for(qtbot, panel)
    assert panel.choice.item == item
    assert panel.controls.item.value() == item


def test_other_images_are_stepped_through(codes_window: MainWindow, qtbot: QtBot) -> None:
    panel = codes_window.panel("codebook")
    item = panel.choice.item
    panel.controls.item.stepUp()
    wait_for(qtbot, panel)
    assert panel.choice.item == item + 1
    assert panel.controls.item.maximum() == codes_window.session.dataset.images.num_images - 1


def test_it_is_live_in_training_and_hidden_costs_nothing(
    codes_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, session = codes_window.panel("codebook"), codes_window.session
    panel.set_code(0)  # no cell is chosen: nothing happens
    assert panel.choice.edits == ()
    codes_window.commands.actions["action.train"].trigger()
    qtbot.waitUntil(lambda: panel.grid_look.step > 20 and panel.look.step > 10, timeout=WAIT_MS)
    asked: list[str] = []
    explore = session.map.explore
    monkeypatch.setattr(session.map, "explore", lambda slot, *rest: (asked.append(slot), explore(slot, *rest)))
    codes_window.docks["bound_curves"].raise_()
    qtbot.waitUntil(lambda: not codes_window.docks["codebook"].is_seen, timeout=WAIT_MS)
    step = session.history.train("step")[-1]
    qtbot.waitUntil(lambda: session.history.train("step")[-1] > step + 30, timeout=WAIT_MS)
    assert not {"grid", "code", "codebook"} & set(asked)
    codes_window.commands.actions["action.stop"].trigger()
    qtbot.waitUntil(lambda: session.state is State.FINISHED, timeout=WAIT_MS)


def test_samples_reconstructions_and_the_map_stand_for_such_a_model(codes_window: MainWindow, qtbot: QtBot) -> None:
    samples, pairs = codes_window.panel("samples"), codes_window.panel("reconstructions")
    qtbot.waitUntil(lambda: samples.grid.num_pictures > 0, timeout=WAIT_MS)
    codes_window.docks["reconstructions"].raise_()
    qtbot.waitUntil(lambda: pairs.grid.num_pictures > 0, timeout=WAIT_MS)
    note = codes_window.panel("latent_map").canvas.note
    assert "a plane through them is not defined" in note
    assert "Codebook" in note


def test_a_model_without_codes_says_so(window: MainWindow, qtbot: QtBot) -> None:
    window.docks["codebook"].raise_()
    panel = window.panel("codebook")
    qtbot.waitUntil(lambda: window.docks["codebook"].is_seen, timeout=WAIT_MS)
    assert "has no codebook" in panel.note.text()
    assert panel.note.isVisible()
    assert not panel.grid.isVisible()
