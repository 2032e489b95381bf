"""The row of controls of a path: its kind, its speed, its frames, playing and saving it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QLabel, QSizePolicy, QSlider, QToolButton, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.flow_layout import FlowLayout
from vae_explorer.latent.path_catalogue import (
    PATH_METRICS,
    PATHS,
    SPEEDS,
    PathChoice,
    PathMetricRecord,
    PathRecord,
    SpeedRecord,
)
from vae_explorer.registry import Registry

_FEWEST_FRAMES, _MOST_FRAMES = 2, 60
_FIRST_RATE, _MOST_RATE = 8, 30
_BOX_PADDING, _SPIN_PADDING = 54, 38  # of the style sheet, with the arrows


class PathControls(QWidget):
    """Shows a choice and says what the person made of it; rows break where the panel is narrow. `lengths_in` is
    placed by the panel, beside the lengths.

    chosen(PathChoice, str, str): the choice, the words of the step to undo, and its merge key. rate_changed(int), in
    frames a second. play_clicked(), save_clicked().
    """

    chosen = Signal(object, str, str)
    rate_changed = Signal(int)
    play_clicked = Signal()
    save_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choice = PathChoice()
        self._is_playing = False
        self._is_short = False
        self._full_width = 0  # measured when the widgets have their style
        self.kind = _chooser("Kind of path", PATHS)
        self.kind.activated.connect(self._choose_kind)
        self.speed = _chooser("Speed along the path", SPEEDS)
        self.speed.activated.connect(self._choose_speed)
        self.lengths_in = _chooser("Metric of lengths and geodesics", PATH_METRICS)
        self.lengths_in.activated.connect(self._choose_metric)
        self.num_frames = count_box("Number of frames", _FEWEST_FRAMES, _MOST_FRAMES, suffix=" frames")
        widest = self.fontMetrics().horizontalAdvance(f"{_MOST_FRAMES} frames")
        self.num_frames.setFixedSize(widest + _SPIN_PADDING, self.kind.sizeHint().height())
        self.num_frames.setToolTip("How many pictures the path is shown with, both ends counted")
        self.num_frames.valueChanged.connect(self._choose_frames)
        self.play_button = _tool_button("Play", "Play the path there and back (Space in the filmstrip)")
        self.play_button.clicked.connect(self.play_clicked)
        self.rate = QSlider(Qt.Orientation.Horizontal)
        self.rate.setRange(1, _MOST_RATE)
        self.rate.setValue(_FIRST_RATE)
        self.rate.setFixedWidth(60)
        self.rate.setAccessibleName("Frames per second")
        self.rate.valueChanged.connect(self._take_rate)
        self._rate_text = QLabel()
        self._rate_text.setProperty("variant", "muted")
        self._rate_text.setFixedWidth(self.fontMetrics().horizontalAdvance(_rate_text(_MOST_RATE)) + 4)
        self.save_button = _tool_button("Save…", "Save the path as a strip of pictures or as a movie")
        self.save_button.clicked.connect(self.save_clicked)
        self._flow = FlowLayout(horizontal_spacing=6, vertical_spacing=3)
        self._flow.add(self.kind, self.speed, self.num_frames)
        self._flow.add(self.play_button, self.rate, self._rate_text, self.save_button)
        self.setLayout(self._flow)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme.notifier().changed.connect(self._recolour)
        self._recolour()
        self._show_rate(_FIRST_RATE)

    def show_choice(self, choice: PathChoice) -> None:
        """Show what is chosen now."""
        self._choice = choice
        for box, name in ((self.kind, choice.kind), (self.lengths_in, choice.metric), (self.speed, choice.speed)):
            box.setCurrentIndex(box.findData(name))
            box.setToolTip(str(box.currentData(Qt.ItemDataRole.ToolTipRole)))
        self.num_frames.blockSignals(True)
        self.num_frames.setValue(choice.num_frames)
        self.num_frames.blockSignals(False)

    def show_path(self, has_path: bool) -> None:
        """Whether there is something to play and to save."""
        self.play_button.setEnabled(has_path)
        self.save_button.setEnabled(has_path)

    def show_playing(self, is_playing: bool) -> None:
        """Whether the frames run."""
        self._is_playing = is_playing
        self.play_button.setText("Pause" if is_playing else "Play")
        self.play_button.setAccessibleName(f"{self.play_button.text()} the path")
        self._recolour()

    @Slot()
    def _choose_kind(self) -> None:
        record = PATHS[str(self.kind.currentData())]
        self.chosen.emit(replace(self._choice, kind=record.name), f"take the path “{record.title.lower()}”", "")

    @Slot()
    def _choose_metric(self) -> None:
        record = PATH_METRICS[str(self.lengths_in.currentData())]
        choice = replace(self._choice, metric=record.name)
        self.chosen.emit(choice, f"measure the path in the {record.title.lower()}", "")

    @Slot()
    def _choose_speed(self) -> None:
        record = SPEEDS[str(self.speed.currentData())]
        self.chosen.emit(replace(self._choice, speed=record.name), f"take {record.title.lower()}", "")

    @Slot(int)
    def _choose_frames(self, num_frames: int) -> None:
        choice = replace(self._choice, num_frames=num_frames)
        self.chosen.emit(choice, "change the number of frames", "path.num_frames")

    @Slot(int)
    def _take_rate(self, rate: int) -> None:
        self._show_rate(rate)
        self.rate_changed.emit(rate)

    def _show_rate(self, rate: int) -> None:
        self._rate_text.setText(_rate_text(rate))
        self.rate.setToolTip(f"How fast it plays: {_rate_text(rate)}")

    @Slot(object)
    def _recolour(self, _colours: object = None) -> None:
        colours = theme.current()
        for button, name in ((self.play_button, "pause" if self._is_playing else "train"), (self.save_button, "save")):
            button.setIcon(icon(name, colours.text, colours.faint))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where one row is too long, buttons show their icons alone, and the rate is told by its tool tip."""
        super().resizeEvent(event)
        if not self._full_width:
            self._full_width = self._flow.sizeHint().width()
        is_short = self._full_width > event.size().width()
        if is_short != self._is_short:
            self._is_short = is_short
            style = Qt.ToolButtonStyle.ToolButtonIconOnly if is_short else Qt.ToolButtonStyle.ToolButtonTextBesideIcon
            for button in (self.play_button, self.save_button):
                button.setToolButtonStyle(style)
            self._rate_text.setVisible(not is_short)


def _rate_text(rate: int) -> str:
    return f"{rate} frame{'s' if rate > 1 else ''}/s"


def _chooser(
    name: str, records: Registry[PathRecord] | Registry[SpeedRecord] | Registry[PathMetricRecord]
) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    for record in records:
        box.addItem(record.title, record.name)
        box.setItemData(box.count() - 1, record.summary, Qt.ItemDataRole.ToolTipRole)
    widest = max(box.fontMetrics().horizontalAdvance(record.title) for record in records)
    box.setFixedWidth(widest + _BOX_PADDING)
    return box


def _tool_button(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(text)
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return button
