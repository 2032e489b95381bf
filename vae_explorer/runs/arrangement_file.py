"""What a person arranged on a run's map, kept in the run's folder: `arrangement.json`.

Pins, view, path, selection, groups, directions and bookmarks come back when the run is opened again. The file is plain
values by the names of the frozen records in `latent.arrangement`; reading checks every one against the record's type,
so that a stranger's file can do no harm. Free of torch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import TYPE_CHECKING, Any

from vae_explorer.errors import FileError, UserError
from vae_explorer.latent.arrangement import Arrangement, ItemSet
from vae_explorer.latent.path_catalogue import PATH_METRICS, PATHS, SPEEDS
from vae_explorer.latent.view_catalogue import VIEWS
from vae_explorer.runs import files

if TYPE_CHECKING:
    from pathlib import Path

    from vae_explorer.runs.run_directory import RunDirectory

FILE = "arrangement.json"
FORMAT_VERSION = 1
MAXIMUM_BYTES = 8_000_000
LARGEST_NUMBER = 1e6
"""No latent space is wider: a larger number is damage."""

_MOST_FRAMES = 1000
_HINT = "The map starts without it; the file is replaced when something is arranged."


def arrangement_bytes(arrangement: Arrangement) -> bytes:
    """The content of the file; `read_arrangement` gives the arrangement back."""
    content = {"format_version": FORMAT_VERSION, "arrangement": _plain(arrangement)}
    return (json.dumps(content, ensure_ascii=False) + "\n").encode("utf-8")


def read_arrangement(run: RunDirectory) -> Arrangement | None:
    """What was kept; None where nothing was. Raises FileError for a file that is not as it was written."""
    path = run.path / FILE
    if not files.exists(path):
        return None
    try:
        content = json.loads(files.read_bytes(path, MAXIMUM_BYTES).decode("utf-8"))
        if content["format_version"] > FORMAT_VERSION:
            raise FileError(path, f"{path} was written by a newer version.", "Open the run with that version.")
        arrangement: Arrangement = _record(Arrangement, content["arrangement"])
        _check_names(arrangement)
    except (ValueError, KeyError, TypeError, RecursionError, UserError) as error:
        if isinstance(error, FileError):
            raise
        raise _damaged(path) from error
    return arrangement


def _damaged(path: Path) -> FileError:
    return FileError(path, f"{path} is not as VAE Explorer wrote it.", _HINT)


def _plain(value: Any) -> Any:
    if isinstance(value, ItemSet):
        return value.ids.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # A locked plane is a fit to codes that are no more.
        names = [item.name for item in dataclasses.fields(value) if item.name != "locked"]
        return {name: _plain(getattr(value, name)) for name in names}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _record(kind: type, value: Any) -> Any:
    hints = typing.get_type_hints(kind)
    known = {item.name for item in dataclasses.fields(kind)} - {"locked"}
    if not isinstance(value, dict) or not set(value) <= known:
        raise ValueError("not a record of that kind")
    return kind(**{name: _typed(hints[name], item) for name, item in value.items()})


def _typed(kind: Any, value: Any) -> Any:
    """The value as that type; raises ValueError where it is none."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return None if value is None else _typed(next(part for part in inner if part is not type(None)), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError("not a list")
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        return tuple(_typed(part, item) for part, item in zip(kinds, value, strict=True))
    if origin is typing.Literal:
        if value not in inner:
            raise ValueError("not one of the words")
        return value
    if kind is ItemSet:
        ids = _typed(tuple[int, ...], value)
        if ids and not (min(ids) >= 0 and max(ids) < 2**40):
            raise ValueError("not ids of items")
        return ItemSet(ids)
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast("type", kind), value)
    if kind is float and type(value) in {int, float} and math.isfinite(value) and abs(value) <= LARGEST_NUMBER:
        return float(value)
    if kind in {int, str} and type(value) is kind and (kind is str or abs(value) < 2**40):
        return value
    raise ValueError(f"not a {kind}")


def _check_names(arrangement: Arrangement) -> None:
    """Raise UserError or ValueError for a name that no registry knows, and for counts that would fill memory."""
    path = arrangement.path
    for registry, name in ((PATHS, path.kind), (SPEEDS, path.speed), (PATH_METRICS, path.metric)):
        registry[name]
    for view in (arrangement.view, *(bookmark.view for bookmark in arrangement.bookmarks)):
        if view is not None:
            VIEWS[view.name]
    if not 2 <= path.num_frames <= _MOST_FRAMES:
        raise ValueError("not a number of frames")
    if any(frame is not None and frame.scale <= 0 for frame in (arrangement.frame, *_frames(arrangement))):
        raise ValueError("not a scale")
    if arrangement.active_pin >= len(arrangement.pins) or arrangement.told < 0:
        raise ValueError("not a pin or a class")


def _frames(arrangement: Arrangement) -> list[Any]:
    return [bookmark.frame for bookmark in arrangement.bookmarks]
