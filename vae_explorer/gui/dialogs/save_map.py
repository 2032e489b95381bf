"""Saves the map as it is seen: as PNG at any scale, or as SVG."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QStandardPaths, Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.errors import UserError
from vae_explorer.gui.map_picture import MapPicture, ask_for_picture, image_of, png_of, svg_of
from vae_explorer.gui.settings import Settings
from vae_explorer.gui.threads.writing import FileWriting

if TYPE_CHECKING:
    from collections.abc import Callable

    from vae_explorer.gui.panels.latent_map import LatentMapPanel
    from vae_explorer.gui.session import Session

FOLDER_KEY: Final = "save_map.folder"
_FORMATS: Final = (("png", "PNG picture"), ("svg", "SVG drawing"))


class SaveMapDialog(QDialog):
    """Of the map as it is at the moment of saving; it is drawn anew at the wanted scale and written in a thread."""

    def __init__(self, session: Session, map_panel: LatentMapPanel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._panel = map_panel
        self._settings = Settings()
        self._writing = FileWriting(self)
        self._writing.written.connect(self._written)
        self._writing.failed.connect(self._show_error)
        self.setWindowTitle("Save the map")
        self.setObjectName("dialog.save_map")
        self.kind = QComboBox()
        for name, title in _FORMATS:
            self.kind.addItem(title, name)
        self.scale = QDoubleSpinBox()
        self.scale.setRange(0.5, 100.0)
        self.scale.setSingleStep(0.5)
        self.scale.setDecimals(1)
        self.scale.setValue(2.0)
        self.scale.setSuffix(" ×")
        self.legend = QCheckBox("With legends")
        self.legend.setChecked(True)
        self.facts = QLabel()
        self.facts.setProperty("variant", "muted")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setMinimumWidth(320)
        self.save_button = QPushButton("Save…")
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self._choose)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setAutoDefault(False)
        self.copy_button.clicked.connect(self.copy)
        close = QPushButton("Close")
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        form = QFormLayout()
        form.addRow("&Format", self.kind)
        form.addRow("Sca&le", self.scale)
        form.addRow("", self.legend)
        form.addRow("", self.facts)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.copy_button, self.save_button, close):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.scale.valueChanged.connect(self._show_size)
        self.legend.toggled.connect(self._show_size)
        self._show_size()

    def save(self, path: Path) -> None:
        """Draw the map and write it to `path`, whose ending is the format's."""
        kind, has_legend = str(self.kind.currentData()), self.legend.isChecked()

        def write(picture: MapPicture) -> None:
            # The widgets that a picture is made of belong to this thread; compressing and writing do not.
            labels = picture.axis_labels
            if kind == "png":
                text = {**picture.facts, "kind": "latent map", "axes": f"{labels[0]}, {labels[1]}"}
                self._writing.start(path, partial(png_of, image_of(picture, has_legend=has_legend), text))
                return
            title = f"Latent map, {picture.facts['run']}, step {picture.facts['step']}"
            svg = svg_of(picture, title, has_legend=has_legend)
            self._writing.start(path, lambda: svg)

        self._ask(write)

    def copy(self) -> None:
        """Put the map on the clipboard at the chosen scale."""
        has_legend = self.legend.isChecked()

        def put(picture: MapPicture) -> None:
            QGuiApplication.clipboard().setImage(image_of(picture, has_legend=has_legend))
            self._busy(False, "The map is on the clipboard.")

        self._ask(put)

    def done(self, result: int) -> None:
        """What is being drawn is no longer wanted, whichever way the dialog is closed."""
        self._session.map.withdraw("picture")
        super().done(result)

    def _ask(self, on_answer: Callable[[MapPicture], None]) -> None:
        self._busy(True, "Drawing the map…")
        try:
            ask_for_picture(
                self._session.map, self._panel.canvas, self._panel.code_style, self.scale.value(), on_answer,
                self._show_failure,
            )  # fmt: skip
        except UserError as error:
            self._show_error(error)

    @Slot()
    def _choose(self) -> None:
        home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        kind = str(self.kind.currentData())
        start = Path(self._settings.text(FOLDER_KEY, home)) / f"latent map.{kind}"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the map", str(start), f"{kind.upper()} (*.{kind})")
        if chosen:
            path = Path(chosen)
            self.save(path if path.suffix.lower() == f".{kind}" else path.with_name(f"{path.name}.{kind}"))

    @Slot()
    def _show_size(self) -> None:
        size = self._panel.canvas.size() * self.scale.value()
        below = "; the legends stand below it" if self.legend.isChecked() else ""
        self.facts.setText(f"{size.width():,} × {size.height():,} pixels{below}")

    def _busy(self, is_busy: bool, text: str = "") -> None:
        for widget in (self.save_button, self.copy_button):
            widget.setEnabled(not is_busy)
        self.message.setText(text)

    @Slot(object)
    def _written(self, path: Path) -> None:
        self._settings.remember(FOLDER_KEY, str(path.parent))
        self._busy(False, f"Saved as {path}.")

    @Slot(object)
    def _show_error(self, error: UserError) -> None:
        self._busy(False, error.in_one_line)

    def _show_failure(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._show_error(error)
        else:
            self._busy(False, f"The map could not be drawn: {error}. Hide a layer and try again.")
