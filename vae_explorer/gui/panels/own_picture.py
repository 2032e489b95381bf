"""A picture of one's own: drawn, dropped, pasted or opened, seen as the network sees it, and placed on the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QMimeData, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QDockWidget, QFileDialog, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.own_picture_words import facts_text, gaps_meaning, progress_text, refinement_text, steps_text
from vae_explorer.gui.threads.picture_reading import PictureReading, PutIn
from vae_explorer.gui.widgets.own_picture_form import OwnPictureForm, show_text
from vae_explorer.latent.layers import GivenPosterior

if TYPE_CHECKING:
    from vae_explorer.datasets.picture_fitting import Invert
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.own_picture import OwnPicture
    from vae_explorer.latent.refinement import Refined, RefinementStep

YOURS, REFINED = "yours", "refined"
"""Names of this panel's posteriors on the map."""

_PANEL = "panel.own_picture"
_LEAST_SHARE = 0.4
_INVERSIONS: tuple[tuple[str, Invert], ...] = (("Invert: auto", "auto"), ("Invert: yes", True), ("Invert: no", False))


@dataclass(frozen=True, slots=True, eq=False)
class _Original:
    """What was put in, kept as it came: every new shape or inversion is fitted from here.

    `was_inverted`: whether the picture that is drawn on had been inverted before it got under the strokes.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    is_drawing: bool = False
    was_inverted: bool | None = None

    def inversion(self, choice: Invert) -> Invert:
        """What is left to be done for the person's choice."""
        return choice if choice == "auto" or self.was_inverted is None else choice != self.was_inverted


class OwnPicturePanel(QWidget):
    """One picture at a time. It is encoded anew at each snapshot while the panel is seen; the newest picture wins."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._is_active = False
        self._original: _Original | None = None
        self._look: OwnPicture | None = None
        self._is_asked = False
        self._asks_again = False
        self._is_refining = False
        self._refined_step: int | None = None
        self._refined: Refined | None = None
        self._told: str | None = None
        self._reading = PictureReading(self)
        self._reading.came.connect(self._take)
        self._reading.failed.connect(self._tell)
        self.form = OwnPictureForm(tuple(text for text, _ in _INVERSIONS))
        self.canvas, self.buttons = self.form.pictures.canvas, self.form.buttons
        self.canvas.changed.connect(self._drawn)
        self.form.inversion.currentIndexChanged.connect(self._inversion_chosen)
        acts = {
            "open": self.open_picture, "paste": self.paste_picture, "clear": self.clear, "refine": self.refine,
            "pin": self.pin,
        }  # fmt: skip
        for name, act in acts.items():
            self.buttons[name].clicked.connect(act)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(self.form)
        self.setAcceptDrops(True)
        self.setFocusProxy(self.canvas)
        session.snapshot_changed.connect(self._snapshot_came)
        session.dataset_changed.connect(self._snapshot_came)

    # --- what a person does

    def set_active(self, visible: bool) -> None:
        """Hidden, it asks for nothing."""
        self._is_active = visible
        if visible:
            self._ask()
        else:
            self._withdraw()

    @Slot()
    def open_picture(self) -> None:
        """Choose a file."""
        from vae_explorer.datasets.picture_reading import SUFFIXES

        kinds = f"Pictures ({' '.join('*' + suffix for suffix in SUFFIXES)});;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "Open a picture", "", kinds)
        if name:
            self.take_file(Path(name))

    @Slot()
    def paste_picture(self) -> None:
        """Take a picture, or the file of one, from the clipboard."""
        content = QGuiApplication.clipboard().mimeData()
        if content is None or not self.take(content):
            self._say("There is no picture on the clipboard.", "Copy a picture or a picture file, then paste again.")

    def take_file(self, path: Path) -> None:
        """Read a picture file; trouble is told in the window."""
        self._reading.start(path)

    def take_image(self, image: QImage) -> None:
        """Take over an image from elsewhere."""
        self._reading.start(image)

    @Slot()
    def clear(self) -> None:
        """No picture here and none on the map; Ctrl+Z on the canvas brings it back."""
        self._reading.drop()
        self._forget()
        self.canvas.clear()

    @Slot()
    def pin(self) -> None:
        """A pin at the picture's posterior mean."""
        look, map_session = self._look, self.session.map
        if look is not None and len(look.mean_D) == map_session.num_dimensions:
            map_session.add_pin(look.mean_D)

    @Slot()
    def refine(self) -> None:
        """Optimise q(z|x) for this picture alone, or stop doing so."""
        if self._is_refining:
            self._end_refinement()
            show_text(self.form.refinement, "The refinement was cancelled.")
            self._place_given()
            return
        if self._look is None or self._look.bound is None:
            return
        self._is_refining = True
        self._refined_step = None
        self._place_given()
        self.form.show_refining(True)
        show_text(self.form.refinement, "Refining…")
        work = partial(_refined, x_CHW=self._look.x_CHW)
        self.session.map.explore("refine", work, self._show_refinement, self._refinement_failed)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and pictures are welcome."""
        if event.mimeData().hasImage() or event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the first of what is dropped."""
        event.acceptProposedAction()
        if not self.take(event.mimeData()):
            self._say("What was dropped holds no picture of this computer.", "Save it as a file, then drop the file.")

    def take(self, content: QMimeData) -> bool:
        """Put in what was dropped or pasted, of several files the first; whether it holds a picture."""
        files = [Path(url.toLocalFile()) for url in content.urls() if url.isLocalFile()]
        if files:
            self.take_file(files[0])
            if len(files) > 1:
                self.session.post("info", f"Only the first of {len(files)} files was taken.", near=_PANEL)
            return True
        image = content.imageData() if content.hasImage() else None
        if isinstance(image, QImage) and not image.isNull():
            self.take_image(image)
            return True
        return False

    # --- the picture put in

    @Slot(object)
    def _take(self, put_in: PutIn) -> None:
        original = _Original(put_in.picture.pixels, put_in.picture.notes)
        self.canvas.put_picture(put_in.preview, original)
        self._put(original)
        dock = self.parentWidget()
        if not self._is_active and isinstance(dock, QDockWidget):
            # Dropped on the map while this panel is behind a tab.
            dock.show()
            dock.raise_()

    @Slot()
    def _drawn(self) -> None:
        self._reading.drop()
        canvas = self.canvas
        if canvas.is_empty:
            self._forget()
        elif canvas.put_in is not None:
            self._put(canvas.put_in)
        elif canvas.basis is None:
            self._put(_Original(canvas.picture(), is_drawing=True))
        else:
            self._put(_Original(canvas.picture(), ("drawn on the picture put in",), True, canvas.basis.was_inverted))

    @Slot(int)
    def _inversion_chosen(self, _index: int) -> None:
        if self._original is not None:
            self._put(self._original)

    def _put(self, original: _Original) -> None:
        self._original = original
        self.session.message_settled.emit(_PANEL)  # about the one before, or about one that could not be read
        self._told = self._refined_step = None
        self._end_refinement()
        show_text(self.form.refinement, "")
        if self.session.snapshot is None:
            self.form.show_nothing("The picture waits for the model: it is encoded as soon as there is one.")
        self._ask()

    def _forget(self) -> None:
        self._original = self._look = None
        self._refined_step = None
        self._withdraw()
        self.form.show_nothing()
        self._place_given()

    # --- asking

    @Slot(object)
    def _snapshot_came(self, _news: object) -> None:
        if self._is_active:
            self._ask()
        elif self._look is not None:
            # Unseen it is not encoded again, and what stands on the map would be of other weights.
            self._look = None
            self._place_given()

    def _ask(self) -> None:
        if not self._is_active or self._original is None or self.session.snapshot is None:
            return
        # The question in hand is answered first: under a slow network a hand that draws would overtake them all.
        if self._is_asked:
            self._asks_again = True
            return
        self._is_asked, self._asks_again = True, False
        original = self._original
        least_share = _LEAST_SHARE if original.is_drawing else 0.0
        invert = original.inversion(_INVERSIONS[self.form.inversion.currentIndex()][1])
        work = partial(_look_at, pixels=original.pixels, invert=invert, least_share=least_share)
        self.session.map.explore("own", work, self._show, self._failed)

    def _withdraw(self) -> None:
        self.session.map.withdraw("own")
        self._is_asked = self._asks_again = False
        self._end_refinement()

    def _answered(self) -> None:
        self._is_asked = False
        if self._asks_again:
            self._ask()

    def _show(self, look: OwnPicture) -> None:
        original = self._original
        if original is not None and (look.pixels is original.pixels or original.is_drawing):
            self._look, self._told = look, None
            self._show_look(look, original)
            self._place_given()
            self._follow_the_data(look)
            if not original.is_drawing:
                self.canvas.set_ground(_channels_last(look.fitted.pixels), was_inverted=look.fitted.is_inverted)
            self.session.want_snapshot()
        self._answered()

    def _follow_the_data(self, look: OwnPicture) -> None:
        """Draw light on dark where the data are, and the reverse."""
        if look.typical is not None and look.typical.is_ink_lighter != self.canvas.is_light_on_dark:
            self.canvas.show_light_on_dark(look.typical.is_ink_lighter)
            if self._original is not None and self._original.is_drawing:
                self._drawn()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._look = None
            self._place_given()
            self.form.show_nothing(error.message)
            if self._told != error.message:
                self._told = error.message
                self.session.post_error(error, near=_PANEL)
        else:
            self._say(f"The picture could not be encoded: {error}.", "Choose another model or setting.")
        self._answered()

    # --- refining

    def _show_refinement(self, answer: tuple[int, RefinementStep | Refined]) -> None:
        step, news = answer
        from vae_explorer.latent.refinement import Refined

        if isinstance(news, Refined):
            self._is_refining = False
            self._refined_step, self._refined = step, news
            self.form.show_refining(False)
            show_text(self.form.refinement, refinement_text(news, step))
            self.form.refinement.setToolTip(gaps_meaning(news))
            self._show_facts()
        else:
            show_text(self.form.refinement, progress_text(news))
        self._place_given((np.asarray(news.mean_D, np.float64), np.asarray(news.sigma_D, np.float64)))

    def _refinement_failed(self, error: Exception) -> None:
        self._end_refinement()
        if isinstance(error, UserError):
            self.session.post_error(error, near=_PANEL)
        else:
            self._say(f"The point could not be refined: {error}.", "Choose another model or picture.")

    def _end_refinement(self) -> None:
        if self._is_refining:
            self._is_refining = False
            self.session.map.withdraw("refine")
            self.form.show_refining(False)
            show_text(self.form.refinement, "")

    # --- showing

    def _place_given(self, refined: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Put this picture's posteriors on the map in place of its last ones, and leave those of others."""
        map_session, look = self.session.map, self._look
        others = tuple(given for given in map_session.given if given.name not in (YOURS, REFINED))
        kept = tuple(given for given in map_session.given if given.name == REFINED)
        mine: list[GivenPosterior] = []
        if look is not None:
            mine.append(GivenPosterior(YOURS, look.mean_D, look.sigma_D, look.x_CHW))
            if refined is not None:
                mine.append(GivenPosterior(REFINED, *refined, look.x_CHW))
            elif self._is_refining or self._refined_step == look.step:
                mine.extend(kept)
        if mine or len(others) != len(map_session.given):
            map_session.set_given((*others, *mine))

    def _show_look(self, look: OwnPicture, original: _Original) -> None:
        self.form.pictures.seen.show_picture(look.seen)
        self.form.pictures.reconstruction.show_picture(look.reconstruction)
        self._show_facts()
        self.form.show_steps(steps_text(look, original.notes))
        self.buttons["refine"].setEnabled(look.bound is not None)
        self.buttons["pin"].setEnabled(True)

    def _show_facts(self) -> None:
        look = self._look
        if look is not None:
            # One picture has one value: after a refinement that of its draws.
            show_text(self.form.facts, facts_text(look, self._refined if self._refined_step == look.step else None))

    def _say(self, text: str, hint: str) -> None:
        self.session.post("error", text, hint, near=_PANEL)

    @Slot(object)
    def _tell(self, error: UserError) -> None:
        self.session.post_error(error, near=_PANEL)


def _channels_last(levels_CHW: np.ndarray) -> np.ndarray:
    """Uint8 (H, W, 3), or (H, W) where the channels are not those of colours."""
    return np.moveaxis(levels_CHW, 0, -1) if len(levels_CHW) == 3 else levels_CHW[0]


def _look_at(explorer: Explorer, **choices: Any) -> Iterator[OwnPicture | None]:
    from vae_explorer.latent.own_picture import look_at

    return look_at(explorer, **choices)


def _refined(explorer: Explorer, x_CHW: np.ndarray) -> Iterator[tuple[int, RefinementStep | Refined] | None]:
    from vae_explorer.latent.refinement import refine

    assert explorer.snapshot is not None
    step = explorer.snapshot.step
    for news in refine(explorer, x_CHW):
        yield None if news is None else (step, news)
