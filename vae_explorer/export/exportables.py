"""What a run can be asked for as files for other programs and people: what it has learnt, measured or been made with.

The command line and the window offer what stands here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

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
    """One thing that a run can be asked for: its title, in words, the endings that its name may have ("": a folder),
    and the work.

    `write(run, out)` returns sentences on what was written. Raises UserError.
    """

    title: str
    summary: str
    endings: tuple[str, ...]
    write: Callable[[Path, Path], tuple[str, ...]]


def export(name: str, run: Path, out: Path) -> tuple[str, ...]:
    """Write what was asked for of the run in that folder; sentences on where it is and what it takes and gives.

    Raises UserError for an unknown thing, FileError for a name that does not suit it or a file that was not good.
    """
    from vae_explorer.runs.own_names import make_way_for

    what = EXPORTABLES.get(name)
    if what is None:
        raise UserError(f"A run has no '{name}' to export.", nearest_hint(name, EXPORTABLES))
    require_ending(what, out)
    make_way_for(out)
    if "" in what.endings and not out.suffix:
        _require_free(out)
    return what.write(run, out)


def require_ending(what: Exportable, out: Path) -> None:
    """Raise FileError where the name is none for it."""
    if out.suffix.lower() not in what.endings:
        raise FileError(out, f"{out.name} is no name for {what.summary}.", f"Choose {endings_words(what)}.")


def endings_words(what: Exportable) -> str:
    """The endings in words, such as `.csv, or a folder's name without an ending`."""
    named = [ending or "a folder's name without an ending" for ending in what.endings]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _write_encoder(run: Path, out: Path) -> tuple[str, ...]:
    return _write_network("encoder", run, out)


def _write_decoder(run: Path, out: Path) -> tuple[str, ...]:
    return _write_network("decoder", run, out)


def _write_network(name: PartName, run: Path, out: Path) -> tuple[str, ...]:
    from vae_explorer.export.network_files import export_network

    loaded, images = _loaded(run)
    exported = export_network(out, name, run.name, loaded, images)
    return (
        f"Saved {out} ({name}, step {loaded.step:,}): {exported.inputs} → {exported.outputs}",
        f"Read back and tried on {exported.num_tried} {images.split} images: {exported.agreement.words}",
    )


def _write_model(run: Path, out: Path) -> tuple[str, ...]:
    from vae_explorer.export.network_files import export_model

    loaded, images = _loaded(run)
    exported = export_model(out, run.name, loaded, images)
    return (
        f"Saved {out} (all weights, step {loaded.step:,})",
        f"Read back and tried on {exported.num_tried} {images.split} images: {exported.agreement.words}",
    )


def _write_metrics(run: Path, out: Path) -> tuple[str, ...]:
    from vae_explorer.export.metric_tables import event_files, metrics_csv
    from vae_explorer.runs.history import read_metrics
    from vae_explorer.runs.run_directory import RunDirectory

    directory = RunDirectory.open(run)
    metrics = read_metrics(directory)
    if not len(metrics.split):
        raise FileError(run, f"{run} has no metrics yet.", "Train it for a moment, or choose another run.")
    if out.suffix:
        files.write_text_atomic(out, metrics_csv(metrics))
    else:
        files.write_folder(out, event_files(metrics, _started(directory)))
    return (f"Saved {out} ({len(metrics.split):,} rows)",)


def _write_recipe(run: Path, out: Path) -> tuple[str, ...]:
    from vae_explorer.export.recipe import SCRIPT, recipe_of
    from vae_explorer.runs.run_directory import RunDirectory

    recipe = recipe_of(RunDirectory.open(run))
    files.write_folder(out, recipe.contents)
    return (*recipe.notes, f"Saved {out}; train the run again with: sh {shlex.quote(str(out / SCRIPT))}")


def _write_report(run: Path, out: Path) -> tuple[str, ...]:
    from vae_explorer.evaluation.evaluate import evaluate
    from vae_explorer.export.report_file import write_report
    from vae_explorer.models.catalogue import MODELS
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.runs.kept_files import KeptFiles
    from vae_explorer.runs.run_images import load_run_images
    from vae_explorer.training.hardware import choose_device

    loaded = model_from_run(run, choose_device("auto"))
    images = load_run_images(loaded.config, "test", next(loaded.model.parameters()).device)
    found = evaluate(loaded.model, MODELS[loaded.config.model_name], images, store=KeptFiles())
    return write_report(run, loaded, found, out)


_NETWORK_ENDINGS = (".safetensors", ".pt2", ".onnx")

EXPORTABLES = {
    "encoder": Exportable("Encoder", "the network from pictures to q(z|x)", _NETWORK_ENDINGS, _write_encoder),
    "decoder": Exportable("Decoder", "the network from z to mean pictures", _NETWORK_ENDINGS, _write_decoder),
    "model": Exportable("All weights", "all weights", (".safetensors",), _write_model),
    "metrics": Exportable("Curves", "the curves (a folder is for TensorBoard)", (".csv", ""), _write_metrics),
    "recipe": Exportable("Recipe", "a script and a configuration that train the run again", ("",), _write_recipe),
    "report": Exportable("Report", "one HTML file about the run", (".html", ".htm"), _write_report),
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
