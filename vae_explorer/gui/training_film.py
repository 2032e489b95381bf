"""The training as a movie: the map of every recorded moment, drawn beside the window and composed as it is seen."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.export.movies import MAXIMUM_PIXELS
from vae_explorer.gui import theme
from vae_explorer.gui.dialogs.save_film import Film
from vae_explorer.gui.layer_asking import layers_of_moment
from vae_explorer.gui.map_picture import MapPicture, image_of, layer_opacities, layer_requests
from vae_explorer.gui.shown_view import turned_as_chosen
from vae_explorer.gui.threads.film import DrawnMoment, FilmDrawing, FilmJob
from vae_explorer.gui.widgets.map_overlay import MapOverlay
from vae_explorer.gui.widgets.past_badge import badge_place, badge_size, moment_lines, paint_badge
from vae_explorer.latent.view_catalogue import VIEWS, FitData, build_view

if TYPE_CHECKING:
    from vae_explorer.gui.panels.latent_map import LatentMapPanel
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.layers import LayerRecord, LayerRequest
    from vae_explorer.latent.views import View
    from vae_explorer.runs.past import PastLook


class DrawingProgress(QDialog):
    """How many of the moments are drawn; rejected by Cancel, Escape and closing."""

    def __init__(self, num_moments: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.drawing_training")
        self.setWindowTitle("The training as a movie")
        self.bar = QProgressBar()
        self.bar.setRange(0, num_moments)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Moments drawn")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setAutoDefault(False)
        self.cancel_button.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addSpacing(12)
        row.addWidget(self.cancel_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(8)
        column.addWidget(QLabel(f"Drawing the map of {num_moments:,} recorded moments as it is shown now…"))
        column.addLayout(row)
        self.setMinimumWidth(420)


class TrainingFilm(QObject):
    """Draws the frames while `progress`, a dialog that can be cancelled, says how far it is.

    Layers that take longer than a look are left out. Raises UserError where there is nothing to draw.

    made(Film): all frames are there. failed(UserError): they could not be drawn. Neither after it is cancelled.
    """

    made = Signal(object)
    failed = Signal(object)

    def __init__(self, session: Session, panel: LatentMapPanel, window: QWidget) -> None:
        super().__init__(window)
        self._frames: list[np.ndarray] = []
        timeline, canvas, run, dataset = session.timeline, panel.canvas, session.run_directory, session.dataset
        view, choice = session.map.straight_view, session.map.arrangement.view
        if not timeline.steps or run is None or dataset is None:
            raise UserError(
                "There is nothing to make a movie of yet.", "Train a run: moments of it are recorded on the way."
            )
        if view is None or choice is None or canvas.note:
            raise UserError("There is no map to make a movie of.", "Choose a model that has codes, and show the map.")
        self._view, self._choice, self._run_name = view, choice, run.name
        self._labels_N = None if dataset.labels_N is None else dataset.labels_N.cpu().numpy()
        self._follows = panel.is_following
        self._frame, self._size, self._font = canvas.frame, canvas.size(), canvas.font()
        self._corner = canvas.plot.topRight()
        pixels = len(timeline.steps) * self._size.width() * self._size.height()
        # One file pixel a screen pixel, fewer where all frames together would be too many for a file.
        self._scale = min(1.0, math.sqrt(0.95 * MAXIMUM_PIXELS / pixels))
        self._opacities = layer_opacities(session.map)
        self._labels = canvas.axis_labels
        self._colours = theme.current()
        self.progress = DrawingProgress(len(timeline.steps), window)
        self.progress.rejected.connect(self.cancel)
        self._requests = layer_requests(session.map, view, self._frame, self._scale)
        job = FilmJob(
            run, dataset, timeline.present, timeline.steps, view, timeline.is_aligned, self._requests_for
        )  # fmt: skip
        self._drawing = FilmDrawing(job, self)
        self._drawing.drawn.connect(self._take)
        self._drawing.ended.connect(self._end)
        self._drawing.start()

    @Slot()
    def cancel(self) -> None:
        """Draw no more."""
        self._drawing.cancel()
        self._frames = []

    def _requests_for(self, look: PastLook) -> tuple[tuple[LayerRecord, LayerRequest], ...]:
        """In the drawing thread: the layers of a moment, through the view turned as the window would turn it."""
        extent, view = look.extent, self._view_of(look)
        rect = self._frame.rect if extent is None or not self._follows else self._frame.fitted(extent).rect
        names, found = layers_of_moment(look.moment), []
        for record, request in self._requests:
            if record.name in names and not record.is_survey:
                found.append((record, replace(request, view=view, rect=rect)))
        return tuple(found)

    def _view_of(self, look: PastLook) -> View:
        choice, codes_ND = self._choice, look.snapshot.codes_ND
        if VIEWS[choice.name].is_fitted and choice.locked is None and codes_ND is not None:
            self._view = build_view(choice, FitData(codes_ND.cpu().numpy(), self._labels_N), self._view)
            return self._view
        return turned_as_chosen(self._view, choice, look.rotation_DD)

    @Slot(object)
    def _take(self, drawn: DrawnMoment) -> None:
        """Compose one frame: the map with the words of its moment."""
        rect = drawn.requests[0][1].rect if drawn.requests else self._frame.rect
        frame = replace(self._frame, x=rect.centre[0], y=rect.centre[1], scale=self._frame.width / rect.width)
        picture = MapPicture(
            drawn.facts, drawn.drawings, self._size, frame, self._scale, self._labels, MapOverlay(), self._opacities
        )
        image = image_of(picture, has_legend=False)
        painter = QPainter(image)
        painter.setFont(self._font)
        lines = moment_lines(drawn.moment)
        paint_badge(painter, badge_place(self._corner, badge_size(self._font, lines)), lines, self._colours)
        painter.end()
        self._frames.append(_pixels(image))
        self.progress.bar.setValue(len(self._frames))
        self._drawing.take_next()

    @Slot(object)
    def _end(self, error: Exception | None) -> None:
        self.progress.accept()
        frames, self._frames = self._frames, []
        if error is not None:
            is_told = isinstance(error, UserError)
            self.failed.emit(error if is_told else UserError(f"The map could not be drawn: {error}.", ""))
            return
        film = Film(
            name="save_training", title="Save the training as a movie", frames_F=np.stack(frames),
            stem=f"training-{self._run_name}", ending=f"{len(frames)}-moments",
            source=f"{self._run_name}, {len(frames):,} recorded moments", is_there_and_back=False,
            text={"run": self._run_name, "kind": "training", "moments": str(len(frames))},
        )  # fmt: skip
        self.made.emit(film)


def _pixels(image: QImage) -> np.ndarray:
    """(H, W, 3) uint8 of its own."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
