"""The class that a model was told, found again in what it draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import ScoredImages
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.cvae import ConditionalVAE
from vae_explorer.models.cvae_config import CVAEConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.vae_config import VAEConfig


def scored(tiny_images: tuple[np.ndarray, np.ndarray], split: str) -> ScoredImages:
    images, labels = tiny_images
    part = slice(0, 200) if split == "train" else slice(200, 300)
    # The network passes three times over them: of the few training pictures it needs many copies.
    copies = 25 if split == "train" else 1
    return ScoredImages(
        split=split, protocol="grey", stored_NCHW=torch.from_numpy(images[part]).repeat(copies, 1, 1, 1),
        labels_N=torch.from_numpy(labels[part]).repeat(copies), num_classes=3,
    )  # fmt: skip


class Memory(ConditionalVAE):
    """Draws the k-th training image of class y, or of the class after it."""

    shift = 0
    images_NCHW: torch.Tensor
    labels_N: torch.Tensor

    def decode(self, z: object, condition: torch.Tensor | None = None):  # type: ignore[no-untyped-def]
        from vae_explorer.models.deterministic import Picture

        assert condition is not None
        wanted = (condition + self.shift) % 3
        index = [int((self.labels_N == label).nonzero()[row % 50]) for row, label in enumerate(wanted)]
        return Picture(self.images_NCHW[index].float() / 255)


@pytest.mark.parametrize(("shift", "low", "high"), [(0, 0.9, 1.0), (1, 0.0, 0.1)])
def test_pictures_of_the_class_told_are_found_and_others_are_not(
    tiny_images: tuple[np.ndarray, np.ndarray], shift: int, low: float, high: float
) -> None:
    training, test = scored(tiny_images, "train"), scored(tiny_images, "test")
    model = Memory(CVAEConfig(hidden_widths=(8,)), DataSpace((1, 8, 8), 3)).eval()
    model.shift, model.images_NCHW, model.labels_N = shift, training.stored_NCHW, training.labels_N
    (found,) = evaluate(
        model, MODELS["cvae"], test, measures=["told_class"], samples=100, training=lambda: training
    )  # fmt: skip
    assert low <= found.value <= high
    assert found.detail["share_of_real"] > 0.9
    assert found.n == 100


def test_a_model_that_is_told_nothing_is_refused(tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    model = build_model("vae", VAEConfig(hidden_widths=(8,)), DataSpace((1, 8, 8)))
    with pytest.raises(UserError, match="not told the class"):
        evaluate(model, MODELS["vae"], scored(tiny_images, "test"), measures=["told_class"])
