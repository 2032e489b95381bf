from __future__ import annotations

import builtins
import gzip
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.idx_files import idx_bytes, write
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.idx import open_idx_stream
from vae_explorer.datasets.image_dataset import (
    ImageStore,
    ResidentImages,
    StreamedImages,
    heldout_split,
    load_dataset,
    load_test_split,
)
from vae_explorer.datasets.mnist import load_mnist
from vae_explorer.errors import FileError, SettingError, UserError

IMAGES = np.random.RandomState(0).randint(0, 256, size=(40, 3, 5, 4), dtype=np.uint8)


@pytest.fixture(params=["resident", "streamed"])
def store(request, tmp_path):
    if request.param == "resident":
        yield ResidentImages(IMAGES)
    else:
        images = open_idx_stream(write(tmp_path / "images.idx", idx_bytes(IMAGES)), "cpu")
        yield images
        images.close()


@pytest.mark.parametrize("index", [[], [0], [39], [3, 2, 1], [5, 6, 7, 8], [7, 7, 0, 39, 7], list(range(40))])
def test_a_store_gives_the_images_asked_for_in_the_order_asked(store: ImageStore, index):
    images_BCHW = store.gather(torch.tensor(index, dtype=torch.int64))
    assert images_BCHW.dtype == torch.uint8
    assert images_BCHW.shape == (len(index), 3, 5, 4)
    np.testing.assert_array_equal(images_BCHW.numpy(), IMAGES[index])


def test_a_store_says_what_it_holds(store: ImageStore):
    assert (store.num_images, store.image_shape, store.device) == (40, (3, 5, 4), torch.device("cpu"))


def test_what_a_store_gives_is_a_copy(store: ImageStore):
    store.gather(torch.tensor([4])).zero_()
    np.testing.assert_array_equal(store.gather(torch.tensor([4]))[0].numpy(), IMAGES[4])


@pytest.mark.parametrize("index", [-1, 40])
def test_an_item_that_does_not_exist_is_a_defect_of_the_program(store: ImageStore, index):
    with pytest.raises(IndexError):
        store.gather(torch.tensor([0, index]))


def test_resident_images_show_all_of_themselves():
    np.testing.assert_array_equal(ResidentImages(torch.from_numpy(IMAGES)).images_NCHW.numpy(), IMAGES)


def test_streamed_images_can_be_read_by_several_threads_at_once(tmp_path):
    images = open_idx_stream(write(tmp_path / "images.idx", idx_bytes(IMAGES)), "cpu")
    wrong: list[int] = []

    def read(seed: int) -> None:
        chance = np.random.RandomState(seed)
        for _ in range(100):
            index = chance.randint(0, 40, size=8)
            if not np.array_equal(images.gather(torch.from_numpy(index)).numpy(), IMAGES[index]):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    images.close()
    assert wrong == []


def test_a_stream_cut_short_while_it_is_used_is_named(tmp_path):
    path = write(tmp_path / "images.idx", idx_bytes(IMAGES))
    images = open_idx_stream(path, "cpu")
    os.truncate(path, 500)
    images.gather(torch.tensor([0]))
    with pytest.raises(FileError, match="is shorter than its 40 images"):
        images.gather(torch.tensor([39]))
    images.close()


def test_a_stream_that_is_absent_or_too_short_is_refused_when_it_is_opened(tmp_path):
    path = write(tmp_path / "short", bytes(100))
    with pytest.raises(FileError, match="is shorter than its 2 images"):
        StreamedImages(path, 0, 2, (1, 10, 10))
    with pytest.raises(FileError, match="cannot be read"):
        StreamedImages(tmp_path / "absent", 0, 2, (1, 10, 10))


def test_a_stream_closes_its_file_when_it_is_forgotten(tmp_path):
    path = write(tmp_path / "images.idx", idx_bytes(IMAGES))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        open_idx_stream(path, "cpu")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(("num_images", "heldout"), [(1, 0), (10, 3), (10, 9), (60_000, 5_000), (60_000, 0)])
def test_the_split_is_disjoint_complete_and_always_the_same(num_images, heldout):
    train_index_N, heldout_index_N = heldout_split(num_images, heldout)
    assert train_index_N.dtype == heldout_index_N.dtype == torch.int64
    assert len(heldout_index_N) == heldout
    assert sorted([*train_index_N.tolist(), *heldout_index_N.tolist()]) == list(range(num_images))
    again = heldout_split(num_images, heldout)
    assert torch.equal(again[0], train_index_N)
    assert torch.equal(again[1], heldout_index_N)


def test_the_split_is_the_same_in_every_version():
    """A run resumed with another split would be scored on images it has learnt from."""
    assert heldout_split(20, 5)[1].tolist() == [1, 8, 10, 18, 19]


@pytest.mark.parametrize("heldout", [-1, 10, 11])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(heldout):
    with pytest.raises(SettingError, match="cannot be held out of 10") as caught:
        heldout_split(10, heldout)
    assert caught.value.key == "data.heldout_images"


def test_over_all_parts_each_image_is_held_out_once():
    parts = [heldout_split(20, 6, part) for part in range(4)]
    assert torch.cat([heldout_N for _, heldout_N in parts]).sort().values.tolist() == list(range(20))
    assert [len(heldout_N) for _, heldout_N in parts] == [6, 6, 6, 2]
    for train_N, heldout_N in parts:
        assert sorted(train_N.tolist() + heldout_N.tolist()) == list(range(20))


@pytest.mark.parametrize(("heldout", "part"), [(6, 4), (6, -1), (0, 1)])
def test_a_part_that_is_not_there_is_refused(heldout, part):
    with pytest.raises(SettingError, match="here is no part") as caught:
        heldout_split(20, heldout, part)
    assert caught.value.key == "data.heldout_part"


@pytest.fixture(scope="module")
def mnist():
    return load_dataset("mnist", 5000)


def test_mnist_is_what_its_record_says(mnist):
    record = DATASETS["mnist"]
    assert mnist.image_shape == mnist.images.image_shape == record.image_shape
    assert mnist.images.num_images == 60_000
    assert (len(mnist.train_index_N), len(mnist.heldout_index_N)) == (55_000, 5_000)
    assert mnist.class_names == record.class_names
    assert len(mnist.class_names) == mnist.num_classes == record.num_classes
    assert mnist.labels_N.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.content_digest == "71d3be42f93ad20da73bb4a9744d0bebdaa6832be56dc010e21940e72c4c8b1e"


def test_the_test_split_of_mnist_is_loaded_on_its_own(mnist):
    test = load_test_split("mnist")
    assert test.images.num_images == len(test.labels_N) == 10_000
    assert test.content_digest != mnist.content_digest
    assert test.labels_N[:5].tolist() == [7, 2, 1, 0, 4]


def test_training_never_opens_the_files_of_the_test_split(monkeypatch):
    opened: list[str] = []

    def noting(function):
        def note_and_open(path, *args, **kwargs):
            opened.append(str(path))
            return function(path, *args, **kwargs)

        return note_and_open

    for module, name in (
        (os, "open"),
        (builtins, "open"),
        (gzip, "open"),
        (gzip, "GzipFile"),
        (np, "fromfile"),
    ):
        monkeypatch.setattr(module, name, noting(getattr(module, name)))
    load_dataset("mnist", 5000)
    names = {Path(path).name for path in opened}
    assert {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"} <= names
    assert not any("t10k" in name for name in names)
    load_test_split("mnist")
    assert any("t10k" in path for path in opened), "the guard does not see the files being opened"


def test_an_unknown_data_set_names_the_nearest():
    with pytest.raises(UserError, match="mnist"):
        load_dataset("minst", 0)


def mnist_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    write(folder / "train-images-idx3-ubyte.gz", gzip.compress(idx_bytes(images)))
    write(folder / "train-labels-idx1-ubyte.gz", gzip.compress(idx_bytes(labels)))
    return folder


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (np.zeros((2, 27, 28), np.uint8), np.zeros(2, np.uint8), "images of 27 x 28 pixels, not 28 x 28"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.uint8), "3 labels for 2 images"),
        (np.zeros((2, 28, 28), np.uint8), np.array([0, 10], np.uint8), "the label 10; digits are 0 to 9"),
        (np.zeros((2, 784), np.uint8), np.zeros(2, np.uint8), "shape 2 x 784 where 3 dimensions are needed"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, images, labels, reason):
    with pytest.raises(FileError, match=reason):
        load_mnist("train", mnist_folder(tmp_path, images, labels))


def test_a_folder_of_four_fitting_files_is_read(tmp_path):
    images_NHW = np.random.RandomState(0).randint(0, 256, size=(3, 28, 28), dtype=np.uint8)
    split = load_mnist("train", mnist_folder(tmp_path, images_NHW, np.array([1, 0, 9], np.uint8)))
    np.testing.assert_array_equal(split.images_NCHW[:, 0], images_NHW)
    assert split.labels_N.tolist() == [1, 0, 9]


@pytest.mark.parametrize("record", DATASETS, ids=lambda record: record.name)
def test_every_record_names_its_source_and_licence(record):
    assert record.title
    assert record.reference
    assert record.licence
    assert record.summary.endswith(".")
    assert len(record.class_names) == record.num_classes


def test_the_tiny_data_set_of_the_tests_is_well_formed(tiny_dataset):
    assert tiny_dataset.images.num_images == len(tiny_dataset.labels_N) == 300
    assert tiny_dataset.labels_N.bincount().tolist() == [100, 100, 100]
    assert len(tiny_dataset.train_index_N) == 240


@pytest.mark.gpu
def test_resident_images_live_on_the_gpu():
    images = ResidentImages(IMAGES, "cuda")
    index_B = torch.tensor([3, 39], device="cuda")
    assert images.device.type == "cuda"
    np.testing.assert_array_equal(images.gather(index_B).cpu().numpy(), IMAGES[[3, 39]])
