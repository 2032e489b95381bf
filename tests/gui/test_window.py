from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QPushButton, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from vae_explorer.gui import theme
from vae_explorer.gui.actions import ACTIONS, MENUS, TOOLBAR
from vae_explorer.gui.commands import Commands
from vae_explorer.gui.default_layout import ON_DEMAND, TABS
from vae_explorer.gui.main_window import PANELS, MainWindow
from vae_explorer.gui.run_file_commands import RunFileCommands
from vae_explorer.gui.session_words import State
from vae_explorer.training.run_config import preset_names, value_of


def test_window_is_built_without_torch_and_shows_nothing() -> None:
    code = (
        "import sys\nfrom vae_explorer.gui.application import create_window\n"
        "app, window = create_window(['vae-explorer'])\n"
        "assert not window.isVisible()\nassert 'torch' not in sys.modules\nassert 'PySide6' in sys.modules\n"
        "window.close()\nprint(window.closed_cleanly)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_names_of_the_contract(window: MainWindow) -> None:
    assert {dock.objectName() for dock in window.docks.values()} == {f"panel.{name}" for name, _, _ in PANELS}
    ids = {action.objectName() for action in window.all_actions()}
    assert {"action.train", "action.pause", "action.stop", "action.step", "action.save_samples"} <= ids
    assert len(ids) == len(window.all_actions())
    assert {f"action.preset_{name}" for name in preset_names()} <= ids


def test_action_table_is_complete() -> None:
    assert len({record.id for record in ACTIONS}) == len(ACTIONS)
    for record in ACTIONS:
        assert record.text, record.id
        assert record.help, record.id
        assert not record.help.endswith("."), record.id
        assert record.menu.split("/")[0] in MENUS, record.id
        assert callable(getattr(Commands, record.handler, None) or getattr(RunFileCommands, record.handler)), record.id
    assert {name for name in TOOLBAR if name} <= {record.id for record in ACTIONS}


def test_no_key_is_used_twice(window: MainWindow) -> None:
    records = window.commands.records
    keys = [QKeySequence.fromString(key).toString() for record in records for key in record.keys]
    assert all(keys)
    assert not [key for key, count in Counter(keys).items() if count > 1]


def test_every_action_is_in_a_menu_and_has_a_name_for_screen_readers(window: MainWindow) -> None:
    reachable = set()
    menus = [action.menu() for action in window.menuBar().actions()]
    while menus:
        for action in menus.pop().actions():
            reachable.add(action.objectName())
            if action.menu() is not None:
                menus.append(action.menu())
    assert {action.objectName() for action in window.all_actions()} <= reachable
    for dock in window.docks.values():
        assert dock.panel.accessibleName()


def test_menus_follow_the_state(window: MainWindow, qtbot: QtBot) -> None:
    actions = window.commands.actions
    assert actions["action.train"].isEnabled()
    assert not actions["action.pause"].isEnabled()
    assert not actions["action.stop"].isEnabled()
    actions["action.train"].trigger()
    assert not actions["action.train"].isEnabled()
    assert actions["action.stop"].isEnabled()
    qtbot.waitUntil(lambda: window.session.run_directory is not None, timeout=10_000)
    actions["action.pause"].trigger()
    qtbot.waitUntil(lambda: window.session.state is State.PAUSED, timeout=10_000)
    assert actions["action.pause"].text() == "Continue"
    assert actions["action.open_run_folder"].isEnabled()


def test_docks_close_come_back_and_are_reset(window: MainWindow, qtbot: QtBot) -> None:
    dock = window.docks["bound_curves"]
    dock.close()
    assert not dock.isVisible()
    dock.toggleViewAction().trigger()
    assert dock.isVisible()
    window.docks["latent_map"].setFloating(True)
    window.docks["samples"].close()
    window.commands.actions["action.reset_layout"].trigger()
    assert not window.docks["latent_map"].isFloating()
    assert {name for name, dock in window.docks.items() if not dock.toggleViewAction().isChecked()} == set(ON_DEMAND)
    assert window.dockWidgetArea(window.docks["run_config"]) is Qt.DockWidgetArea.LeftDockWidgetArea


def test_default_layout_gives_the_map_the_middle(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.docks["latent_map"].width() > 500, timeout=5000)
    places = {name: dock.geometry() for name, dock in window.docks.items()}
    map_place = places["latent_map"]
    assert map_place.width() * map_place.height() == max(p.width() * p.height() for p in places.values())
    assert places["run_config"].right() < map_place.left()
    assert map_place.right() < places["decoded_image"].left()
    assert map_place.bottom() < places["bound_curves"].top()
    assert window.rect().contains(places["kl_dimensions"])
    view = window.panel("decoded_image").view
    assert min(view.width(), view.height()) >= 170, "what one looks at is large even in a small window"


def test_layout_theme_and_rate_are_remembered(open_window: Callable[..., MainWindow]) -> None:
    first = open_window()
    first.docks["kl_dimensions"].close()
    first.commands.set_theme("dark")
    first.commands.set_looking_rate("10")
    first.close()
    second = open_window()
    assert second.docks["kl_dimensions"].isHidden()
    assert theme.notifier().choice == "dark"
    assert second.session.looking_rate == 10
    assert second.commands.actions["action.looking_10"].isChecked()
    second.commands.set_theme("system")


@pytest.mark.parametrize(
    "content", ["", "[window]\nlayout=@ByteArray(rubbish)\ngeometry=7\n", "\x00\xff[[[\n=", "[theme"]
)
def test_settings_that_cannot_be_read_give_the_default_layout(
    open_window: Callable[..., MainWindow], content: str
) -> None:
    from vae_explorer.gui.settings import config_folder

    config_folder().mkdir(parents=True, exist_ok=True)
    (config_folder() / "window.ini").write_text(content, encoding="latin-1")
    window = open_window()
    assert {name for name, dock in window.docks.items() if dock.isHidden()} == set(ON_DEMAND)


def test_a_remembered_layout_leaves_no_tab_bar_over_the_menus(
    open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    first = open_window()
    first.tabifyDockWidget(first.docks["bound_curves"], first.docks["kl_dimensions"])
    first.close()
    second = open_window()
    assert second.docks["kl_dimensions"] in second.tabifiedDockWidgets(second.docks["bound_curves"])

    def bars() -> list[QTabBar]:
        found = second.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return [bar for bar in found if bar.isVisible() and bar.geometry().intersects(second.rect())]

    def are_in_place() -> bool:
        below = second.docks["latent_map"].y()
        return len(bars()) == len(TABS) and all(bar.y() > below for bar in bars())

    qtbot.waitUntil(are_in_place, timeout=5000)
    second.reset_layout()
    qtbot.waitUntil(are_in_place, timeout=5000)
    assert second.docks["kl_dimensions"] not in second.tabifiedDockWidgets(second.docks["bound_curves"])


def test_hidden_panels_are_told(window: MainWindow, qtbot: QtBot) -> None:
    dock = window.docks["latent_map"]
    assert dock._seen
    with qtbot.waitSignal(dock.seen_changed, timeout=5000):
        dock.close()
    assert not dock._seen
    assert not window.docks["reconstructions"]._seen, "behind a tab"
    window.showMinimized()
    qtbot.waitUntil(lambda: not window.docks["bound_curves"]._seen, timeout=5000)


def test_theme_reaches_palette_and_listeners(window: MainWindow, qapp: QApplication) -> None:
    seen: list[theme.Theme] = []
    theme.notifier().changed.connect(seen.append)
    try:
        window.commands.actions["action.theme_dark"].trigger()
        assert theme.current().is_dark
        assert qapp.palette().window().color().name() == theme.DARK.panel
        window.commands.actions["action.theme_light"].trigger()
        assert not theme.current().is_dark
        assert [colours.name for colours in seen] == ["dark", "light"]
    finally:
        theme.notifier().changed.disconnect(seen.append)


def test_keyboard_goes_from_panel_to_panel(window: MainWindow, qapp: QApplication, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    reached = set()
    for _ in window.docks:
        window.commands.actions["action.next_panel"].trigger()
        focused = QApplication.focusWidget()
        reached |= {name for name, dock in window.docks.items() if focused is not None and dock.isAncestorOf(focused)}
    assert {"run_config", "latent_map", "bound_curves"} <= reached


def test_tab_goes_round_the_window_through_what_can_be_seen(
    window: MainWindow, qapp: QApplication, qtbot: QtBot
) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    qtbot.waitUntil(lambda: window.docks["latent_map"].width() > 500, timeout=5000)
    first = QApplication.focusWidget()
    assert first is not None
    for key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
        reached: list[QWidget] = []
        while len(reached) < 120:
            qtbot.keyClick(QApplication.focusWidget(), key)
            reached.append(QApplication.focusWidget())
            if reached[-1] is first:
                break
        assert reached[-1] is first, "the keyboard is trapped"
        assert window.panel("latent_map").canvas in reached
        for widget in reached:
            dock = next((dock for dock in window.docks.values() if dock.isAncestorOf(widget)), None)
            assert dock is None or dock.is_seen
            assert dock is None or widget.accessibleName() or getattr(widget, "text", str)()
        qapp.processEvents()
        assert all(window.rect().intersects(bar.geometry()) for bar in reached if isinstance(bar, QTabBar))


def test_preset_is_one_undo_step(window: MainWindow) -> None:
    before = window.session.config
    window.commands.actions["action.preset_tutorial"].trigger()
    assert value_of(window.session.config, "model.latent_dimensions") == 20
    undo = window.commands.actions["action.undo"]
    assert undo.isEnabled()
    assert "preset" in undo.text().lower()
    undo.trigger()
    assert window.session.config == before


@pytest.mark.parametrize("name", ["action.shortcuts", "action.command_palette", "action.about", "action.save_samples"])
def test_dialogs_open_once_and_close(window: MainWindow, qtbot: QtBot, name: str) -> None:
    window.commands.actions[name].trigger()
    window.commands.actions[name].trigger()
    assert len(window.commands._dialogs) == 1
    dialog = next(iter(window.commands._dialogs.values()))
    qtbot.waitExposed(dialog)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.commands._dialogs, timeout=5000)


def test_buttons_of_dialogs_have_no_platform_icons(window: MainWindow) -> None:
    for name in ("action.shortcuts", "action.about", "action.save_samples", "action.save_map"):
        window.commands.actions[name].trigger()
    buttons = [button for dialog in window.commands._dialogs.values() for button in dialog.findChildren(QPushButton)]
    assert len(buttons) >= 5
    assert all(button.icon().isNull() for button in buttons)
