"""Which point a plane goes through: the origin, the mean of the codes, a pin, or where the sliders took it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from vae_explorer.gui.widgets.choice_field import ChoiceField
from vae_explorer.latent.arrangement import Point, as_point

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.view_catalogue import ViewChoice

OF_DIMENSIONS: Final = frozenset({"dimensions", "inverse-cdf"})
"""Views along latent dimensions: of their anchor only the other coordinates matter."""


class AnchorField(QWidget):
    """A labelled field of points.

    chosen(point, words): a person chose another; an empty point is the origin, and `words` name it in a step to undo.
    """

    chosen = Signal(object, str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._mean: Point = ()
        self.field = ChoiceField("Point that the plane goes through", "The point that the plane goes through")
        self.field.setObjectName("view.anchor")
        self.field.activated.connect(self._choose)
        label = QLabel("Through")
        label.setBuddy(self.field)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.field, 1)

    def show_anchor(self, choice: ViewChoice) -> None:
        """Offer the points there are, and show which of them the plane goes through."""
        active = self.session.map.arrangement.active
        entries = [("the origin", "origin"), ("the mean of the codes", "mean")]
        if active is not None:
            entries.append((f"pin {active.name}", "pin"))
        kind = self._kind_of(choice)
        if kind == "own":
            entries.append(("a point of its own", "own"))
        self.field.offer(entries, kind)

    @Slot(int)
    def _choose(self, _row: int) -> None:
        kind, active = self.field.currentData(), self.session.map.arrangement.active
        if kind == "origin":
            self.chosen.emit((), "the origin")
        elif kind == "mean":
            self._mean = self._mean_of_codes()
            self.chosen.emit(self._mean, "the mean of the codes")
        elif kind == "pin" and active is not None:
            self.chosen.emit(active.z, f"pin {active.name}")

    def _mean_of_codes(self) -> Point:
        snapshot = self.session.snapshot
        if snapshot is None or snapshot.codes_ND is None:
            return ()
        codes_ND = snapshot.codes_ND.detach().cpu().numpy()
        finite_ND = codes_ND[np.isfinite(codes_ND).all(axis=1)]
        return as_point(finite_ND.mean(axis=0, dtype=np.float64)) if len(finite_ND) else ()

    def _kind_of(self, choice: ViewChoice) -> str:
        anchor_D = np.array(choice.anchor)
        matters_D = np.ones(len(anchor_D), dtype=bool)
        if choice.name in OF_DIMENSIONS:
            matters_D[[number for number in (choice.i, choice.j) if number < len(anchor_D)]] = False
        if not anchor_D[matters_D].any():
            return "origin"
        active = self.session.map.arrangement.active
        candidates = [("pin", () if active is None else active.z), ("mean", self._mean)]
        for kind, point in candidates:
            if len(point) == len(anchor_D) and np.array_equal(np.array(point)[matters_D], anchor_D[matters_D]):
                return kind
        return "own"
