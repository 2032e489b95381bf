"""The decoded place: the picture under the mouse or the pin, large, with its latent point, prior and age."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPoint, QSize, Qt, Slot
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFileDialog, QGridLayout, QLabel, QMenu, QSizePolicy, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.exploring import DecodedPlace
from vae_explorer.gui.widgets.image_view import ImageView
from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

_TAGS = {"pinned": "Pinned", "hover": "Hover", "origin": "Origin"}
_MOST_COORDINATES = 2


class DecodedImagePanel(QWidget):
    """Paints each answer about the place looked at, the moment it comes."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._place = session.explorer_thread.place
        self._shown: DecodedPlace | None = None
        self._is_active = False
        self.view = ImageView()
        self.view.setAccessibleName("Decoded image")
        self.view.set_note("Warming up…")
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.view.painted.connect(self._painted)
        self.tag = QLabel()
        self.tag.setProperty("variant", "header")
        self.step = QLabel()
        self.step.setProperty("variant", "muted")
        self.step.setToolTip("The step of the weights, and how long they took to decode this picture")
        self.values = {name: QLabel("–") for name in ("z", "log p(z)")}
        for label in (*self.values.values(), self.tag, self.step):
            # Texts change with every mouse move: they must never make the layout ask for another size.
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(3)
        self._titles = [QLabel(name) for name in self.values]
        for title, value in zip(self._titles, self.values.values(), strict=True):
            title.setProperty("variant", "muted")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._layout.setContentsMargins(12, 10, 12, 8)
        self._layout.setSpacing(8)
        self._layout.addWidget(self.view, 1)
        self._layout.addLayout(self._facts)
        self._is_wide: bool | None = None
        self._text_width = self.fontMetrics().horizontalAdvance("step 100,000  ·  10.0 ms")
        self._arrange(False)
        self._place.decoded.connect(self._show)
        session.snapshot_changed.connect(self._snapshot_came)

    def set_active(self, visible: bool) -> None:
        """Hidden, nothing is decoded for it."""
        self._is_active = visible
        self._place.watch("decoded_image", visible)

    def copy_image(self) -> bool:
        """Put the picture on the clipboard, in its own size; whether there was one."""
        if self.view.image is None:
            return False
        QGuiApplication.clipboard().setImage(self.view.image)
        return True

    def save_image(self) -> None:
        """Ask for a file and write the picture there as PNG, with where it comes from in its text chunks."""
        shown = self._shown
        if shown is None:
            return
        name, _ = QFileDialog.getSaveFileName(self, "Save decoded image", "decoded.png", "PNG images (*.png)")
        if name:
            self.write_image(Path(name).with_suffix(".png"), shown)

    def write_image(self, path: Path, place: DecodedPlace) -> None:
        """Write one decoded place; trouble is told in the window."""
        from vae_explorer.export.images import save_png

        snapshot = self.session.snapshot
        text = {
            "model": "" if snapshot is None else snapshot.model_name,
            "run": "" if snapshot is None else snapshot.run_name,
            "step": str(place.step),
            "kind": "decoded",
            "z": " ".join(repr(float(value)) for value in place.z_D),
        }
        try:
            save_png(path, place.picture, text)
        except UserError as error:
            self.session.post_error(error, near="panel.decoded_image")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A low, wide panel has its texts beside the picture."""
        super().resizeEvent(event)
        room = event.size() - QSize(24, 18)
        beside = min(room.width() - self._text_width - 10, room.height())
        above = min(room.width(), room.height() - 3 * (self.fontMetrics().height() + 3) - 8)
        self._arrange(beside > 1.1 * above)

    def _arrange(self, is_wide: bool) -> None:
        if is_wide == self._is_wide:
            return
        self._is_wide = is_wide
        facts = self._facts
        while facts.count():
            facts.takeAt(0)
        for row in range(facts.rowCount()):
            facts.setRowStretch(row, 0)
        pairs = list(zip(self._titles, self.values.values(), strict=True))
        if is_wide:
            self._layout.setDirection(QBoxLayout.Direction.LeftToRight)
            facts.setRowStretch(0, 1)
            rows = [self.tag, self.step, *(label for pair in pairs for label in pair)]
            for row, label in enumerate(rows, start=1):
                facts.addWidget(label, row, 1)
            facts.setRowStretch(len(rows) + 1, 1)
            facts.setColumnMinimumWidth(1, self._text_width)
            self.step.setAlignment(Qt.AlignmentFlag.AlignLeft)
        else:
            self._layout.setDirection(QBoxLayout.Direction.TopToBottom)
            facts.addWidget(self.tag, 0, 0)
            facts.addWidget(self.step, 0, 1)
            for row, (title, value) in enumerate(pairs, start=1):
                facts.addWidget(title, row, 0)
                facts.addWidget(value, row, 1)
            facts.setColumnMinimumWidth(1, 0)
            self.step.setAlignment(Qt.AlignmentFlag.AlignRight)
        facts.setColumnStretch(1, 1)

    @Slot(object)
    def _snapshot_came(self, snapshot: object) -> None:
        if self._is_active and getattr(snapshot, "codes_ND", None) is None:
            self._shown = None
            self.view.show_picture(None)
            self.view.set_note("This model has no latent point that could be decoded here.")

    @Slot(object)
    def _show(self, place: object) -> None:
        if not self._is_active or not isinstance(place, DecodedPlace):
            return
        self._shown = place
        # The picture first, and at once: the texts may wait for the next turn of the event loop.
        self.view.show_picture(place.picture)
        self.tag.setText(_TAGS.get(place.kind, place.kind))
        self.step.setText(f"step {place.step:,}  ·  {place.decode_ms:.1f} ms")
        self.values["z"].setText(point_text(place.z_D))
        is_long = len(place.z_D) > _MOST_COORDINATES
        self.values["z"].setToolTip(_coordinates(place.z_D) if is_long else "")
        log_prior = place.log_prior
        self.values["log p(z)"].setText(
            "this model has no prior" if log_prior is None else f"{number_text(log_prior, 2)} nats"
        )
        self.session.want_snapshot()

    @Slot()
    def _painted(self) -> None:
        if self._shown is not None:
            self._place.painted(self._shown)

    @Slot(QPoint)
    def _open_menu(self, position: QPoint) -> None:
        if self._shown is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy image").triggered.connect(self._copy)
        menu.addAction("Save image…").triggered.connect(self._save)
        menu.popup(self.view.mapToGlobal(position))

    @Slot()
    def _copy(self) -> None:
        self.copy_image()

    @Slot()
    def _save(self) -> None:
        self.save_image()


def point_text(z_D: np.ndarray) -> str:
    """A latent point as text; of many coordinates its length, since no panel is wide enough for all."""
    if len(z_D) > _MOST_COORDINATES:
        return f"‖z‖ = {np.linalg.norm(z_D):.2f}, {len(z_D)} dimensions"
    return f"({_coordinates(z_D)})"


def _coordinates(z_D: np.ndarray) -> str:
    return ", ".join(number_text(float(value), 3) for value in z_D)
