"""The button that saves curves: as a picture, as a drawing, or as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton

from vae_explorer.gui import theme
from vae_explorer.gui.threads.writing import FileWriting
from vae_explorer.gui.widgets.curve_files import history_csv, scene_png, scene_svg

if TYPE_CHECKING:
    from vae_explorer.errors import UserError
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.widgets.curve_board import CurveBoard

_FORMATS = (("Picture (PNG)…", "png"), ("Drawing (SVG)…", "svg"), ("Numbers (CSV)…", "csv"))


class CurveSaveButton(QToolButton):
    """Asks for a path and writes there in a thread. noted(str): what became of it, for the place beside the
    button.
    """

    noted = Signal(str)

    def __init__(
        self,
        session: Session,
        board: CurveBoard,
        columns: Callable[[], Sequence[str]],
        redraw: Callable[[], None],
    ) -> None:
        super().__init__()
        self._session, self._board, self._columns, self._redraw = session, board, columns, redraw
        self._writing = FileWriting(self)
        self._writing.written.connect(self._written)
        self._writing.failed.connect(self._failed)
        self.setText("Save ▾")
        self.setAccessibleName("Save curves")
        self.setToolTip("Save the plots as a picture, or the numbers as a table.")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for text, suffix in _FORMATS:
            menu.addAction(text).setData(suffix)
        menu.triggered.connect(self._choose)
        self.setMenu(menu)

    @Slot(QAction)
    def _choose(self, action: QAction) -> None:
        suffix = str(action.data())
        run = self._session.run_directory
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        start = Path(run.path if run is not None else pictures) / f"curves.{suffix}"
        text, _ = QFileDialog.getSaveFileName(self, "Save curves", str(start), f"*.{suffix}")
        if text:
            path = Path(text)
            self.save(path if path.suffix.lower() == f".{suffix}" else path.with_name(f"{path.name}.{suffix}"))

    def save(self, path: Path) -> None:
        """Write the curves by the path's suffix: .png, .svg, or the numbers as .csv."""
        if self._writing.is_busy:
            self.noted.emit("The last file is still being written.")
            return
        self.noted.emit("Saving…")
        if path.suffix.lower() == ".csv":
            self._writing.start(path, history_csv(self._session.history, self._columns()))
            return
        self._redraw()
        scene, area, ground = self._board.scene(), self._board.area(), theme.current().panel
        is_drawing = path.suffix.lower() == ".svg"
        title = "Curves of the bound"
        content = scene_svg(scene, area, ground, title) if is_drawing else scene_png(scene, area, ground)
        self._writing.start(path, lambda: content)

    @Slot(object)
    def _written(self, path: Path) -> None:
        self.noted.emit(f"Saved {path}")

    @Slot(object)
    def _failed(self, error: UserError) -> None:
        self.noted.emit(error.in_one_line)
