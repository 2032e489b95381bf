"""The drawing canvas on its own: brush, pen, keyboard, and how often it tells."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from vae_explorer.gui.widgets.drawing_canvas import SIDE, DrawingCanvas


@pytest.fixture
def canvas(qtbot: QtBot) -> DrawingCanvas:
    canvas = DrawingCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(SIDE, SIDE)
    canvas.show()
    canvas.setFocus()
    return canvas


def test_everything_can_be_drawn_by_keyboard(canvas: DrawingCanvas) -> None:
    QTest.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.is_empty
    QTest.keyPress(canvas, Qt.Key.Key_Space)
    for _ in range(4):
        QTest.keyClick(canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyRelease(canvas, Qt.Key.Key_Space)
    ink = canvas.ink[SIDE // 2]
    assert np.flatnonzero(ink > 0.5).min() == pytest.approx(SIDE / 2 - 16 - 10, abs=5)
    assert np.flatnonzero(ink > 0.5).max() == pytest.approx(SIDE / 2 + 48 + 10, abs=5)
    QTest.keyClick(canvas, Qt.Key.Key_E)
    QTest.keyClick(canvas, Qt.Key.Key_Space)
    assert canvas.ink[SIDE // 2, SIDE // 2 + 48] == pytest.approx(0, abs=0.02)
    radius = canvas.radius
    QTest.keyClick(canvas, Qt.Key.Key_BracketRight)
    assert canvas.radius > radius
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert canvas.is_empty


def test_a_pen_pressed_lightly_draws_a_thinner_line(canvas: DrawingCanvas) -> None:
    widths = []
    for pressure in (1.0, 0.3):
        canvas.clear()
        canvas.begin_stroke(40, 140, pressure=pressure)
        canvas.go_on(240, 140, pressure)
        canvas.end_stroke()
        widths.append((canvas.ink[:, 140] > 0.5).sum())
    assert widths[1] == pytest.approx(0.3 * widths[0], abs=3)


def test_a_stroke_is_the_same_however_many_moves_it_came_in(canvas: DrawingCanvas) -> None:
    canvas.begin_stroke(40, 60)
    canvas.go_on(240, 200)
    canvas.end_stroke()
    at_once = canvas.ink.copy()
    canvas.clear()
    canvas.begin_stroke(40, 60)
    for part in np.linspace(0, 1, 50)[1:]:
        canvas.go_on(40 + 200 * part, 60 + 140 * part)
    canvas.end_stroke()
    assert np.abs(canvas.ink - at_once).max() < 0.01
    # A soft edge: everything between nothing and full ink.
    assert len(np.unique((at_once * 20).round())) == 21


def test_it_tells_at_once_then_seldom_and_at_the_end(canvas: DrawingCanvas, qtbot: QtBot) -> None:
    told: list[float] = []
    canvas.changed.connect(lambda: told.append(float(canvas.ink.sum())))
    canvas.begin_stroke(20, 140)
    assert len(told) == 1
    for x in range(30, 250, 2):
        canvas.go_on(x, 140)
    assert len(told) <= 3
    canvas.end_stroke()
    assert told[-1] == pytest.approx(float(canvas.ink.sum()))


def test_strokes_off_the_sheet_and_erasing_nothing_leave_no_step_to_undo(canvas: DrawingCanvas) -> None:
    canvas.begin_stroke(-500, -500)
    canvas.go_on(-400, 900)
    canvas.end_stroke()
    canvas.begin_stroke(100, 100, erases=True)
    canvas.end_stroke()
    assert canvas.is_empty
    assert not canvas.can_undo


@pytest.mark.parametrize("is_light_on_dark", [True, False])
def test_it_looks_as_the_data_do(canvas: DrawingCanvas, is_light_on_dark: bool) -> None:
    canvas.show_light_on_dark(is_light_on_dark)
    canvas.begin_stroke(140, 140)
    canvas.end_stroke()
    picture = canvas.picture()
    assert (picture[140, 140] > picture[5, 5]) is np.bool_(is_light_on_dark)
    assert canvas.grab().toImage().pixelColor(140, 140).red() == picture[140, 140]


@pytest.mark.parametrize("shape", [(28, 28), (32, 24, 3), (300, 420, 3), (7, 5)])
@pytest.mark.parametrize("is_light_on_dark", [True, False])
def test_a_stroke_changes_a_picture_only_where_it_went(
    canvas: DrawingCanvas, shape: tuple[int, ...], is_light_on_dark: bool
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    canvas.show_light_on_dark(is_light_on_dark)
    canvas.put_picture(QImage(8, 8, QImage.Format.Format_RGB888), "mine")
    canvas.set_ground(picture)
    canvas.set_radius(4)
    canvas.begin_stroke(SIDE / 2, SIDE / 2)
    canvas.end_stroke()
    drawn = canvas.picture()
    assert canvas.put_in is None
    assert drawn.shape == shape
    is_changed = drawn != picture
    assert is_changed.any()
    assert is_changed.mean() < 0.2
    assert not is_changed[: shape[0] // 4].any()
    canvas.undo()
    assert canvas.put_in == "mine"
    canvas.undo()
    assert canvas.is_empty
