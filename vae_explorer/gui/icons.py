"""Line icons drawn in the colours of the theme: 16 x 16 units, one stroke width, no files to load."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_STROKED = {
    "save": "M8 2.5v7.5M5 7.2 8 10.2 11 7.2M2.8 10.8v2.7h10.4v-2.7",
    "close": "M4 4 12 12M12 4 4 12",
    "float": "M6.5 3.5h6v6M12.5 3.5 7 9M9 12.5H3.5V7",
    "copy": "M5.5 5.5h7.5v7.5H5.5zM3 10.5V3h7.5",
    "step": "M4 3.8v8.4L9.8 8zM12.2 3.8v8.4",
    "undo": "M6 3.5 3 6.5 6 9.5M3 6.5h6.2a3.3 3.3 0 0 1 0 6.6H6.5",
    "redo": "M10 3.5 13 6.5 10 9.5M13 6.5H6.8a3.3 3.3 0 0 0 0 6.6h2.7",
    "palette": "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 10l3.3 3.3",
    "fit": "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
    "warning": "M8 2.6 14.2 13H1.8zM8 6.4v3.2M8 11.3v.2",
    "pin": "M8 14V9.4M8 2.2a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2z",
    "lasso": "M3.2 10.6C1.4 7.2 4 3 8.4 2.8s6.4 3 4.8 5.8-6.6 3.4-8.4 2M4.8 10.6c1.6.6 1.2 2.6-.8 3",
    "rectangle": "M2.5 3.5h11v9h-11zM5.5 3.5h2M9 3.5h2M5.5 12.5h2M9 12.5h2",
    "eye": "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
    "eye_off": "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM3 13 13 3",
    "check": "M3.2 8.4 6.6 11.8 12.8 4.6",
    "circle": "M8 3.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6z",
    "info": "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.2v4M8 4.8v.2",
}
_FILLED = {
    "train": "M4.5 2.9v10.2L13 8z",
    "continue": "M4.5 2.9v10.2L13 8z",
    "pause": "M4 3h2.8v10H4zM9.2 3H12v10H9.2z",
    "stop": "M4 3.2h8a.8.8 0 0 1 .8.8v8a.8.8 0 0 1-.8.8H4a.8.8 0 0 1-.8-.8V4a.8.8 0 0 1 .8-.8z",
}
ICON_NAMES: tuple[str, ...] = (*_STROKED, *_FILLED)


def icon(name: str, colour: str, disabled_colour: str) -> QIcon:
    """An icon by name, sharp on ordinary and on dense screens."""
    made = QIcon()
    for mode, ink in ((QIcon.Mode.Normal, colour), (QIcon.Mode.Disabled, disabled_colour)):
        for scale in (1, 2, 3):
            made.addPixmap(_pixmap(name, ink, scale), mode)
    return made


def application_icon() -> QIcon:
    """The program's own mark: a latent plane with three clusters."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        '<rect width="64" height="64" rx="14" fill="#3b5fdb"/>'
        '<g fill="#fff"><circle cx="22" cy="24" r="9"/><circle cx="43" cy="22" r="5.5" opacity=".8"/>'
        '<circle cx="39" cy="43" r="8" opacity=".9"/><circle cx="20" cy="45" r="3.5" opacity=".65"/></g></svg>'
    )
    made = QIcon()
    for size in (16, 32, 48, 128):
        made.addPixmap(_render(drawing, size))
    return made


def _pixmap(name: str, ink: str, scale: int) -> QPixmap:
    if name in _FILLED:
        style, path = f'fill="{ink}"', _FILLED[name]
    else:
        style = f'fill="none" stroke="{ink}" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"'
        path = _STROKED[name]
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path {style} d="{path}"/></svg>'
    pixmap = _render(drawing, 16 * scale)
    pixmap.setDevicePixelRatio(scale)
    return pixmap


def _render(drawing: str, size: int) -> QPixmap:
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
