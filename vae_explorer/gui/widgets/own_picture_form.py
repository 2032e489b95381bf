"""How the panel of one's own picture looks: three pictures, buttons that flow, and what is said below them."""

from __future__ import annotations

import itertools

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QFrame, QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.gui.widgets.flow_layout import FlowLayout
from vae_explorer.gui.widgets.picture_trio import PictureTrio

_BUTTONS = (
    ("open", "Open…", "Open a picture file"),
    ("paste", "Paste", "Paste a picture, or a picture file, from the clipboard"),
    ("clear", "Clear", "Take the picture away, from the map too"),
    ("refine", "Refine this point", "Optimise q(z|x) for this picture alone: how much the encoder loses"),
    ("pin", "Pin it", "Set a pin at the picture's posterior mean"),
)
_MARGIN = 8
_INVITATION = "Draw, drop or paste a picture: its posterior appears on the map while you draw."


class OwnPictureForm(QScrollArea):
    """`pictures`, the `buttons` by name, the choice of `inversion`, and the texts; it scrolls where it is low."""

    def __init__(self, inversions: tuple[str, ...]) -> None:
        super().__init__()
        self.pictures = PictureTrio()
        self.refinement, self.facts, self.far, self.steps = self.labels = [QLabel() for _ in range(4)]
        for label in self.labels:
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
            label.hide()
        self.steps.setProperty("variant", "muted")
        self.steps.setAccessibleName("What was done to the picture")
        self.buttons = {name: QPushButton(text) for name, text, _ in _BUTTONS}
        self.inversion = QComboBox()
        self.inversion.setAccessibleName("Inversion")
        self.inversion.setToolTip("Whether light and dark change places before the network sees the picture")
        self.inversion.addItems(inversions)
        row = FlowLayout(6, 6)
        for name, _, tip in _BUTTONS:
            self.buttons[name].setToolTip(tip)
            row.add(self.buttons[name])
        self.buttons["refine"].setProperty("variant", "primary")
        row.add(self.inversion)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(12, _MARGIN, 12, _MARGIN)
        layout.setSpacing(8)
        layout.addWidget(self.pictures)
        layout.addLayout(row)
        for label in self.labels:
            layout.addWidget(label)
        layout.addStretch(1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        for first, second in itertools.pairwise([self.pictures.canvas, *self.buttons.values(), self.inversion]):
            QWidget.setTabOrder(first, second)
        self.show_nothing()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The pictures have the height in sight, less the margin above them."""
        super().resizeEvent(event)
        self.pictures.set_room(self.viewport().height() - _MARGIN)

    def show_nothing(self, note: str = "") -> None:
        """No picture; a note, or an invitation to put one in."""
        for view in (self.pictures.seen, self.pictures.reconstruction):
            view.show_picture(None)
            view.set_note("–")
        for label in (self.far, self.steps, self.refinement):
            show_text(label, "")
        show_text(self.facts, note or _INVITATION)
        for name in ("refine", "pin"):
            self.buttons[name].setEnabled(False)

    def show_refining(self, is_refining: bool) -> None:
        """The button starts a refinement, or ends the one under way."""
        self.buttons["refine"].setText("Cancel refinement" if is_refining else "Refine this point")


def show_text(label: QLabel, text: str) -> None:
    """A text, or no label at all."""
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
