"""The panel of two runs fits where it is put, in both looks, and is told to those who do not see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QWidget

from tests.gui.beside_stage import Stage
from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.side_by_side import SIDES
from vae_explorer.latent import side_by_side
from vae_explorer.latent.map_rect import MapRect


@pytest.fixture
def stage(stage_beside: Callable[..., Stage]) -> Stage:
    return stage_beside()


# --- looks


@pytest.mark.parametrize(
    ("width", "height"), [(940, 600), (500, 330), (700, 300), (900, 210), (300, 700), (300, 380), (430, 560)]
)
def test_it_fits_where_it_is_put(stage: Stage, width: int, height: int) -> None:
    dock, panel = stage.window.docks["beside"], stage.panel
    dock.setFloating(True)
    panel.item.number.setValue(21)
    stage.wait(lambda: stage.pair.item == 21)
    stage.measured()
    dock.resize(width, height)
    stage.wait(lambda: dock.size().width() == width and dock.size().height() == height)
    stage.qtbot.wait(50)
    for side in ("A", "B"):
        assert_inside(stage.map(side), panel)
        assert min(stage.map(side).plot.width(), stage.map(side).plot.height()) >= 24
    odd = stage.map("A").size() - stage.map("B").size()
    assert max(abs(odd.width()), abs(odd.height())) <= 1
    assert not overlap(stage.map("A"), stage.map("B"), panel)
    assert not overlap(stage.map("A"), panel.area, panel)
    assert not overlap(stage.map("B"), panel.area, panel)
    content = panel.area.widget()
    assert content.width() <= panel.area.viewport().width(), "nothing is cut at the side"
    parts = (
        panel.item.pictures,
        panel.item.view,
        panel.samples.grids["A"],
        panel.samples.grids["B"],
        panel.measures.view,
    )
    for part in parts:
        assert_inside(part, content)
    for first in parts:
        for second in parts:
            assert first is second or not overlap(first, second, content)
    assert panel.measures.view.verticalScrollBar().maximum() == 0, "the table shows all of its rows"


def test_a_window_is_made_no_larger_for_it(stage: Stage) -> None:
    panel = stage.panel
    assert panel.minimumSize().width() <= 240
    assert stage.window.docks["beside"].minimumSizeHint().height() <= 220


def test_light_and_dark_are_drawn_in_their_own_colours(stage: Stage) -> None:
    from vae_explorer.gui import theme

    for choice in ("dark", "light"):
        with stage.qtbot.waitSignal(stage.panel.columns["B"].drawn, timeout=WAIT_MS):
            stage.window.commands.set_theme(choice)
        map_ = stage.map("B")
        corner = map_.grab().toImage().pixelColor(map_.plot.topLeft() + QPoint(2, 2)).name()
        assert corner == theme.current().panel
    stage.window.commands.set_theme("system")


def test_everything_that_takes_the_keyboard_has_a_name(stage: Stage) -> None:
    stage.panel.item.number.setValue(3)
    stage.wait(lambda: stage.pair.item == 3)
    takers = [
        widget for widget in stage.panel.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]  # fmt: skip
    assert {stage.map("A"), stage.map("B"), stage.panel.item.number, stage.panel.samples.seed} <= set(takers)
    for widget in takers:
        assert widget.accessibleName() or getattr(widget, "text", str)(), widget


def test_nothing_of_it_draws_from_torchs_own_generator(stage: Stage) -> None:
    before = torch.get_rng_state()
    stage.panel.item.number.setValue(3)
    stage.wait(lambda: stage.pair.item == 3)
    stage.measured()
    assert torch.equal(before, torch.get_rng_state())


def assert_inside(widget: QWidget, around: QWidget) -> None:
    corner = widget.mapTo(around, QPoint(0, 0))
    assert corner.x() >= 0
    assert corner.y() >= 0
    assert corner.x() + widget.width() <= around.width(), f"{widget} is cut at the right"
    assert corner.y() + widget.height() <= around.height(), f"{widget} is cut below"


def overlap(first: QWidget, second: QWidget, around: QWidget) -> bool:
    places = [widget.rect().translated(widget.mapTo(around, QPoint(0, 0))) for widget in (first, second)]
    return first.isVisible() and second.isVisible() and places[0].intersects(places[1])


def test_every_code_is_in_sight_with_a_little_air_in_every_size(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = MapRect(-7.0, -3.0, 9.0, 5.0)
    monkeypatch.setattr(side_by_side, "whole_extent", lambda _placed: codes)
    dock = stage.window.docks["beside"]
    dock.setFloating(True)
    for width, height in ((330, 300), (900, 260), (860, 250), (400, 700), (390, 680)):
        dock.resize(width, height)
        for side in SIDES:
            column = stage.panel.columns[side]
            column.refresh()
            stage.wait(lambda column=column: column._extent == codes and not column.map.is_gliding)
            stage.wait(lambda column=column: column.map.frame.rect.contains(codes))
            left, top = column.map.frame.to_screen(codes.left, codes.top)
            assert max(left, top) >= 3.0
            assert min(left, top) < max(8.0, 0.1 * min(column.map.frame.width, column.map.frame.height))
    dock.setFloating(False)
