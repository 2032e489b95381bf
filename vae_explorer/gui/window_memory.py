"""What the window keeps for the next time when it goes. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.gui.layer_memory import layer_table
from vae_explorer.gui.settings import LAYOUT_VERSION

if TYPE_CHECKING:
    from vae_explorer.gui.main_window import MainWindow

RUNS_PANEL = "runs/panel"
"""The key of what the library's panel remembers."""


def remember_window(window: MainWindow) -> None:
    """Keep form, layers, layout and library; on the disk by the settings' own `save`."""
    settings = window.settings
    settings.remember_config(window.session.config)
    settings.remember_table("map/layers", layer_table(window.session.map))
    settings.remember_table(RUNS_PANEL, window.panel("runs").memory())
    settings.remember("window/geometry", window.saveGeometry())
    settings.remember("window/layout", window.saveState(LAYOUT_VERSION))
