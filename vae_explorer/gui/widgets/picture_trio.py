"""A canvas, and beside it two small pictures under their captions: what is put in, what is seen, what comes back."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from vae_explorer.gui.widgets.drawing_canvas import DrawingCanvas
from vae_explorer.gui.widgets.image_view import ImageView

_GAP = 8
# What a picture of 28 pixels needs to be doubled, with its frame.
_LEAST_VIEW = 60
_LEAST_BESIDE = 76
_LEAST_CANVAS, _MOST_CANVAS = 96, 340
_MOST_SCROLLED = 0.15
_ANY = (1 << 24) - 1


class PictureTrio(QWidget):
    """The two small pictures stand one above the other where there is height, else in a row with the canvas.

    As high as its width asks for; `room` is the height in sight. Captions shorten where there is little room.
    Beside texts, in a low panel, it is as wide as its height asks for.
    """

    _captions = (("What the network sees", "Network sees", "Seen"), ("Its reconstruction", "Reconstruction", "Decoded"))

    def __init__(self) -> None:
        super().__init__()
        self.canvas = DrawingCanvas(self)
        self.canvas.setMinimumSize(40, 40)
        self.seen, self.reconstruction = ImageView(self), ImageView(self)
        self.labels = [QLabel(self) for _ in self._captions]
        self._room = _MOST_CANVAS
        self._beside: int | None = None
        for view, label, texts in zip((self.seen, self.reconstruction), self.labels, self._captions, strict=True):
            view.setMinimumSize(40, 40)
            view.setAccessibleName(texts[0])
            label.setProperty("variant", "muted")
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_room(self, room: int) -> None:
        """Above texts: the height in sight, in pixels."""
        self._set(room, None)

    def set_beside(self, room: int, width: int) -> None:
        """Beside texts: the height in sight and a width of `width_beside`, in pixels."""
        self._set(room, width)

    def width_beside(self, room: int, most: int) -> int:
        """What it needs in width where it is as high as `room`, in pixels: more up to `most` for larger pictures."""
        side = min(room, _MOST_CANVAS)
        if self._stacks(side):
            return side + _GAP + self._stacked_view(side)
        view = min(max((most - side) // 2 - _GAP, _LEAST_VIEW), max(side - self._caption_height(), _LEAST_VIEW))
        return side + 2 * (_GAP + view)

    def _set(self, room: int, beside: int | None) -> None:
        if (room, beside) != (self._room, self._beside):
            self._room, self._beside = room, beside
            policy = self.sizePolicy()
            is_above = beside is None
            policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored if is_above else QSizePolicy.Policy.Fixed)
            policy.setHeightForWidth(is_above)
            self.setSizePolicy(policy)
            self.setMaximumHeight(_ANY if is_above else room)
            self.updateGeometry()
            self._place()

    def hasHeightForWidth(self) -> bool:
        """Wider is higher, up to a canvas of 340 pixels; not beside texts."""
        return self._beside is None

    def heightForWidth(self, width: int) -> int:
        """The canvas's side, or what the small pictures need."""
        if self._beside is not None:
            return self._room
        if self._is_in_a_row(width):
            return max(self._side_in_a_row(width), self._caption_height() + _LEAST_VIEW)
        return self._stacked_height(width)

    def sizeHint(self) -> QSize:
        """For a column of 264 pixels."""
        width = self._beside or 240
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """It can be narrow."""
        return QSize(self._beside or 160, _LEAST_CANVAS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Place the three."""
        super().resizeEvent(event)
        self._place()

    def changeEvent(self, event: QEvent) -> None:
        """Another font has other captions."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._place()

    def _place(self) -> None:
        caption = self._caption_height()
        if self._beside is not None:
            side = min(self._room, _MOST_CANVAS)
            is_row = not self._stacks(side)
        else:
            is_row = self._is_in_a_row(self.width())
            side = self._side_in_a_row(self.width()) if is_row else self._canvas_side(self.width())
        left = side + _GAP
        if is_row:
            height = max(side - caption, _LEAST_VIEW)
            width = min((self.width() - left - _GAP) // 2, height)
        else:
            height = self._stacked_view(side if self._beside is not None else self.heightForWidth(self.width()))
            width = min(self.width() - left, side)
        self.canvas.setGeometry(0, 0, side, side)
        for number, (view, label) in enumerate(zip((self.seen, self.reconstruction), self.labels, strict=True)):
            x = left + number * (width + _GAP) if is_row else left
            top = 0 if is_row else number * (caption + height + _GAP // 2)
            texts = self._captions[number]
            fitting = (text for text in texts if label.fontMetrics().horizontalAdvance(text) <= width)
            label.setText(next(fitting, texts[-1]))
            label.setToolTip(texts[0])
            label.setGeometry(QRect(x, top, width, caption))
            view.setGeometry(QRect(x, top + caption, width, height))

    def _stacked_view(self, height: int) -> int:
        return (height - 2 * self._caption_height() - _GAP // 2) // 2

    def _stacks(self, side: int) -> bool:
        return self._stacked_view(side) >= _LEAST_VIEW

    def _is_in_a_row(self, width: int) -> bool:
        return self._room < (1 - _MOST_SCROLLED) * self._stacked_height(width)

    def _side_in_a_row(self, width: int) -> int:
        return min(max(self._room, _LEAST_CANVAS), max(width - 2 * (_LEAST_VIEW + _GAP), 40), _MOST_CANVAS)

    def _stacked_height(self, width: int) -> int:
        return max(self._canvas_side(width), 2 * (self._caption_height() + _LEAST_VIEW) + _GAP // 2)

    def _caption_height(self) -> int:
        return self.labels[0].fontMetrics().height() + 2

    def _canvas_side(self, width: int) -> int:
        beside = max(_LEAST_BESIDE, (width - _GAP) // 3)
        return max(min(width - _GAP - beside, _MOST_CANVAS), 40)
