"""In a small window every panel shrinks to its place: none lies over another, and none is cut at the window's edge."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.runs.library_folders import make_run
from vae_explorer.gui.main_window import MainWindow

SMALL = QSize(1000, 660)


@pytest.fixture
def small_window(open_window: Callable[..., MainWindow]) -> MainWindow:
    window = open_window()
    window.docks["beside"].show()
    window.reset_layout()
    window.docks["beside"].show()
    window.resize(SMALL)
    return window


def check_places(window: MainWindow) -> None:
    assert window.size() == SMALL, "a panel needs more room than the window has"
    seen = [dock for dock in window.docks.values() if not dock.visibleRegion().isEmpty()]
    assert len(seen) >= 5
    for dock in seen:
        assert window.rect().contains(dock.geometry()), dock.name
        assert dock.width() >= dock.minimumSizeHint().width(), dock.name
        assert dock.height() >= dock.minimumSizeHint().height(), dock.name
    for first, second in itertools.combinations(seen, 2):
        assert not first.geometry().intersects(second.geometry()), (first.name, second.name)


def test_no_panel_lies_over_another(small_window: MainWindow, qtbot: QtBot) -> None:
    small_window.panel("bound_curves").follow.show()
    small_window.panel("kl_dimensions").count.setText("16 of 16 active")
    for dock in small_window.docks.values():
        dock.show()
        dock.raise_()
        qtbot.wait(20)
        check_places(small_window)


def test_runs_stand_behind_a_tab_where_there_is_no_room_beside_them(
    small_window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window, panel = small_window, small_window.panel("runs")
    make_run(tmp_path / "runs" / "a", num_rows=300)
    window.docks["runs"].raise_()
    panel.choose_folder(tmp_path / "runs")
    qtbot.waitUntil(lambda: panel.view.filter.rowCount() == 1, timeout=WAIT_MS)
    panel.view.selectRow(0)
    panel.mark_selected({"is_pinned": True})
    qtbot.waitUntil(lambda: panel.curves.plot.has_points, timeout=WAIT_MS)
    assert panel.parts.is_folded
    assert [panel.parts.pages.tabText(number) for number in range(panel.parts.pages.count())] == [
        "Runs",
        "Curves",
        "Differences",
    ]
    for page in (1, 2, 0):
        panel.parts.pages.setCurrentIndex(page)
        qtbot.wait(20)
        check_places(window)
    assert panel.view.isVisible()
    assert panel.tools.count.width() >= panel.tools.count.fontMetrics().horizontalAdvance("9 runs, 2 other folders")
    split = [800, 400]
    panel.restore({"split": split})
    window.resize(1700, 900)
    qtbot.waitUntil(lambda: not panel.parts.is_folded, timeout=WAIT_MS)
    assert panel.parts.pages.count() == 2
    assert panel.view.isVisible()
    assert panel.curves.isVisible()
    left, right = panel.parts.splitter.sizes()
    assert left / right == pytest.approx(2.0, rel=0.1)
    window.resize(SMALL)
    qtbot.waitUntil(lambda: panel.parts.is_folded, timeout=WAIT_MS)
    assert panel.view.entries_selected()


def test_the_counts_of_an_evaluation_go_behind_a_button(small_window: MainWindow, qtbot: QtBot) -> None:
    window, panel = small_window, small_window.panel("measures")
    window.docks["measures"].raise_()
    qtbot.waitUntil(panel.counts_button.isVisible, timeout=WAIT_MS)
    assert panel.measure_button.isVisible()
    assert panel.rect().contains(panel.measure_button.mapTo(panel, panel.measure_button.rect().bottomRight()))
    panel.counts_button.menu().popup(panel.counts_button.mapToGlobal(panel.counts_button.rect().bottomLeft()))
    assert panel.limit.isVisible()
    panel.limit.setValue(100)
    panel.counts_button.menu().close()
    window.resize(1700, 900)
    qtbot.waitUntil(lambda: not panel.counts_button.isVisible(), timeout=WAIT_MS)
    assert panel.limit.isVisible()
    assert panel.limit.value() == 100
    check = panel.limit.mapTo(panel, panel.limit.rect().topLeft())
    assert check.x() < panel.measure_button.mapTo(panel, panel.measure_button.rect().topLeft()).x()
