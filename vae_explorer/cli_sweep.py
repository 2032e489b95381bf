"""`vae-explorer sweep`: a run for each beta, and the rate-distortion curve of them all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_measure_table import aligned
from vae_explorer.cli_output import say
from vae_explorer.cli_run_series import RunSeries
from vae_explorer.errors import UserError
from vae_explorer.export.rate_distortion import RatePoint, to_csv, to_svg
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs import files
from vae_explorer.training.run_config import RunConfig, with_value

if TYPE_CHECKING:
    from vae_explorer.evaluation.record import Measurement

TABLE_FILE, DRAWING_FILE = "rate-distortion.csv", "rate-distortion.svg"
_MEASURES = ("elbo", "reconstruction", "kl")


def sweep(config: RunConfig, betas: tuple[float, ...], folder: Path, split: str, *, as_json: bool) -> int:
    """Train what is not trained yet, measure all, write the table and the drawing, and return the exit status.

    A run that ended is not trained again; one that was broken off is begun anew. The table and the drawing are written
    after each run, so that they hold what there is. Raises UserError for a model without beta, likelihood or prior,
    and where the folder holds runs of another configuration.
    """
    record = MODELS[config.model_name]
    configs = {beta: with_value(config, "model.beta", beta) for beta in betas}
    if not (record.has_likelihood and record.has_prior):
        raise UserError(
            f"Model '{record.name}' has no rate and no distortion: it needs a likelihood and a prior.",
            "Choose a variational autoencoder.",
        )
    series = RunSeries(folder, {_name(beta): wanted for beta, wanted in configs.items()}, as_json=as_json)
    points: list[RatePoint] = []
    for beta in configs:
        if status := series.train(_name(beta), f"beta {beta:g}"):
            return status
        points.append(_measured(folder / _name(beta), beta, split))
        files.write_text_atomic(folder / TABLE_FILE, to_csv(points))
        title = f"{record.title} on {config.data.dataset}"
        files.write_text_atomic(folder / DRAWING_FILE, to_svg(points, title))
    if as_json:
        rows = [asdict(point) for point in points]
        say(json.dumps({"event": "swept", "points": rows, "folder": str(folder)}, ensure_ascii=False, allow_nan=False))
    else:
        _print_table(points)
        say(f"Written: {folder / TABLE_FILE} and {DRAWING_FILE}")
    return 0


def _name(beta: float) -> str:
    return f"beta-{beta:g}"


def _measured(path: Path, beta: float, split: str) -> RatePoint:
    from vae_explorer.evaluation.evaluate import evaluate
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.runs.run_images import load_run_images
    from vae_explorer.training.hardware import choose_device

    device = choose_device("auto")
    model, config, step = model_from_run(path, device)
    images = load_run_images(config, split, device)
    total, distortion, rate = evaluate(model, MODELS[config.model_name], images, measures=_MEASURES)
    return RatePoint(
        beta=beta, rate=rate.value, rate_error=_error(rate), distortion=distortion.value,
        distortion_error=_error(distortion), elbo=total.value, protocol=total.protocol, bound=str(total.bound),
        n=total.n, split=split, seed=config.training.seed, step=step, run=path.name,
    )  # fmt: skip


def _error(item: Measurement) -> float:
    return 0.0 if item.standard_error is None else item.standard_error


def _print_table(points: list[RatePoint]) -> None:
    best = min(points, key=lambda point: point.elbo)
    header = ("beta", "rate R", "± s.e.", "distortion D", "± s.e.", "R + D", "")
    rows = [
        (
            f"{point.beta:g}", f"{point.rate:.3f}", f"{point.rate_error:.3f}", f"{point.distortion:.3f}",
            f"{point.distortion_error:.3f}", f"{point.elbo:.3f}", "lowest" if point is best else "",
        )
        for point in sorted(points, key=lambda point: point.beta)
    ]  # fmt: skip
    first = points[0]
    say(f"Protocol {first.protocol}, {first.bound}, {first.n:,} images of the {first.split} split, nats per image")
    for line in aligned([header, *rows], right=range(6)):
        say(line)
