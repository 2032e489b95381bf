"""Starts the window: paints it first, then imports torch and loads the images behind it.

`create_window` builds everything and shows nothing; `main` shows it, runs it and gives the exit status.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSocketNotifier, QTimer, Slot
from PySide6.QtWidgets import QApplication

from vae_explorer.gui import theme
from vae_explorer.gui.layer_memory import restore_layers
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Session
from vae_explorer.gui.session_words import State
from vae_explorer.gui.settings import Settings, state_folder
from vae_explorer.gui.window_memory import RUNS_PANEL

if TYPE_CHECKING:
    from types import FrameType

_COLLECT_MS = 2000
_FULL_COLLECTION_EVERY = 15
_STOPPED_BY_SIGNAL = 130


def create_window(argv: Sequence[str]) -> tuple[QApplication, MainWindow]:
    """The application and its window, not shown yet; a path after the program's name is the run to look at.

    The warm-up begins after the first paint, or at once in the event loop where the window is never shown.
    """
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(list(argv))
    app.setApplicationName("vae-explorer")
    app.setApplicationDisplayName("VAE Explorer")
    settings = Settings()
    theme.apply(app, settings.text("theme", "system", theme.THEME_CHOICES))  # type: ignore[arg-type]
    session = Session(settings.config())
    session.set_looking_rate(settings.number("looking/rate", session.looking_rate, 0.0, 10.0))
    restore_layers(session.map, settings.table("map/layers"))
    remembered = settings.text("runs/folder", "")
    if remembered and os.access(remembered, os.W_OK):
        session.runs_folder = Path(remembered)
    window = MainWindow(session, settings)
    window.panel("runs").restore(settings.table(RUNS_PANEL))
    window.error_reports.install()
    _Start(window, Path(argv[1]) if len(argv) > 1 else None)
    return app, window


def main(argv: Sequence[str] | None = None) -> int:
    """Show the window and run it to its end; the exit status of the contract."""
    app, window = create_window(sys.argv if argv is None else argv)
    with _CrashFile(window), _Signals(window) as signals:
        window.closed.connect(app.quit)
        window.show()
        app.exec()
        window.close()
        cleanly = window.closed_cleanly
        # The window goes before the application: the other order crashes now and then.
        window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        app.processEvents()
    del window
    gc.collect()
    if signals.caught:
        return _STOPPED_BY_SIGNAL
    if not cleanly:
        print("The end of the run could not be saved.\nIts last checkpoint is kept in the run folder.", file=sys.stderr)
    return 0 if cleanly else 1


class _Start(QObject):
    """Begins the warm-up when the window can be seen, and takes over garbage collection."""

    def __init__(self, window: MainWindow, run: Path | None) -> None:
        super().__init__(window)
        self._window = window
        self._run = run
        # Collected in the GUI thread only: in a worker it would destroy Qt objects there, and a full one takes 90 ms.
        gc.disable()
        self._collections = 0
        self._froze = False
        self._has_ended = False
        self._timer = QTimer(self)
        self._timer.setInterval(_COLLECT_MS)
        self._timer.timeout.connect(self._collect)
        window.first_painted.connect(self._warm_up)
        window.closed.connect(self._end)
        window.session.state_changed.connect(self._state_changed)
        QTimer.singleShot(0, self, self._warm_up_unseen)

    @Slot()
    def _warm_up_unseen(self) -> None:
        if not self._window.isVisible():
            self._warm_up()

    @Slot()
    def _warm_up(self) -> None:
        session = self._window.session
        if session.state is not State.STARTING:
            return
        if self._run is None:
            session.prepare()
        else:
            session.open_run(self._run)

    @Slot(object)
    def _state_changed(self, state: State) -> None:
        if state not in {State.READY, State.FINISHED} or self._has_ended:
            return
        self._timer.start()
        if gc.get_freeze_count() == 0:
            # What torch and Qt brought along lives for ever and need not be looked at, not even once: a collection of
            # all of it, here or while torch is being imported, was seen to hold the window for a third of a second.
            gc.freeze()
            self._froze = True
        if self._run is None:
            self._window.memory.offer_left_behind()
            self._window.session.look_for_broken_off_runs()

    @Slot()
    def _collect(self) -> None:
        self._collections += 1
        gc.collect(2 if self._collections % _FULL_COLLECTION_EVERY == 0 else 1)

    @Slot()
    def _end(self) -> None:
        self._has_ended = True
        self._timer.stop()
        if self._froze:
            # What stays frozen to the end is never taken apart, and its libraries complain of that on stderr.
            gc.unfreeze()
        gc.enable()


class _Signals:
    """SIGINT and SIGTERM close the window as a person would, a second one leaves at once.

    Python runs its handlers only between two bytecodes, which may be a long time off in an idle Qt loop; the wake-up
    socket brings the loop back.
    """

    def __init__(self, window: MainWindow) -> None:
        self.caught = False
        self._window = window
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._notifier = QSocketNotifier(self._receiver.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._wake)
        self._earlier: list[tuple[int, object]] = []
        self._earlier_fd = -1

    def __enter__(self) -> _Signals:
        self._earlier_fd = signal.set_wakeup_fd(self._sender.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            self._earlier.append((number, signal.signal(number, self._handle)))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier:
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._earlier_fd)
        self._notifier.setEnabled(False)
        self._notifier.deleteLater()
        self._receiver.close()
        self._sender.close()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.caught:
            os._exit(_STOPPED_BY_SIGNAL)
        self.caught = True
        QTimer.singleShot(0, self._window.close)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._receiver.recv(64)


class _CrashFile(contextlib.AbstractContextManager[None]):
    """Has a crash of the interpreter written to the state folder, and tells of an earlier one once."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._file: IO[str] | None = None
        self._path = state_folder() / f"crash-{os.getpid()}.txt"

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._tell_earlier()
            self._file = self._path.open("w", encoding="utf-8")
        except OSError:
            faulthandler.enable()
            return
        faulthandler.enable(self._file)

    def __exit__(self, *_: object) -> None:
        faulthandler.disable()
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _tell_earlier(self) -> None:
        for path in sorted(self._path.parent.glob("crash-*.txt")):
            if _is_running(path.stem.removeprefix("crash-")):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")[:100_000]
            path.unlink()
            if text.strip():
                self._window.session.post(
                    "warning",
                    "VAE Explorer ended by a crash the last time.",
                    "The details can be copied and sent along; its runs kept their last checkpoints.",
                    details=text,
                )


def _is_running(pid: str) -> bool:
    if not pid.isdigit() or sys.platform == "win32":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return int(pid) != os.getpid()
