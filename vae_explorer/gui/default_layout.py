"""The first size of the window and the first places of its panels.

The form at the left, the map in the middle, pictures at the right, curves below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

if TYPE_CHECKING:
    from PySide6.QtWidgets import QMainWindow

    from vae_explorer.gui.panel_dock import PanelDock

TABS = {
    "run_config": ("layers", "view", "groups"),
    "samples": ("reconstructions", "data_plane"),
    "bound_curves": ("path", "own_picture", "codebook", "run_doctor", "measures", "runs"),
}
"""Panels that share a place, behind the one that is seen first."""

ON_DEMAND = {"beside": "latent_map"}
"""Panels that are hidden until somebody asks for them, and with which one they then share a place."""

_AROUND_DOCKS = 102  # menu bar, toolbar and status bar
_ROUND_PICTURE = 170  # what the panel of the decoded image needs in height more than in width


def place_docks(window: QMainWindow, docks: Mapping[str, PanelDock]) -> None:
    """Put every panel back where it is at the first start."""
    for dock in docks.values():
        dock.setFloating(False)
        window.removeDockWidget(dock)
    across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["run_config"])
    window.splitDockWidget(docks["run_config"], docks["latent_map"], across)
    window.splitDockWidget(docks["latent_map"], docks["bound_curves"], down)
    window.splitDockWidget(docks["latent_map"], docks["decoded_image"], across)
    window.splitDockWidget(docks["decoded_image"], docks["samples"], down)
    window.splitDockWidget(docks["bound_curves"], docks["kl_dimensions"], across)
    for first, others in TABS.items():
        for name in others:
            window.tabifyDockWidget(docks[first], docks[name])
    for name, first in ON_DEMAND.items():
        window.tabifyDockWidget(docks[first], docks[name])
    for name, dock in docks.items():
        dock.setVisible(name not in ON_DEMAND)
    for first in TABS:
        docks[first].raise_()
    size = window.size()
    if window.isMaximized() and not window.isVisible():
        # What it will be, not what it was made with.
        size = QGuiApplication.primaryScreen().availableSize()
    width, height = max(size.width(), 960), max(size.height(), 600)
    form = round(min(340, max(296, 0.2 * width)))
    rest = width - form
    right = round(min(560, max(264, 0.26 * rest)))
    room = height - _AROUND_DOCKS
    below = round(min(420, max(212, 0.3 * room)))
    above = room - below
    # The decoded image is what one looks at: as wide as its column, unless too little is left for the samples.
    picture = round(min(right + _ROUND_PICTURE, 0.66 * above))
    window.resizeDocks([docks["run_config"], docks["latent_map"]], [form, rest], across)
    window.resizeDocks([docks["latent_map"], docks["decoded_image"]], [rest - right, right], across)
    window.resizeDocks([docks["bound_curves"], docks["kl_dimensions"]], [rest - right, right], across)
    window.resizeDocks([docks["latent_map"], docks["bound_curves"]], [above, below], down)
    window.resizeDocks([docks["decoded_image"], docks["samples"]], [picture, above - picture], down)


def show_what_suits(window: QMainWindow, docks: Mapping[str, PanelDock], image_shape: tuple[int, int, int]) -> None:
    """Points of the plane bring the data plane before the decoded image; pictures send it back behind the samples."""
    picture, plane = docks["decoded_image"], docks["data_plane"]
    is_wanted, is_there = image_shape == (2, 1, 1), plane in window.tabifiedDockWidgets(picture)
    if is_wanted is is_there or plane.isFloating() or plane.isHidden():
        return
    front = picture if is_wanted else docks["samples"]
    # Out of its group first: Qt leaves a tab without a panel behind where a dock goes from one group to another.
    window.removeDockWidget(plane)
    window.tabifyDockWidget(front, plane)
    plane.show()
    (plane if is_wanted else front).raise_()


def take_default_size(window: QMainWindow) -> None:
    """Most of a large screen, all of a small one."""
    available = QGuiApplication.primaryScreen().availableGeometry()
    if available.width() < 1400 or available.height() < 880:
        window.setGeometry(available)
        window.setWindowState(Qt.WindowState.WindowMaximized)
        return
    window.resize(min(int(available.width() * 0.84), 2160), min(int(available.height() * 0.88), 1280))
    window.move(available.center() - window.rect().center())


def is_on_a_screen(window: QMainWindow) -> bool:
    """Whether enough of the window can be seen to take hold of it."""
    grip = window.geometry().adjusted(40, 40, -40, -40)
    return any(screen.availableGeometry().intersects(grip) for screen in QGuiApplication.screens())
