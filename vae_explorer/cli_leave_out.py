"""`vae-explorer leave-out`: as many runs as parts, each without one part, and what single images owe to being seen."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_explorer.cli_measure_table import aligned
from vae_explorer.cli_output import say
from vae_explorer.cli_run_series import RunSeries
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs import files
from vae_explorer.training.run_config import RunConfig, with_value

if TYPE_CHECKING:
    import torch

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.leave_out import LeaveOut

TABLE_FILE, PICTURE_FILE = "memorisation.csv", "most-memorised.png"
_PICTURE_ROWS, _PICTURE_COLUMNS = 4, 8
_SEED = 0
"""Of the importance samples; the same for every run, so that their differences are not of the draw."""


def leave_out(config: RunConfig, num_parts: int, num_images: int, samples: int, folder: Path, *, as_json: bool) -> int:
    """Train a run for each part that is not there yet, score the images under all, and return the exit status.

    Writes a line an image into memorisation.csv and the most memorised images into most-memorised.png. Raises UserError
    for a model without likelihood and where the folder holds runs of another configuration.
    """
    from vae_explorer.datasets.image_dataset import load_dataset
    from vae_explorer.evaluation.leave_out import LeaveOut, require_scores, spread_over_parts
    from vae_explorer.runs.run_images import load_training_images
    from vae_explorer.training.hardware import choose_device

    require_scores(MODELS[config.model_name])
    device = choose_device(config.training.device)
    data = config.data
    source = load_dataset(data.dataset, 0, device, data.protocol)
    config = with_value(config, "data.heldout_images", -(-source.images.num_images // num_parts))
    configs = {_name(part): with_value(config, "data.heldout_part", part) for part in range(num_parts)}
    parts = [load_training_images(wanted, "cpu").heldout_index_N for wanted in configs.values()]
    item_N, part_N = spread_over_parts(parts, num_images)

    series = RunSeries(folder, configs, as_json=as_json)
    for name in configs:
        if status := series.train(name, f"without part {name.removeprefix('without-part-')}"):
            return status
    images = _scored(config, source, item_N)
    nll_PN, bound = _scores([folder / name for name in configs], images, samples)
    found = LeaveOut(nll_PN, part_N)
    files.write_text_atomic(folder / TABLE_FILE, _to_csv(found, item_N, images))
    _save_pictures(folder / PICTURE_FILE, found, images, config)
    summary = _summary(found, config, bound, num_parts)
    if as_json:
        say(json.dumps({"event": "left out", **summary, "folder": str(folder)}, ensure_ascii=False, allow_nan=False))
    else:
        _print(summary)
        say(f"Written: {folder / TABLE_FILE} and {PICTURE_FILE}")
    return 0


def _name(part: int) -> str:
    return f"without-part-{part}"


def _scored(config: RunConfig, source: Any, item_N: torch.Tensor) -> ScoredImages:
    """The chosen images, drawn once, so that every run scores the same bits."""
    from vae_explorer.evaluation.images import scored_images

    index_N = item_N.to(source.images.device)
    return scored_images(
        source.images, index_N, config.data.protocol, "train", labels_N=source.labels_N, num_classes=source.num_classes
    )


def _scores(paths: list[Path], images: ScoredImages, samples: int) -> tuple[torch.Tensor, str]:
    import torch

    from vae_explorer.evaluation.leave_out import nll_of_images
    from vae_explorer.runs.checkpoint import model_from_run

    rows, bound = [], ""
    for path in paths:
        model, config, _ = model_from_run(path, images.stored_NCHW.device)
        nll_N, bound = nll_of_images(model, MODELS[config.model_name], images, samples, _SEED)
        rows.append(nll_N)
    return torch.stack(rows), bound


def _to_csv(found: LeaveOut, item_N: torch.Tensor, images: ScoredImages) -> str:
    """A line an image, the most memorised first."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("item", "label", "part", "nll_left_out", "nll_kept", "memorisation"))
    labels = None if images.labels_N is None else images.labels_N.tolist()
    columns = (found.left_out_N, found.kept_N, found.memorisation_N)
    for i in found.memorisation_N.argsort(descending=True).tolist():
        label = "" if labels is None else labels[i]
        table.writerow(
            (int(item_N[i]), label, int(found.part_N[i]), *(f"{float(column[i]):.4f}" for column in columns))
        )
    return text.getvalue()


def _save_pictures(path: Path, found: LeaveOut, images: ScoredImages, config: RunConfig) -> None:
    from vae_explorer.export.images import GridSpec, compose, png_text, save_png

    rows = min(_PICTURE_ROWS, images.num_images // _PICTURE_COLUMNS or 1)
    columns = min(_PICTURE_COLUMNS, images.num_images)
    most_N = found.memorisation_N.argsort(descending=True)[: rows * columns]
    pictures = images.shown_at(most_N).unflatten(0, (rows, columns))
    text = png_text(path.parent.name, config.model_name, 0, _SEED, "most memorised training images, row by row")
    save_png(path, compose(pictures, GridSpec(rows=rows, columns=columns)), text)


def _summary(found: LeaveOut, config: RunConfig, bound: str, num_parts: int) -> dict[str, Any]:
    import torch

    from vae_explorer.evaluation.leave_out import QUANTILES

    memorisation_N = found.memorisation_N
    quantiles = torch.quantile(memorisation_N, torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
    return {
        "model": config.model_name, "protocol": config.data.protocol, "bound": bound, "unit": "nats per image",
        "parts": num_parts, "n": len(memorisation_N), "split": "train", "seed": config.training.seed,
        "nll_left_out": float(found.left_out_N.mean()), "nll_kept": float(found.kept_N.mean()),
        "memorisation": float(memorisation_N.mean()),
        "standard_error": float(memorisation_N.std()) / len(memorisation_N) ** 0.5,
        "quantiles": {f"{share:g}": round(value, 4) for share, value in zip(QUANTILES, quantiles, strict=True)},
    }  # fmt: skip


def _print(summary: dict[str, Any]) -> None:
    say(
        f"Protocol {summary['protocol']}, {summary['bound']}, {summary['n']:,} training images of {summary['parts']} "
        f"parts, nats per image"
    )
    rows = [
        ("-log p(x), trained without x", f"{summary['nll_left_out']:.3f}"),
        ("-log p(x), trained with x", f"{summary['nll_kept']:.3f}"),
        ("memorisation, mean", f"{summary['memorisation']:.3f} ± {summary['standard_error']:.3f}"),
        *(
            (f"memorisation, {float(share):.0%} of images below", f"{value:.3f}")
            for share, value in summary["quantiles"].items()
        ),
    ]
    for line in aligned(rows, right=()):
        say(line)
