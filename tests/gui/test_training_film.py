"""The training as a movie, from the window to a file that plays."""

from __future__ import annotations

import importlib.util
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.map_window import settle
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.export.movies import MAXIMUM_PIXELS, MOVIE_KINDS
from vae_explorer.gui import training_film
from vae_explorer.gui.dialogs.save_film import SaveFilmDialog
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.threads.film import FilmDrawing
from vae_explorer.latent.arrangement import Frame
from vae_explorer.latent.view_catalogue import ViewChoice
from vae_explorer.runs.frames import frames_folder

Opener = Callable[..., MainWindow]


@dataclass
class Stage:
    window: MainWindow
    qtbot: QtBot

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    @property
    def dialogs(self) -> dict[str, object]:
        return self.window.commands._dialogs  # type: ignore[return-value]

    def film(self) -> SaveFilmDialog:
        self.window.commands.actions["action.save_training"].trigger()
        self.wait(lambda: "save_training" in self.dialogs)
        dialog = self.dialogs["save_training"]
        assert isinstance(dialog, SaveFilmDialog)
        return dialog


def opened(open_window: Opener, qtbot: QtBot, path: Path, latents: int = 2) -> Stage:
    run, _ = train_tiny(path / "a-run", tiny_config("grey", epochs=3, latents=latents))
    stage = Stage(open_window(tiny_config(), run=run.path), qtbot)
    stage.wait(lambda: bool(stage.window.session.timeline.steps))
    settle(stage.window, qtbot)
    return stage


@pytest.fixture
def stage(open_window: Opener, qtbot: QtBot, tmp_path: Path) -> Stage:
    return opened(open_window, qtbot, tmp_path)


@pytest.mark.parametrize("kind", MOVIE_KINDS.names())
def test_every_format_is_written_and_plays_every_moment(stage: Stage, tmp_path: Path, kind: str) -> None:
    needs = MOVIE_KINDS[kind].needs
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"the package {needs} is not installed")
    dialog = stage.film()
    assert "drawing_training" not in stage.dialogs
    frames_F, num = dialog._film.frames_F, len(stage.window.session.timeline.steps)
    size = stage.window.panel("latent_map").canvas.size()
    assert frames_F.shape == (num, size.height(), size.width(), 3)
    assert "a-run" in dialog.facts.text()
    dialog.kind.setCurrentIndex(dialog.kind.findData(kind))
    assert dialog.suggested_name().startswith("training-a-run-")
    with stage.qtbot.waitSignal(dialog._writing.written, timeout=WAIT_MS):
        dialog.save(tmp_path / "film")
    path = tmp_path / f"film{MOVIE_KINDS[kind].suffix}"
    if kind == "mp4":
        import av

        with av.open(path) as container:
            assert sum(1 for _ in container.decode(video=0)) == num
        return
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == (1 if kind == "strip" else num)
        if kind in {"webp", "apng"}:
            picture.seek(num - 1)
            assert np.array_equal(np.asarray(picture.convert("RGB")), frames_F[-1])
        if kind == "apng":
            picture.seek(0)
            assert picture.text == {"run": "a-run", "kind": "training", "moments": str(num)}


def test_a_frame_is_the_map_as_it_is_seen_at_that_moment(stage: Stage) -> None:
    panel, timeline = stage.window.panel("latent_map"), stage.window.session.timeline
    stage.window.session.map.set_frame(Frame(0.2, 0.1, 55.0))
    stage.wait(lambda: not panel.canvas.is_gliding)
    settle(stage.window, stage.qtbot)
    frames_F = stage.film()._film.frames_F
    assert all((one != other).any() for one, other in itertools.pairwise(frames_F))
    timeline.go_to(2)
    stage.wait(lambda: timeline.moment is not None and timeline.moment.number == 2)
    settle(stage.window, stage.qtbot)
    seen = training_film._pixels(panel.canvas.grab().toImage())
    assert seen.shape == frames_F[2].shape
    differing = np.abs(seen.astype(int) - frames_F[2]).max(2) > 8
    assert differing.mean() < 0.01


def test_a_fitted_plane_is_fitted_to_every_moment(open_window: Opener, qtbot: QtBot, tmp_path: Path) -> None:
    stage = opened(open_window, qtbot, tmp_path, latents=4)
    stage.window.session.map.choose_view(ViewChoice("pca"))
    settle(stage.window, qtbot)
    views = []
    original = training_film.build_view
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_film, "build_view", lambda *given: (views.append(original(*given)), views[-1])[1])
        stage.film()
    assert len(set(views)) == len(stage.window.session.timeline.steps)


def test_many_moments_are_drawn_smaller(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    size = stage.window.panel("latent_map").canvas.size()
    num = len(stage.window.session.timeline.steps)
    monkeypatch.setattr(training_film, "MAXIMUM_PIXELS", num * size.width() * size.height() // 4)
    dialog = stage.film()
    height, width = dialog._film.frames_F.shape[1:3]
    assert 0.4 * size.width() < width < 0.55 * size.width()
    assert num * height * width <= MAXIMUM_PIXELS // 4
    assert dialog.save_button.isEnabled()


def test_drawing_can_be_cancelled_and_begun_again(stage: Stage) -> None:
    action = stage.window.commands.actions["action.save_training"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilmDrawing, "take_next", lambda self: None)  # after two moments it rests
        action.trigger()
        progress = stage.dialogs["drawing_training"]
        stage.wait(lambda: progress.bar.value() == 2)  # type: ignore[attr-defined]
        action.trigger()
        assert stage.dialogs["drawing_training"] is progress, "one at a time"
        stage.qtbot.mouseClick(progress.cancel_button, Qt.MouseButton.LeftButton)  # type: ignore[attr-defined]
        assert stage.dialogs == {}
        assert not any(thread.name == "film" for thread in threading.enumerate())
    assert len(stage.film()._film.frames_F) == len(stage.window.session.timeline.steps)


def test_a_window_that_closes_takes_the_drawing_along(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FilmDrawing, "take_next", lambda self: None)
    stage.window.commands.actions["action.save_training"].trigger()
    assert stage.window.close()
    assert stage.dialogs == {}
    assert not any(thread.name == "film" for thread in threading.enumerate())


def test_a_moment_that_has_gone_is_told(stage: Stage) -> None:
    run = stage.window.session.run_directory
    assert run is not None
    next(frames_folder(run).glob("000000004.safetensors")).unlink()
    told: list[str] = []
    stage.window.session.message_posted.connect(lambda message: told.append(message.text))
    stage.window.commands.actions["action.save_training"].trigger()
    stage.wait(lambda: bool(told))
    assert "no longer there" in told[0]
    assert stage.dialogs == {}


def test_without_moments_there_is_no_movie(window: MainWindow) -> None:
    assert not window.commands.actions["action.save_training"].isEnabled()
    told: list[str] = []
    window.session.message_posted.connect(lambda message: told.append(message.text))
    window.commands.map.save_training()
    assert told == ["There is nothing to make a movie of yet."]


def test_the_actions_of_the_menu_go_through_time(stage: Stage) -> None:
    actions, timeline = stage.window.commands.actions, stage.window.session.timeline
    assert not actions["action.present"].isEnabled()
    timeline.set_rate(3.0)
    actions["action.play_training"].trigger()
    assert timeline.is_playing
    assert actions["action.play_training"].text() == "Rest"
    stage.wait(lambda: timeline.moment is not None)
    actions["action.play_training"].trigger()
    assert not timeline.is_playing
    assert actions["action.align_moments"].isChecked()
    actions["action.align_moments"].trigger()
    assert not timeline.is_aligned
    assert not stage.window.panel("latent_map").time_strip.align_button.isChecked()
    actions["action.present"].trigger()
    assert timeline.moment is None
