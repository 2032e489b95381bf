"""Measures in the window: a job with progress and cancel, and runs side by side, ranked only where they may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import load_scored_images
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.panels.measures import MeasuresPanel
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS

Opener = Callable[..., MainWindow]


def row_of(panel: MeasuresPanel, name: str) -> int:
    return next(row for row, measure in enumerate(panel.table.measures) if measure.name == name)


def tick(panel: MeasuresPanel, *names: str) -> None:
    for measure in panel.table.measures:
        state = Qt.CheckState.Checked if measure.name in names else Qt.CheckState.Unchecked
        index = panel.table.index(row_of(panel, measure.name), 0)
        panel.table.setData(index, state, Qt.ItemDataRole.CheckStateRole)


@pytest.fixture
def panel(open_window: Opener, qtbot: QtBot) -> Iterator[MeasuresPanel]:
    window = open_window(tiny_config(protocol="dynamic"))
    window.docks["measures"].raise_()
    panel: MeasuresPanel = window.panel("measures")
    qtbot.waitUntil(lambda: bool(panel.table._obstacles), timeout=WAIT_MS)
    yield panel
    panel.close_job()


def ended(panel: MeasuresPanel, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not panel.job.is_running, timeout=WAIT_MS)


def test_the_tables_keep_qts_rules(panel: MeasuresPanel, qtbot: QtBot) -> None:
    testers = [
        QAbstractItemModelTester(table, QAbstractItemModelTester.FailureReportingMode.Fatal)
        for table in (panel.table, panel.comparison)
    ]
    tick(panel, "elbo")
    panel.measure_or_cancel()
    ended(panel, qtbot)
    assert len(testers) == 2


def test_what_is_ticked_is_measured_and_is_what_the_command_line_would_say(panel: MeasuresPanel, qtbot: QtBot) -> None:
    tick(panel, "elbo", "nll_quadrature", "mse")
    panel.limit.setValue(20)
    panel.measure_or_cancel()
    assert panel.measure_button.text() == "Cancel"
    ended(panel, qtbot)
    snapshot = panel.session.snapshot
    assert snapshot is not None
    model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
    model.load_state_dict(dict(snapshot.weights))
    images = load_scored_images("tiny", 40, "dynamic", "test")
    names = ["elbo", "nll_quadrature", "mse"]
    for item in evaluate(model.eval(), MODELS["vae"], images, measures=names, limit=20):
        shown = panel.table.value_of(item.name)
        assert shown is not None
        assert shown.value == pytest.approx(item.value, rel=1e-5)
        assert (shown.n, shown.split, shown.bound, shown.protocol) == (20, "test", item.bound, "dynamic")
    cell = panel.table.index(row_of(panel, "nll_quadrature"), 4)
    assert cell.data() == "quadrature"
    assert panel.table.index(row_of(panel, "kl"), 1).data() == ""


def test_what_does_not_apply_is_grey_and_says_why(panel: MeasuresPanel) -> None:
    index = panel.table.index(row_of(panel, "mig"), 0)
    assert not panel.table.flags(index) & Qt.ItemFlag.ItemIsEnabled
    assert "factors" in index.data(Qt.ItemDataRole.ToolTipRole).splitlines()[0]
    tick(panel, "mig")
    assert panel.table.names_to_take() == ()


def test_a_job_is_cancelled_and_what_was_measured_stays(
    panel: MeasuresPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_explorer.evaluation import reconstructions

    reached, go_on = threading.Event(), threading.Event()
    take = reconstructions.squared_error

    def slow(evaluation):
        reached.set()
        assert go_on.wait(WAIT_MS / 1000)
        return take(evaluation)

    monkeypatch.setattr(reconstructions, "squared_error", slow)
    tick(panel, "elbo", "mse")
    panel.measure_or_cancel()
    qtbot.waitUntil(reached.is_set, timeout=WAIT_MS)
    panel.measure_or_cancel()
    go_on.set()
    ended(panel, qtbot)
    assert panel.progress.text() == "Cancelled; what was measured stays."
    assert panel.table.value_of("elbo") is not None
    assert panel.table.value_of("mse") is None


def test_what_is_under_way_takes_its_line_from_the_table(panel: MeasuresPanel, qtbot: QtBot) -> None:
    before = panel.minimumSizeHint().height()
    assert not panel.progress.isVisible()
    tick(panel, "elbo")
    panel.measure_or_cancel()
    assert panel.progress.isVisible()
    line = panel.progress.sizeHint().height() + panel.layout().spacing()
    assert panel.minimumSizeHint().height() == before + line
    assert panel.minimumSizeHint().height() < 200, "the map would be pushed away"
    ended(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.progress.isVisible(), timeout=WAIT_MS)


def test_runs_of_one_protocol_are_ranked_and_of_another_refused(
    panel: MeasuresPanel, qtbot: QtBot, tmp_path: Path
) -> None:
    tick(panel, "elbo")
    panel.measure_or_cancel()
    ended(panel, qtbot)
    train_tiny(tmp_path / "same", tiny_config("dynamic", epochs=5))
    panel.add_run(tmp_path / "same")
    ended(panel, qtbot)
    table = panel.comparison
    assert len(table.runs) == 2
    assert table.rows[0].refusal == ""
    best = [table.index(0, column).data(Qt.ItemDataRole.FontRole) for column in (1, 2)]
    assert best[0] is None  # an untrained net
    assert best[1].bold()
    train_tiny(tmp_path / "other", tiny_config("threshold", epochs=5))
    panel.add_run(tmp_path / "other")
    ended(panel, qtbot)
    assert "the protocol differs: dynamic and threshold" in panel.refusal.text()
    assert "Train both under one protocol." in panel.refusal.text()
    assert table.index(0, 4).data() == "not ranked"
    assert all(table.index(0, column).data(Qt.ItemDataRole.FontRole) is None for column in (1, 2, 3))
    panel.copy_button.click()
    assert QGuiApplication.clipboard().text().splitlines()[0].startswith("Measure\t")
    panel.forget_button.click()
    assert table.rowCount() == 0


def test_a_folder_that_is_no_run_is_told(panel: MeasuresPanel, qtbot: QtBot, tmp_path: Path) -> None:
    told: list[str] = []
    panel.session.message_posted.connect(lambda message: told.append(message.text))
    panel.add_run(tmp_path)
    ended(panel, qtbot)
    assert len(told) == 1
    assert str(tmp_path) in told[0]
