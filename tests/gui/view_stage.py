"""The window with the view panel in front, as the tests of that panel drive it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.view import ViewPanel
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets import view_overview
from vae_explorer.gui.widgets.view_sliders import DimensionRow
from vae_explorer.latent.arrangement import Direction
from vae_explorer.latent.explorer import as_pictures
from vae_explorer.latent.views import View
from vae_explorer.models.building import build_model


class Stage:
    """The window with the view panel in front."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.session = window.session
        self.map = window.session.map
        self.panel: ViewPanel = window.panel("view")
        self.picker, self.sliders = self.panel.picker, self.panel.sliders
        self.bookmarks, self.overview = self.panel.bookmarks, self.panel.overview
        self.messages: list[str] = []
        self.session.message_posted.connect(lambda message: self.messages.append(message.text))
        window.docks["view"].raise_()
        self.wait(lambda: window.docks["view"].is_seen and self.map.view is not None)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    @property
    def view(self) -> View:
        view = self.map.view
        assert view is not None
        return view

    def choose(self, name: str) -> None:
        """As a person does: by the list."""
        field = self.picker.names
        field.setCurrentIndex(field.findData(name))
        field.activated.emit(field.currentIndex())

    def take(self, field_name: str, data: object) -> None:
        field = self.panel.findChild(view_overview.ChoiceField, field_name)
        assert field is not None
        assert field.findData(data) >= 0
        field.setCurrentIndex(field.findData(data))
        field.activated.emit(field.currentIndex())

    def row(self, dimension: int) -> DimensionRow:
        return next(row for row in self.sliders.rows if row.dimension == dimension)

    def direct(self, z_ND: np.ndarray) -> np.ndarray:
        """Pictures decoded with the snapshot's own weights, past every thread."""
        snapshot = self.session.snapshot
        assert snapshot is not None
        model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
        model.load_state_dict(dict(snapshot.weights))
        model.eval()
        with torch.inference_mode():
            return as_pictures(model.decode(torch.from_numpy(z_ND.astype(np.float32))).mean_BCHW)

    def hovered(self, z_D: np.ndarray) -> DecodedPlace:
        place = self.session.explorer_thread.place
        with self.qtbot.waitSignal(
            place.decoded, timeout=WAIT_MS, check_params_cb=lambda shown: np.array_equal(shown.z_D, z_D)
        ) as found:
            place.hover(z_D)
        return found.args[0]

    def three_pins(self) -> list[np.ndarray]:
        """Three points that span a plane and a part of the sphere."""
        points = list(np.eye(self.map.num_dimensions)[:3] * 2.0 + 0.1)
        for z_D in points:
            self.map.add_pin(z_D)
        return points

    def directions(self) -> None:
        generator = np.random.default_rng(3)
        for name in ("slant", "weight", "loop"):
            vector = tuple(generator.normal(size=self.map.num_dimensions).tolist())
            self.map.add_direction(Direction(name, vector, "drawn"))
