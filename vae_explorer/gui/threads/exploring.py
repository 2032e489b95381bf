"""The exploring thread: decodes what the window asks for, newest request first, never twice what nobody waits
for.

A request names a slot, a number and a piece of work. Of each slot only the newest request is kept; slots are
served in order of urgency, a click before the background. Work may be a generator: it is resumed step by
step, more urgent slots are served between its steps, and each value it yields other than None is an answer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from vae_explorer.gui.threads.place import PlaceLookedAt

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.models.snapshot import Snapshot

Work = Callable[["Explorer"], object]

SLOTS = (
    "point", "hovered", "beside_near", "beside_item", "original", "view", "selection", "own", "sliders", "attributes",
    "grid", "code", "data_plane", "conditions",
    "manifold", "codes", "beside_map", "posterior", "forces", "samples", "beside_samples", "reconstructions",
    "codebook", "measures", "neighbours",
    "path", "members", "values", "stretch", "aggregate", "regions", "reliability", "picture", "refine",
)  # fmt: skip
"""Most urgent first. A layer's slot has the layer's name."""

_AT_ONCE = frozenset(SLOTS[: SLOTS.index("manifold")])

# An overtaken answer is dropped, but under a slow decoder a long drag must still show something now and then.
_STARVED_SECONDS = 0.1
_SHARE_WINDOW_SECONDS = 3.0


@dataclass
class _Request:
    number: int
    work: Work
    steps: Iterator[object] | None = None


@dataclass(frozen=True)
class _Turn:
    """What the thread does next; None for what stays."""

    images: tuple[ImageDataset | None] | None = None
    snapshot: Snapshot | None = None
    slot: str = ""
    request: _Request | None = None


class ExplorerThread(QObject):
    """Owns one explorer. Made, called and closed in the GUI thread.

    The window has two: one for looks, which follows every snapshot, and one that surveys, for what takes longer.

    answered(slot, number, result, stamp): emitted by the exploring thread, delivered to slots of QObjects in
    the GUI thread.
        `stamp` is that of the snapshot the work saw. Never for a request that a newer one of its slot has
        overtaken.
    failed(slot, number, exception): the work of the newest request raised; number 0 where a snapshot could not be
        adopted.
    adopted(snapshot): emitted in the GUI thread by `adopt`.
    """

    answered = Signal(str, int, object, int)
    failed = Signal(str, int, object)
    adopted = Signal(object)

    def __init__(self, parent: QObject | None = None, make_explorer: Callable[[], Explorer] | None = None) -> None:
        super().__init__(parent)
        self._make_explorer = make_explorer or _make_explorer
        self._condition = threading.Condition()
        self._waiting: dict[str, _Request] = {}
        self._under_way: dict[str, _Request] = {}
        self._overtaken_since: dict[str, float] = {}
        self._served_early: dict[str, _Request] = {}  # with older weights than those that wait
        self._snapshot: Snapshot | None = None
        self._images: tuple[ImageDataset | None] | None = None
        self._newest_stamp = 0
        self._told = 0
        self._is_closing = False
        self._busy: deque[tuple[float, float]] = deque()
        self._decode_seconds = 0.0
        self._thread: threading.Thread | None = None
        self.share_limit = 0.10
        """The part of a core that looking may take while training; snapshots are asked for less often to keep it."""
        self._look_began, self._look_cost = 0.0, 0.0
        self.place = PlaceLookedAt(self)

    def adopt(self, snapshot: Snapshot) -> None:
        """Look through this snapshot from the next request on. Older ones than the last are ignored."""
        with self._condition:
            if self._is_closing or snapshot.stamp <= self._newest_stamp:
                return
            self._newest_stamp = snapshot.stamp
            if snapshot.told != self._told:
                # What is under way is begun anew: its answer would be of another class than the one asked for.
                self._told = snapshot.told
                for slot, request in self._under_way.items():
                    self._waiting.setdefault(slot, _Request(request.number, request.work))
                self._under_way.clear()
            self._look_began, self._look_cost = time.monotonic(), 0.0
            self._snapshot = snapshot
            if self._thread is None:
                # Not before there is something to look at: the thread imports torch. A daemon, so that work
                # that outlives the deadline of `close` cannot keep the program from ending.
                self._thread = threading.Thread(target=self._run, name="exploring", daemon=True)
                self._thread.start()
            self._condition.notify()
        self.adopted.emit(snapshot)

    def show_images(self, dataset: ImageDataset | None) -> None:
        """The images whose codes the next snapshots hold: shown with the first of these, at once where none were."""
        with self._condition:
            self._images = (dataset,)

    def submit(self, slot: str, number: int, work: Work) -> None:
        """Ask for work; it replaces what waits or is under way in its slot. Numbers of a slot grow.

        `work` runs in the exploring thread and returns immutable numpy or frozen records. Before the first
        snapshot requests wait.
        """
        if slot not in SLOTS:
            raise ValueError(f"no slot {slot!r}; there are {', '.join(SLOTS)}")
        with self._condition:
            if not self._is_closing:
                self._waiting[slot] = _Request(number, work)
                self._condition.notify()

    def withdraw(self, slot: str) -> None:
        """Forget what waits in a slot, and the answer of what is under way."""
        with self._condition:
            self._waiting.pop(slot, None)
            self._under_way.pop(slot, None)
            self._overtaken_since.pop(slot, None)
            self._served_early.pop(slot, None)

    @property
    def stamp(self) -> int:
        """The stamp of the newest snapshot handed over, 0 before the first."""
        return self._newest_stamp

    @property
    def decode_ms(self) -> float:
        """Time from a latent point to its picture, smoothed, in milliseconds; 0 before the first."""
        return self._decode_seconds * 1e3

    @property
    def share(self) -> float:
        """The part of a core that looking took in the last seconds, 0 to 1."""
        now = time.perf_counter()
        with self._condition:
            self._forget_before(now - _SHARE_WINDOW_SECONDS)
            return min(sum(seconds for _, seconds in self._busy) / _SHARE_WINDOW_SECONDS, 1.0)

    @property
    def rest_seconds(self) -> float:
        """How long the next snapshot should wait, so that the last look costs no more than its share."""
        with self._condition:
            elapsed = time.monotonic() - self._look_began
            return max(self._look_cost / self.share_limit - elapsed, 0.0)

    def close(self, deadline: float = 2.0) -> bool:
        """Take no more requests and wait at most `deadline` seconds; whether the thread has ended."""
        with self._condition:
            self._is_closing = True
            self._waiting.clear()
            self._under_way.clear()
            self._condition.notify()
        if self._thread is None:
            return True
        self._thread.join(deadline)
        return not self._thread.is_alive()

    def _run(self) -> None:
        import torch

        # The cores belong to training; more than one thread of looking costs it more than it gains (per
        # thread setting).
        torch.set_num_threads(1)
        explorer = self._make_explorer()
        while self._wait(explorer):
            turn = self._take_turn(explorer)
            if turn.images is not None:
                explorer.show_images(turn.images[0])
            if turn.snapshot is not None:
                self._adopt_in(explorer, turn.snapshot)
            if turn.request is not None:
                self._serve(explorer, turn.slot, turn.request)

    def _wait(self, explorer: Explorer) -> bool:
        """Sleep until there is something to do; False when closing."""
        with self._condition:
            while not self._is_closing:
                has_work = bool(self._waiting or self._under_way)
                if self._snapshot is not None or (has_work and explorer.stamp):
                    return True
                self._condition.wait()
            return False

    def _take_turn(self, explorer: Explorer) -> _Turn:
        """What is new to look at or, only where nothing is, the most urgent request.

        Both are decided under one lock: what was handed over before a request was submitted is seen by it.
        """
        with self._condition:
            for slot in self._waiting:
                self._under_way.pop(slot, None)
            # Other images come before the snapshot that holds their codes, and wait for it.
            has_images = self._images is not None and (self._snapshot is not None or explorer.dataset is None)
            # What is under way finishes with what it began with: a picture is of one snapshot and its images.
            if not self._under_way and (has_images or self._snapshot is not None):
                turn = _Turn(images=self._images if has_images else None, snapshot=self._snapshot)
                self._images = None if has_images else self._images
                if self._snapshot is not None:
                    # Quick work did not wait for these weights; unless asked again meanwhile, it is done once more.
                    self._waiting = self._served_early | self._waiting
                    self._served_early.clear()
                self._snapshot = None
                return turn
            if not explorer.stamp:
                return _Turn()
            # What was asked of a latent space that is to come has no meaning in the one at hand.
            is_other_space = self._snapshot is not None and _dimensions_of(self._snapshot) != explorer.num_dimensions
            may_begin = set(self._waiting)
            if has_images or is_other_space:
                may_begin = set()
            elif self._snapshot is not None:
                # What takes long waits for the newer weights; begun with the old ones, one after another, it would
                # keep them from ever being taken.
                may_begin &= _AT_ONCE
            ready = may_begin | self._under_way.keys()
            slot = next((name for name in SLOTS if name in ready), "")
            if not slot:
                return _Turn()
            request = self._waiting.pop(slot, None) or self._under_way[slot]
            self._under_way[slot] = request
            if self._snapshot is not None and slot in may_begin:
                self._served_early[slot] = _Request(request.number, request.work)
            return _Turn(slot=slot, request=request)

    def _adopt_in(self, explorer: Explorer, snapshot: Snapshot) -> None:
        start = time.thread_time()
        try:
            is_first = not explorer.stamp
            explorer.adopt(snapshot)
            if is_first:
                _warm_up(explorer)
        except Exception as error:  # a failed look must not end the thread; the window tells
            self._emit_failed("point", 0, error)
        self._count(time.thread_time() - start)

    def _serve(self, explorer: Explorer, slot: str, request: _Request) -> None:
        start, start_of_work = time.perf_counter(), time.thread_time()
        error: Exception | None = None
        result, has_ended = None, True
        try:
            if request.steps is None:
                result = request.work(explorer)
                if isinstance(result, GeneratorType):
                    request.steps, result = result, None
            if request.steps is not None:
                result = next(request.steps, _END)
                has_ended = result is _END
        except Exception as caught:  # whatever the work raised is told in the GUI thread
            error = caught
        seconds = time.perf_counter() - start
        # Time of the processor, not of the clock: what waits for its turn takes nothing from training.
        self._count(time.thread_time() - start_of_work, is_asked_by_hand=slot == "point")
        if slot == "point" and error is None:
            previous = self._decode_seconds or seconds
            self._decode_seconds = previous + 0.2 * (seconds - previous)
        with self._condition:
            is_current = self._under_way.get(slot) is request
            if is_current and has_ended:
                del self._under_way[slot]
            is_wanted = is_current and not self._is_overtaken(slot)
        if error is not None:
            if is_wanted:
                self._emit_failed(slot, request.number, error)
        elif is_wanted and result is not None and result is not _END:
            self.answered.emit(slot, request.number, result, explorer.stamp)

    def _is_overtaken(self, slot: str) -> bool:
        if slot not in self._waiting:
            self._overtaken_since.pop(slot, None)
            return False
        now = time.perf_counter()
        since = self._overtaken_since.setdefault(slot, now)
        if now - since < _STARVED_SECONDS:
            return True
        self._overtaken_since[slot] = now
        return False

    def _emit_failed(self, slot: str, number: int, error: Exception) -> None:
        # Without its traceback the exception holds no tensors of the frames it came through.
        self.failed.emit(slot, number, error.with_traceback(None))

    def _count(self, seconds: float, *, is_asked_by_hand: bool = False) -> None:
        now = time.perf_counter()
        with self._condition:
            if not is_asked_by_hand:
                self._look_cost += seconds
            self._busy.append((now, seconds))
            self._forget_before(now - _SHARE_WINDOW_SECONDS)

    def _forget_before(self, moment: float) -> None:
        while self._busy and self._busy[0][0] < moment:
            self._busy.popleft()


_END = object()


def _dimensions_of(snapshot: Snapshot) -> int:
    return 0 if snapshot.codes_ND is None else int(snapshot.codes_ND.shape[1])


def _warm_up(explorer: Explorer) -> None:
    """The first use of a network takes hundreds of milliseconds that no later one takes: spent before anybody waits."""
    if explorer.num_dimensions:
        origin_1D = np.zeros((1, explorer.num_dimensions))
        explorer.decode(origin_1D)
        explorer.log_prior(origin_1D)


def _make_explorer() -> Explorer:
    from vae_explorer.latent.explorer import Explorer

    return Explorer()
