"""The frames of a run on disk: codes of the anchors at log-spaced steps, and a few weight snapshots.

    frames/
      anchors.safetensors              `items`: the ids of the anchors, int64 (A,)
      000000128.safetensors            `codes`: their codes, float16 (A, D), float32 where float16 cannot hold them
      000000128-weights.safetensors    weights and buffers of the network, in some frames

The header of each says step, epoch, images seen, seconds, beta and the SHA-256 of all of it. A frame that is damaged or
has gone meanwhile is left out: looking back shows what there is. Nothing in a frame is code.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.errors import FileError
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.runs import files
from vae_explorer.runs.retention import spread_steps
from vae_explorer.runs.run_directory import RunDirectory, require_plain_file
from vae_explorer.training.frames import MOST_BYTES, MOST_FRAMES, MOST_WEIGHTS, most_weights

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.training.events import FrameTaken

FORMAT_VERSION = 1
ANCHORS_FILE = "anchors.safetensors"
FRAMES_FOLDER = "frames"

_SUFFIX = ".safetensors"
_WEIGHTS = "-weights"
_HALF_LARGEST = 30_000.0  # of the codes that float16 holds well
_MOST_HEADER_BYTES = 100_000
_MOST_FRAME_BYTES = 2 * MOST_BYTES // MOST_FRAMES + _MOST_HEADER_BYTES
_MOST_ENTRIES = 10_000  # of a folder that are looked at
_BROKEN = (
    safetensors.SafetensorError, struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
_HINT = "It was altered or damaged after it was written; the run can be looked at without it."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedFrame:
    """A moment of the run: where it was, and the codes of the anchors, (A, D), a row NaN where an item had no place.

    `codes_AD` is None for a model without codes.
    """

    step: int
    epoch: float
    images_seen: int
    seconds: float
    beta: float
    codes_AD: NDArray[np.floating[Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedFrames:
    """What can be looked back at: the anchors, the frames in the order of steps, and the steps that have weights.

    `left_out` says what could not be read, and why.
    """

    items_A: NDArray[np.int64]
    frames: tuple[RecordedFrame, ...] = ()
    weight_steps: tuple[int, ...] = ()
    left_out: tuple[FileError, ...] = field(default=())

    @property
    def steps(self) -> tuple[int, ...]:
        """The step of each frame."""
        return tuple(frame.step for frame in self.frames)


def frames_folder(run: RunDirectory) -> Path:
    """Where the frames are; not there before the first."""
    return run.path / FRAMES_FOLDER


def write_frames(run: RunDirectory, taken: Sequence[FrameTaken]) -> tuple[int, ...]:
    """Write these frames, each file whole or not at all, and drop what is too many; returns their steps.

    Raises FileError; written again, nothing is there twice.
    """
    folder = frames_folder(run)
    files.make_folder(folder)
    most = MOST_WEIGHTS
    for frame in taken:
        _write_anchors(run, frame.kept.items_A)
        facts = {
            "step": str(frame.step), "epoch": repr(frame.epoch), "images_seen": str(frame.images_seen),
            "seconds": repr(frame.seconds), "beta": repr(frame.beta),
        }  # fmt: skip
        if frame.kept.weights is not None:
            content = _sealed({name: value.numpy() for name, value in frame.kept.weights.items()}, facts)
            files.write_bytes_atomic(_weights_path(folder, frame.step), content)
            most = most_weights(len(content))
        codes = {} if frame.kept.codes_AD is None else {"codes": _short(frame.kept.codes_AD)}
        content = _sealed(codes, facts)
        files.write_bytes_atomic(_frame_path(folder, frame.step), content)
    _keep(folder, MOST_FRAMES, most)
    return tuple(frame.step for frame in taken)


def cut_frames_back(run: RunDirectory, step: int) -> None:
    """Drop the frames of later steps."""
    for found, path in _numbered(frames_folder(run)):
        if found > step:
            files.remove_file(path)


def copy_frames(parent: RunDirectory, child: RunDirectory, step: int) -> None:
    """Give a child the frames of its parent up to this step; what cannot be read is left out. Raises FileError."""
    source, target = frames_folder(parent), frames_folder(child)
    anchors = source / ANCHORS_FILE
    if not files.exists(anchors):
        return
    files.make_folder(target)
    paths = [anchors, *(path for found, path in _numbered(source) if found <= step)]
    for path in paths:
        most = _MOST_FRAME_BYTES if _WEIGHTS not in path.name else MOST_BYTES + _MOST_HEADER_BYTES
        try:
            require_plain_file(path, _HINT)
            content = files.read_bytes(path, most)
        except FileError:
            continue
        files.write_bytes_atomic(target / path.name, content)


def read_frames(run: RunDirectory, known: RecordedFrames | None = None) -> RecordedFrames | None:
    """All frames so far, None where there are none; those that are `known` already are not read again.

    Raises FileError where the anchors cannot be read.
    """
    folder = frames_folder(run)
    numbered = _numbered(folder)
    if not numbered or not files.exists(folder / ANCHORS_FILE):
        return None
    items_A = _read_anchors(run)
    at_hand: dict[int, RecordedFrame] = {}
    if known is not None and np.array_equal(known.items_A, items_A):
        at_hand = {frame.step: frame for frame in known.frames}
    found, left_out = [], []
    steps = sorted(step for step, path in numbered if _WEIGHTS not in path.name)
    for step in steps[: 2 * MOST_FRAMES]:
        path = _frame_path(folder, step)
        try:
            found.append(at_hand.get(step) or _read_frame(path, step, len(items_A)))
        except FileError as error:
            if files.exists(path):
                left_out.append(error)
    shapes = {frame.codes_AD.shape[1] for frame in found if frame.codes_AD is not None}
    if len(shapes) > 1:
        raise _not_ours(folder)
    weight_steps = sorted(step for step, path in numbered if _WEIGHTS in path.name)
    return RecordedFrames(
        items_A=items_A, frames=tuple(found), weight_steps=tuple(weight_steps), left_out=tuple(left_out)
    )


def read_weights(run: RunDirectory, step: int) -> dict[str, Tensor]:
    """The weights that were kept at this step, on the CPU, checked against the model that the run describes.

    Raises FileError where they are not there, damaged, or of another model.
    """
    path = _weights_path(frames_folder(run), step)
    record = DATASETS[run.config.data.dataset]
    space = DataSpace(record.image_shape, record.num_classes, run.config.data.protocol)
    with torch.device("meta"):
        expected = build_model(run.config.model_name, run.config.model, space).state_dict()
    num_bytes = sum(value.numel() * value.element_size() for value in expected.values())
    facts, arrays = _opened(path, num_bytes + 10 * _MOST_HEADER_BYTES)
    weights = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    if facts.get("step") != str(step) or {name: (value.shape, value.dtype) for name, value in weights.items()} != {
        name: (value.shape, value.dtype) for name, value in expected.items()
    }:
        raise _not_ours(path)
    if not all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point()):
        raise _not_ours(path)
    return weights


def _write_anchors(run: RunDirectory, items_A: NDArray[np.int64]) -> None:
    folder = frames_folder(run)
    try:
        if np.array_equal(_read_anchors(run), items_A):
            return
    except FileError:
        pass  # none yet, or damaged
    for _, path in _numbered(folder):  # they are of other items
        files.remove_file(path)
    files.write_bytes_atomic(folder / ANCHORS_FILE, _sealed({"items": items_A}, {}))


def _read_anchors(run: RunDirectory) -> NDArray[np.int64]:
    path = frames_folder(run) / ANCHORS_FILE
    items_A = _opened(path, _MOST_FRAME_BYTES)[1].get("items")
    if items_A is None or items_A.dtype != np.int64 or items_A.ndim != 1:
        raise _not_ours(path)
    if len(items_A) and (items_A[0] < 0 or (np.diff(items_A) <= 0).any()):
        raise _not_ours(path)
    return items_A


def _read_frame(path: Path, step: int, num_anchors: int) -> RecordedFrame:
    facts, arrays = _opened(path, _MOST_FRAME_BYTES)
    codes_AD = arrays.get("codes")
    try:
        frame = RecordedFrame(
            step=int(facts["step"]), epoch=_finite(facts["epoch"]), images_seen=int(facts["images_seen"]),
            seconds=_finite(facts["seconds"]), beta=_finite(facts["beta"]), codes_AD=codes_AD,
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise _not_ours(path) from error
    if frame.step != step or min(frame.epoch, frame.images_seen, frame.seconds) < 0:
        raise _not_ours(path)
    if codes_AD is not None and (
        codes_AD.ndim != 2 or len(codes_AD) != num_anchors or codes_AD.dtype not in (np.float16, np.float32)
    ):
        raise _not_ours(path)
    return frame


def _keep(folder: Path, most_frames: int, most_weights: int) -> None:
    numbered = _numbered(folder)
    frames = {step: path for step, path in numbered if _WEIGHTS not in path.name}
    weights = {step: path for step, path in numbered if _WEIGHTS in path.name}
    for found, most in ((frames, most_frames), (weights, most_weights)):
        for step in found.keys() - set(spread_steps(list(found), most)):
            files.remove_file(found[step])


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """The files of frames and weights by their step, in the order of steps."""
    try:
        names = [entry.name for entry in itertools.islice(folder.iterdir(), _MOST_ENTRIES)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise files.file_error(folder, error, "read") from error
    found = []
    for name in names:
        number = name.removesuffix(_SUFFIX).removesuffix(_WEIGHTS)
        if name.endswith(_SUFFIX) and number.isascii() and number.isdigit() and len(number) <= 18:
            found.append((int(number), folder / name))
    return sorted(found)


def _frame_path(folder: Path, step: int) -> Path:
    return folder / f"{step:09d}{_SUFFIX}"


def _weights_path(folder: Path, step: int) -> Path:
    return folder / f"{step:09d}{_WEIGHTS}{_SUFFIX}"


def _short(codes_AD: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """In half the bytes, a step of which is a two-thousandth of the code; where that is too large as it is."""
    with np.errstate(invalid="ignore"):
        is_small = not (np.abs(codes_AD) > _HALF_LARGEST).any()
    return codes_AD.astype(np.float16) if is_small else codes_AD


def _sealed(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, str]) -> bytes:
    """A safetensors file of these arrays with the facts and a digest of all in its header."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    told = {"format_version": str(FORMAT_VERSION), **facts}
    content: bytes = safetensors.numpy.save(arrays, told | {"sha256": _digest(told, arrays)})
    return content


def _opened(path: Path, most_bytes: int) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """The facts and arrays of a sealed file; its size is checked before anything is parsed, then its digest.

    Raises FileError.
    """
    require_plain_file(path, _HINT)
    content = files.read_bytes(path, most_bytes)
    try:
        (length,) = struct.unpack("<Q", content[:8])
        if length > min(len(content) - 8, 10 * _MOST_HEADER_BYTES):
            raise _not_ours(path)
        header = json.loads(content[8 : 8 + length])
        facts = {str(name): str(value) for name, value in header["__metadata__"].items()}
        digest = facts.pop("sha256")
        version = int(facts["format_version"])
        if version > FORMAT_VERSION:
            raise FileError(
                path,
                f"{path} has format version {version}, which is newer than this program's {FORMAT_VERSION}.",
                "Open the run with a newer version of VAE Explorer.",
            )
        arrays: dict[str, NDArray[Any]] = safetensors.numpy.load(content)
    except _BROKEN as error:
        raise _not_ours(path) from error
    if digest != _digest(facts, arrays):
        raise FileError(path, f"{path} does not match its digest.", _HINT)
    return facts, arrays


def _digest(facts: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> str:
    shapes = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    digest = hashlib.sha256(json.dumps([facts, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(arrays[name].reshape(-1).data)
    return digest.hexdigest()


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _not_ours(path: Path) -> FileError:
    return FileError(path, f"{path} is not a file that VAE Explorer wrote.", _HINT)
