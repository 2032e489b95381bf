from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.image_dataset import ImageDataset, ImageStore, TestSplit, load_dataset, load_test_split
from vae_explorer.datasets.sprites import FACTOR_SIZES, NUM_SPRITES, SHAPES, SpriteImages, factors_of, templates
from vae_explorer.evaluation.images import load_scored_images


@pytest.fixture(scope="module")
def source() -> ImageDataset:
    return load_dataset("sprites", 5000)


@pytest.fixture(scope="module")
def test_split() -> TestSplit:
    return load_test_split("sprites")


@pytest.fixture(scope="module")
def everything() -> SpriteImages:
    return SpriteImages(torch.arange(NUM_SPRITES))


def number_of(*factors: int) -> int:
    return int(np.ravel_multi_index(factors, FACTOR_SIZES))


def picture(store: ImageStore, *factors: int) -> np.ndarray:
    return store.gather(torch.tensor([number_of(*factors)]))[0, 0].numpy()


def test_the_record_says_what_is_loaded(source: ImageDataset, test_split: TestSplit) -> None:
    record = DATASETS["sprites"]
    assert record.image_shape == source.images.image_shape
    assert record.class_names == SHAPES
    assert record.factor_sizes == FACTOR_SIZES
    assert len(record.factor_names) == len(FACTOR_SIZES)
    assert source.images.num_images + test_split.images.num_images == NUM_SPRITES == 737_280
    assert source.content_digest == "b47316a1b41fda50af654fc47c41184a8edfe453e3f262d7e1eaa425a4cfd6bc"
    assert test_split.content_digest == "d4a22f89a70d811576e28336f493e35b1476221e7ae7612af1c40661c0af86cd"


def test_the_splits_share_no_sprite(source: ImageDataset, test_split: TestSplit) -> None:
    def numbers(factors_NF: torch.Tensor | None) -> np.ndarray:
        assert factors_NF is not None
        return np.ravel_multi_index(factors_NF.numpy().T.astype(np.int64), FACTOR_SIZES)

    train, test = numbers(source.factors_NF), numbers(test_split.factors_NF)
    assert sorted([*train, *test]) == list(range(NUM_SPRITES))
    # A test split that says something has all shapes and angles in it.
    assert test_split.labels_N is not None
    assert test_split.labels_N.bincount().min() > 3000


def test_the_factors_are_those_of_the_picture(source: ImageDataset, everything: SpriteImages) -> None:
    assert source.factors_NF is not None
    assert source.labels_N is not None
    ids = torch.tensor([0, 17, 400_000, 727_279])
    for item, factors in zip(ids, source.factors_NF[ids], strict=True):
        assert int(source.labels_N[item]) == int(factors[0])
        shown = source.images.gather(item[None])[0, 0].numpy()
        assert np.array_equal(shown, picture(everything, *factors.tolist()))


def test_a_picture_is_the_shape_at_its_place(everything: SpriteImages) -> None:
    """Against a rendering of its own: the drawn shape put into an empty frame."""
    random = np.random.RandomState(1)
    factors_NF = np.stack([random.randint(0, size, 200) for size in FACTOR_SIZES], axis=1)
    shown = everything.gather(torch.from_numpy(np.ravel_multi_index(factors_NF.T, FACTOR_SIZES)))
    assert shown.shape == (200, 1, 64, 64)
    assert shown.dtype == torch.uint8
    for picture_HW, (shape, scale, angle, right, down) in zip(shown[:, 0].numpy(), factors_NF, strict=True):
        frame = np.zeros((64, 64), dtype=np.uint8)
        template = templates()[(shape * 6 + scale) * 40 + angle]
        frame[down : down + 32, right : right + 32] = 255 * template
        assert np.array_equal(picture_HW, frame)


def test_no_two_shapes_are_alike_and_none_is_cut_off() -> None:
    drawn = templates()
    assert len({shape.tobytes() for shape in drawn}) == len(drawn) == 720
    assert set(np.unique(drawn)) == {0, 1}
    # Twice the radius is four times the area, and turning changes it only by what pixels round.
    area = drawn.sum((1, 2)).reshape(3, 6, 40)
    assert area[:, 5].mean(1) / area[:, 0].mean(1) == pytest.approx(np.full(3, 4.0), rel=0.03)
    assert (area.std(2) / area.mean(2)).max() < 0.04


def test_a_quarter_turn_turns_the_picture() -> None:
    drawn = templates().reshape(3, 6, 40, 32, 32)
    for shape in range(3):
        assert (np.rot90(drawn[shape, 5, 3]) != drawn[shape, 5, 13]).mean() < 0.005


def test_factors_are_counted_from_zero() -> None:
    assert factors_of(np.array([0, NUM_SPRITES - 1])).tolist() == [[0] * 5, [2, 5, 39, 31, 31]]


def test_a_picture_is_a_copy_and_a_missing_item_is_a_defect(everything: SpriteImages) -> None:
    everything.gather(torch.tensor([3])).zero_()
    assert everything.gather(torch.tensor([3])).any()
    with pytest.raises(IndexError):
        everything.gather(torch.tensor([NUM_SPRITES]))


def test_scored_sprites_carry_their_factors() -> None:
    images = load_scored_images("sprites", 5000, "threshold", "test")
    assert images.factors_NF is not None
    assert images.factors_NF.shape == (10_000, 5)
    assert images.factors_NF.dtype == torch.int64
    assert images.factor_names == DATASETS["sprites"].factor_names
    shape, scale, angle, right, down = images.factors_NF[123].tolist()
    frame = np.zeros((64, 64))
    frame[down : down + 32, right : right + 32] = templates()[(shape * 6 + scale) * 40 + angle]
    assert np.array_equal(images.x(123, 124)[0, 0].numpy(), frame)
