"""Saves frames as a strip of pictures or as a movie, with a preview that plays as the file will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QStandardPaths, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.errors import UserError
from vae_explorer.export.movies import (
    MOVIE_KINDS,
    MovieSpec,
    is_available,
    movie_bytes,
    movie_size,
    order_played,
    strip,
)
from vae_explorer.gui import theme
from vae_explorer.gui.settings import Settings
from vae_explorer.gui.threads.writing import FileWriting
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.preview_image import PreviewImage

_WANTED_SIDE: Final = 224  # pixels, of a frame in the file, unless the person says otherwise
_MISSING: Final = 'This format needs the package av. Run  pip install "vae-explorer[video]",  or choose another format.'


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Frames of a strip or movie, uint8 (F, H, W) or (F, H, W, 3), and what is said of them.

    `name` and `title` are those of the dialog; files are called `stem` with `-strip` or `-movie` and `ending`; `source`
    says in a line where the frames come from, `text` the same inside the file.
    """

    name: str
    title: str
    frames_F: NDArray[np.uint8]
    stem: str
    ending: str
    source: str
    text: Mapping[str, str]
    is_there_and_back: bool = True


class SaveFilmDialog(QDialog):
    """Of the frames that were there when it opened.

    The file is made and written in a thread; trouble is told in a sentence above the buttons, and the dialog stays open
    so that it can be mended.
    """

    def __init__(self, film: Film, frames_per_second: float = 8, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._film = film
        self._frames_F = film.frames_F
        self._settings = Settings()
        self._writing = FileWriting(self)
        self._writing.written.connect(self._written)
        self._writing.failed.connect(self._write_failed)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._advance)
        self._order: list[int] = [0]
        self._at = 0
        self._size: tuple[int, int] | None = None
        self.setWindowTitle(film.title)
        self.setObjectName(f"dialog.{film.name}")
        self.kind = QComboBox()
        self.kind.setObjectName(f"{film.name}.kind")
        for record in MOVIE_KINDS:
            self.kind.addItem(record.title, record.name)
            self.kind.setItemData(self.kind.count() - 1, record.summary, Qt.ItemDataRole.ToolTipRole)
        self.kind.setCurrentIndex(
            self.kind.findData(self._settings.text(f"{film.name}.kind", "gif", MOVIE_KINDS.names()))
        )
        self.scale = self._count_box("scale", 1, 32, " ×")
        self.scale.setValue(max(round(_WANTED_SIDE / max(self._frames_F.shape[1:3])), 1))
        self.spacing = self._count_box("spacing", 0, 100, " px")
        self.spacing.setValue(2)
        self.rate = self._count_box("rate", 1, 50, " frames/s")
        self.rate.setValue(round(frames_per_second))
        self.there_and_back = QCheckBox("There and back")
        self.there_and_back.setObjectName(f"{film.name}.there_and_back")
        self.there_and_back.setToolTip("After the last frame they are shown backwards.")
        self.there_and_back.setChecked(film.is_there_and_back)
        self.preview = PreviewImage()
        self.preview.setAccessibleName("Preview")
        self._about = _wrapped()
        self.facts = _wrapped()
        self.message = QLabel()
        self.message.setObjectName(f"{film.name}.message")
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.save_button = QPushButton("Save…")
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self._choose_and_save)
        self.close_button = QPushButton("Close")
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.close)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Save), self, self._choose_and_save)
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._changed)
        for box in (self.scale, self.spacing, self.rate):
            box.valueChanged.connect(self._changed)
        self.there_and_back.toggled.connect(self._changed)
        self._changed()

    def _count_box(self, name: str, minimum: int, maximum: int, suffix: str = "") -> QSpinBox:
        box = count_box(name.capitalize(), minimum, maximum, suffix=suffix)
        box.setObjectName(f"{self._film.name}.{name}")
        return box

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(6)
        self._form = form
        for text, widget in (
            ("&Format", self.kind), ("Sca&le", self.scale), ("Spac&ing", self.spacing), ("S&peed", self.rate),
        ):  # fmt: skip
            form.addRow(text, widget)
        form.addRow("", self.there_and_back)
        side = QVBoxLayout()
        side.setSpacing(10)
        side.addLayout(form)
        side.addWidget(self._about)
        side.addStretch(1)
        side.addWidget(self.facts)
        side_panel = QWidget()
        side_panel.setFixedWidth(250)
        side_panel.setLayout(side)
        side.setContentsMargins(0, 0, 0, 0)
        top = QHBoxLayout()
        top.setSpacing(16)
        top.addWidget(side_panel)
        top.addWidget(self.preview, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.message, 1)
        buttons.addWidget(self.close_button)
        buttons.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(12)
        column.addLayout(top, 1)
        column.addLayout(buttons)
        self.resize(720, 460)

    # --- what will be saved

    @property
    def kind_name(self) -> str:
        """The format chosen."""
        return str(self.kind.currentData())

    def spec(self) -> MovieSpec:
        """The choices as they are."""
        return MovieSpec(
            scale=self.scale.value(), spacing=self.spacing.value(), frames_per_second=self.rate.value(),
            is_there_and_back=self.there_and_back.isChecked(),
        )  # fmt: skip

    @property
    def file_size(self) -> tuple[int, int] | None:
        """Width and height of the file in pixels, None where it would be too large."""
        return self._size

    @Slot()
    def _changed(self) -> None:
        record, spec = MOVIE_KINDS[self.kind_name], self.spec()
        self._form.setRowVisible(self.spacing, not record.is_moving)
        self._form.setRowVisible(self.rate, record.is_moving)
        self._form.setRowVisible(self.there_and_back, record.is_moving)
        self._about.setText(record.summary)
        self._order = order_played(len(self._frames_F), spec, loops=record.loops) if record.is_moving else [0]
        try:
            num_frames, height, width = self._frames_F.shape[:3]
            self._size = movie_size(record.name, num_frames, height, width, spec)
        except UserError as error:
            self._size = None
            self._timer.stop()
            self.preview.show_text("No preview.")
            self.facts.setText("")
            self._tell(error)
            self._enable_saving()
            return
        self._say("" if is_available(record.name) else _MISSING, is_error=not is_available(record.name))
        self._show_facts(spec, is_moving=record.is_moving)
        self._enable_saving()
        if record.is_moving:
            self._at = min(self._at, len(self._order) - 1)
            self.preview.show_pixels(self._frames_F[self._order[self._at]])
            self._timer.start(round(1000 / self.rate.value()))
        else:
            self._timer.stop()
            self.preview.show_pixels(strip(self._frames_F, spec))

    def _show_facts(self, spec: MovieSpec, *, is_moving: bool) -> None:
        assert self._size is not None
        width, height = self._size
        num = len(self._order) if is_moving else len(self._frames_F)
        lines = [f"{width:,} × {height:,} pixels", f"{num:,} frames"]
        if is_moving:
            lines[1] += f", {num / spec.frames_per_second:.1f} s"
        lines.append(self._film.source)
        self.facts.setText("\n".join(lines))

    @Slot()
    def _advance(self) -> None:
        self._at = (self._at + 1) % len(self._order)
        self.preview.show_pixels(self._frames_F[self._order[self._at]])

    # --- saving

    @Slot()
    def _choose_and_save(self) -> None:
        if not self.save_button.isEnabled():
            return
        record = MOVIE_KINDS[self.kind_name]
        start = self._start_folder() / self.suggested_name()
        text, _ = QFileDialog.getSaveFileName(self, self._film.title, str(start), f"{record.title} (*{record.suffix})")
        if text:
            self.save(Path(text))

    def suggested_name(self) -> str:
        """A file name of its own for strip and movie: two formats end in .png, and neither is to replace the other."""
        record = MOVIE_KINDS[self.kind_name]
        kind = "movie" if record.is_moving else "strip"
        return f"{self._film.stem}-{kind}-{self._film.ending}{record.suffix}"

    def _start_folder(self) -> Path:
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        folder = Path(self._settings.text(f"{self._film.name}.folder", pictures or str(Path.home())))
        return folder if folder.is_dir() else Path.home()

    def save(self, path: Path) -> None:
        """Write the file as previewed; the message above the buttons answers."""
        record = MOVIE_KINDS[self.kind_name]
        if path.suffix.lower() != record.suffix:
            path = path.with_name(f"{path.name}{record.suffix}")
        kind, frames_F, spec, text = record.name, self._frames_F, self.spec(), self._film.text
        self._say("Saving…")
        self._writing.start(path, lambda: movie_bytes(kind, frames_F, spec, text))
        self._enable_saving()

    def _enable_saving(self) -> None:
        ready = self._size is not None and is_available(self.kind_name) and not self._writing.is_busy
        self.save_button.setEnabled(ready)

    @Slot(object)
    def _written(self, path: Path) -> None:
        self._settings.remember(f"{self._film.name}.folder", str(path.parent))
        self._settings.remember(f"{self._film.name}.kind", self.kind_name)
        self._settings.save()
        self._say(f"Saved {path}")
        self._enable_saving()

    @Slot(object)
    def _write_failed(self, error: UserError) -> None:
        self._tell(error)
        self._enable_saving()

    def _tell(self, error: UserError) -> None:
        self._say(error.in_one_line, is_error=True)

    def _say(self, text: str, *, is_error: bool = False) -> None:
        colours = theme.current()
        self.message.setStyleSheet(f"color: {colours.error if is_error else colours.muted};")
        self.message.setText(text)

    def done(self, result: int) -> None:
        """The preview stops with the dialog."""
        self._timer.stop()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """The same for a dialog that is closed before it was ever shown, which Qt does not call done."""
        self._timer.stop()
        super().closeEvent(event)


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setProperty("variant", "muted")
    return label
