"""The overview in the view panel: running it, hovering it, picking in it, and the child process behind it."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PySide6.QtCore import QObject, QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.gui.view_stage import Stage
from tests.tiny_runs import tiny_config
from vae_explorer.errors import UserError
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.threads import laying_out
from vae_explorer.gui.threads.laying_out import FoundOverview, OverviewJob
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.gui.widgets import view_overview
from vae_explorer.latent.overview import OverviewProgress, OverviewResult, OverviewView, far_distance


@pytest.fixture
def make_stage(open_window: Callable[..., MainWindow], qtbot: QtBot) -> Callable[[int], Stage]:
    def make(latents: int) -> Stage:
        return Stage(open_window(tiny_config(epochs=100_000, latents=latents)), qtbot)

    return make


@pytest.fixture
def stage(make_stage: Callable[[int], Stage]) -> Stage:
    return make_stage(5)


def _layout(ids: np.ndarray, codes_PD: np.ndarray, num_items: int) -> OverviewView:
    latents_PD = codes_PD.astype(np.float64)
    xy_P2 = latents_PD[:, :2]
    return OverviewView("UMAP", ids, xy_P2, latents_PD, num_items, far_distance(xy_P2))


class FinishedRun:
    """Stands for the child process: half done until it `may_finish`, then a layout of the first two coordinates."""

    def __init__(self, codes_ND: np.ndarray, may_finish: threading.Event) -> None:
        self.codes_ND, self.may_finish, self.is_cancelled = codes_ND, may_finish, False

    def poll(self) -> OverviewProgress | OverviewResult:
        if not self.may_finish.is_set():
            return OverviewProgress("Layout", 0.5)
        ids = np.flatnonzero(np.isfinite(self.codes_ND).all(axis=1))
        codes = self.codes_ND[ids]
        return OverviewResult(_layout(ids, codes, len(self.codes_ND)), 0.1)

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def laid_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(view_overview, "find_spec", lambda _: object())
    may_finish = threading.Event()
    monkeypatch.setattr(laying_out, "start_overview", lambda codes_ND, _method, seed: FinishedRun(codes_ND, may_finish))
    # Half of it took ten seconds, so ten are left, however slow the machine is.
    clock = itertools.chain([0.0], itertools.repeat(10.0))
    monkeypatch.setattr(laying_out, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    stage.panel.sections["overview"].header.setChecked(True)
    stage.overview.run_button.click()
    assert stage.overview.run_button.text() == "Cancel"
    assert stage.overview.bar.isVisible()
    stage.wait(lambda: "Layout: 50 %, about" in stage.overview.progress.text())
    may_finish.set()
    stage.wait(lambda: stage.overview.found is not None)
    assert not stage.overview.bar.isVisible()
    assert stage.overview.job is None
    return stage


def point_at(stage: Stage, item: int) -> QPoint:
    view = stage.overview.current_view()
    assert view is not None
    row = int(np.searchsorted(view.item_ids_P, item))
    return stage.overview.scatter.to_screen(*view.xy_P2[row]).toPoint()


def test_hovering_the_overview_decodes_the_nearest_code(laid_out: Stage) -> None:
    stage, scatter = laid_out, laid_out.overview.scatter
    assert "showing 240 of 240 codes" in stage.overview.note.text()
    shown: list[DecodedPlace] = []
    stage.session.explorer_thread.place.decoded.connect(shown.append)
    scatter.hovered.emit(*scatter.to_map(QPointF(point_at(stage, 17))), 0.0)
    item = stage.map.hovered_item
    assert item is not None
    assert scatter.badge == f"item {item:,}"
    snapshot = stage.session.snapshot
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    code_D = snapshot.codes_ND[item].double().numpy()
    stage.wait(lambda: bool(shown) and np.array_equal(shown[-1].z_D, code_D))
    np.testing.assert_array_equal(shown[-1].picture, stage.direct(code_D[None])[0])
    scatter.left.emit()
    assert scatter.badge == ""
    assert stage.map.hovered_item is None


def test_the_mean_of_five_is_called_approximate_and_greys_far_away(laid_out: Stage) -> None:
    stage, scatter = laid_out, laid_out.overview.scatter
    stage.overview.decodes.setCurrentIndex(stage.overview.decodes.findData("mean"))
    view = stage.overview.current_view()
    assert view is not None
    x, y = view.xy_P2[17]
    shown: list[DecodedPlace] = []
    stage.session.explorer_thread.place.decoded.connect(shown.append)
    scatter.hovered.emit(x + 1e-3, y, 0.0)
    expected = view.lift(np.array([[x + 1e-3, y]]))[0]
    stage.wait(lambda: bool(shown) and np.array_equal(shown[-1].z_D, expected))
    error = view.round_trip(np.array([[x + 1e-3, y]]))[0]
    assert scatter.badge == f"approximate, round-trip error {error:.2g}"
    assert not scatter.is_pale
    scatter.hovered.emit(x + 100.0, y, 0.0)
    assert scatter.badge == "approximate, far from every code"
    assert scatter.is_pale


def test_three_picks_open_the_exact_plane(laid_out: Stage) -> None:
    stage, scatter = laid_out, laid_out.overview.scatter
    for item in (3, 40, 101):
        QTest.mouseClick(scatter, Qt.MouseButton.LeftButton, pos=point_at(stage, item))
    assert len(set(stage.overview.picks)) == 3
    choice, snapshot = stage.map.arrangement.view, stage.session.snapshot
    assert choice is not None
    assert choice.name == "three-points"
    assert snapshot is not None
    assert snapshot.codes_ND is not None
    for item in stage.overview.picks:
        assert stage.view.holds(snapshot.codes_ND[item].double().numpy(), 1e-9)
    assert stage.picker.names.currentData() == "three-points"


def test_the_overview_is_walked_and_picked_by_keyboard(laid_out: Stage) -> None:
    scatter = laid_out.overview.scatter
    scatter.setFocus()
    QTest.keyClick(scatter, Qt.Key.Key_Left)
    assert scatter.badge.startswith("item ")
    QTest.keyClick(scatter, Qt.Key.Key_Return)
    assert len(laid_out.overview.picks) == 1
    QTest.keyClick(scatter, Qt.Key.Key_Escape)
    assert laid_out.overview.picks == ()


def test_codes_that_are_not_finite_are_said_to_be_left_out(laid_out: Stage) -> None:
    found = laid_out.overview.found
    assert found is not None
    laid_out.overview._take(FoundOverview(found.view, 1200, 2))
    assert "2 codes are not finite and are left out." in laid_out.overview.note.text()
    assert "of step 1,200" in laid_out.overview.note.text()


def test_a_few_items_far_out_do_not_shrink_all_others_to_a_blot(laid_out: Stage) -> None:
    found, scatter = laid_out.overview.found, laid_out.overview.scatter
    assert found is not None
    xy_P2 = found.view.xy_P2.copy()
    xy_P2[5] = 1e4
    before = scatter.rect_shown().width
    laid_out.overview._take(FoundOverview(dataclasses.replace(found.view, xy_P2=xy_P2), 7, 0))
    assert scatter.rect_shown().width < 2 * before
    assert scatter.num_outside >= 1
    assert f"showing {240 - scatter.num_outside} of 240 codes." in laid_out.overview.note.text()
    assert "far outside" in laid_out.overview.note.text()


def test_an_overview_is_cancelled_and_its_failure_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[FinishedRun] = []

    class EndlessRun(FinishedRun):
        def poll(self) -> OverviewProgress:
            return OverviewProgress("Nearest neighbours", 0.2)

    def start(codes_ND: np.ndarray, _method: str, seed: int) -> FinishedRun:
        runs.append(EndlessRun(codes_ND, threading.Event()))
        return runs[-1]

    monkeypatch.setattr(view_overview, "find_spec", lambda _: object())
    monkeypatch.setattr(laying_out, "start_overview", start)
    stage.panel.sections["overview"].header.setChecked(True)
    stage.overview.run_button.click()
    stage.wait(lambda: len(runs) == 1)
    stage.overview.run_button.click()
    stage.wait(lambda: runs[0].is_cancelled)
    assert stage.overview.run_button.text() == "Run"
    assert stage.overview.progress.text() == "Cancelled."

    def fail(codes_ND: np.ndarray, method: str, seed: int) -> FinishedRun:
        raise UserError("An overview needs 20 codes, and 3 are finite.", "Train on.")

    monkeypatch.setattr(laying_out, "start_overview", fail)
    stage.overview.run_button.click()
    stage.wait(lambda: stage.overview.job is None)
    assert stage.messages == ["An overview needs 20 codes, and 3 are finite."]


def test_the_child_does_not_outlive_its_panel(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    runs = []
    start_overview = laying_out.start_overview

    def start(codes_ND: np.ndarray, method: str, seed: int) -> object:
        runs.append(start_overview(codes_ND, method, seed))
        return runs[-1]

    monkeypatch.setattr(laying_out, "start_overview", start)
    codes_ND = torch.from_numpy(np.random.default_rng(0).normal(size=(5000, 3)))
    panel = QObject()
    job = OverviewJob(panel, SimpleNamespace(codes_ND=codes_ND, step=1), "tsne")  # type: ignore[arg-type]
    assert job.is_running
    qtbot.waitUntil(lambda: len(runs) == 1, timeout=WAIT_MS)
    panel.deleteLater()
    qtbot.waitUntil(lambda: runs[0]._process.returncode is not None, timeout=WAIT_MS)
    assert runs[0]._process.returncode < 0


def test_without_its_package_a_method_says_how_to_get_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_overview, "find_spec", lambda _: None)
    stage.panel.sections["overview"].header.setChecked(True)
    stage.overview.method.setCurrentIndex(1)
    assert stage.overview.about.text() == 't-SNE is not installed. Install it with: pip install "vae-explorer[umap]"'
    assert not stage.overview.run_button.isEnabled()


def test_another_latent_space_forgets_the_overview_and_bookmarks(laid_out: Stage) -> None:
    stage = laid_out
    stage.panel.add_bookmark()
    config = stage.session.config
    stage.session.place_config(
        dataclasses.replace(config, model=dataclasses.replace(config.model, latent_dimensions=3))
    )  # fmt: skip
    stage.wait(lambda: stage.map.num_dimensions == 3)
    assert stage.overview.found is None
    assert stage.bookmarks.list.count() == 0
    assert [row.dimension for row in stage.sliders.rows] == [2]


def test_everything_is_named_for_a_screen_reader_and_fits_a_narrow_panel(laid_out: Stage) -> None:
    takers = [
        widget
        for widget in laid_out.panel.area.widget().findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]
    assert len(takers) > 8
    unnamed = [
        type(widget).__name__
        for widget in takers
        if not (widget.accessibleName() or (isinstance(widget, QAbstractButton) and widget.text()))
    ]
    assert unnamed == []
    laid_out.panel.setFixedWidth(264)
    laid_out.qtbot.waitUntil(lambda: laid_out.panel.area.width() < 264, timeout=WAIT_MS)
    assert laid_out.panel.area.widget().width() <= laid_out.panel.area.viewport().width()
