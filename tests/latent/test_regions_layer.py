from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.latent.item_scenes import make_images, make_scene, returned_by
from tests.latent.layer_requests import drawings, make_request
from vae_explorer.errors import UserError
from vae_explorer.latent.drawing import Word
from vae_explorer.latent.explorer import Explorer
from vae_explorer.latent.layers import RegionsOptions
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.regions_layer import LabelledCodes, draw, kept_apart, prepared_votes
from vae_explorer.models.snapshot import Snapshot

MakeSnapshot = Callable[..., Snapshot]
CENTRES = np.array([[-2.0, 0.0], [2.0, 1.0], [2.0, -1.0]])


def three_heaps(make_snapshot: MakeSnapshot, dimensions: int = 2) -> Explorer:
    """Item i belongs to class i % 3, whose codes stand around its centre; other dimensions are noise."""
    codes = np.random.default_rng(0).normal(size=(600, dimensions)) * 0.2
    centres = CENTRES if dimensions > 1 else CENTRES[:, 1:] * 2
    codes[:, : centres.shape[1]] += centres[np.arange(600) % 3]
    codes[9] = np.nan
    return make_scene(make_snapshot(dimensions=dimensions, num_codes=600), codes, make_images(600))


@pytest.mark.parametrize("dimensions", [2, 5])
def test_a_heap_lies_in_the_region_of_its_class(make_snapshot: MakeSnapshot, dimensions: int) -> None:
    scene = three_heaps(make_snapshot, dimensions)
    request = make_request(scene)
    drawing = drawings("regions", scene, request)[-1]
    (raster,) = drawing.rasters
    height, width = raster.pixels.shape[:2]
    for number, (x, y) in enumerate(CENTRES):
        row = int((request.rect.top - y) / request.rect.height * height)
        column = int((x - request.rect.left) / request.rect.width * width)
        pixel = raster.pixels[row, column]
        assert pixel[3] > 200
        assert pixel[:3].argmax() == number  # the classes' inks are blue, green, red
    assert drawing.readout == "k = 15 · 100 % of 599 codes lie in their own region"
    assert [word.text for word in drawing.words] == ["a", "b", "c"]
    for word, centre in zip(drawing.words, CENTRES, strict=True):
        assert np.hypot(word.x - centre[0], word.y - centre[1]) < 0.1
        assert word.is_strong
    assert drawing.legend is not None
    assert drawing.legend.entries == (("class:0", "a"), ("class:1", "b"), ("class:2", "c"))


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_names_on_each_other_are_moved_a_little_apart(make_snapshot: MakeSnapshot, scale: float) -> None:
    request = replace(make_request(three_heaps(make_snapshot)), pixel_ratio=scale)
    pixel = scale * 6.0 / 300  # map units of a pixel of the screen
    names = (Word(0.0, 0.0, "4"), Word(3 * pixel, 5 * pixel, "9"), Word(0.0, 40 * pixel, "7"), Word(2.0, -1.0, "1"))
    four, nine, *others = kept_apart(names, request)
    assert others == list(names[2:])
    # They were 3 pixels apart sideways, the shorter way; now they stand side by side, the same way round.
    assert nine.x - four.x == pytest.approx(12 * pixel, abs=0.6 * pixel)
    assert (four.y, nine.y) == (names[0].y, names[1].y)
    assert kept_apart(names, request) == (four, nine, *others)


def test_a_crowd_of_names_stays_near_its_medians(make_snapshot: MakeSnapshot) -> None:
    request = make_request(three_heaps(make_snapshot))
    placed = kept_apart(tuple(Word(0.5, 0.5, f"class {number}") for number in range(10)), request)
    nudges = np.array([[word.x - 0.5, word.y - 0.5] for word in placed]) / 0.02
    assert np.linalg.norm(nudges, axis=1).max() <= 14.001
    assert len(set(placed)) > 5


def test_the_layer_keeps_its_names_apart(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(600, 2)) * 0.001
    scene = make_scene(make_snapshot(num_codes=600), codes, make_images(600))
    words = drawings("regions", scene, make_request(scene))[-1].words
    apart = [np.abs([(a.x - b.x) / 12, (a.y - b.y) / 16]).max() / 0.02 for a in words for b in words if a is not b]
    assert min(apart) > 0.9


def test_borders_are_sharp_and_antialiased(make_snapshot: MakeSnapshot) -> None:
    scene = three_heaps(make_snapshot)
    (raster,) = drawings("regions", scene, make_request(scene, rect=MapRect(-3, -2, 3, 2)))[-1].rasters
    shares = raster.pixels[..., :3].astype(float) / np.maximum(raster.pixels[..., :3].sum(axis=2, keepdims=True), 1)
    is_mixed = (shares.max(axis=2) < 0.99) & (raster.pixels[..., 3] > 60)
    assert 0 < is_mixed.mean() < 0.02


def test_on_a_line_only_the_one_coordinate_counts(make_snapshot: MakeSnapshot) -> None:
    scene = three_heaps(make_snapshot, 1)
    (raster,) = drawings("regions", scene, make_request(scene))[-1].rasters
    assert (raster.pixels == raster.pixels[:1]).all()
    width = raster.pixels.shape[1]
    assert [int(raster.pixels[0, int((x + 3) / 6 * width), :3].argmax()) for x in (-2, 0, 2)] == [2, 0, 1]


def test_votes_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(1)
    points, labels = rng.normal(size=(200, 4)).astype(np.float32), rng.integers(0, 3, 200)
    codes = LabelledCodes(points, points[:, :2], labels, 3)
    places = rng.normal(size=(50, 4))
    votes = returned_by(prepared_votes(places, codes, 7))
    own = returned_by(prepared_votes(points[:50], codes, 7, np.arange(50)))
    for number in range(50):
        nearest = np.argsort(((places[number] - points) ** 2).sum(axis=1))[:7]
        assert np.allclose(votes[number], np.bincount(labels[nearest], minlength=3) / 7)
        nearest = np.argsort(((points[number] - points) ** 2).sum(axis=1))[1:8]
        assert np.allclose(own[number], np.bincount(labels[nearest], minlength=3) / 7)


def test_mixed_classes_are_paler_and_agree_less(make_snapshot: MakeSnapshot) -> None:
    codes = np.random.default_rng(0).normal(size=(600, 2))
    scene = make_scene(make_snapshot(num_codes=600), codes, make_images(600))
    drawing = drawings("regions", scene, make_request(scene, RegionsOptions(neighbours=101)))[-1]
    assert drawing.extras["own_share"] < 0.5
    assert drawing.rasters[0].pixels[..., 3].max() < 120
    assert drawing.readout.startswith("k = 101 · ")


def test_few_codes_and_few_classes(make_snapshot: MakeSnapshot) -> None:
    for num, num_classes in ((1, 3), (2, 1), (4, 2)):
        scene = make_scene(
            make_snapshot(num_codes=num), dataset=make_images(num, num_heldout=0, num_classes=num_classes)
        )
        assert drawings("regions", scene, make_request(scene))[-1].rasters[0].pixels[..., 3].any()


def test_without_labels_or_finite_codes_it_says_so(make_snapshot: MakeSnapshot) -> None:
    for dataset in (None, make_images(has_labels=False)):
        scene = make_scene(make_snapshot(), dataset=dataset)
        with pytest.raises(UserError, match="no labels"):
            list(draw(scene, make_request(scene)))
    scene = make_scene(make_snapshot(), np.full((500, 2), np.nan), make_images())
    with pytest.raises(UserError, match="No image has a finite code"):
        list(draw(scene, make_request(scene)))
