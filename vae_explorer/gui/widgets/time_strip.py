"""The strip under the map that goes through the recorded moments of a run: play, a slider, aligned, and the present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QActionGroup, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QSlider, QStyle, QToolButton, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.timeline import RATES

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

_HANDLE = 16  # pixels, of the style sheet
_FEW_FRAMES = 10


class TimeSlider(QSlider):
    """A slider that a press takes to where it is; Space and Escape are signals, the other keys those of sliders.

    play_pressed(), left().
    """

    play_pressed = Signal()
    left = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setPageStep(_FEW_FRAMES)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """To this place, and on with the drag."""
        if event.button() == Qt.MouseButton.LeftButton:
            at, room = round(event.position().x()) - _HANDLE // 2, max(self.width() - _HANDLE, 1)
            self.setSliderPosition(QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), at, room))
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays, Escape goes back to the present."""
        if event.key() == Qt.Key.Key_Space:
            self.play_pressed.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class TimeStrip(QWidget):
    """Shows `session.timeline` and says what a person makes of it; the right end is the present. Always equally high.

    save_clicked().
    """

    save_clicked = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._timeline = timeline = session.timeline
        self._playing_shown: tuple[bool, theme.Theme] | None = None
        self.setObjectName("time_strip")
        self.slider = TimeSlider()
        self.slider.setObjectName("timeline.slider")
        self.slider.setAccessibleName("Moment of the run")
        self.slider.setMinimumWidth(90)
        self.slider.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.play_button = _button("timeline.play", "")
        self.align_button = _button("timeline.align", "Aligned")
        self.align_button.setCheckable(True)
        self.align_button.setToolTip(
            "Turn the map from frame to frame so that codes stay where they are as far as they can (orthogonal "
            "Procrustes); axes that are turned bear a prime. Switched off, it is shown as it was. For planes that are "
            "not fitted to the codes."
        )
        self.more_button = _button("timeline.more", "⋯")
        self.more_button.setToolTip("Speed, and saving the training as a movie")
        self.more_button.setAccessibleName("Speed and saving")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more_button.setMenu(self._menu())
        self.now_button = _button("timeline.now", "Now")
        self.now_button.setToolTip("Back to the present (Escape, or the right end of the slider)")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 2, 12, 2)
        row.setSpacing(4)
        row.addWidget(self.play_button)
        row.addWidget(self.slider, 1)
        for button in (self.now_button, self.align_button, self.more_button):
            row.addWidget(button)
        self.slider.valueChanged.connect(self._go_to)
        self.slider.play_pressed.connect(timeline.play_or_rest)
        self.slider.left.connect(self._to_present)
        self.play_button.clicked.connect(timeline.play_or_rest)
        self.now_button.clicked.connect(self._to_present)
        self.align_button.toggled.connect(timeline.set_aligned)
        timeline.recorded.connect(self._refresh)
        timeline.moved.connect(self._refresh)
        timeline.played.connect(self._refresh)
        timeline.aligned.connect(self._refresh)
        theme.notifier().changed.connect(self._refresh)
        self._refresh()

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        group = QActionGroup(menu)
        for rate, title in RATES:
            action = menu.addAction(f"{title}: {rate:g} frames/s")
            action.setCheckable(True)
            action.setChecked(rate == self._timeline.rate)
            group.addAction(action)
            action.triggered.connect(lambda _checked=False, rate=rate: self._timeline.set_rate(rate))
        menu.addSeparator()
        self.save_action = menu.addAction("Save the training as a movie…")
        self.save_action.triggered.connect(self.save_clicked)
        return menu

    @Slot(int)
    def _go_to(self, place: int) -> None:
        self._timeline.rest()
        self._timeline.go_to(place if place < len(self._timeline.steps) else None)

    @Slot()
    def _to_present(self) -> None:
        self._timeline.rest()
        self._timeline.go_to(None)

    @Slot()
    def _refresh(self, *_news: object) -> None:
        timeline, colours = self._timeline, theme.current()
        num_frames, number = len(timeline.steps), timeline.number
        # While a hand is on the slider it is where the hand is.
        if not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setRange(0, num_frames)
            self.slider.setValue(num_frames if number is None else number)
            self.slider.blockSignals(False)
        has_frames = num_frames > 0
        for widget in (self.slider, self.play_button, self.align_button, self.more_button):
            widget.setEnabled(has_frames)
        self.now_button.setEnabled(timeline.is_past)
        self.align_button.setChecked(timeline.is_aligned)
        self.slider.setToolTip(
            f"Look back in time: {num_frames:,} recorded moments, then the present"
            if has_frames
            else "Nothing to look back at: no moment of this run was recorded yet"
        )
        self._show_playing(timeline.is_playing, colours)

    def _show_playing(self, is_playing: bool, colours: theme.Theme) -> None:
        if (is_playing, colours) == self._playing_shown:
            return  # an icon is drawn from its outline, and this is asked at every moment
        self._playing_shown = (is_playing, colours)
        self.play_button.setIcon(icon("pause" if is_playing else "train", colours.text, colours.faint))
        tip = "Rest at this moment (Space)" if is_playing else "Play the training from here, or from its start (Space)"
        self.play_button.setToolTip(tip)
        self.play_button.setAccessibleName("Rest" if is_playing else "Play the training")


def _button(name: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    button.setIconSize(QSize(14, 14))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
