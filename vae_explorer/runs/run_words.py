"""What a run's numbers look like in a table, on the command line and in the window alike; units stand in the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae_explorer.runs.run_summary import RunSummary

TRAINED_AGAIN = "The run goes on from there; what came after is trained again."
USUAL_UNIT = "nats per image"
"""The unit of most scores; those of another say it beside the number."""


def duration_text(seconds: float) -> str:
    """Hours, minutes and seconds, as in 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def size_text(num_bytes: int) -> str:
    """Megabytes."""
    return f"{num_bytes / 1e6:,.1f}"


def score_text(run: RunSummary, value: float | None) -> str:
    """A value of the run's term; empty where there is none."""
    if value is None:
        return ""
    digits = 2 if 0.1 <= abs(value) < 1e5 else 4
    text = f"{value:.{digits}f}" if 1e-3 <= abs(value) < 1e7 or value == 0 else f"{value:.3e}"
    return text if run.term.unit == USUAL_UNIT else f"{text} {run.term.unit}"


def created_text(run: RunSummary) -> str:
    """The day and the minute, in this machine's time."""
    return f"{run.created.astimezone():%Y-%m-%d %H:%M}"


def epochs_words(num: int) -> str:
    """So many epochs."""
    return "one epoch" if num == 1 else f"{num:,} epochs"
