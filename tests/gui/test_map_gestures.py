"""Pins, selection, undo and the menu of the map, by mouse and keys in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QPoint, QPointF, QRect, QSize, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from vae_explorer.gui.dialogs.save_map import SaveMapDialog
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.latent.arrangement import Frame, ItemSet
from vae_explorer.latent.layers import CodesOptions
from vae_explorer.latent.view_catalogue import ViewChoice

_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def ready(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """A window whose map is drawn."""
    qtbot.waitUntil(lambda: "showing" in window.panel("latent_map").readout.text(), timeout=WAIT_MS)
    settle(window, qtbot)
    return window


def at(window: MainWindow, x: float, y: float) -> QPoint:
    """The pixel at fractions of the plot, (0, 0) the middle and (1, 1) the top right corner."""
    canvas = window.panel("latent_map").canvas
    plot = canvas.plot
    return QPointF(plot.center().x() + x * plot.width() / 2, plot.center().y() - y * plot.height() / 2).toPoint()


def latent(window: MainWindow, pixel: QPoint) -> np.ndarray:
    canvas = window.panel("latent_map").canvas
    corner = canvas.plot.topLeft()
    view = window.session.map.view
    assert view is not None
    return view.lift(np.array([canvas.frame.to_map(pixel.x() - corner.x(), pixel.y() - corner.y())]))[0]


def pins(window: MainWindow) -> list[str]:
    return [pin.name for pin in window.session.map.arrangement.pins]


def click(window: MainWindow, pixel: QPoint, held: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mouseClick(window.panel("latent_map").canvas, _LEFT, held, pixel)


def test_shift_adds_pins_a_click_moves_the_active_one_and_a_drag_the_one_grabbed(ready: MainWindow) -> None:
    canvas, arranged = ready.panel("latent_map").canvas, ready.session.map
    places = [at(ready, x, 0.2) for x in (-0.5, 0.0, 0.5)]
    for place in places:
        click(ready, place, _SHIFT)
    assert pins(ready) == ["A", "B", "C"]
    for pin, place in zip(arranged.arrangement.pins, places, strict=True):
        assert pin.z == pytest.approx(tuple(latent(ready, place)))
    click(ready, at(ready, 0.5, -0.5))
    assert arranged.arrangement.active is not None
    assert arranged.arrangement.active.name == "C"
    assert arranged.arrangement.active.z == pytest.approx(tuple(latent(ready, at(ready, 0.5, -0.5))))
    steps = ready.session.undo_stack.count()
    QTest.mousePress(canvas, _LEFT, pos=places[0])
    for part in (0.1, 0.3, 0.6):
        QTest.mouseMove(canvas, at(ready, -0.5, 0.2 + part))
    QTest.mouseRelease(canvas, _LEFT, pos=at(ready, -0.5, 0.8))
    assert arranged.arrangement.pins[0].z == pytest.approx(tuple(latent(ready, at(ready, -0.5, 0.8))))
    assert arranged.arrangement.active_pin == 0
    assert ready.session.undo_stack.count() == steps + 1
    ready.commands.actions["action.undo"].trigger()
    assert arranged.arrangement.pins[0].z == pytest.approx(tuple(latent(ready, places[0])))


def test_pins_by_keyboard_and_every_step_is_taken_back(ready: MainWindow) -> None:
    canvas = ready.panel("latent_map").canvas
    canvas.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_A):
        QTest.keyClick(canvas, key)
    assert pins(ready) == ["A", "B", "C"]
    assert len({pin.z for pin in ready.session.map.arrangement.pins}) == 3
    QTest.keyClick(canvas, Qt.Key.Key_N)
    assert ready.session.map.arrangement.active_pin == 0
    QTest.keyClick(canvas, Qt.Key.Key_N, _SHIFT)
    assert ready.session.map.arrangement.active_pin == 2
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert pins(ready) == ["A", "B"]
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert pins(ready) == []
    stack = ready.session.undo_stack
    stack.undo()
    assert pins(ready) == ["A", "B"]
    stack.undo()
    assert pins(ready) == ["A", "B", "C"]
    while stack.canUndo():
        stack.undo()
    assert pins(ready) == []


def test_outside_the_square_of_the_inverse_cdf_view_there_is_nothing_to_hover_or_pin(
    ready: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    arranged, canvas = ready.session.map, ready.panel("latent_map").canvas
    place = ready.session.explorer_thread.place
    arranged.choose_view(ViewChoice("inverse-cdf"), "show the square")
    arranged.set_frame(Frame(0.5, 0.5, 0.7 * canvas.plot.height()))
    settle(ready, qtbot)

    def pixel(x: float, y: float) -> QPoint:
        left, top = canvas.frame.to_screen(x, y)
        return QPointF(canvas.plot.left() + left, canvas.plot.top() + top).toPoint()

    told: list[str] = []
    monkeypatch.setattr(place, "hover", lambda *_: told.append("hover"))
    monkeypatch.setattr(place, "leave", lambda: told.append("leave"))
    inside, beyond = pixel(0.5, 0.6), pixel(0.5, 1.1)
    QTest.mouseMove(canvas, inside)
    QTest.mouseMove(canvas, beyond)
    assert told[-2:] == ["hover", "leave"]
    click(ready, beyond, _SHIFT)
    assert pins(ready) == []
    click(ready, inside, _SHIFT)
    assert pins(ready) == ["A"]
    QTest.mousePress(canvas, _LEFT, pos=inside)
    for way in (0.7, 0.9, 1.1):
        QTest.mouseMove(canvas, pixel(0.5, way))
    QTest.mouseRelease(canvas, _LEFT, pos=beyond)
    assert ready.session.map.arrangement.pins[0].z == pytest.approx(tuple(latent(ready, pixel(0.5, 0.9))))


def lasso(window: MainWindow, corners: list[tuple[float, float]], held: Qt.KeyboardModifier | None = None) -> None:
    canvas = window.panel("latent_map").canvas
    held = held or Qt.KeyboardModifier.NoModifier
    QTest.mousePress(canvas, _LEFT, held, at(window, *corners[0]))
    for corner in corners[1:]:
        QTest.mouseMove(canvas, at(window, *corner))
    QTest.mouseRelease(canvas, _LEFT, held, at(window, *corners[-1]))


def inside(window: MainWindow, left: float, bottom: float, right: float, top: float) -> set[int]:
    """The items in a part of the plot, by the arithmetic of the test."""
    low, high = latent(window, at(window, left, bottom)), latent(window, at(window, right, top))
    snapshot = window.session.snapshot
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    codes = snapshot.codes_ND.cpu().numpy()
    return set(np.flatnonzero(((codes >= low) & (codes <= high)).all(axis=1)).tolist())


def test_lasso_and_rectangle_select_add_and_take_away(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, canvas = ready.session.map, ready.panel("latent_map").canvas
    ready.commands.actions["action.tool_lasso"].trigger()
    assert canvas.tool == "lasso"
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        lasso(ready, [(-0.9, -0.9), (0.0, -0.9), (0.0, 0.9), (-0.9, 0.9)])
    wanted = inside(ready, -0.9, -0.9, 0.0, 0.9)
    assert arranged.arrangement.selection == ItemSet(wanted)
    assert 0 < len(wanted) < 240
    QTest.keyClick(canvas, Qt.Key.Key_R)
    assert canvas.tool == "rectangle"
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        lasso(ready, [(0.0, -0.9), (0.9, 0.9)], _SHIFT)
    both = wanted | inside(ready, 0.0, -0.9, 0.9, 0.9)
    assert arranged.arrangement.selection == ItemSet(both)
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        lasso(ready, [(-0.9, -0.9), (0.9, 0.0)], _CONTROL)
    assert arranged.arrangement.selection == ItemSet(both - inside(ready, -0.9, -0.9, 0.9, 0.0))
    ready.session.undo_stack.undo()
    assert arranged.arrangement.selection == ItemSet(both)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.tool == "point"


def test_a_selection_dims_the_rest_and_moves_nothing(ready: MainWindow, qtbot: QtBot) -> None:
    panel = ready.panel("latent_map")
    before = panel.canvas.frame
    ready.session.map.select(ItemSet(range(40)))
    qtbot.waitUntil(lambda: "40 selected" in panel.readout.text(), timeout=WAIT_MS)
    assert panel.readout.text().startswith("showing 240 of 240 codes")
    assert panel.canvas.frame == before


def test_an_empty_lasso_is_told_and_selects_nothing(ready: MainWindow, qtbot: QtBot) -> None:
    told: list[str] = []
    ready.session.message_posted.connect(lambda message: told.append(message.text))
    ready.panel("latent_map").canvas.set_tool("rectangle")
    lasso(ready, [(0.97, 0.97), (0.98, 0.98)])
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert "no code" in told[0]
    assert ready.session.map.arrangement.selection is None


def pixel_of(window: MainWindow, item: int) -> QPoint:
    snapshot, view = window.session.snapshot, window.session.map.view
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    assert view is not None
    canvas = window.panel("latent_map").canvas
    x, y = view.project(snapshot.codes_ND.cpu().numpy()[item : item + 1])[0]
    return (QPointF(*canvas.frame.to_screen(float(x), float(y))) + QPointF(canvas.plot.topLeft())).toPoint()


def test_hovering_a_code_finds_its_image_and_control_click_picks_it(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, canvas = ready.session.map, ready.panel("latent_map").canvas
    with qtbot.waitSignal(arranged.hovered_item_changed, timeout=WAIT_MS):
        QTest.mouseMove(canvas, pixel_of(ready, 17) + QPoint(1, 0))
        QTest.mouseMove(canvas, pixel_of(ready, 17))
    found = arranged.hovered_item
    assert found is not None
    assert (pixel_of(ready, found) - pixel_of(ready, 17)).manhattanLength() <= 7
    qtbot.waitUntil(lambda: canvas.overlay.item is not None, timeout=WAIT_MS)
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        click(ready, pixel_of(ready, 17), _CONTROL)
    assert arranged.arrangement.selection is not None
    assert len(arranged.arrangement.selection) == 1
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        click(ready, pixel_of(ready, 17), _CONTROL)
    assert arranged.arrangement.selection is None


def test_the_ring_of_a_hovered_code_comes_and_goes_without_drawing_a_code(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, panel = ready.session.map, ready.panel("latent_map")
    canvas = panel.canvas
    drawn: list[str] = []
    arranged.layer_drawn.connect(lambda name, _drawing: drawn.append(name))
    for name in ("manifold", "posterior"):
        arranged.set_layer(name, is_shown=False)
    settle(ready, qtbot)
    pixel = pixel_of(ready, 17)
    canvas.set_overlay(pins=())
    without = canvas.grab(QRect(pixel - QPoint(12, 12), QSize(25, 25))).toImage()
    drawn.clear()
    with qtbot.waitSignal(arranged.hovered_item_changed, timeout=WAIT_MS):
        QTest.mouseMove(canvas, pixel + QPoint(1, 0))
        QTest.mouseMove(canvas, pixel)
    qtbot.waitUntil(lambda: canvas.overlay.item is not None, timeout=WAIT_MS)
    assert canvas.grab(QRect(pixel - QPoint(12, 12), QSize(25, 25))).toImage() != without
    # Drawn again while the mouse rests on the code, as in training, the codes carry no ring of their own.
    panel.asking.ask("codes")
    settle(ready, qtbot)
    assert canvas._drawings["codes"].strokes == ()
    QApplication.sendEvent(canvas, QEvent(QEvent.Type.Leave))
    assert canvas.overlay.item is None
    assert arranged.hovered_item is None
    settle(ready, qtbot)
    assert canvas.grab(QRect(pixel - QPoint(12, 12), QSize(25, 25))).toImage() == without
    assert drawn == ["codes"]


def test_panning_and_zooming_are_undone_in_one_step_each(ready: MainWindow, qtbot: QtBot) -> None:
    canvas, arranged = ready.panel("latent_map").canvas, ready.session.map
    before = canvas.frame
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        for _ in range(3):
            canvas.zoom(1.25)
    zoomed = canvas.frame
    assert zoomed.scale > 1.9 * before.scale
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        canvas.centre(zoomed.x + 0.1, zoomed.y)
    settle(ready, qtbot)
    ready.commands.actions["action.undo"].trigger()
    settle(ready, qtbot)
    assert canvas.frame.is_near(zoomed)
    ready.commands.actions["action.undo"].trigger()
    settle(ready, qtbot)
    assert canvas.frame.is_near(before)
    assert ready.panel("latent_map").toolbar.fit.isChecked()


def test_a_view_is_chosen_undone_and_decodes_exactly(open_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    from tests.tiny_runs import tiny_config

    window = open_window(tiny_config(epochs=100_000, latents=5))
    arranged = window.session.map
    qtbot.waitUntil(lambda: arranged.num_dimensions == 5, timeout=WAIT_MS)
    settle(window, qtbot)
    first = arranged.view
    arranged.choose_view(ViewChoice("pca"))
    settle(window, qtbot)
    assert arranged.view is not None
    assert arranged.view != first
    assert window.panel("latent_map").canvas.axis_labels[0].startswith("PC1")
    assert "PCA" in window.panel("latent_map").toolbar.view_button.text()
    place = window.session.explorer_thread.place
    shown: list[object] = []
    place.decoded.connect(shown.append)
    wanted = latent(window, at(window, 0.3, -0.4))
    click(window, at(window, 0.3, -0.4))
    qtbot.waitUntil(lambda: any(np.allclose(answer.z_D, wanted, atol=1e-6) for answer in shown), timeout=WAIT_MS)
    window.session.undo_stack.undo()
    window.session.undo_stack.undo()
    settle(window, qtbot)
    assert arranged.view == first


def menu_of(window: MainWindow) -> QMenu:
    return next(menu for menu in window.findChildren(QMenu) if menu.isVisible())


def test_the_menu_has_everything_at_the_place(ready: MainWindow, qtbot: QtBot) -> None:
    canvas = ready.panel("latent_map").canvas
    pixel = at(ready, 0.1, 0.1)
    QTest.mouseClick(canvas, Qt.MouseButton.RightButton, pos=pixel)
    menu = menu_of(ready)
    texts = [action.text() for action in menu.actions() if action.text()]
    assert {"Pin this place", "Centre here", "Add a pin", "Select by lasso", "Save the map…", "Layers"} <= set(texts)
    next(action for action in menu.actions() if action.text() == "Pin this place").trigger()
    menu.close()
    assert ready.session.map.active_pin_z() == pytest.approx(latent(ready, pixel))
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    QTest.keyClick(canvas, Qt.Key.Key_Menu)
    assert "Layers" in [action.text() for action in menu_of(ready).actions()]
    menu_of(ready).close()


def test_the_menu_bends_the_path_through_a_place(ready: MainWindow, qtbot: QtBot) -> None:
    for x in (-0.6, 0.6):
        click(ready, at(ready, x, 0.0), _SHIFT)
    qtbot.waitUntil(lambda: bool(ready.panel("latent_map").canvas.overlay.curve), timeout=WAIT_MS)
    QTest.mouseClick(ready.panel("latent_map").canvas, Qt.MouseButton.RightButton, pos=at(ready, 0.0, 0.6))
    menu = menu_of(ready)
    next(action for action in menu.actions() if action.text().startswith("Bend the path")).trigger()
    menu.close()
    bends = ready.session.map.arrangement.path.bends
    assert len(bends) == 1
    assert bends[0].z == pytest.approx(tuple(latent(ready, at(ready, 0.0, 0.6))))


def test_a_picture_dropped_anywhere_is_put_on_the_map(ready: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "mine.png"
    Image.fromarray((np.eye(40) * 255).astype(np.uint8)).save(file)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(file))])
    event = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, mime, _LEFT, Qt.KeyboardModifier.NoModifier)
    with qtbot.waitSignal(ready.session.map.given_changed, timeout=WAIT_MS):
        ready.dropEvent(event)
    assert event.isAccepted()
    given = ready.session.map.given
    assert len(given) == 1
    assert np.isfinite(given[0].mean_D).all()


def test_the_map_is_copied_and_saved_at_any_scale(ready: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    ready.commands.actions["action.copy_map"].trigger()
    canvas = ready.panel("latent_map").canvas
    assert QGuiApplication.clipboard().image().width() == round(canvas.width() * canvas.devicePixelRatioF())
    QGuiApplication.clipboard().clear()
    ready.commands.actions["action.save_map"].trigger()
    dialog = ready.commands._dialogs["save_map"]
    dialog.scale.setValue(3.0)
    dialog.save(tmp_path / "map.png")
    qtbot.waitUntil(lambda: (tmp_path / "map.png").exists() and not dialog._writing.is_busy, timeout=WAIT_MS)
    with Image.open(tmp_path / "map.png") as image:
        assert image.width == 3 * canvas.width()
        assert image.height > 3 * canvas.height()
        assert image.text["kind"] == "latent map"
        assert image.text["step"] == "0"
        assert len(np.unique(np.asarray(image))) > 8
    dialog.kind.setCurrentIndex(dialog.kind.findData("svg"))
    dialog.save(tmp_path / "map.svg")
    qtbot.waitUntil(lambda: (tmp_path / "map.svg").exists() and not dialog._writing.is_busy, timeout=WAIT_MS)
    text = (tmp_path / "map.svg").read_text()
    assert text.startswith("<?xml")
    assert "<image" in text
    assert "z₁" in text
    dialog.save(tmp_path / "no folder" / "map.svg")
    qtbot.waitUntil(lambda: "no folder" in dialog.message.text(), timeout=WAIT_MS)
    dialog.close()


def test_a_map_being_drawn_is_given_up_with_its_dialog(ready: MainWindow, tmp_path: Path) -> None:
    ready.commands.actions["action.save_map"].trigger()
    dialog = ready.commands._dialogs["save_map"]
    dialog.save(tmp_path / "map.png")
    assert ready.session.map._survey.is_open("picture")
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not ready.session.map._survey.is_open("picture")


def test_qimage_of_a_dropped_picture_needs_no_file(ready: MainWindow, qtbot: QtBot) -> None:
    mime = QMimeData()
    picture = QImage(30, 30, QImage.Format.Format_Grayscale8)
    picture.fill(0)
    for step in range(5, 25):
        picture.setPixelColor(step, 15, Qt.GlobalColor.white)
    mime.setImageData(picture)
    assert ready.commands.map.can_take(mime)
    with qtbot.waitSignal(ready.session.map.given_changed, timeout=WAIT_MS):
        ready.commands.map.take(mime)


def test_snapshots_in_mid_drag_leave_the_drag_alone(ready: MainWindow, qtbot: QtBot) -> None:
    canvas, arranged = ready.panel("latent_map").canvas, ready.session.map
    canvas.taken_over.emit()
    ready.session.train()
    QTest.mousePress(canvas, _LEFT, pos=at(ready, -0.5, 0.0))
    steps = ready.session.undo_stack.count()
    for number in range(6):
        with qtbot.waitSignal(ready.session.snapshot_changed, timeout=WAIT_MS):
            QTest.mouseMove(canvas, at(ready, -0.5 + 0.1 * number, 0.3))
    QTest.mouseRelease(canvas, _LEFT, pos=at(ready, 0.0, 0.3))
    assert pins(ready) == ["A"]
    assert arranged.active_pin_z() == pytest.approx(latent(ready, at(ready, 0.0, 0.3)))
    assert ready.session.undo_stack.count() == steps
    ready.panel("latent_map").canvas.set_tool("lasso")
    QTest.mousePress(canvas, _LEFT, pos=at(ready, -0.9, -0.9))
    for corner in ((0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)):
        with qtbot.waitSignal(ready.session.snapshot_changed, timeout=WAIT_MS):
            QTest.mouseMove(canvas, at(ready, *corner))
    with qtbot.waitSignal(arranged.arranged, timeout=WAIT_MS):
        QTest.mouseRelease(canvas, _LEFT, pos=at(ready, -0.9, 0.9))
    assert arranged.arrangement.selection is not None


def test_a_double_click_centres_and_sets_no_pin(ready: MainWindow, qtbot: QtBot) -> None:
    canvas = ready.panel("latent_map").canvas
    click(ready, at(ready, -0.3, 0.1))
    pinned = ready.session.map.arrangement.pins
    place = latent(ready, at(ready, 0.5, 0.5))
    click(ready, at(ready, 0.5, 0.5))
    QTest.mouseDClick(canvas, _LEFT, pos=at(ready, 0.5, 0.5))
    settle(ready, qtbot)
    assert ready.session.map.arrangement.pins == pinned
    assert (canvas.frame.x, canvas.frame.y) == pytest.approx(tuple(place))


def test_a_resting_mouse_sees_what_comes_under_it(ready: MainWindow, qtbot: QtBot) -> None:
    canvas, place = ready.panel("latent_map").canvas, ready.session.explorer_thread.place
    QTest.mouseMove(canvas, at(ready, 0.2, 0.2))
    QTest.mouseMove(canvas, at(ready, 0.4, 0.4))
    shown: list[np.ndarray] = []
    place.decoded.connect(lambda answer: shown.append(answer.z_D))
    canvas.set_frame(canvas.frame.zoomed(2.0, 0.0, 0.0))
    wanted = latent(ready, at(ready, 0.4, 0.4))
    qtbot.waitUntil(lambda: bool(shown) and np.allclose(shown[-1], wanted), timeout=WAIT_MS)


def test_a_message_about_a_view_goes_when_a_view_is_found(ready: MainWindow) -> None:
    ready.session.post("error", "This plane cannot be made.", near="panel.view")
    assert ready.message_bar.isVisible()
    ready.session.map.choose_view(ViewChoice("pca"))
    assert not ready.message_bar.isVisible()


def test_a_saved_map_shows_pins_legends_and_numbers_as_seen(ready: MainWindow, qtbot: QtBot) -> None:
    from vae_explorer.gui.map_picture import MapPicture, ask_for_picture, image_of

    panel = ready.panel("latent_map")
    ready.session.map.set_layer("stretch", is_shown=True)
    settle(ready, qtbot)

    def picture(code_style: str = panel.code_style) -> MapPicture:
        found: list[MapPicture] = []
        ask_for_picture(
            ready.session.map, panel.canvas, code_style, 1.0, found.append, lambda error: pytest.fail(str(error))
        )
        qtbot.waitUntil(lambda: bool(found), timeout=WAIT_MS)
        return found[0]

    plain = picture()
    styles = {record.name: drawing.extras.get("style") for record, drawing in plain.drawings}
    assert styles["codes"] == panel.code_style != ""
    bare, full = image_of(plain, has_legend=False), image_of(plain, has_legend=True)
    told = sum(bool(drawing.readout) for _, drawing in plain.drawings)
    line = panel.legend.fontMetrics().height()
    assert full.height() >= bare.height() + line * (told + 2)
    click(ready, at(ready, 0.1, 0.1))
    assert image_of(picture(), has_legend=False) != bare


def test_another_latent_space_in_mid_everything(ready: MainWindow, qtbot: QtBot) -> None:
    """Pins, a path, a group, a selection, a view: then the network has other dimensions."""
    arranged = ready.session.map
    click(ready, at(ready, -0.4, 0.0), _SHIFT)
    click(ready, at(ready, 0.4, 0.2), _SHIFT)
    arranged.select(ItemSet(range(30)))
    arranged.add_group("some", ItemSet(range(10)))
    arranged.choose_view(ViewChoice("pca"))
    with qtbot.waitSignal(ready.session.snapshot_changed, timeout=WAIT_MS):
        ready.session.edit("model.latent_dimensions", 4)
    settle(ready, qtbot)
    assert arranged.num_dimensions == 4
    assert pins(ready) == []
    assert [group.name for group in arranged.arrangement.groups] == ["some"]
    assert arranged.arrangement.selection == ItemSet(range(30))
    for _ in range(ready.session.undo_stack.count()):
        ready.commands.actions["action.undo"].trigger()
    settle(ready, qtbot)
    assert all(len(pin.z) == arranged.num_dimensions for pin in arranged.arrangement.pins)


def test_a_drag_leaves_the_code_it_began_on_and_its_end_looks_anew(ready: MainWindow, qtbot: QtBot) -> None:
    canvas, arranged = ready.panel("latent_map").canvas, ready.session.map
    begin, end = pixel_of(ready, 17), at(ready, 0.93, 0.93)
    # Qt says nothing of a move to where the cursor already stands.
    QTest.mouseMove(canvas, begin + QPoint(1, 0))
    QTest.mouseMove(canvas, begin)
    qtbot.waitUntil(lambda: arranged.hovered_item is not None, timeout=WAIT_MS)
    QTest.mousePress(canvas, _LEFT, pos=begin)
    QTest.mouseMove(canvas, (begin + end) / 2)
    QTest.mouseMove(canvas, end)
    assert arranged.hovered_item is None
    assert canvas.overlay.item is None
    QTest.mouseRelease(canvas, _LEFT, pos=end)
    assert canvas.hovered_place == pytest.approx(
        canvas.frame.to_map(end.x() - canvas.plot.left(), end.y() - canvas.plot.top())
    )


def test_the_legend_has_the_room_that_the_read_out_of_another_colour_took(ready: MainWindow, qtbot: QtBot) -> None:
    panel, arranged = ready.panel("latent_map"), ready.session.map
    panel.readout.setMinimumWidth(420)
    arranged.set_layer("codes", options=CodesOptions(colour_by="none"))
    qtbot.waitUntil(lambda: panel.readout.minimumWidth() < 420, timeout=WAIT_MS)


def test_the_size_of_a_saved_map_says_what_the_box_says(ready: MainWindow) -> None:
    dialog = SaveMapDialog(ready.session, ready.panel("latent_map"))
    assert dialog.facts.text().endswith("; the legends stand below it")
    dialog.legend.setChecked(False)
    assert dialog.facts.text().endswith("pixels")
    dialog.deleteLater()
