"""What the functions of `notebook` are given, checked first: a value of another type is one sentence too."""

from __future__ import annotations

import operator
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError

_NUMERIC_KINDS = "biuf"  # of numpy: truth values, whole numbers, floats


def path_of(value: str | PathLike[str] | object, name: str) -> Path:
    """A path in a string or a path object. Raises UserError for anything else."""
    try:
        text = fspath(value)  # type: ignore[arg-type]  # whatever a person gave
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise UserError(
            f"{name} is no path but a value of the type {type(value).__name__}.", "Give a string or a pathlib.Path."
        )
    return Path(text)


def numbers_in(values: object, what: str) -> NDArray[np.generic]:
    """An array of numbers, from whatever holds them. Raises UserError where something else is in it."""
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # lists of unlike lengths, a tensor that needs a gradient
        found = np.asarray(None)
    if found.dtype.kind not in _NUMERIC_KINDS:
        raise UserError(f"{what} are no array of numbers.", "Give a numpy array, a CPU tensor or nested lists.")
    return found


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`. Raises UserError for anything else."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # whatever a person gave
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise UserError(f"{name} is {value!r:.80}.", f"Give a whole number from {least:,} to {most:,}.")
    return number
