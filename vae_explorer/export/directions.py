"""Attribute directions as JSON: written so that a person can read them, read so that a stranger's file can do no harm.

{"format": "vae-explorer-directions", "format_version": 1, "created_by": "VAE Explorer 0.1.0",
 "run": "...", "model": "vae", "dimensions": 2,
 "directions": [{"name": "...", "summary": "...", "vector": [0.5, -1.25]}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vae_explorer import __version__
from vae_explorer.errors import FileError
from vae_explorer.latent.arrangement import Direction
from vae_explorer.runs import files

FORMAT = "vae-explorer-directions"
FORMAT_VERSION = 1
MAXIMUM_BYTES = 1_000_000
MOST_DIRECTIONS = 200
MOST_LETTERS = {"name": 80, "summary": 400}
LARGEST_NUMBER = 1e6
"""No latent space is wider: a larger number is damage, and would decode to pictures of infinities."""

_DEPTH = 4
_KEYS = {"format", "format_version", "created_by", "run", "model", "dimensions", "directions"}
_DIRECTION_KEYS = {"name", "summary", "vector"}
_HINT = "Choose a file that was saved with “Save directions…” and not changed since."


def directions_json(directions: Iterable[Direction], run_name: str = "", model_name: str = "") -> str:
    """The text of a file of directions of one latent space, ending in a newline; `read_directions` gives them back."""
    entries = [{"name": known.name, "summary": known.summary, "vector": list(known.vector)} for known in directions]
    sizes = {len(entry["vector"]) for entry in entries}
    assert len(sizes) == 1, "at least one direction, all of one latent space"
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_by": f"VAE Explorer {__version__}",
        "run": run_name,
        "model": model_name,
        "dimensions": sizes.pop(),
        "directions": entries,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_directions(path: Path, num_dimensions: int) -> tuple[Direction, ...]:
    """The directions of a file, for a latent space of so many dimensions, in the file's order.

    Raises FileError for a file that cannot be read, is larger than 1 MB, is not whole, is of a newer format, or belongs
    to a latent space of another size.
    """
    content = _json_object(path, files.read_bytes(path, MAXIMUM_BYTES))
    if content.get("format") != FORMAT:
        raise FileError(path, f"{path} holds no directions of VAE Explorer.", _HINT)
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise _damaged(path, "its format version is no whole number")
    if version > FORMAT_VERSION:
        raise FileError(
            path,
            f"{path} has format version {version}, which is newer than this program's {FORMAT_VERSION}.",
            "Open it with a newer version of VAE Explorer.",
        )
    _require_keys(path, content, _KEYS)
    for key in ("created_by", "run", "model"):
        _text(path, content[key], f"“{key}”", 400)
    dimensions = content["dimensions"]
    if type(dimensions) is not int or dimensions < 1:
        raise _damaged(path, "its number of dimensions is none")
    entries = content["directions"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_DIRECTIONS:
        raise _damaged(path, f"it does not hold 1 to {MOST_DIRECTIONS} directions")
    directions = tuple(_direction(path, entry, dimensions) for entry in entries)
    names = [known.name for known in directions]
    if len(set(names)) != len(names):
        raise _damaged(path, "two of its directions have the same name")
    if dimensions != num_dimensions:
        raise FileError(
            path,
            f"{path} holds directions of {_counted(dimensions)}; this latent space has {num_dimensions}.",
            "Open it with the run that the directions were made with.",
        )
    return directions


def _direction(path: Path, entry: object, dimensions: int) -> Direction:
    if not isinstance(entry, dict):
        raise _damaged(path, "one of its directions is none")
    _require_keys(path, entry, _DIRECTION_KEYS)
    name = _text(path, entry["name"], "a name", MOST_LETTERS["name"])
    if not name.strip():
        raise _damaged(path, "one of its directions has no name")
    summary = _text(path, entry["summary"], "a summary", MOST_LETTERS["summary"])
    vector = entry["vector"]
    if not isinstance(vector, list) or len(vector) != dimensions:
        raise _damaged(path, f"the direction “{name}” does not have {_counted(dimensions)}")
    numbers = []
    for value in vector:
        if type(value) not in (int, float) or not abs(value) <= LARGEST_NUMBER:
            raise _damaged(path, f"the direction “{name}” holds something that is no latent coordinate")
        numbers.append(float(value))
    return Direction(name, tuple(numbers), summary)


def _json_object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8")
        if _depth(text) > _DEPTH:
            raise _damaged(path, "it is nested too deeply")
        value = json.loads(
            text, parse_float=_finite, parse_int=_whole, parse_constant=_finite, object_pairs_hook=_each_key_once
        )
    except ValueError as error:
        raise _damaged(path, "it is no valid JSON") from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is no valid JSON object")
    return value


def _depth(text: str) -> int:
    """The most brackets that are open at once, those inside of strings too, which only makes the limit stricter."""
    deepest = depth = 0
    for letter in text:
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _finite(text: str) -> float:
    value = float(text)  # `1e999` too is infinite
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _whole(text: str) -> int:
    if len(text) > 18:
        raise ValueError("a number of so many digits was not written here")
    return int(text)


def _require_keys(path: Path, found: dict[str, Any], keys: set[str]) -> None:
    if set(found) != keys:
        odd = sorted(keys - set(found)) or sorted(set(found) - keys)
        problem = "lacks" if keys - set(found) else "holds an unknown"
        raise _damaged(path, f"it {problem} “{odd[0][:40]}”" if odd[0].isprintable() else "it holds an unknown key")


def _text(path: Path, value: object, what: str, most: int) -> str:
    # What is not printable (a line break, half of a surrogate pair) could not be shown in a line or saved again.
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise _damaged(path, f"{what} is no text of at most {most} letters")
    return value


def _counted(dimensions: int) -> str:
    return f"{dimensions:,} dimension{'' if dimensions == 1 else 's'}"


def _damaged(path: Path, problem: str) -> FileError:
    return FileError(path, f"{path} cannot be read as directions: {problem}.", _HINT)
