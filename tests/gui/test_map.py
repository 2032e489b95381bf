"""The latent map and the decoded image on a real session with tiny images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, Slot
from PySide6.QtGui import QEnterEvent, QGuiApplication, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QHBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui import theme
from vae_explorer.gui.panels.decoded_image import DecodedImagePanel, point_text
from vae_explorer.gui.panels.latent_map import LatentMapPanel
from vae_explorer.gui.panels.reconstructions import ReconstructionsPanel, round_the_classes
from vae_explorer.gui.panels.samples import SamplesPanel
from vae_explorer.gui.panels.view import ViewPanel
from vae_explorer.gui.session import Session, State
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets.map_canvas import MapCanvas
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.view_catalogue import ViewChoice
from vae_explorer.latent.views import LineView, PlaneView
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS


class Requests(QObject):
    """Counts what the exploring thread is asked for and keeps the decoded places."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.slots: list[str] = []
        self.places: list[DecodedPlace] = []
        thread = session.explorer_thread
        submit = thread.submit

        def counting(slot: str, number: int, work: Callable[..., object]) -> None:
            self.slots.append(slot)
            submit(slot, number, work)

        monkeypatch.setattr(thread, "submit", counting)
        thread.place.decoded.connect(self.take)

    @Slot(object)
    def take(self, place: DecodedPlace) -> None:
        self.places.append(place)


@dataclass
class Stage:
    session: Session
    map: LatentMapPanel
    decoded: DecodedImagePanel
    requests: Requests
    qtbot: QtBot

    @property
    def canvas(self) -> MapCanvas:
        return self.map.canvas

    @property
    def pin(self) -> np.ndarray | None:
        return self.session.map.active_pin_z()

    def shown(self) -> DecodedPlace | None:
        return self.decoded._shown

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def at(self, x: float, y: float) -> QPoint:
        """The pixel at a map point of a plot that shows -3 to 3, wherever the map has gone."""
        frame = self.canvas.frame
        unit = min(frame.width, frame.height) / 6.4
        middle = QPointF(frame.width / 2, frame.height / 2)
        return (middle + QPointF(x, -y) * unit + QPointF(self.canvas.plot.topLeft())).toPoint()

    def latent(self, pixel: QPoint) -> np.ndarray:
        corner = self.canvas.plot.topLeft()
        view = self.map.view
        assert view is not None
        xy = self.canvas.frame.to_map(pixel.x() - corner.x(), pixel.y() - corner.y())
        return view.lift(np.array([xy]))[0]

    def move(self, pixel: QPoint) -> None:
        QTest.mouseMove(self.canvas, pixel)

    def rest(self) -> None:
        """Until nothing is drawn or asked for any more."""
        self.wait(lambda: self.map.asking.is_settled and not self.canvas.is_gliding)


StageMaker = Callable[..., Stage]


@pytest.fixture
def make_stage(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[StageMaker]:
    opened: list[tuple[Session, QWidget]] = []

    def make(latents: int = 2, *, prepare: bool = True) -> Stage:
        session = Session(tiny_config(epochs=100_000, latents=latents))
        window = QWidget()
        panels = LatentMapPanel(session), DecodedImagePanel(session)
        layout = QHBoxLayout(window)
        for panel in panels:
            layout.addWidget(panel)
        window.resize(1000, 600)
        window.show()
        opened.append((session, window))
        stage = Stage(session, *panels, Requests(session, monkeypatch), qtbot)
        for panel in panels:
            panel.set_active(True)
        if prepare:
            session.prepare()
            stage.wait(lambda: session.state is State.READY)
            stage.wait(lambda: bool(stage.requests.places) and "showing" in stage.map.readout.text())
            stage.rest()
        return stage

    yield make
    for session, window in opened:
        assert session.close(5.0)
        window.close()
        window.deleteLater()
        session.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def stage(make_stage: StageMaker) -> Stage:
    return make_stage()


def direct(session: Session, z_D: np.ndarray) -> np.ndarray:
    snapshot = session.snapshot
    assert snapshot is not None
    model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights))
    with torch.no_grad():
        mean = model.decode(torch.tensor(z_D[None], dtype=torch.float32)).mean_BCHW
    return (mean[0, 0].numpy() * 255).round()


def test_a_click_pins_and_decodes_what_a_direct_decode_gives(stage: Stage) -> None:
    pixel = stage.at(1.2, -0.8)
    wanted = stage.latent(pixel)
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=pixel)
    stage.wait(lambda: stage.shown() is not None and stage.shown().kind == "pinned")
    place = stage.shown()
    assert place is not None
    assert place.z_D == pytest.approx(wanted)
    assert stage.pin == pytest.approx(wanted)
    assert np.abs(place.picture.astype(float) - direct(stage.session, wanted)).max() <= 1
    assert place.log_prior == pytest.approx(-0.5 * (wanted**2).sum() - np.log(2 * np.pi), abs=1e-5)
    image = stage.decoded.view.image
    assert image is not None
    assert image.pixelColor(3, 4).red() == place.picture[4, 3]
    assert stage.decoded.values["z"].text() == point_text(wanted)
    assert stage.decoded.tag.text() == "Pin A"
    assert 0 < stage.map.last_latency_ms < 1000


def test_hovering_decodes_and_leaving_returns_to_the_pin(stage: Stage) -> None:
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(0.5, 0.5))
    pin = stage.pin
    assert pin is not None
    stage.move(stage.at(-1.0, 1.0))
    stage.move(stage.at(-1.5, 1.0))
    stage.wait(lambda: stage.shown() is not None and stage.shown().kind == "hover")
    # The answer about the place passed on the way may come first.
    stage.wait(lambda: stage.shown().z_D == pytest.approx(stage.latent(stage.at(-1.5, 1.0))))
    QApplication.sendEvent(stage.canvas, QEvent(QEvent.Type.Leave))
    stage.wait(lambda: stage.shown().kind == "pinned")
    assert stage.shown().z_D == pytest.approx(pin)


def test_a_drag_draws_the_pin_along_and_is_one_undo_step(stage: Stage) -> None:
    QTest.mousePress(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(0.0, 0.0))
    for step in range(1, 8):
        stage.move(stage.at(step * 0.2, 0.0))
    QTest.mouseRelease(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(1.4, 0.0))
    assert stage.pin == pytest.approx(stage.latent(stage.at(1.4, 0.0)))
    assert stage.session.undo_stack.count() == 1
    stage.session.undo_stack.undo()
    assert stage.pin is None
    stage.wait(lambda: stage.shown().kind != "pinned")


def test_arrow_keys_move_the_pin_and_escape_removes_it(stage: Stage) -> None:
    QTest.keyClick(stage.canvas, Qt.Key.Key_Right)
    frame = stage.canvas.frame
    assert stage.pin == pytest.approx([frame.x, frame.y])
    QTest.keyClick(stage.canvas, Qt.Key.Key_Right)
    QTest.keyClick(stage.canvas, Qt.Key.Key_Up)
    small = stage.pin - np.array([frame.x, frame.y])
    assert small == pytest.approx([8 / frame.scale, 8 / frame.scale])
    QTest.keyClick(stage.canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert stage.pin[0] - frame.x == pytest.approx((8 - 48) / frame.scale)
    stage.wait(lambda: stage.shown().kind == "pinned")
    QTest.keyClick(stage.canvas, Qt.Key.Key_Escape)
    assert stage.pin is None


def test_the_pin_walking_out_of_sight_takes_the_map_along(stage: Stage) -> None:
    for _ in range(20):
        QTest.keyClick(stage.canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    x, y = stage.pin
    rect = stage.canvas.frame.rect
    assert rect.left <= x + 1e-9
    assert rect.bottom < y < rect.top


def wheel(canvas: MapCanvas, position: QPoint, turn: int) -> None:
    event = QWheelEvent(
        QPointF(position), QPointF(canvas.mapToGlobal(position)), QPoint(), QPoint(0, turn),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)


def test_the_wheel_zooms_at_the_cursor_and_fit_comes_back(stage: Stage) -> None:
    before = stage.canvas.frame
    pixel = stage.at(1.0, 1.0)
    place = stage.latent(pixel)
    wheel(stage.canvas, pixel, 360)
    assert stage.canvas.frame.scale > 1.5 * before.scale
    assert stage.latent(pixel) == pytest.approx(place)
    assert not stage.map.toolbar.fit.isChecked()
    stage.rest()
    QTest.keyClick(stage.canvas, Qt.Key.Key_F)
    stage.rest()
    assert stage.canvas.frame.is_near(before)
    assert stage.map.toolbar.fit.isChecked()


def test_an_untrained_map_shows_its_dot_large_and_training_brings_the_prior_into_sight(stage: Stage) -> None:
    snapshot = stage.session.snapshot
    assert snapshot is not None
    assert snapshot.step == 0
    x, y = snapshot.codes_ND.cpu().numpy().T
    rect = stage.canvas.frame.rect
    assert rect.height < 3
    inside = (x > rect.left) & (x < rect.right) & (y > rect.bottom) & (y < rect.top)
    assert inside.mean() > 0.97
    assert max((x.max() - x.min()) / rect.width, (y.max() - y.min()) / rect.height) > 0.5
    stage.session.train()
    stage.wait(lambda: stage.canvas.frame.rect.contains(MapRect(-3, -3, 3, 3)))


def test_zooming_in_counts_the_codes_in_sight(stage: Stage) -> None:
    assert stage.map.readout.text() == "showing 240 of 240 codes"
    wheel(stage.canvas, stage.canvas.plot.topLeft() + QPoint(5, 5), 2400)
    stage.wait(lambda: stage.map.readout.text() == "showing 0 of 240 codes")


@pytest.mark.parametrize("button", [Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton])
def test_middle_and_right_drags_pan(stage: Stage, button: Qt.MouseButton) -> None:
    before = stage.canvas.frame
    start = stage.canvas.plot.center()
    QTest.mousePress(stage.canvas, button, pos=start)
    stage.move(start + QPoint(30, 20))
    QTest.mouseRelease(stage.canvas, button, pos=start + QPoint(30, 20))
    assert stage.canvas.frame == before.panned(30, 20)
    assert stage.pin is None


def test_space_and_left_drag_pans(stage: Stage) -> None:
    before = stage.canvas.frame
    start = stage.canvas.plot.center()
    QTest.keyPress(stage.canvas, Qt.Key.Key_Space)
    QTest.mousePress(stage.canvas, Qt.MouseButton.LeftButton, pos=start)
    stage.move(start + QPoint(-10, 0))
    QTest.mouseRelease(stage.canvas, Qt.MouseButton.LeftButton, pos=start)
    QTest.keyRelease(stage.canvas, Qt.Key.Key_Space)
    assert stage.canvas.frame == before.panned(-10, 0)
    assert stage.pin is None


def test_a_double_click_centres(stage: Stage) -> None:
    pixel = stage.at(1.0, 1.0)
    place = stage.latent(pixel)
    QTest.mouseDClick(stage.canvas, Qt.MouseButton.LeftButton, pos=pixel)
    stage.rest()
    assert (stage.canvas.frame.x, stage.canvas.frame.y) == pytest.approx(tuple(place))


def test_the_map_is_painted_with_manifold_and_codes(stage: Stage) -> None:
    colours = {stage.canvas.grab().toImage().pixelColor(x, 300).name() for x in range(60, 400)}
    assert len(colours) > 20
    assert stage.canvas._manifold is not None
    assert "codes" in stage.canvas._drawings
    stage.session.map.set_layer("manifold", is_shown=False)
    stage.session.map.set_layer("codes", is_shown=False)
    assert stage.canvas._manifold is None
    assert "codes" not in stage.canvas._drawings
    assert stage.map.readout.text() == "showing 0 of 240 codes · the layer is hidden"


def test_hidden_layers_ask_for_nothing(stage: Stage) -> None:
    for name in ("manifold", "posterior"):
        stage.session.map.set_layer(name, is_shown=False)
    stage.requests.slots.clear()
    wheel(stage.canvas, stage.canvas.plot.center(), 120)
    stage.rest()
    assert set(stage.requests.slots) == {"codes"}


def test_a_hidden_map_asks_for_nothing_while_training(stage: Stage) -> None:
    stage.map.set_active(False)
    stage.decoded.set_active(False)
    stage.requests.slots.clear()
    with stage.qtbot.waitSignal(stage.session.history_changed, timeout=WAIT_MS):
        stage.session.train()
    stage.qtbot.wait(400)
    assert stage.requests.slots == []
    stage.map.set_active(True)
    stage.wait(lambda: {"codes", "manifold"} <= set(stage.requests.slots))


def test_the_map_lives_while_training_and_the_pin_is_decoded_again(stage: Stage) -> None:
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(0.5, 0.5))
    stage.session.train()
    stage.wait(lambda: stage.shown().step > 0 and stage.shown().kind == "pinned")
    first = stage.shown().step
    stage.wait(lambda: stage.shown().step > first)
    assert stage.session.explorer_thread.share < 1.0
    stage.session.stop()
    stage.wait(lambda: stage.session.state is State.FINISHED)
    stage.rest()
    final = stage.session.snapshot
    assert final is not None
    stage.wait(lambda: stage.shown().step == final.step)
    assert np.abs(stage.shown().picture - direct(stage.session, stage.pin)).max() <= 1


def test_another_number_of_dimensions_is_another_map(stage: Stage) -> None:
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(0.5, 0.5))
    config = stage.session.config
    stage.session.place_config(dataclasses.replace(config, model=tiny_config(latents=5).model))
    stage.wait(lambda: stage.map.view is not None and stage.map.view.num_dimensions == 5)
    stage.rest()
    assert stage.pin is None
    stage.wait(lambda: stage.shown().z_D.size == 5)


def test_dimensions_are_chosen_and_a_pin_from_elsewhere_is_shown_where_it_projects(make_stage: StageMaker) -> None:
    stage = make_stage(latents=5)
    stage.session.map.choose_view(ViewChoice("dimensions", i=3, j=1))
    stage.rest()
    assert stage.map.view == PlaneView.of_dimensions(3, 1, np.zeros(5))
    assert stage.canvas.axis_labels == ("z₄", "z₂")
    elsewhere = np.array([1.0, 0.5, -1.0, 0.25, 2.0])
    stage.session.map.place_active_pin(elsewhere)
    stage.rest()
    mark = stage.canvas.overlay.pins[0]
    assert (mark.x, mark.y) == pytest.approx((0.25, 0.5))
    assert not mark.is_in_view
    stage.wait(lambda: stage.shown().kind == "pinned")
    assert np.abs(stage.shown().picture.astype(float) - direct(stage.session, elsewhere)).max() <= 1


def test_one_dimension_is_a_line(make_stage: StageMaker) -> None:
    stage = make_stage(latents=1)
    assert isinstance(stage.map.view, LineView)
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(0.7, 0.4))
    assert stage.pin == pytest.approx(stage.latent(stage.at(0.7, 0.4)))
    stage.wait(lambda: stage.shown().kind == "pinned")
    stage.canvas.grab()


def test_a_model_without_codes_gets_a_sentence(stage: Stage) -> None:
    snapshot = stage.session.snapshot
    assert snapshot is not None
    bare = dataclasses.replace(snapshot, codes_ND=None, stamp=snapshot.stamp + 1000)
    stage.session.show_snapshot(bare)
    assert "no codes" in stage.canvas.note
    # What there is instead, too.
    assert "samples and reconstructions are in their own panels" in stage.canvas.note
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.canvas.plot.center())
    assert stage.pin is None
    stage.canvas.grab()


def test_a_model_without_a_space_says_what_it_offers_instead(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = stage.session.snapshot
    assert snapshot is not None
    vae = MODELS["vae"]
    note = "Its latent is the number of a component; the components' pictures are among its samples."
    monkeypatch.setitem(
        MODELS._records, "vae", dataclasses.replace(vae, title="Mixture", has_codes=False, map_note=note)
    )
    panel = ViewPanel(stage.session)
    stage.qtbot.addWidget(panel)
    panel.set_active(True)
    stage.session.map.num_dimensions = 0
    stage.session.show_snapshot(dataclasses.replace(snapshot, codes_ND=None, stamp=snapshot.stamp + 1000))
    panel._show_sections()
    for said in (stage.canvas.note, panel.note.text()):
        assert said == f"The model “Mixture” has no codes in a space that a plane could show. {note}"


def test_before_anything_is_ready_the_panels_are_calm(make_stage: StageMaker) -> None:
    stage = make_stage(prepare=False)
    assert stage.canvas.note == "Warming up…"
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.canvas.plot.center())
    QTest.keyClick(stage.canvas, Qt.Key.Key_Right)
    stage.canvas.grab()
    stage.decoded.grab()
    assert stage.requests.slots == []


def test_the_map_is_legible_in_both_themes(stage: Stage, qapp: QApplication) -> None:
    try:
        for choice in ("dark", "light"):
            theme.apply(qapp, choice)
            stage.rest()
            ground = theme.current().panel
            stage.wait(lambda ground=ground: stage.canvas.grab().toImage().pixelColor(2, 2).name() == ground)
    finally:
        theme.apply(qapp, "system")


def test_classes_have_a_legend(stage: Stage) -> None:
    assert stage.map.legend.accessibleDescription() == "Class, across, down, square"
    assert stage.map.legend.height() > 0


def test_the_decoded_image_is_copied_and_saved(stage: Stage, tmp_path) -> None:
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=stage.at(1.0, 0.0))
    stage.wait(lambda: stage.shown().kind == "pinned")
    assert stage.decoded.copy_image()
    assert QGuiApplication.clipboard().image().width() == 8
    QGuiApplication.clipboard().clear()
    from PIL import Image

    actions, picture = stage.decoded.view.actions_on_picture, stage.decoded.view.picture_at(QPoint(1, 1))
    with stage.qtbot.waitSignal(stage.session.message_posted, timeout=WAIT_MS):
        actions.save(tmp_path / "place.png", picture)
    with Image.open(tmp_path / "place.png") as image:
        assert np.array_equal(np.asarray(image), stage.shown().picture)
        assert image.text["kind"] == "decoded"
        assert [float(value) for value in image.text["z"].split()] == pytest.approx(list(stage.pin))
    with stage.qtbot.waitSignal(stage.session.message_posted, timeout=WAIT_MS):
        actions.save(tmp_path / "no folder" / "place.png", picture)


def test_enter_and_focus_are_painted(stage: Stage) -> None:
    stage.canvas.setFocus()
    here = QPointF(stage.canvas.plot.center())
    QApplication.sendEvent(stage.canvas, QEnterEvent(here, here, here))
    assert stage.canvas.cursor().shape() is Qt.CursorShape.CrossCursor
    stage.canvas.grab()


@pytest.mark.parametrize("kind", [SamplesPanel, ReconstructionsPanel])
def test_grids_fill_themselves_follow_the_training_and_rest_when_hidden(
    stage: Stage, kind: type[SamplesPanel | ReconstructionsPanel], qtbot: QtBot
) -> None:
    most = 400 if kind is SamplesPanel else 40
    panel = kind(stage.session)
    qtbot.addWidget(panel)
    panel.resize(400, 300)
    panel.show()
    panel.set_active(True)
    stage.wait(lambda: panel.grid.num_pictures > 0)
    assert panel.grid.num_pictures == min(panel.grid.capacity, most)
    first = panel.grid._strips[-1].copy()
    panel.resize(700, 500)
    stage.wait(lambda: panel.grid.num_pictures == min(panel.grid.capacity, most))
    stage.session.train()
    stage.wait(lambda: "step 0" not in panel._caption.whole)
    assert panel.grid._strips[-1].copy() != first
    panel.set_active(False)
    stage.requests.slots.clear()
    shown = panel._caption.whole
    qtbot.wait(300)
    assert panel.slot_name not in stage.requests.slots
    assert panel._caption.whole == shown


def test_reconstructions_go_round_the_classes() -> None:
    labels_N = np.array([2, 0, 0, 1, 2, 1, 0])
    assert round_the_classes(7, labels_N, 5).tolist() == [1, 3, 0, 2, 5]
    assert round_the_classes(7, None, 3).tolist() == [0, 1, 2]
    assert len(round_the_classes(7, labels_N, 100)) == 7


def test_dimensions_that_carry_little_give_way_until_the_person_chooses(make_stage: StageMaker) -> None:
    stage = make_stage(latents=5)
    stage.session.kl_D = np.array([0.0, 0.1, 2.0, 0.0, 3.0])
    stage.session.validated.emit(None)
    assert stage.map.view == PlaneView.of_dimensions(2, 4, np.zeros(5))
    stage.session.map.choose_view(ViewChoice("dimensions", i=0, j=1))
    stage.session.validated.emit(None)
    assert stage.map.view == PlaneView.of_dimensions(0, 1, np.zeros(5))
    stage.rest()


def test_the_codes_of_another_run_are_gone_before_the_new_ones_come(stage: Stage) -> None:
    snapshot = stage.session.snapshot
    assert snapshot is not None
    assert "codes" in stage.canvas._drawings
    stage.map._look(dataclasses.replace(snapshot, step=snapshot.step + 1))
    assert "codes" in stage.canvas._drawings
    stage.map._look(dataclasses.replace(snapshot, run_name="another run"))
    assert "codes" not in stage.canvas._drawings
    stage.rest()
    assert "codes" in stage.canvas._drawings
