"""Weights from a file that a run starts from: another run's, or those of another program that uses the same names.

A safetensors file is a stranger's: its size and its header are bounded and its names and shapes compared with the model
before the weights themselves are read. Whole numbers and flags in it are passed over: they count what has been trained,
or follow from the settings, and a run has its own.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import safetensors
import safetensors.torch
import torch

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.errors import FileError, UserError
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import require_plain_file

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.training.run_config import RunConfig

_MOST_HEADER_BYTES = 1_000_000
_WIDEST_NUMBER = 8
Shapes: TypeAlias = "Mapping[str, tuple[tuple[int, ...], bool]]"
"""Of each tensor by name: its shape, and whether it holds floating numbers."""
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_METADATA = "__metadata__"
_NOT_SAFETENSORS = "Choose a file that vae-explorer export wrote, or convert it to safetensors."
_OTHER_MODEL = "Choose the model and the settings that these weights were made with, or another file."


@dataclass(frozen=True, slots=True, eq=False)
class StartWeights:
    """Every floating tensor of a model, on the CPU in the model's own types, and the file that they stood in."""

    path: Path
    content: bytes
    tensors: Mapping[str, Tensor]

    @property
    def sha256(self) -> str:
        """The digest of the file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_start_weights(path: Path, config: RunConfig) -> StartWeights:
    """The weights in the file for the model of this configuration.

    Raises UserError for a model that works its weights out from the data, FileError with the first name or shape that
    differs, and for a file that is no safetensors file, is larger than the model accounts for or holds numbers that are
    not finite.
    """
    record = MODELS[config.model_name]
    if record.is_fitted:
        raise UserError(
            f"The model “{record.title}” works its weights out from the data and starts from none.",
            "Train it without, or choose a model that is trained by gradients.",
        )
    path = files.expanded(path)
    require_plain_file(path, "Check the path.")
    own = _own_tensors(config)
    _require_same(path, _header_shapes(path), own)
    most = sum(_WIDEST_NUMBER * tensor.numel() for tensor in own.values()) + 8 + _MOST_HEADER_BYTES
    if path.stat().st_size > most:
        raise FileError(path, f"{path} is larger than its tensors account for.", _NOT_SAFETENSORS)
    content = files.read_bytes(path, most)
    try:
        found: dict[str, Tensor] = safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _no_safetensors(path) from error
    # The file may have become another one since its header was looked at.
    _require_same(path, {name: (value.shape, value.is_floating_point()) for name, value in found.items()}, own)
    tensors = {name: found[name].to(value.dtype) for name, value in own.items() if value.is_floating_point()}
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise FileError(path, f"{path} holds numbers that are not finite in '{name}'.", "Choose another file.")
    return StartWeights(path, content, tensors)


def _own_tensors(config: RunConfig) -> dict[str, Tensor]:
    """The model's tensors, without storage."""
    data = DATASETS[config.data.dataset]
    with torch.device("meta"):
        space = DataSpace(data.image_shape, data.num_classes, config.data.protocol)
        return dict(build_model(config.model_name, config.model, space).state_dict())


def _header_shapes(path: Path) -> Shapes:
    """What the file's header says of its tensors; nothing of them is read."""
    try:
        with path.open("rb") as file:
            length = file.read(8)
            size = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
            header = file.read(size) if size <= _MOST_HEADER_BYTES else b""
    except OSError as error:
        raise files.file_error(path, error, "read") from error
    try:
        table = json.loads(header.decode("utf-8"))
        return {
            name: (tuple(_whole(side) for side in entry["shape"]), entry["dtype"] in _FLOATS)
            for name, entry in table.items()
            if name != _METADATA
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_safetensors(path) from error


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a side is no whole number")
    return value


def _require_same(path: Path, found: Shapes, own: Mapping[str, Tensor]) -> None:
    """Raise FileError at the first floating tensor of the model that the file lacks or has in another shape, and at the
    first that the model does not have.
    """
    for name, tensor in own.items():
        if not tensor.is_floating_point():
            continue
        if name not in found:
            raise FileError(path, f"{path.name} has no tensor '{name}', which this model has.", _OTHER_MODEL)
        shape, is_floating = found[name]
        if tuple(shape) != tuple(tensor.shape):
            shapes = f"the shape {_shape(shape)}, and this model's {_shape(tensor.shape)}"
            raise FileError(path, f"The tensor '{name}' of {path.name} has {shapes}.", _OTHER_MODEL)
        if not is_floating:
            raise FileError(path, f"The tensor '{name}' of {path.name} holds no floating numbers.", _OTHER_MODEL)
    for name in found:
        if name not in own:
            raise FileError(path, f"{path.name} has a tensor '{_short(name)}', which this model has not.", _OTHER_MODEL)


def _shape(sides: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sides))})" if len(sides) < 9 else f"({', '.join(map(str, sides[:8]))}, ...)"


def _short(name: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in name[:80])
    return text if len(name) <= 80 else f"{text}..."


def _no_safetensors(path: Path) -> FileError:
    return FileError(path, f"{path} is no safetensors file that can be read.", _NOT_SAFETENSORS)
