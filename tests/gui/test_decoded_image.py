"""The decoded image with its nearest images and originals, and the grids whose pictures can be chosen."""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.errors import UserError
from vae_explorer.gui.decoded_layout import decoded_layout
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.neighbour_search import REST_MS, SLOT
from vae_explorer.gui.neighbour_words import item_title, ratio_text, short_text
from vae_explorer.gui.panels.decoded_image import DecodedImagePanel
from vae_explorer.gui.session_words import State
from vae_explorer.gui.widgets.neighbour_strip import COLUMN_WIDTH, SIDE
from vae_explorer.latent.arrangement import Direction, ItemSet, Pin
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.novelty import Novelty
from vae_explorer.models.building import build_model

Opener = Callable[..., MainWindow]


class Scene:
    """A window, its decoded image, and a count of what is asked of the surveying thread."""

    def __init__(self, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
        self.window, self.qtbot, self.session = window, qtbot, window.session
        self.panel: DecodedImagePanel = window.panel("decoded_image")  # type: ignore[assignment]
        self.map = window.session.map
        self.asked: list[str] = []
        submit = self.session.survey_thread.submit

        def counting(slot: str, number: int, work: Callable[..., object]) -> None:
            self.asked.append(slot)
            submit(slot, number, work)

        monkeypatch.setattr(self.session.survey_thread, "submit", counting)

    @property
    def strip(self):
        return self.panel.strip

    @property
    def num_asked(self) -> int:
        return self.asked.count(SLOT)

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)

    def pin(self, *z: float) -> np.ndarray:
        z_D = np.array(z)
        self.map.place_active_pin(z_D)
        self.wait(lambda: self.panel._shown is not None and np.array_equal(self.panel._shown.z_D, z_D))
        return z_D

    def compared(self) -> None:
        self.wait(lambda: self.strip.nearest and not self.strip.is_pale)

    def decoded(self, z_D: np.ndarray) -> np.ndarray:
        import torch

        snapshot = self.session.snapshot
        assert snapshot is not None
        model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
        model.load_state_dict(dict(snapshot.weights))
        with torch.no_grad():
            return model.decode(torch.tensor(z_D[None], dtype=torch.float32)).mean_BCHW[0].numpy()

    def stored(self, ids: np.ndarray) -> np.ndarray:
        import torch

        dataset = self.session.dataset
        assert dataset is not None
        return dataset.images.gather(torch.as_tensor(ids)).numpy()


@pytest.fixture
def scene(window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(window, qtbot, monkeypatch)
    scene.wait(lambda: scene.panel._shown is not None)
    return scene


# --- new or a copy?


def test_the_neighbours_of_a_pinned_place_are_those_of_brute_force(scene: Scene) -> None:
    z_D = scene.pin(0.7, -0.4)
    scene.compared()
    x_P = scene.decoded(z_D).ravel()
    dataset = scene.session.dataset
    assert dataset is not None
    expected: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind, ids in (("training", dataset.train_index_N.numpy()), ("held out", dataset.heldout_index_N.numpy())):
        rows = scene.stored(ids).reshape(len(ids), -1) / 255
        distances = np.sqrt(((rows - x_P) ** 2).sum(axis=1))
        order = np.argsort(distances, kind="stable")
        expected[kind] = ids[order], distances[order]
    training = [cell for cell in scene.strip.nearest if cell.kind == "training"]
    (heldout,) = [cell for cell in scene.strip.nearest if cell.kind == "held out"]
    assert [cell.distance for cell in training] == pytest.approx(expected["training"][1][:4], abs=1e-4)
    assert heldout.distance == pytest.approx(expected["held out"][1][0], abs=1e-4)
    for cell in (*training, heldout):
        assert np.array_equal(cell.picture, scene.stored(np.array([cell.item]))[0, 0])
    ratio = expected["training"][1][0] / expected["held out"][1][0]
    assert scene.strip.short.startswith(f"ratio {ratio:.2f} · ")
    row = scene.panel.values["copy?"]
    assert row.text().startswith(f"ratio {ratio:.2f} · ")
    assert scene.strip.words in html.unescape(row.toolTip())
    assert "pixel values, 0 to 1" in row.toolTip()
    assert f"ratio {ratio:.2f} — " in scene.strip.words
    assert item_title(dataset, heldout.item) in heldout.tip
    assert "held-out image, at a distance of" in heldout.tip


def test_a_decoder_that_returns_a_training_image_is_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.latent.explorer import Explorer

    dataset = scene.session.dataset
    assert dataset is not None
    item = int(dataset.train_index_N[11])
    copied = scene.stored(np.array([item])).astype(np.float32) / 255
    monkeypatch.setattr(Explorer, "decode_mean", lambda *_: copied)
    scene.pin(0.2, 0.2)
    scene.compared()
    nearest = scene.strip.nearest[0]
    assert nearest.distance == 0.0
    assert np.array_equal(nearest.picture, scene.stored(np.array([item]))[0, 0])
    assert "ratio 0.00 — equal to a training image, pixel for pixel" in scene.strip.words


def test_clicking_a_neighbour_selects_it(scene: Scene) -> None:
    scene.pin(0.7, -0.4)
    scene.compared()
    cell, place = scene.strip.placed()[1]
    QTest.mouseClick(scene.strip, Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert scene.map.arrangement.selection == ItemSet([cell.item])
    QTest.keyClick(scene.strip, Qt.Key.Key_Right)
    QTest.keyClick(scene.strip, Qt.Key.Key_Return)
    assert scene.map.arrangement.selection == ItemSet([scene.strip.placed()[2][0].item])
    picture = scene.strip.picture_at(place.center().toPoint())
    assert picture is not None
    assert picture.facts["item"] == str(cell.item)
    assert np.array_equal(picture.pixels, cell.picture)
    assert scene.strip.picture_at(QPoint(0, scene.strip.height() - 1)) is None


def test_a_hover_is_compared_once_and_only_when_it_rests(scene: Scene) -> None:
    scene.wait(lambda: scene.strip.nearest)
    before = scene.num_asked
    place = scene.session.explorer_thread.place
    for number in range(12):
        z_D = np.array([0.1 * number, 0.0])
        place.hover(z_D)
        scene.wait(lambda z_D=z_D: np.array_equal(scene.panel._shown.z_D, z_D))
    assert scene.strip.is_pale, "what is shown belongs to another picture"
    assert scene.num_asked == before
    scene.compared()
    assert scene.num_asked == before + 1
    scene.qtbot.wait(REST_MS + 100)
    assert scene.num_asked == before + 1


def test_a_hidden_panel_and_one_too_low_ask_nothing(scene: Scene) -> None:
    scene.wait(lambda: scene.strip.nearest)
    dock = scene.window.docks["decoded_image"]
    dock.setFloating(True)
    dock.resize(264, 170)
    scene.wait(lambda: not scene.strip.isVisible())
    scene.asked.clear()
    scene.pin(0.3, 0.3)
    scene.map.hover_item(7)
    scene.qtbot.wait(REST_MS + 100)
    assert scene.num_asked == 0
    dock.resize(300, 500)
    scene.wait(lambda: scene.num_asked == 1)
    scene.compared()
    scene.wait(lambda: scene.strip.original is not None)
    dock.close()
    scene.asked.clear()
    scene.map.place_active_pin(np.array([1.0, 1.0]))
    scene.qtbot.wait(REST_MS + 100)
    assert scene.num_asked == 0
    assert not scene.map._survey.is_open(SLOT)


def test_training_compares_a_resting_place_again_but_seldom(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.gui import neighbour_search

    monkeypatch.setattr(neighbour_search, "REFRESH_SECONDS", 0.6)
    scene.pin(0.3, 0.3)
    scene.compared()
    words = scene.strip.words
    before, looks = scene.num_asked, []
    scene.session.explorer_thread.place.decoded.connect(lambda place: looks.append(place.step))
    scene.session.set_looking_rate(10.0)
    scene.session.train()
    scene.wait(lambda: scene.strip.words != words)
    assert scene.num_asked > before
    scene.wait(lambda: len(looks) >= 8)
    assert scene.num_asked - before < len(looks)


def test_neighbours_of_older_weights_are_pale_and_come_anew_when_training_rests(scene: Scene, monkeypatch) -> None:
    from vae_explorer.gui import neighbour_search

    scene.pin(0.3, 0.3)
    scene.compared()
    # However seldom it is asked while the weights change.
    monkeypatch.setattr(neighbour_search, "REFRESH_SECONDS", 1e4)
    scene.session.set_looking_rate(10.0)
    scene.session.train()
    scene.wait(lambda: scene.strip.is_pale)
    asked = scene.num_asked
    scene.wait(lambda: scene.panel._shown.step > 20)
    assert scene.strip.is_pale
    assert scene.num_asked == asked
    scene.session.pause()
    scene.compared()
    found = scene.strip.nearest[0]
    x_P = scene.decoded(np.array([0.3, 0.3])).ravel()
    assert found.distance == pytest.approx(
        np.linalg.norm(scene.stored(np.array([found.item])).ravel() / 255 - x_P), abs=1e-3
    )


def test_trouble_is_a_sentence_in_the_strip(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.latent import novelty

    def refuse(*_: object) -> None:
        raise UserError("It cannot be done.", "Do something else.")

    monkeypatch.setattr(novelty, "novelty", refuse)
    scene.pin(0.4, 0.4)
    scene.wait(lambda: scene.strip.words == "It cannot be done. Do something else.")
    assert scene.strip.nearest == ()
    scene.panel.grab()


def test_without_held_out_images_there_is_no_ratio(open_window: Opener, qtbot: QtBot, monkeypatch) -> None:
    import dataclasses

    config = tiny_config(epochs=100_000)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, heldout_images=0))
    scene = Scene(open_window(config), qtbot, monkeypatch)
    scene.wait(lambda: scene.strip.nearest)
    assert {cell.kind for cell in scene.strip.nearest} == {"training"}
    assert "ratio" not in scene.strip.short
    assert "No images are held out" in scene.strip.words
    scene.panel.grab()


def novelty_of(train: float, heldout: float, verdict: str) -> Novelty:
    return Novelty(
        np.array([3]), np.array([train]), np.zeros((1, 4, 4), np.uint8), 5, heldout, np.zeros((4, 4), np.uint8),
        train / heldout, 1.0, 1, verdict, "",
    )  # fmt: skip


def test_the_sentence_says_distances_ratio_and_conclusion() -> None:
    verdict = "Nearer to the held-out images than to any training image: no sign of copying."
    text = ratio_text(novelty_of(4.1, 4.0, verdict))
    assert text == "Nearest training 4.1, nearest held-out 4.0: ratio 1.02 — no sign of copying"
    assert short_text(novelty_of(4.1, 4.0, verdict)) == "ratio 1.02 · no sign of copying"


# --- the image under the mouse


def test_the_original_of_the_code_under_the_mouse_is_shown_and_named(scene: Scene) -> None:
    snapshot = scene.session.snapshot
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    code_D = snapshot.codes_ND[17].double().numpy()
    scene.session.explorer_thread.place.hover(code_D)
    scene.wait(lambda: scene.panel._shown.kind == "hover")
    assert scene.panel.tag.text() == "Hover"
    scene.map.hover_item(17)
    scene.wait(lambda: scene.strip.original is not None)
    assert scene.strip.original.item == 17
    assert np.array_equal(scene.strip.original.picture, scene.stored(np.array([17]))[0, 0])
    assert scene.panel.tag.toolTip() == item_title(scene.session.dataset, 17)
    assert scene.panel.tag.toolTip().startswith("Image 17 · ")
    _, place = next(known for known in scene.strip.placed() if known[0].kind == "original")
    QTest.mouseClick(scene.strip, Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert scene.map.arrangement.selection == ItemSet([17])
    scene.map.hover_item(None)
    assert scene.strip.original is None
    assert scene.panel.tag.text() == "Hover"


# --- which place it is


def test_the_tag_names_the_active_pin(scene: Scene) -> None:
    scene.pin(0.5, 0.5)
    assert scene.panel.tag.text() == "Pin A"
    scene.map.add_pin(np.array([-0.5, 0.5]))
    scene.wait(lambda: scene.panel._shown.z_D[0] == -0.5)
    assert scene.panel.tag.text() == "Pin B"
    scene.map.activate_pin(0)
    scene.wait(lambda: scene.panel._shown.z_D[0] == 0.5)
    assert scene.panel.tag.text() == "Pin A"


def test_the_sliders_move_the_decoded_point_of_the_pin_and_not_the_pin(scene: Scene) -> None:
    z_D = scene.pin(0.5, 0.5)
    scene.map.add_direction(Direction("up", (0.0, 2.0)))
    scene.map.arrange("move a slider", amounts=(("up", 0.5),))
    scene.wait(lambda: scene.panel._shown.is_edited)
    assert scene.panel._shown.z_D == pytest.approx([0.5, 1.5])
    assert scene.panel.tag.text() == "Pin A, edited"
    assert scene.map.active_pin_z() == pytest.approx(z_D)
    expected = (scene.decoded(np.array([0.5, 1.5]))[0] * 255).round()
    assert np.abs(scene.panel._shown.picture - expected).max() <= 1
    scene.map.arrange("let the slider go", amounts=())
    scene.wait(lambda: not scene.panel._shown.is_edited)
    assert scene.panel._shown.z_D == pytest.approx(z_D)


def test_moving_the_pin_by_its_sliders_never_decodes_it_twice_as_far(scene: Scene) -> None:
    scene.pin(0.5, 0.5)
    scene.map.add_direction(Direction("up", (0.0, 1.0)))
    scene.map.arrange("move a slider", amounts=(("up", 1.0),))
    scene.wait(lambda: scene.panel._shown.is_edited)
    seen: list[float] = []
    scene.session.explorer_thread.place.decoded.connect(lambda place: seen.append(float(place.z_D[1])))
    scene.map.arrange("move pin A by its sliders", pins=(Pin("A", (0.5, 1.5)),), amounts=())
    scene.wait(lambda: seen and not scene.panel._shown.is_edited)
    assert set(seen) == {1.5}


def test_a_guess_is_called_approximate_and_a_pin_elsewhere_off_the_plane(
    open_window: Opener, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(open_window(tiny_config(epochs=100_000, latents=4)), qtbot, monkeypatch)
    scene.wait(lambda: scene.panel._shown is not None)
    place = scene.session.explorer_thread.place
    place.hover(np.zeros(4), is_exact=False)
    scene.wait(lambda: scene.panel.view.badge == "approximate")
    assert not scene.panel._shown.is_exact
    assert scene.panel.view.picture_at(QPoint(1, 1)).facts["kind"] == "decoded, approximate"
    place.hover(np.ones(4))
    scene.wait(lambda: scene.panel._shown.is_exact)
    assert scene.panel.view.badge == ""
    view = scene.map.view
    assert view is not None
    scene.pin(*view.lift(np.array([[0.2, 0.3]]))[0])
    assert scene.panel.view.badge == ""
    scene.pin(1.0, 2.0, 3.0, 4.0)
    assert scene.panel.view.badge == "off the plane"
    scene.panel.grab()


@pytest.mark.parametrize(("width", "height"), [(264, 256), (264, 400), (400, 390), (560, 300)])
def test_the_names_in_the_strip_are_never_cut(scene: Scene, width: int, height: int) -> None:
    scene.pin(0.7, -0.4)
    scene.compared()
    scene.map.hover_item(17)
    scene.wait(lambda: scene.strip.original is not None)
    dock = scene.window.docks["decoded_image"]
    dock.setFloating(True)
    dock.resize(width, height)
    scene.wait(lambda: abs(dock.width() - width) <= 4)
    strip = scene.strip
    assert strip.isVisible()
    places = strip._standing_places() if strip.is_standing else strip._lying_places()
    names = [box for _, box, _ in strip._names(places)]
    assert len(names) >= 2
    for box in names:
        assert QRectF(strip.rect()).contains(box)
    for first, second in itertools.combinations(names, 2):
        assert not first.intersects(second)
    row = scene.panel.values["copy?"]
    assert row.isVisible()
    scene.wait(lambda: row.fontMetrics().horizontalAdvance(row.text()) <= row.width())
    assert row.text().startswith("ratio ")
    metrics = QFontMetricsF(strip._small())
    for cell, place in strip.placed():
        if cell.distance is not None:
            half = metrics.horizontalAdvance("10.0") / 2
            number = QRectF(place.center().x() - half, place.bottom() + 2, 2 * half, metrics.height() - 2)
            assert not any(number.intersects(box.adjusted(0, 1, 0, -1)) for box in names)
    for box in names:
        assert not any(box.adjusted(2, 2, -2, -2).intersects(place) for _, place in strip.placed())
    dock.setFloating(False)


# --- the layout


class Heights:
    """Of a strip whose lines of text are 14 pixels high."""

    def lying_height(self, side: int) -> int:
        return 2 * 14 + side + 4

    def standing_height(self, side: int) -> int:
        return 4 * 14 + 2 * side + 6


def test_the_step_is_said_whole_in_every_width(scene: Scene) -> None:
    scene.pin(0.7, -0.4)
    dock, panel = scene.window.docks["decoded_image"], scene.panel
    dock.setFloating(True)
    widths = []
    for width in range(170, 300, 10):
        dock.resize(width, 400)
        scene.wait(lambda width=width: abs(dock.width() - width) <= 4)
        panel._grid.activate()
        assert panel.step.text().startswith("step ")
        assert panel.step.fontMetrics().horizontalAdvance(panel.step.text()) <= panel.step.width(), dock.width()
        widths.append(dock.width())
    assert min(widths) < 220
    dock.setFloating(False)


def test_nothing_overlaps_or_leaves_the_panel() -> None:
    for width, height in itertools.product(range(160, 760, 24), range(120, 760, 32)):
        layout = decoded_layout(QSize(width, height), 19, 150, Heights())
        parts = [part for part in (layout.view, layout.facts, layout.strip) if part is not None]
        assert all(QRect(0, 0, width, height).contains(part) for part in parts), (width, height)
        pairs = itertools.combinations(parts, 2)
        assert all(not first.intersects(second) for first, second in pairs), (width, height)
        if layout.strip is not None:
            assert layout.strip.width() >= (COLUMN_WIDTH if layout.is_standing else 6 * SIDE)
            assert layout.strip.height() >= Heights().standing_height(SIDE) * layout.is_standing


@pytest.mark.parametrize(("width", "height"), [(264, 256), (264, 360), (400, 390), (560, 300), (560, 700)])
def test_usual_panels_have_room_for_the_neighbours_and_a_large_picture(width: int, height: int) -> None:
    layout = decoded_layout(QSize(width, height), 19, 150, Heights())
    assert layout.strip is not None
    assert layout.picture >= 0.6 * min(width, height - 70)


# --- the grids


def test_a_click_on_a_reconstruction_selects_its_item(scene: Scene) -> None:
    scene.window.docks["reconstructions"].raise_()
    panel = scene.window.panel("reconstructions")
    scene.wait(lambda: panel.grid.num_pictures > 2)
    QTest.mouseClick(panel.grid, Qt.MouseButton.LeftButton, pos=panel.grid.cell_rect(2, 1).center().toPoint())
    selection = scene.map.arrangement.selection
    assert selection is not None
    (item,) = selection.ids
    dataset = scene.session.dataset
    assert dataset is not None
    assert item in dataset.heldout_index_N.numpy()
    original = panel.grid.picture_at(panel.grid.cell_rect(2, 0).center().toPoint())
    assert original is not None
    assert original.facts["item"] == str(item)
    assert original.facts["title"] == item_title(dataset, int(item))
    assert np.array_equal(original.pixels, panel._pairs.pictures[0][2])


def test_a_sample_can_be_pinned_where_it_was_drawn(scene: Scene) -> None:
    panel = scene.window.panel("samples")
    scene.wait(lambda: panel._samples is not None)
    before = scene.map.arrangement
    QTest.mouseClick(panel.grid, Qt.MouseButton.LeftButton, pos=panel.grid.cell_rect(1).center().toPoint())
    assert scene.map.arrangement is before, "a click alone changes nothing"
    menu = panel.grid.actions_on_picture.open_menu(
        panel.grid.cell_rect(1).center().toPoint(), panel.grid.mapToGlobal(QPoint(5, 5))
    )
    assert menu is not None
    next(action for action in menu.actions() if action.text() == "Pin this sample").trigger()
    menu.close()
    scene.wait(lambda: scene.panel._shown.kind == "pinned")
    assert np.array_equal(scene.panel._shown.z_D, panel._samples.z_ND[1])
    assert np.array_equal(scene.panel._shown.picture, panel._samples.pictures[1])


def test_the_panel_survives_a_model_without_codes(scene: Scene) -> None:
    import dataclasses

    scene.wait(lambda: scene.strip.nearest)
    snapshot = scene.session.snapshot
    assert snapshot is not None
    scene.session.show_snapshot(dataclasses.replace(snapshot, codes_ND=None, stamp=snapshot.stamp + 1000))
    assert scene.strip.nearest == ()
    assert not scene.panel.copy_image()
    assert scene.panel.tag.text() == scene.panel.values["z"].text() == scene.panel.values["log p(z)"].text() == ""
    assert scene.session.state is State.READY
    scene.panel.grab()


def test_a_place_that_cannot_be_decoded_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, too_much_D = Explorer.decode, np.array([0.25, -0.25])

    def failing(explorer: Explorer, z_ND: np.ndarray) -> np.ndarray:
        if np.array_equal(z_ND, too_much_D[None]):
            raise RuntimeError("out of memory")
        return decode(explorer, z_ND)

    monkeypatch.setattr(Explorer, "decode", failing)
    scene.map.place_active_pin(too_much_D)
    scene.wait(lambda: scene.panel.view.image is None)
    assert scene.panel.view.note == "This place could not be decoded: out of memory."
    scene.pin(0.5, 0.5)
    scene.wait(lambda: scene.panel.view.image is not None)


def test_an_answer_about_other_images_is_not_shown(scene: Scene) -> None:
    scene.pin(0.5, 0.5)
    scene.wait(lambda: scene.strip.nearest and not scene.strip.is_pale)
    scene.panel.neighbours._ask()
    assert scene.map._survey.is_open(SLOT)
    scene.session.dataset_changed.emit(scene.session.dataset)
    assert not scene.map._survey.is_open(SLOT)
    scene.wait(lambda: scene.strip.nearest)


def test_a_place_with_a_name_is_called_by_it_and_leaves_nothing_behind(scene: Scene) -> None:
    place = scene.session.explorer_thread.place
    mouse_D, frame_D = np.array([0.3, 0.2]), np.array([1.0, -1.0])
    place.hover(mouse_D)
    for frame in (1, 2):
        place.hover(frame_D, name=f"Path, frame {frame} of 2")
    scene.wait(lambda: scene.panel._shown.name == "Path, frame 2 of 2")
    assert scene.panel.tag.toolTip() == "Path, frame 2 of 2"
    assert place.is_hovered(frame_D)
    assert not place.is_hovered(frame_D.copy())
    place.leave()
    assert not place.is_hovered(frame_D)
    scene.wait(lambda: np.array_equal(scene.panel._shown.z_D, mouse_D))
    assert scene.panel.tag.toolTip() == "Hover"
    place.hover(frame_D, name="Path, frame 1 of 2")
    scene.pin(0.5, 0.5)
    assert scene.panel.tag.toolTip() == "Pin A"
