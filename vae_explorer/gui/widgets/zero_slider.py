"""A slider whose zero is in its middle, filled from there. GUI thread only."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QSlider, QStyle, QStyleOptionSlider

from vae_explorer.gui import theme

SLIDER_REACH: Final = 3.0
"""Sliders go from minus this to this."""

_RESETTING: Final = frozenset({Qt.Key.Key_Delete, Qt.Key.Key_Backspace, Qt.Key.Key_0})
_GROOVE_HEIGHT: Final = 4.0


class ZeroSlider(QSlider):
    """A slider from -3 to 3; a double click, Delete or 0 goes back to 0.

    moved(float): a person moved it. A value beyond its ends leaves the knob at the end and is not changed by that.
    gesture_began(): a drag, a click or a fresh key press begins, or the keyboard comes here.
    """

    moved = Signal(float)
    gesture_began = Signal()

    def __init__(self, steps_a_unit: int = 100) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._steps_a_unit = steps_a_unit
        limit = round(SLIDER_REACH * steps_a_unit)
        self.setRange(-limit, limit)
        self.setSingleStep(max(1, steps_a_unit // 20))
        self.setPageStep(steps_a_unit // 2)
        self.setMinimumWidth(48)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.valueChanged.connect(self._tell)

    @property
    def amount(self) -> float:
        """The value where the knob stands."""
        return self.value() / self._steps_a_unit

    def show_value(self, value: float) -> None:
        """Show a value without telling anybody."""
        was = self.blockSignals(True)
        self.setValue(round(value * self._steps_a_unit))
        self.blockSignals(was)
        self.update()

    @Slot()
    def _tell(self) -> None:
        self.moved.emit(self.amount)

    def _reset(self) -> None:
        # Also where the knob stands at 0 already: the value behind it may be a rounding away.
        self.show_value(0.0)
        self.moved.emit(0.0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The groove, filled from the middle to the knob, and the knob of the style on it."""
        del event
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        style, colours = self.style(), theme.current()
        slider, handle = QStyle.ComplexControl.CC_Slider, QStyle.SubControl.SC_SliderHandle
        groove = QRectF(style.subControlRect(slider, option, QStyle.SubControl.SC_SliderGroove, self))
        at_knob = QRectF(style.subControlRect(slider, option, handle, self)).center().x()
        top, radius = self.height() / 2 - _GROOVE_HEIGHT / 2, _GROOVE_HEIGHT / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.pressed))
        painter.drawRoundedRect(QRectF(groove.left(), top, groove.width(), _GROOVE_HEIGHT), radius, radius)
        middle = groove.center().x()
        fill = QRectF(min(middle, at_knob), top, abs(at_knob - middle), _GROOVE_HEIGHT)
        painter.fillRect(fill, QColor(colours.accent if self.isEnabled() else colours.border_strong))
        option.subControls = handle
        style.drawComplexControl(slider, option, painter, self)

    def event(self, event: QEvent) -> bool:
        """The keys that reset are this slider's before they are shortcuts of the window."""
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _RESETTING:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go by a small step, page keys by a half; a key held down is one gesture."""
        if not event.isAutoRepeat():
            self.gesture_began.emit()
        if event.key() in _RESETTING:
            self._reset()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The wheel, too, turns only what the keyboard is at."""
        self.gesture_began.emit()
        super().focusInEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A gesture begins."""
        self.gesture_began.emit()
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to 0, in the same gesture as the click before."""
        del event
        self.setSliderDown(False)
        self._reset()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Only the slider in use turns with the wheel; others let the panel scroll."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def minimumSizeHint(self) -> QSize:
        """Narrow panels keep their numbers."""
        return QSize(48, super().minimumSizeHint().height())
