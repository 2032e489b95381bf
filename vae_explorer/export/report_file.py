"""The report of a run as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vae_explorer.export.report import report_html
from vae_explorer.export.report_content import report_content
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.runs.run_images import load_run_images, load_training_images

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.evaluation.record import Measurement
    from vae_explorer.runs.checkpoint import LoadedModel

_SHOWN_IMAGES = 2000


def write_report(run: Path, loaded: LoadedModel, measured: Sequence[Measurement], out: Path) -> tuple[str, ...]:
    """Draw everything of the run in that folder and write the file; sentences on what was written.

    Raises UserError where something cannot be drawn or written.
    """
    directory, device = RunDirectory.open(run), next(loaded.model.parameters()).device
    split = "heldout" if directory.config.data.heldout_images else "train"
    shown = load_run_images(directory.config, split, device).first(_SHOWN_IMAGES)
    content = report_content(directory, loaded, load_training_images(directory.config, device), shown, measured)
    page = report_html(content).encode("utf-8")
    files.write_bytes_atomic(out, page)
    facts = f"{len(page) / 1000:,.0f} kB, step {loaded.step:,}, {len(measured)} measures"
    no_curves = f"{directory.name} has no curves: it was stopped before its first report."
    return (*([] if content.curves else [no_curves]), f"Saved {out} ({facts})")
