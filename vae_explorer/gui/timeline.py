"""Which moment of the run the window looks at: the present, or one that was recorded.

Looking back, the past takes the place of the present in the whole window: a snapshot of what was recorded is shown, the
map is turned so that it does not spin, and snapshots of a run in training wait. GUI thread only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.looking_back import PastReading, WantedMoment

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.map_rect import MapRect
    from vae_explorer.models.snapshot import Snapshot
    from vae_explorer.runs.past import Moment, PastLook

RATES = ((3.0, "Slow"), (8.0, "Normal"), (20.0, "Fast"))
"""Frames a second while it plays, at most: a frame is shown before the next one is asked for."""

_MOST_MS_A_FRAME = 1500


class Timeline(QObject):
    """`session.timeline`.

    Signals: recorded(), other frames are known; moved(Moment, or None for the present), the window looks elsewhere;
    played(bool), it plays from now on, or rests; aligned(bool).
    """

    recorded = Signal()
    moved = Signal(object)
    played = Signal(bool)
    aligned = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._reading = PastReading(self)
        self._reading.read.connect(self._take_steps)
        self._reading.looked.connect(self._show)
        self._reading.failed.connect(self._tell)
        self.steps: tuple[int, ...] = ()
        self.moment: Moment | None = None
        self.extent: MapRect | None = None
        self.is_aligned = True
        self.rate = RATES[1][0]
        self._wanted: int | None = None  # a step
        self._reference = 0
        self._present: Snapshot | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._advance)
        self._waited_ms = 0
        self._is_seen = True
        session.history_cleared.connect(self._follow)
        session.map.arranged.connect(self._follow_view)

    # --- what there is

    @property
    def is_past(self) -> bool:
        """Whether the window looks at a recorded moment, or is about to."""
        return self._wanted is not None

    @property
    def number(self) -> int | None:
        """The number of the frame that is looked at, or about to be; None for the present."""
        return self.steps.index(self._wanted) if self._wanted in self.steps else None

    @property
    def present(self) -> Snapshot | None:
        """The newest snapshot of the present, whatever is looked at."""
        return self._present if self.is_past else self._session.snapshot

    @property
    def is_playing(self) -> bool:
        """Whether it goes from frame to frame by itself."""
        return self._timer.isActive()

    # --- what a person does

    def go_to(self, number: int | None) -> None:
        """Look at the frame of this number; None, and any number beyond the last, is the present."""
        dataset = self._session.dataset
        if number is None or number >= len(self.steps) or dataset is None:
            self._return()
            return
        step = self.steps[max(number, 0)]
        if step == self._wanted:
            return
        if not self.is_past:
            self._present, self._reference = self._session.snapshot, self.steps[-1]
        self._wanted = step
        self._ask()

    def step_by(self, frames: int) -> None:
        """So many frames on, or back; from the present back to the last."""
        here = len(self.steps) if self.number is None else self.number
        self.go_to(max(here + frames, 0))

    def play(self) -> None:
        """Go from frame to frame up to the present; from the present, from the first frame on."""
        if not self.steps or self.is_playing:
            return
        if not self.is_past:
            self.go_to(0)
        self._waited_ms = 0
        self._timer.start(round(1000 / self.rate))
        self.played.emit(True)

    def play_or_rest(self) -> None:
        """Rest where it plays, else play."""
        if self.is_playing:
            self.rest()
        else:
            self.play()

    def rest(self) -> None:
        """Stay at this frame."""
        if self.is_playing:
            self._timer.stop()
            self.played.emit(False)

    def set_rate(self, rate: float) -> None:
        """Frames a second while it plays."""
        self.rate = rate
        if self.is_playing:
            self._timer.setInterval(round(1000 / rate))

    def set_aligned(self, is_aligned: bool) -> None:
        """Whether the map is turned from frame to frame so that it does not spin, or shown as it was."""
        if is_aligned == self.is_aligned:
            return
        self.is_aligned = is_aligned
        self.aligned.emit(is_aligned)
        if self.is_past:
            self._ask()

    # --- what the session tells

    def frames_written(self) -> None:
        """The run in training has recorded more."""
        if not self._session.is_closed:
            self._read()

    def keep_present(self, snapshot: Snapshot) -> None:
        """A newer present, to return to."""
        self._present = snapshot

    def has_been_seen(self) -> None:
        """A panel has shown what it was given last, which may still be the moment before the one asked for."""
        self._is_seen = self._is_seen or (self.moment is not None and self.moment.step == self._wanted)

    def close(self, deadline: float = 2.0) -> None:
        """Read nothing any more."""
        self._timer.stop()
        self._reading.close(deadline)

    @Slot()
    def _follow(self) -> None:
        """Another run, or another course of it: nothing of the last one is looked at any more."""
        self._leave()
        self._reading.follow(None)
        if self.steps:
            self.steps = ()
            self.recorded.emit()
        self._read()

    @Slot(object, object)
    def _follow_view(self, before: Arrangement, after: Arrangement) -> None:
        """Another plane: the moments need other room on it."""
        if self.is_past and before.view != after.view:
            self._ask()

    # --- inner workings

    def _read(self) -> None:
        run = self._session.run_directory
        if run is not self._reading.run:
            self._reading.follow(run)
        if run is not None:
            self._reading.refresh()

    def _ask(self) -> None:
        dataset = self._session.dataset
        assert self._wanted is not None
        assert dataset is not None
        self._is_seen = False
        view = self._session.map.straight_view
        self._reading.look(WantedMoment(self._wanted, dataset, self._reference, self._present, self.is_aligned, view))

    @Slot(object)
    def _take_steps(self, steps: tuple[int, ...]) -> None:
        if steps != self.steps:
            self.steps = steps
            if self._wanted is not None and self._wanted not in steps:
                self._return()
            self.recorded.emit()
            if self.moment is not None and self.moment.step in steps:
                self.moment = replace(self.moment, number=steps.index(self.moment.step), of=len(steps))
                self.moved.emit(self.moment)

    @Slot(object)
    def _show(self, look: PastLook) -> None:
        if not self.is_past:
            return
        # Also one that is not the newest asked for: under a long drag something must be seen.
        self.moment, self.extent = look.moment, look.extent
        self._session.map.turn(look.rotation_DD)
        self._session.show_snapshot(look.snapshot)
        self.moved.emit(look.moment)

    def _return(self) -> None:
        """To the present."""
        present = self._present
        if self._leave() and present is not None:
            from vae_explorer.models.snapshot import with_told

            # The newest stamp is that of the past: a snapshot taken before it would count as an old one.
            self._session.show_snapshot(with_told(present, present.told))
        self._session.want_snapshot()

    def _leave(self) -> bool:
        was_past = self.is_past
        self.rest()
        self._reading.withdraw()
        self._wanted = self.moment = self.extent = self._present = None
        if was_past:
            self._session.map.turn(None)
            self.moved.emit(None)
        return was_past

    @Slot(object, bool)
    def _tell(self, error: Exception, is_moment: bool) -> None:
        if is_moment:
            self._return()
        if isinstance(error, UserError):
            self._session.post_error(error, near="panel.latent_map")
        elif is_moment:
            text = f"The moment could not be shown: {error or type(error).__name__}."
            self._session.post("error", text, "Choose another one.", near="panel.latent_map")

    @Slot()
    def _advance(self) -> None:
        self._waited_ms += self._timer.interval()
        if not self._is_seen and self._waited_ms < _MOST_MS_A_FRAME:
            return
        self._waited_ms = 0
        number = self.number
        self.go_to(None if number is None else number + 1)
