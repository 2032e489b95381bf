"""The item that is looked at in both runs: its picture, both reconstructions, and both runs' nats for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from vae_explorer.evaluation.side_by_side import ITEM_MEASURES, measured_item, paired, refusal_of
from vae_explorer.gui.neighbour_words import item_title
from vae_explorer.gui.side_by_side import SIDES
from vae_explorer.gui.tables.paired_table import PairedTable
from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.elided_label import ElidedLabel
from vae_explorer.gui.widgets.group_parts import PictureRow, wrapped
from vae_explorer.gui.widgets.paired_view import PairedView
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.evaluation.side_by_side import PairedMeasure
    from vae_explorer.gui.side_by_side import Side, SideBySide
    from vae_explorer.latent.side_by_side import ItemLook

_WIDTH_FOR_TWO = 430
_MOST_PICTURES = 330
_HOW = "Rest on a code of either map to see its image and what both runs make of it; a click pins it."


class SideItem(QWidget):
    """Follows the pair; the number of an image can be typed as well."""

    def __init__(self, pair: SideBySide) -> None:
        super().__init__()
        self._pair = pair
        self.number = count_box("Number of the pinned image", -1, 0, prefix="Image ")
        self.number.setSpecialValueText("Pin image…")
        self.number.setGroupSeparatorShown(True)
        self.number.setToolTip("Pin an image by its number")
        self.number.setFixedWidth(self.number.fontMetrics().horizontalAdvance("Image 999,999") + 48)
        self.title = ElidedLabel()
        self.pictures = PictureRow(("Original", "A", "B"))
        self.pictures.setMaximumWidth(_MOST_PICTURES)
        self.table = PairedTable(self, digits=1)
        self.view = PairedView("Nats of this image in both runs", self.table)
        self.note = wrapped(_HOW)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._head.setSpacing(8)
        self._head.addWidget(self.title, 1)
        self._head.addWidget(self.number)
        numbers = QVBoxLayout()
        numbers.setSpacing(4)
        numbers.addWidget(self.view)
        numbers.addWidget(self.note)
        numbers.addStretch(1)
        self._body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._body.setSpacing(12)
        self._body.addWidget(self.pictures, 1, Qt.AlignmentFlag.AlignTop)
        self._body.addLayout(numbers, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._head)
        column.addLayout(self._body)
        self.number.valueChanged.connect(self._pin)
        pair.looked.connect(self.show_item)
        pair.told.connect(self._tell)
        pair.joined.connect(self._take_runs)

    @Slot()
    def show_item(self) -> None:
        """Show what is looked at."""
        pair, looks = self._pair, self._pair.looks
        self._show_number()
        if pair.item is None:
            self.title.show_text("")
            self.pictures.show_pictures((None, None, None))
            self.table.show_pairs(())
            self._say(pair.problem or _HOW)
            return
        look = next(iter(looks.values()))
        dataset = next((found for side in SIDES if side in looks and (found := pair.dataset_of(side))), None)
        pinned = "pinned" if pair.item == pair.pinned else "under the mouse"
        self.title.show_text(f"{item_title(dataset, pair.item)} · {pinned}")
        original, is_seen = _original(tuple(looks.values()))
        self.pictures.show_pictures((original, *(looks[side].decoded if side in looks else None for side in SIDES)))
        for place, side in enumerate(SIDES, start=1):
            self.pictures.set_caption(place, side, f"What {side} makes of it")
        kind = "as both runs see it" if is_seen and len(looks) > 1 else "as the data set has it"
        self.pictures.set_caption(0, "Original", f"Image {look.item:,} {kind}")
        self._show_numbers()

    def _show_numbers(self) -> None:
        pairs: tuple[PairedMeasure, ...] = ()
        if len(self._pair.looks) == len(SIDES):
            pairs = paired(self._measured("A"), self._measured("B"), ITEM_MEASURES)
        refusal = refusal_of(pairs)
        self.table.show_pairs(tuple(pair for pair in pairs if not pair.refusal))
        self._say(refusal or self._missing() or self._pair.problem)

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _measured(self, side: Side) -> MeasuredRun:
        from vae_explorer.latent.side_by_side import ITEM_DRAWS

        look, snapshot, dataset = self._pair.looks[side], self._pair.snapshot_of(side), self._pair.dataset_of(side)
        assert snapshot is not None
        assert dataset is not None
        record = MODELS[snapshot.model_name]
        return measured_item(
            side, record, dataset.name, snapshot.protocol, look.reconstruction, look.kl, ITEM_DRAWS
        )  # fmt: skip

    def _missing(self) -> str:
        """Which run has no nats to give."""
        if len(self._pair.looks) < len(SIDES):
            return ""
        without = [
            f"The model of {side}, “{MODELS[snapshot.model_name].title}”, has no likelihood to count in nats."
            for side in SIDES
            if self._pair.looks[side].reconstruction is None and (snapshot := self._pair.snapshot_of(side)) is not None
        ]
        return " ".join(without)

    @Slot()
    def _take_runs(self) -> None:
        dataset = self._pair.dataset_of("A")
        self.number.blockSignals(True)
        self.number.setMaximum(-1 if dataset is None else dataset.images.num_images - 1)
        self.number.blockSignals(False)
        self.show_item()

    def _show_number(self) -> None:
        self.number.blockSignals(True)
        self.number.setValue(-1 if self._pair.pinned is None else self._pair.pinned)
        self.number.blockSignals(False)

    @Slot(int)
    def _pin(self, number: int) -> None:
        self._pair.pin(number if number >= 0 else None)

    @Slot(str)
    def _tell(self, text: str) -> None:
        self._say(text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Numbers stand below the pictures where there is no room beside them."""
        super().resizeEvent(event)
        beside, below = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        for layout in (self._head, self._body):
            layout.setDirection(beside if self.width() >= _WIDTH_FOR_TWO else below)


def _original(looks: tuple[ItemLook, ...]) -> tuple[np.ndarray, bool]:
    """What both networks see, where that is one picture; else the picture of the data set."""
    first = looks[0]
    is_one = all(np.array_equal(look.seen, first.seen) for look in looks)
    return (first.seen, True) if is_one else (first.stored, False)
