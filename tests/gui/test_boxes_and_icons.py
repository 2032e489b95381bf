"""Boxes in tables and the icons of a menu show on their grounds, in both looks."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QIcon, QImage
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.test_theme import contrast
from vae_explorer.gui import theme
from vae_explorer.gui.main_window import MainWindow

LEAST_CONTRAST = 2.3


def colours_in(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def ink_of(icon: QIcon) -> str:
    image = icon.pixmap(QSize(16, 16), QIcon.Mode.Normal).toImage()
    return image.pixelColor(image.width() // 2, image.height() // 2).name()


@pytest.mark.parametrize("name", ["light", "dark"])
def test_an_empty_box_in_a_table_is_to_be_seen(window: MainWindow, qtbot: QtBot, name: str) -> None:
    window.commands.set_theme(name)
    window.docks["measures"].raise_()
    panel = window.panel("measures")
    qtbot.waitUntil(panel.view.isVisible, timeout=WAIT_MS)
    index = panel.table.index(0, 0)
    panel.table.setData(index, Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    row = panel.view.visualRect(index)
    box = panel.view.viewport().grab(QRect(row.left(), row.top(), 19, row.height())).toImage()
    ground = theme.current().panel
    assert max(contrast(colour, ground) for colour in colours_in(box)) > LEAST_CONTRAST
    window.commands.set_theme("system")


@pytest.mark.parametrize("name", ["light", "dark"])
def test_train_is_drawn_for_the_ground_it_stands_on(window: MainWindow, name: str) -> None:
    window.commands.set_theme(name)
    action, colours = window.commands.actions["action.train"], theme.current()
    (button,) = (one for one in action.associatedObjects() if isinstance(one, QToolButton))
    for is_enabled in (True, False, True):
        action.setEnabled(is_enabled)
        assert ink_of(action.icon()) == colours.text, "in the menu"
        assert ink_of(button.icon()) == colours.accent_text, "in the toolbar, on the accent"
    window.commands.set_theme("system")
