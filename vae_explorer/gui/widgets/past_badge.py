"""What says on the map that it shows the past: step, epoch and time of a recorded moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.progress_strip import duration_text

if TYPE_CHECKING:
    from vae_explorer.runs.past import Moment

_MARGIN = 8
_PADDING = 8


class PastBadge(QWidget):
    """Two lines in the upper right corner of what it lies on, there for the past alone; no mouse notices it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Recorded moment")
        self.lines = ("", "")
        self._corner = QPoint()
        self.hide()
        theme.notifier().changed.connect(self._repaint)

    def show_moment(self, moment: Moment | None) -> None:
        """What is looked at; None takes it off."""
        self.setVisible(moment is not None)
        if moment is not None:
            self.lines = moment_lines(moment)
            self.setToolTip(" · ".join(self.lines))
            self.setAccessibleDescription(" · ".join(self.lines))
            self._place()
            self.update()

    def place_at(self, corner: QPoint) -> None:
        """The upper right corner of the plot that it lies on."""
        self._corner = corner
        self._place()

    def _place(self) -> None:
        size = self.sizeHint()
        # Its width only grows while it is seen: a digit more must not make it twitch.
        width = max(size.width(), self.width() if self.isVisible() else 0)
        room = max(self._corner.x() - _MARGIN, 1)
        self.resize(min(width, room), size.height())
        self.move(self._corner + QPoint(-self.width() - _MARGIN, _MARGIN))

    def sizeHint(self) -> QSize:
        """Both lines."""
        strong, plain = self._fonts()
        widths = (
            QFontMetrics(strong).horizontalAdvance(self.lines[0]),
            QFontMetrics(plain).horizontalAdvance(self.lines[1]),
        )
        height = QFontMetrics(strong).height() + QFontMetrics(plain).height()
        return QSize(max(widths) + 2 * _PADDING + 2, height + 8)

    def _fonts(self) -> tuple[QFont, QFont]:
        strong, plain = QFont(self.font()), QFont(self.font())
        strong.setBold(True)
        plain.setPointSizeF(max(plain.pointSizeF() - 1.0, 7.0))
        return strong, plain

    @Slot()
    def _repaint(self) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A rounded ground that the map shines through a little."""
        del event
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QColor(colours.panel)
        ground.setAlpha(225)
        painter.setBrush(ground)
        painter.setPen(QPen(QColor(colours.accent), 1.0))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        top, room = 4, self.width() - 2 * _PADDING
        for font, line, ink in zip(self._fonts(), self.lines, (colours.text, colours.muted), strict=True):
            metrics = QFontMetrics(font)
            painter.setFont(font)
            painter.setPen(QColor(ink))
            text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, room)
            painter.drawText(_PADDING, top + metrics.ascent(), text)
            top += metrics.height()
        painter.end()


def moment_lines(moment: Moment) -> tuple[str, str]:
    """When it was, and what is shown of it."""
    when = f"Step {moment.step:,} · epoch {moment.epoch:.2f} · {duration_text(moment.seconds)}"
    what = f"Recorded frame {moment.number + 1:,} of {moment.of:,}"
    if moment.num_codes:
        what += f": {moment.num_codes:,} of {moment.num_items:,} codes"
    if moment.weights_step != moment.step:
        what += f", decoded by step {moment.weights_step:,}"
    return when, what
