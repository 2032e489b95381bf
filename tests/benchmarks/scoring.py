"""The product's own evaluation, for benchmarks that must show that speed cost no quality."""

from __future__ import annotations

import torch

from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import load_scored_images
from vae_explorer.training.trainer import Trainer


def test_bound(trainer: Trainer, protocol: str) -> float:
    """-ELBO(1) of a trained model on MNIST's 10,000 test images, nats per image."""
    images = load_scored_images("mnist", 0, protocol, "test", trainer.device)
    trainer.model.eval()
    with torch.no_grad():
        (measured,) = evaluate(trainer.model, trainer.record, images, measures=["elbo"], samples=1)
    return measured.value
