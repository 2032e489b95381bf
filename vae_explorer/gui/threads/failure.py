"""An exception of a worker thread as plain text, so that nothing keeps the thread's memory alive.

A traceback holds every local of every frame, tensors included (pytorch/pytorch#18853): it is turned into text inside
the handler, and only the text leaves the thread.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from vae_explorer.errors import SettingError, UserError, is_out_of_memory


@dataclass(frozen=True)
class Failure:
    """What went wrong. `report` is the traceback of a bug, empty where a person can mend the cause."""

    message: str
    hint: str
    report: str = ""
    near: str | None = None
    out_of_memory: bool = False


def failure_of(error: BaseException) -> Failure:
    """Describe an exception. Call it inside the handler, keep nothing but its answer."""
    if isinstance(error, UserError):
        near = error.key if isinstance(error, SettingError) else None
        return Failure(error.message, error.hint, near=near)
    if is_out_of_memory(error):
        return Failure(
            "There was not enough memory for this run.",
            "Choose a smaller batch size or a smaller network, then train again.",
            near="training.batch_size",
            out_of_memory=True,
        )
    report = "".join(traceback.format_exception(error))
    return Failure(f"Unexpected error: {type(error).__name__}.", "The report can be copied and sent along.", report)
