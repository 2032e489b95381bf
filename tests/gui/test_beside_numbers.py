"""Numbers and samples of two runs side by side: under one seed, one protocol and one bound, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt

from tests.gui.beside_stage import Stage, cells, is_bold
from tests.tiny_runs import tiny_config
from vae_explorer.datasets import image_dataset
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.heldout_sides import heldout_images
from vae_explorer.latent.side_by_side import look_at
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.snapshot import model_of
from vae_explorer.training.run_config import with_value


@pytest.fixture
def stage(stage_beside: Callable[..., Stage]) -> Stage:
    return stage_beside()


def test_the_nats_of_an_item_stand_side_by_side_under_one_protocol(stage: Stage) -> None:
    item = stage.lonely_item("A")
    stage.hover("A", item)
    looks = [look_at(stage.explorer(side), item) for side in ("A", "B")]
    rows = cells(stage.panel.item)
    assert [row[0] for row in rows] == ["Reconstruction", "KL", "-ELBO"]
    assert stage.panel.item.table.headerData(0, Qt.Orientation.Horizontal) == "nats"
    for row, values in zip(
        rows,
        ([look.reconstruction for look in looks], [look.kl for look in looks], None),
        strict=True,
    ):
        expected = values or [look.reconstruction + look.kl for look in looks]
        assert [float(text) for text in row[1:]] == pytest.approx(expected, abs=0.051)
    better = 1 if looks[0].reconstruction < looks[1].reconstruction else 2
    assert is_bold(stage.panel.item, 0, better)
    assert not is_bold(stage.panel.item, 1, 1)
    assert not is_bold(stage.panel.item, 1, 2)


def test_nats_of_two_protocols_are_refused_in_a_sentence(stage_beside: Callable[..., Stage]) -> None:
    stage = stage_beside(tiny_config("dynamic"), tiny_config("grey"))
    item = stage.lonely_item("A")
    stage.hover("A", item)
    assert cells(stage.panel.item) == []
    words = "No numbers stand side by side, because the protocol differs: dynamic and grey."
    assert stage.panel.item.note.text().startswith(words)
    explorer = stage.explorer("A")
    np.testing.assert_array_equal(
        stage.panel.item.pictures.views[0]._pixels, explorer.stored(np.array([item]))[0, 0].numpy()
    )
    stage.measured()
    assert cells(stage.panel.measures) == []
    assert stage.panel.measures.note.text().startswith(words)


# --- samples


def test_samples_of_both_are_drawn_under_one_seed(stage: Stage) -> None:
    samples = stage.panel.samples
    stage.wait(lambda: set(samples.found) == {"A", "B"})
    for seed in (0, 7):
        samples.seed.setValue(seed)
        expected = {side: stage.explorer(side).sample(3, seed)[0] for side in ("A", "B")}

        def is_shown(expected: dict[str, np.ndarray] = expected) -> bool:
            return all(np.array_equal(samples.found[side].pictures[:3], expected[side]) for side in ("A", "B"))

        stage.wait(is_shown)
        assert samples.grids["A"].num_pictures == samples.grids["B"].num_pictures
        assert samples.about.whole == f"seed {seed}, drawn in two latent spaces"
    assert samples.captions["B"].whole == "B · z ~ p(z) · step 16"
    picture = samples.grids["B"].picture_at(samples.grids["B"].cell_rect(0).center().toPoint())
    assert picture is not None
    assert (picture.facts["run"], picture.facts["seed"]) == ("second", "7")


def test_in_one_latent_space_they_are_of_the_same_points(stage_beside: Callable[..., Stage]) -> None:
    stage = stage_beside(tiny_config(epochs=2), tiny_config(epochs=1))
    stage.wait(lambda: stage.panel.samples.about.whole == "seed 0, the same latent points in both runs")


def test_samples_without_a_prior_say_that_they_are_ex_post(stage_beside: Callable[..., Stage]) -> None:
    autoencoder = with_value(tiny_config("grey", epochs=1), "model.name", "autoencoder")
    stage = stage_beside(tiny_config("grey"), autoencoder)
    stage.wait(lambda: "ex-post" in stage.panel.samples.captions["B"].whole)
    assert "ex-post" not in stage.panel.samples.captions["A"].whole
    stage.panel.item.number.setValue(5)
    stage.wait(lambda: stage.pair.item == 5)
    assert [row[2] for row in cells(stage.panel.item)] == ["—"] * 3
    assert "The model of B, “Autoencoder”, has no likelihood to count in nats." in stage.panel.item.note.text()
    stage.measured()
    rows = {row[0]: row[1:] for row in cells(stage.panel.measures)}
    assert rows["-ELBO"][1] == "—"
    assert "—" not in rows["Active units"]
    assert "B: -ELBO cannot be measured here" in stage.panel.measures.note.text()


def test_lda_has_neither_likelihood_nor_needs_one(stage_beside: Callable[..., Stage]) -> None:
    lda = with_value(tiny_config("grey", epochs=1), "model.name", "lda")
    stage = stage_beside(lda, tiny_config("grey"))
    stage.wait(lambda: "ex-post" in stage.panel.samples.captions["A"].whole)


# --- measures


def test_both_are_measured_on_what_both_hold_out(stage_beside: Callable[..., Stage]) -> None:
    stage = stage_beside(tiny_config(epochs=3), with_value(tiny_config(epochs=1), "data.heldout_images", 25))
    stage.measured()
    ids = stage.pair.second.run.dataset.heldout_index_N.numpy()
    assert len(ids) == 25
    found = {}
    for side in ("A", "B"):
        dataset, snapshot = stage.pair.dataset_of(side), stage.pair.snapshot_of(side)
        assert set(ids) <= set(dataset.heldout_index_N.numpy())
        found[side] = evaluate(
            model_of(snapshot), MODELS["vae"], heldout_images(dataset, "dynamic", ids),
            measures=("elbo", "reconstruction", "kl", "active_units"),
        )  # fmt: skip
    rows = cells(stage.panel.measures)
    assert stage.panel.measures.table.headerData(0, Qt.Orientation.Horizontal) == "nats per image"
    assert [row[0] for row in rows] == ["-ELBO", "Reconstruction", "KL", "Active units"]
    for row, first, second in zip(rows, found["A"], found["B"], strict=True):
        assert [float(text.split()[0]) for text in row[1:]] == pytest.approx([first.value, second.value], abs=0.0051)
    better = 1 if found["A"][0].value < found["B"][0].value else 2
    assert is_bold(stage.panel.measures, 0, better)
    about = stage.panel.measures.about.whole
    assert about == "25 images that both runs hold out · protocol dynamic · A at step 24, B at step 9"
    tip = stage.panel.measures.table.index(0, 1).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "protocol dynamic, -ELBO(1), 25 images that both runs hold out, seed 0"


def test_test_images_are_touched_only_when_asked_for(
    stage_beside: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    load = image_dataset._load

    def noting(record: Any, split: Any, protocol: str) -> Any:
        opened.append(split)
        return load(record, split, protocol)

    monkeypatch.setattr(image_dataset, "_load", noting)
    stage = stage_beside(
        with_value(tiny_config(epochs=2), "data.heldout_images", 0),
        with_value(tiny_config(epochs=1), "data.heldout_images", 40),
    )
    measures = stage.panel.measures
    stage.wait(measures.test_button.isVisible)
    assert "No image is held out by both runs" in measures.note.text()
    assert cells(measures) == []
    assert "test" not in opened
    measures.test_button.click()
    stage.measured()
    assert "test" in opened
    assert len(cells(measures)) == 4
    assert measures.about.whole.startswith("60 test images · protocol dynamic · A at step")


def test_both_are_told_the_same_class(stage_beside: Callable[..., Stage]) -> None:
    cvae = with_value(tiny_config("grey", epochs=2), "model.name", "cvae")
    stage = stage_beside(cvae, with_value(cvae, "training.seed", 5))
    stage.window.session.map.tell(2, "choose class 2")
    stage.wait(lambda: stage.pair.second.snapshot.told == 2)
    expected = {side: stage.explorer(side).sample(3, 0)[0] for side in ("A", "B")}
    found = stage.panel.samples.found
    stage.wait(lambda: len(found) == 2 and all(np.array_equal(found[s].pictures[:3], expected[s]) for s in ("A", "B")))
    stage.panel.item.number.setValue(4)
    stage.wait(lambda: stage.pair.item == 4)
    assert len(cells(stage.panel.item)) == 3, "both are given the class: one bound"


def test_a_conditional_bound_does_not_stand_beside_an_unconditional_one(stage_beside: Callable[..., Stage]) -> None:
    stage = stage_beside(tiny_config("grey"), with_value(tiny_config("grey", epochs=1), "model.name", "cvae"))
    stage.panel.item.number.setValue(4)
    stage.wait(lambda: stage.pair.item == 4)
    assert cells(stage.panel.item) == []
    assert "the bound differs: -ELBO(16) and -ELBO(16), given the class" in stage.panel.item.note.text()
    stage.measured()
    assert [row[0] for row in cells(stage.panel.measures)] == ["Active units"]
