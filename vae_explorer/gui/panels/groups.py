"""The panel `panel.groups`: selection, its members, groups, and attribute directions made of groups."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFileDialog, QFrame, QScrollArea, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.writing import FileWriting
from vae_explorer.gui.widgets.fitted_content import FittedContent
from vae_explorer.gui.widgets.group_directions import DirectionsSection
from vae_explorer.gui.widgets.group_edit import EditSection
from vae_explorer.gui.widgets.group_list import GroupsSection
from vae_explorer.gui.widgets.group_members import MembersSection
from vae_explorer.gui.widgets.group_parts import in_reading_order
from vae_explorer.gui.widgets.group_selection import SelectionSection

if TYPE_CHECKING:
    from collections.abc import Callable

    from vae_explorer.gui.session import Session

_NEAR = "panel.groups"


class GroupsPanel(QWidget):
    """The sections from top to bottom, scrolled where they do not fit, and the files they are saved to."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.selection = SelectionSection(session)
        self.members = MembersSection(session)
        self.groups = GroupsSection(session)
        self.directions = DirectionsSection(session)
        self.edit = EditSection(session)
        self.scroll_area = QScrollArea()
        content = FittedContent(self.scroll_area)
        self._column = column = QVBoxLayout(content)
        self._stops: tuple[QWidget, ...] = ()
        column.setContentsMargins(12, 8, 12, 12)
        column.setSpacing(14)
        for section in (self.selection, self.members, self.groups, self.directions, self.edit):
            column.addWidget(section)
        column.addStretch(1)
        self.scroll_area.setWidget(content)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.scroll_area)
        self._writing = FileWriting(self)
        self._writing.written.connect(self._written)
        self._writing.failed.connect(self._write_failed)
        self.selection.save_wanted.connect(self._save_items)
        self.directions.save_wanted.connect(self._save_directions)
        self.directions.load_wanted.connect(self._load_directions)
        self.directions.touched.connect(self.edit.touch)
        # After the sections, so that their rows are there.
        session.map.arranged.connect(self._order_tabs)
        self._order_tabs()

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        if not visible:
            self.selection.stop_looking()
        self.members.set_active(visible)
        self.edit.set_active(visible)

    # --- what menus and keys do

    def make_group(self) -> None:
        """Ask for a name where the group will stand; Enter makes it of the selection."""
        self.groups.make_group()
        self.scroll_area.ensureWidgetVisible(self.groups)

    def clear_selection(self) -> None:
        """Nothing is selected."""
        self.selection.clear_selection()

    def save_items(self, path: Path | None = None) -> None:
        """Write the selected items as CSV or as plain indices, by the file's name; None asks for it."""
        from vae_explorer.export.item_lists import SUFFIXES, item_list

        selection, dataset = self.session.map.arrangement.selection, self.session.dataset
        if selection is None or dataset is None:
            self.session.post("info", "Nothing is selected.", "Select images first, then save their list.", _NEAR)
            return
        path = path or self._asked_to_save(
            "Save list of items", "items.csv", {"CSV (*.csv)": ".csv", "Indices (*.txt)": ".txt"}
        )
        if path is None:
            return
        path = path if path.suffix.lower() in SUFFIXES else path.with_name(f"{path.name}.csv")

        def content() -> bytes:
            labels_N = None if dataset.labels_N is None else dataset.labels_N.cpu().numpy()
            return item_list(path, selection.ids, labels_N, dataset.class_names).encode("utf-8")

        self._write(path, content)

    def save_directions(self, path: Path | None = None) -> None:
        """Write all directions as JSON; None asks for the file."""
        from vae_explorer.export.directions import directions_json

        directions = self.session.map.arrangement.directions
        if not directions:
            self.session.post("info", "There are no directions to save.", "Make one of two groups first.", _NEAR)
            return
        path = path or self._asked_to_save("Save directions", "directions.json", {"Directions (*.json)": ".json"})
        if path is None:
            return
        snapshot = self.session.snapshot
        run_name, model_name = ("", "") if snapshot is None else (snapshot.run_name, snapshot.model_name)
        self._write(path, lambda: directions_json(directions, run_name, model_name).encode("utf-8"))

    def load_directions(self, path: Path | None = None) -> None:
        """Read directions from a JSON file beside those that are there; None asks for it. One of a name is replaced."""
        from vae_explorer.export.directions import read_directions

        if path is None:
            name, _ = QFileDialog.getOpenFileName(self, "Load directions", "", "Directions (*.json)")
            if not name:
                return
            path = Path(name)
        num_dimensions = self.session.map.num_dimensions
        if not num_dimensions:
            self.session.post(
                "warning", "There is no latent space to load directions for.",
                "Wait until the model has been prepared, or choose a model with a single latent point.", _NEAR,
            )  # fmt: skip
            return
        try:
            found = read_directions(path, num_dimensions)
        except UserError as error:
            self.session.post_error(error, near=_NEAR)
            return
        names = {known.name for known in found}
        kept = tuple(known for known in self.session.map.arrangement.directions if known.name not in names)
        self.session.map.arrange(f"load directions from {path.name}", directions=(*kept, *found))

    @Slot()
    def _order_tabs(self) -> None:
        """Rows that were made later are reached where they stand."""
        stops = tuple(in_reading_order(self._column))
        if stops != self._stops:
            self._stops = stops
            for first, second in pairwise(stops):
                QWidget.setTabOrder(first, second)

    # --- files

    def _asked_to_save(self, title: str, name: str, kinds: dict[str, str]) -> Path | None:
        """`kinds` are the filters of the dialog with the suffix that a name without one gets."""
        chosen, kind = QFileDialog.getSaveFileName(self, title, name, ";;".join(kinds))
        if not chosen:
            return None
        path = Path(chosen)
        return path if path.suffix else path.with_name(path.name + kinds.get(kind, next(iter(kinds.values()))))

    def _write(self, path: Path, content: Callable[[], bytes]) -> None:
        if self._writing.is_busy:
            self.session.post("info", "The file before is still being written.", "Try again in a moment.", _NEAR)
            return
        self._writing.start(path, content)

    @Slot()
    def _save_items(self) -> None:
        self.save_items()

    @Slot()
    def _save_directions(self) -> None:
        self.save_directions()

    @Slot()
    def _load_directions(self) -> None:
        self.load_directions()

    @Slot(object)
    def _written(self, path: Path) -> None:
        self.session.post("info", f"Saved {path}.")

    @Slot(object)
    def _write_failed(self, error: UserError) -> None:
        self.session.post_error(error, near=_NEAR)
