"""Layers: each is drawn with a legend and a unit, a hidden one costs nothing, a stale one is never shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.tiny_runs import tiny_config
from vae_explorer.gui.layer_memory import restore_layers
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.latent.drawing import LayerDrawing
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import LAYERS, LayerRequest, StretchOptions


@pytest.fixture
def ready(window: MainWindow, qtbot: QtBot) -> MainWindow:
    qtbot.waitUntil(lambda: "showing" in window.panel("latent_map").readout.text(), timeout=WAIT_MS)
    settle(window, qtbot)
    window.docks["layers"].raise_()
    return window


def explorers(window: MainWindow) -> list[Explorer]:
    """The explorers of both threads, caught as they answer."""
    found: list[Explorer] = []

    def catch(explorer: Explorer) -> bool:
        found.append(explorer)
        return True

    for slot in ("selection", "members"):
        window.session.map.explore(slot, catch, lambda _answer: None)
    return found


@pytest.mark.parametrize("name", LAYERS.names())
def test_every_layer_is_drawn_with_what_is_needed_to_read_it(ready: MainWindow, qtbot: QtBot, name: str) -> None:
    drawn: list[LayerDrawing] = []
    told: list[str] = []
    ready.session.map.layer_drawn.connect(lambda layer, drawing: drawn.append(drawing) if layer == name else None)
    ready.session.map.layer_told.connect(lambda layer, text: told.append(text) if layer == name else None)
    ready.session.map.set_layer(name, is_shown=False)
    # The codes of an untrained network are a dot: from further away there is also a place that is far from them.
    canvas = ready.panel("latent_map").canvas
    canvas.taken_over.emit()
    canvas.set_frame(canvas.frame.zoomed(0.1, canvas.frame.width / 2, canvas.frame.height / 2))
    settle(ready, qtbot)
    drawn.clear()
    if name == "posterior":
        ready.session.map.hover_item(3)
    ready.session.map.set_layer(name, is_shown=True)
    qtbot.waitUntil(lambda: any(drawing is not None and drawing.is_whole for drawing in drawn), timeout=WAIT_MS)
    settle(ready, qtbot)
    whole = drawn[-1]
    assert not told
    assert whole.rasters or whole.strokes
    row = ready.panel("layers").rows[name]
    assert row.eye.isChecked()
    assert row.title.toolTip().startswith(LAYERS[name].summary)
    assert whole.legend is not None
    # Classes have names and no unit.
    assert whole.legend.unit or name in {"codes", "regions"}
    assert row.legend.legend == whole.legend
    assert row.legend.height() > 0
    assert row.readout.text() == whole.readout != ""
    before = ready.panel("latent_map").canvas.grab().toImage()
    ready.session.map.set_layer(name, is_shown=False)
    settle(ready, qtbot)
    assert ready.panel("latent_map").canvas.grab().toImage() != before


def test_nothing_is_computed_for_hidden_layers(ready: MainWindow, qtbot: QtBot) -> None:
    found = explorers(ready)
    qtbot.waitUntil(lambda: len(found) == 2, timeout=WAIT_MS)
    for name in LAYERS.names():
        ready.session.map.set_layer(name, is_shown=name == "codes")
    settle(ready, qtbot)
    for explorer in found:
        explorer.drawn.clear()
    with qtbot.waitSignal(ready.session.history_changed, timeout=WAIT_MS):
        ready.session.train()
    qtbot.waitUntil(lambda: sum(explorer.drawn["codes"] for explorer in found) > 3, timeout=WAIT_MS)
    ready.panel("latent_map").canvas.zoom(1.5)
    ready.session.map.hover_item(5)
    settle(ready, qtbot)
    counted = found[0].drawn + found[1].drawn
    assert set(counted) == {"codes"}


def test_opacity_is_painted_without_drawing_again(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, canvas = ready.session.map, ready.panel("latent_map").canvas
    arranged.set_layer("stretch", is_shown=True)
    settle(ready, qtbot)
    found = explorers(ready)
    qtbot.waitUntil(lambda: len(found) == 2, timeout=WAIT_MS)
    count = found[1].drawn["stretch"]
    before = canvas.grab().toImage()
    ready.panel("layers").rows["stretch"].opacity.setValue(20)
    assert arranged.layers["stretch"].opacity == pytest.approx(0.2)
    settle(ready, qtbot)
    assert canvas.grab().toImage() != before
    assert found[1].drawn["stretch"] == count


def test_an_option_is_chosen_in_the_row(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, row = ready.session.map, ready.panel("layers").rows["stretch"]
    arranged.set_layer("stretch", is_shown=True)
    settle(ready, qtbot)
    _, editor = row._editors["metric"]
    with qtbot.waitSignal(arranged.layer_drawn, timeout=WAIT_MS):
        QTest.keyClick(editor, "m")
        editor.setCurrentIndex(1)
        editor.activated.emit(1)
    assert arranged.layers["stretch"].options == StretchOptions(metric="mean")
    settle(ready, qtbot)
    assert "ean" in row.legend.legend.title


def test_layers_are_remembered(open_window: Callable[..., MainWindow]) -> None:
    first = open_window()
    first.session.map.set_layer("regions", is_shown=True, opacity=0.3)
    first.session.map.set_layer("stretch", options=StretchOptions("mean", False, True))
    first.close()
    second = open_window()
    assert second.session.map.layers["regions"].is_shown
    assert second.session.map.layers["regions"].opacity == pytest.approx(0.3)
    assert second.session.map.layers["stretch"].options == StretchOptions("mean", False, True)
    restore_layers(
        second.session.map, {"regions": {"opacity": "x"}, "nothing": {}, "stretch": {"options": {"metric": 7}}}
    )
    assert second.session.map.layers["stretch"].options == StretchOptions("mean", False, True)


def test_a_slow_decoder_never_shows_a_stale_answer(
    ready: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing is held up, the person goes elsewhere, and only the drawing of where they are now is shown."""
    gate = threading.Event()
    drawn_for: list[float] = []

    def slow(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
        del explorer
        while not gate.wait(0.001):
            yield None
        drawn_for.append(request.rect.left)
        yield LayerDrawing(request.rect, readout=f"{request.rect.left:.6f}")

    monkeypatch.setattr("vae_explorer.latent.regions_layer.draw", slow)
    readouts: list[str] = []
    ready.session.map.layer_drawn.connect(
        lambda name, drawing: readouts.append(drawing.readout) if name == "regions" and drawing is not None else None
    )
    ready.session.map.set_layer("regions", is_shown=True)
    canvas = ready.panel("latent_map").canvas
    for _ in range(4):
        canvas.zoom(1.3)
        qtbot.wait(1)
    qtbot.waitUntil(lambda: not ready.panel("latent_map").asking._settling.isActive(), timeout=WAIT_MS)
    gate.set()
    settle(ready, qtbot)
    assert readouts == [f"{canvas.frame.rect.left:.6f}"]


def test_a_layer_that_fails_is_told_and_the_map_lives(
    ready: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
        del explorer, request
        yield None
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("vae_explorer.latent.regions_layer.draw", broken)
    with qtbot.waitSignal(ready.session.message_posted, timeout=WAIT_MS) as told:
        ready.session.map.set_layer("regions", is_shown=True)
    assert "Regions" in told.args[0].text
    assert "wheel" in told.args[0].text
    ready.panel("latent_map").fit()
    settle(ready, qtbot)


def test_all_layers_follow_the_training_and_each_other(ready: MainWindow, qtbot: QtBot) -> None:
    steps: dict[str, set[int]] = {name: set() for name in LAYERS.names()}

    def note(name: str, drawing: LayerDrawing | None) -> None:
        if drawing is not None and drawing.is_whole:
            steps[name].add(drawing.extras["stamp"])

    ready.session.map.layer_drawn.connect(note)
    ready.session.map.hover_item(3)
    for name in LAYERS.names():
        ready.session.map.set_layer(name, is_shown=True)
    ready.session.train()
    qtbot.waitUntil(lambda: all(len(seen) >= 2 for seen in steps.values()), timeout=3 * WAIT_MS)


def test_a_layer_that_lags_behind_training_says_how_old_it_is(
    ready: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ready.panel("layers")
    row = panel.rows["regions"]
    ready.session.map.set_layer("regions", is_shown=True)
    settle(ready, qtbot)
    assert row.age.text() == ""
    for record in LAYERS:
        assert "once a second" not in record.cost or "at most once a second, within" in record.cost
    with qtbot.waitSignal(ready.session.history_changed, timeout=WAIT_MS):
        ready.session.train()
    monkeypatch.setattr(ready.panel("latent_map").asking, "ask", lambda *_, **__: None)
    drawn_at = row._drawn_at
    row.show_age(drawn_at + 2.0, is_training=True)
    assert row.age.text() == ""
    row.show_age(drawn_at + 12.3, is_training=True)
    assert row.age.text() == "12 s old"
    row.show_age(drawn_at + 12.3, is_training=False)
    assert row.age.text() == ""
    assert panel._ageing.isActive() == ready.docks["layers"].is_seen
    qtbot.waitUntil(lambda: row.age.text().endswith(" s old"), timeout=WAIT_MS)
    row.show_drawing(LayerDrawing(ready.panel("latent_map").canvas.frame.rect, readout="new"))
    assert row.age.text() == ""


def test_what_is_found_apart_from_the_place_is_not_begun_anew_by_a_frame_that_follows(
    ready: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), []

    def slow(explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
        begun.append(request.rect)
        yield LayerDrawing(request.rect, is_whole=False, extras={"is_apart": True})
        while not gate.wait(0.001):
            yield None
        yield LayerDrawing(request.rect, readout=f"of stamp {explorer.stamp}")

    monkeypatch.setattr("vae_explorer.latent.regions_layer.draw", slow)
    asking = ready.panel("latent_map").asking
    with qtbot.waitSignal(ready.session.history_changed, timeout=WAIT_MS):
        ready.session.train()
    ready.session.map.set_layer("regions", is_shown=True)
    qtbot.waitUntil(lambda: "regions" in asking._shown, timeout=WAIT_MS)
    for _ in range(3):
        asking._ask_surveys()
        qtbot.wait(20)
    assert len(begun) == 1
    gate.set()
    # Then the place in sight now.
    qtbot.waitUntil(lambda: len(begun) == 2, timeout=WAIT_MS)


def test_isochrones_follow_the_selected_pin(ready: MainWindow, qtbot: QtBot) -> None:
    arranged, canvas = ready.session.map, ready.panel("latent_map").canvas
    arranged.set_layer("stretch", is_shown=True, options=StretchOptions(shows_ellipses=False, shows_isochrones=True))
    settle(ready, qtbot)
    row = ready.panel("layers").rows["stretch"]
    assert "set one" in row.readout.text()
    frame = canvas.frame
    arranged.add_pin(np.array([frame.x, frame.y]))
    settle(ready, qtbot)
    first = canvas._drawings["stretch"]
    assert "Isochrones" in row.legend.accessibleDescription()
    assert len(first.strokes) == 1
    arranged.place_active_pin(np.array([frame.x + 0.3 * frame.rect.width, frame.y]))
    settle(ready, qtbot)
    second = canvas._drawings["stretch"]
    assert not np.array_equal(second.strokes[0].strokes.xy_P2, first.strokes[0].strokes.xy_P2)


def test_moving_beta_shifts_the_forces_at_once(ready: MainWindow, qtbot: QtBot) -> None:
    ready.session.map.set_layer("forces", is_shown=True)
    settle(ready, qtbot)
    row = ready.panel("layers").rows["forces"]
    assert "β = 1" in row.readout.text()
    ready.session.edit("model.beta", 4.0)
    qtbot.waitUntil(lambda: "β = 4" in row.readout.text(), timeout=WAIT_MS)


@pytest.mark.parametrize("latents", [1, 5])
def test_every_layer_lives_with_any_number_of_dimensions(
    open_window: Callable[..., MainWindow], qtbot: QtBot, latents: int
) -> None:
    window = open_window(tiny_config(epochs=100_000, latents=latents))
    qtbot.waitUntil(lambda: window.session.map.num_dimensions == latents, timeout=WAIT_MS)
    for name in LAYERS.names():
        window.session.map.set_layer(name, is_shown=True)
    window.session.map.hover_item(7)
    settle(window, qtbot)
    notes = {name: row.note.text() for name, row in window.panel("layers").rows.items()}
    assert not any(notes.values()), notes
    window.panel("latent_map").canvas.grab()


def test_codes_that_are_not_finite_are_left_out_everywhere(ready: MainWindow, qtbot: QtBot) -> None:
    import dataclasses

    import torch

    snapshot = ready.session.snapshot
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    codes = snapshot.codes_ND.clone()
    codes[::3] = float("nan")
    codes[1] = torch.tensor([np.inf, -np.inf])
    for name in LAYERS.names():
        ready.session.map.set_layer(name, is_shown=True)
    ready.session.show_snapshot(dataclasses.replace(snapshot, codes_ND=codes, stamp=snapshot.stamp + 10_000))
    settle(ready, qtbot)
    assert "of 240 codes" in ready.panel("latent_map").readout.text()
    ready.panel("latent_map").fit()
    settle(ready, qtbot)
    assert np.isfinite(ready.panel("latent_map").canvas.frame.scale)
