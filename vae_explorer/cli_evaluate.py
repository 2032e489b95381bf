"""`vae-explorer evaluate` and `vae-explorer sample`: what a trained run is worth and what it looks like."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_explorer.cli_output import complain, paint, say
from vae_explorer.cli_signals import STOPPED, stopping_on_signals
from vae_explorer.evaluation.catalogue import MEASURES
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.own_names import make_way_for

if TYPE_CHECKING:
    import torch

    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.evaluation.evaluate import Progress
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.runs.checkpoint import LoadedModel
    from vae_explorer.training.run_config import RunConfig

ALL = "all"
_SHOWN_IMAGES = 5000  # as many are enough to choose a grid's pictures from
_PAINT_SECONDS = 0.2


def evaluate_runs(arguments: argparse.Namespace) -> int:
    """Measure the newest checkpoint of each run and print a table, a compared table, or one JSON object."""
    names = [name.strip() for name in arguments.measures.split(",") if name.strip()]
    for name in names:
        if name != ALL:
            MEASURES[name]

    from vae_explorer.cli_measure_table import comparison_records, print_comparison, print_run
    from vae_explorer.evaluation.comparison import MeasuredRun, require_comparable
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.training.hardware import choose_device

    device = choose_device("auto")
    loaded = [model_from_run(run, device) for run in arguments.run]
    unmeasured = [
        MeasuredRun(name=name, dataset=config.data.dataset, protocol=config.data.protocol)
        for name, (_, config, _) in zip(distinct_names(arguments.run), loaded, strict=True)
    ]
    require_comparable(unmeasured)
    stopped: list[bool] = []
    with stopping_on_signals(lambda: stopped.append(True), "Stopping with what was measured so far"):
        measured = []
        for run, found in zip(unmeasured, loaded, strict=True):
            measured.append(measure(run, found, names, arguments, lambda: bool(stopped)))
            if stopped:
                break
    if arguments.json:
        objects = [_json_object(run, found) for run, found in zip(measured, loaded, strict=False)]
        several = {"runs": objects, "comparison": comparison_records(measured)}
        say(json.dumps(objects[0] if len(loaded) == 1 else several, ensure_ascii=False, allow_nan=False))
    elif len(measured) == 1:
        print_run(measured[0], loaded[0].step, loaded[0].config)
    else:
        print_comparison(measured, [(found.step, found.config) for found in loaded[: len(measured)]])
    return STOPPED if stopped else 0


def measure(
    run: MeasuredRun,
    loaded: LoadedModel,
    names: Sequence[str],
    arguments: argparse.Namespace,
    is_stopped: Callable[[], bool],
) -> MeasuredRun:
    """The run with what was measured of it, which is less than was asked for where a signal came."""
    from dataclasses import replace

    from vae_explorer.evaluation.evaluate import measuring
    from vae_explorer.evaluation.evaluation import Cancelled
    from vae_explorer.evaluation.needs import Subject, applicable
    from vae_explorer.runs.kept_files import KeptFiles
    from vae_explorer.runs.run_images import load_run_images

    model, config, _ = loaded
    record = MODELS[config.model_name]
    device = next(model.parameters()).device
    images = load_run_images(config, arguments.split, device)
    takes_all = ALL in names
    if takes_all:
        names = [item.name for item in applicable(Subject(record, model, images, has_training=True))]
    shown = ProgressLine(run.name) if sys.stderr.isatty() and not arguments.json else None
    found = []
    try:
        for item in measuring(
            model, record, images, measures=names, samples=arguments.samples, limit=arguments.limit,
            seed=arguments.seed, progress=shown, is_cancelled=is_stopped, store=KeptFiles(),
            refused=(lambda error: complain(error.in_one_line)) if takes_all else None,
            training=lambda: load_run_images(config, "train", device),
        ):  # fmt: skip
            found.append(item)  # noqa: PERF402 - what was found before a stop stays
    except Cancelled:
        complain(f"{run.name}: {len(found)} of {len(names) or 'the default'} measures were taken before the stop.")
    finally:
        if shown is not None:
            paint("")
    return replace(run, measurements=tuple(found))


class ProgressLine:
    """The line of a terminal that says which measure is taken and how long it still takes."""

    def __init__(self, run_name: str) -> None:
        self.run_name = run_name
        self._number = 0
        self._started = self._painted = 0.0

    def __call__(self, progress: Progress) -> None:
        """Paint over the line, a few times a second."""
        now = time.monotonic()
        if progress.number != self._number:
            self._number, self._started, self._painted = progress.number, now, 0.0
        if now - self._painted < _PAINT_SECONDS:
            return
        self._painted = now
        text = f"{self.run_name}: {progress.measure.title} ({progress.number} of {progress.num_measures})"
        share = progress.done / max(1, progress.total)
        if 0 < share < 1:
            left = round((now - self._started) * (1 - share) / share)
            text += f"  {share:4.0%}  ETA {left // 60}:{left % 60:02d}"
        paint(text[: shutil.get_terminal_size().columns - 1])


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, or their paths where two have one name."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _json_object(run: MeasuredRun, loaded: LoadedModel) -> dict[str, Any]:
    records = [item.record() for item in run.measurements]
    return {"run": run.name, "step": loaded.step, "model": loaded.config.model_name, "measures": records}


def sample_run(arguments: argparse.Namespace) -> int:
    """Save a grid of the run's newest checkpoint as PNG and print where."""
    from vae_explorer.datasets.catalogue import DATASETS
    from vae_explorer.export.images import GridSpec, grid_conditions, needs_images, png_text, render_grid, save_png
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.training.hardware import choose_device

    spec = GridSpec(
        rows=arguments.rows, columns=arguments.columns, spacing=arguments.spacing, scale=arguments.scale,
        seed=arguments.seed,
    )  # fmt: skip
    device = choose_device("auto")
    model, config, step = model_from_run(arguments.run, device)
    shows_images = arguments.kind == "interpolation" or needs_images(arguments.kind, MODELS[config.model_name])
    record, num_classes = MODELS[config.model_name], DATASETS[config.data.dataset].num_classes
    told: int | None = arguments.class_number
    if told is not None:
        grid_conditions(record, model, num_classes, told=told)  # said before anything is read
    shown = _shown_images(config, device) if shows_images else None
    images_NCHW = None if shown is None else shown.x(0, shown.num_images)
    labels_N = None if shown is None else shown.labels_N
    conditions = grid_conditions(record, model, num_classes, images_NCHW, labels_N, told)
    pixels = render_grid(arguments.kind, model, spec, images_NCHW, conditions)
    run_name = arguments.run.name
    out = arguments.out
    make_way_for(out)
    save_png(out, pixels, png_text(run_name, config.model_name, step, spec.seed, arguments.kind))
    say(f"Saved {out} ({pixels.shape[1]} x {pixels.shape[0]} pixels, step {step:,}, seed {spec.seed})")
    return 0


def _shown_images(config: RunConfig, device: torch.device) -> ScoredImages:
    """Held-out images under the run's protocol, or training images where none were held out; never test images."""
    from vae_explorer.runs.run_images import load_run_images

    split = "heldout" if config.data.heldout_images else "train"
    images = load_run_images(config, split, device)
    return images.first(_SHOWN_IMAGES)
