"""What tests of the window stand on: tiny images, a window always closed, no warning and no widget left behind."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.tiny_runs import register_tiny, tiny_config, train_tiny
from vae_explorer.gui.session_words import State

if TYPE_CHECKING:
    from tests.gui.beside_stage import Stage
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.training.run_config import RunConfig

WAIT_MS = 20_000

# The offscreen platform has no window frames to tell of size hints; nothing is wrong with the window.
HARMLESS = (
    "This plugin does not support propagateSizeHints()",
    "This plugin does not support raise()",
    "This plugin does not support grabbing the keyboard",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"gui", "workflows"} & set(item.path.parts):
            item.add_marker(pytest.mark.gui)
            item.add_marker(pytest.mark.qt_log_ignore(*HARMLESS, extend=True))


@pytest.fixture(scope="session", autouse=True)
def _frozen() -> Iterator[None]:
    """Modules live for the whole session: looking at them again in every collection takes longer than the tests."""
    import pyqtgraph  # noqa: F401
    import torch  # noqa: F401

    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        # Windows ask whether they are the first to freeze, and the answer counts a million objects one by one.
        patch.setattr(gc, "get_freeze_count", lambda: 1)
        yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication) -> Iterator[None]:
    """Fails a test that leaves a top-level widget behind, or after which Qt complains while things are torn down."""
    before = set(map(id, QApplication.topLevelWidgets()))
    complaints: list[str] = []

    def note(level: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        if level is not QtMsgType.QtDebugMsg and level is not QtMsgType.QtInfoMsg and text not in HARMLESS:
            complaints.append(text)

    yield
    earlier = qInstallMessageHandler(note)
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    QCoreApplication.processEvents()
    # What outlived this collection (modules imported on the way, the frames of a failure) need not be walked again.
    gc.freeze()
    qInstallMessageHandler(earlier)
    left = [widget for widget in QApplication.topLevelWidgets() if id(widget) not in before]
    assert not left, f"widgets left behind: {[f'{type(w).__name__} {w.objectName()}' for w in left]}"
    assert not complaints, complaints


@pytest.fixture(autouse=True)
def _tiny(tiny_images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    register_tiny(monkeypatch, tiny_images)


@pytest.fixture
def long_config() -> RunConfig:
    """A run on tiny images that goes on until it is stopped."""
    config = tiny_config(epochs=100_000)
    return dataclasses.replace(config, recording=dataclasses.replace(config.recording, report_interval_seconds=0.02))


@pytest.fixture
def open_window(qtbot: QtBot, qapp: QApplication, long_config: RunConfig) -> Iterator[Callable[..., MainWindow]]:
    """Opens windows on tiny images; what a test leaves open is closed and deleted."""
    from vae_explorer.gui.application import create_window

    opened: list[MainWindow] = []

    def opening(config: RunConfig | None = None, *, wait: bool = True, run: Path | None = None) -> MainWindow:
        _, window = create_window(["vae-explorer", *([] if run is None else [str(run)])])
        opened.append(window)
        window.commands.ask_to_lose = lambda *_: True  # type: ignore[method-assign]
        window.session.place_config(config or long_config)
        window.showNormal()
        window.resize(1280, 800)
        if wait:
            qtbot.waitUntil(lambda: window.session.state is not State.STARTING, timeout=WAIT_MS)
            assert window.session.state is (State.READY if run is None else State.FINISHED)
        return window

    yield opening
    for window in opened:
        window.close()
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.processEvents()
    for window in opened:
        # pytest holds on to the value of a fixture a little longer; what the window held may go now.
        vars(window).clear()
    opened.clear()


@pytest.fixture
def window(open_window: Callable[..., MainWindow]) -> MainWindow:
    """A window that is warm and ready to train on tiny images."""
    return open_window()


@pytest.fixture
def training_window(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """A window in the middle of a run."""
    with qtbot.waitSignal(window.session.history_changed, timeout=WAIT_MS):
        window.commands.actions["action.train"].trigger()
    return window


@pytest.fixture
def stage_beside(open_window: Callable[..., MainWindow], qtbot: QtBot, tmp_path: Path) -> Callable[..., Stage]:
    """A window on a run of the first configuration, with a run of the second beside it."""
    from tests.gui.beside_stage import Stage

    def staged(first: RunConfig | None = None, second: RunConfig | None = None) -> Stage:
        a, b = first or tiny_config(epochs=3), second or tiny_config(epochs=2, latents=4)
        train_tiny(tmp_path / "first", a)
        train_tiny(tmp_path / "second", b)
        stage = Stage(open_window(a, run=tmp_path / "first"), qtbot)
        stage.compare(tmp_path / "second")
        return stage

    return staged
