"""Runs from their folders: opened, looked at, continued without a seam, forked."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtWidgets import QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from tests.export.trained_models import small_config
from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer.export.exportables import export
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session import Message, Session, State
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.arrangement_file import FILE
from vae_explorer.runs.checkpoint import MODEL_FILE, read_checkpoint, write_checkpoint
from vae_explorer.runs.event_records import event_line, event_record
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.run_directory import START_WEIGHTS_FILE, RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, SettingChanged
from vae_explorer.training.run_config import RunConfig, with_value

Opener = Callable[..., MainWindow]


@pytest.fixture
def stored(tmp_path: Path) -> RunDirectory:
    return train_tiny(tmp_path / "stored-run", with_value(tiny_config(epochs=3), "model.beta", 2.0))[0]


def opened(window: MainWindow, qtbot: QtBot, path: Path) -> Session:
    session = window.session
    with qtbot.waitSignal(session.run_opened, timeout=WAIT_MS):
        session.open_run(path)
    qtbot.waitUntil(lambda: session.state is State.FINISHED, timeout=WAIT_MS)
    return session


def wait_for_end(qtbot: QtBot, session: Session) -> None:
    qtbot.waitUntil(lambda: session.state is State.FINISHED and session._training is None, timeout=WAIT_MS)


def newest_state(run: RunDirectory):
    newest = run.newest_checkpoint()
    assert newest is not None
    return read_checkpoint(newest).state


def test_a_run_is_opened_from_the_menu_with_curves_settings_map_and_measurements(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(tiny_config())
    session = window.session
    before = session.config
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(stored.path))
    with qtbot.waitSignal(session.run_opened, timeout=WAIT_MS):
        window.commands.actions["action.open_run"].trigger()
    qtbot.waitUntil(lambda: session.state is State.FINISHED, timeout=WAIT_MS)
    on_disk = read_metrics(stored)
    np.testing.assert_array_equal(session.history.train("step"), on_disk.of("train")["step"])
    np.testing.assert_array_equal(session.history.train("seconds"), on_disk.of("train")["seconds"])
    np.testing.assert_array_equal(session.history.heldout("elbo"), on_disk.of("heldout")["elbo"])
    assert session.config == stored.config
    assert session.snapshot is not None
    assert session.snapshot.step == 24
    assert session.snapshot.run_name == "stored-run"
    weights = newest_state(stored).model
    assert all(torch.equal(weights[name], value) for name, value in session.snapshot.weights.items())
    assert session.snapshot.codes_ND is not None
    assert np.isfinite(session.snapshot.codes_ND.numpy()).all()
    assert session.kl_D is not None
    assert session.progress is not None
    assert session.progress.epoch == pytest.approx(3.0)
    # The settings came as one step that can be taken back.
    window.commands.undo()
    assert session.config == before


def test_an_opened_run_goes_on_without_a_seam(open_window: Opener, qtbot: QtBot, stored: RunDirectory) -> None:
    whole = with_value(with_value(tiny_config(epochs=5), "model.beta", 2.0), "training.epochs", 5)
    expected = newest_state(train_tiny(stored.path.parent / "whole", whole)[0])
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    go_on = window.commands.actions["action.pause"]
    assert go_on.text() == "Continue"
    assert not go_on.isEnabled()
    assert "raise Epochs" in go_on.toolTip()
    session.edit("training.epochs", 5)
    assert go_on.isEnabled()
    go_on.trigger()
    wait_for_end(qtbot, session)
    found = newest_state(stored)
    assert all(torch.equal(expected.model[name], value) for name, value in found.model.items())
    assert all(torch.equal(expected.optimiser[name], value) for name, value in found.optimiser.items())
    steps = session.history.train("step")
    assert steps[-1] == 40
    assert (np.diff(steps) > 0).all()
    assert (np.diff(session.history.train("seconds")) >= 0).all()
    assert session.run_directory is not None
    assert session.run_directory.path == stored.path


def test_a_run_that_was_stopped_here_is_continued_by_the_same_button(
    open_window: Opener, qtbot: QtBot, long_config: RunConfig
) -> None:
    window = open_window(long_config)
    session = window.session
    with qtbot.waitSignal(session.history_changed, timeout=WAIT_MS):
        session.train()
    session.stop()
    wait_for_end(qtbot, session)
    assert session.run_directory is not None
    path, step = session.run_directory.path, session.progress.step
    session.edit("training.learning_rate", 5e-3)
    with qtbot.waitSignal(session.setting_marked, timeout=WAIT_MS) as marked:
        window.commands.actions["action.pause"].trigger()
    assert (marked.args[0].path, marked.args[0].new, marked.args[0].step) == ("training.learning_rate", 5e-3, step)
    qtbot.waitUntil(lambda: session.progress is not None and session.progress.step > step, timeout=WAIT_MS)
    assert session.run_directory.path == path
    session.stop()
    wait_for_end(qtbot, session)


def test_other_settings_need_a_fork_which_is_a_child_with_the_parents_curves(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    session.edit("training.epochs", 5)
    session.edit("training.batch_size", 50)
    assert "Batch size differs" in session.continuation_problem
    assert not window.commands.actions["action.pause"].isEnabled()
    before = (stored.path / "metrics.csv").read_bytes()
    change = SettingChanged(path="model.beta", old=2.0, new=4.0, step=9, images_seen=9 * 25, seconds=0.1)
    lines = stored.events_file.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [lines[0], event_line(event_record(change)), *lines[1:]]
    stored.events_file.write_text("".join(told), encoding="utf-8")
    window.commands.actions["action.fork_run"].trigger()
    wait_for_end(qtbot, session)
    child = RunDirectory.open(session.run_directory.path)
    assert child.path != stored.path
    assert child.parent is not None
    assert (child.parent.name, child.parent.step) == ("stored-run", 24)
    assert child.config.training.batch_size == 50
    rows, of_parent = read_metrics(child).of("train")["elbo"], read_metrics(stored).of("train")["elbo"]
    np.testing.assert_array_equal(rows[: len(of_parent)], of_parent)
    assert len(rows) > len(of_parent)
    assert session.history.train("step")[-1] == 24 + 2 * 4
    assert (stored.path / "metrics.csv").read_bytes() == before, "the parent stays as it was"
    curves = window.panel("bound_curves")
    curves.axis_choice.setCurrentIndex(curves.axis_choice.findData("step"))
    curves.redraw()
    marks = [(mark.x, mark.text) for mark in curves.board.term_plots[0].overlay.marks]
    assert marks == [(9.0, "beta 4"), (24.0, "fork, bs 50")]
    readout = window.panel("run_config").findChild(QLabel, "form.readout")
    session.edit("training.epochs", session.run_directory.config.training.epochs)
    assert readout.text().endswith("Child of stored-run, from its step 24.")


def test_a_fork_whose_weights_do_not_fit_is_refused(open_window: Opener, qtbot: QtBot, stored: RunDirectory) -> None:
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    session.edit("model.latent_dimensions", 5)
    session.edit("training.epochs", 5)
    with qtbot.waitSignal(session.message_posted, timeout=WAIT_MS) as told:
        window.commands.actions["action.fork_run"].trigger()
    assert "do not fit the changed settings" in told.args[0].text
    qtbot.waitUntil(lambda: session.state is State.FAILED, timeout=WAIT_MS)


def test_a_fork_begins_at_the_checkpoint_nearest_to_the_moment_that_is_looked_at(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    first = make_trainer(stored.config)
    control = Control()
    control.stop_at(8)
    last = list(first.run(control))[-1]
    assert isinstance(last, Finished)
    assert last.state is not None
    write_checkpoint(stored, last.state)
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    qtbot.waitUntil(lambda: len(session.timeline.steps) > 2, timeout=WAIT_MS)
    session.timeline.go_to(1)
    qtbot.waitUntil(lambda: session.timeline.moment is not None, timeout=WAIT_MS)
    assert session.timeline.moment is not None
    assert session.timeline.moment.step < 12
    window.commands.actions["action.fork_run"].trigger()
    wait_for_end(qtbot, session)
    child = RunDirectory.open(session.run_directory.path)
    assert child.parent is not None
    assert child.parent.step == 8


def test_a_fork_that_would_have_nothing_to_train_is_not_begun(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    with qtbot.waitSignal(session.message_posted, timeout=WAIT_MS) as told:
        window.commands.actions["action.fork_run"].trigger()
    assert told.args[0].text == "A fork would have nothing to train: this is the end of 3 epochs."
    assert session.state is State.FINISHED
    assert session.run_directory is not None
    assert session.run_directory.path == stored.path


def test_what_is_no_run_is_one_sentence_and_the_window_goes_on(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory, tmp_path: Path
) -> None:
    window = open_window(tiny_config())
    session = window.session
    with qtbot.waitSignal(session.message_posted, timeout=WAIT_MS) as told:
        session.open_run(tmp_path)
    assert "run.toml" in told.args[0].text
    qtbot.waitUntil(lambda: session.state is State.READY, timeout=WAIT_MS)
    for path in stored.checkpoints():
        (path / "model.safetensors").write_bytes(b"damaged")
    with qtbot.waitSignal(session.message_posted, timeout=WAIT_MS) as told:
        session.open_run(stored.path)
    assert "does not have the size in its manifest" in told.args[0].text
    qtbot.waitUntil(lambda: session.state is State.READY, timeout=WAIT_MS)
    for path in stored.checkpoints():
        shutil.rmtree(path)
    opened(window, qtbot, stored.path)
    assert len(session.history) > 0, "without a checkpoint the curves are still there"


def test_a_run_opened_during_the_warm_up_is_opened_after_it(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    window = open_window(tiny_config(), wait=False)
    session = window.session
    session.prepare()
    opened(window, qtbot, stored.path)
    assert session.run_directory is not None
    assert session.run_directory.path == stored.path


def test_a_window_that_is_started_on_a_run_looks_at_it(open_window: Opener, stored: RunDirectory) -> None:
    session = open_window(tiny_config(), run=stored.path).session
    assert session.run_directory is not None
    assert session.run_directory.path == stored.path
    assert session.snapshot is not None
    assert session.snapshot.step == 24


def test_what_was_arranged_comes_back_though_no_checkpoint_was_written_yet(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    window = open_window(tiny_config(), run=stored.path)
    window.session.map.add_pin(np.array([0.5, -1.0]))
    qtbot.waitUntil(lambda: (stored.path / FILE).exists(), timeout=WAIT_MS)
    for checkpoint in stored.checkpoints():
        shutil.rmtree(checkpoint)
    again = open_window(tiny_config(), run=stored.path).session
    assert again.snapshot is not None
    assert again.snapshot.step == 0, "as it began"
    assert [pin.z_D.tolist() for pin in again.map.arrangement.pins] == [[0.5, -1.0]]


def test_the_curves_of_a_run_are_those_of_its_model_whatever_was_looked_at_before(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory, tmp_path: Path
) -> None:
    train_tiny(tmp_path / "other", small_config(MODELS["autoencoder"]))
    window = open_window(tiny_config(), run=stored.path)
    board = window.panel("bound_curves").board
    for path, name in ((tmp_path / "other", "autoencoder"), (stored.path, "vae")):
        opened(window, qtbot, path)
        assert [plot.name for plot in board.term_plots] == [term.name for term in MODELS[name].terms]


def test_a_run_that_held_nothing_out_shows_its_kl_per_dimension(
    open_window: Opener, qtbot: QtBot, tmp_path: Path
) -> None:
    run, _ = train_tiny(tmp_path / "run", with_value(tiny_config(epochs=3), "data.heldout_images", 0))
    window = open_window(tiny_config())
    session = opened(window, qtbot, run.path)
    assert session.kl_D is not None
    assert session.kl_D.shape == (2,)
    assert session.history.num_heldout == 0, "the curves stay as they were trained"
    panel = window.panel("kl_dimensions")
    panel.redraw()
    assert panel.count.text().endswith("of 2 active")


def test_a_run_starts_from_the_weights_in_a_file(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "mine" / "weights.safetensors"
    export("model", stored.path, weights)
    window = open_window(stored.config)
    session = window.session
    told: list[Message] = []
    session.message_posted.connect(told.append)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(weights), ""))
    action = window.commands.actions["action.train_from_weights"]
    action.trigger()
    wait_for_end(qtbot, session)
    assert any(message.text.endswith(f"tensors in {weights}.") for message in told)
    run = RunDirectory.open(session.run_directory.path)
    assert run.path != stored.path
    assert (run.path / START_WEIGHTS_FILE).read_bytes() == weights.read_bytes()
    before, now = (read_metrics(one).of("heldout")["elbo"] for one in (stored, run))
    assert now[0] > before[0] + 1.0
    session.edit("model.latent_dimensions", 5)
    told.clear()
    action.trigger()
    qtbot.waitUntil(lambda: session.state is State.FAILED, timeout=WAIT_MS)
    (problem,) = (message for message in told if message.kind == "error")
    assert "weights.safetensors" in problem.text
    assert not problem.details
    assert session.run_directory is None


def test_going_on_from_an_older_checkpoint_is_told(open_window: Opener, qtbot: QtBot, stored: RunDirectory) -> None:
    newest = stored.checkpoints()[-1]
    whole = read_checkpoint(newest).state
    write_checkpoint(stored, dataclasses.replace(whole, progress={**whole.progress, "step": 9, "epoch": 1.1}))
    (newest / MODEL_FILE).write_bytes(b"damaged")
    window = open_window(tiny_config())
    session = opened(window, qtbot, stored.path)
    told: list[Message] = []
    session.message_posted.connect(told.append)
    session.edit("training.epochs", 5)
    window.commands.actions["action.pause"].trigger()
    wait_for_end(qtbot, session)
    assert [(message.kind, message.text) for message in told][:1] == [
        ("warning", "The checkpoint of step 24 is damaged; the newest that is whole is of step 9.")
    ]


def test_a_run_whose_checkpoints_are_gone_is_looked_at_and_not_trained_anew(
    open_window: Opener, qtbot: QtBot, stored: RunDirectory
) -> None:
    shutil.rmtree(stored.checkpoints_folder)
    before = (stored.path / "metrics.csv").read_bytes()
    window = open_window(tiny_config())
    told: list[Message] = []
    window.session.message_posted.connect(told.append)
    session = opened(window, qtbot, stored.path)
    assert told[-1].text == "stored-run has no checkpoint."
    session.edit("training.epochs", 5)
    window.commands.actions["action.pause"].trigger()
    qtbot.waitUntil(lambda: session.state is State.FAILED, timeout=WAIT_MS)
    assert told[-1].text == "stored-run had a checkpoint of step 24, and its folder holds none any more."
    assert (stored.path / "metrics.csv").read_bytes() == before
