"""Live curves: what arrives is drawn, hidden panels rest, wild values harm nothing, files can be read."""

from __future__ import annotations

import csv
import time
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.curve_events import BATCH, begin, mark, train, validate
from vae_explorer.gui import theme
from vae_explorer.gui.panels.bound_curves import REDRAW_INTERVAL_MS, BoundCurvesPanel
from vae_explorer.gui.panels.kl_dimensions import KLDimensionsPanel
from vae_explorer.gui.session import Session
from vae_explorer.gui.widgets.curve_items import CountAxis, placed_texts
from vae_explorer.gui.widgets.curve_plot import CurvePlot
from vae_explorer.models.catalogue import MODELS

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(qtbot: QtBot) -> BoundCurvesPanel:
    panel = BoundCurvesPanel(Session())
    qtbot.addWidget(panel)
    panel.resize(900, 320)
    panel.show()
    panel.set_active(True)
    return panel


def plot(panel: BoundCurvesPanel, name: str) -> CurvePlot:
    return next(item for item in panel.board.plots() if item.name == name)


def count_updates(panel: BoundCurvesPanel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    drawn: list[str] = []
    for item in panel.board.plots():
        update = item.update_curves

        def counted(*values: object, _update: object = update, _name: str = item.name, **options: object) -> None:
            drawn.append(_name)
            _update(*values, **options)  # type: ignore[operator]

        monkeypatch.setattr(item, "update_curves", counted)
    return drawn


def test_there_is_one_plot_for_each_term_with_its_unit_and_colour(panel: BoundCurvesPanel) -> None:
    panel.resize(900, 640)
    terms = MODELS[panel.session.config.model_name].terms
    assert [item.name for item in panel.board.term_plots] == [term.name for term in terms]
    for term, item in zip(terms, panel.board.term_plots, strict=True):
        assert item.title.title == term.title
        assert item.y_axis.labelText == term.unit
        assert item.colours.train == theme.term_colour(term.name, theme.current().is_dark)
    assert len({item.colours.train for item in panel.board.term_plots}) == len(terms)


def test_terms_of_the_heldout_checks_have_their_dots_and_give_way_where_room_is_short(
    panel: BoundCurvesPanel, qtbot: QtBot
) -> None:
    begin(panel.session)
    train(panel.session, 0, 200)
    validate(panel.session, 150)
    information = plot(panel, "mutual_information")
    assert not information.isVisible(), "the bound comes first"
    panel.resize(900, 640)
    qtbot.waitUntil(lambda: len(information.heldout.getData()[1]) == 1, timeout=2000)
    assert information.heldout.getData()[1][0] == 2.5
    assert (information.title.train_text, information.title.heldout_text) == ("", "2.5")
    assert all(plot(panel, name).isVisible() for name in ("elbo", "reconstruction", "kl", "total_correlation"))


def test_appended_steps_appear_within_a_moment(panel: BoundCurvesPanel, qtbot: QtBot) -> None:
    begin(panel.session)
    train(panel.session, 0, 200)
    validate(panel.session, 150)
    qtbot.waitUntil(lambda: len(plot(panel, "kl").raw.getData()[0]) == 200, timeout=2000)
    x, y = plot(panel, "kl").raw.getData()
    assert x[-1] == 200 * BATCH
    assert np.array_equal(y, panel.session.history.train("kl"))
    assert list(plot(panel, "reconstruction").heldout.getData()[1]) == [145.0]
    assert "145" in plot(panel, "reconstruction").title.heldout_text
    assert plot(panel, "kl").title.train_text


def test_redraws_are_at_most_ten_a_second(
    panel: BoundCurvesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = count_updates(panel, monkeypatch)
    start = time.monotonic()
    for first in range(0, 600, 10):
        train(panel.session, first, 10)
        qtbot.wait(10)
    seconds = time.monotonic() - start
    assert 2 <= drawn.count("elbo") <= seconds * 1000 / REDRAW_INTERVAL_MS + 2


def test_a_hidden_panel_is_not_drawn_and_catches_up(
    panel: BoundCurvesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = count_updates(panel, monkeypatch)
    qtbot.wait(REDRAW_INTERVAL_MS * 2)
    panel.set_active(False)
    drawn.clear()
    train(panel.session, 0, 50)
    qtbot.wait(REDRAW_INTERVAL_MS * 3)
    assert drawn == []
    panel.set_active(True)
    qtbot.waitUntil(lambda: "kl" in drawn, timeout=2000)
    assert len(plot(panel, "kl").raw.getData()[0]) == 50


def test_nothing_is_drawn_where_nothing_changed(
    panel: BoundCurvesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(panel.session, 0, 50)
    panel.redraw()
    qtbot.wait(REDRAW_INTERVAL_MS * 2)
    drawn = count_updates(panel, monkeypatch)
    qtbot.wait(REDRAW_INTERVAL_MS * 3)
    assert drawn == []


@pytest.mark.parametrize(("axis", "end"), [("images_seen", 100 * BATCH), ("step", 100), ("seconds", 1.0)])
def test_the_horizontal_axis_can_be_chosen(panel: BoundCurvesPanel, axis: str, end: float) -> None:
    train(panel.session, 0, 100)
    panel.axis_choice.setCurrentIndex(panel.axis_choice.findData(axis))
    panel.redraw()
    for item in panel.board.visible_plots():
        assert item.raw.getData()[0][-1] == pytest.approx(end)
        low, high = item.view_box.viewRange()[0]
        assert low == 0.0
        assert end <= high <= 1.12 * end


def test_setting_changes_are_marked_at_their_place(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 100)
    mark(panel.session, 40, 4.0)
    panel.redraw()
    (first,) = plot(panel, "kl").overlay.marks
    assert first.x == 40 * BATCH
    assert first.text == "beta 4"
    assert plot(panel, "elbo").overlay.shows_mark_texts
    panel.axis_choice.setCurrentIndex(panel.axis_choice.findData("step"))
    panel.redraw()
    assert plot(panel, "kl").overlay.marks[0].x == 40


@pytest.mark.parametrize("from_below", [False, True])
def test_marks_close_together_both_keep_their_texts(qapp: QApplication, from_below: bool) -> None:
    metrics, area = QFontMetricsF(qapp.font()), QRectF(0, 0, 300, 160)
    marks = [(100.0, "beta 4"), (104.0, "beta 2"), (297.0, "beta 1"), (299.0, "lr 0.002")]
    placed = placed_texts(marks, area, metrics, from_below=from_below)
    assert [text for _, text in placed] == [text for _, text in marks]
    boxes = [box for box, _ in placed]
    assert all(area.contains(box) for box in boxes)
    assert not any(one.intersects(other) for one, other in combinations(boxes, 2))


def test_a_drag_through_many_values_leaves_one_mark(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 1000)
    for step in range(500, 505):
        mark(panel.session, step, float(step))
    panel.redraw()
    assert [item.text for item in plot(panel, "kl").overlay.marks] == ["beta 504"]


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, -np.inf, np.nan, 0.0])
def test_wild_values_leave_the_plot_usable(panel: BoundCurvesPanel, qtbot: QtBot, value: float) -> None:
    train(panel.session, 0, 200)
    train(panel.session, 200, 3, value)
    train(panel.session, 203, 100)
    validate(panel.session, 210, value)
    panel.redraw()
    panel.grab()
    for item in panel.board.term_plots:
        low, high = item.view_box.viewRange()[1]
        assert np.isfinite([low, high]).all()
        assert high - low < 1000
    assert plot(panel, "kl").title.train_text


@pytest.mark.parametrize("value", [1e300, np.nan, 5.0])
def test_a_run_of_nothing_but_one_value_is_drawn(panel: BoundCurvesPanel, value: float) -> None:
    train(panel.session, 0, 100, value)
    for logarithmic in (False, True):
        panel.logarithmic.setChecked(logarithmic)
        panel.redraw()
        panel.grab()
    assert plot(panel, "kl").title.train_text in {"1.00e300", "not a number", "5"}


def test_the_range_shows_what_matters_and_the_newest(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 2000)
    panel.redraw()
    low, high = plot(panel, "reconstruction").view_box.viewRange()[1]
    newest = float(np.median(panel.session.history.train("reconstruction")[-16:]))
    assert low < newest < high
    assert high < 300  # the first steps at 440 are out of sight


def test_logarithmic_axes_where_values_are_positive(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 300)
    panel.logarithmic.setChecked(True)
    panel.redraw()
    assert plot(panel, "reconstruction").is_logarithmic
    assert not plot(panel, "elbo").is_logarithmic  # below zero
    y = plot(panel, "reconstruction").raw.getData()[1]
    assert y == pytest.approx(np.log10(panel.session.history.train("reconstruction")))
    assert plot(panel, "reconstruction").title.train_text.startswith("14")


def test_the_smoothed_curve_ends_where_the_data_are(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 3000)
    panel.redraw()
    item = plot(panel, "reconstruction")
    assert item.trend.getData()[0][-1] > 0.99 * 3000 * BATCH
    panel.smooth.setChecked(False)
    panel.redraw()
    assert len(item.trend.getData()[0]) == 0
    assert item.raw.opts["pen"].color().name() == item.colours.train


def test_zooming_one_plot_moves_all_and_show_all_comes_back(panel: BoundCurvesPanel, qtbot: QtBot) -> None:
    train(panel.session, 0, 1000)
    panel.redraw()
    first = plot(panel, "elbo").view_box
    first.setXRange(200 * BATCH, 300 * BATCH, padding=0)
    first.sigRangeChangedManually.emit([True, False])
    assert not panel.follow.isHidden()
    for item in panel.board.plots():
        assert item.view_box.viewRange()[0] == pytest.approx([200 * BATCH, 300 * BATCH])
    panel.redraw()
    assert len(plot(panel, "kl").raw.getData()[0]) == 103  # the steps in sight and a neighbour on either side
    train(panel.session, 1000, 100)
    panel.redraw()
    assert first.viewRange()[0] == pytest.approx([200 * BATCH, 300 * BATCH])
    first.follow_wanted.emit()
    panel.redraw()
    assert first.viewRange()[0][1] > 1000 * BATCH
    assert panel.follow.isHidden()


def test_the_cross_hair_reads_all_plots_at_one_place(panel: BoundCurvesPanel, qtbot: QtBot) -> None:
    train(panel.session, 0, 500)
    validate(panel.session, 250, 160.0)
    panel.smooth.setChecked(False)
    panel.redraw()
    item = plot(panel, "kl")
    place = item.view_box.mapViewToScene(QPointF(250 * BATCH, 3.0))
    panel.board.scene().sigMouseMoved.emit(place)
    for other in panel.board.visible_plots():
        assert other.overlay.cross_x == pytest.approx(250 * BATCH, rel=0.01)
    assert "32 k images" in item.title.at_text
    assert "155" in plot(panel, "reconstruction").title.heldout_text
    shown = float(item.title.train_text)
    near = panel.session.history.train("kl")[245:256]
    assert near.min() - 0.01 <= shown <= near.max() + 0.01
    x, y = item.heldout.getData()
    _, (check_x, check_y, _) = item.overlay.dots
    assert (check_x, check_y) in set(zip(x.tolist(), y.tolist(), strict=True)), "on its curve"
    panel.board.show_cross(None)
    assert item.overlay.cross_x is None
    assert item.title.at_text == ""


def test_a_new_run_empties_the_curves(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 100)
    panel.redraw()
    panel.session.forget_run()
    panel.redraw()
    assert len(plot(panel, "kl").raw.getData()[0]) == 0
    assert not panel.board._empty.isHidden()


def test_colours_follow_the_theme(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 50)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    try:
        theme.apply(app, "dark")
        dark = plot(panel, "kl").colours
        theme.apply(app, "light")
        light = plot(panel, "kl").colours
    finally:
        theme.apply(app, "light")
    assert dark.background != light.background
    assert dark.train == theme.term_colour("kl", True)
    assert light.train == theme.term_colour("kl", False)


@pytest.mark.parametrize("size", [(1400, 300), (500, 900), (260, 160), (900, 120)])
def test_every_size_of_the_panel_can_be_drawn(panel: BoundCurvesPanel, size: tuple[int, int]) -> None:
    train(panel.session, 0, 100)
    panel.resize(*size)
    QApplication.processEvents()
    panel.redraw()
    assert not panel.grab().isNull()
    assert panel.board.term_plots[0].view_box.height() > 0


@pytest.mark.parametrize("size", [(550, 250), (300, 240), (460, 200)])
def test_terms_are_dropped_only_after_the_schedules(panel: BoundCurvesPanel, size: tuple[int, int]) -> None:
    board = panel.board
    panel.resize(*size)
    board.resize(*size)
    board.arrange()
    of_every_step = [term for term in MODELS[panel.session.config.model_name].terms if not term.is_heldout_only]
    assert len(of_every_step) == 3
    assert all(item.isVisible() for item in board.term_plots[:3])


def test_beta_and_learning_rate_are_text_where_their_plots_have_no_room(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 50)
    panel.redraw()
    assert panel.recipe.isHidden()
    panel.resize(900, 180)
    QApplication.processEvents()
    panel.redraw()
    assert panel.recipe.text() == "beta 1 · lr 0.001"
    panel.schedules.setChecked(False)
    panel.redraw()
    assert panel.recipe.isHidden()


def test_items_are_made_once(panel: BoundCurvesPanel) -> None:
    train(panel.session, 0, 100)
    panel.redraw()
    before = len(panel.board.scene().items())
    for first in range(100, 1100, 100):
        train(panel.session, first, 100)
        validate(panel.session, first)
        panel.redraw()
    # Ticks are painted, not items; everything else is there from the start.
    assert len(panel.board.scene().items()) == before


@pytest.mark.parametrize("end", [0.9, 437.0, 61_000.0, 1_000_000.0, 8.2e8])
@pytest.mark.parametrize("width", [120.0, 150.0, 600.0])
def test_texts_of_the_x_axis_do_not_touch(qapp: QApplication, end: float, width: float) -> None:
    axis = CountAxis()
    metrics = QFontMetricsF(axis.font())
    for is_clock in (False, True):
        axis.shows_seconds = is_clock
        [(spacing, _)] = axis.tickSpacing(0.0, end, width)
        values = [number * spacing for number in range(1, int(end / spacing) + 1)]
        widest = max((metrics.horizontalAdvance(text) for text in axis.tickStrings(values, 1.0, spacing)), default=0.0)
        assert spacing / end * width > widest + 4


def test_pictures_and_numbers_are_saved(panel: BoundCurvesPanel, qtbot: QtBot, tmp_path: Path) -> None:
    train(panel.session, 0, 100)
    validate(panel.session, 50)
    for name in ("curves.png", "curves.svg", "curves.csv"):
        with qtbot.waitSignal(panel.save_button._writing.written, timeout=5000):
            panel.save_button.save(tmp_path / name)
        assert name in panel.note.text()
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 1000
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    tree = ET.parse(tmp_path / "curves.svg")
    assert sum(1 for _ in tree.iter("{http://www.w3.org/2000/svg}path")) > 5
    rows = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert len(rows) == 101
    assert rows[99]["split"] == "train"
    assert float(rows[99]["kl"]) == pytest.approx(panel.session.history.train("kl")[99], rel=1e-6)
    assert rows[100]["split"] == "heldout"
    assert rows[100]["beta"] == ""


def test_a_path_that_cannot_be_written_is_told_beside_the_button(
    panel: BoundCurvesPanel, qtbot: QtBot, tmp_path: Path
) -> None:
    with qtbot.waitSignal(panel.save_button._writing.failed, timeout=5000):
        panel.save_button.save(tmp_path / "missing" / "curves.csv")
    assert "missing" in panel.note.text()
    assert "does not exist" in panel.note.text()


def test_only_schedules_that_the_model_follows_are_drawn(panel: BoundCurvesPanel, qtbot: QtBot) -> None:
    def shown() -> list[str]:
        return [plot.name for plot in panel.board.strip_plots if plot.isVisible()]

    panel.resize(900, 500)
    panel.show()
    for model, names in (
        ("ppca", ["images_per_second"]),
        ("autoencoder", ["learning_rate", "images_per_second"]),
        ("vae", ["beta", "learning_rate", "images_per_second"]),
    ):
        panel.session.edit("model.name", model)
        qtbot.waitUntil(lambda names=names: shown() == names, timeout=5000)
    assert panel.session.close(5.0)


@pytest.fixture
def bars(qtbot: QtBot) -> KLDimensionsPanel:
    panel = KLDimensionsPanel(Session())
    qtbot.addWidget(panel)
    panel.resize(400, 140)
    panel.show()
    panel.set_active(True)
    return panel


def test_active_units_are_counted_so_far_and_then_exactly(bars: KLDimensionsPanel) -> None:
    train(bars.session, 0, 10)
    bars.redraw()
    assert bars.count.text() == "1 of 2 active"
    validate(bars.session, 10, active_units=2)
    bars.redraw()
    assert bars.count.text() == "2 of 2 active"
    bars.session.forget_run()
    bars.redraw()
    assert bars.count.text() == ""


def test_a_model_without_a_kl_per_dimension_is_told_as_soon_as_it_is_chosen(
    bars: KLDimensionsPanel, qtbot: QtBot
) -> None:
    assert bars.bars.accessibleDescription() == "The bars appear when training starts."
    for model, words in (
        ("gaussian-mixture", "This model has no KL"),
        ("vae", "The bars appear"),
        ("pca", "This model has no KL"),
    ):
        bars.session.edit("model.name", model)
        qtbot.waitUntil(lambda words=words: bars.bars.accessibleDescription().startswith(words), timeout=5000)
    assert bars.session.close(5.0)


@pytest.mark.parametrize("dimensions", [1, 2, 20, 512])
def test_any_number_of_dimensions_is_drawn(bars: KLDimensionsPanel, dimensions: int) -> None:
    bars.session.kl_D = np.linspace(0.0, 3.0, dimensions)
    for index in range(bars.order.count()):
        bars.order.setCurrentIndex(index)
        bars.redraw()
        assert not bars.grab().isNull()
    subscripts = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    assert bars.bars.text_at(0).startswith("z" + f"{dimensions}: ".translate(subscripts))  # the largest first


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1.0])
def test_wild_kl_values_are_drawn(bars: KLDimensionsPanel, value: float) -> None:
    bars.session.kl_D = np.array([1.0, value])
    bars.redraw()
    assert not bars.grab().isNull()
    assert bars.bars.text_at(1)


def test_hidden_bars_rest(bars: KLDimensionsPanel, qtbot: QtBot) -> None:
    bars.set_active(False)
    train(bars.session, 0, 10)
    qtbot.wait(250)
    assert bars.count.text() == ""
    bars.set_active(True)
    assert bars.count.text() == "1 of 2 active"
