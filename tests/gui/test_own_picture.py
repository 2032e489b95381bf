"""A picture of one's own in the real window: drawn, dropped, pasted, refined, and every wrong thing put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSize, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.own_picture_words import decimals_for, nats, plus_minus
from vae_explorer.gui.panels.own_picture import REFINED, YOURS, OwnPicturePanel
from vae_explorer.gui.session_words import Message
from vae_explorer.gui.widgets.drawing_canvas import SIDE, DrawingCanvas
from vae_explorer.latent.layers import GivenPosterior
from vae_explorer.models.building import build_model

SLOTS = {"own", "refine"}


@dataclasses.dataclass
class Stage:
    window: MainWindow
    panel: OwnPicturePanel
    qtbot: QtBot
    slots: list[str]
    messages: list[Message]

    @property
    def canvas(self) -> DrawingCanvas:
        return self.panel.canvas

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def given(self, name: str = YOURS) -> GivenPosterior | None:
        return next((given for given in self.window.session.map.given if given.name == name), None)

    def rest(self) -> None:
        """Until every question has its answer."""
        self.wait(lambda: not self.panel._is_asked and not self.panel._reading.is_busy and not self.canvas._has_news)

    def draw(self, *points: tuple[float, float], keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """A stroke by mouse through places of the sheet, from 0 to 1."""
        side = min(self.canvas.width(), self.canvas.height())
        pixels = [QPoint(round(x * side), round(y * side)) for x, y in points]
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, keys, pixels[0])
        for pixel in pixels[1:]:
            QTest.mouseMove(self.canvas, pixel)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, keys, pixels[-1])

    def draw_bar(self) -> None:
        self.draw((0.1, 0.5), (0.5, 0.5), (0.9, 0.5))
        self.wait(lambda: self.given() is not None)
        self.rest()

    def seen(self) -> np.ndarray:
        """Grey levels on the picture of what the network sees."""
        image = self.panel.form.pictures.seen.image
        assert image is not None
        return np.array([[image.pixelColor(x, y).red() for x in range(image.width())] for y in range(image.height())])

    def encoded(self, seen_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and sigma of what is shown, by a network built here."""
        snapshot = self.window.session.snapshot
        assert snapshot is not None
        model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
        model.load_state_dict(dict(snapshot.weights))
        model.eval()
        with torch.no_grad():
            posterior = model.encode(torch.tensor(seen_HW / 255, dtype=torch.float32)[None, None])
        return posterior.mean[0].numpy(), posterior.standard_deviation[0].numpy()


@pytest.fixture
def make_stage(
    open_window: Callable[..., MainWindow], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Stage]:
    def make(*, latents: int = 2, wait: bool = True) -> Stage:
        window = open_window(tiny_config(protocol="grey", epochs=100_000, latents=latents), wait=wait)
        slots: list[str] = []
        for thread in (window.session.explorer_thread, window.session.survey_thread):

            def counting(slot: str, number: int, work: object, submit: Callable[..., None] = thread.submit) -> None:
                slots.append(slot)
                submit(slot, number, work)

            monkeypatch.setattr(thread, "submit", counting)
        messages: list[Message] = []
        window.session.message_posted.connect(messages.append)
        dock = window.docks["own_picture"]
        dock.show()
        dock.raise_()
        stage = Stage(window, window.panel("own_picture"), qtbot, slots, messages)
        stage.wait(lambda: dock.is_seen)
        return stage

    return make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


def bar(side: int = 80) -> np.ndarray:
    """Dark on light, uint8."""
    pixels = np.full((side, side), 250, np.uint8)
    pixels[side // 3 : side // 2, side // 8 : -side // 8] = 20
    return pixels


def image_of(pixels: np.ndarray) -> QImage:
    return QImage(pixels.tobytes(), pixels.shape[1], pixels.shape[0], pixels.shape[1], QImage.Format.Format_Grayscale8)


def drop(panel: OwnPicturePanel, content: QMimeData) -> None:
    how = Qt.DropAction.CopyAction, content, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(QPoint(20, 20), *how)
    QApplication.sendEvent(panel, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(panel, QDropEvent(QPointF(20, 20), *how))


def files(*paths: Path) -> QMimeData:
    content = QMimeData()
    content.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return content


def test_a_drawing_stands_on_the_map_where_the_network_puts_what_it_sees(stage: Stage) -> None:
    stage.draw_bar()
    given = stage.given()
    assert given is not None
    mean_D, sigma_D = stage.encoded(stage.seen())
    assert given.mean_D == pytest.approx(mean_D, abs=1e-4)
    assert given.sigma_D == pytest.approx(sigma_D, rel=1e-3)
    assert given.x_CHW is not None
    assert given.x_CHW.shape == (1, 8, 8)
    form = stage.panel.form
    assert "−ELBO" in form.facts.text()
    assert "nats = reconstruction" in form.facts.text()
    assert "8 x 8 pixels, grey, not inverted" in form.steps_text
    assert form.pictures.reconstruction.image is not None
    assert form.pictures.reconstruction.image.width() == 8


def test_the_bound_of_the_read_out_is_that_of_the_model(stage: Stage) -> None:
    stage.draw_bar()
    look = stage.panel._look
    assert look is not None
    assert look.bound is not None
    mean_D, sigma_D = stage.encoded(stage.seen())
    kl = 0.5 * (mean_D**2 + sigma_D**2 - 1 - 2 * np.log(sigma_D)).sum()
    assert look.bound.kl == pytest.approx(kl, abs=1e-3)
    snapshot = stage.window.session.snapshot
    assert snapshot is not None
    model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights))
    with torch.no_grad():
        z = torch.tensor(mean_D) + torch.tensor(sigma_D) * torch.randn(4000, 2, generator=torch.Generator())
        x = torch.tensor(look.x_CHW)
        direct = -model.decode(z).log_prob(x.expand(4000, -1, -1, -1)).mean()
    assert look.bound.reconstruction == pytest.approx(float(direct), abs=5 * look.bound.standard_error + 0.1)


def test_the_posterior_moves_while_one_draws(stage: Stage) -> None:
    side = min(stage.canvas.width(), stage.canvas.height())
    QTest.mousePress(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(side // 8, side // 2))
    stage.wait(lambda: stage.given() is not None)
    first = stage.given()
    assert first is not None
    QTest.mouseMove(stage.canvas, QPoint(7 * side // 8, side // 2))
    stage.wait(lambda: not np.array_equal(stage.given().mean_D, first.mean_D))
    QTest.mouseRelease(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(7 * side // 8, side // 2))
    stage.rest()


def test_strokes_are_erased_undone_and_cleared(stage: Stage) -> None:
    canvas = stage.canvas
    stage.draw((0.2, 0.5), (0.8, 0.5))
    whole = canvas.ink.copy()
    assert whole.max() == pytest.approx(1)
    assert ((whole > 0.05) & (whole < 0.95)).any()
    stage.draw((0.5, 0.4), (0.5, 0.6), keys=Qt.KeyboardModifier.ShiftModifier)
    assert canvas.ink[SIDE // 2, SIDE // 2] == pytest.approx(0, abs=0.01)
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(canvas.ink, whole)
    stage.rest()
    QTest.mouseClick(stage.panel.buttons["clear"], Qt.MouseButton.LeftButton)
    assert canvas.is_empty
    stage.wait(lambda: stage.given() is None)
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(canvas.ink, whole)
    stage.wait(lambda: stage.given() is not None)
    stage.rest()


def test_the_windows_undo_is_not_touched_by_a_stroke(stage: Stage) -> None:
    stage.window.session.map.add_pin(np.array([0.5, 0.5]))
    stage.draw((0.2, 0.5), (0.8, 0.5))
    override = QKeyEvent(QKeyEvent.Type.ShortcutOverride, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    override.ignore()
    QApplication.sendEvent(stage.canvas, override)
    assert override.isAccepted()
    stage.canvas.undo()
    assert len(stage.window.session.map.arrangement.pins) == 1
    override.ignore()
    QApplication.sendEvent(stage.canvas, override)
    assert not override.isAccepted()
    stage.rest()


def test_a_pasted_picture_is_encoded(stage: Stage) -> None:
    QGuiApplication.clipboard().setImage(image_of(bar()))
    QTest.mouseClick(stage.panel.buttons["paste"], Qt.MouseButton.LeftButton)
    stage.wait(lambda: stage.given() is not None)
    assert stage.given().mean_D == pytest.approx(stage.encoded(stage.seen())[0], abs=1e-4)
    assert "inverted: dark on light became light on dark" in stage.panel.form.steps_text
    QGuiApplication.clipboard().clear()
    QTest.mouseClick(stage.panel.buttons["paste"], Qt.MouseButton.LeftButton)
    assert "no picture on the clipboard" in stage.messages[-1].text
    assert stage.window.message_bar.message is not None
    QGuiApplication.clipboard().setImage(image_of(bar()))
    QTest.mouseClick(stage.panel.buttons["paste"], Qt.MouseButton.LeftButton)
    stage.wait(lambda: stage.window.message_bar.message is None)
    stage.rest()


def test_a_dropped_file_is_encoded_and_the_inversion_can_be_chosen(stage: Stage, tmp_path: Path) -> None:
    Image.fromarray(bar()).save(tmp_path / "bar.png")
    drop(stage.panel, files(tmp_path / "bar.png"))
    stage.wait(lambda: stage.given() is not None)
    inverted = stage.seen()
    stage.panel.form.inversion.setCurrentIndex(2)
    stage.wait(lambda: "not inverted" in stage.panel.form.steps_text)
    assert np.abs(stage.seen() + inverted - 255).max() <= 1
    stage.rest()


@pytest.mark.parametrize("inversion", [0, 1, 2])
def test_a_stroke_is_drawn_on_an_opened_picture_and_undone(stage: Stage, tmp_path: Path, inversion: int) -> None:
    stage.draw((0.4, 0.2), (0.4, 0.8))
    drawn = stage.canvas.ink.copy()
    stage.rest()
    Image.fromarray(bar()).save(tmp_path / "bar.png")
    stage.panel.take_file(tmp_path / "bar.png")
    stage.wait(lambda: stage.canvas.put_in is not None)
    stage.panel.form.inversion.setCurrentIndex(inversion)
    stage.rest()
    opened, of_opened = stage.panel._original, stage.seen()
    assert "drawn on" not in stage.panel.form.steps_text
    # Touched where it already has its strongest ink: nothing of it may change.
    place = np.unravel_index(int(of_opened.argmax() if inversion != 2 else of_opened.argmin()), of_opened.shape)
    stage.canvas.set_radius(4)
    stage.canvas.set_erasing(inversion == 2)
    stage.draw(((place[1] + 0.5) / 8, (place[0] + 0.5) / 8))
    stage.wait(lambda: "drawn on the picture put in" in stage.panel.form.steps_text)
    stage.rest()
    assert stage.panel._original.is_drawing
    assert np.abs(stage.seen() - of_opened).max() <= 40
    assert np.abs(stage.seen() - of_opened).mean() <= 8
    assert stage.panel.buttons["undo"].isEnabled()
    stage.canvas.setFocus()
    QTest.keyClick(stage.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    stage.wait(lambda: stage.panel._original is opened)
    stage.rest()
    assert np.array_equal(stage.seen(), of_opened)
    QTest.mouseClick(stage.panel.buttons["undo"], Qt.MouseButton.LeftButton)
    assert np.array_equal(stage.canvas.ink, drawn)
    stage.wait(lambda: stage.panel._original is not opened)
    stage.rest()


def test_a_right_click_changes_nothing_and_offers_what_can_be_done(stage: Stage, tmp_path: Path) -> None:
    Image.fromarray(bar()).save(tmp_path / "bar.png")
    stage.panel.take_file(tmp_path / "bar.png")
    stage.wait(lambda: stage.given() is not None)
    stage.rest()
    opened = stage.panel._original
    QTest.mouseClick(stage.canvas, Qt.MouseButton.RightButton, pos=QPoint(20, 20))
    assert stage.canvas.put_in is opened
    menu = stage.canvas.actions_on_picture.open_menu(QPoint(20, 20), stage.canvas.mapToGlobal(QPoint(20, 20)))
    assert menu is not None
    offered = {action.text(): action for action in menu.actions() if action.text()}
    assert list(offered) == ["Copy", "Save as…", "Undo stroke", "Clear"]
    offered["Clear"].trigger()
    menu.close()
    assert stage.canvas.is_empty
    stage.canvas.undo()
    stage.wait(lambda: stage.given() is not None)
    assert stage.panel._original is opened
    assert np.array_equal(stage.canvas._picture_at(QPoint()).pixels.reshape(80, 80, -1)[..., 0], bar())
    stage.rest()


def test_a_picture_that_was_not_seen_yet_is_not_destroyed(stage: Stage, tmp_path: Path) -> None:
    stage.window.docks["bound_curves"].raise_()
    stage.wait(lambda: not stage.panel._is_active)
    stage.canvas.put_picture(image_of(bar()), "this one")
    stage.canvas.begin_stroke(100, 100)
    stage.canvas.end_stroke()
    assert stage.canvas.put_in == "this one"


def test_a_picture_dropped_while_the_panel_is_hidden_brings_it_forth(stage: Stage, tmp_path: Path) -> None:
    stage.window.docks["bound_curves"].raise_()
    stage.wait(lambda: not stage.panel._is_active)
    Image.fromarray(bar()).save(tmp_path / "bar.png")
    stage.panel.take_file(tmp_path / "bar.png")
    stage.wait(lambda: stage.panel._is_active and stage.given() is not None)
    stage.rest()


def test_wrong_things_are_told_in_a_sentence(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("words")
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    for path, words in (
        (tmp_path / "text.png", "not a picture"),
        (tmp_path / "bomb.png", "million pixels"),
        (tmp_path / "none.png", "cannot be read"),
        (tmp_path, "is a folder"),
    ):
        stage.messages.clear()
        drop(stage.panel, files(path))
        stage.wait(lambda: bool(stage.messages))
        assert words in stage.messages[-1].text
        assert stage.messages[-1].hint
        assert stage.messages[-1].near == "panel.own_picture"
    page = QMimeData()
    page.setUrls([QUrl("https://example.org/picture.png")])
    drop(stage.panel, page)
    assert "no picture of this computer" in stage.messages[-1].text
    stage.panel.take_image(QImage())
    stage.wait(lambda: "no picture in what was put in" in stage.messages[-1].text)
    assert stage.given() is None
    stage.rest()


def test_a_picture_put_in_before_there_is_a_model_waits_for_it(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(wait=False)
    if stage.window.session.snapshot is None:
        stage.canvas.begin_stroke(60, 140)
        stage.canvas.go_on(220, 140)
        stage.canvas.end_stroke()
        assert "waits for the model" in stage.panel.form.facts.text()
    stage.wait(lambda: stage.given() is not None)
    stage.rest()


def test_it_is_encoded_anew_while_training_and_rests_when_hidden(stage: Stage) -> None:
    stage.draw_bar()
    stage.window.session.train()
    stage.wait(lambda: stage.panel._look is not None and stage.panel._look.step > 0)
    stage.window.docks["bound_curves"].raise_()
    stage.wait(lambda: not stage.panel._is_active)
    stage.slots.clear()
    snapshot = stage.window.session.snapshot
    stage.wait(lambda: stage.window.session.snapshot is not snapshot)
    stage.wait(lambda: stage.given() is None)
    assert not SLOTS & set(stage.slots)
    assert not stage.window.session.map._fast.is_open("own")
    stage.window.docks["own_picture"].raise_()
    stage.wait(lambda: stage.given() is not None)


def test_refining_shows_the_amortisation_gap(stage: Stage) -> None:
    stage.draw_bar()
    refine = stage.panel.buttons["refine"]
    QTest.mouseClick(refine, Qt.MouseButton.LeftButton)
    assert refine.text() == "Cancel refinement"
    stage.wait(lambda: "Amortisation gap" in stage.panel.form.refinement.text())
    refined, before = stage.given(REFINED), stage.given()
    assert refined is not None
    assert before is not None
    assert not np.array_equal(refined.mean_D, before.mean_D)
    text = stage.panel.form.refinement.text()
    assert float(text.split("gap ")[1].split(" ")[0].replace("\N{MINUS SIGN}", "-")) >= -0.05
    assert text.startswith("Refined at step 0: ")
    # One picture has one value: that of the refinement's draws.
    value = text.split("−ELBO ")[1].split(" ")[0]
    assert stage.panel.form.facts.text().startswith(f"−ELBO {value} nats = ")
    assert "approximation" in text
    assert refine.text() == "Refine this point"
    stage.draw((0.3, 0.1), (0.3, 0.9))
    stage.wait(lambda: stage.given(REFINED) is None)
    assert not stage.panel.form.refinement.isVisible()
    stage.rest()


def test_a_refinement_can_be_cancelled(stage: Stage) -> None:
    stage.draw_bar()
    stage.panel.refine()
    stage.panel.refine()
    assert "cancelled" in stage.panel.form.refinement.text()
    assert not stage.window.session.map._survey.is_open("refine")
    assert stage.given(REFINED) is None


def test_its_mean_is_pinned(stage: Stage) -> None:
    assert not stage.panel.buttons["pin"].isEnabled()
    stage.draw_bar()
    QTest.mouseClick(stage.panel.buttons["pin"], Qt.MouseButton.LeftButton)
    assert stage.window.session.map.active_pin_z() == pytest.approx(stage.given().mean_D)
    assert stage.window.session.undo_stack.count() == 1


def test_another_number_of_dimensions_encodes_the_same_picture_again(stage: Stage) -> None:
    stage.draw_bar()
    config = stage.window.session.config
    model = tiny_config(latents=5).model
    stage.window.session.place_config(dataclasses.replace(config, model=model))
    stage.wait(lambda: stage.given() is not None and len(stage.given().mean_D) == 5)
    assert "5 dimensions" in stage.panel.form.facts.text()
    stage.rest()


def test_a_posterior_that_is_not_finite_is_told_once(stage: Stage) -> None:
    stage.draw_bar()
    snapshot = stage.window.session.snapshot
    assert snapshot is not None
    broken = {name: torch.full_like(value, float("nan")) for name, value in snapshot.weights.items()}
    for number in (1000, 1001):
        stage.window.session.show_snapshot(dataclasses.replace(snapshot, weights=broken, stamp=snapshot.stamp + number))
        stage.rest()
    told = [message for message in stage.messages if "no finite code" in message.text]
    assert len(told) == 1
    assert stage.given() is None
    assert "no finite code" in stage.panel.form.facts.text()


def test_numbers_have_thousands_separators_and_no_error_of_zero() -> None:
    assert nats(1234.56) == "1,234.6"
    assert nats(-87654.3) == "\N{MINUS SIGN}87,654"
    assert nats(-0.01) == "0.0"
    assert plus_minus(0.02, 1) == ""
    assert plus_minus(0.12, 1) == " ± 0.1"
    assert plus_minus(12.3, decimals_for(12.3)) == " ± 12"


@pytest.mark.parametrize(("width", "height"), [(650, 180), (650, 190), (730, 215), (900, 300)])
def test_low_and_wide_everything_is_in_sight(stage: Stage, width: int, height: int) -> None:
    stage.draw_bar()
    stage.panel.refine()
    stage.wait(lambda: "Amortisation gap" in stage.panel.form.refinement.text())
    dock, form = stage.window.docks["own_picture"], stage.panel.form
    dock.setFloating(True)
    dock.resize(width, height)
    QApplication.processEvents()
    dock.resize(2 * width - stage.panel.width(), 2 * height - stage.panel.height())
    stage.wait(lambda: stage.panel.size() == QSize(width, height))
    QApplication.processEvents()
    assert form.viewport().size() == QSize(width, height)
    assert form.widget().height() <= height
    shown = [label for label in form.labels if label.isVisible()]
    assert {form.facts, form.refinement} <= set(shown)
    for label in shown:
        assert label.height() >= label.heightForWidth(label.width())
    for widget in (*shown, *form.buttons.values(), form.inversion):
        assert form.widget().rect().contains(widget.geometry())
        assert not form.pictures.geometry().intersects(widget.geometry())
    assert form.pictures.canvas.height() >= height - 20
    assert min(form.pictures.seen.width(), form.pictures.seen.height()) >= 58
    assert "8 x 8 pixels" in form.pictures.seen.toolTip()
    dock.setFloating(False)


@pytest.mark.parametrize("height", [150, 420])
@pytest.mark.parametrize("width", [264, 400, 560])
def test_nothing_is_cut_at_any_size(stage: Stage, width: int, height: int) -> None:
    stage.draw_bar()
    dock = stage.window.docks["own_picture"]
    dock.setFloating(True)
    dock.resize(width, height)
    stage.wait(lambda: abs(stage.panel.width() - width) <= 4)
    form = stage.panel.form
    QApplication.processEvents()
    assert form.widget().width() <= form.viewport().width()
    for button in (*form.buttons.values(), form.inversion):
        assert button.width() >= button.minimumSizeHint().width()
        assert button.geometry().right() <= form.widget().width()
    pictures = form.pictures
    if height == 150:
        # All three are in sight without scrolling.
        assert pictures.geometry().bottom() <= form.viewport().height()
        assert pictures.canvas.width() >= 90
    assert not pictures.canvas.geometry().intersects(pictures.seen.geometry())
    assert pictures.reconstruction.geometry().right() <= pictures.width()
    assert pictures.reconstruction.geometry().bottom() <= pictures.height()
    assert min(pictures.seen.width(), pictures.seen.height()) >= 58
    dock.setFloating(False)
