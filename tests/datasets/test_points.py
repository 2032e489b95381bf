from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.points import DISTRIBUTIONS, REACH, SEEDS, draw_split
from vae_explorer.datasets.protocols import apply_protocol

NAMES = list(DISTRIBUTIONS)


def on_a_lattice(name: str, spacing: float) -> np.ndarray:
    """log p at the centres of cells that cover everything; the checkerboard's squares are whole cells."""
    side = np.arange(-REACH, REACH, spacing) + spacing / 2
    x, y = np.meshgrid(side, side)
    return DISTRIBUTIONS[name].log_density(np.stack([x.ravel(), y.ravel()], axis=1))


@pytest.mark.parametrize("name", NAMES)
def test_the_density_integrates_to_one_and_gives_the_stated_entropy(name):
    # A blur of sigma leaves nothing finer than sigma, so the sum over cells of sigma / 2 is the integral.
    spacing = {"swiss-roll": 0.06, "two-moons": 0.075}.get(name, 0.05)
    log_p = on_a_lattice(name, spacing)
    log_p = log_p[np.isfinite(log_p)]
    mass = np.exp(log_p).sum() * spacing**2
    entropy = -(np.exp(log_p) * log_p).sum() * spacing**2
    assert mass == pytest.approx(1, abs=1e-5)
    assert entropy == pytest.approx(DISTRIBUTIONS[name].entropy, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_points_come_from_the_density(name):
    """Under the density that they were drawn from, their mean -log p differs from H by chance alone."""
    distribution = DISTRIBUTIONS[name]
    x_N2, _ = distribution.draw(8000, np.random.RandomState(5))
    nll_N = -distribution.log_density(x_N2)
    standard_error = nll_N.std() / math.sqrt(len(nll_N))
    assert abs(nll_N.mean() - distribution.entropy) <= 4 * standard_error + 1e-9
    # And they lie where it says: counts in large cells against its integral there.
    edges = np.linspace(-REACH, REACH, 7)
    found, _, _ = np.histogram2d(x_N2[:, 0], x_N2[:, 1], [edges, edges])
    spacing = 0.075
    p = np.exp(on_a_lattice(name, spacing)).reshape(6, 20, 6, 20).sum((1, 3)).T * spacing**2
    assert (np.abs(found / 8000 - p) <= 4.5 * np.sqrt(p * (1 - p) / 8000) + 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_record_says_what_is_loaded(name):
    record = DATASETS[name]
    dataset, test = load_dataset(name, 5000), load_test_split(name)
    assert record.kind == "points"
    assert record.protocols == ("gaussian",)
    assert dataset.images.num_images == 20_000
    assert test.images.num_images == 5_000
    assert dataset.content_digest != test.content_digest
    points = dataset.images.gather(torch.arange(20_000))
    assert points.shape == (20_000, 2, 1, 1)
    assert points.dtype == torch.float32
    assert points.abs().max() < REACH
    assert apply_protocol("gaussian", points[:5]).equal(points[:5])
    if record.num_classes:
        assert dataset.labels_N is not None
        assert len(dataset.labels_N.bincount()) == record.num_classes
    else:
        assert dataset.labels_N is None
    assert record.distribution is not None
    assert record.distribution() is DISTRIBUTIONS[name]


def test_the_points_are_the_same_for_ever():
    """A run resumed or scored years later stands on these very points."""
    first = {name: [round(float(v), 4) for v in draw_split(name, "train")[0][0].ravel()] for name in NAMES}
    assert SEEDS == {"train": 20250131, "test": 20250132}
    assert first == FIRST


FIRST = {
    "eight-gaussians": [1.5242, -1.6109],
    "two-moons": [-0.6346, -0.497],
    "pinwheel": [2.0469, -0.0679],
    "swiss-roll": [2.9302, -0.2273],
    "checkerboard": [1.7735, 2.5166],
    "ring": [0.7968, -1.5904],
}


def test_the_classes_are_where_their_names_say():
    points, labels = draw_split("eight-gaussians", "train")
    assert labels is not None
    means = np.stack([points[labels == label, :, 0, 0].mean(0) for label in range(8)])
    names = DATASETS["eight-gaussians"].class_names
    assert means[names.index("top")] == pytest.approx([0, 2], abs=0.05)
    assert means[names.index("left")] == pytest.approx([-2, 0], abs=0.05)
    points, labels = draw_split("two-moons", "train")
    assert labels is not None
    assert points[labels == 0, 1].mean() > points[labels == 1, 1].mean()
