"""The panel `panel.codebook`: the codes of a VQ-VAE, what each paints, and a grid of codes that can be edited."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.neighbour_words import item_title
from vae_explorer.gui.undo import ChangeGrid
from vae_explorer.gui.widgets.code_grid_controls import CodeGridControls
from vae_explorer.gui.widgets.code_grid_view import CodeGridView
from vae_explorer.gui.widgets.codebook_scatter import CodebookScatter, share_text
from vae_explorer.gui.widgets.image_view import ImageView
from vae_explorer.gui.widgets.view_fields import wrapped_label
from vae_explorer.latent.codebook_view import (
    CodebookLook,
    CodePainting,
    GridChoice,
    GridLook,
    look_at_codebook,
    look_at_grid,
    paint_code,
)
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.gui.session import Session

_LOOK_SECONDS: Final = 0.25
_SURVEY_SECONDS: Final = 2.0


class CodebookPanel(QWidget):
    """Codes at the left, their painting, the grid, and at the right the grid's picture before its edits and the change.

    Hidden, it asks for nothing. Choosing a grid and editing it are steps to undo; the numbers behind a choice are
    worked out with the newest weights. GUI thread only.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.choice = GridChoice()
        self.cell: tuple[int, int] | None = None
        self.code = -1
        self.look: CodebookLook | None = None
        self.grid_look: GridLook | None = None
        self._is_active = False
        self._is_first_item = True
        self._surveyed_at = 0.0
        self._gesture = ""
        self.words = QLabel()
        self.words.setObjectName("codebook.words")
        self.words.setMinimumWidth(1)
        self.note = wrapped_label("muted")
        self.note.setObjectName("codebook.note")
        self.scatter = CodebookScatter()
        self.grid = CodeGridView()
        self.painting, self.before, self.difference = ImageView(), ImageView(), ImageView()
        self.painting_words = QLabel("What a code paints")
        self.grid_words = QLabel("Code grid")
        self.before_words, self.change_words = QLabel("Before the edits"), QLabel("Change")
        self.change_words.setToolTip("|after − before| of each pixel, and what the edited grid costs more or less")
        self.controls = CodeGridControls()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(_LOOK_SECONDS * 1000))
        self._timer.timeout.connect(self._ask_all)
        self._connect()
        self._show_kind()

    def _lay_out(self) -> None:
        scatter_words = QLabel("Codes by their use")
        scatter_words.setToolTip("In the plane of their two largest principal components, each axis to its own scale")
        pictures = QHBoxLayout()
        pictures.setSpacing(10)
        for widget, title, stretch in (
            (self.scatter, scatter_words, 3), (self.painting, self.painting_words, 2),
            (self.grid, self.grid_words, 3), (self.before, self.before_words, 2),
            (self.difference, self.change_words, 2),
        ):  # fmt: skip
            title.setProperty("variant", "muted")
            title.setMinimumWidth(1)
            column = QVBoxLayout()
            column.setSpacing(3)
            column.addWidget(title)
            column.addWidget(widget, 1)
            pictures.addLayout(column, stretch)
        row = QWidget()
        row.setLayout(pictures)
        pictures.setContentsMargins(0, 0, 0, 0)
        # A small window shows a part of them rather than taking room from the map.
        area = QScrollArea()
        area.setWidget(row)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(12, 6, 12, 8)
        column.setSpacing(6)
        column.addWidget(self.words)
        column.addWidget(area, 1)
        column.addWidget(self.controls)
        empty = QWidget()
        lines = QVBoxLayout(empty)
        lines.setContentsMargins(12, 8, 12, 8)
        lines.addWidget(self.note)
        lines.addStretch(1)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(body)
        self.painting.setAccessibleName("What the chosen code paints")
        self.before.setAccessibleName("Picture before the edits")
        self.difference.setAccessibleName("What the edits change")

    def _connect(self) -> None:
        session, controls = self.session, self.controls
        session.snapshot_changed.connect(self._snapshot_came)
        session.dataset_changed.connect(self._dataset_came)
        self.scatter.chosen.connect(self.choose_code)
        self.scatter.taken.connect(self.put_code)
        self.grid.cell_chosen.connect(self.choose_cell)
        self.grid.reset_wanted.connect(self._reset_cell)
        controls.item_chosen.connect(self.show_item)
        controls.draw_clicked.connect(self.draw)
        controls.temperature_began.connect(self._begin_gesture)
        controls.temperature_moved.connect(self.set_temperature)
        controls.code_chosen.connect(self.set_code)
        controls.put_clicked.connect(self._put_chosen)
        controls.revert_clicked.connect(self.revert)

    def set_active(self, visible: bool) -> None:
        """Hidden, nothing is worked out for it."""
        self._is_active = visible
        if visible:
            self._show_kind()
            self._ask_all()
        else:
            self._timer.stop()
            for slot in ("grid", "code", "codebook"):
                self.session.map.withdraw(slot)

    # --- what a person does

    @Slot(int)
    def show_item(self, item: int) -> None:
        """The grid of an image of the data set."""
        self._change(replace(self.choice, item=item, edits=()), f"show the grid of image {item}")

    @Slot()
    def draw(self) -> None:
        """Another draw from the prior."""
        seed = self.choice.seed + (self.choice.item is None)
        self._change(replace(self.choice, item=None, seed=seed, edits=()), "draw from the prior")

    @Slot(float)
    def set_temperature(self, temperature: float) -> None:
        """The same draw at another temperature; a drag is one step to undo."""
        self._change(replace(self.choice, temperature=temperature), "change the temperature", self._gesture)

    @Slot(int, int)
    def choose_cell(self, row: int, column: int) -> None:
        """The cell that is edited."""
        self.cell = (row, column)
        self.grid.show_cell(self.cell)
        self._show_cell_code()

    @Slot(int)
    def choose_code(self, code: int) -> None:
        """See what a code paints."""
        self.code = code
        self.scatter.show_chosen(code)
        self._ask_painting()

    @Slot(int)
    def set_code(self, code: int) -> None:
        """Another code in the chosen cell."""
        if self.cell is not None:
            row, column = self.cell
            self._change(self.choice.with_code(row, column, code), f"put code {code} into cell {row}, {column}")

    @Slot(int)
    def put_code(self, code: int) -> None:
        """Choose a code and put it into the chosen cell."""
        self.choose_code(code)
        self.set_code(code)

    @Slot()
    def revert(self) -> None:
        """Every cell its own code."""
        self._change(replace(self.choice, edits=()), "take back all edits of the grid")

    @Slot()
    def _put_chosen(self) -> None:
        if self.code >= 0:
            self.set_code(self.code)

    @Slot(int, int)
    def _reset_cell(self, row: int, column: int) -> None:
        self._change(self.choice.with_code(row, column, None), f"give cell {row}, {column} its own code")

    @Slot()
    def _begin_gesture(self) -> None:
        self._gesture = self.session.map.new_gesture()

    def _change(self, after: GridChoice, text: str, merge: str = "") -> None:
        if after != self.choice:
            self.session.undo_stack.push(ChangeGrid(self._place, self.choice, after, text, merge))

    def _place(self, choice: GridChoice) -> None:
        self.choice = choice
        self.controls.show_temperature(choice.temperature)
        self._show_item_number()
        self._ask_grid()

    # --- asking

    @property
    def _has_codebook(self) -> bool:
        snapshot = self.session.snapshot
        return snapshot is not None and MODELS[snapshot.model_name].has_codebook

    @Slot(object)
    def _snapshot_came(self, _snapshot: object) -> None:
        if self._is_active:
            self._show_kind()
            if not self._timer.isActive():
                self._timer.start()

    @Slot(object)
    def _dataset_came(self, dataset: ImageDataset | None) -> None:
        if dataset is not None and self._is_first_item and self.choice == GridChoice():
            self._is_first_item = False
            first = dataset.heldout_index_N if len(dataset.heldout_index_N) else dataset.train_index_N
            self.choice = GridChoice(item=int(first[0]))
        self._show_item_number()
        self._surveyed_at = 0.0
        if self._is_active:
            self._ask_all()

    @Slot()
    def _ask_all(self) -> None:
        if not self._is_active or not self._has_codebook:
            return
        self._ask_grid()
        self._ask_painting()
        if time.monotonic() - self._surveyed_at >= _SURVEY_SECONDS or not self.session.is_running:
            self._surveyed_at = time.monotonic()
            self.session.map.explore("codebook", look_at_codebook, self._show_look, self._tell_failure)

    def _ask_grid(self) -> None:
        if self._is_active and self._has_codebook:
            work = partial(look_at_grid, choice=self.choice)
            self.session.map.explore("grid", work, self._show_grid, self._tell_failure)

    def _ask_painting(self) -> None:
        if self._is_active and self._has_codebook and self.code >= 0:
            work = partial(paint_code, code=self.code)
            self.session.map.explore("code", work, self._show_painting, self._tell_no_code)

    # --- showing

    def _show_kind(self) -> None:
        snapshot = self.session.snapshot
        self._stack.setCurrentIndex(int(self._has_codebook))
        if snapshot is None:
            self.note.setText("The codebook appears when the model has been prepared.")
        elif not self._has_codebook:
            title = MODELS[snapshot.model_name].title
            self.note.setText(f"The model “{title}” has no codebook. Choose the VQ-VAE to see its codes here.")

    def _show_look(self, look: CodebookLook) -> None:
        self.look = look
        self.scatter.show_look(look)
        num = len(look.share_K)
        if not 0 <= self.code < num:
            self.choose_code(int(look.share_K.argmax()))
        dead = f"{look.num_dead} dead" if look.num_dead else "none dead"
        whose = "held-out images" if look.is_heldout else "images"
        self.words.setText(
            f"Perplexity {look.perplexity:.1f} of {num} codes ({100 * look.perplexity / num:.0f} %), {dead}, counted "
            f"over {look.num_images:,} {whose}"
        )
        self.words.setToolTip(f"The plane shows {100 * look.explained:.0f} % of the variance of the codes.")

    def _show_painting(self, painting: CodePainting) -> None:
        self.painting.show_picture(painting.picture, lambda: {"kind": "a grid of one code", "code": str(painting.code)})
        self.painting_words.setText(f"Code {painting.code}")
        if self.look is not None and painting.code < len(self.look.share_K):
            share = share_text(float(self.look.share_K[painting.code]))
            self.painting_words.setText(f"Code {painting.code} · {share.removesuffix(' of cells')}")
            self.painting_words.setToolTip(f"A grid of code {painting.code} alone, decoded; {share}")

    def _show_grid(self, look: GridLook) -> None:
        self.grid_look = look
        self.grid.show_look(look)
        facts = {"step": str(look.step), "grid": self._grid_title(look.choice)}
        self.before.show_picture(look.before, lambda: {"kind": "decoded code grid", **facts})
        self.difference.show_picture(look.difference, lambda: {"kind": "change by the edits", **facts})
        self.grid_words.setText(self._grid_title(look.choice))
        self.before_words.setText(f"Before {look.own_cost:.1f} nats")
        self.before_words.setToolTip(
            f"−log p(k) of the grid under the prior as it is now; under the uniform prior {look.uniform_cost:.1f} nats"
        )
        self.change_words.setText(f"Change {look.cost - look.own_cost:+.1f} nats")
        if self.cell is not None and (self.cell[0] >= look.cells_RW.shape[0] or self.cell[1] >= look.cells_RW.shape[1]):
            self.cell = None
            self.grid.show_cell(None)
        self._show_cell_code()
        self.controls.revert.setEnabled(bool(look.choice.edits))
        self.session.want_snapshot()

    def _grid_title(self, choice: GridChoice) -> str:
        if choice.item is None:
            return f"Draw {choice.seed} at {choice.temperature:.2f}"
        return item_title(self.session.dataset, choice.item)

    def _show_cell_code(self) -> None:
        look = self.grid_look
        self.controls.put.setEnabled(self.cell is not None)
        if look is not None:
            code = None if self.cell is None else int(look.cells_RW[self.cell])
            self.controls.show_code(code, look.num_codes)

    def _show_item_number(self) -> None:
        dataset = self.session.dataset
        self.controls.show_item(self.choice.item, 0 if dataset is None else dataset.images.num_images)

    def _tell_no_code(self, _error: Exception) -> None:
        # The codebook is smaller now than when the code was chosen.
        self.code = -1
        self.scatter.show_chosen(-1)

    def _tell_failure(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self.words.setText(error.in_one_line)
        else:
            self.session.post("error", f"The code grid could not be shown: {error}.", "Choose another model.")
