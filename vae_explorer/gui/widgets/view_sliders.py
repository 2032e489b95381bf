"""The latent dimensions that the plane does not show, as sliders with small pictures of what each does."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from vae_explorer.errors import UserError
from vae_explorer.gui.widgets.map_frame import number_text
from vae_explorer.gui.widgets.view_anchor import OF_DIMENSIONS
from vae_explorer.gui.widgets.view_fields import wrapped_label
from vae_explorer.gui.widgets.view_previews import PreviewStrip, points_along, shown_pictures
from vae_explorer.gui.widgets.zero_slider import ZeroSlider
from vae_explorer.latent.arrangement import Pin, as_point
from vae_explorer.latent.view_catalogue import VIEWS
from vae_explorer.latent.views import dimension_name

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.view_catalogue import ViewChoice

FIRST_ROWS: Final = 12
MORE_ROWS: Final = 24
_PREVIEW_SECONDS = 0.5
_ONE_GESTURE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Previews:
    """For some dimensions (R) the points z_RVD along each, their uint8 pictures (R, V, H, W[, C]), and the step."""

    dimensions: tuple[int, ...]
    z_RVD: np.ndarray
    pictures_RVHW: np.ndarray[Any, np.dtype[np.uint8]]
    step: int


class DimensionRow(QWidget):
    """Name, slider and value of one dimension; below, its KL and its pictures.

    moved(int, float): a person gave the dimension another value. pressed(): a drag begins.
    """

    moved = Signal(int, float)
    pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.dimension = -1
        self.name = QLabel()
        self.slider = ZeroSlider()
        self.value = QLabel()
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.kl = QLabel()
        self.kl.setProperty("variant", "muted")
        self.kl.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.kl.setToolTip("KL of this dimension, in nats per image: how much the model uses it")
        self.previews = PreviewStrip()
        self.name.setBuddy(self.slider)
        metrics = self.fontMetrics()
        self.name.setMinimumWidth(metrics.horizontalAdvance("z₈₈₈"))
        self.value.setFixedWidth(metrics.horizontalAdvance("\N{MINUS SIGN}88.88") + 2)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 4)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        grid.addWidget(self.name, 0, 0)
        grid.addWidget(self.slider, 0, 1, 1, 2)
        grid.addWidget(self.value, 0, 3)
        grid.addWidget(self.kl, 1, 0, 1, 2)
        grid.addWidget(self.previews, 1, 2, 1, 2, Qt.AlignmentFlag.AlignRight)
        grid.setColumnStretch(1, 1)
        self.slider.moved.connect(self._tell)
        self.slider.sliderPressed.connect(self.pressed)
        self.previews.value_clicked.connect(self._take)

    def show_dimension(self, dimension: int, kl: float | None) -> None:
        """Be the row of this dimension (from 0)."""
        if dimension != self.dimension:
            self.dimension = dimension
            name = dimension_name(dimension)
            self.name.setText(name)
            self.previews.name = name
            self.previews.show_pictures(())
            self.slider.setObjectName(f"view.z{dimension + 1}")
            self.slider.setAccessibleName(f"Value of {name}")
            self.slider.setToolTip(f"Moves the plane along {name}. Double-click or Delete: back to 0")
            self.previews.setAccessibleName(f"Decoded images along {name}")
        self.kl.setText("" if kl is None else f"{kl:.2f} nats" if np.isfinite(kl) else "not a number")

    def show_value(self, value: float) -> None:
        """Where the plane stands along this dimension."""
        self.value.setText(number_text(value, 2))
        if not self.slider.isSliderDown():
            self.slider.show_value(value)

    @Slot(float)
    def _tell(self, value: float) -> None:
        self.moved.emit(self.dimension, value)

    @Slot(float)
    def _take(self, value: float) -> None:
        self.pressed.emit()
        self.moved.emit(self.dimension, value)


class HiddenDimensions(QWidget):
    """Sliders for the dimensions not shown, the largest KL first; moving one moves the plane, and the pin in it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.rows: list[DimensionRow] = []
        self._is_active = False
        self._num_wanted = FIRST_ROWS
        self._num_dimensions = 0
        self._order: tuple[int, ...] = ()
        self._gesture, self._gesture_of, self._gesture_at = "", -1, 0.0
        self._asked_at = 0.0
        self.sentence = wrapped_label("muted")
        self.sentence.setText(
            "This plane is fixed by what it was made from. To move along single dimensions, "
            f"choose “{VIEWS['dimensions'].title}” above."
        )
        self.more = QPushButton()
        self.more.setProperty("variant", "quiet")
        self.more.clicked.connect(self._show_more)
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(2)
        column.addWidget(self.sentence)
        column.addLayout(self._list)
        column.addWidget(self.more)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        session.map.arranged.connect(self._arranged)
        session.snapshot_changed.connect(self._snapshot_came)
        session.validated.connect(self._validated)

    @property
    def is_needed(self) -> bool:
        """Whether there is any dimension that a plane leaves out."""
        return self.session.map.num_dimensions > 2

    def set_active(self, is_seen: bool) -> None:
        """Hidden or folded away it asks for nothing."""
        self._is_active = is_seen
        if is_seen:
            self.refresh()
        else:
            self._timer.stop()
            self.session.map.withdraw("sliders")

    def refresh(self) -> None:
        """Show the rows of the current view, their values and their KL."""
        if not self._is_active or not self.is_needed:
            return
        self._num_dimensions = self.session.map.num_dimensions
        choice = self.session.map.arrangement.view
        is_movable = choice is not None and choice.name in OF_DIMENSIONS
        self.sentence.setVisible(not is_movable)
        shown = self._dimensions_of(choice) if is_movable and choice is not None else ()
        self._build(min(self._num_wanted, len(shown)))
        kl_D = self.session.kl_D
        if kl_D is not None and len(kl_D) != self.session.map.num_dimensions:
            kl_D = None
        anchor_D = self.anchor()
        for row, dimension in zip(self.rows, shown, strict=False):
            row.show_dimension(dimension, None if kl_D is None else float(kl_D[dimension]))
            row.show_value(float(anchor_D[dimension]))
        left = len(shown) - len(self.rows)
        self.more.setVisible(left > 0)
        self.more.setText(f"Show {min(MORE_ROWS, left)} more ({left} left)")
        self.look()

    def anchor(self) -> np.ndarray:
        """The point (D,) through which the plane goes; the origin where nothing was chosen."""
        choice = self.session.map.arrangement.view
        num_dimensions = self.session.map.num_dimensions
        if choice is None or len(choice.anchor) != num_dimensions:
            return np.zeros(num_dimensions)
        return np.array(choice.anchor)

    def _dimensions_of(self, choice: ViewChoice) -> tuple[int, ...]:
        """What the plane leaves out, the largest KL first. Rows do not change places under a person's hands."""
        kl_D = self.session.kl_D
        num_dimensions = self.session.map.num_dimensions
        hidden = [number for number in range(num_dimensions) if number not in (choice.i, choice.j)]
        is_same_set = set(hidden) == set(self._order)
        if is_same_set and (self.underMouse() or self._has_keyboard()):
            return self._order
        if kl_D is not None and len(kl_D) == num_dimensions:
            known_D = np.nan_to_num(kl_D, nan=-1.0)
            hidden.sort(key=lambda number: -known_D[number])
        self._order = tuple(hidden)
        return self._order

    def _has_keyboard(self) -> bool:
        return any(row.slider.hasFocus() for row in self.rows)

    def _build(self, num_rows: int) -> None:
        while len(self.rows) < num_rows:
            row = DimensionRow()
            row.moved.connect(self._move)
            row.pressed.connect(self._begin_gesture)
            self._list.addWidget(row)
            self.rows.append(row)
        while len(self.rows) > num_rows:
            row = self.rows.pop()
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()

    @Slot()
    def _show_more(self) -> None:
        first_new = len(self.rows)
        self._num_wanted = first_new + MORE_ROWS
        self.refresh()
        if first_new < len(self.rows):
            self.rows[first_new].slider.setFocus(Qt.FocusReason.TabFocusReason)

    # --- moving

    @Slot()
    def _begin_gesture(self) -> None:
        self._gesture_at = 0.0

    @Slot(int, float)
    def _move(self, dimension: int, value: float) -> None:
        map_session = self.session.map
        arrangement = map_session.arrangement
        if arrangement.view is None or arrangement.view.name not in OF_DIMENSIONS:
            return
        now = time.monotonic()
        is_late = now - self._gesture_at > _ONE_GESTURE_SECONDS
        if dimension != self._gesture_of or (is_late and not self._is_dragging()):
            self._gesture = map_session.new_gesture()
        self._gesture_of, self._gesture_at = dimension, now
        anchor_D = self.anchor()
        anchor_D[dimension] = value
        choice = replace(arrangement.view, anchor=as_point(anchor_D))
        text = f"move the plane along {dimension_name(dimension)}"
        pin, view = arrangement.active, map_session.view
        if pin is None or view is None or not view.holds(pin.z_D):
            try:
                map_session.choose_view(choice, text, self._gesture)
            except UserError as error:
                self.session.post_error(error, near="panel.view")
            return
        # In one step, so that the plane never stands beside the pin that it carries along.
        z_D = np.array(pin.z)
        z_D[dimension] = value
        pins = list(arrangement.pins)
        pins[arrangement.active_pin] = Pin(pin.name, as_point(z_D))
        map_session.arrange(text, self._gesture, view=choice, pins=tuple(pins))

    def _is_dragging(self) -> bool:
        return any(row.slider.isSliderDown() for row in self.rows) and self._gesture_at > 0.0

    # --- pictures

    def look(self) -> None:
        """Ask for pictures again, at once or half a second after the last time."""
        if self._is_active and self.rows and not self._timer.isActive():
            wait = _PREVIEW_SECONDS - (time.monotonic() - self._asked_at)
            self._timer.start(max(0, round(wait * 1000)))

    @Slot()
    def _ask(self) -> None:
        rows = [row for row in self.rows if not row.visibleRegion().isEmpty()]
        if not self._is_active or not rows or self.session.snapshot is None:
            return
        self._asked_at = time.monotonic()
        active = self.session.map.arrangement.active
        base_D = self.anchor() if active is None else active.z_D
        dimensions = tuple(row.dimension for row in rows)

        def work(explorer: Explorer) -> Previews:
            z_RVD = points_along(base_D, dimensions)
            pictures = explorer.decode(z_RVD.reshape(-1, z_RVD.shape[-1]))
            step = 0 if explorer.snapshot is None else explorer.snapshot.step
            return Previews(dimensions, z_RVD, pictures.reshape(*z_RVD.shape[:2], *pictures.shape[1:]), step)

        self.session.map.explore("sliders", work, self._show_pictures)

    def _show_pictures(self, answer: Previews) -> None:
        if not self._is_active:
            return
        rows = {row.dimension: row for row in self.rows}
        for number, dimension in enumerate(answer.dimensions):
            if dimension in rows:
                pictures = shown_pictures(answer.pictures_RVHW[number], answer.z_RVD[number], answer.step)
                rows[dimension].previews.show_pictures(pictures)
        self.session.want_snapshot()

    # --- following

    @Slot(object, object)
    def _arranged(self, before: Any, after: Any) -> None:
        is_other_space = self.session.map.num_dimensions != self._num_dimensions
        changed = before.view != after.view or before.pins != after.pins or before.active_pin != after.active_pin
        if changed or is_other_space:
            self.refresh()

    @Slot(object)
    def _snapshot_came(self, _snapshot: object) -> None:
        self.look()

    @Slot(object)
    def _validated(self, _event: object) -> None:
        self.refresh()

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        return QSize(1, super().minimumSizeHint().height())
