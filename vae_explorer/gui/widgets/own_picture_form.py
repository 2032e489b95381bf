"""How the panel of one's own picture looks: three pictures, and below or beside them buttons and what is said."""

from __future__ import annotations

import html
import itertools

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.gui.widgets.fitted_content import FittedContent
from vae_explorer.gui.widgets.flow_layout import FlowLayout
from vae_explorer.gui.widgets.picture_trio import PictureTrio

_BUTTONS = (
    ("open", "Open…", "Open a picture file"),
    ("paste", "Paste", "Paste a picture, or a picture file, from the clipboard"),
    ("undo", "Undo", "Take back the last stroke, the picture put in or the clearing (Ctrl+Z on the canvas)"),
    ("clear", "Clear", "Take the picture away, from the map too"),
    ("refine", "Refine this point", "Optimise q(z|x) for this picture alone: how much the encoder loses"),
    ("pin", "Pin it", "Set a pin at the picture's posterior mean"),
)
_MARGIN, _SIDE_MARGIN, _GAP = 8, 12, 10
# Buttons and texts stand beside the pictures where they have so much width, in panels clearly wider than high.
_LEAST_COLUMN = 236
_MOST_PROPORTION = 0.8
_LOW, _FLAT = 330, 230
_INVITATION = "Draw, drop or paste a picture: its posterior appears on the map while you draw."


class OwnPictureForm(QScrollArea):
    """`pictures`, the `buttons` by name, the choice of `inversion`, and the texts; it scrolls where it is small.

    A low and wide form has everything in sight: the texts beside the pictures, of `steps_text` the first line, which
    says what the network sees, where it has room; all of it is in the tool tips.
    """

    def __init__(self, inversions: tuple[str, ...]) -> None:
        super().__init__()
        self.pictures = PictureTrio()
        self.facts, self.refinement, self.steps = self.labels = [QLabel() for _ in range(3)]
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
        self.pictures.canvas.undo_changed.connect(self.buttons["undo"].setEnabled)
        self.buttons["undo"].clicked.connect(self.pictures.canvas.undo)
        self.buttons["undo"].setEnabled(False)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(row)
        for label in self.labels:
            column.addWidget(label)
        column.addStretch(1)
        content = FittedContent(self)
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, content)
        self._layout.setContentsMargins(_SIDE_MARGIN, _MARGIN, _SIDE_MARGIN, _MARGIN)
        self._layout.setSpacing(_MARGIN)
        self._layout.addWidget(self.pictures)
        self._layout.addLayout(column, 1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        for first, second in itertools.pairwise([self.pictures.canvas, *self.buttons.values(), self.inversion]):
            QWidget.setTabOrder(first, second)
        self._is_low = False
        self.steps_text = ""
        self.show_nothing()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Low and wide, the texts are beside the pictures; else below, and the pictures have the height in sight."""
        super().resizeEvent(event)
        width, height = self.viewport().width(), self.viewport().height()
        room = height - 2 * _MARGIN
        most = width - 2 * _SIDE_MARGIN - _GAP - _LEAST_COLUMN
        beside = self.pictures.width_beside(room, most) if height < _MOST_PROPORTION * width else most + 1
        self._is_low = beside <= most and height < _LOW
        if beside <= most:
            self._layout.setDirection(QBoxLayout.Direction.LeftToRight)
            self._layout.setSpacing(_GAP)
            self._layout.setAlignment(self.pictures, Qt.AlignmentFlag.AlignTop)
            self.pictures.set_beside(room, beside)
        else:
            self._layout.setDirection(QBoxLayout.Direction.TopToBottom)
            self._layout.setSpacing(_MARGIN)
            self._layout.setAlignment(self.pictures, Qt.AlignmentFlag(0))
            self.pictures.set_room(height - _MARGIN)
        self._show_steps()
        self._choose_scroll_bar()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Other texts: whether they are all in sight is asked again."""
        if event.type() is QEvent.Type.LayoutRequest and watched is self.widget():
            self._choose_scroll_bar()
        return super().eventFilter(watched, event)

    def _choose_scroll_bar(self) -> None:
        # Left to Qt, a bar that came once narrows the texts so that they need it ever after.
        fits = self._layout.totalHeightForWidth(self.width()) <= self.height()
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        if policy is not self.verticalScrollBarPolicy():
            self.setVerticalScrollBarPolicy(policy)

    def show_nothing(self, note: str = "") -> None:
        """No picture; a note, or an invitation to put one in."""
        for view in (self.pictures.seen, self.pictures.reconstruction):
            view.show_picture(None)
            view.set_note("–")
        show_text(self.refinement, "")
        self.show_steps("")
        show_text(self.facts, note or _INVITATION)
        for name in ("refine", "pin"):
            self.buttons[name].setEnabled(False)

    def show_steps(self, text: str) -> None:
        """What the network sees, and what was done to the picture, a line each."""
        self.steps_text = text
        self._show_steps()

    def _show_steps(self) -> None:
        text = self.steps_text
        first_line = "" if self.viewport().height() < _FLAT else text.partition("\n")[0]
        show_text(self.steps, first_line if self._is_low else text)
        for widget in (self.pictures.seen, self.facts):
            # As an element the words stay words, whatever a model or a file is called.
            widget.setToolTip(f"<p style='white-space:pre-line'>{html.escape(text)}</p>" if text else "")

    def show_refining(self, is_refining: bool) -> None:
        """The button starts a refinement, or ends the one under way."""
        self.buttons["refine"].setText("Cancel refinement" if is_refining else "Refine this point")


def show_text(label: QLabel, text: str) -> None:
    """A text, or no label at all."""
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
