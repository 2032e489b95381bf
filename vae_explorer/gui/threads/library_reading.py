"""A library of runs beside the window: looking at its folder, reading curves and thumbnails, writing notes, deleting.

One thing at a time, each in a thread of its own that ends with it; what is asked for meanwhile waits, and of looks and
of curves only the newest.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSize, Qt, Signal, Slot
from PySide6.QtGui import QImage, QImageReader

from vae_explorer.errors import UserError
from vae_explorer.gui.tables.runs_table import THUMBNAIL_SIDE
from vae_explorer.gui.threads.failure import Failure, failure_of
from vae_explorer.gui.threads.run_curves import CurvesReader
from vae_explorer.gui.threads.trash import Trashed, move_runs_to_trash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vae_explorer.gui.threads.run_curves import CurvesRequest
    from vae_explorer.runs.library import Library, LibraryScanner
    from vae_explorer.runs.run_notes import RunNotes
    from vae_explorer.runs.run_summary import Picture

_MOST_THUMBNAIL_BYTES = 50_000_000
_MOST_THUMBNAIL_PIXELS = 64_000_000
_THUMBNAIL_SCALE = 2  # sharp on dense screens too
_PROGRESS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class LibraryRead:
    """What a look at a folder found, and how long it took; `failure` where the folder could not be read, and whether
    that is because it is not there.
    """

    folder: Path
    library: Library | None
    seconds: float
    failure: Failure | None = None
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class HowFarLooked:
    """Folders looked at so far, of how many."""

    folder: Path
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is to be done, and whether it goes on when the window closes."""

    work: Callable[[], object]
    is_kept: bool = False


class LibraryReading(QObject):
    """Made and called in the GUI thread, where its signals are emitted.

    library_read(LibraryRead); progressed(HowFarLooked); curves_read(ReadCurves); thumbnails_read(dict of Picture to
    QImage); trashed(Trashed); failed(Failure): notes, curves or a deletion came to nothing.
    """

    library_read = Signal(object)
    progressed = Signal(object)
    curves_read = Signal(object)
    thumbnails_read = Signal(object)
    trashed = Signal(object)
    failed = Signal(object)
    _ended = Signal(object)
    _told = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._closed = threading.Event()
        self._overtaken = threading.Event()
        self._scanner: LibraryScanner | None = None
        self._curves = CurvesReader(self._is_overtaken)
        # The thread must not outlive the widget whose work this is, whichever way that goes.
        self.destroyed.connect(self._closed.set)
        self._ended.connect(self._end, Qt.ConnectionType.QueuedConnection)
        self._told.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way or waits."""
        return self._thread is not None or bool(self._waiting)

    def look(self, folder: Path) -> None:
        """Look at a folder, again only at what changed since; one that another folder overtakes is given up."""
        if self._scanner is not None and self._scanner.folder != folder:
            self._overtaken.set()
        self._ask("look", lambda: self._look(folder))

    def read_curves(self, request: CurvesRequest) -> None:
        """Read what was added to curves since they were last asked for."""
        self._ask("curves", lambda: self._curves.read(request))

    def read_thumbnails(self, pictures: Sequence[Picture]) -> None:
        """Read and shrink pictures."""
        chosen = tuple(pictures)
        self._ask(f"thumbnails {id(chosen)}", lambda: self._thumbnails(chosen))

    def write_notes(self, run: Path, notes: RunNotes) -> None:
        """Keep what a person says of a run, also when the window closes meanwhile."""
        self._ask(f"notes {run}", lambda: _write_notes(run, notes), is_kept=True)

    def move_to_trash(self, folder: Path, runs: Sequence[Path]) -> None:
        """Move runs of that library to the desktop's trash."""
        chosen = tuple(runs)
        self._ask(f"trash {id(chosen)}", lambda: move_runs_to_trash(folder, chosen))

    def close(self, deadline: float = 2.0) -> None:
        """Give up what can be done again, keep what a person wrote, and wait at most so many seconds."""
        self._closed.set()
        until = time.monotonic() + deadline
        kept = [waiting for waiting in self._waiting.values() if waiting.is_kept]
        self._waiting.clear()
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
            self._thread = None
        for waiting in kept:
            with contextlib.suppress(UserError):  # nobody is there any more to be told
                waiting.work()

    # --- one thing after the other

    def _ask(self, kind: str, work: Callable[[], object], is_kept: bool = False) -> None:
        if self._closed.is_set():
            return
        self._waiting[kind] = _Waiting(work, is_kept)
        if self._thread is None:
            self._start_next()

    def _start_next(self) -> None:
        if self._closed.is_set() or not self._waiting:
            return
        # What a person waits for comes before the next look.
        kind = next((kind for kind in self._waiting if kind != "look"), "look")
        following = self._waiting.pop(kind)
        self._overtaken.clear()
        # Not a daemon where a person's words are at stake.
        self._thread = threading.Thread(
            target=self._work, args=(following.work,), name="library reading", daemon=not following.is_kept
        )
        self._thread.start()

    def _work(self, work: Callable[[], object]) -> None:
        result: object
        try:
            result = work()
        except Exception as error:
            result = failure_of(error)
        try:
            self._ended.emit(result)
        except RuntimeError:
            # The widget was closed meanwhile and took this object along.
            return

    @Slot(object)
    def _end(self, result: object) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._closed.is_set():
            return
        self._start_next()
        match result:
            case LibraryRead():
                self.library_read.emit(result)
            case Failure():
                self.failed.emit(result)
            case Trashed():
                self.trashed.emit(result)
            case dict():
                self.thumbnails_read.emit(result)
            case None:
                pass  # done, nothing new, or given up
            case _:
                self.curves_read.emit(result)

    @Slot(object)
    def _tell(self, far: HowFarLooked) -> None:
        if not self._closed.is_set():
            self.progressed.emit(far)

    def _is_overtaken(self) -> bool:
        return self._overtaken.is_set() or self._closed.is_set()

    # --- in the thread

    def _thumbnails(self, pictures: tuple[Picture, ...]) -> dict[Picture, QImage]:
        return {picture: _thumbnail(picture) for picture in pictures if not self._closed.is_set()}

    def _look(self, folder: Path) -> LibraryRead | None:
        from vae_explorer.runs import files
        from vae_explorer.runs.library import LibraryScanner

        begin = time.monotonic()
        if self._scanner is None or self._scanner.folder != folder:
            self._scanner = LibraryScanner(folder)
        told = begin

        def tell(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                with contextlib.suppress(RuntimeError):  # as at the end
                    self._told.emit(HowFarLooked(folder, done, total))

        try:
            library = self._scanner.scan(self._is_overtaken, tell)
        except UserError as error:
            is_missing = not files.exists(folder)
            return LibraryRead(folder, None, time.monotonic() - begin, failure_of(error), is_missing)
        return None if self._is_overtaken() else LibraryRead(folder, library, time.monotonic() - begin)


def _write_notes(run: Path, notes: RunNotes) -> None:
    from vae_explorer.runs.run_notes import write_notes

    write_notes(run, notes)


def _thumbnail(picture: Picture) -> QImage:
    """A small copy; a null image where it cannot be made or would take too much memory."""
    from vae_explorer.runs.own_files import own_file

    status = own_file(picture.path)
    if status is None or status.st_size > _MOST_THUMBNAIL_BYTES:
        return QImage()
    reader = QImageReader(str(picture.path), b"png")
    reader.setAutoDetectImageFormat(False)
    size = reader.size()
    if not size.isValid() or size.width() * size.height() > _MOST_THUMBNAIL_PIXELS:
        return QImage()
    side = _THUMBNAIL_SCALE * THUMBNAIL_SIDE
    reader.setScaledSize(size.scaled(QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1)))
    image = reader.read()
    image.setDevicePixelRatio(_THUMBNAIL_SCALE)
    return image
