"""The main window: it places things. What they know is the session's, what they do is the commands'."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QHideEvent,
    QPaintEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QTabWidget, QWidget

from vae_explorer.gui.actions import MENUS
from vae_explorer.gui.commands import Commands
from vae_explorer.gui.default_layout import is_on_a_screen, place_docks, show_what_suits, take_default_size
from vae_explorer.gui.error_report import ErrorReports
from vae_explorer.gui.icons import application_icon
from vae_explorer.gui.message_bar import MessageBar
from vae_explorer.gui.panel_dock import PanelDock
from vae_explorer.gui.settings import LAYOUT_VERSION
from vae_explorer.gui.status_bar import StatusBar
from vae_explorer.gui.training_toolbar import TrainingToolbar
from vae_explorer.gui.window_memory import WindowMemory

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.settings import Settings

# name, title, class; each is gui/panels/NAME.py
PANELS = (
    ("run_config", "Run", "RunConfigPanel"),
    ("latent_map", "Latent map", "LatentMapPanel"),
    ("decoded_image", "Decoded image", "DecodedImagePanel"),
    ("samples", "Samples", "SamplesPanel"),
    ("reconstructions", "Reconstructions", "ReconstructionsPanel"),
    ("bound_curves", "Bound", "BoundCurvesPanel"),
    ("kl_dimensions", "KL per dimension", "KLDimensionsPanel"),
    ("layers", "Layers", "LayersPanel"),
    ("view", "View", "ViewPanel"),
    ("groups", "Groups", "GroupsPanel"),
    ("path", "Path", "PathPanel"),
    ("own_picture", "Your picture", "OwnPicturePanel"),
    ("codebook", "Codebook", "CodebookPanel"),
    ("run_doctor", "Run doctor", "RunDoctorPanel"),
    ("measures", "Measures", "MeasuresPanel"),
    ("data_plane", "Data plane", "DataPlanePanel"),
    ("runs", "Runs", "RunsPanel"),
    ("beside", "Side by side", "BesidePanel"),
)
CLOSE_SECONDS = 3.0
_MOST_PARKED = 512  # widgets of all docks behind tabs together


class MainWindow(QMainWindow):
    """The window over one session.

    first_painted(): once, after the window's first paint event. closed(): everything is saved, every thread ended.
    """

    first_painted = Signal()
    closed = Signal()

    def __init__(self, session: Session, settings: Settings) -> None:
        super().__init__()
        self.session = session
        self.settings = settings
        self.setObjectName("main_window")
        self.setWindowTitle("VAE Explorer")
        self.setWindowIcon(application_icon())
        self.setAcceptDrops(True)
        self.setDockOptions(
            QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.AnimatedDocks
        )
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.South)
        session.setParent(self)
        self._painted = False
        self._is_closed = False
        self.closed_cleanly = True
        self.error_reports = ErrorReports(self)
        self.docks = {name: self._make_dock(name, title, kind) for name, title, kind in PANELS}
        self.commands = Commands(session, settings, self)
        self._groups: dict[str, QActionGroup] = {}
        self._join_panels()
        self._fill_menus()
        self._toolbar = TrainingToolbar(self.commands, session, self)
        self.addToolBar(self._toolbar)
        self.status = StatusBar(session, self)
        self.setStatusBar(self.status)
        self.message_bar = MessageBar(self, self._show_near, self._show_details)
        session.message_posted.connect(self.message_bar.show_message)
        session.message_settled.connect(self.message_bar.settle)
        session.history_cleared.connect(self.message_bar.dismiss)  # they were about the run before
        session.defect_reported.connect(self.error_reports.show_report)
        self._restore_layout()
        self.memory = WindowMemory(self)
        self._toolbar.train_button.setFocus()

    def panel(self, name: str) -> Any:
        """The panel of that name."""
        return self.docks[name].panel

    def all_actions(self) -> list[QAction]:
        """Every action a person can trigger: those of the table, and one for each panel."""
        return [*self.commands.actions.values(), *(dock.toggleViewAction() for dock in self.docks.values())]

    def _join_panels(self) -> None:
        """The path is chosen in its own panel and drawn, bent and walked on the map."""
        map_panel, path = self.panel("latent_map"), self.panel("path")
        path.path_changed.connect(map_panel.show_path)
        path.frame_changed.connect(map_panel.show_path_frame)
        path.search_changed.connect(map_panel.show_path_search)
        map_panel.activity_changed.connect(lambda is_seen: path.watch("latent_map", is_seen))
        map_panel.activity_changed.connect(self.panel("view").set_map_seen)
        map_panel.gestures.curve_bent.connect(path.bend)
        map_panel.toolbar.view_chosen.connect(self.panel("view").picker.choose_kind)
        self.session.dataset_changed.connect(lambda dataset: show_what_suits(self, self.docks, dataset.image_shape))

    # --- placing

    def _make_dock(self, name: str, title: str, kind: str) -> PanelDock:
        module = importlib.import_module(f"vae_explorer.gui.panels.{name}")
        dock = PanelDock(name, title, getattr(module, kind)(self.session), self)
        action = dock.toggleViewAction()
        action.setObjectName(f"action.show_{name}")
        action.setText(title)
        action.setToolTip(f"Show or hide {title.lower()}")
        return dock

    def _fill_menus(self) -> None:
        self.menus: dict[str, QMenu] = {name: self.menuBar().addMenu(f"&{name}") for name in MENUS}
        menus = self.menus
        for dock in self.docks.values():
            menus["View"].addAction(dock.toggleViewAction())
        last_group = dict.fromkeys(MENUS, 0)
        for record in self.commands.records:
            top, _, submenu = record.menu.partition("/")
            if record.group != last_group[top]:
                menus[top].addSeparator()
                last_group[top] = record.group
            if submenu and record.menu not in menus:
                menus[record.menu] = menus[top].addMenu(submenu)
            action = self.commands.actions[record.id]
            menus[record.menu].addAction(action)
            if record.choice:
                group = self._groups.setdefault(record.menu, QActionGroup(self))
                group.addAction(action)

    def reset_layout(self) -> None:
        """Every panel in its first place."""
        place_docks(self, self.docks)
        if self.session.dataset is not None:
            show_what_suits(self, self.docks, self.session.dataset.image_shape)

    def _restore_layout(self) -> None:
        geometry, layout = self.settings.data("window/geometry"), self.settings.data("window/layout")
        if geometry is None or not self.restoreGeometry(geometry) or not is_on_a_screen(self):
            take_default_size(self)
        # Not over the default layout: Qt would leave the tab bar of that one lying over the menus.
        if layout is None or not self.restoreState(layout, LAYOUT_VERSION) or not self._has_placed_all():
            self.reset_layout()

    def _has_placed_all(self) -> bool:
        nowhere = Qt.DockWidgetArea.NoDockWidgetArea
        return all(dock.isFloating() or self.dockWidgetArea(dock) is not nowhere for dock in self.docks.values())

    # --- being seen, and going

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab passes over what Qt parks beside the window: docks behind a tab, and tab bars in reserve."""
        moved = super().focusNextPrevChild(forward)
        for _ in range(_MOST_PARKED):
            if not moved or not self._is_parked(QApplication.focusWidget()):
                break
            moved = super().focusNextPrevChild(forward)
        return moved

    def _is_parked(self, widget: QWidget | None) -> bool:
        while widget is not None and widget.parentWidget() is not self:
            widget = widget.parentWidget()
        return widget is not None and not self.rect().intersects(widget.geometry())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A picture may be dropped anywhere in the window."""
        if self.commands.map.can_take(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """It is put on the map."""
        self.commands.map.take(event.mimeData())
        event.acceptProposedAction()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Announces the first paint, after which the slow things may begin."""
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.first_painted.emit)

    def showEvent(self, event: QShowEvent) -> None:
        """Panels may draw from now on."""
        super().showEvent(event)
        self._tell_seen()

    def hideEvent(self, event: QHideEvent) -> None:
        """Panels rest."""
        super().hideEvent(event)
        self._tell_seen()

    def changeEvent(self, event: QEvent) -> None:
        """Panels rest while the window is minimised."""
        super().changeEvent(event)
        if event.type() is QEvent.Type.WindowStateChange:
            self._tell_seen()

    def _tell_seen(self) -> None:
        seen = self.isVisible() and not self.isMinimized() and not self._is_closed
        for dock in self.docks.values():
            dock.set_window_shown(seen)
        self.status.set_active(seen)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Go at once; save; ask only if something would be lost."""
        if self._is_closed:
            event.accept()
            return
        if self._would_lose() and not self.commands.ask_to_lose():
            event.ignore()
            return
        self._is_closed = True
        self.memory.end()
        self.commands.retire()
        self.message_bar.dismiss()
        self.hide()
        # Nobody waits for this any more: the window is gone, the run is being saved.
        for name in ("measures", "runs", "beside"):
            self.panel(name).close_job()
        self.closed_cleanly = self.session.close(CLOSE_SECONDS) and not self.session.unsaved
        self.settings.save()
        self.error_reports.uninstall()
        event.accept()
        self.closed.emit()

    def _would_lose(self) -> bool:
        run = self.session.run_directory
        if run is None:
            return False
        if self.session.can_save_again:
            self.session.save_again()
        return self.session.unsaved or (self.session.is_running and not os.access(run.path, os.W_OK))

    # --- messages

    def _show_near(self, place: str) -> None:
        """Bring what a message is about into sight: a panel, or the form for a setting."""
        named = place.removeprefix("panel.")
        name = named if named in self.docks else "run_config"
        self.docks[name].show()
        self.docks[name].raise_()
        row = next((row for row in self.panel("run_config").rows() if row.path == place), None)
        (row.editor if row is not None else self.panel(name)).setFocus()

    def _show_details(self, details: str) -> None:
        self.commands.show_text("Details", details)
