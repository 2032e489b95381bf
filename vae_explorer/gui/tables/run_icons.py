"""Small pictures in a table of runs: what became of each, and how a person marked it. GUI thread only."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.runs.run_status import RunStatus

_SWATCH, _MARK_WIDTH, _MARK_HEIGHT = 11, 34, 16

# status: icon, which of the theme's inks; None is a folder that is no run
_STATUS_ICONS = {
    RunStatus.RUNNING: ("train", "accent"),
    RunStatus.FINISHED: ("check", "good"),
    RunStatus.STOPPED: ("stop", "muted"),
    RunStatus.FAILED: ("close", "error"),
    RunStatus.BROKEN_OFF: ("warning", "warning"),
    RunStatus.NOT_BEGUN: ("circle", "faint"),
    None: ("info", "muted"),
}


class RunIcons:
    """Each is drawn once for every look of the theme: a table asks for them at every cell it paints."""

    def __init__(self) -> None:
        self._icons: dict[tuple[str, str], QIcon] = {}
        self._marks: dict[tuple[int | None, bool, str], QIcon] = {}

    def of_status(self, status: RunStatus | None) -> QIcon:
        """A shape for each status, so that it need not be told by its colour; None is a folder that is no run."""
        name, ink = _STATUS_ICONS[status]
        key = (name, getattr(theme.current(), ink))
        if key not in self._icons:
            drawn = icon(*key, key[1])
            for size in drawn.availableSizes():
                drawn.addPixmap(drawn.pixmap(size), QIcon.Mode.Selected)
            self._icons[key] = drawn
        return self._icons[key]

    def of_mark(self, colour: int | None, is_pinned: bool) -> QIcon:
        """The colour of a run's curves where they are drawn, and a pin."""
        key = (colour, is_pinned, theme.current().text)
        if key not in self._marks:
            self._marks[key] = untinted(_mark(*key))
        return self._marks[key]


def untinted(pixmap: QPixmap) -> QIcon:
    """An icon that looks the same in a selected row: its colours mean something."""
    made = QIcon(pixmap)
    made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made


def colour_icon(colour: int) -> QIcon:
    """A swatch for menus."""
    pixmap = _blank(16, 16)
    painter = QPainter(pixmap)
    _paint_swatch(painter, colour, QRectF(2, 2, 12, 12))
    painter.end()
    return QIcon(pixmap)


def _mark(colour: int | None, is_pinned: bool, ink: str) -> QPixmap:
    pixmap = _blank(_MARK_WIDTH, _MARK_HEIGHT)
    painter = QPainter(pixmap)
    if colour is not None:
        _paint_swatch(painter, colour, QRectF(1, (_MARK_HEIGHT - _SWATCH) / 2, _SWATCH, _SWATCH))
    if is_pinned:
        icon("pin", ink, ink).paint(painter, _MARK_WIDTH - 18, 0, 16, _MARK_HEIGHT)
    painter.end()
    return pixmap


def _blank(width: int, height: int) -> QPixmap:
    pixmap = QPixmap(QSize(width, height) * 2)
    pixmap.setDevicePixelRatio(2)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


def _paint_swatch(painter: QPainter, colour: int, place: QRectF) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.class_colour(colour)))
    painter.drawRoundedRect(place, 3, 3)
