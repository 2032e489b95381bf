"""The exploring thread: what is served when, and what is never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QObject, Qt, Slot
from pytestqt.qtbot import QtBot

from vae_explorer.errors import UserError
from vae_explorer.gui.threads.asking import Asking
from vae_explorer.gui.threads.exploring import ExplorerThread
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace

WAIT_MS = 5_000


@dataclass
class Look:
    """As much of a snapshot as the thread itself looks at."""

    stamp: int
    codes_ND: Any = None
    step: int = 0
    told: int = 0
    data_space: DataSpace = DataSpace((1, 8, 8))  # noqa: RUF009 - frozen


class Looker:
    """In place of the explorer: remembers what it adopted and decodes a place to its first coordinate."""

    def __init__(self) -> None:
        self.snapshot: Look | None = None
        self.adopted: list[int] = []
        self.gate: threading.Event | None = None
        self.dataset: Any = None
        self.num_dimensions = 0
        self.num_decoded = 0

    record = MODELS["vae"]

    @property
    def stamp(self) -> int:
        return 0 if self.snapshot is None else self.snapshot.stamp

    def adopt(self, snapshot: Look) -> None:
        if snapshot.stamp == 13:
            raise UserError("These weights cannot be used.", "Train again.")
        self.snapshot = snapshot
        self.adopted.append(snapshot.stamp)

    def show_images(self, dataset: Any) -> None:
        self.dataset = dataset

    def decode(self, z_ND: np.ndarray) -> np.ndarray:
        self.num_decoded += 1
        if self.gate is not None:
            self.gate.wait(5)
        return np.full((len(z_ND), 2, 2), z_ND[0, 0], dtype=np.uint8)

    def log_prior(self, z_ND: np.ndarray) -> np.ndarray | None:
        return None

    def noise_sigma(self, z_ND: np.ndarray) -> np.ndarray | None:
        return None


class Listener(QObject):
    def __init__(self, thread: ExplorerThread) -> None:
        super().__init__()
        self.answers: list[tuple[str, int, object, int]] = []
        self.failures: list[tuple[str, Exception]] = []
        self.threads: set[int] = set()
        thread.answered.connect(self.receive)
        thread.failed.connect(self.fail)

    @Slot(str, int, object, int)
    def receive(self, slot: str, number: int, result: object, stamp: int) -> None:
        self.threads.add(threading.get_ident())
        self.answers.append((slot, number, result, stamp))

    @Slot(str, int, object)
    def fail(self, slot: str, _number: int, error: Exception) -> None:
        self.failures.append((slot, error))


@pytest.fixture
def looker() -> Looker:
    return Looker()


@pytest.fixture
def thread(qtbot: QtBot, looker: Looker) -> Iterator[ExplorerThread]:
    thread = ExplorerThread(make_explorer=lambda: looker)  # type: ignore[arg-type, return-value]
    yield thread
    if looker.gate is not None:
        looker.gate.set()
    assert thread.close(5.0)


@pytest.fixture
def listener(thread: ExplorerThread) -> Listener:
    return Listener(thread)


class Hold:
    """Work that keeps the thread busy until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, explorer: object) -> str:
        self.begun.set()
        assert self.go.wait(5)
        return "held"


def hold(thread: ExplorerThread, slot: str = "codes") -> Hold:
    work = Hold()
    thread.submit(slot, 1, work)
    assert work.begun.wait(5)
    return work


def answer(value: object) -> Callable[[object], object]:
    return lambda explorer: value


def test_requests_wait_for_a_first_snapshot_and_answers_carry_its_stamp(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.submit("codes", 1, answer("a"))
    qtbot.wait(30)
    assert listener.answers == []
    thread.adopt(Look(7))
    qtbot.waitUntil(lambda: listener.answers == [("codes", 1, "a", 7)], timeout=WAIT_MS)
    assert listener.threads == {threading.get_ident()}


def test_of_each_slot_only_the_newest_request_is_answered(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    held = hold(thread, "reconstructions")
    ran: list[int] = []
    for number in range(1, 51):
        thread.submit("point", number, lambda explorer, number=number: ran.append(number) or number)
    held.go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 2, timeout=WAIT_MS)
    assert ran == [50]
    assert ("point", 50, 50, 1) in listener.answers


def test_slots_are_served_in_order_of_urgency(thread: ExplorerThread, listener: Listener, qtbot: QtBot) -> None:
    thread.adopt(Look(1))
    held = hold(thread)
    for slot in ("reconstructions", "samples", "manifold", "point"):
        thread.submit(slot, 1, answer(slot))
    held.go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 5, timeout=WAIT_MS)
    assert [slot for slot, *_ in listener.answers] == ["codes", "point", "manifold", "samples", "reconstructions"]


def test_an_overtaken_answer_is_never_shown(thread: ExplorerThread, listener: Listener, qtbot: QtBot) -> None:
    thread.adopt(Look(1))
    held = hold(thread, "point")
    thread.submit("point", 2, answer("new"))
    held.go.set()
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert listener.answers == [("point", 2, "new", 1)]


def test_withdrawn_work_is_never_shown(thread: ExplorerThread, listener: Listener, qtbot: QtBot) -> None:
    thread.adopt(Look(1))
    held = hold(thread, "manifold")
    thread.withdraw("manifold")
    thread.submit("codes", 1, answer("codes"))
    held.go.set()
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert listener.answers == [("codes", 1, "codes", 1)]


def test_a_long_drag_over_a_slow_decoder_is_not_starved(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    number = 0
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        number += 1
        thread.submit("point", number, lambda explorer: time.sleep(0.03) or "seen")
        qtbot.wait(4)
    assert len(listener.answers) >= 3
    numbers = [answered for _, answered, *_ in listener.answers]
    assert numbers == sorted(numbers)


def test_a_point_is_served_between_the_steps_of_long_work(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    first_step, go = threading.Event(), threading.Event()

    def tiles(explorer: object) -> Iterator[object]:
        first_step.set()
        go.wait(5)
        yield None
        yield "half"
        yield "whole"

    thread.submit("manifold", 1, tiles)
    assert first_step.wait(5)
    thread.submit("point", 1, answer("point"))
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 3, timeout=WAIT_MS)
    assert [result for _, _, result, _ in listener.answers] == ["point", "half", "whole"]


def test_work_in_steps_sees_one_snapshot_to_its_end(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot, looker: Looker
) -> None:
    thread.adopt(Look(1))
    first_step, go = threading.Event(), threading.Event()

    def tiles(explorer: Looker) -> Iterator[object]:
        yield explorer.stamp
        first_step.set()
        go.wait(5)
        # The next snapshot has been handed over by now; the thread has a turn between these.
        for _ in range(3):
            yield explorer.stamp

    thread.submit("manifold", 1, tiles)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.adopt(Look(2))
    thread.submit("codes", 1, lambda explorer: explorer.stamp)
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 5, timeout=WAIT_MS)
    assert listener.answers == [*[("manifold", 1, 1, 1)] * 4, ("codes", 1, 2, 2)]
    assert looker.adopted == [1, 2]


def test_what_takes_long_waits_for_newer_weights_and_what_is_quick_does_not(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    """Work begun again and again with the old weights would keep the thread from ever taking the new ones. What did not
    wait is done once more with them: no snapshot may follow that would ask anew."""
    thread.adopt(Look(1))
    first_step, go = threading.Event(), threading.Event()

    def survey(explorer: Looker) -> Iterator[object]:
        first_step.set()
        go.wait(5)
        for _ in range(3):
            yield None
        yield explorer.stamp

    thread.submit("stretch", 1, survey)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.adopt(Look(2))
    thread.submit("manifold", 1, lambda explorer: explorer.stamp)
    thread.submit("point", 1, lambda explorer: explorer.stamp)
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 4, timeout=WAIT_MS)
    assert listener.answers == [("point", 1, 1, 1), ("stretch", 1, 1, 1), ("point", 1, 2, 2), ("manifold", 1, 2, 2)]


@pytest.mark.parametrize("num_dimensions", [2, 3], ids=["of the same space", "of another"])
def test_overtaken_work_is_never_resumed_and_holds_no_snapshot_back(
    thread: ExplorerThread, listener: Listener, looker: Looker, qtbot: QtBot, num_dimensions: int
) -> None:
    looker.num_dimensions = 2
    thread.adopt(Look(1, SimpleNamespace(shape=(5, 2))))
    first_step, go = threading.Event(), threading.Event()
    resumed: list[int] = []

    def older(explorer: Looker) -> Iterator[object]:
        first_step.set()
        go.wait(5)
        yield None
        resumed.append(explorer.stamp)
        yield None

    thread.submit("manifold", 1, older)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.adopt(Look(2, SimpleNamespace(shape=(5, num_dimensions))))
    thread.submit("manifold", 2, lambda explorer: explorer.stamp)
    go.set()
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert listener.answers == [("manifold", 2, 2, 2)]
    assert resumed == []


def test_what_is_asked_of_another_latent_space_waits_for_it(
    thread: ExplorerThread, listener: Listener, looker: Looker, qtbot: QtBot
) -> None:
    looker.num_dimensions = 2
    thread.adopt(Look(1, SimpleNamespace(shape=(5, 2))))
    first_step, go = threading.Event(), threading.Event()

    def tiles(explorer: Looker) -> Iterator[object]:
        first_step.set()
        go.wait(5)
        yield None
        yield explorer.stamp

    thread.submit("manifold", 1, tiles)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.adopt(Look(2, SimpleNamespace(shape=(5, 3))))
    thread.submit("point", 1, lambda explorer: explorer.stamp)
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 2, timeout=WAIT_MS)
    assert [(slot, result) for slot, _, result, _ in listener.answers] == [("manifold", 1), ("point", 2)]


def test_other_images_wait_for_the_snapshot_with_their_codes(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    """Between the two the old network would be asked about pictures it was not made for."""
    thread.show_images("digits")  # type: ignore[arg-type]
    thread.adopt(Look(1))
    first_step, go = threading.Event(), threading.Event()

    def survey(explorer: Looker) -> Iterator[object]:
        yield explorer.dataset
        first_step.set()
        go.wait(5)
        yield explorer.dataset

    thread.submit("manifold", 1, survey)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.show_images("faces")  # type: ignore[arg-type]
    thread.submit("point", 1, lambda explorer: explorer.dataset)
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 3, timeout=WAIT_MS)
    thread.submit("point", 2, lambda explorer: explorer.dataset)
    qtbot.waitUntil(lambda: len(listener.answers) == 4, timeout=WAIT_MS)
    assert {result for _, _, result, _ in listener.answers} == {"digits"}
    thread.adopt(Look(2))
    thread.submit("point", 3, lambda explorer: (explorer.dataset, explorer.stamp))
    qtbot.waitUntil(lambda: len(listener.answers) == 5, timeout=WAIT_MS)
    assert listener.answers[-1][2] == ("faces", 2)


def test_images_that_come_after_the_first_snapshot_are_taken_at_once(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    thread.show_images("digits")  # type: ignore[arg-type]
    thread.submit("point", 1, lambda explorer: explorer.dataset)
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert listener.answers[-1][2] == "digits"


def test_what_comes_while_a_snapshot_is_adopted_is_seen_by_what_is_asked_after_it(
    thread: ExplorerThread, listener: Listener, looker: Looker, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are handed over, and the request submitted, while the thread is in the middle of adopting."""
    adopt, begun, go = looker.adopt, threading.Event(), threading.Event()

    def slowly(snapshot: Look) -> None:
        begun.set()
        assert go.wait(5)
        adopt(snapshot)

    def see(explorer: Looker) -> tuple[object, int]:
        return explorer.dataset, explorer.stamp

    monkeypatch.setattr(looker, "adopt", slowly)
    thread.adopt(Look(1))
    assert begun.wait(5)
    thread.show_images("digits")  # type: ignore[arg-type]
    thread.submit("point", 1, see)  # type: ignore[arg-type]
    go.set()
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert listener.answers[-1] == ("point", 1, ("digits", 1), 1)
    begun.clear()
    go.clear()
    thread.adopt(Look(2))
    assert begun.wait(5)
    thread.show_images("faces")  # type: ignore[arg-type]
    thread.adopt(Look(3))
    thread.submit("point", 2, see)  # type: ignore[arg-type]
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 2, timeout=WAIT_MS)
    assert listener.answers[-1] == ("point", 2, ("faces", 3), 3)


@pytest.mark.parametrize("had", [None, "digits"])
def test_what_is_asked_of_images_waits_for_work_that_began_without_them(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot, had: str | None
) -> None:
    thread.show_images(had)  # type: ignore[arg-type]
    thread.adopt(Look(1))
    first_step, go = threading.Event(), threading.Event()

    def survey(explorer: Looker) -> Iterator[object]:
        first_step.set()
        go.wait(5)
        for _ in range(3):
            yield (explorer.dataset,)

    thread.submit("manifold", 1, survey)  # type: ignore[arg-type]
    assert first_step.wait(5)
    thread.show_images("faces")  # type: ignore[arg-type]
    if had is not None:
        thread.adopt(Look(2))
    thread.submit("point", 1, lambda explorer: explorer.dataset)
    go.set()
    qtbot.waitUntil(lambda: len(listener.answers) == 4, timeout=WAIT_MS)
    results = [(slot, result) for slot, _, result, _ in listener.answers]
    assert results == [*[("manifold", (had,))] * 3, ("point", "faces")]


def test_a_failure_is_told_to_who_asked_and_to_no_later_question(thread: ExplorerThread, qtbot: QtBot) -> None:
    def fail(_explorer: object) -> None:
        raise RuntimeError("old")

    asking, told = Asking(thread), []
    thread.adopt(Look(1))
    emitted = threading.Event()
    thread.failed.connect(lambda *_: emitted.set(), Qt.ConnectionType.DirectConnection)
    asking.ask("codes", fail, told.append, told.append)
    assert emitted.wait(5)
    # The failure is on its way to this thread while the next question is asked.
    asking.ask("codes", answer("new"), told.append, told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    assert told == ["new"]


def test_an_answer_on_its_way_when_the_next_question_is_asked_is_never_shown(
    thread: ExplorerThread, looker: Looker, qtbot: QtBot
) -> None:
    """The decoder is held up; what it gives at last is already posted to this thread when the person has moved on."""
    looker.gate = threading.Event()
    asking, shown, later = Asking(thread), [], []
    emitted = threading.Event()
    thread.answered.connect(lambda *_: emitted.set(), Qt.ConnectionType.DirectConnection)
    thread.adopt(Look(1))

    def decoded(x: float) -> Callable[[Any], object]:
        return lambda explorer: int(explorer.decode(np.array([[x]]))[0, 0, 0])

    asking.ask("path", decoded(7.0), shown.append)
    looker.gate.set()
    assert emitted.wait(5)
    looker.gate.clear()
    asking.ask("path", decoded(9.0), later.append)
    asking.ask("members", decoded(5.0), later.append)
    # The old answer is delivered here, while the decoder works on the new question.
    QCoreApplication.sendPostedEvents()
    assert shown == later == []
    looker.gate.set()
    qtbot.waitUntil(lambda: len(later) == 2, timeout=WAIT_MS)
    assert later == [9, 5]
    assert shown == []
    # Withdrawn while its answer is on the way: that is not shown either.
    emitted.clear()
    asking.ask("path", decoded(3.0), shown.append)
    assert emitted.wait(5)
    asking.withdraw("path")
    QCoreApplication.sendPostedEvents()
    assert shown == []


def test_older_snapshots_are_ignored(thread: ExplorerThread, listener: Listener, qtbot: QtBot, looker: Looker) -> None:
    thread.adopt(Look(5))
    thread.adopt(Look(4))
    thread.submit("codes", 1, answer("a"))
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert looker.adopted == [5]
    assert thread.stamp == 5


def test_the_network_is_warm_before_the_first_request(
    thread: ExplorerThread, listener: Listener, looker: Looker, qtbot: QtBot
) -> None:
    looker.num_dimensions = 2
    thread.adopt(Look(1))
    thread.submit("point", 1, lambda explorer: explorer.num_decoded)
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    thread.adopt(Look(2))
    thread.submit("point", 2, lambda explorer: explorer.num_decoded)
    qtbot.waitUntil(lambda: len(listener.answers) == 2, timeout=WAIT_MS)
    assert [result for _, _, result, _ in listener.answers] == [1, 1]


def test_an_exception_reaches_the_window_and_the_thread_lives_on(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    thread.submit("samples", 1, lambda explorer: 1 / 0)
    thread.submit("reconstructions", 1, answer("fine"))
    qtbot.waitUntil(lambda: bool(listener.answers) and bool(listener.failures), timeout=WAIT_MS)
    [(slot, error)] = listener.failures
    assert (slot, type(error)) == ("samples", ZeroDivisionError)
    assert error.__traceback__ is None


def test_a_snapshot_that_cannot_be_used_is_told(thread: ExplorerThread, listener: Listener, qtbot: QtBot) -> None:
    thread.adopt(Look(13))
    qtbot.waitUntil(lambda: bool(listener.failures), timeout=WAIT_MS)
    thread.adopt(Look(14))
    thread.submit("codes", 1, answer("a"))
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)


def test_closing_while_busy_keeps_its_deadline(qtbot: QtBot, looker: Looker) -> None:
    thread = ExplorerThread(make_explorer=lambda: looker)  # type: ignore[arg-type, return-value]
    listener = Listener(thread)
    thread.adopt(Look(1))
    held = hold(thread)
    thread.submit("point", 1, answer("late"))
    start = time.monotonic()
    assert not thread.close(0.05)
    assert time.monotonic() - start < 1.0
    held.go.set()
    assert thread.close(5.0)
    thread.submit("point", 2, answer("later"))
    qtbot.wait(30)
    assert listener.answers == []


def test_closing_before_anything_was_asked(qtbot: QtBot) -> None:
    assert ExplorerThread().close(0.1)


def test_an_unknown_slot_is_a_mistake_of_the_caller(thread: ExplorerThread) -> None:
    with pytest.raises(ValueError, match="no slot 'pictures'"):
        thread.submit("pictures", 1, answer("a"))


def test_time_spent_looking_is_counted(thread: ExplorerThread, listener: Listener, qtbot: QtBot) -> None:
    thread.adopt(Look(1))
    assert thread.share < 0.05

    def work_hard(explorer: object) -> str:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        return "tired"

    thread.submit("codes", 1, work_hard)
    qtbot.waitUntil(lambda: bool(listener.answers), timeout=WAIT_MS)
    assert 0.05 < thread.share < 0.3
    # Three tenths of a second of work are paid for with three seconds of rest.
    assert 1.0 < thread.rest_seconds < 3.2
    thread.share_limit = 1.0
    assert thread.rest_seconds == pytest.approx(0.0, abs=0.31)


class Places(QObject):
    def __init__(self, thread: ExplorerThread) -> None:
        super().__init__()
        self.seen: list[tuple[str, float]] = []
        thread.place.decoded.connect(self.take)

    @Slot(object)
    def take(self, place: DecodedPlace) -> None:
        self.seen.append((place.kind, float(place.picture[0, 0])))


@pytest.fixture
def places(thread: ExplorerThread) -> Places:
    places = Places(thread)
    thread.place.watch("test", True)
    thread.adopt(Look(1, codes_ND=SimpleNamespace(shape=(5, 2))))
    return places


def test_the_place_is_the_origin_then_the_mouse_then_the_pin_again(
    thread: ExplorerThread, places: Places, qtbot: QtBot
) -> None:
    def next_is(kind: str, value: float) -> None:
        qtbot.waitUntil(lambda: places.seen[-1:] == [(kind, value)], timeout=WAIT_MS)

    next_is("origin", 0)
    thread.place.hover(np.array([3.0, 0.0]))
    next_is("hover", 3)
    thread.place.pin(np.array([5.0, 0.0]))
    next_is("pinned", 5)
    thread.place.hover(np.array([7.0, 0.0]))
    next_is("hover", 7)
    thread.place.leave()
    next_is("pinned", 5)
    thread.place.pin(None)
    next_is("origin", 0)


def test_what_was_under_the_mouse_is_not_shown_after_leaving(
    thread: ExplorerThread, places: Places, qtbot: QtBot, looker: Looker
) -> None:
    thread.place.pin(np.array([5.0, 0.0]))
    qtbot.waitUntil(lambda: places.seen[-1:] == [("pinned", 5.0)], timeout=WAIT_MS)
    seen = len(places.seen)
    looker.gate = threading.Event()
    thread.place.hover(np.array([9.0, 0.0]))
    qtbot.wait(20)
    thread.place.leave()
    looker.gate.set()
    qtbot.waitUntil(lambda: len(places.seen) > seen, timeout=WAIT_MS)
    assert ("hover", 9.0) not in places.seen


def test_nobody_watching_nothing_decoded(thread: ExplorerThread, places: Places, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(places.seen), timeout=WAIT_MS)
    thread.place.watch("test", False)
    seen = len(places.seen)
    thread.place.hover(np.array([9.0, 0.0]))
    thread.adopt(Look(2, codes_ND=SimpleNamespace(shape=(5, 2))))
    qtbot.wait(40)
    assert len(places.seen) == seen


def test_a_new_snapshot_decodes_the_place_again(thread: ExplorerThread, places: Places, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: len(places.seen) == 1, timeout=WAIT_MS)
    thread.adopt(Look(2, codes_ND=SimpleNamespace(shape=(5, 2))))
    qtbot.waitUntil(lambda: len(places.seen) == 2, timeout=WAIT_MS)


@pytest.mark.parametrize("z", [np.zeros(3), np.array([np.nan, 0.0])])
def test_a_point_of_another_space_is_not_decoded(
    thread: ExplorerThread, places: Places, qtbot: QtBot, z: np.ndarray
) -> None:
    qtbot.waitUntil(lambda: len(places.seen) == 1, timeout=WAIT_MS)
    thread.place.hover(z)
    qtbot.wait(30)
    assert len(places.seen) == 1


def test_what_is_under_way_is_begun_anew_under_another_condition(
    thread: ExplorerThread, listener: Listener, qtbot: QtBot
) -> None:
    thread.adopt(Look(1))
    begun: list[int] = []
    gate = threading.Event()

    def work(explorer: Any) -> Any:
        begun.append(explorer.snapshot.told)
        if explorer.snapshot.told == 0:
            gate.wait(5)
        yield None
        yield f"under {begun[-1]}"

    thread.submit("codes", 1, work)
    qtbot.waitUntil(lambda: begun == [0])
    thread.adopt(Look(2, told=7))
    gate.set()
    qtbot.waitUntil(lambda: bool(listener.answers))
    qtbot.wait(30)
    assert begun == [0, 7]
    assert [answer[2] for answer in listener.answers] == ["under 7"]
