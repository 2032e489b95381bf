"""P11: the exact likelihood by quadrature of the 10,000 test images (2-D), and IWAE-500 of 1,000."""

from __future__ import annotations

import time
from typing import Any

import torch

from tests.benchmarks.reporting import machine, print_table
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import load_scored_images
from vae_explorer.training.control import Control
from vae_explorer.training.run_config import load_preset, with_value
from vae_explorer.training.trainer import Trainer


def run() -> dict[str, Any]:
    config = with_value(load_preset("tutorial-2d").config, "training.epochs", 1)
    trainer = Trainer(config, load_dataset("mnist", 0, torch.device("cpu")))
    for _ in trainer.run(Control()):
        pass
    trainer.model.eval()
    images = load_scored_images("mnist", 0, "dynamic", "test")
    rows, results = [], {}
    for name, samples, limit in (("nll_quadrature", None, 10_000), ("iwae", 500, 1000), ("elbo", 1, 10_000)):
        begin = time.perf_counter()
        with torch.no_grad():
            (measured,) = evaluate(trainer.model, trainer.record, images, measures=[name], samples=samples, limit=limit)
        seconds = time.perf_counter() - begin
        rows.append((name, measured.n, samples or "-", f"{measured.value:.2f}", f"{seconds:.1f} s"))
        results[name] = {"seconds": seconds, "value": measured.value, "n": measured.n, "samples": samples}
    print_table(
        "P11 likelihoods of 784-400-2 after one epoch, dynamic",
        ("measure", "images", "samples", "nats", "time"),
        rows,
    )
    return {"machine": machine(), "measures": results}
