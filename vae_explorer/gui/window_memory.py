"""What the window keeps while it runs, so that a crash costs none of it: form, layers, layout, arrangement, open run;
and what the library's panel remembers.

Kept a second after the last change, and at the end. What was arranged on the map goes into the run's own folder and
comes back whenever that run is opened. GUI thread only.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from vae_explorer.errors import FileError
from vae_explorer.gui.layer_memory import layer_table
from vae_explorer.gui.session_words import Offer
from vae_explorer.gui.settings import LAYOUT_VERSION
from vae_explorer.gui.threads.writing import FileWriting
from vae_explorer.latent.arrangement import Arrangement
from vae_explorer.runs import files
from vae_explorer.runs.arrangement_file import FILE, arrangement_bytes
from vae_explorer.runs.writer_lock import is_broken_off, is_gone, this_process

if TYPE_CHECKING:
    from vae_explorer.errors import UserError
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.runs.run_directory import RunDirectory

_KEEP_AFTER_MS = 1000
_LOOKED_AT = "session/looked_at"
RUNS_PANEL = "runs/panel"
"""The key of what the library's panel remembers."""


class WindowMemory(QObject):
    """Keeps what the window should come back with; offers the run that an earlier window was lost with."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._session = window.session
        self._settings = window.settings
        self._left_behind = window.settings.table(_LOOKED_AT)
        self._kept: tuple[Path, Arrangement] | None = None
        self._has_told = False
        self._writing = FileWriting(self)
        self._writing.failed.connect(self._tell)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_KEEP_AFTER_MS)
        self._timer.timeout.connect(self.keep)
        session = window.session
        for changed in (session.config_changed, session.map.layer_changed, session.map.layer_faded,
                        session.map.arranged, session.state_changed, session.run_opened):  # fmt: skip
            changed.connect(self._note)
        session.run_opened.connect(self._take_over)
        for dock in window.docks.values():
            for changed in (dock.dockLocationChanged, dock.topLevelChanged, dock.visibilityChanged):
                changed.connect(self._note)

    @Slot()
    def _note(self, *_: object) -> None:
        self._timer.start()

    @Slot(object)
    def _take_over(self, _event: object) -> None:
        """What came with an opened run is on the disk already."""
        run = self._session.run_directory
        self._kept = None if run is None else (run.path, self._session.map.arrangement)

    @Slot()
    def keep(self) -> None:
        """Write what has changed."""
        self._keep_settings()
        run, is_busy = self._session.run_directory, self._writing.is_busy
        if run is None or not self._is_other(run):
            return
        if is_busy:
            self._timer.start()
            return
        self._kept = (run.path, self._session.map.arrangement)
        self._writing.start(run.path / FILE, partial(arrangement_bytes, self._session.map.arrangement))

    def _keep_settings(self) -> None:
        settings, session = self._settings, self._session
        settings.remember_config(session.config)
        settings.remember_table("map/layers", layer_table(session.map))
        settings.remember_table(RUNS_PANEL, self._window.panel("runs").memory())
        settings.remember("window/geometry", self._window.saveGeometry())
        settings.remember("window/layout", self._window.saveState(LAYOUT_VERSION))
        run = session.run_directory
        if run is None:
            settings.forget(_LOOKED_AT)
        else:
            settings.remember_table(_LOOKED_AT, {**this_process(), "path": str(run.path)})
        settings.save()

    def end(self) -> None:
        """Keep everything a last time: the window goes of its own will, and offers nothing at the next start."""
        self._timer.stop()
        self._keep_settings()
        self._settings.forget(_LOOKED_AT)
        run = self._session.run_directory
        if run is not None and self._is_other(run):
            # At once: there is no window left to hold up, and none to complain to.
            with suppress(FileError):
                files.write_bytes_atomic(run.path / FILE, arrangement_bytes(self._session.map.arrangement))

    def offer_left_behind(self) -> None:
        """Offer the run that a window looked at when it was lost; one that was in training is offered elsewhere."""
        left_behind, self._left_behind = self._left_behind, {}
        try:
            pid, start, path = (left_behind[name] for name in ("pid", "start", "path"))
            path = Path(str(path))
            if not is_gone(int(pid), int(start)) or not path.is_dir() or is_broken_off(path):
                return
        except (KeyError, TypeError, ValueError, OSError):
            return
        self._session.post(
            "info", f"The window was lost while it showed the run {path.name}.", "Nothing of the run is missing.",
            offers=(Offer("Look at it again", partial(self._session.open_run, path)),),
        )  # fmt: skip

    def _is_other(self, run: RunDirectory) -> bool:
        """Whether the arrangement is another one than the run's folder holds."""
        now = (run.path, self._session.map.arrangement)
        is_new = self._kept is None or self._kept[0] != run.path
        return now != self._kept and not (is_new and now[1] == Arrangement())

    @Slot(object)
    def _tell(self, error: UserError) -> None:
        if not self._has_told:
            self._has_told = True
            self._session.post("info", f"What is arranged on the map is not kept: {error.message}", error.hint)
