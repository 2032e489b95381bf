"""What the colours of layers and the tags at the axes say on the map is never cut."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PySide6.QtCore import QBuffer, QRectF, QSize
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from pytestqt.qtbot import QtBot

from vae_explorer.gui import theme
from vae_explorer.gui.threads.laying_out import _HowFarSoFar
from vae_explorer.gui.widgets import map_painting
from vae_explorer.gui.widgets.map_frame import MapFrame
from vae_explorer.gui.widgets.map_ramps import paint_ramps
from vae_explorer.gui.widgets.map_surface import LEFT_GUTTER
from vae_explorer.latent.drawing import Legend
from vae_explorer.latent.overview import OverviewProgress

LEGENDS = (
    Legend("Magnification, Fisher metric", "per unit of latent area", "sequential", ((0.0, "23"), (1.0, "651"))),
    Legend(
        "Holes of the prior", "prior minus q(z), share of the prior's peak", "diverging",
        ((0.0, "−0.1: more data than prior"), (0.5, "0"), (1.0, "+0.003: holes, no data")),
    ),
    Legend("Value", "", "sequential"),
)  # fmt: skip


@pytest.mark.parametrize("width", [420, 700, 1400])
def test_titles_units_and_the_meaning_of_both_ends_are_whole(qtbot: QtBot, width: int) -> None:
    content = QBuffer()
    content.open(QBuffer.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(content)
    generator.setSize(QSize(width, 600))
    painter = QPainter(generator)
    paint_ramps(painter, MapFrame(width, 600), theme.current(), LEGENDS)
    painter.end()
    written = bytes(content.data().data()).decode()
    assert "…" not in written
    for word in ("Fisher metric", "per unit of latent area", "more data than prior", "holes, no data", "Value"):
        assert word in written


def test_the_tag_on_the_y_axis_stays_in_the_window_however_many_digits_it_has(qtbot: QtBot) -> None:
    image = QImage(500, 300, QImage.Format.Format_RGB32)
    image.fill(theme.current().panel)
    painter = QPainter(image)
    painter.translate(LEFT_GUTTER, 0)
    frame = MapFrame(400, 250, 0.0, -1.3584, 2e5)
    map_painting.paint_place_on_axes(painter, frame, theme.current(), (0.0, -1.3584), True)
    painter.end()
    row = [image.pixelColor(x, 125).name() for x in range(4)]
    tag = image.copy(QRectF(0, 110, 2 * LEFT_GUTTER, 30).toRect())
    assert row[0] == image.pixelColor(0, 299).name()  # a margin of ground left of it
    assert any(
        tag.pixelColor(x, y).name() == theme.current().text for x in range(tag.width()) for y in range(tag.height())
    )


def test_the_time_left_never_runs_upwards(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 5.0, 9.0, 14.0, 21.0, 24.0, 30.0))
    monkeypatch.setattr("vae_explorer.gui.threads.laying_out.time", SimpleNamespace(monotonic=lambda: next(clock)))
    how_far = _HowFarSoFar()
    left = [how_far(OverviewProgress("Layout", share)).seconds_left for share in (0.25, 0.25, 0.25, 0.25, 0.5, 0.5)]
    assert left == [15.0, 11.0, 6.0, None, 24.0, 18.0]
