"""P3: seconds of training until the default preset's map is good: protocol grey, test -ELBO at most 140 nats.

The clock is the trainer's own (training and held-out checks; no evaluation). The test images are scored at the end
only.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from tests.benchmarks.reporting import machine, print_table
from tests.benchmarks.scoring import test_bound
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, Validated
from vae_explorer.training.run_config import default_config, with_value
from vae_explorer.training.trainer import Trainer

GOOD = 140.0


def run() -> dict[str, Any]:
    rows, results = [], []
    for seed in (0, 1, 2):
        config = with_value(default_config(), "training.seed", seed)
        trainer = Trainer(config, load_dataset("mnist", config.data.heldout_images, torch.device("cpu")))
        good_at = None
        with contextlib.closing(trainer.run(Control())) as stream:
            for event in stream:
                if isinstance(event, Validated) and good_at is None and -event.terms["elbo"] <= GOOD:
                    good_at = event.seconds
                if isinstance(event, Finished):
                    finished = event
        bound = test_bound(trainer, "grey")
        reached = "never" if good_at is None else f"{good_at:.1f} s"
        rows.append((seed, reached, f"{finished.seconds:.1f} s", f"{bound:.2f}", f"{finished.images_per_second:,.0f}"))
        results.append(
            {"seed": seed, "heldout_good_at": good_at, "seconds": finished.seconds, "test_bound": bound,
             "images_per_second": finished.images_per_second}
        )  # fmt: skip
    print_table(
        f"P3 first map: default preset, grey, good is a test -ELBO of at most {GOOD:g}",
        ("seed", "held-out good at", "whole run", "test -ELBO(1)", "images/s"),
        rows,
    )
    return {"machine": machine(), "runs": results}
