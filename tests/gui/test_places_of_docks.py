"""Points of the plane bring the data plane forward, pictures send it back; each panel has one tab."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QTabBar
from pytestqt.qtbot import QtBot

from vae_explorer.gui.default_layout import show_what_suits
from vae_explorer.gui.main_window import MainWindow

POINTS, PICTURES = (2, 1, 1), (1, 8, 8)


def tabs_of(window: MainWindow) -> list[list[str]]:
    bars = [bar for bar in window.findChildren(QTabBar) if bar.parent() is window and bar.isVisible()]
    return [[bar.tabText(number) for number in range(bar.count())] for bar in bars]


def groups_with_plane(window: MainWindow, beside: str) -> list[bool]:
    """Of each group of tabs with the data plane, whether the other panel is in it."""
    return [beside in group for group in tabs_of(window) if "Data plane" in group]


def test_the_data_plane_goes_there_and_back_and_leaves_nothing_behind(
    open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = open_window()
    docks = window.docks
    for _ in range(3):
        for shape, front in ((POINTS, "decoded_image"), (PICTURES, "samples")):
            show_what_suits(window, docks, shape)
            wanted = window.docks[front].windowTitle()
            qtbot.waitUntil(lambda wanted=wanted: groups_with_plane(window, wanted) == [True], timeout=2000)
            assert docks["data_plane"].isVisible()
            shown = docks["data_plane"] if shape == POINTS else docks[front]
            assert not shown.visibleRegion().isEmpty()
