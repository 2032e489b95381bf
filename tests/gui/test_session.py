from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.errors import SettingError
from vae_explorer.gui.session import Session, State
from vae_explorer.gui.threads.mailbox import Mailbox
from vae_explorer.gui.threads.preparing import PreparingThread
from vae_explorer.training import events
from vae_explorer.training.run_config import RunConfig, value_of, with_value


@pytest.fixture
def session(qtbot: QtBot, long_config: RunConfig) -> Iterator[Session]:
    session = Session(long_config)
    yield session
    assert session.close(5.0)
    session.deleteLater()


@pytest.fixture
def ready(session: Session, qtbot: QtBot) -> Session:
    with qtbot.waitSignal(session.state_changed, timeout=WAIT_MS):
        session.prepare()
    assert session.state is State.READY
    return session


@pytest.fixture
def running(ready: Session, qtbot: QtBot) -> Session:
    with qtbot.waitSignal(ready.history_changed, timeout=WAIT_MS):
        ready.train()
    return ready


def wait_for(qtbot: QtBot, session: Session, state: State) -> None:
    qtbot.waitUntil(lambda: session.state is state, timeout=WAIT_MS)


def test_mailbox_keeps_order_and_only_the_newest_of_what_is_posted_so() -> None:
    mailbox = Mailbox()
    mailbox.post("a")
    mailbox.post_newest(1)
    mailbox.post("b")
    mailbox.post_newest(2)
    mailbox.post("c")
    assert mailbox.drain() == ["a", "b", 2, "c"]
    assert mailbox.drain() == []


def test_mailbox_loses_nothing_between_threads() -> None:
    mailbox = Mailbox()
    threads = [threading.Thread(target=lambda: [mailbox.post(i) for i in range(2000)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    drained: list[object] = []
    while any(thread.is_alive() for thread in threads):
        drained += mailbox.drain()
    drained += mailbox.drain()
    assert len(drained) == 6000


def test_preparation_shows_images_and_codes_of_the_untrained_net(ready: Session) -> None:
    assert ready.dataset is not None
    assert ready.snapshot is not None
    assert ready.snapshot.step == 0
    assert ready.snapshot.codes_ND is not None
    assert tuple(ready.snapshot.codes_ND.shape) == (240, 2)
    assert not ready._drain_timer.isActive(), "an idle session costs nothing"


def test_an_edit_of_the_net_before_training_is_shown(ready: Session, qtbot: QtBot) -> None:
    with qtbot.waitSignal(ready.snapshot_changed, timeout=WAIT_MS):
        ready.edit("model.latent_dimensions", 3)
    assert ready.snapshot is not None
    assert ready.snapshot.model_config.latent_dimensions == 3
    assert ready.snapshot.codes_ND is not None
    assert ready.snapshot.codes_ND.shape[1] == 3


def test_edits_are_undone_and_typing_is_one_step(ready: Session) -> None:
    before = ready.config
    for value in (3e-3, 4e-3, 5e-3):
        ready.edit("training.learning_rate", value)
    ready.edit("training.epochs", 7)
    assert ready.undo_stack.count() == 2
    ready.undo_stack.undo()
    assert value_of(ready.config, "training.learning_rate") == 5e-3
    ready.undo_stack.undo()
    assert ready.config == before
    ready.undo_stack.redo()
    assert value_of(ready.config, "training.learning_rate") == 5e-3


def test_a_wrong_edit_changes_nothing(ready: Session) -> None:
    before = ready.config
    with pytest.raises(SettingError):
        ready.edit("training.batch_size", -1)
    with pytest.raises(SettingError):
        ready.edit("training.batchsize", 10)
    assert ready.config == before
    assert ready.undo_stack.count() == 0


def test_pin_is_undone_and_a_drag_is_one_step(ready: Session) -> None:
    ready.map.place_active_pin(np.array([0.0, 1.0]), "drag")
    for x in (0.1, 0.2, 0.3):
        ready.map.place_active_pin(np.array([x, 1.0]), "drag")
    assert ready.undo_stack.count() == 1
    ready.map.place_active_pin(np.array([2.0, 2.0]))
    ready.undo_stack.undo()
    pin = ready.map.active_pin_z()
    assert pin is not None
    assert pin.tolist() == [0.3, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        pin[0] = 7.0
    ready.undo_stack.undo()
    assert ready.map.active_pin_z() is None


def test_a_pin_of_another_latent_space_goes(ready: Session, qtbot: QtBot) -> None:
    ready.map.place_active_pin(np.zeros(2))
    with qtbot.waitSignal(ready.snapshot_changed, timeout=WAIT_MS):
        ready.edit("model.latent_dimensions", 3)
    assert ready.map.active_pin_z() is None


def test_curves_marks_and_progress_of_a_run(running: Session, qtbot: QtBot) -> None:
    assert running.state is State.TRAINING
    assert len(running.history) > 0
    assert running.progress is not None
    assert 0 < running.progress.fraction < 1
    assert running.progress.eta_seconds is not None
    qtbot.waitUntil(lambda: running.history.num_heldout > 1, timeout=WAIT_MS)
    assert running.active_units is not None
    with qtbot.waitSignal(running.setting_marked, timeout=WAIT_MS) as marked:
        running.change_live("training.learning_rate", 2e-3)
    mark = marked.args[0]
    assert isinstance(mark, events.SettingChanged)
    assert (mark.path, mark.new) == ("training.learning_rate", 2e-3)
    assert running.marks == [mark]
    with qtbot.waitSignal(running.setting_marked, timeout=WAIT_MS):
        running.undo_stack.undo()
    assert running.marks[1].new == mark.old


def test_pause_single_step_continue_stop(running: Session, qtbot: QtBot) -> None:
    running.pause()
    wait_for(qtbot, running, State.PAUSED)
    paused_at = running.history.axis("step", "train")[-1]
    with qtbot.waitSignal(running.snapshot_changed, timeout=WAIT_MS, check_params_cb=lambda s: s.step == paused_at + 1):
        running.step_once()
    qtbot.waitUntil(lambda: running.history.axis("step", "train")[-1] == paused_at + 1, timeout=WAIT_MS)
    assert running.state is State.PAUSED
    running.resume()
    wait_for(qtbot, running, State.TRAINING)
    running.stop()
    assert running.state is State.STOPPING
    wait_for(qtbot, running, State.FINISHED)
    assert running.run_directory is not None
    newest = running.run_directory.newest_checkpoint()
    assert newest is not None
    assert int(newest.name) == running.history.axis("step", "train")[-1]
    assert not running.unsaved
    assert running.snapshot is not None
    assert running.snapshot.step == int(newest.name), "the map shows the last weights"


def test_a_paused_run_is_looked_at_once(running: Session, qtbot: QtBot) -> None:
    running.set_looking_rate(10.0)
    running.pause()
    wait_for(qtbot, running, State.PAUSED)
    qtbot.waitUntil(running._shows_last_step, timeout=WAIT_MS)
    seen: list[int] = []
    running.snapshot_changed.connect(lambda snapshot: seen.append(snapshot.stamp))
    running.want_snapshot()
    qtbot.waitUntil(lambda: not running._snapshot_timer.isActive(), timeout=WAIT_MS)
    assert not running._snapshot_pending
    assert seen == [], "nothing new to see"


def test_while_a_run_goes_on_only_what_it_can_follow_is_undone(ready: Session, qtbot: QtBot) -> None:
    ready.edit("training.batch_size", 20)
    ready.edit("training.learning_rate", 5e-3)
    assert ready.can_undo
    with qtbot.waitSignal(ready.history_changed, timeout=WAIT_MS):
        ready.train()
    assert ready.can_undo
    ready.undo_stack.undo()
    assert not ready.can_undo, "the batch size of the run is what it is"
    assert ready.can_redo
    ready.map.place_active_pin(np.zeros(2))
    assert ready.can_undo
    ready.stop()
    wait_for(qtbot, ready, State.FINISHED)
    ready.undo_stack.undo()
    assert ready.can_undo


def test_single_step_begins_a_run(ready: Session, qtbot: QtBot) -> None:
    ready.step_once()
    qtbot.waitUntil(lambda: len(ready.history) == 1, timeout=WAIT_MS)
    assert ready.state is State.PAUSED


def test_a_run_ends_by_itself_and_the_next_starts_anew(ready: Session, qtbot: QtBot) -> None:
    ready.replace_config(tiny_config(epochs=3), "short")
    ready.train()
    wait_for(qtbot, ready, State.FINISHED)
    assert ready.snapshot is not None
    assert ready.snapshot.step == len(ready.history), "the map is left in the last weights"
    first, steps = ready.run_directory, len(ready.history)
    with qtbot.waitSignal(ready.history_cleared):
        ready.train()
    wait_for(qtbot, ready, State.FINISHED)
    assert ready.run_directory != first
    assert len(ready.history) == steps


def test_snapshots_are_pulled_and_no_faster_than_the_person_allows(running: Session, qtbot: QtBot) -> None:
    with qtbot.waitSignal(running.snapshot_changed, timeout=WAIT_MS):
        running.want_snapshot()
    qtbot.waitUntil(lambda: not running._snapshot_pending, timeout=WAIT_MS)
    seen: list[int] = []
    running.snapshot_changed.connect(lambda snapshot: seen.append(snapshot.stamp))
    with qtbot.waitSignals([running.history_changed] * 5, timeout=WAIT_MS):
        pass
    assert seen == [], "nobody asked"
    running.set_looking_rate(0.0)
    running.want_snapshot()
    with qtbot.waitSignals([running.history_changed] * 5, timeout=WAIT_MS):
        pass
    assert seen == [], "looking is off"
    running.set_looking_rate(10.0)
    for _ in range(5):
        running.want_snapshot()
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT_MS)
    with qtbot.waitSignals([running.history_changed] * 5, timeout=WAIT_MS):
        pass
    assert len(seen) == 1, "several wishes are one"


def test_training_share_is_told_while_training_only(running: Session, qtbot: QtBot) -> None:
    assert running.training_share is not None
    assert 0 < running.training_share <= 1
    running.pause()
    wait_for(qtbot, running, State.PAUSED)
    assert running.training_share is None


def test_images_of_another_set_are_loaded_by_the_run(session: Session, qtbot: QtBot) -> None:
    session.place_config(with_value(session.config, "data.heldout_images", 50))
    session.prepare()
    wait_for(qtbot, session, State.READY)
    session.edit("data.heldout_images", 30)
    session.train()
    qtbot.waitUntil(lambda: len(session.history) > 0, timeout=WAIT_MS)
    assert session.dataset is not None
    assert len(session.dataset.heldout_index_N) == 30


def test_looking_changes_nothing_that_is_trained(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_explorer.runs.checkpoint import read_checkpoint

    def weights(look: bool, folder: str) -> dict[str, np.ndarray]:
        monkeypatch.setenv("VAE_EXPLORER_RUNS", str(tmp_path / folder))
        session = Session(dataclasses.replace(tiny_config(epochs=4)))
        session.set_looking_rate(10.0)
        if look:
            session.snapshot_changed.connect(lambda _snapshot: session.want_snapshot())
        session.prepare()
        wait_for(qtbot, session, State.READY)
        session.train()
        wait_for(qtbot, session, State.FINISHED)
        assert session.run_directory is not None
        newest = session.run_directory.newest_checkpoint()
        assert newest is not None
        state = read_checkpoint(newest).state
        session.close()
        session.deleteLater()
        return {name: tensor.numpy() for name, tensor in state.model.items()}

    alone, looked_at = weights(False, "a"), weights(True, "b")
    assert alone.keys() == looked_at.keys()
    assert all(np.array_equal(alone[name], looked_at[name]) for name in alone)


@pytest.fixture
def may_prepare(ready: Session, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Preparations that begin from now on wait for it."""
    event, prepared = threading.Event(), PreparingThread._prepare

    def held(thread: PreparingThread) -> object:
        assert event.wait(WAIT_MS / 1000)
        return prepared(thread)

    monkeypatch.setattr(PreparingThread, "_prepare", held)
    return event


def block_runs_folder(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    session.runs_folder = tmp_path / "file" / "runs"


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_preparation_that_a_run_has_overtaken_hides_nothing_of_the_run(
    ready: Session, may_prepare: threading.Event, qtbot: QtBot, tmp_path: Path, is_blocked: bool
) -> None:
    session = ready
    session.prepare()
    session.place_config(tiny_config(epochs=1))
    if is_blocked:
        block_runs_folder(session, tmp_path)
    session.train()
    ended = State.FAILED if is_blocked else State.FINISHED
    wait_for(qtbot, session, ended)
    step = session.snapshot.step if session.snapshot is not None else None
    may_prepare.set()
    qtbot.waitUntil(lambda: session._preparing is None, timeout=WAIT_MS)
    assert session.state is ended
    assert session.snapshot is not None
    assert session.snapshot.step == step
    assert not session._prepare_timer.isActive()


def test_an_edit_after_a_run_failed_is_shown_though_an_overtaken_preparation_still_ends(
    ready: Session, may_prepare: threading.Event, qtbot: QtBot, tmp_path: Path
) -> None:
    session = ready
    session.prepare()
    block_runs_folder(session, tmp_path)
    session.train()
    wait_for(qtbot, session, State.FAILED)
    session.edit("model.latent_dimensions", 3)
    qtbot.waitUntil(lambda: not session._prepare_timer.isActive() or session._preparing is not None, timeout=WAIT_MS)
    may_prepare.set()
    wait_for(qtbot, session, State.READY)
    assert session.snapshot is not None
    assert session.snapshot.codes_ND is not None
    assert session.snapshot.codes_ND.shape[1] == 3


def test_what_is_being_prepared_is_not_prepared_twice(
    session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []
    prepared = PreparingThread._prepare

    def counted(thread: PreparingThread) -> object:
        asked.append(thread._config)
        return prepared(thread)

    monkeypatch.setattr(PreparingThread, "_prepare", counted)
    monkeypatch.setattr("vae_explorer.gui.session._PREPARE_AFTER_MS", 100_000)
    session.edit("model.latent_dimensions", 3)
    assert session._prepare_timer.isActive(), "an edit asks for a preparation, a little later"
    session.prepare()
    wait_for(qtbot, session, State.READY)
    assert not session._prepare_timer.isActive()
    assert len(asked) == 1


@pytest.mark.parametrize("moment", ["before", "preparing", "ready", "paused", "stopping"])
def test_close_in_any_state_ends_the_threads(
    session: Session, qtbot: QtBot, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: dict[str, Callable[[], object]] = {
        "before": lambda: None,
        "preparing": session.prepare,
        "ready": lambda: (session.prepare(), wait_for(qtbot, session, State.READY)),
        "paused": lambda: (session.prepare(), wait_for(qtbot, session, State.READY), session.step_once()),
        "stopping": lambda: (
            session.prepare(), wait_for(qtbot, session, State.READY), session.train(), session.stop()
        ),
    }  # fmt: skip
    steps[moment]()
    assert session.close(5.0)
    assert session.close(5.0)
