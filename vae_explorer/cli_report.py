"""`vae-explorer report`: one HTML file about a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from vae_explorer.cli_output import complain, say
from vae_explorer.cli_signals import STOPPED, stopping_on_signals
from vae_explorer.errors import FileError

NO_MEASURES = "none"
_SHOWN_IMAGES = 2000


def report_run(arguments: argparse.Namespace) -> int:
    """Measure the newest checkpoint, draw everything and write the file; returns the exit status.

    A signal while measures are taken leaves no file. Raises UserError where something cannot be measured, drawn or
    written.
    """
    out: Path = arguments.out
    if out.suffix.lower() not in (".html", ".htm"):
        raise FileError(out, f"{out.name} is no name for a report.", "End it in .html.")
    from vae_explorer.cli_evaluate import measure
    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.export.report import report_html
    from vae_explorer.export.report_content import report_content
    from vae_explorer.runs import files
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.runs.run_directory import RunDirectory
    from vae_explorer.runs.run_images import load_run_images, load_training_images
    from vae_explorer.training.hardware import choose_device

    run, device = RunDirectory.open(arguments.run), choose_device("auto")
    loaded = model_from_run(run.path, device)
    names = [name.strip() for name in arguments.measures.split(",") if name.strip()]
    stopped: list[bool] = []
    measured = MeasuredRun(name=run.name, dataset=run.config.data.dataset, protocol=run.config.data.protocol)
    with stopping_on_signals(lambda: stopped.append(True), "Stopping; no report is written"):
        if names != [NO_MEASURES]:
            measured = measure(measured, loaded, names, arguments, lambda: bool(stopped))
    if stopped:
        return STOPPED
    split = "heldout" if run.config.data.heldout_images else "train"
    shown = load_run_images(run.config, split, device).first(_SHOWN_IMAGES)
    dataset = load_training_images(run.config, device)
    content = report_content(run, loaded, dataset, shown, measured.measurements)
    page = report_html(content).encode("utf-8")
    files.write_bytes_atomic(out, page)
    if not content.curves:
        complain(f"{run.name} has no curves: it was stopped before its first report.")
    say(f"Saved {out} ({len(page) / 1000:,.0f} kB, step {loaded.step:,}, {len(measured.measurements)} measures)")
    return 0
