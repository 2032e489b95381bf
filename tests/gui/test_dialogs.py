"""Saving picture grids, and the list of shortcuts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QImage, QKeySequence
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.export.images import GridSpec, render_grid
from vae_explorer.gui.dialogs.save_images import SaveImagesDialog
from vae_explorer.gui.dialogs.shortcuts import PANEL_KEYS, ShortcutsDialog
from vae_explorer.gui.session import Session
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import LatentModel
from vae_explorer.models.snapshot import Snapshot, take_snapshot
from vae_explorer.models.vae_config import VAEConfig

pytestmark = pytest.mark.gui


def tiny_snapshot(dimensions: int = 2, step: int = 7) -> tuple[LatentModel, Snapshot]:
    config = VAEConfig(latent_dimensions=dimensions, hidden_widths=(8,))
    model = build_model("vae", config, DataSpace((1, 8, 8), 3)).eval()
    snapshot = take_snapshot(
        model, torch.zeros(300, dimensions), run_name="tiny run", model_name="vae", model_config=config,
        data_space=DataSpace((1, 8, 8), 3), step=step, images_seen=step * 10, beta=1.0,
    )  # fmt: skip
    return model, snapshot


@pytest.fixture
def session(qtbot: QtBot, tiny_dataset: ImageDataset) -> Iterator[Session]:
    with closing(Session()) as session:
        session.dataset = tiny_dataset
        session.snapshot = tiny_snapshot()[1]
        yield session


@pytest.fixture
def opened(session: Session, qtbot: QtBot) -> Iterator[SaveImagesDialog]:
    dialog = SaveImagesDialog(session, "samples")
    qtbot.addWidget(dialog)
    dialog.show()
    wait_for_preview(dialog, qtbot)
    yield dialog
    dialog.close()


def wait_for_preview(dialog: SaveImagesDialog, qtbot: QtBot) -> np.ndarray:
    qtbot.waitUntil(lambda: dialog.pixels is not None, timeout=10_000)
    assert dialog.pixels is not None
    return dialog.pixels


def choose(dialog: SaveImagesDialog, kind: str) -> None:
    dialog.kind.setCurrentIndex(dialog.kind.findData(kind))


def as_array(image: QImage) -> np.ndarray:
    grey = image.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(grey.constBits(), np.uint8).reshape(grey.height(), grey.bytesPerLine())
    return rows[:, : grey.width()].copy()


@pytest.mark.parametrize("kind", ["prior", "reconstructions", "manifold", "traversals", "interpolation"])
def test_what_is_saved_is_what_was_previewed_and_says_where_it_comes_from(
    opened: SaveImagesDialog, qtbot: QtBot, tmp_path: Path, kind: str
) -> None:
    choose(opened, kind)
    opened.rows.setValue(2)
    opened.columns.setValue(5)
    opened.spacing.setValue(1)
    opened.scale.setValue(3)
    opened.seed.setValue(11)
    pixels = wait_for_preview(opened, qtbot)
    path = tmp_path / f"{kind}.png"
    with qtbot.waitSignal(opened._writing.written, timeout=10_000):
        opened.save(path)
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
        assert picture.text == {"run": "tiny run", "model": "vae", "step": "7", "seed": "11", "kind": kind}
    assert np.array_equal(as_array(opened.preview.image()), pixels)
    assert str(path) in opened.message.text()
    rows = 4 if kind == "reconstructions" else 2
    assert pixels.shape == (rows * 24 + rows + 1, 5 * 24 + 6)


def test_the_preview_is_the_grid_of_the_engine(session: Session, qtbot: QtBot) -> None:
    model, session.snapshot = tiny_snapshot()
    dialog = SaveImagesDialog(session, "manifold")
    qtbot.addWidget(dialog)
    assert dialog.kind.currentData() == "manifold"
    pixels = wait_for_preview(dialog, qtbot)
    spec = GridSpec(rows=20, columns=20, spacing=2, scale=2, seed=0)
    assert np.array_equal(pixels, render_grid("manifold", model, spec))
    dialog.close()


def test_a_png_ending_is_added_and_the_folder_remembered(
    opened: SaveImagesDialog, session: Session, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "grid"), ""))
    with qtbot.waitSignal(opened._writing.written, timeout=10_000):
        qtbot.mouseClick(opened.save_button, Qt.MouseButton.LeftButton)
    assert (tmp_path / "grid.png").is_file()
    second = SaveImagesDialog(session, "samples")
    qtbot.addWidget(second)
    assert second._start_folder() == tmp_path
    second.close()


def test_a_path_that_cannot_be_written_is_told_and_the_dialog_stays(
    opened: SaveImagesDialog, qtbot: QtBot, tmp_path: Path
) -> None:
    with qtbot.waitSignal(opened._writing.failed, timeout=10_000):
        opened.save(tmp_path / "missing" / "grid.png")
    assert "does not exist" in opened.message.text()
    assert opened.isVisible()
    with qtbot.waitSignal(opened._writing.written, timeout=10_000):
        opened.save(tmp_path / "grid.png")
    assert "missing" not in opened.message.text()


def test_a_full_disk_is_told(
    opened: SaveImagesDialog, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vae_explorer.runs.files.os.write", full)
    with qtbot.waitSignal(opened._writing.failed, timeout=10_000):
        opened.save(tmp_path / "grid.png")
    monkeypatch.undo()
    assert "disk is full" in opened.message.text()
    assert list(tmp_path.iterdir()) == []


def test_a_grid_that_is_too_large_is_told_and_cannot_be_saved(opened: SaveImagesDialog, qtbot: QtBot) -> None:
    for box in (opened.rows, opened.columns, opened.scale):
        box.setValue(box.maximum())
    qtbot.waitUntil(lambda: "too large" in opened.message.text(), timeout=10_000)
    assert not opened.save_button.isEnabled()
    opened.scale.setValue(1)
    opened.rows.setValue(2)
    wait_for_preview(opened, qtbot)
    assert opened.save_button.isEnabled()
    assert opened.message.text() == ""


def test_copying_puts_the_picture_on_the_clipboard(opened: SaveImagesDialog, qtbot: QtBot) -> None:
    pixels = wait_for_preview(opened, qtbot)
    qtbot.mouseClick(opened.copy_button, Qt.MouseButton.LeftButton)
    assert np.array_equal(as_array(QGuiApplication.clipboard().image()), pixels)
    assert "Copied" in opened.message.text()


def test_rendering_leaves_the_window_its_thread(
    opened: SaveImagesDialog, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[threading.Thread] = []
    original = opened._rendering._render
    monkeypatch.setattr(
        opened._rendering, "_render", lambda request: seen.append(threading.current_thread()) or original(request)
    )
    opened.seed.setValue(5)
    wait_for_preview(opened, qtbot)
    assert seen
    assert threading.main_thread() not in seen


def test_the_newest_request_wins(opened: SaveImagesDialog, qtbot: QtBot) -> None:
    shown: list[int] = []
    opened._rendering.rendered.connect(lambda grid: shown.append(grid.request.spec.seed))
    for seed in range(1, 30):
        opened.seed.setValue(seed)
        opened._render()
    wait_for_preview(opened, qtbot)
    assert shown[-1] == 29
    assert len(shown) < 29


def test_the_preview_keeps_its_weights_until_asked_for_newer_ones(
    opened: SaveImagesDialog, session: Session, qtbot: QtBot
) -> None:
    before = wait_for_preview(opened, qtbot)
    assert not opened.newest.isEnabled()
    session.snapshot = tiny_snapshot(step=9)[1]
    session.snapshot_changed.emit(session.snapshot)
    assert opened.newest.isEnabled()
    opened._spec_changed()
    assert np.array_equal(wait_for_preview(opened, qtbot), before)
    qtbot.mouseClick(opened.newest, Qt.MouseButton.LeftButton)
    after = wait_for_preview(opened, qtbot)
    assert not np.array_equal(after, before)
    assert "step 9" in opened._facts.text()


def test_before_there_is_a_model_the_dialog_waits(session: Session, qtbot: QtBot) -> None:
    session.snapshot = None
    dialog = SaveImagesDialog(session, "samples")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.wait(150)
    assert not dialog.save_button.isEnabled()
    session.snapshot = tiny_snapshot()[1]
    session.snapshot_changed.emit(session.snapshot)
    wait_for_preview(dialog, qtbot)
    assert dialog.save_button.isEnabled()
    dialog.close()


def test_reconstructions_without_images_are_told(session: Session, qtbot: QtBot) -> None:
    session.dataset = None
    dialog = SaveImagesDialog(session, "reconstructions")
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: "needs images" in dialog.message.text(), timeout=10_000)
    dialog.close()


def test_opening_and_closing_leaves_nothing(session: Session, qtbot: QtBot) -> None:
    for _ in range(5):
        dialog = SaveImagesDialog(session, "samples")
        dialog.show()
        qtbot.wait(20)
        dialog.close()
        dialog.deleteLater()
    assert not [thread for thread in threading.enumerate() if thread.name == "grid rendering"]


def test_every_field_can_be_reached_by_keyboard(opened: SaveImagesDialog) -> None:
    for name in ("rows", "columns", "spacing", "scale", "seed"):
        box = opened.findChild(QWidget, f"save_images.{name}")
        assert box is not None
        assert box.accessibleName()
        assert box.focusPolicy() & Qt.FocusPolicy.TabFocus


@pytest.fixture
def shortcuts(qtbot: QtBot) -> Iterator[ShortcutsDialog]:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions = []
    for text, keys in (("&Train", "Ctrl+T"), ("Stop", "Ctrl+."), ("Keyless", "")):
        action = QAction(text, parent)
        action.setShortcut(QKeySequence(keys))
        action.setStatusTip(f"About {text.lower()}")
        actions.append(action)
    dialog = ShortcutsDialog(actions, parent)
    dialog.show()
    yield dialog
    dialog.close()


def test_shortcuts_lists_every_action_that_has_keys(shortcuts: ShortcutsDialog) -> None:
    rows = {
        shortcuts.table.item(row, 0).text(): shortcuts.table.item(row, 1).text()
        for row in range(shortcuts.table.rowCount())
    }
    assert rows["Train"] == "Ctrl+T"
    assert rows["Stop"] == "Ctrl+."
    assert "Keyless" not in rows
    assert len(rows) == 2 + len(PANEL_KEYS)


@pytest.mark.parametrize(("text", "found"), [("train", "Train"), ("ctrl+.", "Stop"), ("arrow", "Move the pin")])
def test_shortcuts_can_be_searched_by_name_and_by_keys(shortcuts: ShortcutsDialog, text: str, found: str) -> None:
    shortcuts.field.setText(text)
    names = [shortcuts.proxy.index(row, 0).data() for row in range(shortcuts.proxy.rowCount())]
    assert found in names


def test_shortcuts_says_when_nothing_fits(shortcuts: ShortcutsDialog) -> None:
    shortcuts.field.setText("zzz")
    assert shortcuts.proxy.rowCount() == 0
    assert not shortcuts._none.isHidden()
    shortcuts.field.clear()
    assert shortcuts._none.isHidden()


def test_traversals_have_no_more_rows_than_the_model_has_dimensions(opened: SaveImagesDialog, qtbot: QtBot) -> None:
    choose(opened, "traversals")
    assert opened.rows.maximum() == 2
    opened.rows.setValue(8)
    opened.columns.setValue(3)
    opened.spacing.setValue(0)
    opened.scale.setValue(1)
    assert wait_for_preview(opened, qtbot).shape == (2 * 8, 3 * 8)
    choose(opened, "prior")
    opened.rows.setValue(8)
    assert opened.rows.value() == 8
