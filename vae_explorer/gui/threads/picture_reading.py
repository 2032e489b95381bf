"""Reads and decodes a picture without holding up the window; the answer arrives as a signal."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QSize, Qt, Signal, Slot
from PySide6.QtGui import QImage

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from vae_explorer.datasets.picture_reading import ReadPicture

_PREVIEW_SIDE = 560


@dataclass(frozen=True, slots=True, eq=False)
class PutIn:
    """A picture that was put in, and a small image of it for the screen."""

    picture: ReadPicture
    preview: QImage


class PictureReading(QObject):
    """One picture at a time for the widget that owns it; of those asked for meanwhile the last one follows.

    came(PutIn); failed(UserError). Both are emitted in the thread where this object lives.
    """

    came = Signal(object)
    failed = Signal(object)
    _ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None
        self._next: Path | QImage | None = None
        self._is_dropped = False
        self._ended.connect(self._report, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether a picture is being read."""
        return self._thread is not None

    def start(self, source: Path | QImage) -> None:
        """Read a file, or take over an image from the clipboard or a drop."""
        if self._thread is not None:
            self._next = source
            return
        # A daemon: a disk that does not answer must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, args=(source,), name="picture reading", daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """What is being read and what waits is not wanted any more."""
        self._next, self._is_dropped = None, self.is_busy

    def _read(self, source: Path | QImage) -> None:
        answer: PutIn | UserError
        try:
            answer = _put_in(source)
        except UserError as error:
            answer = error
        except MemoryError:
            answer = UserError("There is not enough memory for this picture.", "Choose a smaller picture.")
        try:
            self._ended.emit(answer)
        except RuntimeError:
            # The widget was closed meanwhile and took this object along.
            return

    @Slot(object)
    def _report(self, answer: PutIn | UserError) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        is_dropped, self._is_dropped = self._is_dropped, False
        if self._next is not None:
            following, self._next = self._next, None
            self.start(following)
        elif is_dropped:
            return
        elif isinstance(answer, UserError):
            self.failed.emit(answer)
        else:
            self.came.emit(answer)


def _put_in(source: Path | QImage) -> PutIn:
    from vae_explorer.datasets.picture_reading import ReadPicture, read_picture, refuse_giant

    if isinstance(source, QImage):
        if source.isNull():
            raise UserError("There is no picture in what was put in.", "Copy a picture, then paste again.")
        refuse_giant(source.width(), source.height(), Path("The picture put in"))
        picture = ReadPicture(_pixels_of(source), "the picture put in")
    else:
        picture = read_picture(source)
    return PutIn(picture, _preview(picture.pixels))


def _pixels_of(image: QImage) -> np.ndarray:
    """uint8 (H, W, 3), or (H, W, 4) where parts are transparent."""
    depth = 4 if image.hasAlphaChannel() else 3
    image = image.convertToFormat(QImage.Format.Format_RGBA8888 if depth == 4 else QImage.Format.Format_RGB888)
    width, height = image.width(), image.height()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    pixels = rows[:, : depth * width].reshape(height, width, depth).copy()
    return pixels if depth == 3 or (pixels[..., 3] < 255).any() else pixels[..., :3].copy()


def _preview(pixels: np.ndarray) -> QImage:
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    depth = 1 if pixels.ndim == 2 else pixels.shape[2]
    kinds = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    image = QImage(pixels.data, width, height, depth * width, kinds[depth])
    if max(width, height) <= _PREVIEW_SIDE:
        return image.copy()
    size = QSize(_PREVIEW_SIDE, _PREVIEW_SIDE)
    return image.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
