"""`vae-explorer export`: files of a run for other programs and people."""

from __future__ import annotations

import argparse

from vae_explorer.cli_output import say
from vae_explorer.export.exportables import export


def export_run(arguments: argparse.Namespace) -> int:
    """Write what was asked for and say where it is; returns the exit status. Raises UserError as `export`."""
    for line in export(arguments.what, arguments.run, arguments.out):
        say(line)
    return 0
