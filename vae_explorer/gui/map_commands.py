"""What the map's actions do, and the map's menu. GUI thread only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QMimeData, QObject, QPoint, Slot
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QMenu

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from vae_explorer.gui.dialogs.save_film import Film
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.training_film import TrainingFilm

_MENU = (
    "action.add_pin", "action.remove_pin", "action.clear_pins", "", "action.play_path", "action.save_path", "",
    "action.tool_point", "action.tool_lasso", "action.tool_rectangle", "action.make_group", "action.clear_selection",
    "", "action.fit_map", "action.add_bookmark", "", "action.copy_map", "action.save_map",
)  # fmt: skip


class MapCommands(QObject):
    """One method for each handler named in the table of map actions."""

    def __init__(self, session: Session, window: MainWindow) -> None:
        super().__init__(window)
        self._session = session
        self._map = session.map
        self._window = window
        self._canvas = window.panel("latent_map").canvas
        self._actions: Mapping[str, QAction] = {}
        self._film: TrainingFilm | None = None
        window.panel("latent_map").gestures.menu_wanted.connect(self._open_menu)
        window.panel("latent_map").time_strip.save_clicked.connect(self.save_training)

    def use(self, actions: Mapping[str, QAction]) -> None:
        """The actions by id, whose checks follow the map from now on."""
        self._actions = actions
        self._canvas.tool_changed.connect(self.refresh)
        self._map.layer_changed.connect(self.refresh)
        self._map.arranged.connect(self.refresh)
        timeline = self._session.timeline
        for news in (timeline.recorded, timeline.moved, timeline.played, timeline.aligned):
            news.connect(self.refresh)

    @Slot()
    def refresh(self, *_news: object) -> None:
        """Enable and check what the map allows and shows now."""
        arrangement = self._map.arrangement
        num_pins, has_map = len(arrangement.pins), self._map.view is not None
        allowed = {
            "next_pin": num_pins > 1, "remove_pin": num_pins > 0, "clear_pins": num_pins > 0, "play_path": num_pins > 1,
            "save_path": num_pins > 1, "straighten_path": bool(arrangement.path.bends),
            "make_group": arrangement.selection is not None, "clear_selection": arrangement.selection is not None,
            "next_class": self._map.condition == "class", "previous_class": self._map.condition == "class",
            "save_items": arrangement.selection is not None, "save_directions": bool(arrangement.directions),
        }  # fmt: skip
        for name in ("add_pin", "add_bookmark", "save_map", "copy_map", "fit_map", "lock_view", "play_tour"):
            allowed[name] = has_map
        timeline = self._session.timeline
        allowed |= {"play_training": bool(timeline.steps), "align_moments": bool(timeline.steps)}
        allowed |= {"present": timeline.is_past, "save_training": bool(timeline.steps) and has_map}
        self._actions["action.align_moments"].setChecked(timeline.is_aligned)
        self._actions["action.play_training"].setText("Rest" if timeline.is_playing else "Play the training")
        for name, is_allowed in allowed.items():
            self._actions[f"action.{name}"].setEnabled(is_allowed)
        self._actions[f"action.tool_{self._canvas.tool}"].setChecked(True)
        for name, state in self._map.layers.items():
            self._actions[f"action.layer_{name}"].setChecked(state.is_shown)

    # --- the map

    def fit_map(self) -> None:
        """Show all codes."""
        self._window.panel("latent_map").fit()

    def use_tool(self, tool: str) -> None:
        """What a drag does."""
        self._canvas.set_tool(tool)
        self._canvas.setFocus()

    def switch_layer(self, name: str) -> None:
        """Show or hide a layer."""
        self._map.set_layer(name, is_shown=not self._map.layers[name].is_shown)

    def turn_class(self, by: str) -> None:
        """Decode under another class."""
        self._window.panel("latent_map").toolbar.turn_class(int(by))

    def add_pin(self) -> None:
        """One pin more."""
        self._canvas.add_pin()

    def next_pin(self) -> None:
        """Another pin is the active one."""
        self._canvas.pin_turned.emit(1)

    def remove_pin(self) -> None:
        """The active pin goes."""
        self._canvas.pin_removed.emit()

    def clear_pins(self) -> None:
        """All pins go."""
        self._map.clear_pins()

    def save_map(self) -> None:
        """Ask for format, scale and file, and write the map there."""
        from vae_explorer.gui.dialogs.save_map import SaveMapDialog

        panel = self._window.panel("latent_map")
        self._window.commands.open_dialog("save_map", lambda: SaveMapDialog(self._session, panel, self._window))

    def copy_map(self) -> None:
        """Put the map on the clipboard."""
        QGuiApplication.clipboard().setPixmap(self._canvas.grab())
        self._session.post("info", "The map is on the clipboard.")

    # --- looking back

    def play_training(self) -> None:
        """Play, or rest."""
        self._session.timeline.play_or_rest()

    def to_present(self) -> None:
        """Look back no more."""
        self._session.timeline.go_to(None)

    def align_moments(self) -> None:
        """Turn them, or not."""
        self._session.timeline.set_aligned(not self._session.timeline.is_aligned)

    @Slot()
    def save_training(self) -> None:
        """Draw all recorded moments, then ask for format and file."""
        from vae_explorer.gui.training_film import TrainingFilm

        if self._film is None:
            try:
                self._film = TrainingFilm(self._session, self._window.panel("latent_map"), self._window)
            except UserError as error:
                self._session.post_error(error, near="panel.latent_map")
                return
            self._film.made.connect(self._save_film)
            self._film.failed.connect(self._session.post_error)
            self._film.progress.finished.connect(self._forget_film)
        progress = self._film.progress
        self._window.commands.open_dialog("drawing_training", lambda: progress)

    @Slot(int)
    def _forget_film(self, _result: int) -> None:
        film, self._film = self._film, None
        if film is not None:
            film.deleteLater()

    @Slot(object)
    def _save_film(self, film: Film) -> None:
        from vae_explorer.gui.dialogs.save_film import SaveFilmDialog

        rate = self._session.timeline.rate
        self._window.commands.open_dialog("save_training", lambda: SaveFilmDialog(film, rate, self._window))

    # --- what other panels do

    def play_path(self) -> None:
        """Walk the path."""
        self._raised("path").play()

    def save_path(self) -> None:
        """Save the path."""
        self._raised("path").save()

    def straighten_path(self) -> None:
        """Take the bends out."""
        self._window.panel("path").unbend()

    def make_group(self) -> None:
        """Name the selection."""
        self._raised("groups").make_group()

    def clear_selection(self) -> None:
        """Select nothing."""
        self._map.select(None, "clear the selection")

    def save_items(self) -> None:
        """Save the list of the selected images."""
        self._window.panel("groups").save_items()

    def save_directions(self) -> None:
        """Save the directions."""
        self._window.panel("groups").save_directions()

    def load_directions(self) -> None:
        """Read directions."""
        self._raised("groups").load_directions()

    def add_bookmark(self) -> None:
        """Keep this view."""
        self._raised("view").add_bookmark()

    def lock_view(self) -> None:
        """Keep the plane, or let it follow again."""
        self._raised("view").lock()

    def play_tour(self) -> None:
        """Turn the plane, or rest."""
        self._raised("view").play_tour()

    def open_picture(self) -> None:
        """Ask for a picture file."""
        self._raised("own_picture").open_picture()

    def paste_picture(self) -> None:
        """Take the picture on the clipboard."""
        self._raised("own_picture").paste_picture()

    @staticmethod
    def can_take(dropped: QMimeData) -> bool:
        """Whether this could be a picture: image data, or a file of this machine."""
        return dropped.hasImage() or any(url.isLocalFile() for url in dropped.urls())

    def take(self, dropped: QMimeData) -> None:
        """Put a dropped picture on the map; of several files the first."""
        self._raised("own_picture").take(dropped)

    def _raised(self, name: str):  # type: ignore[no-untyped-def]  # each panel has its own type
        dock = self._window.docks[name]
        dock.show()
        dock.raise_()
        return dock.panel

    # --- the menu at a place

    @Slot(QPoint, object)
    def _open_menu(self, at: QPoint, z_D: np.ndarray) -> None:
        menu = QMenu(self._window)
        for text, act in self._acts_at(z_D).items():
            menu.addAction(text).triggered.connect(act)
        menu.addSeparator()
        for name in _MENU:
            if name:
                menu.addAction(self._actions[name])
            else:
                menu.addSeparator()
        # Its action, not the menu itself: that one belongs to the menu bar and must outlive this menu.
        menu.addAction(self._window.menus["Map/Layers"].menuAction())
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(at)

    def _acts_at(self, z_D: np.ndarray) -> dict[str, Callable[[], None]]:
        """What can be done at this place, and with the image whose code is there."""
        view = self._map.view
        acts: dict[str, Callable[[], None]] = {"Pin this place": lambda: self._map.place_active_pin(z_D)}
        if view is not None:
            x, y = view.project(z_D[None])[0]
            acts["Centre here"] = lambda: self._canvas.centre(float(x), float(y))
        if len(self._map.arrangement.pins) > 1:
            acts["Bend the path through this place"] = lambda: self._window.panel("path").bend_at_place(z_D)
        item, dataset = self._map.hovered_item, self._session.dataset
        if item is None or dataset is None or self._session.snapshot is None:
            return acts
        codes_ND = self._session.snapshot.codes_ND
        assert codes_ND is not None
        code_D = codes_ND[item].detach().cpu().double().numpy()
        acts[f"Pin the code of image {item:,}"] = lambda: self._map.place_active_pin(code_D)
        if dataset.labels_N is not None:
            from vae_explorer.latent.arrangement import ItemSet

            label = int(dataset.labels_N[item])
            ids_N = np.flatnonzero(dataset.labels_N.cpu().numpy() == label)
            name = dataset.class_name(label)
            acts[f"Select all of class {name}"] = lambda: self._map.select(ItemSet(ids_N), f"select class {name}")
        return acts
