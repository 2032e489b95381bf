"""Every picture can be copied, saved and dragged out, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.widgets import image_actions
from vae_explorer.gui.widgets.image_actions import ShownPicture, file_stem, pixels_of, to_image
from vae_explorer.gui.widgets.image_grid import ImageGrid
from vae_explorer.gui.widgets.image_view import ImageView


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def grid(qtbot: QtBot) -> ImageGrid:
    grid = ImageGrid(rows_together=2)
    qtbot.addWidget(grid)
    grid.setAccessibleName("Pairs")
    grid.resize(400, 300)
    grid.set_picture_side(8)
    grid.show_pictures(
        noise(30, 8, 8),
        noise(30, 8, 8, seed=1),
        common={"step": "7"},
        describe=lambda number, part: {"item": str(100 + number), "title": f"Image {100 + number} of set {part}"},
    )
    grid.show()
    return grid


@pytest.fixture
def close_menus() -> Iterator[None]:
    yield
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QMenu) and widget.isVisible():
            widget.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def context_menu(widget: QWidget, position: QPoint, *, by_key: bool = False) -> QMenu:
    reason = QContextMenuEvent.Reason.Keyboard if by_key else QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(widget, QContextMenuEvent(reason, position, widget.mapToGlobal(position)))
    return next(menu for menu in widget.findChildren(QMenu) if menu.isVisible())


def choose(menu: QMenu, text: str) -> None:
    next(action for action in menu.actions() if action.text() == text).trigger()
    menu.close()


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (9, 7, 3), (5, 6, 3)])
def test_pixels_survive_the_way_through_an_image(shape: tuple[int, ...]) -> None:
    picture = noise(*shape)
    assert np.array_equal(pixels_of(to_image(picture)), picture)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7, 3)])
def test_ctrl_c_copies_exactly_the_pixels(qtbot: QtBot, shape: tuple[int, ...]) -> None:
    view = ImageView()
    qtbot.addWidget(view)
    view.show()
    QGuiApplication.clipboard().clear()
    QTest.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().image().isNull(), "there is nothing to copy yet"
    picture = noise(*shape)
    view.show_picture(picture)
    QTest.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = pixels_of(QGuiApplication.clipboard().image())
    expected = picture if picture.ndim == 3 else picture[..., None]
    assert np.array_equal(np.broadcast_to(expected, (*picture.shape[:2], 3)), rgb(copied))


def rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def test_the_menu_of_a_view_copies(qtbot: QtBot, close_menus: None) -> None:
    view = ImageView()
    qtbot.addWidget(view)
    view.show()
    QApplication.sendEvent(view, QContextMenuEvent(QContextMenuEvent.Reason.Mouse, QPoint(9, 9), QPoint(9, 9)))
    assert not view.findChildren(QMenu), "no picture, no menu"
    view.show_picture(noise(8, 8))
    menu = context_menu(view, QPoint(9, 9))
    assert [action.text() for action in menu.actions()] == ["Copy", "Save as…"]
    choose(menu, "Copy")
    assert np.array_equal(rgb(pixels_of(QGuiApplication.clipboard().image())), rgb(noise(8, 8)))


def test_the_menu_of_a_grid_means_the_picture_under_it_and_the_menu_key_the_chosen_one(
    grid: ImageGrid, close_menus: None
) -> None:
    menu = context_menu(grid, grid.cell_rect(2, 1).center().toPoint())
    texts = [action.text() for action in menu.actions()]
    assert texts == ["Copy this picture", "Save this picture…", "Save the whole grid…"]
    choose(menu, "Copy this picture")
    assert np.array_equal(rgb(pixels_of(QGuiApplication.clipboard().image())), rgb(noise(30, 8, 8, seed=1)[2]))
    QTest.keyClick(grid, Qt.Key.Key_Right)
    choose(context_menu(grid, QPoint(0, 0), by_key=True), "Copy this picture")
    assert np.array_equal(rgb(pixels_of(QGuiApplication.clipboard().image())), rgb(noise(30, 8, 8)[1]))
    beside = context_menu(grid, QPoint(0, 0))
    assert [action.text() for action in beside.actions()] == ["Save the whole grid…"]


def test_what_is_dragged_is_the_image_and_a_file(grid: ImageGrid) -> None:
    picture = grid.picture_at(grid.cell_rect(4, 0).center().toPoint())
    assert picture is not None
    data = grid.actions_on_picture.mime_data(picture)
    assert np.array_equal(rgb(pixels_of(data.imageData())), rgb(noise(30, 8, 8)[4]))
    (url,) = data.urls()
    path = Path(url.toLocalFile())
    assert path.name == "Pairs item 104 step 7.png"
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), noise(30, 8, 8)[4])
        assert image.text["item"] == "104"
        assert image.text["step"] == "7"
    again = grid.actions_on_picture.mime_data(picture).urls()[0].toLocalFile()
    assert again != str(path), "the first receiver may still be reading"
    assert image_actions._drag_folder().filePath("") in str(path)


def test_a_drag_begins_beyond_the_start_distance_and_is_no_click(
    grid: ImageGrid, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dragged: list[ShownPicture] = []
    clicked: list[int] = []
    grid.picture_clicked.connect(clicked.append)
    monkeypatch.setattr(grid.actions_on_picture, "_drag", dragged.append)
    start = grid.cell_rect(3, 0).center().toPoint()
    QTest.mousePress(grid, Qt.MouseButton.LeftButton, pos=start)
    move(grid, start + QPoint(1, 1))
    assert not dragged
    move(grid, start + QPoint(QApplication.startDragDistance(), 1))
    move(grid, start + QPoint(60, 1))
    assert len(dragged) == 1
    assert np.array_equal(dragged[0].pixels, noise(30, 8, 8)[3])
    QTest.mouseRelease(grid, Qt.MouseButton.LeftButton, pos=start + QPoint(60, 1))
    assert clicked == []
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=start)
    assert clicked == [3]


def move(widget: QWidget, position: QPoint) -> None:
    from PySide6.QtCore import QPointF
    from PySide6.QtGui import QMouseEvent

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    at = QPointF(position)
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, QPointF(widget.mapToGlobal(position)), none, left, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(widget, event)


def test_keys_choose_a_cell_and_enter_clicks_it(grid: ImageGrid, qtbot: QtBot) -> None:
    clicked: list[int] = []
    grid.picture_clicked.connect(clicked.append)
    keys = Qt.Key
    columns = grid._shape.columns
    expected = {
        keys.Key_Right: (1, 0), keys.Key_Down: (1, 1), keys.Key_End: (grid.num_shown - 1, 1),
        keys.Key_Home: (0, 1), keys.Key_Up: (0, 0), keys.Key_Left: (0, 0),
    }  # fmt: skip
    for key, chosen in expected.items():
        QTest.keyClick(grid, key)
        assert grid.chosen == chosen, key
    QTest.keyClick(grid, keys.Key_Down)
    QTest.keyClick(grid, keys.Key_Down)
    assert grid.chosen == (columns, 0)
    assert grid.accessibleDescription() == f"Picture {columns + 1} of {grid.num_shown}  Image {100 + columns} of set 0"
    QTest.keyClick(grid, keys.Key_Return)
    assert clicked == [columns]


def test_the_chosen_cell_has_a_ring_while_the_grid_has_the_keyboard(grid: ImageGrid, qtbot: QtBot) -> None:
    from vae_explorer.gui import theme

    qtbot.waitExposed(grid)
    grid.activateWindow()
    accent = theme.current().accent
    corner = grid.cell_rect(0, 0).topLeft().toPoint() - QPoint(1, 1)
    grid.setFocus()
    qtbot.waitUntil(lambda: grid.grab().toImage().pixelColor(corner).name() == accent, timeout=WAIT_MS)
    grid.clearFocus()
    qtbot.waitUntil(lambda: grid.grab().toImage().pixelColor(corner).name() != accent, timeout=WAIT_MS)


def test_the_whole_grid_is_one_picture_of_the_cells_in_sight(grid: ImageGrid) -> None:
    whole = grid.whole_picture()
    assert whole is not None
    columns, num = grid._shape.columns, grid.num_shown
    rows = -(-num // columns)
    assert whole.pixels.shape == (2 + rows * 2 * 10, 2 + columns * 10)
    assert np.array_equal(whole.pixels[12:20, 12:20], noise(30, 8, 8, seed=1)[1])
    grid.show_pictures()
    assert grid.whole_picture() is None
    assert grid.picture_at(QPoint(50, 50)) is None


def save_through_menu(
    widget: QWidget, position: QPoint, text: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    choose(context_menu(widget, position), text)


def test_saving_writes_a_png_that_says_what_it_is(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close_menus: None
) -> None:
    panel = window.panel("samples")
    qtbot.waitUntil(lambda: panel.grid.num_pictures > 0, timeout=WAIT_MS)
    with qtbot.waitSignal(window.session.message_posted, timeout=WAIT_MS) as told:
        at = panel.grid.cell_rect(1).center().toPoint()
        save_through_menu(panel.grid, at, "Save this picture…", tmp_path / "one", monkeypatch)
    assert told.args[0].text == "The picture was saved as one.png."
    snapshot = window.session.snapshot
    assert snapshot is not None
    with Image.open(tmp_path / "one.png") as image:
        assert np.array_equal(np.asarray(image), panel.grid._sets[0][1])
        assert image.text["run"] == snapshot.run_name
        assert image.text["step"] == str(snapshot.step)
        assert image.text["kind"] == "sample"
        assert [float(value) for value in image.text["z"].split()] == pytest.approx(panel._samples.z_ND[1].tolist())
    with qtbot.waitSignal(window.session.message_posted, timeout=WAIT_MS):
        save_through_menu(panel.grid, at, "Save the whole grid…", tmp_path / "all.png", monkeypatch)
    with Image.open(tmp_path / "all.png") as image:
        assert np.array_equal(np.asarray(image), panel.grid.whole_picture().pixels)
        assert "z" not in image.text


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    view = window.panel("decoded_image").view
    qtbot.waitUntil(lambda: view.image is not None, timeout=WAIT_MS)
    picture = view.picture_at(QPoint(5, 5))
    with qtbot.waitSignal(window.session.message_posted, timeout=WAIT_MS) as told:
        view.actions_on_picture.save(tmp_path / "none" / "picture.png", picture)
    assert told.args[0].kind == "error"
    assert str(tmp_path / "none") in told.args[0].text


def test_a_drag_without_a_place_for_its_file_still_carries_the_image(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class NoFolder:
        def isValid(self) -> bool:
            return False

    monkeypatch.setattr(image_actions, "_drag_folder", NoFolder)
    view = window.panel("decoded_image").view
    qtbot.waitUntil(lambda: view.image is not None, timeout=WAIT_MS)
    with qtbot.waitSignal(window.session.message_posted, timeout=WAIT_MS) as told:
        data = view.actions_on_picture.mime_data(view.picture_at(QPoint(5, 5)))
    assert data.hasImage()
    assert not data.hasUrls()
    assert "temporary files" in told.args[0].hint


@pytest.mark.parametrize(
    ("facts", "stem"),
    [
        ({"kind": "decoded", "step": "1200", "z": "0 1"}, "decoded step 1200"),
        ({"kind": "held out image", "item": "12"}, "held out image item 12"),
        ({"kind": "../.."}, "picture"),
        ({}, "picture"),
    ],
)
def test_file_names_are_plain(facts: dict[str, str], stem: str) -> None:
    assert file_stem(facts) == stem


def test_the_folder_of_dragged_files_is_gone_when_the_program_ends(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import numpy as np\n"
        "from vae_explorer.gui.widgets.image_actions import _drag_file\n"
        "print(_drag_file(np.zeros((4, 4), np.uint8), {}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    path = Path(done.stdout.strip())
    assert path.name == "picture.png"
    assert not path.exists()
    assert not path.parent.parent.exists()
