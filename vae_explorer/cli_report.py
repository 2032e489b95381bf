"""`vae-explorer report`: one HTML file about a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from vae_explorer.cli_output import say
from vae_explorer.cli_signals import STOPPED, stopping_on_signals
from vae_explorer.export.exportables import EXPORTABLES, require_ending
from vae_explorer.runs.own_names import make_way_for

NO_MEASURES = "none"


def report_run(arguments: argparse.Namespace) -> int:
    """Measure the newest checkpoint, draw everything and write the file; returns the exit status.

    A signal while measures are taken leaves no file. Raises UserError where something cannot be measured, drawn or
    written.
    """
    out: Path = arguments.out
    require_ending(EXPORTABLES["report"], out)
    make_way_for(out)
    from vae_explorer.cli_evaluate import measure
    from vae_explorer.evaluation.comparison import MeasuredRun
    from vae_explorer.export.report_file import write_report
    from vae_explorer.runs.checkpoint import model_from_run
    from vae_explorer.runs.run_directory import RunDirectory
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
    for line in write_report(run.path, loaded, measured.measurements, out):
        say(line)
    return 0
