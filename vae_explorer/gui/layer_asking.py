"""When each layer of the map is drawn again: at every look, at its own rate, or because the person moved something.

A look is over when every layer of the fast thread has answered for the newest snapshot; then the next may be taken.
Surveys run on the second thread while the first goes on looking; in training they take no more than their share of a
core, one after the other. A hidden layer is never asked for. GUI thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.session_words import State
from vae_explorer.gui.widgets.map_ink import layer_ink
from vae_explorer.latent.drawing import LayerDrawing
from vae_explorer.latent.layers import LAYERS, LayerRecord, LayerRequest
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.widgets.map_frame import MapFrame
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.runs.past import Moment

SURVEY_SHARE = 0.08
"""The part of a core that surveys may take while training."""
_OF_CODES_ALONE = frozenset({"codes", "regions"})
_SETTLE_MS = 140
_UNFINISHED_MS = 60
_ATTEND_MS = 120


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A drawing, the snapshot it saw, and the seconds of processor time it took."""

    drawing: LayerDrawing
    stamp: int
    seconds: float


class LayerAsking(QObject):
    """Asks for the layers that are shown; `frame_of` gives the part of the plane in sight and the pixel ratio.

    `frame_of` returns None while nothing can be drawn (hidden, gliding, no view). Drawings go out by
    `session.map.layer_drawn`, sentences about what cannot be drawn by `session.map.layer_told`. looked(): all fast
    layers show the newest snapshot. failed(title, Exception): a layer failed for no reason a person could mend.
    """

    looked = Signal()
    failed = Signal(str, object)

    def __init__(self, session: Session, frame_of: Callable[[], tuple[MapFrame, float] | None]) -> None:
        super().__init__()
        self._session = session
        self._map = session.map
        self._frame_of = frame_of
        self._owed: set[str] = set()
        self._shown: dict[str, LayerDrawing] = {}
        self._asked_at: dict[str, float] = {}
        self._under_way: set[str] = set()
        self._again: set[str] = set()
        self._survey_rests_until = 0.0
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.setInterval(_SETTLE_MS)
        self._settling.timeout.connect(self._ask_surveys)
        self._attending = QTimer(self)
        self._attending.setSingleShot(True)
        self._attending.setInterval(_ATTEND_MS)
        self._attending.timeout.connect(self._attend)
        self._pinning = QTimer(self)
        self._pinning.setSingleShot(True)
        self._pinning.setInterval(_ATTEND_MS)
        self._pinning.timeout.connect(self._follow_pin)
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.timeout.connect(self._look_on)
        self._map.layer_changed.connect(self._layer_changed)
        self._map.hovered_item_changed.connect(self._focus_changed)
        self._map.given_changed.connect(self._focus_changed)
        session.state_changed.connect(self._look_on)

    @property
    def is_settled(self) -> bool:
        """Whether every layer asked for has been drawn."""
        is_waiting = any(timer.isActive() for timer in (self._settling, self._attending, self._pinning))
        return not self._owed and not self._under_way and not is_waiting

    # --- what calls for drawing

    def look(self) -> None:
        """A new snapshot: fast layers at once, surveys when their turn has come."""
        for record in self._shown_records():
            if not record.is_survey:
                self.ask(record.name)
        self._look_on()
        if not self._owed:
            self.looked.emit()

    def frame_changed(self) -> None:
        """Another part of the plane: fast layers at once, surveys when it has come to rest."""
        for record in self._shown_records():
            if not record.is_survey:
                self.ask(record.name)
        self._settling.start()

    def plane_fitted(self) -> None:
        """The same plane, fitted anew: fast layers at once, surveys when their turn has come."""
        for record in self._shown_records():
            if not record.is_survey:
                self.ask(record.name)
        self._look_on()

    def plane_turned(self) -> None:
        """A frame of the tour further: surveys are of a plane that is gone, and come back when it rests."""
        for record in self._shown_records():
            if record.is_survey:
                self._drop(record.name)
        self.frame_changed()

    def ask_all(self) -> None:
        """Everything again, such as after a change of the theme or another view."""
        for record in self._shown_records():
            self.ask(record.name)

    def forget(self) -> None:
        """Another plane, or nobody looks: no answer on the way is wanted, and nothing stands."""
        for name in LAYERS.names():
            self._drop(name)

    def ask(self, name: str, *, is_draft: bool = False) -> None:
        """Draw one layer now, or what of it can be had at once."""
        record, state = LAYERS[name], self._map.layers[name]
        place, snapshot, view = self._frame_of(), self._session.snapshot, self._map.view
        if place is None or snapshot is None or view is None or not state.is_shown:
            return
        lack = self._lack(record)
        if lack:
            self._drop(name)
            self._map.layer_told.emit(name, lack)
            return
        frame, ratio = place
        width, height = (max(1, round(side * ratio)) for side in (frame.width, frame.height))
        ink = layer_ink(theme.current(), state.opacity if record.bakes_opacity else 1.0)
        request = LayerRequest(
            view, frame.rect, width, height, ratio, ink, state.opacity, state.options, self._map.focus(), is_draft,
            self._session.state is State.TRAINING,
        )  # fmt: skip
        if not record.is_survey:
            self._owed.add(name)
        self._under_way.add(name)
        self._asked_at[name] = time.monotonic()
        self._map.explore(
            name, partial(_drawn, record=record, request=request), partial(self._show, name), partial(self._fail, name)
        )

    # --- answers

    def _show(self, name: str, drawn: _Drawn) -> None:
        record = LAYERS[name]
        self._shown[name] = drawn.drawing
        if drawn.drawing.is_whole:
            self._under_way.discard(name)
            if record.is_survey:
                # What has a share of its own does not keep the others waiting.
                seconds = drawn.seconds - drawn.drawing.extras.get("seconds_apart", 0.0)
                self._survey_rests_until = time.monotonic() + seconds / SURVEY_SHARE
                if name in self._again:
                    self._again.discard(name)
                    self.ask(name)
                self._look_on()
            elif drawn.stamp >= self._session.explorer_thread.stamp:
                self._owed.discard(name)
            if drawn.drawing.extras.get("is_unfinished"):
                # Values an item are computed a few at a time; each drawing shows more of them.
                QTimer.singleShot(_UNFINISHED_MS, self, partial(self._go_on, name))
        self._map.layer_drawn.emit(name, drawn.drawing)
        if not self._owed:
            self.looked.emit()

    def _fail(self, name: str, error: Exception) -> None:
        self._drop(name)
        if isinstance(error, UserError):
            self._map.layer_told.emit(name, error.in_one_line)
        else:
            self.failed.emit(LAYERS[name].title, error)
        if not self._owed:
            self.looked.emit()

    def _go_on(self, name: str) -> None:
        if name not in self._under_way and self._map.layers[name].is_shown:
            self.ask(name)

    # --- inner workings

    def _shown_records(self) -> list[LayerRecord]:
        return [record for record in LAYERS if self._map.layers[record.name].is_shown]

    def _lack(self, record: LayerRecord) -> str:
        """In one sentence why this model or data set has no such layer; empty where it has."""
        snapshot, dataset = self._session.snapshot, self._session.dataset
        assert snapshot is not None
        model = MODELS[snapshot.model_name]
        moment = self._session.timeline.moment
        if moment is not None and record.name not in layers_of_moment(moment):
            return "No weights were kept near this moment: only its codes can be seen."
        if "dataset" in record.needs and dataset is None:
            return "The images are still being read."
        if "labels" in record.needs and (dataset is None or dataset.labels_N is None):
            return "These images have no labels. Colour the codes by a value instead."
        if "prior" in record.needs and not model.has_prior:
            return f"The model “{model.title}” has no prior. Its codes and reliability can be seen."
        if "likelihood" in record.needs and not model.has_likelihood:
            return f"The model “{model.title}” has no likelihood. Its codes and stretch can be seen."
        if "gaussian posterior" in record.needs and not model.has_gaussian_posterior:
            return f"The model “{model.title}” has no Gaussian posterior q(z|x). Its codes and stretch can be seen."
        return ""

    def _drop(self, name: str) -> None:
        self._map.withdraw(name)
        self._owed.discard(name)
        self._under_way.discard(name)
        self._again.discard(name)
        if self._shown.pop(name, None) is not None:
            self._map.layer_drawn.emit(name, None)

    @Slot()
    def _look_on(self) -> None:
        """Ask for the survey that has waited longest, if training can spare the time now."""
        surveys = [record for record in self._shown_records() if record.is_survey]
        if not surveys or self._frame_of() is None:
            return
        if self._session.state is not State.TRAINING:
            for record in surveys:
                if record.name not in self._under_way and self._is_stale(record):
                    self.ask(record.name)
            return
        if self._under_way & {record.name for record in surveys}:
            return
        now = time.monotonic()
        due = {
            record.name: max(self._asked_at.get(record.name, 0.0) + record.seconds_between, self._survey_rests_until)
            for record in surveys
        }
        name = min(due, key=lambda name: self._asked_at.get(name, 0.0) + LAYERS[name].seconds_between)
        if due[name] <= now:
            self.ask(name)
        else:
            self._resting.start(int((due[name] - now) * 1000) + 1)

    def _is_stale(self, record: LayerRecord) -> bool:
        shown = self._shown.get(record.name)
        if shown is not None and shown.extras.get("is_behind"):
            return True
        seen = None if shown is None else (shown.extras.get("stamp"), shown.extras.get("view"))
        return seen != (self._session.explorer_thread.stamp, self._map.view)

    @Slot()
    def _ask_surveys(self) -> None:
        if self._frame_of() is None:
            return
        for record in self._shown_records():
            if record.is_survey and self._must_end_first(record.name):
                self._again.add(record.name)
            elif record.is_survey:
                self.ask(record.name)

    def _must_end_first(self, name: str) -> bool:
        """Whether a layer shows its colours and works on what does not depend on the place.

        In training, begun anew it would begin with newer weights, and under a frame that follows the codes never end.
        """
        shown = self._shown.get(name)
        is_apart = name in self._under_way and shown is not None and "is_apart" in shown.extras
        return is_apart and self._session.state is State.TRAINING

    @Slot(str)
    def _layer_changed(self, name: str) -> None:
        if self._map.layers[name].is_shown:
            self.ask(name)
        else:
            self._drop(name)
            if not self._owed:
                self.looked.emit()

    @Slot()
    def _focus_changed(self, _item: object = None) -> None:
        # The exact posterior of each of twenty codes a second under a moving mouse would take a core from training.
        for record in self._shown_records():
            if record.follows_hover:
                self.ask(record.name, is_draft=True)
                self._attending.start()

    @Slot()
    def _attend(self) -> None:
        for record in self._shown_records():
            if record.follows_hover:
                self.ask(record.name)

    def pin_changed(self) -> None:
        """The selected pin stands elsewhere, or another is selected; under a drag layers follow when it pauses."""
        if any(record.follows_pin for record in self._shown_records()):
            self._pinning.start()

    @Slot()
    def _follow_pin(self) -> None:
        for record in self._shown_records():
            if record.follows_pin:
                self.ask(record.name)

    def selection_changed(self) -> None:
        """Other items are selected: the codes are dimmed otherwise, and other posteriors are shown."""
        for record in self._shown_records():
            if record.follows_selection:
                self.ask(record.name)


def layers_of_moment(moment: Moment) -> frozenset[str]:
    """Which layers say something of a moment of the past: without weights that are near it, only those of its codes."""
    return frozenset(LAYERS.names()) if moment.has_near_weights else _OF_CODES_ALONE


def _drawn(explorer: Explorer, record: LayerRecord, request: LayerRequest) -> Iterator[_Drawn | None]:
    """The layer's steps on the exploring thread, with the processor time they took."""
    explorer.drawn[record.name] += 1
    began = time.thread_time()
    seconds, is_whole = 0.0, False
    for drawing in record.draw(explorer, request):
        seconds += time.thread_time() - began
        if drawing is not None:
            drawing.extras.update(stamp=explorer.stamp, view=request.view)
            is_whole = drawing.is_whole
        yield None if drawing is None else _Drawn(drawing, explorer.stamp, seconds)
        began = time.thread_time()
    if not is_whole:
        # There is nothing to draw (no item is hovered, no code is in sight): that is an answer too.
        extras = {"stamp": explorer.stamp, "view": request.view}
        yield _Drawn(LayerDrawing(request.rect, extras=extras), explorer.stamp, seconds)
