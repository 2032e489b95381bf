"""What one can do with any picture on the screen: copy it, save it as PNG, drag it out. GUI thread only."""

from __future__ import annotations

import atexit
import functools
import itertools
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, QStandardPaths, Qt, QTemporaryDir, QUrl, Signal, Slot
from PySide6.QtGui import (
    QContextMenuEvent,
    QDrag,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPixmap,
)
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.session_facts import SessionFacts
from vae_explorer.gui.settings import Settings
from vae_explorer.gui.threads.writing import FileWriting

UInt8 = np.ndarray[Any, np.dtype[np.uint8]]

_FOLDER_KEY = "save_picture.folder"
_DRAGGED_SIDE = 64  # logical pixels of the picture under the mouse while it is dragged


class ShownPicture(NamedTuple):
    """A picture in its own size, uint8 (H, W) or (H, W, 3), and what it is: "kind", "step", "z", "item" and so on."""

    pixels: UInt8
    facts: Mapping[str, str]


def to_image(picture: UInt8) -> QImage:
    """A QImage of its own from uint8 (H, W) or (H, W, 3)."""
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    if picture.ndim == 2:
        return QImage(picture.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
    return QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def pixels_of(image: QImage) -> UInt8:
    """The pixels of an image that `to_image` made, or a part of one: uint8 (H, W) or (H, W, 3)."""
    is_grey = image.format() == QImage.Format.Format_Grayscale8
    if not is_grey:
        image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    if is_grey:
        return rows[:, : image.width()].copy()
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


class ImageActions(QObject):
    """Gives a widget of pictures a menu, copying, saving and dragging out; made once for it and owned by it.

    `picture_at` names the picture at a place of the widget, None where there is none; `chosen_at` the place that the
    keyboard means, the middle unless told; `whole` all pictures as one, for widgets that show many. Without
    `is_draggable` a drag is left to the widget.
    What a picture is of, beyond its own facts, and where trouble is told comes from the session of the panel around.

    menu_opening(QMenu, QPoint in the widget): whoever has more to offer adds it before the menu is shown.
    """

    menu_opening = Signal(QMenu, QPoint)

    def __init__(
        self,
        widget: QWidget,
        picture_at: Callable[[QPoint], ShownPicture | None],
        *,
        chosen_at: Callable[[], QPoint] | None = None,
        whole: Callable[[], ShownPicture | None] | None = None,
        is_draggable: bool = True,
    ) -> None:
        super().__init__(widget)
        self._widget = widget
        self._picture_at = picture_at
        self._chosen_at = chosen_at
        self._whole = whole
        self._is_draggable = is_draggable
        self._pressed_at: QPoint | None = None
        self._writing = FileWriting(self)
        self._writing.written.connect(self._tell_written)
        self._writing.failed.connect(self._tell)
        widget.installEventFilter(self)

    # --- what a person does

    def copy(self, picture: ShownPicture) -> None:
        """Put a picture on the clipboard, in its own size."""
        QGuiApplication.clipboard().setImage(to_image(picture.pixels))

    def copy_chosen(self) -> bool:
        """Copy the picture that the keyboard means; whether there is one."""
        picture = self._picture_at(self._chosen_place())
        if picture is not None:
            self.copy(picture)
        return picture is not None

    def ask_where_to_save(self, picture: ShownPicture) -> None:
        """Let the person choose a file, and write the picture there."""
        settings = Settings()
        home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        start = Path(settings.text(_FOLDER_KEY, home)) / f"{file_stem(picture.facts)}.png"
        chosen, _ = QFileDialog.getSaveFileName(self._widget, "Save the picture", str(start), "PNG pictures (*.png)")
        if chosen:
            path = Path(chosen)
            settings.remember(_FOLDER_KEY, str(path.parent))
            self.save(path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png"), picture)

    def save(self, path: Path, picture: ShownPicture) -> None:
        """Write a picture as PNG, in a thread, with its facts as text chunks; the window tells how it went."""
        if self._writing.is_busy:
            self._tell(UserError("Another picture is being written.", "Save this one when that is done."))
            return
        self._writing.start(path, partial(_png, picture.pixels, self._told_facts(picture)))

    def mime_data(self, picture: ShownPicture) -> QMimeData:
        """What a dragged picture carries: the image, and a PNG file for those who take files.

        The file stays until the program ends: nobody tells when its receiver has read it.
        """
        data = QMimeData()
        data.setImageData(to_image(picture.pixels))
        try:
            data.setUrls([QUrl.fromLocalFile(str(_drag_file(picture.pixels, self._told_facts(picture))))])
        except UserError as error:
            self._tell(error)
        return data

    def open_menu(self, position: QPoint, screen_position: QPoint) -> QMenu | None:
        """Show what can be done with the picture at a place of the widget."""
        picture = self._picture_at(position)
        whole = None if self._whole is None else self._whole()
        if picture is None and whole is None:
            return None
        menu = QMenu(self._widget)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        of = "" if whole is None else " this picture"
        if picture is not None:
            copy = menu.addAction(f"Copy{of}", partial(self.copy, picture))
            copy.setShortcut(QKeySequence.StandardKey.Copy)
            menu.addAction(f"Save{of}…" if of else "Save as…", partial(self.ask_where_to_save, picture))
        if whole is not None:
            menu.addAction("Save the whole grid…", partial(self.ask_where_to_save, whole))
        self.menu_opening.emit(menu, position)
        menu.popup(screen_position)
        return menu

    # --- the widget's events

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Menu, copying and dragging; everything else is left to the widget."""
        kind = event.type()
        if kind is QEvent.Type.MouseMove:
            return self._pressed_at is not None and isinstance(event, QMouseEvent) and self._drags(event)
        if kind is QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            is_start = self._is_draggable and event.button() is Qt.MouseButton.LeftButton
            self._pressed_at = event.position().toPoint() if is_start else None
        elif kind is QEvent.Type.MouseButtonRelease:
            self._pressed_at = None
        elif kind is QEvent.Type.ContextMenu and isinstance(event, QContextMenuEvent):
            is_by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
            position = self._chosen_place() if is_by_key else event.pos()
            self.open_menu(position, self._widget.mapToGlobal(position))
            return True
        elif isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy):
            # Accepted as an override, it comes again as a key press and is nobody else's.
            event.accept()
            return kind is not QEvent.Type.KeyPress or self.copy_chosen()
        return False

    def _drags(self, event: QMouseEvent) -> bool:
        pressed_at = self._pressed_at
        if pressed_at is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return False
        if (event.position().toPoint() - pressed_at).manhattanLength() < QApplication.startDragDistance():
            return False
        self._pressed_at = None
        picture = self._picture_at(pressed_at)
        if picture is None:
            return False
        self._drag(picture)
        return True

    def _drag(self, picture: ShownPicture) -> None:
        drag = QDrag(self._widget)
        drag.setMimeData(self.mime_data(picture))
        side = round(_DRAGGED_SIDE * self._widget.devicePixelRatioF())
        ratio = Qt.AspectRatioMode.KeepAspectRatio
        drag.setPixmap(QPixmap.fromImage(to_image(picture.pixels).scaled(side, side, ratio)))
        drag.exec(Qt.DropAction.CopyAction)

    def _chosen_place(self) -> QPoint:
        return self._widget.rect().center() if self._chosen_at is None else self._chosen_at()

    # --- of the session

    def _told_facts(self, picture: ShownPicture) -> dict[str, str]:
        facts = {"software": "VAE Explorer", "kind": self._widget.accessibleName() or "picture"}
        session = _session_around(self._widget)
        if session is not None and session.snapshot is not None:
            facts |= {"run": session.snapshot.run_name, "model": session.snapshot.model_name}
        return facts | dict(picture.facts)

    @Slot(object)
    def _tell(self, error: UserError) -> None:
        session = _session_around(self._widget)
        if session is not None:
            session.post_error(error)

    @Slot(object)
    def _tell_written(self, path: Path) -> None:
        session = _session_around(self._widget)
        if session is not None:
            session.post("info", f"The picture was saved as {path.name}.")


def point_in_full(z_D: np.ndarray) -> str:
    """A latent point for a file: every coordinate to its last digit."""
    return " ".join(repr(float(value)) for value in z_D)


def file_stem(facts: Mapping[str, str]) -> str:
    """A file name without ending from what a picture is, such as "decoded step 1200"."""
    words = [facts.get("kind", "picture")]
    words += [f"{name} {facts[name]}" for name in ("item", "step") if facts.get(name)]
    return re.sub(r"[^\w\- ]+", "", " ".join(words)).strip() or "picture"


def _session_around(widget: QWidget) -> SessionFacts | None:
    """The session of the nearest panel or window that has one."""
    around: QWidget | None = widget
    while around is not None:
        session = getattr(around, "session", None)
        if isinstance(session, SessionFacts):
            return session
        around = around.parentWidget()
    return None


def _png(pixels: UInt8, facts: Mapping[str, str]) -> bytes:
    from vae_explorer.runs.png import png_bytes

    return png_bytes(pixels, facts)


@functools.cache
def _drag_folder() -> QTemporaryDir:
    folder = QTemporaryDir()
    atexit.register(folder.remove)
    return folder


_drag_numbers = itertools.count(1)


def _drag_file(pixels: UInt8, facts: Mapping[str, str]) -> Path:
    """A file of its own for each drag, in a folder of its own, so that its name can be a plain one."""
    from vae_explorer.export.images import save_png

    folder = _drag_folder()
    if not folder.isValid():
        raise UserError("A dragged picture cannot be put into a file.", "Make room in the folder for temporary files.")
    path = Path(folder.filePath(str(next(_drag_numbers)))) / f"{file_stem(facts)}.png"
    try:
        path.parent.mkdir()
    except OSError as error:
        raise UserError("A dragged picture cannot be put into a file.", f"{error.strerror}: {path.parent}.") from error
    save_png(path, pixels, facts)
    return path
