"""Saves a path as a strip of pictures or as a movie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.gui.dialogs.save_film import Film, SaveFilmDialog

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from vae_explorer.gui.path_search import FoundPath


class SavePathDialog(SaveFilmDialog):
    """Of the path that was there when it opened."""

    def __init__(self, found: FoundPath, frames_per_second: float = 8, parent: QWidget | None = None) -> None:
        film = Film(
            name="save_path", title="Save path", frames_F=found.result.pictures_F, stem="path",
            ending=f"{found.result.kind}-step-{found.step}",
            source=f"{found.run_name or 'untrained net'}, step {found.step:,}", text=found.text(),
        )  # fmt: skip
        super().__init__(film, frames_per_second, parent)
