"""Files of a run's networks, each tried on real images before it is kept.

A file is written under a temporary name, read back from the disk, loaded as another program would, and its output
compared with the program's own; only one that agrees gets its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from vae_explorer import __version__
from vae_explorer.errors import FileError, UserError
from vae_explorer.export.network_formats import FORMATS, About, weights_bytes
from vae_explorer.export.networks import Network, Part, PartName, part_of
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs import files
from vae_explorer.training.run_config import run_config_to_table

if TYPE_CHECKING:
    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.runs.checkpoint import LoadedModel

TOLERANCE = 1e-4
"""Largest difference of a number, as a share of the largest in its output or, where that is larger, of 1. Pictures are
in [0, 1], so it is a fortieth of a grey level."""

TOLERATED_CODES = 1e-3
"""Largest share of whole numbers (codes) that differ: one that lies between two codes may be rounded to either."""

NUM_TRIED = 32
"""Images on which a written file is tried, together and the first alone."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a file's output is from the program's own, for floating numbers and for whole ones, nan where none."""

    difference: float = math.nan
    codes_apart: float = math.nan

    @property
    def is_good(self) -> bool:
        """Whether something was compared and nothing is beyond its tolerance."""
        compared = [
            (value, limit)
            for value, limit in ((self.difference, TOLERANCE), (self.codes_apart, TOLERATED_CODES))
            if not math.isnan(value)
        ]
        return bool(compared) and all(value <= limit for value, limit in compared)

    @property
    def words(self) -> str:
        """In words, with the tolerance."""
        found = []
        if not math.isnan(self.difference):
            found.append(f"differs by at most {self.difference:.1e} of the largest value (tolerance {TOLERANCE:g})")
        if not math.isnan(self.codes_apart):
            found.append(f"{self.codes_apart:.2%} of the codes differ (tolerance {TOLERATED_CODES:.1%})")
        return ", ".join(found)


def agreement(network: Network, part: Part) -> Agreement:
    """Try a network on the part's inputs, together and the first alone, against what the program makes of them."""
    with torch.no_grad():
        pairs = [
            pair
            for tried in (part, part.first(1))
            for pair in zip(network(*tried.inputs.values()), tried.expected.values(), strict=True)
        ]
    floating = [_difference(found, own) for found, own in pairs if own.is_floating_point()]
    whole = [_share_apart(found, own) for found, own in pairs if not own.is_floating_point()]
    return Agreement(*(max(values) if values else math.nan for values in (floating, whole)))


def _difference(found: Tensor, own: Tensor) -> float:
    if found.shape != own.shape:
        return math.inf
    found, own = found.double(), own.double()
    value = float((found - own).abs().max() / own.abs().max().clamp(min=1.0))
    return value if math.isfinite(value) else math.inf


def _share_apart(found: Tensor, own: Tensor) -> float:
    return float((found != own).double().mean()) if found.shape == own.shape else math.inf


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: inputs and outputs by name with their shapes in words, and how well the file agrees."""

    inputs: str
    outputs: str
    agreement: Agreement
    num_tried: int


def export_network(path: Path, name: PartName, run_name: str, loaded: LoadedModel, images: ScoredImages) -> Exported:
    """Write the encoder or decoder in the format of the path's suffix, which is one of `FORMATS`.

    The model is on the CPU; `images` are of the run's data under its protocol. Raises FileError where the file cannot
    be written or gives another output than the program, MachineError where a package is missing, UserError where the
    format has no such operator. Whatever stood at the path stays in all these cases.
    """
    kind = FORMATS[path.suffix.lower()]
    part = _tried_part(name, loaded, images)
    inputs, outputs = _words(part.inputs), _words(part.expected)
    about = {**_about(run_name, loaded), "part": name, "inputs": inputs, "outputs": outputs}
    found: list[Agreement] = []

    written = kind.write(part, about)

    def check(content: bytes) -> None:
        _require_same(content, written, path)
        found.append(_good(agreement(kind.load(content, part), part), path))

    files.write_bytes_atomic(path, written, check)
    return Exported(inputs, outputs, found[0], NUM_TRIED)


def export_model(path: Path, run_name: str, loaded: LoadedModel, images: ScoredImages) -> Exported:
    """Write all weights of the model, its prior and its counters too, as safetensors. Raises as `export_network`."""
    encoder, decoder = (_tried_part(name, loaded, images) for name in ("encoder", "decoder"))
    about = {**_about(run_name, loaded), "part": "model"}
    written = weights_bytes(loaded.model.state_dict(), about)
    found: list[Agreement] = []

    def check(content: bytes) -> None:
        _require_same(content, written, path)
        tensors = safetensors.torch.load(content)
        own = loaded.model.state_dict()
        if tensors.keys() != own.keys() or not all(torch.equal(tensors[key], own[key]) for key in own):
            raise _bad(path, "a tensor in it is not that of the run")
        for part in (encoder, decoder):
            kind = FORMATS[".safetensors"]
            weights = {key: tensors[key] for key in part.weights()}
            found.append(_good(agreement(kind.load(weights_bytes(weights, {}), part), part), path))

    files.write_bytes_atomic(path, written, check)
    shapes = (_words(encoder.inputs), _words(decoder.expected))
    return Exported(*shapes, max(found, key=lambda item: item.difference), NUM_TRIED)


def _tried_part(name: PartName, loaded: LoadedModel, images: ScoredImages) -> Part:
    record = MODELS[loaded.config.model_name]
    num = min(NUM_TRIED, images.num_images)
    return part_of(name, loaded.model, record, images.x(0, num), images.labels(0, num))


def _about(run_name: str, loaded: LoadedModel) -> About:
    return {
        "program": f"VAE Explorer {__version__}",
        "run": run_name,
        "model": loaded.config.model_name,
        "step": str(loaded.step),
        "configuration": json.dumps(run_config_to_table(loaded.config), ensure_ascii=False),
    }


def _words(tensors: Mapping[str, Tensor]) -> str:
    """`x float32 (batch, 1, 28, 28)`, one after the other."""
    return ", ".join(
        f"{name} {str(value.dtype).removeprefix('torch.')} ({', '.join(['batch', *map(str, value.shape[1:])])})"
        for name, value in tensors.items()
    )


def _require_same(content: bytes, written: bytes, path: Path) -> None:
    if content != written:
        raise FileError(path, f"{path} cannot be written: the disk gives back something else.", "Check the disk.")


def _good(found: Agreement, path: Path) -> Agreement:
    if not found.is_good:
        raise _bad(path, f"its output {found.words}")
    return found


def _bad(path: Path, reason: str) -> UserError:
    return FileError(
        path,
        f"{path.name} was written and tried, and was not kept: {reason}.",
        "Choose another format, and please report it.",
    )
