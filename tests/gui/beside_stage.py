"""The window on one run with a second run beside it, as the tests of that panel drive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.beside import BesidePanel
from vae_explorer.gui.side_by_side import Side
from vae_explorer.gui.widgets.side_map import SideMap
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.side_by_side import look_at, side_view


class Stage:
    """A window on the run A, and beside it the run B."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.panel: BesidePanel = window.panel("beside")
        self.pair = self.panel.pair

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)

    def show(self) -> None:
        dock = self.window.docks["beside"]
        dock.show()
        dock.raise_()
        self.wait(lambda: dock.is_seen)

    def compare(self, path: Path) -> None:
        self.show()
        before = self.pair.second.run
        self.panel.compare_with(path)
        self.wait(lambda: self.pair.second.run is not None and self.pair.second.run is not before)
        self.wait(lambda: all(self.is_drawn(side) for side in ("A", "B")))

    def is_drawn(self, side: Side) -> bool:
        snapshot, column = self.pair.snapshot_of(side), self.panel.columns[side]
        assert snapshot is not None
        return bool(column.map.note if snapshot.codes_ND is None else column._has_fitted)

    def map(self, side: Side) -> SideMap:
        return self.panel.columns[side].map

    def explorer(self, side: Side) -> Explorer:
        """A second opinion on a side."""
        snapshot = self.pair.snapshot_of(side)
        assert snapshot is not None
        explorer = Explorer()
        explorer.show_images(self.pair.dataset_of(side))
        explorer.adopt(snapshot)
        return explorer

    def lonely_item(self, side: Side) -> int:
        """The item whose code stands clearest of all others on a side's map, in the middle of which it then is."""
        explorer, map_ = self.explorer(side), self.map(side)
        view, codes = side_view(explorer), explorer.codes()
        assert view is not None
        assert codes is not None
        xy = view.place(codes)
        gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        item = int(gaps.min(1).argmax())
        x, y = xy[item].tolist()
        map_._take_over(replace(map_.frame, x=x, y=y, scale=20.0 / float(gaps[item].min())))
        return item

    def point_at(self, side: Side, item: int) -> QPoint:
        place = look_at(self.explorer(side), item).place
        assert place is not None
        map_ = self.map(side)
        left, top = map_.frame.to_screen(*place)
        return map_.plot.topLeft() + QPointF(left, top).toPoint()

    def hover(self, side: Side, item: int) -> None:
        def is_looked_at() -> bool:
            # What is still being laid out moves the map under the mouse; and a mouse that does not move sends nothing.
            at = self.point_at(side, item)
            self.qtbot.mouseMove(self.map(side), at + QPoint(1, 0))
            self.qtbot.mouseMove(self.map(side), at)
            return self.pair.item == item

        self.wait(is_looked_at)

    def leave(self, side: Side) -> None:
        QApplication.sendEvent(self.map(side), QEvent(QEvent.Type.Leave))

    def measured(self) -> None:
        self.wait(lambda: len(self.panel.measures.measured) == 2 and not self.panel.measures.job.is_running)


def cells(view: Any) -> list[list[str]]:
    table = view.table
    return [[table.index(row, column).data() for column in range(3)] for row in range(table.rowCount())]


def is_bold(view: Any, row: int, column: int) -> bool:
    font = view.table.index(row, column).data(Qt.ItemDataRole.FontRole)
    return font is not None and font.bold()
