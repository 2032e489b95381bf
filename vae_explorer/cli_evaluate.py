"""`vae-explorer evaluate` and `vae-explorer sample`: what a trained run is worth and what it looks like."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from vae_explorer.cli_output import paint, say
from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.models.catalogue import MODELS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vae_explorer.evaluation.evaluate import Progress
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.training.run_config import RunConfig

_SHOWN_IMAGES = 5000  # as many are enough to choose a grid's pictures from


def evaluate_run(arguments: argparse.Namespace) -> int:
    """Measure the run's newest checkpoint and print a table or one JSON object."""
    names = [name.strip() for name in arguments.measures.split(",") if name.strip()]
    for name in names:
        MEASURES[name]

    from vae_explorer.evaluation.evaluate import evaluate
    from vae_explorer.evaluation.images import load_scored_images
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.training.hardware import choose_device

    device = choose_device("auto")
    model, config, step = model_from_run(arguments.run, device)

    def images_of(split: str) -> ScoredImages:
        return load_scored_images(config.data.dataset, config.data.heldout_images, config.data.protocol, split, device)

    def tell(progress: Progress) -> None:
        if sys.stderr.isatty() and not arguments.json:
            paint(f"{progress.measure.title} ...")

    measurements = evaluate(
        model, MODELS[config.model_name], images_of(arguments.split), measures=names, samples=arguments.samples,
        limit=arguments.limit, seed=arguments.seed, progress=tell, training=lambda: images_of("train"),
    )  # fmt: skip
    if sys.stderr.isatty() and not arguments.json:
        paint("")
    run_name = arguments.run.name
    if arguments.json:
        records = [measurement.record() for measurement in measurements]
        result = {"run": run_name, "step": step, "model": config.model_name, "measures": records}
        say(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        _print_table(run_name, step, config, measurements)
    return 0


def _print_table(run_name: str, step: int, config: RunConfig, measurements: tuple[Measurement, ...]) -> None:
    protocol = PROTOCOLS[config.data.protocol]
    say(f"{run_name}, step {step:,}, {MODELS[config.model_name].title}")
    say(f"Protocol {protocol.name}: {protocol.bound_note}")
    say(f"{'measure':18} {'value':>10} {'± s.e.':>8}  {'unit':16} {'bound':12} {'n':>6}  split    seed")
    for item in measurements:
        error = f"{item.standard_error:8.3f}" if item.standard_error is not None else f"{'':8}"
        value = f"{item.value:10.0f}" if item.unit == "dimensions" else f"{item.value:10.3f}"
        say(
            f"{MEASURES[item.name].title:18} {value} {error}  {item.unit:16} {item.bound or '':12} {item.n:6}  "
            f"{item.split:8} {item.seed}"
        )
        for note in _notes(item):
            say(f"{'':18} {note}")


def _notes(item: Measurement) -> list[str]:
    detail = item.detail
    if item.name == "nll_quadrature":
        note = (
            f"grid of {detail['points_a_side']} points a side within {detail['half_width']:g}; one of "
            f"{detail['check_points_a_side']} moves the first {detail['check_images']} images by "
            f"{abs(detail['check_difference']):.4f}"
        )
        return [note]
    if item.name == "iwae":
        note = (
            f"effective samples {detail['effective_samples']:.1f} of {item.samples} in the mean; "
            f"{detail['images_below_1_percent']} of {item.n} images below 1 %"
        )
        return [note]
    return []


def sample_run(arguments: argparse.Namespace) -> int:
    """Save a grid of the run's newest checkpoint as PNG and print where."""
    from vae_explorer.export.images import GridSpec, needs_images, png_text, render_grid, save_png
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.training.hardware import choose_device

    spec = GridSpec(
        rows=arguments.rows, columns=arguments.columns, spacing=arguments.spacing, scale=arguments.scale,
        seed=arguments.seed,
    )  # fmt: skip
    device = choose_device("auto")
    model, config, step = model_from_run(arguments.run, device)
    shows_images = arguments.kind == "interpolation" or needs_images(arguments.kind, MODELS[config.model_name])
    images_NCHW = _shown_images(config, device) if shows_images else None
    pixels = render_grid(arguments.kind, model, spec, images_NCHW)
    run_name = arguments.run.name
    out = arguments.out
    save_png(out, pixels, png_text(run_name, config.model_name, step, spec.seed, arguments.kind))
    say(f"Saved {out} ({pixels.shape[1]} x {pixels.shape[0]} pixels, step {step:,}, seed {spec.seed})")
    return 0


def _shown_images(config: RunConfig, device: torch.device) -> Tensor:
    """Held-out images under the run's protocol, or training images where none were held out; never test images."""
    from vae_explorer.evaluation.images import load_scored_images

    split = "heldout" if config.data.heldout_images else "train"
    images = load_scored_images(config.data.dataset, config.data.heldout_images, config.data.protocol, split, device)
    return images.first(_SHOWN_IMAGES).x(0, _SHOWN_IMAGES)
