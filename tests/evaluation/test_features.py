"""The features in which pictures are compared: learned once, kept, and named by their digest."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.evaluation.known_models import Constant, evaluation_of
from vae_explorer.evaluation import features
from vae_explorer.evaluation.features import FeatureSpace, feature_space, whitened_space
from vae_explorer.evaluation.images import ScoredImages, load_scored_images


class Shelf:
    """Keeps content in memory and counts."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.num_written = 0

    def read(self, name: str) -> bytes | None:
        return self.content.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.content[name] = content
        self.num_written += 1


@pytest.fixture
def training() -> ScoredImages:
    return load_scored_images("tiny", 40, "dynamic", "train")


def space_of(training: ScoredImages, store: Shelf | None = None) -> FeatureSpace:
    images = load_scored_images("tiny", 40, "dynamic", "test")
    return feature_space(evaluation_of(Constant(0.5), images, training=lambda: training, store=store))


def test_the_network_is_trained_once_and_kept(training: ScoredImages) -> None:
    shelf = Shelf()
    first = space_of(training, shelf)
    again = space_of(training, shelf)
    assert shelf.num_written == 1
    assert first.digest == again.digest == space_of(training).digest
    pictures = training.shown(0, 20)
    assert first.features(pictures).shape == (20, features.NUM_FEATURES)
    torch.testing.assert_close(first.features(pictures), again.features(pictures))


def test_it_learns_the_classes(monkeypatch: pytest.MonkeyPatch, training: ScoredImages) -> None:
    monkeypatch.setattr(features, "EPOCHS", 60)
    monkeypatch.setattr(features, "BATCH", 25)
    space = space_of(training)
    assert space.accuracy is not None
    assert space.accuracy > 0.95


def test_other_data_have_another_network(training: ScoredImages) -> None:
    shelf = Shelf()
    space_of(training, shelf)
    other = space_of(training.first(100), shelf)
    assert shelf.num_written == 2
    assert other.digest != space_of(training, shelf).digest


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 400])
def test_a_damaged_file_is_made_anew(training: ScoredImages, content: bytes) -> None:
    shelf = Shelf()
    digest = space_of(training, shelf).digest
    (name,) = shelf.content
    shelf.content[name] = content
    assert space_of(training, shelf).digest == digest
    assert len(shelf.content[name]) > len(content)


def test_training_touches_no_global_generator(training: ScoredImages) -> None:
    before = torch.random.get_rng_state()
    space_of(training)
    assert torch.equal(before, torch.random.get_rng_state())


def test_without_labels_pixels_are_whitened(training: ScoredImages) -> None:
    space = space_of(dataclasses.replace(training, labels_N=None))
    assert "whitened" in space.title
    assert space.accuracy is None
    found = space.features(training.shown(0, training.num_images))
    torch.testing.assert_close(found.mean(0), torch.zeros(found.shape[1]).double(), atol=1e-6, rtol=0)
    covariance = torch.cov(found.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(len(covariance)).double(), atol=1e-4, rtol=0)


def test_pixels_that_never_vary_are_not_blown_up() -> None:
    pictures = torch.zeros(50, 1, 4, 4)
    pictures[:, 0, 0, 0] = torch.linspace(0, 1, 50)
    found = whitened_space(pictures).features(pictures)
    assert float(found.abs().max()) < 10
