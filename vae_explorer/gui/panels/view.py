"""The panel `panel.view`: which plane of the latent space the map shows, and the ways to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from vae_explorer.gui.session_words import no_plane_text
from vae_explorer.gui.widgets.view_bookmarks import Bookmarks
from vae_explorer.gui.widgets.view_fields import FoldSection, wrapped_label
from vae_explorer.gui.widgets.view_overview import OverviewSection
from vae_explorer.gui.widgets.view_picker import ViewPicker
from vae_explorer.gui.widgets.view_sliders import HiddenDimensions
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session


class ViewPanel(QWidget):
    """Picker, sliders, bookmarks and overview, one below the other. GUI thread only.

    `set_map_seen` says whether the map is in sight: a tour goes on while either it or this panel is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._is_active = False
        self._is_map_seen = False
        self.picker = ViewPicker(session)
        self.sliders = HiddenDimensions(session)
        self.bookmarks = Bookmarks(session)
        self.overview = OverviewSection(session)
        self.sections = {
            "view": FoldSection("View", self.picker),
            "sliders": FoldSection("Dimensions not shown", self.sliders),
            "bookmarks": FoldSection("Bookmarks", self.bookmarks),
            "overview": FoldSection("Overview", self.overview, is_open=False),
        }
        self.note = wrapped_label("muted")
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(6)
        column.addWidget(self.note)
        for section in self.sections.values():
            column.addWidget(section)
        column.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 4, 6)
        layout.addWidget(self.area)
        self.sections["sliders"].folded.connect(self._tell_sections)
        self.area.verticalScrollBar().valueChanged.connect(self._scrolled)
        session.map.arranged.connect(self._show_sections)
        session.snapshot_changed.connect(self._show_sections)
        self._show_sections()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing and follows nothing."""
        self._is_active = visible
        self._tell_sections()

    @Slot(bool)
    def set_map_seen(self, is_seen: bool) -> None:
        """Whether anybody sees the map."""
        self._is_map_seen = is_seen
        self._tell_sections()

    # --- the window's actions

    def add_bookmark(self) -> None:
        """Keep the view, the part of the plane and the pins under a default name, which can be typed over at once."""
        self.sections["bookmarks"].header.setChecked(True)
        self.bookmarks.add()
        self.area.ensureWidgetVisible(self.bookmarks.list)

    def play_tour(self) -> None:
        """Play the grand tour or pause it; another view gives way to it first."""
        tour, choice = self.picker.tour, self.session.map.arrangement.view
        if self.session.map.num_dimensions < 3:
            self.session.post(
                "info", "A grand tour needs at least three latent dimensions.", "Choose more under Latent dimensions."
            )
        elif choice is not None and (choice.name == "tour" or self.picker.choose_kind("tour")):
            tour.toggle()

    def lock(self) -> None:
        """Lock a fitted plane, or unlock it."""
        self.picker.toggle_lock()

    # --- what is seen

    @Slot()
    def _tell_sections(self) -> None:
        self.picker.set_active(self._is_active)
        self.picker.tour.set_watched(self._is_active or self._is_map_seen)
        self.sliders.set_active(self._is_active and self.sections["sliders"].is_open)

    @Slot()
    def _scrolled(self) -> None:
        self.sliders.look()

    @Slot()
    def _show_sections(self) -> None:
        num_dimensions = self.session.map.num_dimensions
        self.note.setVisible(not num_dimensions)
        if self.session.snapshot is None:
            self.note.setText("The views of the latent space appear when the model has been prepared.")
        else:
            self.note.setText(no_plane_text(MODELS[self.session.snapshot.model_name]))
        shown = {
            "view": num_dimensions > 0, "sliders": self.sliders.is_needed, "bookmarks": num_dimensions > 0,
            "overview": self.overview.is_offered,
        }  # fmt: skip
        for name, section in self.sections.items():
            section.setVisible(shown[name])
