"""Saves a grid of pictures as PNG: samples, reconstructions, the manifold; with a preview of exactly what is
saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import QStandardPaths, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
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
from vae_explorer.gui import theme
from vae_explorer.gui.settings import Settings
from vae_explorer.gui.threads.rendering import GridRendering, GridRequest, RenderedGrid, told
from vae_explorer.gui.threads.writing import FileWriting
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.preview_image import PreviewImage, as_image
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.models.snapshot import Snapshot

FOLDER_KEY: Final = "save_images.folder"
_RENDER_AFTER_MS: Final = 60  # so that a held spin box asks for one grid, not for thirty
_MOST_CELLS: Final = 200  # in one direction
_TITLES: Final = {"prior": "Samples"}
_FIRST_GRIDS: Final = {"prior": (8, 8), "reconstructions": (4, 8), "manifold": (20, 20), "traversals": (8, 9)}
_KINDS_BY_ACTION: Final = {"samples": "prior"}  # what the menu calls a kind


class SaveImagesDialog(QDialog):
    """Opened by the save actions with `samples`, `reconstructions` or `manifold`; the kind can be switched
    inside.

    It looks at the snapshot that was the newest when it opened. Rendering and writing run in threads of their
    own; trouble is told in a sentence above the buttons, and the dialog stays open so that it can be mended.
    Opening it imports torch, which the window has long done by the time there is a snapshot.
    """

    def __init__(self, session: Session, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        from vae_explorer.export.images import GRID_KINDS, GridSpec

        self.session = session
        self._make_spec = GridSpec
        self._settings = Settings()
        self._snapshot: Snapshot | None = session.snapshot
        self._grid: RenderedGrid | None = None
        self._rendering = GridRendering(self)
        self._rendering.rendered.connect(self._show_grid)
        self._rendering.failed.connect(self._show_failure)
        self._writing = FileWriting(self)
        self._writing.written.connect(self._written)
        self._writing.failed.connect(self._write_failed)
        self._render_timer = QTimer(self)
        self._render_timer.setSingleShot(True)
        self._render_timer.setInterval(_RENDER_AFTER_MS)
        self._render_timer.timeout.connect(self._render)

        self.setWindowTitle("Save pictures")
        self.setObjectName("dialog.save_images")
        self.kind = QComboBox()
        self.kind.setObjectName("save_images.kind")
        for name, summary in GRID_KINDS.items():
            if self._can_show(name):
                self.kind.addItem(_TITLES.get(name, name.capitalize()), name)
                self.kind.setItemData(self.kind.count() - 1, summary, Qt.ItemDataRole.ToolTipRole)
        self._summaries = GRID_KINDS
        self.rows = _count_box("rows", 1, _MOST_CELLS)
        self.columns = _count_box("columns", 1, _MOST_CELLS)
        self.spacing = _count_box("spacing", 0, 100, " px")
        self.scale = _count_box("scale", 1, 32, " ×")
        self.seed = _count_box("seed", 0, 2**31 - 1)
        self.spacing.setValue(2)
        self.scale.setValue(2)
        self.new_seed = QPushButton("Other pictures")
        self.new_seed.setAutoDefault(False)
        self.new_seed.setToolTip("Take the next seed.")
        self.new_seed.clicked.connect(self._take_next_seed)
        self.preview = PreviewImage()
        self.preview.setAccessibleName("Preview")
        self._about_kind = _wrapped()
        self._facts = _wrapped()
        self.newest = QPushButton("Use newest weights")
        self.newest.setAutoDefault(False)
        self.newest.setToolTip("Take the weights of this moment instead of those from when the dialog was opened.")
        self.newest.clicked.connect(self._take_newest)
        self.message = QLabel()
        self.message.setObjectName("save_images.message")
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setAutoDefault(False)
        self.copy_button.setToolTip("Copy the picture to the clipboard (Ctrl+C).")
        self.copy_button.clicked.connect(self.copy)
        self.save_button = QPushButton("Save…")
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self._choose_and_save)
        self.close_button = QPushButton("Close")
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.close)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self, self.copy)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Save), self, self._choose_and_save)
        self._lay_out()

        index = self.kind.findData(_KINDS_BY_ACTION.get(kind, kind))
        self.kind.setCurrentIndex(max(index, 0))
        self._kind_changed()
        self.kind.currentIndexChanged.connect(self._kind_changed)
        for box in (self.rows, self.columns, self.spacing, self.scale, self.seed):
            box.valueChanged.connect(self._spec_changed)
        session.snapshot_changed.connect(self._snapshot_changed)
        self._snapshot_changed()

    def _can_show(self, kind: str) -> bool:
        if self._snapshot is None:
            return True
        record = MODELS[self._snapshot.model_name]
        return {"prior": record.can_be_sampled, "reconstructions": True}.get(kind, record.has_codes)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(6)
        for text, widget in (
            ("&Kind", self.kind), ("&Rows", self.rows), ("C&olumns", self.columns),
            ("Spac&ing", self.spacing), ("Sca&le", self.scale), ("S&eed", self.seed),
        ):  # fmt: skip
            form.addRow(text, widget)
        form.addRow("", self.new_seed)
        side = QVBoxLayout()
        side.setSpacing(10)
        side.addLayout(form)
        side.addWidget(self._about_kind)
        side.addStretch(1)
        side.addWidget(self._facts)
        side.addWidget(self.newest)
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
        for button in (self.copy_button, self.close_button, self.save_button):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(12)
        column.addLayout(top, 1)
        column.addLayout(buttons)
        self.resize(800, 580)

    # Rendering

    @Slot()
    def _kind_changed(self) -> None:
        kind = str(self.kind.currentData())
        rows, columns = _FIRST_GRIDS.get(kind, (8, 8))
        self._limit_rows()
        for box, value in ((self.rows, rows), (self.columns, columns)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        has_chance = kind not in {"manifold", "traversals"}
        self.seed.setEnabled(has_chance)
        self.new_seed.setEnabled(has_chance)
        self._about_kind.setText(self._summaries[kind])
        self._spec_changed()

    def _limit_rows(self) -> None:
        """Traversals have one row for each latent dimension and no more."""
        codes_ND = self._snapshot.codes_ND if self._snapshot is not None else None
        if self.kind.currentData() != "traversals":
            codes_ND = None
        self.rows.setMaximum(_MOST_CELLS if codes_ND is None else min(int(codes_ND.shape[1]), _MOST_CELLS))

    @Slot()
    def _spec_changed(self) -> None:
        self._render_timer.start()

    @Slot()
    def _take_next_seed(self) -> None:
        self.seed.setValue((self.seed.value() + 1) % (self.seed.maximum() + 1))

    @Slot()
    def _snapshot_changed(self, _snapshot: object = None) -> None:
        if self._snapshot is None:
            self._snapshot = self.session.snapshot
            self._limit_rows()
            self._render_timer.start()
        newer = self.session.snapshot is not None and self.session.snapshot is not self._snapshot
        self.newest.setEnabled(newer)

    @Slot()
    def _take_newest(self) -> None:
        self._snapshot = self.session.snapshot
        self.newest.setEnabled(False)
        self._limit_rows()
        self._render()

    @Slot()
    def _render(self) -> None:
        if self._snapshot is None:
            self.preview.show_text("There is no model yet; the preview appears when it is ready.")
            self._enable_saving()
            return
        try:
            spec = self._make_spec(
                rows=self.rows.value(), columns=self.columns.value(), spacing=self.spacing.value(),
                scale=self.scale.value(), seed=self.seed.value(),
            )  # fmt: skip
        except UserError as error:
            self._tell(error)
            return
        self.preview.set_pale(True)
        self._rendering.submit(GridRequest(str(self.kind.currentData()), spec, self._snapshot, self.session.dataset))
        self._enable_saving()

    @Slot(object)
    def _show_grid(self, grid: RenderedGrid) -> None:
        self._grid = grid
        self.preview.show_pixels(grid.pixels)
        height, width = grid.pixels.shape[:2]
        run = grid.request.snapshot.run_name or "untrained net"
        self._facts.setText(f"{width:,} × {height:,} pixels\n{run}, step {grid.request.snapshot.step:,}")
        self._say("")
        self._enable_saving()

    @Slot(object, object)
    def _show_failure(self, _request: GridRequest, error: Exception) -> None:
        self._grid = None
        self.preview.show_text("No preview.")
        self._facts.setText("")
        self._tell(told(error))
        self._enable_saving()

    @property
    def pixels(self) -> np.ndarray | None:
        """The picture previewed: what a save or a copy takes. None while a changed one is being rendered."""
        if self._grid is None or self._rendering.is_busy or self._render_timer.isActive():
            return None
        return self._grid.pixels

    def _enable_saving(self) -> None:
        ready = self._grid is not None and not self._writing.is_busy
        self.save_button.setEnabled(ready)
        self.copy_button.setEnabled(self._grid is not None)

    # Saving

    @Slot()
    def copy(self) -> None:
        """Copy the picture to the clipboard."""
        pixels = self.pixels
        if pixels is None:
            self._say("The picture is still being rendered; try again in a moment.")
            return
        QGuiApplication.clipboard().setImage(as_image(pixels))
        self._say("Copied to the clipboard.")

    @Slot()
    def _choose_and_save(self) -> None:
        if not self.save_button.isEnabled():
            return
        start = self._start_folder() / self._suggested_name()
        text, _ = QFileDialog.getSaveFileName(self, "Save pictures", str(start), "PNG picture (*.png)")
        if text:
            self.save(Path(text))

    def _start_folder(self) -> Path:
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        folder = Path(self._settings.text(FOLDER_KEY, pictures or str(Path.home())))
        return folder if folder.is_dir() else Path.home()

    def _suggested_name(self) -> str:
        snapshot = self._snapshot
        name = self.kind.currentText().lower()
        return f"{name}-step-{snapshot.step}.png" if snapshot is not None else f"{name}.png"

    def save(self, path: Path) -> None:
        """Write the previewed picture with its text chunks; the message above the buttons answers."""
        grid = self._grid
        if self.pixels is None or grid is None:
            self._say("The picture is still being rendered; try again in a moment.")
            return
        if path.suffix.lower() != ".png":
            path = path.with_name(f"{path.name}.png")

        def content() -> bytes:
            from vae_explorer.export.images import png_text
            from vae_explorer.runs.png import png_bytes

            snapshot, request = grid.request.snapshot, grid.request
            text = png_text(snapshot.run_name, snapshot.model_name, snapshot.step, request.spec.seed, request.kind)
            return png_bytes(grid.pixels, text)

        self._say("Saving…")
        self._writing.start(path, content)
        self._enable_saving()

    @Slot(object)
    def _written(self, path: Path) -> None:
        self._settings.remember(FOLDER_KEY, str(path.parent))
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
        """End the thread with the dialog."""
        self._end()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """The same for a dialog that is closed before it was ever shown, which Qt does not call done."""
        self._end()
        super().closeEvent(event)

    def _end(self) -> None:
        self._render_timer.stop()
        self._rendering.close()


def _count_box(name: str, minimum: int, maximum: int, suffix: str = "") -> QSpinBox:
    box = count_box(name.capitalize(), minimum, maximum, suffix=suffix)
    box.setObjectName(f"save_images.{name}")
    return box


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setProperty("variant", "muted")
    return label
