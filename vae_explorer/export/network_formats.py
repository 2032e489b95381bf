"""The files that a network can be written to: safetensors (weights), PT2 (torch.export) and ONNX.

Each format turns a `Part` into bytes and, from bytes alone, gives back something that can be called with the same
inputs, so that a written file can be tried before it is kept. All take any number of images.

Legend: B batch.
"""

from __future__ import annotations

import copy
import importlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from vae_explorer.errors import MachineError, UserError
from vae_explorer.export.networks import Network, Part

if TYPE_CHECKING:
    from torch.export import Dim

ABOUT_FILE = "vae_explorer.json"
"""Inside a PT2 file: what the others carry in their header."""

About = Mapping[str, str]
"""Where a file comes from and how it is used, as texts by name; every format carries it."""


@dataclass(frozen=True, slots=True)
class NetworkFormat:
    """One kind of file. `write` gives its content; `load` the network in it, of which the part says what it is."""

    title: str
    write: Callable[[Part, About], bytes]
    load: Callable[[bytes, Part], Network]


def write_safetensors(part: Part, about: About) -> bytes:
    """The weights that the part uses, under the model's own names; `about` in the header's metadata."""
    return weights_bytes(part.weights(), about)


def weights_bytes(weights: Mapping[str, Tensor], about: About) -> bytes:
    """Tensors as safetensors. Other programs ask for the entry `format`."""
    tensors = {name: value.detach().contiguous() for name, value in weights.items()}
    content: bytes = safetensors.torch.save(tensors, {"format": "pt", **about})
    return content


def _load_safetensors(content: bytes, part: Part) -> Network:
    network = copy.deepcopy(part.network)
    found = {f"model.{name}": value for name, value in safetensors.torch.load(content).items()}
    for name, value in network.state_dict().items():
        # A weight that the file lacks is no number, and neither is then what comes out.
        value.copy_(found[name]) if name in found else value.fill_(torch.nan)
    return network


def _write_pt2(part: Part, about: About) -> bytes:
    program = torch.export.export(
        part.network, tuple(part.inputs.values()), dynamic_shapes=_any_batch(part), strict=False
    )
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={ABOUT_FILE: json.dumps(dict(about))})
    return content.getvalue()


def _load_pt2(content: bytes, part: Part) -> Network:
    del part  # a program says itself what it is
    module: Network = torch.export.load(io.BytesIO(content)).module()
    return module


def _write_onnx(part: Part, about: About) -> bytes:
    onnx = _required("onnx")
    _required("onnxscript")
    _required("onnxruntime")  # or it could not be tried
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program: Any = torch.onnx.export(
                part.network, tuple(part.inputs.values()), dynamo=True, verbose=False, dynamic_shapes=_any_batch(part),
                input_names=list(part.inputs), output_names=list(part.expected),
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"This model's {part.name} takes a step that ONNX has no operator for.",
            "Write it as .pt2, or its weights as .safetensors.",
        ) from error
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(about))
    content: bytes = model.SerializeToString()
    return content


def _load_onnx(content: bytes, part: Part) -> Network:
    runtime = _required("onnxruntime")
    runtime.disable_telemetry_events()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def network(*inputs: Tensor) -> tuple[Tensor, ...]:
        arrays = {name: value.numpy() for name, value in zip(part.inputs, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(list(part.expected), arrays))

    return network


FORMATS: dict[str, NetworkFormat] = {
    ".safetensors": NetworkFormat("weights as safetensors", write_safetensors, _load_safetensors),
    ".pt2": NetworkFormat("a program of torch.export", _write_pt2, _load_pt2),
    ".onnx": NetworkFormat("an ONNX model", _write_onnx, _load_onnx),
}
"""By the suffix of the file's name."""


def _any_batch(part: Part) -> dict[str, dict[int, Dim]]:
    batch = torch.export.Dim("batch", min=1)
    return {name: {0: batch} for name in part.inputs}


def _required(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MachineError(
            f"An ONNX file needs the Python package {package}, which is not installed.",
            "Run  pip install 'vae-explorer[onnx]',  or write .pt2 or .safetensors.",
        ) from error
