"""KL per latent dimension as a strip of bars: which dimensions the model uses, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Slot
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolTip, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.latent.views import dimension_name
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

REDRAW_INTERVAL_MS: Final = 100
ACTIVE_NATS: Final = 0.01
"""A dimension with more KL than this counts as active until the held-out images have said it exactly."""

_LEAST_HEIGHT_FOR_UNIT: Final = 96


class KLBars(QWidget):
    """The bars themselves. `values` are nats by dimension, shown in the `order` given; 1 to 512
    and more fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self._values = np.empty(0)
        self._order = np.empty(0, dtype=np.int64)
        self._hovered: int | None = None
        self._message = ""
        self.setMouseTracking(True)
        self.setMinimumSize(120, 56)

    def sizeHint(self) -> QSize:
        """A strip."""
        return QSize(320, 96)

    def show_values(self, values: np.ndarray, order: np.ndarray, message: str = "") -> None:
        """Draw these; an empty array shows the message."""
        self._values, self._order, self._message = values, order, message
        if self._hovered is not None and self._hovered >= len(values):
            self._hovered = None
        self.update()

    def _area(self) -> QRectF:
        metrics = QFontMetricsF(self.font())
        left = metrics.horizontalAdvance("00.00") + 10
        top = metrics.height() + 8 if self._has_unit() else 6
        return QRectF(left, top, max(self.width() - left - 6, 1), max(self.height() - metrics.height() - 6 - top, 1))

    def _has_unit(self) -> bool:
        return self.height() >= _LEAST_HEIGHT_FOR_UNIT

    def _place_at(self, x: float) -> int | None:
        area, count = self._area(), len(self._values)
        if count == 0 or not area.left() <= x < area.right():
            return None
        return min(int((x - area.left()) / area.width() * count), count - 1)

    def text_at(self, place: int) -> str:
        """What a tool tip says of the bar at a place of the shown order."""
        dimension = int(self._order[place])
        value = float(self._values[dimension])
        shown = f"{value:.4f} nats" if np.isfinite(value) else "not a number"
        return f"{dimension_name(dimension)}: {shown} per image"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars on a zero line, the axis' top value, and the dimension under the mouse."""
        colours = theme.current()
        painter = QPainter(self)
        area, count = self._area(), len(self._values)
        metrics = QFontMetricsF(self.font())
        if count == 0:
            painter.setPen(QColor(colours.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        values = np.clip(np.nan_to_num(self._values[self._order], nan=0.0, posinf=1e30, neginf=0.0), 0.0, 1e30)
        top = _round_top(float(values.max()))
        painter.setPen(QPen(QColor(colours.grid), 1))
        for share in (0.5, 1.0):
            y: float = round(area.bottom() - share * area.height())
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(QColor(colours.muted))
        for share in (0.0, 1.0):
            y = area.bottom() - share * area.height()
            box = QRectF(0, y - metrics.height() / 2, area.left() - 6, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{top * share:.3g}")
        if self._has_unit():
            painter.drawText(QPointF(2, metrics.ascent()), "nats per image")
        width = area.width() / count
        gap = min(2.0, width * 0.2) if width >= 3 else 0.0
        # A dimension alone need not be a wall.
        bar = min(width - gap, 48.0)
        full, pale = QColor(theme.term_colour("kl", colours.is_dark)), QColor(colours.faint)
        painter.setPen(Qt.PenStyle.NoPen)
        for place, value in enumerate(values):
            height = float(value) / top * area.height()
            left = area.left() + place * width + (width - bar) / 2
            painter.fillRect(
                QRectF(left, area.bottom() - max(height, 1.0), bar, max(height, 1.0)),
                full if value > ACTIVE_NATS else pale,
            )
        if self._hovered is not None:
            left = area.left() + self._hovered * width + (width - bar) / 2
            painter.setPen(QPen(QColor(colours.text), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(left - 1, area.top(), bar + 1, area.height()))
        painter.setPen(QPen(QColor(colours.border_strong), 1))
        painter.drawLine(QPointF(area.left(), area.bottom() + 0.5), QPointF(area.right(), area.bottom() + 0.5))
        self._paint_names(painter, area, width, metrics, colours.muted)

    def _paint_names(self, painter: QPainter, area: QRectF, width: float, metrics: QFontMetricsF, colour: str) -> None:
        """Names below the bars, as many as have room."""
        painter.setPen(QColor(colour))
        widest = metrics.horizontalAdvance(dimension_name(len(self._values) - 1)) + 8
        stride = max(1, int(np.ceil(widest / width)))
        for place in range(0, len(self._values), stride):
            box = QRectF(area.left() + (place + 0.5) * width - widest / 2, area.bottom() + 3, widest, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, dimension_name(int(self._order[place])))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Outline the dimension under the mouse."""
        place = self._place_at(event.position().x())
        if place != self._hovered:
            self._hovered = place
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """Take the outline away."""
        self._hovered = None
        self.update()

    def event(self, event: QEvent) -> bool:
        """The tool tip tells the value under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._place_at(event.pos().x())
            if place is not None:
                QToolTip.showText(event.globalPos(), self.text_at(place), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


def _round_top(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten, so that the scale rests while values move."""
    if value <= 0.05:
        return 0.05
    decade = 10.0 ** np.floor(np.log10(value))
    return float(next((digit * decade for digit in (1, 2, 5) if digit * decade >= value), 10 * decade))


class KLDimensionsPanel(QWidget):
    """The dock `panel.kl_dimensions`; GUI thread only. Redraws at most ten times a second while it is
    visible.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._is_active = False
        self._is_dirty = True
        self._exact_active: int | None = None
        self.bars = KLBars()
        self.bars.setAccessibleName("KL per latent dimension")
        self.count = QLabel()
        self.count.setObjectName("kl.active_units")
        self.count.setToolTip(
            "Active units: latent dimensions whose posterior mean varies over the held-out images. "
            f"Before the first held-out check: dimensions with more than {ACTIVE_NATS} nats of KL.\n"
            "The bars are those of the newest weights, also while the time slider shows earlier ones."
        )
        self.order = ChoiceField("Order of the dimensions")
        self.order.addItem("By index", "index")
        self.order.addItem("Largest first", "sorted")
        self.order.show_whole(60)
        self.order.setProperty("variant", "quiet")
        self.order.currentIndexChanged.connect(self._mark_dirty)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.count)
        row.addStretch(1)
        row.addWidget(self.order)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.bars, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_INTERVAL_MS)
        self._timer.timeout.connect(self.redraw)
        session.history_changed.connect(self._mark_dirty)
        session.history_cleared.connect(self._cleared)
        session.config_changed.connect(self._mark_dirty)
        session.validated.connect(self._validated)
        session.timeline.moved.connect(self._mark_dirty)
        theme.notifier().changed.connect(self._recolour)
        self.redraw()

    def set_active(self, visible: bool) -> None:
        """Hidden bars are not drawn; shown again they catch up at once."""
        self._is_active = visible
        if visible and self._is_dirty:
            self.redraw()
        elif not visible:
            self._timer.stop()

    @Slot()
    def _mark_dirty(self) -> None:
        self._is_dirty = True
        if self._is_active and not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _cleared(self) -> None:
        self._exact_active = None
        self._mark_dirty()

    @Slot(object)
    def _validated(self, _event: object) -> None:
        self._exact_active = self.session.active_units
        self._mark_dirty()

    @Slot(object)
    def _recolour(self, _theme: object) -> None:
        self.bars.update()

    @Slot()
    def redraw(self) -> None:
        """Show the session's newest KL per dimension."""
        self._is_dirty = False
        kl_D = self.session.kl_D
        values = np.empty(0) if kl_D is None else np.asarray(kl_D, dtype=np.float64).reshape(-1)
        if self.order.currentData() == "sorted":
            order = np.argsort(-np.nan_to_num(values), kind="stable")
        else:
            order = np.arange(len(values))
        start = self.session.start
        model_name = (self.session.config if start is None else start.config).model_name
        record = MODELS[model_name]
        waits = record.has_codes and any(term.name == "kl" for term in record.terms)
        message = "The bars appear when training starts." if waits else "This model has no KL per dimension."
        self.bars.show_values(values, order, message)
        if len(values) == 0:
            text = ""
        elif self._exact_active is not None:
            text = f"{self._exact_active} of {len(values)} active"
        else:
            text = f"{int(np.count_nonzero(values > ACTIVE_NATS))} of {len(values)} active"
        if text and self.session.timeline.is_past:
            text += " now"
        self.count.setText(text)
        self.bars.setAccessibleDescription(text or message)
