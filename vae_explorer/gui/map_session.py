"""What the map is looking at: the arrangement with its undo steps, the current view, layers, hover, given pictures.

Panels read it, call it and listen to it; the widgets follow its signals. Nothing here paints. GUI thread only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.shown_view import ShownView
from vae_explorer.gui.threads.asking import Asking
from vae_explorer.gui.undo import Arrange
from vae_explorer.latent.arrangement import Arrangement, Direction, Frame, Group, ItemSet, Pin
from vae_explorer.latent.layers import LAYERS, Focus, GivenPosterior
from vae_explorer.latent.view_catalogue import VIEWS, FitData, ViewChoice, build_view, first_choice, more_informative
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.threads.exploring import Work
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.path_catalogue import PathChoice
    from vae_explorer.latent.views import View
    from vae_explorer.models.record import Condition
    from vae_explorer.models.snapshot import Snapshot

_SURVEY_LAYERS = {record.name for record in LAYERS if record.is_survey}
SURVEY_SLOTS = frozenset({"path", "members", "values", "neighbours", "picture", "refine", "codebook"} | _SURVEY_LAYERS)
"""What takes longer than a look: asked of the second exploring thread, so that map and click never wait for it."""


@dataclass(frozen=True, slots=True)
class LayerState:
    """How a layer is shown: its eye, its opacity (0.1 to 1) and its options."""

    is_shown: bool
    opacity: float
    options: Any


class MapSession(QObject):
    """What a person can do to the map; `session.map`.

    Signals: arranged(before, after), two Arrangements; view_changed(View or None), also when a fitted plane was fitted
    again; hovered_item_changed(int or None); given_changed(); layer_changed(name): its eye or options, or opacity
    where that needs another drawing; layer_faded(name, opacity): where it does not;
    layer_drawn(name, LayerDrawing or None where it was taken off); layer_told(name, str): why it cannot be drawn.
    """

    arranged = Signal(object, object)
    view_changed = Signal(object)
    hovered_item_changed = Signal(object)
    given_changed = Signal()
    layer_changed = Signal(str)
    layer_faded = Signal(str, float)
    layer_drawn = Signal(str, object)
    layer_told = Signal(str, str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.arrangement = Arrangement()
        self.num_dimensions = 0
        self.images_number = 0
        self.hovered_item: int | None = None
        self.given: tuple[GivenPosterior, ...] = ()
        self.layers = {
            record.name: LayerState(record.is_shown, record.opacity, record.options_type()) for record in LAYERS
        }
        self._gestures = itertools.count(1)
        self._has_chosen_view = False
        self._mask: tuple[ItemSet, np.ndarray] | None = None
        self._shown = ShownView()
        self._fast = Asking(session.explorer_thread)
        self._survey = Asking(session.survey_thread)
        session.snapshot_changed.connect(self._follow)
        session.dataset_changed.connect(self._take_images)
        session.validated.connect(self._prefer_dimensions)
        session.config_changed.connect(self._follow_beta)

    # --- arranging: each call is one step to undo

    def arrange(self, text: str, merge: str = "", **changes: Any) -> None:
        """Change fields of the arrangement as one undo step; the same `merge` key as the last step's joins them.

        `text` completes "Undo …", such as "move pin A".
        """
        after = replace(self.arrangement, **changes)
        if after != self.arrangement:
            self._session.undo_stack.push(Arrange(self, after, text, merge))

    def new_gesture(self) -> str:
        """A merge key of its own, for one drag or one held key."""
        return f"gesture {next(self._gestures)}"

    def set_pins(self, pins: tuple[Pin, ...], active: int, text: str, merge: str = "") -> None:
        """Other pins; bends of a path that has other segments now go."""
        path = self.arrangement.path
        if len(pins) != len(self.arrangement.pins):
            path = replace(path, bends=())
        self.arrange(text, merge, pins=pins, active_pin=active, path=path)

    def add_pin(self, z_D: np.ndarray, merge: str = "") -> str:
        """One more pin, active from now on; its name."""
        after = self.arrangement.with_pin(z_D)
        name = after.pins[-1].name
        self.arrange(f"set pin {name}", merge, pins=after.pins, active_pin=after.active_pin)
        return name

    def move_pin(self, index: int, z_D: np.ndarray, merge: str = "") -> None:
        """Pin `index` stands elsewhere, and is active."""
        after = self.arrangement.with_moved_pin(index, z_D)
        self.arrange(f"move pin {after.pins[index].name}", merge, pins=after.pins, active_pin=index)

    def place_active_pin(self, z_D: np.ndarray, merge: str = "") -> None:
        """The active pin stands here; the first pin where there is none."""
        if self.arrangement.active is None:
            self.add_pin(z_D, merge)
        else:
            self.move_pin(self.arrangement.active_pin, z_D, merge)

    def activate_pin(self, index: int, merge: str = "") -> None:
        """Keys and sliders move this pin."""
        self.arrange(f"choose pin {self.arrangement.pins[index].name}", merge, active_pin=index)

    def remove_pin(self, index: int) -> None:
        """One pin less."""
        after = self.arrangement.without_pin(index)
        name = self.arrangement.pins[index].name
        self.arrange(f"remove pin {name}", pins=after.pins, active_pin=after.active_pin, path=after.path)

    def clear_pins(self) -> None:
        """No pins, and no path."""
        if self.arrangement.pins:
            self.set_pins((), -1, "remove pins")

    def active_pin_z(self) -> np.ndarray | None:
        """The active pin's latent point, read-only, or None."""
        active = self.arrangement.active
        return None if active is None else active.z_D

    def select(self, items: ItemSet | None, text: str = "select") -> None:
        """These items are selected; None or no items is no selection."""
        changes: dict[str, Any] = {"selection": items if items is not None and len(items) else None}
        if self.condition == "part" and items is not None and len(items):
            changes["told"] = int(items.ids[0])  # the part that is given is that of the image looked at
        self.arrange(text, **changes)

    @property
    def condition(self) -> Condition:
        """What the model looked at is told beside the picture; empty for most."""
        snapshot = self._session.snapshot
        return "" if snapshot is None else MODELS[snapshot.model_name].condition

    def tell(self, told: int, text: str, merge: str = "") -> None:
        """Decode places under another class, or with the given part of another item."""
        self.arrange(text, merge, told=told)

    def choose_view(self, choice: ViewChoice, text: str = "change view", merge: str = "") -> None:
        """Another view. Raises UserError where it cannot be made of what is there."""
        self._shown.prepare(choice, self._built(choice))
        self._session.message_settled.emit("panel.view")
        self._has_chosen_view = True
        self.arrange(text, merge, view=choice, frame=None if self._changes_plane(choice) else self.arrangement.frame)

    def set_path(self, path: PathChoice, text: str = "change path", merge: str = "") -> None:
        """Another kind, speed, number of frames or bend of the path between the pins."""
        self.arrange(text, merge, path=path)

    def add_group(self, name: str, items: ItemSet) -> None:
        """A named set of items; a group of that name is replaced."""
        others = tuple(group for group in self.arrangement.groups if group.name != name)
        colour = next(number for number in itertools.count() if all(group.colour != number for group in others))
        self.arrange(f"make group {name}", groups=(*others, Group(name, items, colour)))

    def add_direction(self, direction: Direction) -> None:
        """An attribute direction; one of that name is replaced."""
        others = tuple(known for known in self.arrangement.directions if known.name != direction.name)
        self.arrange(f"make direction {direction.name}", directions=(*others, direction))

    def set_frame(self, frame: Frame | None, merge: str = "") -> None:
        """The person panned, zoomed or centred; None follows the codes."""
        self.arrange("move the map" if frame is not None else "fit the map", merge, frame=frame)

    # --- used by the undo command

    def place(self, arrangement: Arrangement, images_number: int) -> None:
        """Show an arrangement without a new step; what belongs to another latent space or to other images is left out.

        `images_number` is that of the images it was made with.
        """
        if not arrangement.fits(self.num_dimensions):
            arrangement = replace(arrangement.without_latents(), view=self.arrangement.view)
        if images_number != self.images_number:
            arrangement = arrangement.without_items()
        before, self.arrangement = self.arrangement, arrangement
        if arrangement.view != before.view:
            self._show_choice()
        if arrangement.told != before.told and self.condition and self._session.snapshot is not None:
            self._session.show_snapshot(self._session.snapshot)
        self.arranged.emit(before, self.arrangement)

    def restore(self, arrangement: Arrangement) -> None:
        """Show what was arranged another time, as the place to begin at; there is nothing to undo."""
        self._has_chosen_view = arrangement.view is not None
        self.place(arrangement, self.images_number)

    # --- what is not undone

    def hover_item(self, item: int | None) -> None:
        """The code of this item is under the mouse; one that the images do not have is none."""
        dataset = self._session.dataset
        if item is not None and dataset is not None and item >= dataset.images.num_images:
            item = None
        if item != self.hovered_item:
            self.hovered_item = item
            self.hovered_item_changed.emit(item)

    def set_given(self, given: tuple[GivenPosterior, ...]) -> None:
        """Posteriors of pictures that are no items of the data set."""
        self.given = given
        self.given_changed.emit()

    def set_layer(self, name: str, **changes: Any) -> None:
        """Change `is_shown`, `opacity` or `options` of a layer."""
        before = self.layers[name]
        state = replace(before, **changes)
        if state == before:
            return
        self.layers[name] = state
        if replace(before, opacity=state.opacity) == state and not LAYERS[name].bakes_opacity:
            self.layer_faded.emit(name, state.opacity)
        else:
            self.layer_changed.emit(name)

    def focus(self) -> Focus:
        """What layers are told of where the person's attention is."""
        selection, dataset = self.arrangement.selection, self._session.dataset
        mask, items = None, ()
        if selection is not None and dataset is not None:
            if self._mask is None or self._mask[0] is not selection:
                self._mask = (selection, selection.mask(dataset.images.num_images))
            mask = self._mask[1]
            items = tuple(selection.ids[:24].tolist()) if len(selection) <= 24 else ()
        beta = float(getattr(self._session.config.model, "beta", 1.0))
        return Focus(self.hovered_item, items, self.given, mask, beta, self.active_pin_z())

    # --- asking

    def explore(
        self,
        slot: str,
        work: Work,
        on_answer: Callable[[Any], None],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """Have work done with the newest weights; only the newest question of a slot is answered.

        `work(explorer)` runs on an exploring thread, may be a generator, and returns immutable numpy or frozen records;
        both callbacks run in the GUI thread.
        """
        if slot not in SURVEY_SLOTS:
            self._fast.ask(slot, work, on_answer, on_failure)
            return
        snapshot = self._session.snapshot
        if snapshot is not None:
            self._session.survey_thread.adopt(snapshot)
        self._survey.ask(slot, work, on_answer, on_failure)

    def withdraw(self, slot: str) -> None:
        """The answer on this slot is no longer wanted."""
        (self._survey if slot in SURVEY_SLOTS else self._fast).withdraw(slot)

    def close(self) -> None:
        """No answer is delivered any more."""
        self._fast.close()
        self._survey.close()

    # --- following the session

    @Slot(object)
    def _follow(self, snapshot: Snapshot) -> None:
        codes_ND = snapshot.codes_ND
        num_dimensions = 0 if codes_ND is None else int(codes_ND.shape[1])
        if num_dimensions != self.num_dimensions:
            self.num_dimensions = num_dimensions
            self.given = ()
            self._shown.forget()
            self.hover_item(None)
            self._has_chosen_view = False
            before = self.arrangement
            choice = first_choice(num_dimensions)
            self.arrangement = replace(before.without_latents(), view=choice)
            self._show_choice()
            self.arranged.emit(before, self.arrangement)
            self._tell_lost(before)
            return
        choice = self.arrangement.view
        if choice is not None and VIEWS[choice.name].is_fitted and choice.locked is None:
            self._fit(choice)

    def _tell_lost(self, before: Arrangement) -> None:
        if lost := before.latents_in_words:
            text = f"The latent space is another one now; {lost} of the last one went with it."
            self._session.post("info", text, "Save directions before the number of dimensions is changed.")

    @Slot(object)
    def _take_images(self, dataset: object) -> None:
        for thread in (self._session.explorer_thread, self._session.survey_thread):
            thread.show_images(dataset)  # type: ignore[arg-type]
        self._mask = None
        self.images_number += 1
        for slot in ("hovered", "selection"):
            self.withdraw(slot)
        if self.arrangement.selection is not None or self.arrangement.groups:
            before, self.arrangement = self.arrangement, self.arrangement.without_items()
            self.arranged.emit(before, self.arrangement)
        self.hover_item(None)

    @Slot(object)
    def _follow_beta(self, _config: object) -> None:
        for record in LAYERS:
            if record.follows_beta and self.layers[record.name].is_shown:
                self.layer_changed.emit(record.name)

    @Slot(object)
    def _prefer_dimensions(self, _validated: object) -> None:
        """Until the person chooses or pins, dimensions that carry little give way to those that carry most."""
        choice, kl_D = self.arrangement.view, self._session.kl_D
        if self._has_chosen_view or self.arrangement.pins or kl_D is None or choice is None:
            return
        better = more_informative(choice, kl_D) if len(kl_D) == self.num_dimensions else choice
        if better != choice:
            before = self.arrangement
            self.arrangement = replace(before, view=better)
            self._show_choice()
            self.arranged.emit(before, self.arrangement)

    # --- views

    def _changes_plane(self, choice: ViewChoice) -> bool:
        before = self.arrangement.view
        return before is None or replace(before, locked=choice.locked, anchor=choice.anchor) != choice

    def _built(self, choice: ViewChoice) -> View | None:
        snapshot = self._session.snapshot
        if not self.num_dimensions or snapshot is None:
            return None
        return self._shown.built(choice, snapshot, self._labels())

    def _labels(self) -> np.ndarray | None:
        dataset = self._session.dataset
        return None if dataset is None or dataset.labels_N is None else dataset.labels_N.cpu().numpy()

    def _show_choice(self) -> None:
        choice = self.arrangement.view
        is_prepared, view = self._shown.take_prepared(choice)
        if not is_prepared:
            try:
                view = None if choice is None else self._built(choice)
            except UserError as error:
                # A step taken back may be of another latent space, or of images with labels.
                self._session.post_error(error, near="panel.view")
                choice = first_choice(self.num_dimensions)
                self.arrangement = replace(self.arrangement, view=choice, frame=None)
                view = None if choice is None else self._built(choice)
        self._show_view(view, choice)

    def _fit(self, choice: ViewChoice) -> None:
        last, labels_N = self.view, self._labels()

        def work(explorer: Explorer) -> View:
            codes_ND = explorer.codes()
            assert codes_ND is not None
            return build_view(choice, FitData(codes_ND, labels_N), last)

        def show(view: View) -> None:
            if self.arrangement.view == choice:
                self._show_view(view, choice)

        self._fast.ask("view", work, show)

    def _show_view(self, view: View | None, choice: ViewChoice | None) -> None:
        if self._shown.show(view, choice):
            self.view_changed.emit(self.view)

    @property
    def view(self) -> View | None:
        """What the map shows; None before there is a latent space that a plane could show."""
        return self._shown.view

    @property
    def straight_view(self) -> View | None:
        """The view that is chosen, before it is turned."""
        return self._shown.straight

    def turn(self, rotation_DD: np.ndarray | None) -> None:
        """Show planes turned by this rotation of the latent space, or straight; for moments of the past."""
        if self._shown.turn(rotation_DD):
            self.view_changed.emit(self.view)

    def place_tour(self, view: View) -> None:
        """A frame of the grand tour: shown, but no step to undo."""
        self._show_view(view, None)
