"""What every test stands on: a home of its own, no screen, no network, one CPU thread, and no thread left behind."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before torch or Qt is imported by anybody, because both look at the environment only once.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

from tests import network_watch
from tests.thread_leaks import leaked_threads, recording_start

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset

Times = Callable[[int, int], int]

settings.register_profile("tests", deadline=None, print_blob=True)
settings.load_profile("tests")
network_watch.listen()


_sessions: list[pytest.Session] = []


@atexit.register  # before all others, so that it is called after them
def _leave_without_teardown() -> None:
    """WORKAROUND: one whole run, all of it passed, died at its very end with signal 11: after Python was torn down, a
    destructor in C++ (of Qt, torch or onnxruntime, all in this one process) asked for a thread state
    (PyThreadState_New of no interpreter, by the kernel's log; parts of the tests, run nine times, did not do it again).
    How programs end is tested where they are programs: tests/gui/test_close.py, tests/cli.
    """
    if _sessions:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(_sessions[-1].exitstatus))


def pytest_sessionfinish(session: pytest.Session) -> None:
    _sessions.append(session)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes to hours")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long; run with --long"))
    else:
        for item in items:
            if "times" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(0))
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_tests and not _cuda_is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="this machine has no CUDA device"))


def _cuda_is_available() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Times:
    """How often a test does what it does: first the count of every run of the tests, then that of `--long`."""
    is_long = request.config.getoption("--long")
    return lambda usual, long: long if is_long else usual


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is empty at the start of each test, so that no test sees or changes a person's settings and
    runs."""
    home = tmp_path_factory.mktemp("home", numbered=True)
    monkeypatch.setenv("HOME", str(home))
    for variable, folder in {
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_CACHE_HOME": ".cache",
        "XDG_RUNTIME_DIR": ".runtime",
    }.items():
        path = home / folder
        path.mkdir(parents=True, mode=0o700)  # Qt warns of a runtime folder that others may read
        monkeypatch.setenv(variable, str(path))
    for variable in ("VAE_EXPLORER_RUNS", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(autouse=True)
def no_thread_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a thread running, and says where that thread was started."""
    before = threading.enumerate()
    monkeypatch.setattr(threading.Thread, "start", recording_start(threading.Thread.start))
    yield
    leaked = leaked_threads(before)
    if leaked:
        pytest.fail("The test left threads running: " + "; ".join(leaked), pytrace=False)


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fails a test in which this process reached for another machine."""
    network_watch.taken()
    yield
    if heard := network_watch.taken():
        pytest.fail("The test reached for the network: " + "; ".join(heard), pytrace=False)


@pytest.fixture(scope="session")
def tiny_images() -> tuple[np.ndarray, np.ndarray]:
    """300 uint8 images of shape (1, 8, 8) in three classes that a small net tells apart, and their labels.

    A bar across, a bar down, and a square; each at a random place, grey level and with a little noise.
    """
    random = np.random.RandomState(7)
    labels_N = np.arange(300) % 3
    images_NHW = random.randint(0, 20, size=(300, 8, 8))
    for image_HW, label in zip(images_NHW, labels_N, strict=True):
        row, column = random.randint(1, 6, size=2)
        height, width = ((2, 8), (8, 2), (3, 3))[label]
        top, left = (row, 0) if label == 0 else (0, column) if label == 1 else (row, column)
        image_HW[top : top + height, left : left + width] += random.randint(160, 235)
    return images_NHW.astype(np.uint8)[:, np.newaxis], labels_N


@pytest.fixture
def tiny_dataset(tiny_images: tuple[np.ndarray, np.ndarray]) -> ImageDataset:
    """A training source of 300 images of 8 x 8 in three classes on the CPU, of which 60 are held out."""
    import torch

    from vae_explorer.datasets.image_dataset import ImageDataset, ResidentImages, heldout_split

    images_NCHW, labels_N = tiny_images
    train_index_N, heldout_index_N = heldout_split(len(images_NCHW), 60)
    return ImageDataset(
        name="tiny",
        image_shape=(1, 8, 8),
        num_classes=3,
        class_names=("across", "down", "square"),
        images=ResidentImages(images_NCHW),
        labels_N=torch.from_numpy(labels_N),
        train_index_N=train_index_N,
        heldout_index_N=heldout_index_N,
        content_digest="0" * 64,
    )
