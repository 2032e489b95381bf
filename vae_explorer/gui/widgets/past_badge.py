"""What says on the map that it shows the past: step, epoch and time of a recorded moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.progress_strip import duration_text

if TYPE_CHECKING:
    from vae_explorer.runs.past import Moment

BADGE_MARGIN = 8
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
        if self.isVisible():
            size.setWidth(max(size.width(), self.width()))
        self.setGeometry(badge_place(self._corner, size))

    def sizeHint(self) -> QSize:
        """Both lines."""
        return badge_size(self.font(), self.lines)

    @Slot()
    def _repaint(self) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A rounded ground that the map shines through a little."""
        del event
        painter = QPainter(self)
        painter.setFont(self.font())
        paint_badge(painter, self.rect(), self.lines, theme.current())
        painter.end()


def badge_size(font: QFont, lines: tuple[str, str]) -> QSize:
    """What both lines need with their ground."""
    metrics = [QFontMetrics(one) for one in _fonts(font)]
    width = max(one.horizontalAdvance(line) for one, line in zip(metrics, lines, strict=True))
    return QSize(width + 2 * _PADDING + 2, sum(one.height() for one in metrics) + 8)


def paint_badge(painter: QPainter, box: QRect, lines: tuple[str, str], colours: theme.Theme) -> None:
    """Both lines on their ground, in the painter's font."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ground = QColor(colours.panel)
    ground.setAlpha(225)
    painter.setBrush(ground)
    painter.setPen(QPen(QColor(colours.accent), 1.0))
    painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
    top, room = box.top() + 4, box.width() - 2 * _PADDING
    for font, line, ink in zip(_fonts(painter.font()), lines, (colours.text, colours.muted), strict=True):
        metrics = QFontMetrics(font)
        painter.setFont(font)
        painter.setPen(QColor(ink))
        text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, room)
        painter.drawText(box.left() + _PADDING, top + metrics.ascent(), text)
        top += metrics.height()


def badge_place(corner: QPoint, size: QSize) -> QRect:
    """Where a badge lies, below and left of this upper right corner, no wider than there is room."""
    width = min(size.width(), max(corner.x() - BADGE_MARGIN, 1))
    return QRect(corner + QPoint(-width - BADGE_MARGIN, BADGE_MARGIN), QSize(width, size.height()))


def _fonts(font: QFont) -> tuple[QFont, QFont]:
    strong, plain = QFont(font), QFont(font)
    strong.setBold(True)
    plain.setPointSizeF(max(plain.pointSizeF() - 1.0, 7.0))
    return strong, plain


def moment_lines(moment: Moment) -> tuple[str, str]:
    """When it was, and what is shown of it."""
    when = f"Step {moment.step:,} · epoch {moment.epoch:.2f} · {duration_text(moment.seconds)}"
    what = f"Recorded frame {moment.number + 1:,} of {moment.of:,}"
    if moment.num_codes:
        what += f": {moment.num_codes:,} of {moment.num_items:,} codes"
    if moment.weights_step != moment.step:
        what += f", decoded by step {moment.weights_step:,}"
    return when, what
