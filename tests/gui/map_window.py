"""Waiting for the map of a real window to have drawn all it was asked for."""

from __future__ import annotations

from pytestqt.exceptions import TimeoutError as WaitedTooLong
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow


def settle(window: MainWindow, qtbot: QtBot) -> None:
    """Until every layer asked for is drawn and the map stands still; else says what was not."""
    panel = window.panel("latent_map")
    asking = panel.asking
    try:
        qtbot.waitUntil(lambda: asking.is_settled and not panel.canvas.is_gliding, timeout=WAIT_MS)
    except WaitedTooLong:
        threads = window.session.explorer_thread, window.session.survey_thread
        left = [(sorted(thread._waiting), sorted(thread._under_way), thread._thread) for thread in threads]
        raise AssertionError(
            f"owed {asking._owed}, under way {asking._under_way}, gliding {panel.canvas.is_gliding}, threads {left}"
        ) from None
