"""The command palette: a few letters find a command, Enter runs it, what cannot run now says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from vae_explorer.gui.actions import ACTIONS
from vae_explorer.gui.dialogs.command_palette import CommandPalette, score, title_of

pytestmark = pytest.mark.gui

COMMANDS = (
    ("Save sample grid…", "Ctrl+S", True),
    ("Save reconstructions…", "", True),
    ("&Train", "Ctrl+T", True),
    ("Stop", "Ctrl+.", False),
    ("Dark", "", True),
)


@pytest.fixture
def palette(qtbot: QtBot) -> Iterator[CommandPalette]:
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(800, 600)
    parent.show()
    actions = []
    for text, keys, enabled in COMMANDS:
        action = QAction(text, parent)
        action.setShortcut(QKeySequence(keys))
        action.setEnabled(enabled)
        action.setStatusTip(f"About {text}")
        actions.append(action)
    palette = CommandPalette(actions, parent)
    palette.show()
    yield palette
    palette.close()


def titles(palette: CommandPalette) -> list[str]:
    return [palette.list.item(row).text() for row in range(palette.list.count())]


def test_all_commands_are_listed_at_first(palette: CommandPalette) -> None:
    assert titles(palette) == ["Save sample grid…", "Save reconstructions…", "Train", "Stop", "Dark"]
    assert palette.list.currentRow() == 0


@pytest.mark.parametrize(
    ("query", "first"),
    [("ssg", "Save sample grid…"), ("recon", "Save reconstructions…"), ("tr", "Train"), ("dark", "Dark")],
)
def test_a_few_letters_find_a_command(palette: CommandPalette, qtbot: QtBot, query: str, first: str) -> None:
    qtbot.keyClicks(palette.field, query)
    assert titles(palette)[0] == first


def test_letters_that_fit_nothing_leave_an_empty_list(palette: CommandPalette, qtbot: QtBot) -> None:
    qtbot.keyClicks(palette.field, "qqq")
    assert titles(palette) == []
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()


def test_enter_runs_the_chosen_command_and_closes(palette: CommandPalette, qtbot: QtBot) -> None:
    action = palette._actions[2]
    with qtbot.waitSignal(action.triggered, timeout=1000):
        qtbot.keyClicks(palette.field, "train")
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()


def test_arrows_choose_without_leaving_the_field(palette: CommandPalette, qtbot: QtBot) -> None:
    ran: list[bool] = []
    palette._actions[1].triggered.connect(lambda: ran.append(True))
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentRow() == 1
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentRow() == len(COMMANDS) - 1
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert ran == [True]


def test_a_command_that_is_not_available_does_not_run(palette: CommandPalette, qtbot: QtBot) -> None:
    ran: list[bool] = []
    palette._actions[3].triggered.connect(lambda: ran.append(True))
    qtbot.keyClicks(palette.field, "stop")
    assert titles(palette)[0] == "Stop"
    assert "not available now" in palette.list.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert ran == []
    assert palette.isVisible()
    assert not palette.grab().isNull()


def test_escape_closes(palette: CommandPalette, qtbot: QtBot) -> None:
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_every_action_of_the_table_is_found_by_its_own_name() -> None:
    titles = [record.text for record in ACTIONS]
    for text in titles:
        ranked = sorted(titles, key=lambda other: -(found if (found := score(text, other)) is not None else -1e9))
        assert ranked[0] == text


def test_scores_prefer_starts_of_words_and_runs() -> None:
    def value(query: str, text: str) -> float:
        found = score(query, text)
        assert found is not None
        return found

    assert value("sam", "Samples") > value("sam", "Save reconstructions map")
    assert value("map", "Latent map") > value("map", "My long paper")
    assert score("xyz", "Train") is None
    assert score("", "Train") == 0.0


def test_mnemonic_marks_are_not_shown(qtbot: QtBot) -> None:
    assert title_of(QAction("&Save && close")) == "Save & close"


def test_nothing_found_is_said(palette: CommandPalette, qtbot: QtBot) -> None:
    assert not palette.nothing.isVisible()
    qtbot.keyClicks(palette.field, "qqqq")
    assert not titles(palette)
    assert palette.nothing.isVisible()
    assert palette.nothing.text() == "No command matches."
    palette.field.clear()
    assert not palette.nothing.isVisible()
