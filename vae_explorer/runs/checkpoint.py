"""Checkpoints: everything needed to continue a run, or to look at its model.

    checkpoints/000123456/
      model.safetensors            weights and buffers
      training_state.safetensors   optimiser, generators and whatever else the trainer keeps as tensors
      state.json                   step, configuration and the trainer's plain numbers
      manifest.json                SHA-256 and size of each of the three

Reading is safe for a stranger's folder: sizes and digests are checked before anything is parsed, and names, shapes and
types against the model that the configuration describes before anything is built. Nothing in a checkpoint is code.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.errors import FileError, UserError
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.runs import files
from vae_explorer.runs.retention import KeptCheckpoint, steps_to_keep
from vae_explorer.runs.run_directory import RunDirectory, require_plain_file
from vae_explorer.training.events import TrainingState
from vae_explorer.training.run_config import run_config_from_table, run_config_to_table

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.interface import LatentModel
    from vae_explorer.training.run_config import RunConfig

FORMAT_VERSION = 1
MODEL_FILE = "model.safetensors"
TRAINING_STATE_FILE = "training_state.safetensors"
STATE_FILE = "state.json"
MANIFEST_FILE = "manifest.json"

_OPTIMISER, _TENSORS = "optimiser.", "tensors."
_MAXIMUM_JSON_BYTES = 1_000_000
_MAXIMUM_HEADER_BYTES = 1_000_000
_ALTERED_HINT = "It was altered or damaged after it was written; use an older checkpoint or another copy of the run."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint in memory; tensors are on the CPU."""

    path: Path
    step: int
    config: RunConfig
    data_space: DataSpace
    state: TrainingState


class LoadedModel(NamedTuple):
    """A model from disk, in evaluation mode."""

    model: LatentModel
    config: RunConfig
    step: int


def is_finite(state: TrainingState) -> bool:
    """Whether all weights and all optimiser state are numbers; a state that is not is never written."""
    return _are_finite(state.model) and _are_finite(state.optimiser)


def _are_finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values() if tensor.is_floating_point())


def write_checkpoint(run: RunDirectory, state: TrainingState) -> Path:
    """Write the state under its step's name, whole or not at all, and drop what need not stay (`retention`).

    Returns the folder. Raises FileError, with everything that was there before intact.
    """
    step = int(state.progress["step"])
    record = DATASETS[run.config.data.dataset]
    description = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "written": time.time(),
        "image_shape": list(record.image_shape),
        "num_classes": record.num_classes,
        "config": run_config_to_table(run.config),
        "progress": state.progress,
    }
    training_tensors = {_OPTIMISER + name: value for name, value in state.optimiser.items()}
    training_tensors |= {_TENSORS + name: value for name, value in state.tensors.items()}
    contents = {
        MODEL_FILE: _tensor_bytes(state.model),
        TRAINING_STATE_FILE: _tensor_bytes(training_tensors),
        STATE_FILE: json.dumps(description, indent=1).encode("utf-8"),
    }
    entries = {name: {"sha256": _digest(content), "bytes": len(content)} for name, content in contents.items()}
    manifest = json.dumps({"format_version": FORMAT_VERSION, "files": entries}, indent=1)
    path = run.checkpoints_folder / f"{step:09d}"
    files.write_folder(path, contents | {MANIFEST_FILE: manifest.encode("utf-8")})
    _drop_old(run)
    return path


def checkpoint_contents(path: Path) -> dict[str, bytes]:
    """The files of a checkpoint as they are, by name. Raises FileError, as `read_checkpoint`, for a damaged one."""
    read_checkpoint(path)
    manifest = path / MANIFEST_FILE
    found = {name: _verified_bytes(path / name, entry, entry[1]) for name, entry in _read_manifest(manifest).items()}
    return found | {MANIFEST_FILE: files.read_bytes(manifest, _MAXIMUM_JSON_BYTES)}


def _drop_old(run: RunDirectory) -> None:
    found = {path: _kept(path) for path in run.checkpoints()}
    keep = steps_to_keep(list(found.values()))
    for path, checkpoint in found.items():
        if checkpoint.step not in keep:
            files.remove_folder(path)


def _kept(path: Path) -> KeptCheckpoint:
    """What its state.json says of when it was written and how good it is; one that is damaged counts as an old one."""
    try:
        description = _json_object(path / STATE_FILE, files.read_bytes(path / STATE_FILE, _MAXIMUM_JSON_BYTES))
        loss = description["progress"].get("heldout_loss")
        written = float(description.get("written", (path / STATE_FILE).stat().st_mtime))
        return KeptCheckpoint(int(path.name), written, None if loss is None else float(loss))
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return KeptCheckpoint(int(path.name), 0.0)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in that folder; raises FileError with file and reason where anything is not as it was written."""
    entries = _read_manifest(path / MANIFEST_FILE)
    state_path = path / STATE_FILE
    description = _json_object(state_path, _verified_bytes(state_path, entries[STATE_FILE], _MAXIMUM_JSON_BYTES))
    try:
        config = run_config_from_table(description["config"], str(state_path))
        channels, height, width = (_whole(size) for size in description["image_shape"])
        step, num_classes = _whole(description["step"]), _whole(description["num_classes"])
        progress = dict(description["progress"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(state_path) from error
    except UserError as error:
        raise FileError(
            state_path, f"{state_path} is not a valid configuration: {error.message}", error.hint
        ) from error
    image_shape = (channels, height, width)
    record = DATASETS[config.data.dataset]
    if (image_shape, num_classes) != (record.image_shape, record.num_classes):
        raise FileError(state_path, f"{state_path} does not fit the data set {record.name}.", _ALTERED_HINT)

    data_space = DataSpace(image_shape, num_classes, config.data.protocol)
    expected = _empty_model(config, data_space).state_dict()
    model_bytes = sum(tensor.numel() * tensor.element_size() for tensor in expected.values())
    model = _read_tensors(path / MODEL_FILE, entries[MODEL_FILE], model_bytes + _MAXIMUM_HEADER_BYTES)
    _require_same(path / MODEL_FILE, model, expected)
    # An optimiser keeps a few numbers a weight; generators, orders and codes are counted by the fixed part.
    most = 8 * model_bytes + 512_000_000
    training = _read_tensors(path / TRAINING_STATE_FILE, entries[TRAINING_STATE_FILE], most)
    state = TrainingState(
        model=model, optimiser=_without(training, _OPTIMISER), progress=progress, tensors=_without(training, _TENSORS)
    )
    for name, tensors in ((MODEL_FILE, state.model), (TRAINING_STATE_FILE, state.optimiser)):
        if not _are_finite(tensors):
            raise FileError(path / name, f"{path / name} holds numbers that are not finite.", _ALTERED_HINT)
    return Checkpoint(path, step, config, data_space, state)


def model_from_run(path: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a run's newest checkpoint (or of the checkpoint folder itself), ready to encode and decode.

    Raises FileError where the run has no checkpoint or a damaged one.
    """
    path = files.expanded(path)
    if files.exists(path / MANIFEST_FILE):
        newest: Path | None = path
    else:
        run = RunDirectory.open(path)
        newest = run.newest_checkpoint()
    if newest is None:
        raise FileError(
            path, f"{path} has no checkpoint yet.", "Train it until its first checkpoint, or choose another run."
        )
    checkpoint = read_checkpoint(newest)
    model = _empty_model(checkpoint.config, checkpoint.data_space)
    model.load_state_dict(checkpoint.state.model, strict=True, assign=True)
    return LoadedModel(model.to(device).eval().requires_grad_(False), checkpoint.config, checkpoint.step)


def model_shapes(config: RunConfig, data_space: DataSpace) -> dict[str, tuple[int, ...]]:
    """The shape of each weight and buffer of the network that a configuration describes."""
    return {name: tuple(tensor.shape) for name, tensor in _empty_model(config, data_space).state_dict().items()}


def _empty_model(config: RunConfig, data_space: DataSpace) -> LatentModel:
    """The model without storage: no memory for what a file merely claims, and no draw from any generator."""
    with torch.device("meta"):
        return build_model(config.model_name, config.model, data_space)


def _tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    content: bytes = safetensors.torch.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _without(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _read_manifest(path: Path) -> dict[str, tuple[str, int]]:
    """Digest and size of each payload file."""
    require_plain_file(path, "A checkpoint holds a manifest.json; use an older checkpoint of the run.")
    manifest = _json_object(path, files.read_bytes(path, _MAXIMUM_JSON_BYTES))
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise FileError(
            path,
            f"{path} has format version {version}, which is newer than this program's {FORMAT_VERSION}.",
            "Open the run with a newer version of VAE Explorer.",
        )
    try:
        entries = {name: (str(entry["sha256"]), _whole(entry["bytes"])) for name, entry in manifest["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_ours(path) from error
    if set(entries) != {MODEL_FILE, TRAINING_STATE_FILE, STATE_FILE}:
        raise _not_ours(path)
    return entries


def _verified_bytes(path: Path, entry: tuple[str, int], maximum_bytes: int) -> bytes:
    digest, size = entry
    require_plain_file(path, _ALTERED_HINT)
    if size > maximum_bytes:
        raise FileError(path, f"{path} is larger than its configuration accounts for.", _ALTERED_HINT)
    if path.stat().st_size != size:
        raise FileError(path, f"{path} does not have the size in its manifest.", _ALTERED_HINT)
    content = files.read_bytes(path, size)
    if _digest(content) != digest:
        raise FileError(path, f"{path} does not match the digest in its manifest.", _ALTERED_HINT)
    return content


def _read_tensors(path: Path, entry: tuple[str, int], maximum_bytes: int) -> dict[str, Tensor]:
    content = _verified_bytes(path, entry, maximum_bytes)
    if len(content) < 8 or struct.unpack("<Q", content[:8])[0] > _MAXIMUM_HEADER_BYTES:
        raise _not_ours(path)
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise _not_ours(path) from error
    return tensors


def _require_same(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, tensor in expected.items():
        match = found.get(name)
        if match is None or match.shape != tensor.shape or match.dtype != tensor.dtype:
            raise FileError(path, f"{path} does not fit its configuration at '{name}'.", _ALTERED_HINT)
    if len(found) != len(expected):
        raise FileError(path, f"{path} holds tensors that its configuration does not.", _ALTERED_HINT)


def _json_object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise _not_ours(path) from error
    if not isinstance(value, dict):
        raise _not_ours(path)
    return value


def _finite(text: str) -> float:
    value = float(text)  # `1e999` too is infinite
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _whole(value: object) -> int:
    """A number as it stands in our files: neither 1.5 nor true nor "1" is meant as one."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _not_ours(path: Path) -> FileError:
    return FileError(path, f"{path} is not a file that VAE Explorer wrote.", _ALTERED_HINT)
