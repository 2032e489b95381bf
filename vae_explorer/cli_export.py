"""`vae-explorer export`: what a run has learnt, measured or been made with, as files for other programs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_explorer.cli_output import say
from vae_explorer.errors import FileError, UserError, nearest_hint
from vae_explorer.runs import files

if TYPE_CHECKING:
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.export.networks import PartName
    from vae_explorer.runs.checkpoint import LoadedModel
    from vae_explorer.runs.run_directory import RunDirectory

_TRIED_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Exportable:
    """One thing that a run can be asked for: in words, the endings that `--out` may have ("": a folder), the work."""

    summary: str
    endings: tuple[str, ...]
    write: Callable[[argparse.Namespace], None]


def export_run(arguments: argparse.Namespace) -> int:
    """Write what was asked for and say where it is and what it takes and gives.

    Raises UserError for an unknown thing, FileError for a name that does not suit it or a file that was not good.
    """
    what = EXPORTABLES.get(arguments.what)
    if what is None:
        raise UserError(f"A run has no '{arguments.what}' to export.", nearest_hint(arguments.what, EXPORTABLES))
    out: Path = arguments.out
    if out.suffix.lower() not in what.endings:
        raise FileError(out, f"{out.name} is no name for {what.summary}.", f"Choose {endings_words(what)}.")
    if "" in what.endings and not out.suffix:
        _require_free(out)
    what.write(arguments)
    return 0


def endings_words(what: Exportable) -> str:
    """The endings in words, such as `.csv, or a folder's name without an ending`."""
    named = [ending or "a folder's name without an ending" for ending in what.endings]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _write_encoder(arguments: argparse.Namespace) -> None:
    _write_network("encoder", arguments)


def _write_decoder(arguments: argparse.Namespace) -> None:
    _write_network("decoder", arguments)


def _write_network(name: PartName, arguments: argparse.Namespace) -> None:
    from vae_explorer.export.network_files import export_network

    out: Path = arguments.out
    loaded, images = _loaded(arguments.run)
    exported = export_network(out, name, arguments.run.name, loaded, images)
    say(f"Saved {out} ({name}, step {loaded.step:,}): {exported.inputs} → {exported.outputs}")
    say(f"Read back and tried on {exported.num_tried} {images.split} images: {exported.agreement.words}")


def _write_model(arguments: argparse.Namespace) -> None:
    from vae_explorer.export.network_files import export_model

    loaded, images = _loaded(arguments.run)
    exported = export_model(arguments.out, arguments.run.name, loaded, images)
    say(f"Saved {arguments.out} (all weights, step {loaded.step:,})")
    say(f"Read back and tried on {exported.num_tried} {images.split} images: {exported.agreement.words}")


def _write_metrics(arguments: argparse.Namespace) -> None:
    from vae_explorer.export.metric_tables import event_files, metrics_csv
    from vae_explorer.runs.history import read_metrics
    from vae_explorer.runs.run_directory import RunDirectory

    run, out = RunDirectory.open(arguments.run), arguments.out
    metrics = read_metrics(run)
    if not len(metrics.split):
        raise FileError(run.path, f"{run.path} has no metrics yet.", "Train it for a moment, or choose another run.")
    if out.suffix:
        files.write_text_atomic(out, metrics_csv(metrics))
    else:
        files.write_folder(out, event_files(metrics, _started(run)))
    say(f"Saved {out} ({len(metrics.split):,} rows)")


def _write_recipe(arguments: argparse.Namespace) -> None:
    from vae_explorer.export.recipe import SCRIPT, recipe_of
    from vae_explorer.runs.run_directory import RunDirectory

    out: Path = arguments.out
    recipe = recipe_of(RunDirectory.open(arguments.run))
    files.write_folder(out, recipe.contents)
    for note in recipe.notes:
        say(note)
    say(f"Saved {out}; train the run again with: sh {shlex.quote(str(out / SCRIPT))}")


_NETWORK_ENDINGS = (".safetensors", ".pt2", ".onnx")

EXPORTABLES = {
    "encoder": Exportable("the network from pictures to q(z|x)", _NETWORK_ENDINGS, _write_encoder),
    "decoder": Exportable("the network from z to mean pictures", _NETWORK_ENDINGS, _write_decoder),
    "model": Exportable("all weights", (".safetensors",), _write_model),
    "metrics": Exportable("the curves (a folder is for TensorBoard)", (".csv", ""), _write_metrics),
    "recipe": Exportable("a script and a configuration that train the run again", ("",), _write_recipe),
}
"""By the word of `--what`."""


def _loaded(path: Path) -> tuple[LoadedModel, ScoredImages]:
    """The newest model on the CPU, and images to try it on: held-out ones, or training images where there are none."""
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.runs.run_images import load_run_images

    loaded = model_from_run(path)
    split = "heldout" if loaded.config.data.heldout_images else "train"
    return loaded, load_run_images(loaded.config, split, "cpu").first(_TRIED_IMAGES)


def _require_free(out: Path) -> None:
    """Raise FileError where a folder would take the place of something."""
    if not files.exists(out):
        return
    try:
        is_free = out.is_dir() and not any(out.iterdir())
    except OSError as error:
        raise files.file_error(out, error, "read") from error
    if not is_free:
        raise FileError(out, f"{out} is there already and is not an empty folder.", "Choose a new folder.")


def _started(run: RunDirectory) -> float:
    """When the run began, in seconds since 1970; 0 where its events do not say so."""
    from vae_explorer.runs.history import read_events

    try:
        first = next(event for event in read_events(run) if event.get("event") == "started")
        return max(0.0, datetime.fromisoformat(str(first["time"])).timestamp())
    except (StopIteration, KeyError, ValueError, OverflowError, OSError):
        return 0.0
