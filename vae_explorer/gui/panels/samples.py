"""Samples from the prior, or ex-post: the same draws again and again, so that one sees them come into being."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QPoint, Slot
from PySide6.QtWidgets import QMenu

from vae_explorer.gui.panels.looking_panel import LookingPanel
from vae_explorer.gui.widgets.image_actions import point_in_full
from vae_explorer.gui.widgets.image_grid import ImageGrid
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer

SEED = 0
_MOST = 400


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The first draws from the prior, decoded; `z_ND` is None where they are no points of R^D."""

    pictures: np.ndarray[Any, np.dtype[np.uint8]]
    z_ND: np.ndarray[Any, np.dtype[np.float64]] | None
    step: int
    is_ex_post: bool


class SamplesPanel(LookingPanel):
    """As many decoded prior samples as fit; the seed is fixed and the generator their own."""

    slot_name = "samples"

    def __init__(self, session: Session) -> None:
        super().__init__(session, ImageGrid())
        self.grid.setAccessibleName("Samples from the prior")
        self.grid.actions_on_picture.menu_opening.connect(self._offer_pin)
        self._samples: Samples | None = None

    def work(self) -> Work | None:
        """Draw and decode as many as fit."""
        snapshot = self.session.snapshot
        if snapshot is None:
            return None
        if not MODELS[snapshot.model_name].can_be_sampled:
            self.show_note(f"The model “{MODELS[snapshot.model_name].title}” has no prior to draw samples from.")
            return None
        self.grid.set_picture_side(max(snapshot.data_space.picture_shape[1:]))
        return partial(_draw, num=min(self.grid.capacity, _MOST))

    def show_answer(self, answer: object) -> None:
        """Show the samples and the step they are of."""
        assert isinstance(answer, Samples)
        self._samples = answer
        common = {"kind": "sample", "step": str(answer.step), "seed": str(SEED)}
        self.grid.show_pictures(answer.pictures, common=common, describe=partial(_facts, answer))
        source = "ex-post: z ~ Gaussian mixture fitted to the codes" if answer.is_ex_post else "z ~ p(z)"
        self.show_caption(f"step {answer.step:,}  ·  {source}, seed {SEED}")

    def show_note(self, note: str) -> None:
        """A sentence in place of the samples."""
        self._samples = None
        super().show_note(note)

    def pin_sample(self, number: int) -> None:
        """Set a pin at the latent point of a sample."""
        samples = self._samples
        if samples is None or samples.z_ND is None or number >= len(samples.z_ND):
            return
        if samples.z_ND.shape[1] == self.session.map.num_dimensions:
            self.session.map.add_pin(samples.z_ND[number])

    @Slot(QMenu, QPoint)
    def _offer_pin(self, menu: QMenu, position: QPoint) -> None:
        cell = self.grid.cell_at(position)
        if cell is not None and self._samples is not None and self._samples.z_ND is not None:
            menu.addSeparator()
            menu.addAction("Pin this sample", partial(self.pin_sample, cell[0]))


def _facts(samples: Samples, number: int, _part: int) -> dict[str, str]:
    facts = {"draw": str(number)}
    if samples.z_ND is not None:
        facts["z"] = point_in_full(samples.z_ND[number])
    return facts


def _draw(explorer: Explorer, num: int) -> Samples:
    assert explorer.snapshot is not None
    return Samples(*explorer.sample(num, SEED), explorer.snapshot.step, explorer.record.samples_ex_post)
