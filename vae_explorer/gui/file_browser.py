"""Showing a folder in the desktop's file browser, or saying where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session


def show_folder(session: Session, folder: Path, where: str, near: str | None = None) -> None:
    """Open it; where this desktop cannot, a message says `where` it is, beside the place `near`."""
    if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
        session.post("info", where, "This desktop has no file browser that could be opened from here.", near)
