"""What a report says of a run, taken from its folder, its newest model and its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vae_explorer.config import read_toml
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.errors import FileError
from vae_explorer.export.curve_drawing import Curve, curves_svg
from vae_explorer.export.images import GridSpec, grid_conditions, render_grid
from vae_explorer.export.map_drawing import (
    PageDrawing,
    codes_of,
    data_address,
    data_plane,
    latent_map,
    shown_items,
)
from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import take_snapshot
from vae_explorer.runs.course_events import FORKED
from vae_explorer.runs.history import Metrics, read_events, read_metrics
from vae_explorer.runs.run_course import told_course
from vae_explorer.runs.run_directory import CONFIG_FILE

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.runs.checkpoint import LoadedModel
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.training.run_config import RunConfig

_COLUMNS = 12
_PICTURE_PIXELS = 56  # about as large as a picture of a grid is made
_MOST_CLASS_ROWS = 10
_MOST_SETTINGS_SAID = 8
_SAMPLE_ROWS, _RECONSTRUCTION_ROWS = 6, 3
_SPLITS = {"train": "training", "heldout": "held out"}
_OTHER_CURVES = (
    ("learning_rate", "Learning rate", ""),
    ("beta", "β", ""),
    ("active_units", "Active units", "dimensions"),
    ("gradient_norm", "Gradient norm", ""),
    ("images_per_second", "Speed", "images/s"),
)

_PLAIN_IF_CONSTANT = ("learning_rate", "beta", "gradient_norm")  # the first two stand among the settings


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the run's events that a reader should know of."""

    step: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportContent:
    """Everything that a report shows. `curves` are SVG; `samples` and `reconstructions` addresses of embedded PNG.

    `ancestry` says where a child comes from; empty for others. `latent_drawings` are the map, the data plane, or both;
    empty for a model that has neither. `environment` is what run.toml says, by name; it is a stranger's text.
    """

    name: str
    config: RunConfig
    step: int
    ancestry: str
    totals: Mapping[str, float]
    curves: Sequence[str]
    happenings: Sequence[Happening]
    samples: str
    reconstructions: str
    latent_drawings: Sequence[PageDrawing]
    measurements: Sequence[Measurement]
    environment: Mapping[str, str]


def report_content(
    run: RunDirectory,
    loaded: LoadedModel,
    dataset: ImageDataset,
    shown: ScoredImages,
    measurements: Sequence[Measurement],
) -> ReportContent:
    """Gather and draw everything.

    `dataset` is the training source on the model's device, `shown` pictures to reconstruct under the run's protocol.
    Raises UserError where a picture cannot be drawn, FileError where a file of the run is damaged.
    """
    metrics, events = read_metrics(run), read_events(run)
    return ReportContent(
        name=run.name,
        config=run.config,
        step=loaded.step,
        ancestry=told_course(run)[1].sentence,
        totals=_totals(metrics),
        curves=_curves(run.config, metrics, events),
        happenings=[found for event in events if (found := _happening(event)) is not None],
        samples=_grid("prior", loaded, shown),
        reconstructions=_grid("reconstructions", loaded, shown),
        latent_drawings=_latent_drawings(run, loaded, dataset),
        measurements=measurements,
        environment=_environment(run),
    )


def _totals(metrics: Metrics) -> dict[str, float]:
    """The last known epoch, images seen and seconds of training."""
    found = {}
    for name in ("epoch", "images_seen", "seconds"):
        values = metrics.columns.get(name)
        if values is not None and len(values):
            found[name] = float(values[-1])
    return found


def _curves(config: RunConfig, metrics: Metrics, events: Sequence[Mapping[str, Any]]) -> list[str]:
    changed = [event for event in events if event.get("event") == "setting_changed"]
    changes = [(_number(event, "images_seen"), _change_words(event)) for event in changed]
    forks = [event for event in events if event.get("event") == FORKED]
    changes += [(_number(event, "images_seen"), f"Left {_text(event.get('parent'))}") for event in forks]
    wanted = [(term.name, term.title, term.unit) for term in MODELS[config.model_name].terms]
    splits = {split: metrics.of(split) for split in _SPLITS}
    drawn = []
    for name, title, unit in (*wanted, *_OTHER_CURVES):
        curves = [
            Curve(
                f"{title}, {'held out' if split == 'heldout' else 'training'}", split, rows["images_seen"], rows[name]
            )
            for split, rows in splits.items()
            if name in rows and "images_seen" in rows and len(rows[name])
        ]
        if name not in _PLAIN_IF_CONSTANT or any(_varies(curve) for curve in curves):
            drawn.append(curves_svg(title, unit, curves, changes))
    return [svg for svg in drawn if svg]


def _varies(curve: Curve) -> bool:
    return len(np.unique(curve.y_N[np.isfinite(curve.y_N)])) > 1


def _change_words(event: Mapping[str, Any]) -> str:
    return f"{_text(event.get('path'))} from {_text(event.get('old'))} to {_text(event.get('new'))}"


def _happening(event: Mapping[str, Any]) -> Happening | None:
    match event.get("event"):
        case "setting_changed":
            words = f"Setting changed: {_change_words(event)}"
        case "forked":
            told = event.get("changed")
            items = [item for item in told if isinstance(item, Mapping)] if isinstance(told, list) else []
            settings = "; ".join(_change_words(item) for item in items[:_MOST_SETTINGS_SAID])
            words = f"Left its parent {_text(event.get('parent'))} here" + (f" with {settings}" if settings else "")
        case "steps_skipped":
            words = f"{_text(event.get('skipped'))} steps were skipped: numbers that were not finite"
        case "paused" if event.get("reason"):
            words = f"Paused: {_text(event.get('reason'))}"
        case "warning" | "error" as kind:
            words = f"{kind.capitalize()}: {_text(event.get('message'))}"
        case "resumed":
            words = "Resumed"
        case "weights_taken":
            words = f"Started from the weights in {_text(event.get('file'))}, SHA-256 {_text(event.get('sha256'))}"
        case "finished":
            words = f"Ended: {_text(event.get('reason'))}"
        case _:
            return None
    return Happening(int(_number(event, "step")), words)


def _number(event: Mapping[str, Any], name: str) -> float:
    value = event.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 2**53 else 0.0


def _text(value: object) -> str:
    return str(value)[:300]


def _grid(kind: str, loaded: LoadedModel, shown: ScoredImages) -> str:
    """A grid as an embedded picture; "" where the model cannot give one."""
    model, config, _ = loaded
    record, data = MODELS[config.model_name], DATASETS[config.data.dataset]
    if kind == "prior" and not record.can_be_sampled:
        return ""
    images_NCHW = shown.x(0, shown.num_images)
    conditions = grid_conditions(record, model, data.num_classes, images_NCHW, shown.labels_N)
    rows = _RECONSTRUCTION_ROWS
    if kind == "prior":
        rows = min(data.num_classes, _MOST_CLASS_ROWS) if record.condition == "class" else _SAMPLE_ROWS
    side = DataSpace(data.image_shape).picture_shape[1]
    spec = GridSpec(rows=rows, columns=_COLUMNS, scale=max(1, round(_PICTURE_PIXELS / side)))
    # Images are for models whose samples are made of them; where there is a prior it alone is drawn from.
    given = images_NCHW if kind == "reconstructions" or not record.has_prior or record.condition == "part" else None
    return data_address(render_grid(kind, model, spec, given, conditions))


def _latent_drawings(run: RunDirectory, loaded: LoadedModel, dataset: ImageDataset) -> list[PageDrawing]:
    explorer = _explorer(run, loaded, dataset)
    drawings = []
    if explorer.record.has_codes:
        ids_M = shown_items(explorer)
        codes_MD = codes_of(explorer, ids_M)
        codes_ND = torch.full((dataset.images.num_images, codes_MD.shape[1]), torch.nan)
        codes_ND[torch.from_numpy(ids_M)] = torch.from_numpy(codes_MD)
        explorer = _explorer(run, loaded, dataset, codes_ND)
        drawings.append(latent_map(explorer, ids_M, codes_MD))
    if dataset.image_shape == (2, 1, 1):
        drawings.append(data_plane(explorer))
    return drawings


def _explorer(
    run: RunDirectory, loaded: LoadedModel, dataset: ImageDataset, codes_ND: torch.Tensor | None = None
) -> Explorer:
    config = run.config
    device = next(loaded.model.parameters()).device
    explorer = Explorer()
    explorer.adopt(
        take_snapshot(
            loaded.model, None if codes_ND is None else codes_ND.to(device), run_name=run.name,
            model_name=config.model_name, model_config=config.model,
            data_space=DataSpace(dataset.image_shape, dataset.num_classes, config.data.protocol),
            step=loaded.step, images_seen=0, beta=float(getattr(config.model, "beta", 1.0)),
        )
    )  # fmt: skip
    explorer.show_images(dataset)
    return explorer


def _environment(run: RunDirectory) -> dict[str, str]:
    """What run.toml says of the machine, as texts of no great length; empty where it says nothing."""
    try:
        table = read_toml(run.path / CONFIG_FILE)
    except FileError:
        return {}
    said = table.get("environment")
    facts = {"created": table["created"]} if isinstance(table.get("created"), str) else {}
    facts |= dict(said) if isinstance(said, dict) else {}
    plain = {name: value for name, value in facts.items() if isinstance(value, str | int | float)}
    return {_text(name): _text(value) for name, value in list(plain.items())[:40]}
