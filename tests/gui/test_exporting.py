"""File > Export: every thing that a run can be asked for, from the menu to a file that another program reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.export.exportables import EXPORTABLES
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import Message

Opener = Callable[..., MainWindow]
LONG_MS = 60_000


def answering(monkeypatch: pytest.MonkeyPatch, path: Path | str) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


@pytest.mark.parametrize("name", EXPORTABLES)
def test_each_is_written_beside_the_window_and_told(
    name: str, open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_tiny(tmp_path / "run", tiny_config())[0]
    window = open_window(tiny_config(), run=run.path)
    told: list[Message] = []
    window.session.message_posted.connect(told.append)
    out = tmp_path / "out" / f"it{EXPORTABLES[name].endings[0]}"
    out.parent.mkdir()
    answering(monkeypatch, out)
    window.commands.actions[f"action.export_{name}"].trigger()
    qtbot.waitUntil(lambda: len(told) == 2 and not window.commands.files.exporting.is_busy, timeout=LONG_MS)
    assert told[1].kind == "info", told[1]
    assert told[1].text.startswith(f"Saved {out}") or str(out) in told[1].hint
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: bool(shown.append(url.toLocalFile())))
    (offer,) = told[1].offers
    offer.accept()
    assert shown == [str(out.parent)]
    assert told[2].text == f"It is in {out.parent}."
    assert out.exists()
    assert [path.name for path in out.parent.iterdir()] == [out.name], "nothing half-written"


def test_quit_stays_the_last_of_its_menu(window: MainWindow) -> None:
    menu = next(action.menu() for action in window.menuBar().actions() if action.text().replace("&", "") == "File")
    assert menu.actions()[-1] is window.commands.actions["action.quit"]
    assert [action.text() for action in menu.actions() if action.menu()] == ["Export"]


def test_a_name_that_does_not_suit_is_told_and_without_a_run_there_is_nothing_to_export(
    open_window: Opener, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_tiny(tmp_path / "run", tiny_config())[0]
    window = open_window(tiny_config())
    actions = [window.commands.actions[f"action.export_{name}"] for name in EXPORTABLES]
    assert not any(action.isEnabled() for action in actions)
    with qtbot.waitSignal(window.session.run_opened, timeout=WAIT_MS):
        window.session.open_run(run.path)
    qtbot.waitUntil(lambda: all(action.isEnabled() for action in actions), timeout=WAIT_MS)
    answering(monkeypatch, "")
    actions[0].trigger()
    assert not window.commands.files.exporting.is_busy, "nothing was chosen"
    answering(monkeypatch, tmp_path / "decoder.docx")
    told: list[Message] = []
    window.session.message_posted.connect(told.append)
    window.commands.actions["action.export_decoder"].trigger()
    qtbot.waitUntil(lambda: any(message.kind == "error" for message in told), timeout=LONG_MS)
    assert "decoder.docx is no name for" in told[-1].text
    assert "onnx" in told[-1].hint
